"""Lecture (2): Keskar's sharpness in percent; what a shift or a scale of the loss does to it."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
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


def says(formula):
    """What the summary states, in numbers."""
    at = {lam: 3, eps: sp.Rational(1, 10), f0: 2, s: 1, b: 0}
    one = formula.subs(at)
    grid = [sp.Rational(k, 100) for k in range(-10, 11)]
    rise = max(2 + sp.Rational(3, 2) * u**2 for u in grid) - 2
    scaled = formula.subs({**at, s: 4})
    return [
        prose.figure(
            "is the largest rise of the loss in a box over 1 + f(x), in percent",
            100 * rise / one,
            "100 times the largest rise of 2 + 3y²/2 for |y| ≤ 1/10, over the sharpness",
            {"f(x)": 2},
            text="1 + f(x)",
        ),
        prose.cases(
            "it needs f > −1",
            [sp.denom(sp.together(formula)).subs({s: 1, b: 0, f0: -1}) == 0],
            "the denominator vanishes at f = −1",
        ),
        prose.formula("50λε²/(1 + f_0)", formula.subs({s: 1, b: 0}), {"λ": lam, "ε": eps, "f_0": f0}),
        prose.cases(
            "Because of the 1 + f(x) it changes when a constant is added to the loss",
            [formula.subs({**at, b: 5}) != one],
            "with 5 added to 2 + 3y²/2",
        ),
        prose.cases("it is not unchanged", [scaled == one], "4(2 + 3y²/2) against 2 + 3y²/2"),
        prose.cases(
            "nor multiplied by the same factor",
            [scaled == 4 * one],
            "4(2 + 3y²/2) against 2 + 3y²/2",
        ),
        prose.cases(
            "unless f_0 = 0",
            [formula.subs({**at, f0: 0, s: 4}) == 4 * formula.subs({**at, f0: 0})],
            "4(3y²/2) against 3y²/2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Keskar's sharpness",
    sources=(Source("lecture", "2"), Source("Keskar et al. 2017")),
    verdict=Verdict.STATEMENT,
    summary="The sharpness is the largest rise of the loss in a box over 1 + f(x), in percent; it needs f > −1. "
    "At a parabola's minimum it is 50λε²/(1 + f_0). Because of the 1 + f(x) it changes when a constant is "
    "added to the loss. When the loss is scaled, it is not unchanged, nor multiplied by the same factor "
    "unless f_0 = 0.",
    printed=sp.Eq(phi(eps, A), (largest_over_box(f(x + A * y)) - f(x)) / (1 + f(x)) * 100, evaluate=False),
    assumptions=(
        Assumption("The denominator is positive."),
        Assumption("The consequence is taken at a parabola's minimum, in one dimension, with A = 1."),
    ),
    formula=50 * s * lam * eps**2 / (1 + s * f0 + b),
    arguments=(lam, eps, f0, s, b),
    slip=Slip("the constant forgotten in the denominator", 50 * s * lam * eps**2 / (1 + s * f0)),
)
