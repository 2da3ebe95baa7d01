"""Whether the numbers that a claim's check puts into its formula satisfy what the claim assumes of its symbols."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.core.basic import Basic

from derivations.parts import Assumption

Point = Mapping[sp.Basic, sp.Basic]
# What a symbol can be declared to be, as far as the numbers put in its place are held against it.
_FACTS = ("positive", "nonnegative", "negative", "integer", "real")


@dataclasses.dataclass(frozen=True)
class CheckedAssumption:
    """An assumption, and where its condition was evaluated.

    Attributes:
        assumption: it.
        points: the number of points of the check that have a number for each symbol of the condition.
        violation: the first point where the condition doesn't hold, in words; empty if there is none.
    """

    assumption: Assumption
    points: int
    violation: str = ""

    @property
    def holds(self) -> bool:
        """Whether no number violates it."""
        return not self.violation


@contextlib.contextmanager
def recorded() -> Iterator[list[Point]]:
    """The points at which claims evaluate expressions: what ``subs``, called by a claim, puts in place of what.

    A ``subs`` on the outcome of another one is at the numbers of both. What sympy substitutes itself is left out.
    """
    points: list[Point] = []
    earlier: dict[Any, Point] = {}
    kinds: list[tuple[Any, Any]] = [(kind, kind.subs) for kind in (Basic, sp.MatrixBase)]

    def recording(subs: Any) -> Any:
        def put_in(self: Any, *args: Any, **options: Any) -> Any:
            outcome = subs(self, *args, **options)
            if sys._getframe(1).f_globals.get("__name__", "").startswith(__package__ or "derivations"):
                given = [args] if len(args) == 2 else args[0].items() if isinstance(args[0], Mapping) else args[0]
                new = {sp.sympify(symbol): sp.sympify(number) for symbol, number in given}
                point = {**earlier.get(_key(self), {}), **{s: n for s, n in new.items() if n.is_number}}
                # A plain symbol or number that comes out is no sign of where it came from.
                if not getattr(outcome, "is_Atom", False):
                    earlier[_key(outcome)] = point
                points.append(point)
            return outcome

        return put_in

    try:
        for kind, subs in kinds:
            kind.subs = recording(subs)
        yield points
    finally:
        for kind, subs in kinds:
            kind.subs = subs


def check_assumption(assumption: Assumption, points: Sequence[Point]) -> CheckedAssumption:
    """Evaluates the condition at every point that has a number for each of its symbols."""
    if assumption.condition is None:
        return CheckedAssumption(assumption, 0)
    symbols = assumption.condition.free_symbols
    at = [{s: point[s] for s in symbols} for point in points if symbols <= point.keys()]
    for point in at:
        if not _true(assumption.condition.subs(point)):
            shown = ", ".join(f"{s} = {n}" for s, n in sorted(point.items(), key=str))
            return CheckedAssumption(assumption, len(at), f"{assumption.condition} doesn't hold at {shown}")
    return CheckedAssumption(assumption, len(at))


def outside(points: Sequence[Point]) -> str:
    """The first number that isn't what its symbol is declared to be, in words; empty if there is none."""
    for point in points:
        for symbol, number in point.items():
            declared = symbol.assumptions0 if isinstance(symbol, sp.Symbol) else {}
            for fact in _FACTS:
                if declared.get(fact) and getattr(number, f"is_{fact}") is False:
                    return f"{symbol} is declared {fact}, and the check puts {number} in its place"
    return ""


def _true(condition: Any) -> bool:
    """Whether relations and predicates of numbers hold."""
    if condition in (sp.true, sp.false):
        return bool(condition)
    return sp.ask(condition) is True


def _key(expression: Any) -> Any:
    return sp.ImmutableMatrix(expression) if isinstance(expression, sp.MatrixBase) else expression
