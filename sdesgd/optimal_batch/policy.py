"""Which runs count as trained: the rules that come before the fit, and that B_opt depends on."""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from sdesgd.errors import InputError
from sdesgd.optimal_batch.table import COLUMNS, AccuracyTable, Series
from sdesgd.types import RealScalarLike

# A batch size at which more runs than this diverged is no candidate for the best, and no cell of the fit.
LARGEST_DIVERGED_SHARE = 0.5


def guessing_loss(num_classes: int) -> float:
    """log K, in nats: the cross-entropy of equal probabilities for K classes."""
    return math.log(num_classes)


def no_better_than_guessing(
    train_loss: Float[np.ndarray, " runs"], loss_of_guessing: RealScalarLike
) -> Bool[np.ndarray, " runs"]:
    """Whether a run ended with at least the train loss of a guess; such a run counts as diverged.

    It needn't guess: a few confident errors give that loss at a high accuracy. So the rule drops some accuracies by
    their outcome, and B_opt depends on it: runs at the smallest batch sizes are those that it drops.

    Args:
        train_loss: mean over the training examples after the last step; a NaN isn't judged.
        loss_of_guessing: of a constant guess, such as ``guessing_loss(10)``.
    """
    return np.asarray(train_loss) >= loss_of_guessing


def trained_series(table: AccuracyTable) -> tuple[Int[np.ndarray, " rows"], tuple[Series, ...]]:
    """(the rows of the series that trained at some batch size, the series that did at none).

    Args:
        table: runs that no rule has left out yet; those that a rule counts as diverged are marked.

    Raises:
        InputError: no series trained.
    """
    lost = []
    for series in table.series:
        batch, diverged = table.batch_size[series.rows], table.diverged[series.rows]
        if all(diverged[batch == B].mean() > LARGEST_DIVERGED_SHARE for B in np.unique(batch)):
            lost.append(series)
    if len(lost) == len(table.series):
        raise InputError("most runs broke down at every batch size: pass smaller learning rates or larger batches")
    gone = np.concatenate([series.rows for series in lost]) if lost else np.zeros(0, int)
    return np.setdiff1d(np.arange(len(table.seed)), gone), tuple(lost)


def rows_of(table: AccuracyTable, rows: Any) -> AccuracyTable:
    """The table of these rows alone."""
    return AccuracyTable(**{name: getattr(table, name)[rows] for name in COLUMNS}, num_test=table.num_test)
