"""Equivalent, different or inconclusive: the one three-valued decision, from intervals against a margin."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence.outcome import Kind
from sdesgd.evidence.samples import check_probability
from sdesgd.inputs import as_float64, check_number
from sdesgd.types import RealScalarLike


@dataclass(frozen=True, eq=False, repr=False)
class Decision:
    """What intervals say of differences and a margin.

    Attributes:
        kind: "equivalent", "different" or "inconclusive".
        difference: (M,), estimates.
        low: (M,), the lower ends of their intervals.
        high: (M,), the upper ends.
        margin: below which a difference counts as none, in the unit of the differences.
        worst: index of the difference that is largest in its standard errors.
    """

    kind: Kind
    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    margin: float
    worst: int

    @property
    def half_width(self) -> NDArray[np.float64]:
        """(M,), half of each interval."""
        return (self.high - self.low) / 2

    def __repr__(self) -> str:
        k = self.worst
        interval = f"{self.difference[k]:+.4g} [{self.low[k]:+.4g}, {self.high[k]:+.4g}]"
        which = "" if len(self.difference) == 1 else f" (number {k} of {len(self.difference)}, the clearest)"
        return f"{self.kind} at a margin of {self.margin:g}: {interval}{which}"


def decide(
    low: Any,
    high: Any,
    margin: RealScalarLike,
    *,
    expected: RealScalarLike = 0.0,
    wide: tuple[Any, Any] | None = None,
    beyond_margin: bool = False,
) -> Kind:
    """The decision that intervals allow, of all quantities together.

    "equivalent": every interval lies within ``expected`` ± ``margin`` (intersection-union, no correction needed).
    Otherwise "different": some interval leaves out ``expected``. Otherwise "inconclusive".

    Args:
        low: lower ends, of any shape.
        high: upper ends.
        margin: half the width of what counts as equal.
        expected: the value that is compared with.
        wide: (low, high) for the claim of a difference, which needs a correction for the number of quantities;
            default: the intervals themselves, right for one quantity.
        beyond_margin: whether "different" needs an interval that leaves out all of ``expected`` ± ``margin``.

    Raises:
        InputError: a margin that isn't positive, ends that aren't numbers of one shape, low above high.
    """
    check_number("margin", margin, "a positive number", lambda x: x > 0)
    check_number("expected", expected, "a finite number", lambda x: True)
    low, high = _ends(low, high)
    least, most = float(expected) - float(margin), float(expected) + float(margin)
    if low.size and ((least <= low) & (high <= most)).all():
        return "equivalent"
    lower, upper = (low, high) if wide is None else _ends(*wide)
    below, above = (least, most) if beyond_margin else (float(expected), float(expected))
    return "different" if ((upper < below) | (lower > above)).any() else "inconclusive"


def decide_differences(
    difference: Any, standard_error: Any, margin: RealScalarLike, *, alpha: float = 0.05
) -> Decision:
    """The decision on differences with nearly Gaussian errors, all of them together.

    Intervals are at 1 − ``alpha`` for each; a claim of a difference is by intervals at 1 − ``alpha``/M (Bonferroni).

    Args:
        difference: (M,), or one number.
        standard_error: (M,) or one number, 0 where there is no error.
        margin: below which a difference counts as none, in the unit of the differences.
        alpha: the level.

    Raises:
        InputError: margin, level or standard errors out of range, shapes that differ.
    """
    check_probability(alpha, "alpha")
    d = np.atleast_1d(as_float64(difference, "difference", "(M,)"))
    error = np.atleast_1d(as_float64(standard_error, "standard_error", "(M,)"))
    if d.shape != error.shape or d.ndim != 1 or not d.size or (error < 0).any():
        raise InputError(f"differences {d.shape} with standard errors {error.shape}: pass (M,) each, none negative")
    half = float(stats.norm.ppf(1 - alpha / 2)) * error
    corrected = float(stats.norm.ppf(1 - alpha / 2 / d.size)) * error
    kind = decide(d - half, d + half, margin, wide=(d - corrected, d + corrected))
    worst = int((np.abs(d) / np.maximum(error, 1e-300)).argmax())
    return Decision(kind, d, d - half, d + half, float(margin), worst)


def _ends(low: Any, high: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NaN ends, of what could not be measured, decide nothing."""
    a, b = as_float64(low, "low", "numbers"), as_float64(high, "high", "numbers")
    if a.shape != b.shape or (a > b).any():
        raise InputError(f"interval ends of shapes {a.shape} and {b.shape}: pass low ≤ high of one shape")
    return a, b
