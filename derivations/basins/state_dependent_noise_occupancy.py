"""Odds of two basins with different gradient covariances: what replaces the Gibbs law in one dimension."""

import math

import mpmath
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import P, S, eta, g, lam, sigma, theta

A, B = sp.symbols("A B")
lam_A, lam_B, c_A, c_B = sp.symbols("lambda_A lambda_B c_A c_B", positive=True)  # L″ and C at the minima
drop = sp.Symbol("ΔΦ", real=True)  # Φ_A − Φ_B, where Φ = ∫ L′/C dθ


def steps(formula):
    """The law without flux, its effective potential Φ, and Laplace's method."""
    eps = sp.Symbol("epsilon", positive=True)  # ε² = η/(2S)
    x, c_1, c_2, p_3, p_4 = sp.symbols("x c_1 c_2 Phi_3 Phi_4", real=True)
    L_A, L_B, h_A, h_B = sp.symbols("L_A L_B h_A h_B", real=True)
    C, Phi, slope = (sp.Function(name)(theta) for name in ("C", "Phi", "g"))
    law = sp.exp(-2 * S / eta * Phi) / C

    def weight(curvature, covariance):
        gaussian = sp.exp(-2 * S / eta * curvature / covariance * x**2 / 2)
        return sp.Integral(gaussian, (x, -sp.oo, sp.oo)) / covariance

    excess = lam / c_A * x**2 / 2 + eps * p_3 * x**3 / 6 + eps**2 * p_4 * x**4 / 24
    return [
        Step(
            "The Itô equation dθ = −L′dt + √(ηC/S) dW has the flux −L′p − (η/2S)(Cp)′. With L′ = CΦ′ and any "
            "C it vanishes for p = (1/C) exp(−(2S/η)Φ), as L′p is",
            sp.Mul(C, sp.Derivative(Phi, theta), law, evaluate=False),
            -eta / (2 * S) * sp.Derivative(sp.Mul(C, law, evaluate=False), theta),
        ),
        Step(
            "So Φ takes the place of L. With g = L′ its slope g/C vanishes where g does, and there its second "
            "derivative is λ/C, the first term:",
            sp.Derivative(slope / C, theta),
            sp.diff(slope, theta) / C - slope * sp.diff(C, theta) / C**2,
            name=sp.Derivative(Phi, (theta, 2)),
        ),
        Step(
            "With θ = θ_A + εx, ε² = η/(2S), what goes beyond a Gaussian is odd in x at order ε, so the relative "
            "error of Laplace's method is O(η/S):",
            sp.exp(-excess) / (1 + eps * c_1 * x + eps**2 * c_2 * x**2),
            sp.exp(-lam / c_A * x**2 / 2) * (1 - eps * (c_1 * x + p_3 * x**3 / 6)),
            order=(eps, 2),
        ),
        Step(
            "Each basin has a Gaussian integral over its C. Their ratio is:",
            weight(lam_A, c_A) / weight(lam_B, c_B) * sp.exp(-2 * S / eta * drop),
            formula,
            name=P(A) / P(B),
        ),
        Step(
            "With C = σ² everywhere Φ is L/σ², and this is the Gibbs law's ratio, T = ησ²/(2S):",
            sp.Subs(formula, (c_A, c_B, drop), (sigma**2, sigma**2, (L_A - L_B) / sigma**2)),
            sp.sqrt(lam_B / lam_A) * sp.exp(-2 * S * (L_A - L_B) / (eta * sigma**2)),
        ),
        Step(
            "With c_A on one side of the barrier and c_B on the other, each depth h below the top counts in units of "
            "its own noise:",
            formula.subs(drop, -h_A / c_A + h_B / c_B),
            sp.sqrt(c_B * lam_B / (c_A * lam_A)) * sp.exp(2 * S / eta * h_A / c_A) * sp.exp(-2 * S / eta * h_B / c_B),
        ),
    ]


def check(formula):
    """The stationary law of a random walk with hop rates D/h² ± drift/2h, D = ηC/(2S); it never forms Φ."""

    def slope(x):
        return 4 * x * (x * x - 1) + 0.1

    def covariance(x):
        return math.exp(x / 3)

    def walk(ratio, cells):
        h, site = 1 / cells, 1.0
        masses, first, up = {True: 0.0, False: 0.0}, -(3 * cells) // 2, None
        for i in range(first, -first + 1):
            x = i * h
            hop, bias = ratio * covariance(x) / 2 / h**2, slope(x) / (2 * h)
            if up is not None:
                site *= up / (hop + bias)
            masses[x < top] += site
            up = hop - bias
        return masses[True] / masses[False]

    loss = (theta**2 - 1) ** 2 + theta / 10
    left, top, right = (float(mpmath.findroot(slope, x)) for x in (-1, 0, 1))
    curvature = sp.lambdify(theta, sp.diff(loss, theta, 2))
    potential = sp.integrate(sp.expand(sp.diff(loss, theta) * sp.exp(-theta / 3)), (theta, right, left))
    values = {lam_A: curvature(left), lam_B: curvature(right), c_A: covariance(left), c_B: covariance(right)}
    values |= {drop: potential, S: 1}
    ratios = []
    for n in (8, 16, 32):
        odds = (4 * walk(1 / n, 160 * n) - walk(1 / n, 80 * n)) / 3
        ratios.append(odds / formula.subs(values).subs(eta, sp.Rational(1, n)).evalf())
    return [
        Comparison(
            "(θ² − 1)² + θ/10 with C = exp(θ/3): odds of a random walk over the formula at η/S = 1/8, 1/16, 1/32, "
            "extrapolated to 0",
            (ratios[0] - 6 * ratios[1] + 8 * ratios[2]) / 3,
            1,
            1e-3,
        )
    ]


C_theta = sp.Function("C")(theta)


def says(formula):
    """What the summary states, in numbers."""
    names = {"C_A": c_A, "C_B": c_B, "λ_A": lam_A, "λ_B": lam_B, "S": S, "η": eta, "Φ_A − Φ_B": drop}
    x = sp.Symbol("x", real=True)
    C, phi = 1 + x**2 / 2, sp.log(1 + x**2 / 2)  # L = x²/2: ∫ x/C = ln(1 + x²/2)
    law = sp.exp(-(2 * S / eta) * phi) / C
    flux = sp.simplify(-x * law - eta / (2 * S) * sp.diff(C * law, x))
    even = {lam_A: 1, lam_B: 1, S: 1, c_A: 1, c_B: 2, drop: -1 + sp.S.Half}  # depth 1 below the barrier each
    odds = [formula.subs({**even, eta: rate}) for rate in (sp.S.Half, sp.Rational(1, 4), sp.Rational(1, 8))]
    return [
        prose.figure(
            "the stationary law is (1/C) exp(−(2S/η)∫L′/C)",
            law.subs({x: 1, S: 4, eta: sp.S.Half}),
            "the law without flux for L = x²/2, C = 1 + x²/2 at x = 1, η = 1/2, S = 4",
            {"C": C.subs(x, 1), "S": 4, "η": sp.S.Half, "∫L′/C": phi.subs(x, 1)},
            text="(1/C) exp(−(2S/η)∫L′/C)",
        ),
        prose.cases(
            "not the Gibbs law",
            [sp.simplify(sp.diff(sp.log(law), x) / x).has(x) is False],
            "whether ln p falls with L at one rate; the flux of p is " + ("0" if flux == 0 else "not 0"),
        ),
        prose.formula("√(C_B λ_B/(C_A λ_A)) exp(−(2S/η)(Φ_A − Φ_B))", formula, names),
        prose.cases(
            "the quieter of two wells equally far below the barrier is favoured exponentially in S/η",
            [odds[0] > 1, sp.Abs(sp.log(odds[2] / odds[1]) / sp.log(odds[1] / odds[0]) - 2) < sp.Rational(1, 10**6)],
            "odds of C_A = 1 against C_B = 2 for S/η = 2, 4, 8: above 1, and the logarithm grows in proportion",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Odds of two basins under state-dependent noise",
    sources=(Source("Gardiner 2009", place="stationary solutions of the one-variable Fokker–Planck equation"),),
    verdict=Verdict.ORDER,
    order="η/S",
    summary="In one dimension the stationary law is (1/C) exp(−(2S/η)∫L′/C), not the Gibbs law, and the odds of two "
    "basins are √(C_B λ_B/(C_A λ_A)) exp(−(2S/η)(Φ_A − Φ_B)). A difference in noise acts through the exponent: the "
    "quieter of two wells equally far below the barrier is favoured exponentially in S/η.",
    printed=sp.Eq(
        P(theta),
        sp.exp(sp.Mul(-2 * S / eta, sp.Integral(g / C_theta, theta), evaluate=False)) / C_theta,
        evaluate=False,
    ),
    assumptions=(
        assumptions.ONE_DIMENSION_ITO,
        assumptions.POSITIVE_COVARIANCE,
        assumptions.NON_DEGENERATE_MINIMA,
        Assumption("η/S is small against the barrier in Φ."),
    ),
    formula=sp.sqrt(c_B * lam_B / (c_A * lam_A)) * sp.exp(-2 * S / eta * drop),
    arguments=(eta, S, lam_A, lam_B, c_A, c_B, drop),
    slip=Slip("the prefactor 1/C forgotten", sp.sqrt(c_A * lam_B / (c_B * lam_A)) * sp.exp(-2 * S / eta * drop)),
)
