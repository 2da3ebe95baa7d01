"""How large a difference of means may be and still count as none."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from typing_extensions import TypeAliasType

from sdesgd.errors import InputError, require_known, shown
from sdesgd.evidence.equivalence import Equivalence, equivalence_test, fieller, two_tests
from sdesgd.evidence.estimates import unpaired_difference
from sdesgd.evidence.samples import as_replicas, check_probability, moments
from sdesgd.inputs import check_number
from sdesgd.types import ArrayLike, RealScalarLike

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

    size: RealScalarLike
    unit: Unit = "deviation"

    def __post_init__(self):
        check_number("margin", self.size, "a positive number", lambda x: x > 0)
        require_known("unit of the margin", self.unit, UNITS)

    def __str__(self) -> str:
        names = {"deviation": "SD", "absolute": "in its own units", "progress": "of the progress"}
        return f"{self.size:g} {names[self.unit]}"


MarginLike = TypeAliasType("MarginLike", RealScalarLike | Margin)


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


def margin_test(reference: ArrayLike, other: ArrayLike, *, margin: Margin, alpha: RealScalarLike) -> Equivalence:
    """A TOST at each time, at a margin in any unit.

    In standard deviations of the reference it is ``equivalence_test``. Otherwise the margin M is a number for each
    time, and ``standardized``, ``low``, ``high`` are d/M with Fieller's interval (``margin`` is then 1). The progress
    of the reference is estimated, and shares the error of d, so

        Var(d ± M) = Var(d) + Var(M) ± 2 Cov(d, M)

    in which the last term is what counts at the last time: with x̄ falling, d + M = ȳ_T − (1 + m) x̄_T + m x̄_0.

    Assumes independent replicas; for the progress, one of several standard errors.

    Args:
        reference: (replicas, times).
        other: (replicas', times).
        margin: its size and unit.
        alpha: of each one-sided test.

    Source:
        Schuirmann 1987, J. Pharmacokinet. Biopharm. 15; Fieller 1954, J. R. Statist. Soc. B 16.
    """
    check_probability(alpha, "alpha")
    if margin.unit == "deviation":
        return equivalence_test(reference, other, margin=margin.size, alpha=alpha)
    difference = unpaired_difference(other, reference)
    d, df = np.asarray(difference.mean, float), np.asarray(difference.degrees_of_freedom, float)
    var_d = np.square(np.asarray(difference.standard_error, float))
    size, var_size, cov = _size_with_errors(reference, margin)
    ends = fieller(d, var_d, size, var_size, cov, stats.t.ppf(1 - alpha, df))
    upper, lower = (
        (d - sign * size, np.sqrt(np.maximum(var_d + var_size - sign * 2 * cov, 0.0))) for sign in (1.0, -1.0)
    )
    return two_tests(d, size, *ends, upper, lower, df, 1.0, alpha)


def _size_with_errors(reference: ArrayLike, margin: Margin) -> tuple[NDArray[np.float64], ...]:
    """(M, Var M, Cov(d, M)) at each time, M in the observable's own units."""
    values = as_replicas(reference, "reference")
    size = absolute_size(reference, margin)
    if margin.unit == "absolute":
        return size, np.zeros_like(size), np.zeros_like(size)
    sample = moments(values)
    # What each replica adds to the error of each mean; nothing where it is missing.
    with np.errstate(invalid="ignore", divide="ignore"):
        added = (values - sample.mean) / np.sqrt(sample.count * (sample.count - 1.0))
    added = np.where(np.isfinite(values), added, 0.0)
    of_size = margin.size * np.sign(sample.mean[-1] - sample.mean[0]) * (added[:, -1] - added[:, 0])
    return size, np.full_like(size, float(np.sum(of_size**2))), -(of_size @ added)


def absolute_size(reference: ArrayLike, margin: Margin) -> NDArray[np.float64]:
    """The margin "absolute" or "progress" in the observable's own units at each time, (times,)."""
    values = as_replicas(reference, "reference")
    if margin.unit == "absolute":
        return np.full(values.shape[1:], float(margin.size))
    means = moments(values).mean
    return np.full(values.shape[1:], margin.size * abs(float(means[-1] - means[0])))
