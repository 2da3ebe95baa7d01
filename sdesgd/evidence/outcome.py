"""What a verdict holds, and how it is put into words."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdesgd.evidence.estimates import RateDifference

Kind = Literal["equivalent", "different", "inconclusive"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the replicas say about one observable at all times; `sentence()` says it in words.

    `worst_time` is the index of the time furthest from equivalence, with the standardized difference
    (other − reference, in reference standard deviations) and its 1 − 2·alpha `interval` there. P-values
    are arrays over times, NaN where nothing was tested: `equivalence_p_values` one TOST each,
    `difference_p_values` corrected over all times and observables. `counts` are the finite replicas of
    reference and other at the worst time. `divergence` compares the diverged rates (a: reference,
    b: other; its p-value is corrected too), None when no replica diverged. `replicas_needed` is None
    unless the kind is inconclusive, and where it cannot be estimated.
    """

    kind: Kind
    equivalent: bool
    different: bool
    worst_time: int
    standardized_difference: float
    interval: tuple[float, float]
    equivalence_p_values: NDArray[np.float64]
    difference_p_values: NDArray[np.float64]
    counts: tuple[int, int]
    divergence: RateDifference | None
    replicas_needed: int | None
    margin: float
    alpha: float
    method: str

    def sentence(self) -> str:
        """The verdict, the numbers behind it and what it conditions on, in one sentence."""
        return self._claim() + "; " + self._worst() + self._remark() + self._condition() + "."

    def _claim(self) -> str:
        if self.kind == "equivalent":
            return f"Equivalent at every time within a margin of {self.margin:g}"
        if self.kind == "inconclusive":
            return f"Inconclusive at a margin of {self.margin:g}"
        found = []
        smallest = smallest_p_value(self.difference_p_values)
        if smallest <= self.alpha:
            time = int(np.nanargmin(self.difference_p_values))
            found.append(f"the means, most clearly at time index {time} (corrected p = {smallest:.2g})")
        if self.divergence is not None and self.divergence.p_value <= self.alpha:
            found.append(f"the rates of divergence (corrected p = {self.divergence.p_value:.2g})")
        return "Different in " + " and in ".join(found)

    def _worst(self) -> str:
        where = f"at time index {self.worst_time}, the furthest from equivalence, "
        if min(self.counts) < 2:
            return where + f"only {self.counts[0]} and {self.counts[1]} replicas are finite"
        if not math.isfinite(self.standardized_difference):
            return where + "the reference does not vary and the other arm differs from it"
        confidence = 100 * (1 - 2 * self.alpha)
        return (
            f"{where}the other arm's mean is off by {self.standardized_difference:+.2g} reference standard "
            f"deviations ({confidence:g}% interval {self.interval[0]:+.2g} to {self.interval[1]:+.2g})"
        )

    def _remark(self) -> str:
        if self.kind == "equivalent" and self.different:
            smallest = smallest_p_value(self.difference_p_values)
            return f"; a difference inside the margin was nevertheless detected (corrected p = {smallest:.2g})"
        if self.replicas_needed is not None:
            return f"; about {self.replicas_needed} replicas an arm would decide"
        return ""

    def _condition(self) -> str:
        if self.divergence is None:
            return ""
        rates = self.divergence
        return (
            f"; means are over the replicas not yet diverged ({100 * rates.rate_a:.3g}% of {rates.count_a} "
            f"reference and {100 * rates.rate_b:.3g}% of {rates.count_b} other replicas diverged)"
        )


def smallest_p_value(p_values: NDArray[np.float64]) -> float:
    """The smallest p-value of those tested; 1 if none was."""
    return float(np.min(p_values, where=~np.isnan(p_values), initial=1.0))
