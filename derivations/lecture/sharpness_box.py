"""Lecture (3): the box of Keskar's sharpness; its half-widths for one column A = a in the plane."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
a1, a2 = sp.symbols("a_1 a_2", real=True, nonzero=True)
x1, x2, z, s = sp.symbols("x_1 x_2 z s", real=True)
i = sp.Symbol("i", integer=True)

a, x = sp.Matrix([a1, a2]), sp.Matrix([x1, x2])
coordinate = (a1 * x1 + a2 * x2) / (a1**2 + a2**2)


def steps(formula):
    """The pseudo-inverse by its defining property: A⁺x is the coordinate of the point of the line nearest to x."""
    inverse = a.T / (a1**2 + a2**2)
    return [
        Step(
            "A⁺x is the coordinate z of the point az nearest to x. There x − az is normal to a; their product vanishes "
            "at z = aᵀx/|a|²:",
            sp.Subs(a1 * (x1 - a1 * z) + a2 * (x2 - a2 * z), z, coordinate),
            0,
        ),
        Step(
            "So A⁺ = aᵀ/|a|², which has the property A A⁺ A = A of a pseudo-inverse:",
            sp.MatMul(a, inverse, a, evaluate=False),
            a,
        ),
        Step(
            "The half-width is ε(|A⁺x| + 1):",
            eps * (sp.Abs((inverse * x)[0]) + 1),
            formula,
            name=sp.Function("max")(z),
        ),
        Step(
            "At x = sa, s steps along the column, it does not depend on a. At the origin, s = 0, the box is [−ε, ε] "
            "for every A; with another origin of the parameters the same point has another s and another box:",
            formula.subs({x1: s * a1, x2: s * a2}),
            eps * (sp.Abs(s) + 1),
        ),
    ]


def check(formula):
    """Least squares solved as a linear system in rationals, without the closed form."""
    comparisons = []
    for column, point, width in (((3, 4), (2, -7), 1), ((-1, 2), (5, 1), 3), ((2, 5), (0, 0), 2)):
        # The point of the line along the column and the remainder, which is normal to it: x = a z + n (−a_2, a_1).
        matrix = sp.Matrix([[column[0], -column[1]], [column[1], column[0]]])
        along = matrix.LUsolve(sp.Matrix(point))[0]
        half = sp.Rational(width, 100)
        comparisons.append(
            Comparison(
                f"half-width for a = {column}, x = {point}, ε = {half}, by splitting x along and across a",
                formula.subs({a1: column[0], a2: column[1], x1: point[0], x2: point[1], eps: half}),
                half * abs(along) + half,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    columns = ((3, 4), (-1, 2), (1, 5))
    at_origin = [formula.subs({a1: u, a2: v, x1: 0, x2: 0}) for u, v in columns]
    moved = [formula.subs({a1: 3, a2: 4, x1: 2 + shift, x2: -7, eps: 1}) for shift in (0, 10)]
    return [
        prose.formula(
            "with half-widths ε(|(A⁺x)_i| + 1)",
            formula,
            {"ε": eps, "(A⁺x)_i": coordinate},
            text="ε(|(A⁺x)_i| + 1)",
        ),
        prose.cases(
            "At x = 0 it is [−ε, ε]^p for every A", [half == eps for half in at_origin], "the half-width for three A"
        ),
        prose.cases(
            "at other points it depends on where the origin of the parameters lies",
            [moved[0] != moved[1]],
            "the half-width at a point before and after a shift of the origin",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The box of the sharpness",
    sources=(Source("lecture", "3"), Source("Keskar et al. 2017")),
    verdict=Verdict.STATEMENT,
    summary="The box lives in the p coordinates of A's columns, with half-widths ε(|(A⁺x)_i| + 1). At x = 0 it is "
    "[−ε, ε]^p for every A, and for A = I it is the box of the parameters themselves; at other points it "
    "depends on where the origin of the parameters lies.",
    printed=sp.Le(sp.Abs(sp.Indexed("z", i)), eps * (sp.Abs(sp.Indexed("(A⁺x)", i)) + 1), evaluate=False),
    assumptions=(Assumption("The column of A is not zero."),),
    formula=eps * (sp.Abs(coordinate) + 1),
    arguments=(eps, a1, a2, x1, x2),
    slip=Slip(
        "the transpose of A for its pseudo-inverse",
        eps * (sp.Abs(a1 * x1 + a2 * x2) + 1),
    ),
)
