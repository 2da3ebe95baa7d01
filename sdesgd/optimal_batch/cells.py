"""What the likelihood needs of a table: means and spreads of the logit of accuracy in every cell, a cell being
(series, B)."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from sdesgd.errors import InputError
from sdesgd.optimal_batch.policy import LARGEST_DIVERGED_SHARE
from sdesgd.optimal_batch.table import AccuracyTable

LAWS = ("power", "noise_scale")


class Cells(NamedTuple):
    """Arrays over s series and g places of the batch-size grid; all are arguments of the compiled sampler.

    Attributes:
        mean: mean over runs of y = logit accuracy. within: Σ (y − mean)². count: runs; 0 hides a cell from the
            likelihood: padding, mostly diverged, or held out.
        floor: variance of y from rounding accuracy to multiples of 1/``table.resolution``.
        log_batch: log B. centre: mean of the table's log B, one number for all.
        factors: log η, log N, −log(1−m), each less its mean over series; 0 where it doesn't vary.
        log_rate, log_examples, log_friction: log η, log N and log(1−m), as they are.
        origin: prior mean of the law's intercept. is_power: 1.0 for the power law, 0.0 for the noise-scale law.
        scatters: 1.0, or 0.0 for a table of one series, where τ can't be told from the intercept.
        inside: 1.0 for a series whose best cell has others on both sides, so that its peak is known by itself.
    """

    mean: Any
    within: Any
    count: Any
    floor: Any
    log_batch: Any
    centre: Any
    factors: Any
    log_rate: Any
    log_examples: Any
    log_friction: Any
    origin: Any
    is_power: Any
    scatters: Any
    inside: Any


def of_series(cells: Cells, index: int) -> Cells:
    """The cells of one series alone."""
    rows = {name: values[index : index + 1] for name, values in cells._asdict().items() if np.ndim(values)}
    return cells._replace(**rows)


def accuracy_logit(accuracy: Any, num_test: int | None) -> Float[np.ndarray, "..."]:
    """y = log (k + ½)/(n − k + ½) for k = n·accuracy of n = num_test examples: finite at 0 and 1; None: n → ∞."""
    if num_test is None:
        return logit(np.asarray(accuracy, float))
    return logit((np.asarray(accuracy, float) * num_test + 0.5) / (num_test + 1))


def make_cells(table: AccuracyTable, law: str) -> Cells:
    """The cells of a table; their shape is (number of series, largest number of batch sizes in one).

    Diverged runs are left out, and with them every cell in which more than half of the runs diverged.

    Raises:
        InputError: no series has three batch sizes left; no cell has two runs.
    """
    sizes = [np.unique(table.batch_size[series.rows]) for series in table.series]
    shape = len(sizes), max(len(b) for b in sizes)
    centre = float(np.mean(np.concatenate([np.log(b) for b in sizes])))
    mean, within, count, floor = (np.zeros(shape) for _ in range(4))
    log_batch = np.full(shape, centre)
    y = accuracy_logit(np.where(table.diverged, 0.5, table.accuracy), table.resolution)
    for s, series in enumerate(table.series):
        for g, batch in enumerate(sizes[s]):
            rows = series.rows[table.batch_size[series.rows] == batch]
            log_batch[s, g] = math.log(batch)
            if table.diverged[rows].mean() > LARGEST_DIVERGED_SHARE:
                continue
            kept = y[rows[~table.diverged[rows]]]
            mean[s, g], count[s, g] = kept.mean(), len(kept)
            within[s, g] = np.sum((kept - kept.mean()) ** 2)
            share = expit(kept.mean())
            if table.resolution is not None:
                floor[s, g] = 1 / (12 * (table.resolution * share * (1 - share)) ** 2)
    if not (np.sum(count > 0, axis=1) >= 3).any():
        raise InputError("no series has three batch sizes with runs that didn't diverge: sample more batch sizes")
    if not (count >= 2).any():
        raise InputError("no cell has two runs that didn't diverge: the seed noise is unknown; run several seeds")
    factors = table.factors
    log_rate, log_examples, log_friction = factors[:, 0], factors[:, 1], -factors[:, 2]
    return Cells(
        mean, within, count, floor, log_batch, np.asarray(centre),
        factors - factors.mean(axis=0), log_rate, log_examples, log_friction,
        np.asarray(_origin(law, centre, factors.mean(axis=0))), np.asarray(float(law == "power")),
        np.asarray(float(len(sizes) > 1)), _inside(mean, count),
    )  # fmt: skip


def _inside(mean: Float[np.ndarray, "s g"], count: Float[np.ndarray, "s g"]) -> Float[np.ndarray, " s"]:
    """Whether cells with runs lie on both sides of a series' best one."""
    best = np.argmax(np.where(count > 0, mean, -np.inf), axis=1)[:, None]
    place = np.arange(mean.shape[1])
    return ((count > 0) & (place < best)).any(axis=1) * ((count > 0) & (place > best)).any(axis=1) * 1.0


def _origin(law: str, centre: float, middle: Float[np.ndarray, " 3"]) -> float:
    """The intercept that puts B_opt at the middle of the grid for a series with the mean factors."""
    if law == "power":
        return centre
    log_rate, log_examples, minus_log_friction = middle
    # B above N/1.1 has no c ≥ 0 worth the name: the prior then starts there.
    return log_rate + minus_log_friction + math.log(max(math.exp(log_examples - centre) - 1, 0.1))
