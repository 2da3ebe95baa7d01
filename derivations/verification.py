"""Both checks of a claim: residuals simplified to zero, and numbers compared with independent ones."""

import dataclasses
import time
from typing import Any

import sympy as sp

from derivations.claim import Claim, Comparison, Step


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
class Verification:
    """The outcome for one claim: its steps, its independent check, and what its summary says in words."""

    name: str
    steps: tuple[CheckedStep, ...]
    comparisons: tuple[CheckedComparison, ...]
    says: tuple[CheckedComparison, ...]
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether every step holds."""
        return bool(self.steps) and all(s.holds for s in self.steps)

    @property
    def independent(self) -> bool:
        """Whether every comparison holds, those of the summary's words too."""
        return bool(self.comparisons) and all(c.holds for c in (*self.comparisons, *self.says))

    @property
    def passed(self) -> bool:
        """Whether both checks do."""
        return self.exact and self.independent


def verify(claim: Claim, formula: Any = None) -> Verification:
    """Runs both checks of a claim.

    Args:
        claim: the claim.
        formula: in place of the claim's own, as for a planted slip.
    """
    start = time.perf_counter()
    formula = claim.formula if formula is None else formula
    steps = tuple(check_step(step) for step in claim.steps(formula))
    comparisons = tuple(compare(comparison) for comparison in claim.check(formula))
    says = tuple(compare(comparison) for comparison in claim.says(formula))
    return Verification(claim.name, steps, comparisons, says, time.perf_counter() - start)


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
    """Zero if it can be shown to be; cheap ways first."""
    for way in (sp.expand, sp.factor, sp.simplify, lambda e: sp.simplify(sp.expand(e.rewrite(sp.exp), func=True))):
        expression = way(expression)
        if expression == 0:
            break
    return expression


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
