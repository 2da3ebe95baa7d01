"""Kramers' escape rate in one dimension, from the mean first passage time by Laplace's method."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, T, eta, sigma, theta

height = sp.Symbol("ΔL", positive=True)  # L at the barrier's top minus L at the bottom of A
lam_A, lam_s = sp.symbols("lambda_A lambda_s", positive=True)  # L″ at the bottom, |L″| at the top


def steps(formula):
    """The double integral splits into a Gaussian about the bottom and one about the top."""
    eps = sp.Symbol("epsilon", positive=True)  # √T
    x, L_3, L_4, M_3, M_4 = sp.symbols("x L_3 L_4 M_3 M_4", real=True)  # higher derivatives at bottom and top
    y, z = sp.symbols("y z", real=True)
    bottom = sp.exp(-lam_A * z**2 / (2 * T))
    top = sp.exp((height - lam_s * y**2 / 2) / T)
    whole, half = (sp.Integral(top, (y, -sp.oo, end)) for end in (sp.oo, 0))
    well = sp.Integral(bottom, (z, -sp.oo, sp.oo))
    return [
        Step(
            "The mean time from the bottom of A to that of B is (1/T)∫∫ exp((L(y) − L(z))/T) dz dy with z < y. Most "
            "comes from y near the top and z in the well. About the bottom, at a distance z = εx with ε = √T:",
            sp.exp(-lam_A * x**2 / 2 - eps * L_3 * x**3 / 6 - eps**2 * L_4 * x**4 / 24),
            sp.exp(-lam_A * x**2 / 2) * (1 - eps * L_3 * x**3 / 6),
            order=(eps, 2),
        ),
        Step(
            "About the top likewise, with y = εx. The terms odd in x integrate to zero, so both Gaussian integrals are "
            "right up to a relative ε² = T:",
            sp.exp(-lam_s * x**2 / 2 + eps * M_3 * x**3 / 6 + eps**2 * M_4 * x**4 / 24),
            sp.exp(-lam_s * x**2 / 2) * (1 + eps * M_3 * x**3 / 6),
            order=(eps, 2),
        ),
        Step("Their product over T is the mean time, and the rate is its inverse:", whole * well / T, 1 / formula),
        Step(
            "The time to the top alone has half the outer Gaussian: the top is reached twice as often as it is "
            "crossed. In the half-integral the odd term stays, so this is right up to a relative √T only:",
            half * well / T,
            1 / (2 * formula),
        ),
        Step(
            "The mean number n of SGD steps is the time over η. With T = ησ²/(2S) its logarithm is:",
            sp.log(1 / (eta * formula)).subs(T, eta * sigma**2 / (2 * S)),
            2 * S * height / (eta * sigma**2) + sp.log(2 * sp.pi / (eta * sp.sqrt(lam_A * lam_s))),
            name=sp.log(sp.Symbol("n")),
        ),
    ]


def check(formula):
    """Mean passage times of a random walk that tends to the SDE, at three temperatures."""
    loss = (theta**2 - 1) ** 2 + theta / 5
    slope, curvature = (sp.lambdify(theta, sp.diff(loss, theta, n)) for n in (1, 2))
    left, top, right = (float(mpmath.findroot(slope, x)) for x in (-1, 0, 1))
    function = sp.lambdify(theta, loss)
    values = {height: function(top) - function(left), lam_A: curvature(left), lam_s: -curvature(top)}
    words = "(θ² − 1)² + θ/5: the rate times the mean time of a random walk from the bottom to the "
    cases = (
        (right, (16, 32, 64), 1, 5e-3, words + "other bottom, T = 1/16, 1/32, 1/64 extrapolated to T = 0"),
        (
            top,
            (10, 40, 160),
            sp.Rational(1, 2),
            5e-3,
            words + "top: one half, T = 1/10, 1/40, 1/160, extrapolated in √T",
        ),
    )
    comparisons = []
    for end, denominators, limit, tolerance, words in cases:
        products = []
        for n in denominators:
            walk = oracles.passage_time(lambda x: -slope(x), lambda _, n=n: 1 / n, left, end, 0.5, 50 * n)
            products.append(walk * formula.subs(values).subs(T, sp.Rational(1, n)).evalf())
        extrapolated = (products[0] - 6 * products[1] + 8 * products[2]) / 3
        comparisons.append(Comparison(words, extrapolated, limit, tolerance))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"L″_A": lam_A, "|L″_s|": lam_s, "ΔL": height, "T": T}
    well = (theta**2 - 1) ** 2 * (theta**2 + theta + 2) / 2  # its top is lopsided
    loss, slope, bend = (sp.lambdify(theta, sp.diff(well, theta, n), "math") for n in (0, 1, 2))
    bottom, peak, end = (float(mpmath.findroot(slope, x)) for x in (-1, 0.1, 1))
    off, half_way = {}, {}
    for n in (80, 160):
        values = {height: loss(peak) - loss(bottom), lam_A: bend(bottom), lam_s: -bend(peak), T: sp.Rational(1, n)}
        rate = float(formula.subs(values).evalf())
        across, up = (
            oracles.passage_time(lambda x: -slope(x), lambda _, n=n: 1 / n, bottom, target, 0.5, 40 * n)
            for target in (end, peak)
        )
        off[sp.Rational(1, n)] = sp.Float(rate * across - 1)
        half_way[sp.Rational(1, n)] = sp.Float(2 * rate * up - 1)
    how = "by a random walk over (θ² − 1)²(θ² + θ + 2)/2, T = 1/80 and 1/160"
    return [
        prose.formula("√(L″_A |L″_s|)/(2π) exp(−ΔL/T)", formula, names),
        prose.order("with a relative error O(T)", off, "T", f"the rate times the time to the other bottom, {how}"),
        prose.figure(
            "The top is reached at twice this rate",
            1 / ((1 + half_way[sp.Rational(1, 160)]) / 2),
            f"the rate of reaching the top over it, {how}, within 5 %",
            text="twice",
            tolerance=0.1,
        ),
        prose.order("up to O(√T)", half_way, "T", f"twice the rate times the time to the top, {how}", tolerance=0.12),
    ]


CLAIM = Claim(
    module=__name__,
    title="Kramers' escape rate",
    sources=(Source("Kramers 1940"), Source("Gardiner 2009", place="escape over a potential barrier")),
    verdict=Verdict.ORDER,
    order="T",
    summary="The rate of going from one bottom to the next over a barrier is √(L″_A |L″_s|)/(2π) exp(−ΔL/T) per unit "
    "of SDE time, with a relative error O(T). A time η is one step. The top is reached at twice "
    "this rate, up to O(√T).",
    printed=sp.Eq(sp.Symbol("k_AB"), sp.sqrt(lam_A * lam_s) / (2 * sp.pi) * sp.exp(-height / T), evaluate=False),
    assumptions=(
        Assumption("Noise is isotropic and constant, T = ησ²/(2S)."),
        assumptions.SMALL_TEMPERATURE,
        assumptions.NON_DEGENERATE_ENDS,
        Assumption(
            "The law is the SDE's. For SGD itself a small η is not enough, since T falls with it: the excess kurtosis "
            "γ₄ of a step's noise changes the exponent by ηγ₄∫L′³/(6T²) from bottom to top, see finite-step-occupancy, "
            "which must be small; so must the like term of the skewness. With Gaussian steps no such term is left, "
            "since L′ = 0 at both ends."
        ),
    ),
    formula=sp.sqrt(lam_A * lam_s) / (2 * sp.pi) * sp.exp(-height / T),
    arguments=(T, height, lam_A, lam_s),
    slip=Slip(
        "the rate of reaching the top for that of crossing", sp.sqrt(lam_A * lam_s) / sp.pi * sp.exp(-height / T)
    ),
)
