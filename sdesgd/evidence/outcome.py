"""What a verdict holds, and how it is put into words."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdesgd.evidence.equivalence import Equivalence
from sdesgd.evidence.estimates import RateDifference
from sdesgd.evidence.movement import NO_NOISE, NOTHING_MOVED, SAME_NUMBERS, NotFinite

Kind = Literal["equivalent", "different", "inconclusive"]


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """What the replicas say about one observable at all times; `sentence()` says it in words.

    `worst_time` is the index of the time furthest from equivalence, with the standardized difference
    (other − reference, in reference standard deviations) and its 1 − 2·alpha `interval` there. P-values
    are arrays over times, NaN where nothing was tested: `equivalence_p_values` one TOST each,
    `difference_p_values` corrected over all times and observables. `counts` are the finite replicas of
    reference and other at the worst time. `divergence` compares the diverged rates (a: reference,
    b: other; its p-value is corrected too), None when no replica diverged. `replicas_needed` is None
    unless the kind is inconclusive, and where it cannot be estimated or wouldn't help.

    `reason` says why nothing could be decided whatever the number of replicas: "nothing moved", "no noise", "same
    numbers" or "not finite" (see `verdict`); None otherwise. `not_finite` counts what was left out because it is not
    finite, though its replica has not diverged. `says_diverged` tells whether divergence was passed to `verdict`, or
    judged by values that are not finite. `difference_level` is the level that `difference_p_values` were held against,
    where it isn't alpha: at one look of several; `divergence_level` likewise of the rates. `one_path` is the arm,
    "reference" or "other", whose replicas agree at every time while those of the other arm don't.
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
    reason: str | None = None
    not_finite: NotFinite | None = None
    says_diverged: bool = True
    one_path: str | None = None
    difference_level: float | None = None
    divergence_level: float | None = None

    def __repr__(self) -> str:
        return self.sentence()

    def sentence(self) -> str:
        """The verdict, the numbers behind it and what it conditions on, in one sentence."""
        if self.reason in _REASONS:
            return _REASONS[self.reason] + self._condition() + "."
        return self._claim() + "; " + self._worst() + self._remark() + self._condition() + "."

    def _claim(self) -> str:
        if self.kind == "equivalent":
            return f"Equivalent at every time within a margin of {self.margin:g}"
        if self.kind == "inconclusive":
            return f"Inconclusive at a margin of {self.margin:g}"
        found = []
        smallest = smallest_p_value(self.difference_p_values)
        if smallest <= (self.alpha if self.difference_level is None else self.difference_level):
            time = int(np.nanargmin(self.difference_p_values))
            found.append(f"the means, most clearly at time index {time} (corrected p = {smallest:.2g})")
        rates_level = self.alpha if self.divergence_level is None else self.divergence_level
        if self.divergence is not None and self.divergence.p_value <= rates_level:
            rates = "the rates of divergence" if self.says_diverged else "the shares of replicas that are not finite"
            found.append(f"{rates} (corrected p = {self.divergence.p_value:.2g})")
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
        text = ""
        if self.kind == "equivalent" and self.different:
            smallest = smallest_p_value(self.difference_p_values)
            text = f"; a difference inside the margin was nevertheless detected (corrected p = {smallest:.2g})"
        if self.replicas_needed is not None:
            text = f"; about {self.replicas_needed} replicas an arm would decide"
        if self.one_path is not None:
            arm = "reference" if self.one_path == "reference" else "other arm"
            text += f"; the replicas of the {arm} all follow one path, without noise"
        return text

    def _condition(self) -> str:
        text = ""
        if self.divergence is not None:
            rates = self.divergence
            left, lost = ("not yet diverged", "diverged") if self.says_diverged else ("still finite", "are not finite")
            text = (
                f"; means are over the replicas {left} ({100 * rates.rate_a:.3g}% of {rates.count_a} "
                f"reference and {100 * rates.rate_b:.3g}% of {rates.count_b} other replicas {lost})"
            )
        if self.not_finite is not None:
            replicas, entries = self.not_finite.replicas, self.not_finite.entries
            text += (
                f"; {entries[0]} values in {replicas[0]} reference replicas and {entries[1]} in {replicas[1]} other "
                "replicas are not finite, without divergence, and were left out: what is left is a selection, so "
                "equivalence can't be claimed; mend the observable"
            )
        return text


_REASONS = {
    NOTHING_MOVED: "Nothing moved: all values of both arms are one constant, so they are no evidence either way; look "
    "at the learning rate (is it 0 in this dtype?), at the gradient at the start, and at the observable",
    NO_NOISE: "No noise: all replicas of both arms follow one and the same path, so there is no standard deviation "
    "for a margin; draw batches smaller than the data",
    SAME_NUMBERS: "Nothing compared: both arms are the same numbers, one run passed twice; pass runs of different keys",
}


def nothing_compared(
    reason: str,
    pair: tuple[np.ndarray, np.ndarray],
    equivalence: Equivalence,
    divergence: RateDifference | None,
    method: str,
) -> Verdict:
    """The verdict on an observable that is no evidence: inconclusive, and more replicas wouldn't help."""
    untested = np.full(pair[0].shape[1], np.nan)
    return Verdict(
        kind="inconclusive",
        equivalent=False,
        different=False,
        worst_time=0,
        standardized_difference=math.nan,
        interval=(math.nan, math.nan),
        equivalence_p_values=untested,
        difference_p_values=untested.copy(),
        counts=(
            int(np.isfinite(pair[0][:, 0].astype(float)).sum()),
            int(np.isfinite(pair[1][:, 0].astype(float)).sum()),
        ),
        divergence=divergence,
        replicas_needed=None,
        margin=equivalence.margin,
        alpha=equivalence.alpha,
        method=method,
        reason=reason,
    )


def smallest_p_value(p_values: NDArray[np.float64]) -> float:
    """The smallest p-value of those tested; 1 if none was."""
    return float(np.min(p_values, where=~np.isnan(p_values), initial=1.0))
