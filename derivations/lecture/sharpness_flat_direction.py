"""Lecture, Table 1's caption: for a large box the function that is flat in y is the sharper one."""

import itertools
from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
y = sp.Symbol("y", positive=True)
threshold = 10 ** sp.Rational(1, 3)


def steps(formula):
    """The two functions differ in y alone."""
    steep = sp.Integer(25) ** sp.Rational(1, 6)
    return [
        Step(
            "100x² + y⁸ and 100(x² + y²) share the term in x. The rise of y⁸ minus that of 100y², in percent:",
            sp.Mul(100, sp.Integral(8 * y**7 - 200 * y, (y, 0, eps)), evaluate=False),
            formula,
            name=sp.Symbol("φ_flat") - sp.Symbol("φ_sharp"),
        ),
        Step(
            "The last factor grows with ε from −100 on, so the sign changes once, at ε = 100^{1/6} = ∛10:",
            formula,
            100 * eps**2 * (eps**6 - 100),
        ),
        Step(
            "As the caption says, y⁸ is the steeper function after a certain point, y = 25^{1/6} = ∛5 ≈ 1.71. But it "
            "is the larger one only from 2.15 on:",
            sp.Subs(8 * y**7, y, steep),
            sp.Subs(200 * y, y, steep),
        ),
    ]


def check(formula):
    """Both maxima over a grid of the box that holds its corners, in rationals, on both sides of the threshold."""
    comparisons = []
    for half in (sp.Rational(1, 1000), sp.Integer(2), sp.Rational(43, 20), sp.Rational(11, 5), sp.Integer(3)):
        grid = [half * sp.Rational(n, 3) for n in range(-3, 4)]
        points = list(itertools.product(grid, grid))
        flat = max(100 * u**2 + v**8 for u, v in points)
        sharp = max(100 * (u**2 + v**2) for u, v in points)
        comparisons.append(
            Comparison(
                f"φ_flat − φ_sharp at ε = {half}, by the largest of 49 values each",
                formula.subs(eps, half),
                100 * (flat - sharp),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    root: Any = sp.nsolve(formula / eps**2, eps, 2)
    below, above = (formula.subs(eps, root * scale) for scale in (sp.Rational(99, 100), sp.Rational(101, 100)))
    return [
        prose.direction(
            "100x² + y⁸, has the larger sharpness exactly for ε >",
            [0, above],
            "φ_flat − φ_sharp just above",
            word="larger",
        ),
        prose.cases("exactly for ε > 100^{1/6}", [below < 0 < above], "the sign 1 % below and 1 % above"),
        prose.figure("100^{1/6}", root, "where the two sharpnesses are equal, by root finding"),
        prose.figure("2.154", root, "where the two sharpnesses are equal, by root finding"),
        prose.cases(
            "10⁻³, is three orders of magnitude smaller",
            [300 < root * 1000 < 3000],
            "their ratio is between 300 and 3000",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="A flat direction in a large box",
    sources=(Source("lecture", place="Table 1, caption"),),
    verdict=Verdict.EXACT,
    summary="With A = I the minimum that is flat in y, 100x² + y⁸, has the larger sharpness exactly for ε > "
    "100^{1/6} ≈ 2.154. The ε used in practice, 10⁻³, is three orders of magnitude smaller.",
    printed=sp.Implies(
        sp.Gt(eps, threshold, evaluate=False), sp.Gt(sp.Symbol("φ_flat"), sp.Symbol("φ_sharp"), evaluate=False)
    ),
    assumptions=(
        assumptions.AT_THE_ORIGIN,
        assumptions.IDENTITY,
    ),
    formula=100 * eps**8 - 10**4 * eps**2,
    arguments=(eps,),
    slip=Slip("the term in x taken from one function only", 100 * eps**8 - 2 * 10**4 * eps**2),
)
