"""Lecture (2): Keskar's sharpness in percent; what a shift or a scale of the loss does to it."""

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import lam

eps = sp.Symbol("epsilon", positive=True)  # half-width of the box
f0, b = sp.symbols("f_0 b", nonnegative=True)  # the loss at its minimum; a constant added to it
s = sp.Symbol("s", positive=True)  # a factor put before the loss
y = sp.Symbol("y", real=True)

f, phi = sp.Function("f"), sp.Function("phi")
x, A = sp.symbols("x A")
largest_over_box = sp.Function("max_y")  # over the box (3)


def steps(formula):
    """A parabola at its minimum, where the maximum over the box is known."""
    return [
        Step(
            "At the minimum x = 0 of f = f_0 + λy²/2 with A = 1 the box is [−ε, ε]. The slope λy has the sign of y, so "
            "f is largest at the ends, where it has risen by",
            sp.Integral(lam * y, (y, 0, eps)),
            lam * eps**2 / 2,
        ),
        Step(
            "A factor s > 0 and a constant b leave the place of the maximum. The slope of sf + b is s times that of f, "
            "so the rise is multiplied by s, and b drops out of it:",
            sp.Integral(s * lam * y, (y, 0, eps)),
            s * lam * eps**2 / 2,
        ),
        Step(
            "But both stay in the denominator, 1 + sf_0 + b. In percent:",
            sp.Mul(100, s * lam * eps**2 / 2 / (1 + s * f0 + b), evaluate=False),
            formula,
            name=sp.Symbol("φ"),
        ),
    ]


def check(formula):
    """The maximum over a grid of the box that holds its ends, in rationals."""
    comparisons = []
    for curvature, base, factor, shift, width in ((3, 2, 1, 0, 1), (3, 2, 1, 5, 1), (7, 0, 4, 1, 2), (1, 3, 9, 0, 3)):
        half = sp.Rational(width, 10)
        grid = [half * sp.Rational(n, 20) for n in range(-20, 21)]
        losses = [factor * (base + sp.Rational(curvature, 2) * z**2) + shift for z in grid]
        centre = losses[20]
        comparisons.append(
            Comparison(
                f"φ of {factor}({base} + {curvature}y²/2) + {shift} at ε = {half}, by the largest of 41 values",
                formula.subs({lam: curvature, f0: base, s: factor, b: shift, eps: half}),
                100 * (max(losses) - centre) / (1 + centre),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Keskar's sharpness",
    sources=(Source("lecture", "2"), Source("Keskar et al. 2017")),
    verdict=Verdict.STATEMENT,
    summary="The sharpness is the largest rise of the loss in a box over 1 + f(x), in percent; it needs f > −1. "
    "At a parabola's minimum it is 50λε²/(1 + f_0). Because of the 1 + f(x) it changes when a constant is added to the "
    "loss. When the loss is scaled, it is not unchanged, nor multiplied by the same factor unless f_0 = 0.",
    printed=sp.Eq(phi(eps, A), (largest_over_box(f(x + A * y)) - f(x)) / (1 + f(x)) * 100, evaluate=False),
    assumptions=(
        Assumption("The denominator is positive.", sp.Gt(1 + s * f0 + b, 0, evaluate=False)),
        Assumption(
            "The consequence is taken at a parabola's minimum, in one dimension, with A = 1.", sp.Q.positive(lam)
        ),
    ),
    formula=50 * s * lam * eps**2 / (1 + s * f0 + b),
    arguments=(lam, eps, f0, s, b),
    steps=steps,
    check=check,
    slip=Slip("the constant forgotten in the denominator", 50 * s * lam * eps**2 / (1 + s * f0)),
)
