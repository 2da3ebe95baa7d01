"""Lecture, caption of Figure 6: the direction in which 100x² + y⁸ has its sharp minimum."""

import mpmath
import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

x, y = sp.symbols("x y", real=True)
RESULT = sp.ImmutableDenseMatrix([200, 56 * y**6])


def steps(formula):
    """The curvatures in x and in y, one derivative after the other."""
    return [
        Step("The slope in x:", sp.Derivative(100 * x**2, x), 200 * x, name=sp.Symbol("f_x")),
        Step("and the curvature:", sp.Derivative(200 * x, x), formula[0], name=sp.Symbol("f_xx")),
        Step("The slope in y:", sp.Derivative(y**8, y), 8 * y**7, name=sp.Symbol("f_y")),
        Step("and the curvature:", sp.Derivative(8 * y**7, y), formula[1], name=sp.Symbol("f_yy")),
        Step(
            "At the minimum, where x has the curvature 200, y has none:",
            sp.Subs(formula[1], y, 0),
            0,
            name=sp.Function("f_yy")(0, 0),
        ),
    ]


def check(formula):
    """Second differences in high precision."""

    def loss(u, v):
        return 100 * u**2 + v**8

    comparisons = []
    with mpmath.workdps(60):
        step = mpmath.mpf(10) ** -15
        for u, v in ((0, 0), (mpmath.mpf("0.3"), mpmath.mpf("-0.8"))):
            along = (loss(u + step, v) - 2 * loss(u, v) + loss(u - step, v)) / step**2
            across = (loss(u, v + step) - 2 * loss(u, v) + loss(u, v - step)) / step**2
            comparisons.append(
                Comparison(
                    f"curvatures in x and y at ({mpmath.nstr(u)}, {mpmath.nstr(v)}), by second differences",
                    formula.subs({x: u, y: v}),
                    [along, across],
                    1e-12,
                )
            )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    along, across = (entry.subs({x: 0, y: 0}) for entry in formula)
    return [
        prose.figure("sharp in x, with curvature 200", along, "as derived, at the minimum", text="200"),
        prose.figure("flat in y, with curvature 0", across, "as derived, at the minimum", text="0"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The sharp direction of 100x² + y⁸",
    sources=(Source("lecture", place="Figure 6, caption"),),
    verdict=Verdict.WRONG,
    summary="The caption calls the minimum of 100x² + y⁸ sharp in y. It is sharp in x, with curvature 200, and flat in "
    "y, with curvature 0, as the table says.",
    printed=sp.Gt(sp.Function("f_yy")(0, 0), sp.Function("f_xx")(0, 0), evaluate=False),
    corrected=sp.Gt(sp.Function("f_xx")(0, 0), sp.Function("f_yy")(0, 0), evaluate=False),
    assumptions=(Assumption("Sharp means of large curvature at the minimum."),),
    formula=RESULT,
    arguments=(x, y),
    slip=Slip("one factor of the second derivative forgotten", sp.ImmutableDenseMatrix([100, 8 * y**6])),
    printed_formula=sp.ImmutableDenseMatrix([56 * y**6, 200]),
    example=Example("the curvature in y at the minimum", 200, RESULT[1].subs(y, 0)),
)
