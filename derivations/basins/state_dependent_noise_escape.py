"""Escape over a barrier when the gradient covariance varies along the way: Kramers' law with the potential ∫ L′/C."""

import math

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, T, eta, g, sigma, theta

lam_A, lam_s, c_A, c_s = sp.symbols("lambda_A lambda_s c_A c_s", positive=True)  # |L″| and C at bottom and top
rise = sp.Symbol("ΔΦ", positive=True)  # ∫ L′/C from the bottom to the top
C_theta = sp.Function("C")(theta)


def steps(formula):
    """The backward equation with D(θ) = ηC/(2S), its double integral, Laplace's method twice."""
    eps = sp.Symbol("epsilon", positive=True)  # ε² = η/(2S)
    x, c_1, c_2, p_3, p_4, r, b = sp.symbols("x c_1 c_2 Phi_3 Phi_4 r b", real=True)
    y, z = sp.symbols("y z", real=True)
    lam_B, c_B, rise_B, height = sp.symbols("lambda_B c_B ΔΦ_B ΔL", positive=True)
    Psi, D = sp.Function("Psi"), sp.Function("D")
    inner = sp.Integral(sp.exp(-Psi(z)) / D(z), (z, r, y))
    time = sp.Integral(sp.exp(Psi(y)) * inner, (y, theta, b))
    bottom = sp.Integral(sp.exp(-S / eta * lam_A / c_A * z**2) * 2 * S / (eta * c_A), (z, -sp.oo, sp.oo))
    top = sp.Integral(sp.exp(-S / eta * lam_s / c_s * y**2), (y, -sp.oo, sp.oo))
    excess = lam_A / c_A * x**2 / 2 + eps * p_3 * x**3 / 6 + eps**2 * p_4 * x**4 / 24
    odds = sp.sqrt(c_B * lam_B / (c_A * lam_A)) * sp.exp(2 * S / eta * (rise - rise_B))
    back = formula.subs({lam_A: lam_B, c_A: c_B, rise: rise_B})
    return [
        Step(
            "With D = ηC/(2S), the mean time to reach b solves Dτ″ − L′τ′ = −1. With Ψ′ = L′/D = (2S/η)Φ′ this double "
            "integral does, for any C:",
            D(theta) * time.diff(theta, 2) - D(theta) * sp.diff(Psi(theta), theta) * time.diff(theta),
            -1,
        ),
        Step(
            "Φ = ∫L′/C has second derivatives λ/C at bottom and top. About each, with θ = θ_A + εx and ε² = η/(2S), "
            "the correction at order ε is odd in x, so the relative error is O(η/S):",
            sp.exp(-excess) / (1 + eps * c_1 * x + eps**2 * c_2 * x**2),
            sp.exp(-lam_A / c_A * x**2 / 2) * (1 - eps * (c_1 * x + p_3 * x**3 / 6)),
            order=(eps, 2),
        ),
        Step(
            "The two Gaussian integrals and exp((2S/η)ΔΦ) give the mean time, whose inverse is the rate:",
            sp.exp(2 * S / eta * rise) * bottom * top,
            1 / formula,
        ),
        Step(
            "With C = σ² everywhere it is Kramers' rate at T = ησ²/(2S):",
            sp.Subs(formula, (c_A, c_s, rise, eta), (sigma**2, sigma**2, height / sigma**2, 2 * S * T / sigma**2)),
            sp.sqrt(lam_A * lam_s) / (2 * sp.pi) * sp.exp(-height / T),
        ),
        Step(
            "The rates both ways over one top, times the odds √(C_B λ_B/(C_A λ_A)) exp(−(2S/η)(Φ_A − Φ_B)) of the "
            "stationary law (1/C) exp(−(2S/η)Φ), balance:",
            sp.Mul(formula, odds, evaluate=False),
            back,
        ),
    ]


def check(formula):
    """Mean passage times of a random walk with the SDE's drift and diffusion, which never form Φ."""

    def slope(x):
        return 4 * x * (x * x - 1) + 0.2

    def covariance(x):
        return math.exp(x / 2)

    loss = (theta**2 - 1) ** 2 + theta / 5
    left, top, right = (float(mpmath.findroot(slope, x)) for x in (-1, 0, 1))
    curvature = sp.lambdify(theta, sp.diff(loss, theta, 2))
    potential = sp.integrate(sp.expand(sp.diff(loss, theta) * sp.exp(-theta / 2)), (theta, left, top))
    products = []
    for n in (16, 32, 64):
        values = {lam_A: curvature(left), lam_s: -curvature(top), c_A: covariance(left), c_s: covariance(top)}
        values |= {rise: potential, S: 1, eta: sp.Rational(1, n)}
        walk = oracles.passage_time(
            lambda x: -slope(x), lambda x, n=n: covariance(x) / (2 * n), left, right, 0.4, 300 * n
        )
        products.append(walk * formula.subs(values).evalf())
    return [
        Comparison(
            "(θ² − 1)² + θ/5 with C = exp(θ/2): the rate times the mean time of a random walk from one bottom to the "
            "other, η/S = 1/16, 1/32, 1/64 extrapolated to 0",
            (products[0] - 6 * products[1] + 8 * products[2]) / 3,
            1,
            1e-3,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = sp.Symbol("x", real=True)
    constant = {c_A: 1, c_s: 1, lam_A: 1, lam_s: 1, S: 1}
    exponent = -sp.log(formula.subs(constant) * 2 * sp.pi)
    # Escape over L = x² − x⁴/… is stood for by a rise in L of one with C = 1, or C = 1 − 0.9x, from 0 to 1.
    still, dying = sp.Integer(1), sp.integrate(1 / (1 - sp.Rational(9, 10) * x), (x, 0, 1))
    slower = {
        rate: formula.subs({**constant, eta: rate, rise: still}) / formula.subs({**constant, eta: rate, rise: dying})
        for rate in (sp.Rational(1, 10), sp.Rational(1, 20))
    }
    names = {"S": S, "η": eta, "∫L′/C": rise}
    return [
        prose.formula("the exponent of the escape rate is (2S/η)∫L′/C", exponent, names | {"S": 1}, text="(2S/η)∫L′/C"),
        prose.formula(
            "not 2SΔL/(ησ²)",
            exponent.subs(rise, 1 / sigma**2),
            {"S": 1, "ΔL": 1, "η": eta, "σ": sigma},
            text="2SΔL/(ησ²)",
        ),
        prose.formula(
            "the prefactor gains √(C_A/C_s)",
            formula / formula.subs({c_A: 1, c_s: 1}),
            {"C_A": c_A, "C_s": c_s},
            text="√(C_A/C_s)",
        ),
        prose.direction(
            "escape is exponentially slower than the barrier's height says",
            [0, sp.log(slower[sp.Rational(1, 10)])],
            "the logarithm of the rate with C = 1 over that with C = 1 − 0.9x, for the same rise in L",
        ),
        prose.cases(
            "exponentially slower",
            [abs(sp.log(slower[sp.Rational(1, 20)]) / sp.log(slower[sp.Rational(1, 10)]) - 2) < sp.Rational(1, 1000)],
            "that logarithm doubles as η/S halves",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Escape rate under state-dependent noise",
    sources=(Source("Gardiner 2009", place="mean first passage times, Itô equation with a diffusion that varies"),),
    verdict=Verdict.ORDER,
    order="η/S",
    summary="In one dimension the exponent of the escape rate is (2S/η)∫L′/C from bottom to top, not 2SΔL/(ησ²), and "
    "the prefactor gains √(C_A/C_s). Where the noise dies on the way to the top, escape is exponentially slower than "
    "the barrier's height says.",
    printed=sp.Eq(
        sp.Symbol("k_AB"),
        sp.sqrt(lam_A * lam_s * c_A / c_s)
        / (2 * sp.pi)
        * sp.exp(sp.Mul(-2 * S / eta, sp.Integral(g / C_theta, theta), evaluate=False)),
        evaluate=False,
    ),
    assumptions=(
        assumptions.ONE_DIMENSION_ITO,
        assumptions.POSITIVE_COVARIANCE,
        assumptions.NON_DEGENERATE_ENDS,
        Assumption("η/S is small against the barrier in Φ.", sp.Gt(2 * S * rise / eta, 1, evaluate=False)),
        Assumption("Steps are small: SGD is its SDE.", sp.Lt(eta * lam_A, 1, evaluate=False)),
    ),
    formula=sp.sqrt(lam_A * lam_s) / (2 * sp.pi) * sp.sqrt(c_A / c_s) * sp.exp(-2 * S / eta * rise),
    arguments=(eta, S, rise, lam_A, lam_s, c_A, c_s),
    slip=Slip(
        "the prefactor's √(C_s/C_A) upside down",
        sp.sqrt(lam_A * lam_s) / (2 * sp.pi) * sp.sqrt(c_s / c_A) * sp.exp(-2 * S / eta * rise),
    ),
)
