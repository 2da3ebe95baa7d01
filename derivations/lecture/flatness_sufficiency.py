"""Lecture, section 2: whether flatness is a sufficient condition of generalisation, or a necessary one."""

import itertools
from typing import Any

import mpmath
import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)  # the region is where the loss is less than this above the minimum
reach = sp.Symbol("A", positive=True)  # it is measured for 1 ≤ a ≤ A
a, b = sp.symbols("a b", positive=True)  # weights into and out of a ReLU; one example at input 1
target = sp.Symbol("c", real=True)  # what it is to learn
alpha = sp.Symbol("alpha", positive=True)
RESULT = 2 * sp.sqrt(2 * eps) * sp.log(reach)
LOSS = (a * b - target) ** 2 / 2  # for a > 0 the unit's output is ab


def steps(formula):
    """What a rescaling does to the curvature; the region about the minima ab = c, slice by slice."""
    width = 2 * sp.sqrt(2 * eps) / a
    return [
        Step(
            "A ReLU unit fits the target at every b = c/a, and (αa, b/α) is the same function. Its curvature along the "
            "weight out is (αa)², so α makes a minimum as sharp as one likes with the same test error: flat isn't "
            "necessary.",
            sp.diff(LOSS.subs(b, b / alpha).subs(a, alpha * a), b, 2) * alpha**2,
            (alpha * a) ** 2,
            shown=sp.Eq(sp.Function("L_bb")(alpha * a, b / alpha), (alpha * a) ** 2, evaluate=False),
        ),
        Step(
            "Dinh et al. call a minimum flat if the connected region about it with a loss less than ε above it is "
            "large. Here it is |ab − c| < √(2ε). At its edge b = (c ± √(2ε))/a the loss is",
            LOSS.subs(b, (target + sp.sqrt(2 * eps)) / a),
            eps,
            shown=sp.Eq(sp.Function("L")(a, (target + sp.sqrt(2 * eps)) / a), eps, evaluate=False),
        ),
        Step(
            "so its width at a is 2√(2ε)/a, and its area from a = 1 to A is",
            sp.Integral(width, (a, 1, reach)),
            formula,
            name=sp.Symbol("area"),
        ),
        Step(
            "Whatever was learnt: the target c has dropped out. And every further factor e of A adds as much again, so "
            "the whole region is infinite:",
            formula.subs(reach, sp.E * reach) - formula,
            2 * sp.sqrt(2 * eps),
        ),
    ]


def area(learnt, level, end):
    """Of the region for 1 ≤ a ≤ end, in slices of constant b: for each b the a from (|c| − δ)/|b| to (|c| + δ)/|b|."""
    with mpmath.workdps(20):
        size, edge = abs(mpmath.mpf(learnt)), mpmath.sqrt(2 * mpmath.mpf(level))

        def length(height):
            low, high = max(1, (size - edge) / height), min(end, (size + edge) / height)
            return max(0, high - low)

        corners = sorted({(size - edge) / end, (size + edge) / end, size - edge, size + edge})
        return sp.Float(oracles.quadrature(length, corners, 20), 15)


def check(formula):
    """The area in slices across, by quadrature, for right and wrong targets."""
    return [
        Comparison(
            f"area for the target {learnt}, ε = {level}, 1 ≤ a ≤ {end}, in slices of constant b",
            formula.subs({eps: level, reach: end}).evalf(15),
            area(learnt, level, end),
            1e-10,
        )
        for learnt, level, end in (
            (1, sp.Rational(1, 50), 10),
            (-1, sp.Rational(1, 50), 10),
            (3, sp.Rational(1, 8), 40),
        )
    ]


def loss_where_one_is_true(learnt):
    """Of a unit that has fitted this where the truth is 1."""
    return sp.Rational(1, 2) * (sp.sympify(learnt) - 1) ** 2


def says(formula):
    """What the summary states, in numbers."""
    curvatures: list[Any] = [sp.diff(LOSS, b, 2).subs(a, factor) for factor in (1, 10, 100, 1000)]
    outputs = [(factor * a) * (b / factor) for factor in (1, 10, 100, 1000)]
    right, wrong = (area(learnt, sp.Rational(1, 50), 10) for learnt in (1, -1))
    growing = [formula.subs({eps: 1, reach: 10**power}) for power in (1, 10, 100, 1000)]
    return [
        prose.cases(
            "it isn't necessary",
            [len(set(outputs)) > 1 or max(curvatures) == min(curvatures)],
            "whether no minimum of the same function is sharper, α = 1 to 1000",
        ),
        prose.cases("(αa, b/α) is the same function", [len(set(outputs)) == 1], "the output at α = 1, 10, 100, 1000"),
        prose.cases(
            "is as sharp as one likes",
            [value == factor**2 for factor, value in zip((1, 10, 100, 1000), curvatures, strict=True)],
            "the curvature along b at a = 1, 10, 100, 1000",
        ),
        prose.formula("2√(2ε) ln A", formula, {"ε": eps, "A": reach}),
        prose.cases(
            "is infinite around every minimum of a ReLU unit",
            [bool(later / value > 9) for value, later in itertools.pairwise(growing)],
            "the area grows tenfold from A = 10 to 10¹⁰, 10¹⁰⁰, 10¹⁰⁰⁰",
        ),
        prose.cases(
            "also of one that has learnt a wrong target",
            [sp.Abs(right - wrong) < 1e-10 and loss_where_one_is_true(-1) > loss_where_one_is_true(1)],
            "the area after learning −1 is that after learning 1, which is the truth; the test losses differ",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Is flatness sufficient, or necessary, for generalisation?",
    sources=(Source("lecture", place="section 2"), Source("Dinh et al. 2017")),
    verdict=Verdict.WRONG,
    summary="The lecture concludes that flatness is 'only a sufficient condition for generalization'. What Dinh "
    "et al. show is that it isn't necessary: (αa, b/α) is the same function, and is as sharp as one "
    "likes. That it is sufficient doesn't follow, and in their own sense of flatness it fails: the region "
    "of low loss, of area 2√(2ε) ln A up to a = A, is infinite around every minimum of a ReLU unit, also "
    "of one that has learnt a wrong target.",
    printed=sp.Implies(sp.Symbol("flat"), sp.Symbol("generalises")),
    corrected=sp.Not(sp.Implies(sp.Symbol("generalises"), sp.Symbol("flat")), evaluate=False),
    assumptions=(
        Assumption("The net has a ReLU unit with weights in and out, which can be rescaled."),
        Assumption(
            "For the volume: one unit, one example, square loss, and flat in the sense of Dinh et al., a large region "
            "of low loss.",
            sp.Gt(reach, 1, evaluate=False),
        ),
    ),
    formula=RESULT,
    arguments=(eps, reach),
    slip=Slip("the same width at every a", 2 * sp.sqrt(2 * eps) * (reach - 1)),
    example=Example(
        "test loss (c − 1)²/2 of a unit that has learnt c = −1 where the truth is 1, and whose minimum is by that "
        "volume as flat as any",
        sp.Symbol("small"),
        loss_where_one_is_true(-1),
    ),
)
