"""Lecture (17): F depends on w, so the white noise needs a convention, and SGD's is Itô's."""

import mpmath
import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import t

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
slope = sp.Symbol("F'", real=True)  # dF/dw
w = sp.Symbol("w", real=True)
root = sp.Symbol("s", positive=True)  # √h
ell, noise, b = (sp.Function(name) for name in ("ell", "varepsilon", "b"))
F = sp.Function("F", positive=True)
path = sp.Function("w")(t)


def steps(formula):
    """The mean of one step of length h = s² under both conventions, b² = gF."""
    b0, b1, b2, b3 = sp.symbols("b_0:4", real=True)

    def taylor(x):
        return b0 + b1 * x + b2 * x**2 / 2 + b3 * x**3 / 6

    amplitude = sp.sqrt(scale * F(w))
    trapezoid = [sign * root * (taylor(0) + taylor(sign * root * b0)) / 2 for sign in (-1, 1)]
    return [
        Step(
            "Itô's increment b(w)ΔW takes b where the step starts and has mean zero, as ψ has; here for ΔW = ±s:",
            oracles.mean(sign * root * taylor(0) for sign in (-1, 1)),
            sp.S.Zero,
        ),
        Step(
            "Stratonovich's takes the mean of b at both ends, which ΔW moves apart: its mean is not zero.",
            oracles.mean(trapezoid),
            b0 * b1 * root**2 / 2,
            order=(root, 4),
        ),
        Step(
            "With b = √(gF) this is a drift of gF′/4 that SGD does not have:",
            amplitude * sp.Derivative(amplitude, w) / 2,
            formula.subs(slope, sp.diff(F(w), w)),
        ),
    ]


def check(formula):
    """F = w²: the solutions for zero loss are w exp(√g W) in Stratonovich's sense, w exp(√g W − gt/2) in Itô's."""
    start, strength, h = sp.Rational(3, 2), sp.Rational(2, 5), sp.Rational(1, 10**6)
    variance = mpmath.mpf(2) / 5 * mpmath.mpf("1e-6")

    def difference(z):
        growth = mpmath.exp(mpmath.sqrt(variance) * z) * (1 - mpmath.exp(-variance / 2))
        return growth * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)

    return [
        Comparison(
            "difference of the mean drifts for F = w², from both exact solutions by quadrature over W at t = 10⁻⁶",
            formula.subs({scale: strength, slope: 2 * start}),
            start * sp.Float(oracles.quadrature(difference, [-12, 0, 12]), 20) / h,
            sp.Float("1e-6"),
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="Itô or Stratonovich in the lecture's equation",
    sources=(Source("lecture", "17"),),
    verdict=Verdict.CONDITIONAL,
    summary="F depends on w, so (17) has no meaning until a convention is chosen. SGD draws its batch before it "
    "moves and its mean step has no extra term, so the convention is Itô's; read as Stratonovich's the same equation "
    "has an additional drift gF′/4 in one dimension.",
    printed=sp.Eq(sp.Derivative(path, t), -sp.Derivative(ell(path), path) + noise(t), evaluate=False),
    assumptions=(
        Assumption("The white noise is read in Itô's sense.", sp.Eq(noise(t), b(path) * sp.Function("xi")(t))),
        Assumption("F is differentiable.", sp.Eq(slope, sp.Derivative(F(w), w), evaluate=False)),
    ),
    formula=scale * slope / 4,
    arguments=(scale, slope),
    steps=steps,
    check=check,
    slip=Slip("factor 2: gF′/2", scale * slope / 2),
)
