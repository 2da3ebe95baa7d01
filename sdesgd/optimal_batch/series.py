"""What a table and a posterior say of each series: mean accuracies with errors, the best batch size, the curve."""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from sdesgd import evidence
from sdesgd.optimal_batch.best import best_sampled
from sdesgd.optimal_batch.factors import FACTORS, Factor
from sdesgd.optimal_batch.prediction import CurveBand, Peak
from sdesgd.optimal_batch.table import AccuracyTable
from sdesgd.types import RealScalarLike

if TYPE_CHECKING:
    from sdesgd.optimal_batch.posterior import Posterior

_POINTS = 60  # of a curve


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SeriesSummary:
    """One series, as a figure or a report shows it.

    Attributes:
        learning_rate: η.
        num_examples: N.
        momentum: m.
        batch_sizes: those that were sampled.
        mean: accuracy over the runs that didn't diverge; NaN where all did.
        low: its 95 % interval; NaN for a single run.
        high: the same.
        best: the best sampled B.
        best_low: the next candidate below, Smith & Le's error bar; NaN at an edge.
        best_high: the next one above.
        censored: "low", "high" or "both" where the best sampled B is at an edge; else "".
        peak: posterior of B_opt; None without a fit.
        curve: posterior of the mean accuracy; None without a fit.
    """

    learning_rate: float
    num_examples: int
    momentum: float
    batch_sizes: Int[np.ndarray, " b"]
    mean: Float[np.ndarray, " b"]
    low: Float[np.ndarray, " b"]
    high: Float[np.ndarray, " b"]
    best: int
    best_low: float
    best_high: float
    censored: str
    peak: Peak | None = None
    curve: CurveBand | None = None

    def __repr__(self) -> str:
        at = int(np.flatnonzero(self.batch_sizes == self.best)[0])
        peak = "" if self.peak is None else f"; {self.peak}"
        bound = f", a bound ({self.censored})" if self.censored else ""
        return (
            f"{self.name}: best of {len(self.batch_sizes)} B = {self.best}{bound}, accuracy {self.mean[at]:.4g}{peak}"
        )

    @property
    def name(self) -> str:
        """η, N and m in a line."""
        return ", ".join(f"{factor.symbol} = {self.of(factor):g}" for factor in FACTORS)

    def of(self, factor: Factor) -> float:
        """Its η, its N or its m."""
        return float(getattr(self, factor.option))

    def position(self, factor: Factor) -> float:
        """Where it is on the axis of a factor: its η, its N, its 1/(1−m)."""
        return float(factor.transform(self.of(factor)))


def summaries(table: AccuracyTable) -> tuple[SeriesSummary, ...]:
    """What a table says of its series, without a fit.

    Args:
        table: of at least one batch size in each series at which most runs didn't diverge.

    Raises:
        InputError: a series in which most runs diverged at every batch size.
    """
    found = []
    for best in best_sampled(table):
        series, sampled = best.series, best.sampled
        cells = [series.rows[table.batch_size[series.rows] == B] for B in sampled]
        kept = [np.where(table.diverged[rows], np.nan, table.accuracy[rows]) for rows in cells]
        means = [float(np.nanmean(a)) if np.isfinite(a).any() else math.nan for a in kept]
        low, high = np.array([evidence.mean(accuracies).interval() for accuracies in kept], float).T
        place = series.learning_rate, series.num_examples, series.momentum
        edges = best.batch_size, best.low, best.high, best.censored
        found.append(SeriesSummary(*place, sampled, np.array(means), low, high, *edges))
    return tuple(found)


def fitted_summaries(posterior: "Posterior", level: RealScalarLike = 0.9) -> tuple[SeriesSummary, ...]:
    """What a posterior says of the series of its table.

    Args:
        posterior: of ``fit``.
        level: of the intervals of B_opt and of the curve.
    """
    found = []
    for index, series in enumerate(summaries(posterior.table)):
        B = np.geomspace(series.batch_sizes.min(), series.batch_sizes.max(), _POINTS)
        peak, curve = posterior.peak(index, level), posterior.curve(index, B, level)
        found.append(dataclasses.replace(series, peak=peak, curve=curve))
    return tuple(found)


def along(table: AccuracyTable, factor: Factor) -> list[int]:
    """The places of the most series that differ in this factor alone, ascending in it: a line through the grid."""
    others = [one.option for one in FACTORS if one is not factor]
    groups: dict[tuple, list[int]] = {}
    for index, series in enumerate(table.series):
        groups.setdefault(tuple(getattr(series, name) for name in others), []).append(index)
    longest = max(groups.values(), key=len)
    return sorted(longest, key=lambda index: getattr(table.series[index], factor.option))
