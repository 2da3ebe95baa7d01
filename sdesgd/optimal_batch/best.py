"""The classical answer: the best batch size among those tried, with the distance to its neighbours as its error."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int

from sdesgd.errors import InputError
from sdesgd.optimal_batch.policy import LARGEST_DIVERGED_SHARE
from sdesgd.optimal_batch.table import AccuracyTable, Series


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BestSampled:
    """The best sampled batch size of one series.

    Attributes:
        series: its η, N and m.
        batch_size: argmax over B of the mean accuracy of the runs that didn't diverge; a bound when ``censored``.
        low, high: the next candidate below and above: Smith & Le's error bar; NaN at an edge.
        censored: "low" if no smaller batch was a candidate, so that B_opt may be smaller; "high" likewise; "both" if
            there is one candidate; else "".
        accuracy, standard_error: mean at the best B and its standard error (NaN for one run).
        candidates, means, counts: B's where at most half of the runs diverged, their mean accuracies, runs averaged.
        diverged_share: share of diverged runs at each of ``sampled``, all B's that were tried.
    """

    series: Series
    batch_size: int
    low: float
    high: float
    censored: str
    accuracy: float
    standard_error: float
    candidates: Int[np.ndarray, " c"]
    means: Float[np.ndarray, " c"]
    counts: Int[np.ndarray, " c"]
    sampled: Int[np.ndarray, " b"]
    diverged_share: Float[np.ndarray, " b"]

    def __repr__(self) -> str:
        error = f" ± {self.standard_error:.1g}" if math.isfinite(self.standard_error) else ""
        bound = f", a bound ({self.censored})" if self.censored else f", between {self.low:g} and {self.high:g}"
        return f"{self.series.name}: best B = {self.batch_size}{bound}; accuracy {self.accuracy:.4g}{error}"


def best_sampled(table: AccuracyTable) -> tuple[BestSampled, ...]:
    """For each series the batch size with the highest mean accuracy, bracketed by its neighbours on the grid.

    Assumes nothing about the curve. The maximum of noisy means is biased in accuracy and jumps between neighbours
    when the peak is flat: the bracket is not a confidence interval. A batch size where more than half of the runs
    diverged is no candidate; otherwise means are over the runs that didn't diverge. Of equal means the smaller B wins.

    Raises:
        InputError: a series in which no batch size is a candidate.

    Source: Smith & Le 2018 (1710.06451), figures 5 and 6.
    """
    return tuple(_best(table, series) for series in table.series)


def _best(table: AccuracyTable, series: Series) -> BestSampled:
    batch, accuracy, diverged = (column[series.rows] for column in (table.batch_size, table.accuracy, table.diverged))
    sampled = np.unique(batch)
    share = np.array([diverged[batch == b].mean() for b in sampled])
    candidates = sampled[share <= LARGEST_DIVERGED_SHARE]
    if not len(candidates):
        raise InputError(f"at {series.name} most runs diverged at every batch size: drop the series or lower η")
    kept = [accuracy[(batch == b) & ~diverged] for b in candidates]
    means = np.array([values.mean() for values in kept])
    at = int(np.argmax(means))
    lowest, highest = at == 0, at == len(candidates) - 1
    return BestSampled(
        series,
        int(candidates[at]),
        math.nan if lowest else float(candidates[at - 1]),
        math.nan if highest else float(candidates[at + 1]),
        "both" if lowest and highest else "low" if lowest else "high" if highest else "",
        float(means[at]),
        float(kept[at].std(ddof=1) / math.sqrt(len(kept[at]))) if len(kept[at]) > 1 else math.nan,
        candidates,
        means,
        np.array([len(values) for values in kept]),
        sampled,
        share,
    )
