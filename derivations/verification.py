"""Both checks of a claim, residuals simplified to zero and numbers compared with independent ones, and of its slips."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from derivations import conditions
from derivations.conditions import CheckedAssumption
from derivations.parts import Claim, Comparison, Step
from derivations.prose import generic_numbers

# What has no number yet, or takes long to become one.
_UNEVALUATED = (sp.Integral, sp.Sum, sp.Product, sp.Limit, sp.Derivative, sp.Subs, sp.MatrixExpr, AppliedUndef)


@dataclasses.dataclass(frozen=True)
class CheckedStep:
    """A step and what simplification left of left − right; it holds where that is zero."""

    step: Step
    residual: Any
    holds: bool


@dataclasses.dataclass(frozen=True)
class CheckedComparison:
    """A comparison and |derived − independent|."""

    comparison: Comparison
    difference: Any
    holds: bool


@dataclasses.dataclass(frozen=True)
class CheckedSlip:
    """A wrong formula in place of the claim's own, and which check sees it.

    Attributes:
        words: what is wrong with it.
        step: the first step that fails, counted from 1; None if none does.
        comparison: the first comparison that fails, the same. What ties the summary to the formula doesn't count: that
            sees any other formula.
    """

    words: str
    step: int | None
    comparison: int | None

    @property
    def caught(self) -> bool:
        """Whether both checks see it."""
        return self.step is not None and self.comparison is not None

    @property
    def outcome(self) -> str:
        """Which checks see it, in words."""
        algebra, numbers = f"the algebra (step {self.step})", f"the numbers (comparison {self.comparison})"
        if self.caught:
            return f"caught by both checks: by {algebra} and by {numbers}"
        if self.step is not None:
            return f"caught by {algebra} alone; the numbers don't see it"
        if self.comparison is not None:
            return f"caught by {numbers} alone; the algebra doesn't see it"
        return "not caught: it passes both checks, so it is right or they are blind to it"


@dataclasses.dataclass(frozen=True)
class Verification:
    """The outcome for one claim.

    Attributes:
        name: of the claim.
        steps: of its derivation.
        comparisons: of its independent check.
        says: what its summary says in words.
        seconds: that all of it took.
        assumptions: held against the numbers of the independent check.
        outside: a number of that check which its symbol can't be, in words; empty if there is none.
        slips: the planted one and, where an equation is wrong as printed, the printed one.
    """

    name: str
    steps: tuple[CheckedStep, ...]
    comparisons: tuple[CheckedComparison, ...]
    says: tuple[CheckedComparison, ...]
    seconds: float
    assumptions: tuple[CheckedAssumption, ...] = ()
    outside: str = ""
    slips: tuple[CheckedSlip, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every step holds."""
        return bool(self.steps) and all(s.holds for s in self.steps)

    @property
    def independent(self) -> bool:
        """Whether every comparison holds, those of the summary's words too, at numbers that the claim is about."""
        held = (*self.comparisons, *self.says, *self.assumptions)
        return bool(self.comparisons) and not self.outside and all(c.holds for c in held)

    @property
    def caught(self) -> bool:
        """Whether both checks see every slip."""
        return bool(self.slips) and all(s.caught for s in self.slips)

    @property
    def passed(self) -> bool:
        """Whether both checks hold, and see every slip."""
        return self.exact and self.independent and self.caught


def verify(claim: Claim) -> Verification:
    """Runs both checks of a claim, and with its slips in place of the formula."""
    start = time.perf_counter()
    steps = tuple(check_step(step) for step in claim.steps(claim.formula))
    with conditions.recorded() as points:
        independent = tuple(claim.check(claim.formula))
    comparisons = tuple(compare(comparison) for comparison in independent)
    says = tuple(compare(comparison) for comparison in claim.says(claim.formula))
    assumptions = tuple(conditions.check_assumption(assumption, points) for assumption in claim.assumptions)
    wrong = [(claim.slip.words, claim.slip.formula)]
    if claim.printed_formula is not None:
        wrong.append(("the printed form", claim.printed_formula))
    slips = tuple(check_slip(claim, words, formula, steps) for words, formula in wrong)
    seconds = time.perf_counter() - start
    return Verification(claim.name, steps, comparisons, says, seconds, assumptions, conditions.outside(points), slips)


def check_slip(claim: Claim, words: str, formula: Any, right: Sequence[CheckedStep] = ()) -> CheckedSlip:
    """Runs both checks with a wrong formula, each until something fails.

    Args:
        claim: the claim.
        words: what is wrong with the formula.
        formula: in place of the claim's own.
        right: the steps with the claim's own formula; those without the formula in them aren't simplified again.
    """
    held = [c.step for c in right if c.holds]
    step = next((n for n, s in enumerate(claim.steps(formula), 1) if s not in held and not check_step(s).holds), None)
    comparison = next((n for n, c in enumerate(claim.check(formula), 1) if not compare(c).holds), None)
    return CheckedSlip(words, step, comparison)


def check_step(step: Step) -> CheckedStep:
    """Simplifies left − right, or each of its Taylor coefficients below the order."""
    entries = []
    for left, right in zip(_entries(step.left), _entries(step.right), strict=True):
        difference = sp.sympify(left - right).doit()
        if step.order is None:
            entries.append(_simplified(difference))
        else:
            entries.append(_lower_orders(difference, *step.order))
    left_over = [e for e in entries if e != 0]
    return CheckedStep(step, left_over[0] if left_over else sp.S.Zero, not left_over)


def compare(comparison: Comparison) -> CheckedComparison:
    """The largest absolute difference over the entries."""
    pairs = zip(_entries(comparison.derived), _entries(comparison.independent), strict=True)
    differences = [abs(sp.sympify(a) - sp.sympify(b)) for a, b in pairs]
    differences = [d if d.is_Number else sp.simplify(d).evalf(30) for d in differences]
    # NaN and what is no number fail.
    bad = [d for d in differences if not d.is_number or not d.is_finite]
    worst = bad[0] if bad else max(differences, key=sp.Float)
    return CheckedComparison(comparison, worst, not bad and bool(worst <= sp.sympify(comparison.tolerance)))


def _entries(value: Any) -> list:
    if isinstance(value, sp.MatrixExpr):
        value = value.doit().as_explicit()
    if isinstance(value, sp.MatrixBase | sp.NDimArray):
        return sp.flatten(value.tolist())
    return list(value) if isinstance(value, list | tuple) else [value]


def _simplified(expression: Any) -> Any:
    """Zero if it can be shown to be; cheap ways first, and none where a number shows that it isn't."""
    expression = sp.expand(expression)
    if expression == 0 or _differs_from_zero(expression):
        return expression
    for way in (sp.factor, sp.simplify, lambda e: sp.simplify(sp.expand(e.rewrite(sp.exp), func=True))):
        expression = way(expression)
        if expression == 0:
            break
    return expression


def _differs_from_zero(expression: Any) -> bool:
    """Whether it is clearly another number at numbers that its symbols can be."""
    if not isinstance(expression, sp.Expr) or not expression.is_commutative or expression.has(*_UNEVALUATED):
        return False
    if any(s.is_nonnegative is False or s.is_even is not None for s in expression.free_symbols):
        return False  # the numbers are positive, and some are odd
    value = expression.evalf(15, subs=generic_numbers(expression.free_symbols), maxn=40)
    return bool(value.is_number and value.is_finite and abs(value) > sp.Float("1e-9"))


def _lower_orders(expression: Any, variable: sp.Symbol, order: int) -> Any:
    """What there is below O(variable^order); zero if there is nothing. Half powers and logarithms count."""
    if any(p.base.has(variable) and not p.exp.is_Integer for p in expression.atoms(sp.Pow)):
        root = sp.Dummy("r", positive=True)
        return _taylor(sp.powdenest(expression.subs(variable, root**2), force=True), root, 2 * order)
    if any(f.args[0].subs(variable, 0) == 0 for f in expression.atoms(sp.log)):
        positive = sp.Dummy("x", positive=True)
        ratio = sp.limit((expression / variable**order).subs(variable, positive), positive, 0, "+")
        return sp.S.Zero if ratio.is_finite else expression
    return _taylor(expression, variable, order)


def _taylor(expression: Any, variable: sp.Symbol, order: int) -> Any:
    """The Taylor polynomial in the variable below the order."""
    total: Any = sp.S.Zero
    for k in range(order):
        coefficient = sp.diff(expression, variable, k).subs(variable, 0)
        if coefficient.has(sp.nan, sp.zoo, sp.oo):
            series = sp.series(expression, variable, 0, order).removeO()
            return _simplified(series)
        total += _simplified(coefficient.doit()) * variable**k / sp.factorial(k)
    return total
