"""Lecture (17): F depends on w, so the white noise needs a convention, and SGD's is Itô's."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import h, t

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
slope = sp.Symbol("F′", real=True)  # dF/dw
w = sp.Symbol("w", real=True)
x = sp.Symbol("x", real=True)  # ΔW, a Gaussian of variance h, the length of the step
ell, noise = sp.Function("ell"), sp.Function("ε")
F = sp.Function("F", positive=True)
path = sp.Function("w")(t)


def steps(formula):
    """The mean of one step of length h under both conventions, b² = gF."""
    b0, b1, b2 = sp.symbols("b b′ b″", real=True)
    amplitude = sp.Pow(scale * F(w), sp.Rational(1, 2), evaluate=False)

    def average(value):  # over the Gaussian x
        width = sp.Pow(2 * sp.pi * h, -sp.Rational(1, 2), evaluate=False)
        return sp.Integral(sp.Mul(width, *value, sp.exp(-(x**2) / (2 * h)), evaluate=False), (x, -sp.oo, sp.oo))

    end = b0 + b1 * (b0 * x) + b2 * (b0 * x) ** 2 / 2  # b where the increment x has led
    return [
        Step(
            "Itô's increment takes b where the step starts. Its mean over the Gaussian increment x = ΔW of variance h "
            "is zero, as that of ψ is:",
            average([b0, x]),
            sp.S.Zero,
        ),
        Step(
            "Stratonovich's takes the mean of b at both ends of the step, and the end w + bx depends on x. Its mean is "
            "not zero (b″ drops out; what is left out is O(h²)):",
            average([x, (b0 + end) / 2]),
            b0 * b1 * h / 2,
        ),
        Step(
            "Per unit of time that is a drift bb′/2, with b = √(gF) one that SGD does not have:",
            sp.Mul(sp.Rational(1, 2), amplitude, sp.Derivative(amplitude, w), evaluate=False),
            formula.subs(slope, sp.Derivative(F(w), w)),
        ),
    ]


def check(formula):
    """F = w²: the solutions for zero loss are w exp(√g W) in Stratonovich's sense, w exp(√g W − gt/2) in Itô's."""
    start, strength, time = sp.Rational(3, 2), sp.Rational(2, 5), sp.Rational(1, 10**6)
    variance = mpmath.mpf(2) / 5 * mpmath.mpf("1e-6")

    def difference(z):
        growth = mpmath.exp(mpmath.sqrt(variance) * z) * (1 - mpmath.exp(-variance / 2))
        return growth * mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)

    return [
        Comparison(
            "difference of the mean drifts for F = w², from both exact solutions by quadrature over W at t = 10⁻⁶",
            formula.subs({scale: strength, slope: 2 * start}),
            start * sp.Float(oracles.quadrature(difference, [-12, 0, 12]), 20) / time,
            sp.Float("1e-6"),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Integer(3), sp.Integer(-1), sp.Integer(4)]  # slopes of three examples
    steps = [-sum(x[i] for i in batch) / sp.Integer(2) for batch in oracles.batches(3, 2, replacement=True)]
    return [
        prose.cases(
            "its mean step has no extra term",
            [oracles.mean(steps) != -oracles.mean(x)],
            "the mean step minus that of gradient descent, over all 9 batches of three",
        ),
        prose.cases(
            "the same equation has an additional drift",
            [formula.subs({scale: 1, slope: 2}) != 0],
            "as derived, for g = 1, F′ = 2",
        ),
        prose.formula("gF′/4", formula, {"g": scale, "F′": slope}),
    ]


CLAIM = Claim(
    module=__name__,
    title="Itô or Stratonovich in the lecture's equation",
    sources=(Source("lecture", "17"),),
    verdict=Verdict.CONDITIONAL,
    summary="F depends on w, so (17) has no meaning until a convention is chosen. SGD draws its batch before it "
    "moves and its mean step has no extra term, so the convention is Itô's; read as Stratonovich's the "
    "same equation has an additional drift gF′/4 in one dimension.",
    printed=sp.Eq(sp.Derivative(path, t), -sp.Derivative(ell(path), path) + noise(t), evaluate=False),
    assumptions=(
        assumptions.ITO,
        Assumption("F is differentiable."),
    ),
    formula=scale * slope / 4,
    arguments=(scale, slope),
    slip=Slip("factor 2: gF′/2", scale * slope / 2),
)
