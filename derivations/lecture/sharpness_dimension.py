"""Lecture, section 3.3: does Keskar's sharpness depend on the dimension? A quadratic in p directions."""

import itertools
from typing import Any

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
curv = sp.Symbol("c", positive=True)  # f = c|θ|² along the directions that matter
p = sp.Symbol("p", positive=True, integer=True)  # their number; n for A = I and f = c|θ|² in n dimensions
i = sp.Symbol("i", integer=True)
angle = sp.Symbol("alpha", real=True)
RESULT, PRINTED = 100 * p * curv * eps**2, 100 * curv * eps**2
AT: Any = {p: 2, curv: 100, eps: sp.Rational(1, 1000)}
phi, n = sp.Function("phi"), sp.Symbol("n", positive=True, integer=True)


def steps(formula):
    """Every curved direction adds the same rise, since a corner of the box is the worst in all of them at once."""
    frame = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)], [0, 0]])
    rise: Any = sp.Sum(curv * eps**2, (i, 1, p))
    return [
        Step(
            "Orthonormal columns leave lengths alone, |Az|² = |z|², whatever n; here two in three dimensions:",
            sp.MatMul(frame.T, frame, evaluate=False),
            sp.eye(2),
            name=sp.Symbol("AᵀA"),
        ),
        Step(
            "So f(Az) = c Σ z_i² has p terms. Each is at most cε², all at the same corner of the box. In percent, at a "
            "minimum of height 0:",
            sp.Mul(100, rise, evaluate=False),
            formula,
            name=phi(eps),
        ),
        Step(
            "One such direction alone, p = 1, has φ_1 = 100cε². So p of them have p times that:",
            sp.Mul(p, 100 * curv * eps**2, evaluate=False),
            formula,
        ),
        Step(
            "It is the box that brings the number of directions in: in a ball, whose points z = ε(cos α, sin α) on the "
            "edge are all equally far, the largest rise is one direction's:",
            curv * ((eps * sp.cos(angle)) ** 2 + (eps * sp.sin(angle)) ** 2),
            curv * eps**2,
        ),
    ]


def check(formula):
    """The maximum over a grid of the box that holds its corners, in rationals."""
    half, height = sp.Rational(1, 8), 7
    grid = (-half, -half / 3, sp.S.Zero, half)
    comparisons = []
    for dimension, curved in ((1, 1), (2, 2), (3, 3), (5, 2)):
        values = (
            height * sum(coordinate**2 for coordinate in z[:curved]) for z in itertools.product(grid, repeat=dimension)
        )
        comparisons.append(
            Comparison(
                f"φ at ε = 1/8 of 7|θ|² in {curved} of {dimension} coordinates, the largest of {4**dimension} values",
                formula.subs({p: curved, curv: height, eps: half}),
                100 * max(values),
            )
        )
    columns = sp.Matrix([[3, 0], [4, 0], [0, 5]]) / 5
    images = [columns * sp.Matrix(z) for z in itertools.product(grid, repeat=2)]
    comparisons.append(
        Comparison(
            "φ at ε = 1/8 of 7|θ|² in 3 dimensions, A with 2 orthonormal columns",
            formula.subs({p: 2, curv: height, eps: half}),
            100 * max(height * image.dot(image) for image in images),
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    at = {curv: 100, eps: sp.Rational(1, 1000)}
    several = [formula.subs({**at, p: count}) for count in (1, 2, 3, 7)]
    corner = sp.Rational(1, 1000)  # rises of 100|θ|² at the corner of a box, and of points of the same length in a ball
    points = {
        1: [(1,)],
        2: [(1, 0), (sp.Rational(3, 5), sp.Rational(4, 5))],
        3: [(0, 0, 1), tuple([sp.Rational(2, 3)] * 2 + [sp.Rational(1, 3)])],
    }
    ball = [max(100 * sum((corner * x) ** 2 for x in point) for point in row) for row in points.values()]
    return [
        prose.cases(
            "it is proportional to the number of equally curved directions",
            [value == count * several[0] for count, value in zip((1, 2, 3, 7), several, strict=True)],
            "φ for 1, 2, 3 and 7 directions",
        ),
        prose.formula("100ncε²", formula, {"n": p, "c": curv, "ε": eps}),
        prose.figure("n times that of one", several[3] / several[0], "as derived, for n = 7", {"n": 7}, text="n"),
        prose.figure("1.0e-2", 100 * 100 * corner**2, "the rise of 100x² at the box's corner, ε = 0.001, in percent"),
        prose.figure("2.0e-2", 100 * 200 * corner**2, "the same for 100(x² + y²)"),
        prose.cases(
            "over a ball of radius ε the largest rise is cε² in every dimension",
            [rise == 100 * corner**2 for rise in ball],
            "the largest of several points of a sphere for 100|θ|² in 1, 2 and 3 dimensions, ε = 0.001",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Sharpness and dimension",
    sources=(Source("lecture", place="section 3.3, after (3)"), Source("lecture", place="Table 1")),
    verdict=Verdict.WRONG,
    summary="The lecture expects the sharpness to be 'relatively invariant to dimension and sparsity'; it is "
    "proportional to the number of equally curved directions. For c|θ|² it is 100ncε² in n dimensions, n "
    "times that of one: the lecture's own table has 1.0e-2 for 100x² and 2.0e-2 for 100(x² + y²). With p "
    "orthonormal columns in A it is p, not n, that counts. It is the box that brings the number in: over "
    "a ball of radius ε the largest rise is cε² in every dimension.",
    printed=sp.Eq(sp.Symbol("φ_n"), sp.Symbol("about φ_1"), evaluate=False),
    corrected=sp.Eq(sp.Symbol("φ_n"), n * sp.Symbol("φ_1"), evaluate=False),
    assumptions=(
        Assumption("f = c|θ|² along p directions, at its minimum."),
        Assumption("A = I, or A has p orthonormal columns."),
    ),
    formula=RESULT,
    arguments=(p, curv, eps),
    slip=Slip("p² for p", 100 * p**2 * curv * eps**2),
    printed_formula=PRINTED,
    example=Example(
        "φ of 100|θ|² in two dimensions at ε = 0.001, if it were that of 100x²",
        PRINTED.subs(AT),
        RESULT.subs(AT),
    ),
)
