"""How large a difference of means may be and still count as none."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sdesgd.errors import InputError, require_known, shown
from sdesgd.evidence.equivalence import Equivalence, equivalence_test
from sdesgd.evidence.estimates import unpaired_difference
from sdesgd.evidence.samples import Real, as_replicas, check_probability
from sdesgd.inputs import check_number

Unit = Literal["deviation", "absolute", "progress"]
UNITS: tuple[Unit, ...] = ("deviation", "absolute", "progress")


@dataclasses.dataclass(frozen=True)
class Margin:
    """A margin of equivalence.

    Attributes:
        size: how many units.
        unit: "deviation", the reference's own standard deviation at that time, which grows with the noise of a single
            run; "absolute", in the observable's own units; "progress", the distance that the reference's mean has
            moved from the first to the last time.

    Raises:
        InputError: a size that isn't positive, an unknown unit.
    """

    size: float
    unit: Unit = "deviation"

    def __post_init__(self):
        check_number("margin", self.size, "a positive number", lambda x: x > 0)
        require_known("unit of the margin", self.unit, UNITS)

    def __str__(self) -> str:
        names = {"deviation": "SD", "absolute": "in its own units", "progress": "of the progress"}
        return f"{self.size:g} {names[self.unit]}"


MarginLike = Real | Margin


def as_margins(margin: Any, names: Mapping[str, Any]) -> dict[str, Margin]:
    """A margin for each observable.

    Args:
        margin: a number of standard deviations, a ``Margin``, or name → either.
        names: the observables.

    Raises:
        InputError: a mapping without one of the names, or something else than margins.
    """
    if isinstance(margin, Mapping):
        missing = sorted(set(names) - set(margin))
        if missing:
            raise InputError(f"margin has none for {shown(missing[0])}: pass one for each of {sorted(names)}")
        return {name: as_margin(margin[name]) for name in names}
    return dict.fromkeys(names, as_margin(margin))


def as_margin(margin: Any) -> Margin:
    """A number as a margin in standard deviations of the reference."""
    return margin if isinstance(margin, Margin) else Margin(margin)


def margin_test(reference: ArrayLike, other: ArrayLike, *, margin: Margin, alpha: Real) -> Equivalence:
    """A TOST at each time, at a margin in any unit.

    In standard deviations of the reference it is ``equivalence_test``. Otherwise the margin M is a number for each
    time, the test is Welch's on d ± M, and ``standardized``, ``low``, ``high`` are in margins (``margin`` is then 1).
    The progress of the reference is measured by its means over the replicas finite at the first and the last time; its
    own error, of relative size 1/(√n · progress in SDs), is not counted.

    Args:
        reference: (replicas, times).
        other: (replicas', times).
        margin: its size and unit.
        alpha: of each one-sided test.

    Source:
        Schuirmann 1987, J. Pharmacokinet. Biopharm. 15.
    """
    check_probability(alpha, "alpha")
    if margin.unit == "deviation":
        return equivalence_test(reference, other, margin=margin.size, alpha=alpha)
    difference = unpaired_difference(other, reference)
    d, error, df = (
        np.asarray(x, float) for x in (difference.mean, difference.standard_error, difference.degrees_of_freedom)
    )
    allowed = absolute_size(reference, margin)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = np.maximum(stats.t.cdf((d - allowed) / error, df), stats.t.sf((d + allowed) / error, df))
        half = stats.t.ppf(1 - alpha, df) * error
        inside = np.abs(d) < allowed
        p_value = np.where(error == 0, np.where(inside, 0.0, 1.0), p_value)
        centre, low, high = (np.where(allowed > 0, x / allowed, np.inf * np.sign(x)) for x in (d, d - half, d + half))
    passed = (p_value <= alpha) & (allowed > 0)
    return Equivalence(centre, low, high, np.asarray(p_value), np.asarray(passed), 1.0, float(alpha))


def absolute_size(reference: ArrayLike, margin: Margin) -> NDArray[np.float64]:
    """The margin in the observable's own units at each time, (times,)."""
    values = as_replicas(reference, "reference")
    times = values.shape[1:]
    if margin.unit == "absolute":
        return np.full(times, float(margin.size))
    with np.errstate(invalid="ignore"):
        ends = [np.mean(x[np.isfinite(x)]) if np.isfinite(x).any() else np.nan for x in (values[:, 0], values[:, -1])]
    return np.full(times, margin.size * abs(ends[1] - ends[0]))
