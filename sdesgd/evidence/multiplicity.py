"""P-values corrected for looking at many times and observables at once: Holm and max-|t|."""

import numpy as np
from numpy.typing import NDArray

from sdesgd.errors import InputError
from sdesgd.evidence.samples import as_two_arms, check_seed, common_constant, unit_of
from sdesgd.inputs import as_float64, check_positive_integer
from sdesgd.types import ArrayLike

# Permuted statistics are formed this many at a time, to bound the memory.
PERMUTATIONS_AT_ONCE = 128
# Permutations that give the observed statistic exactly may differ from it by rounding.
TIE_TOLERANCE = 1e-9


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values p̃_(j) = max_{i ≤ j} min(1, (K − i + 1) p_(i)) for p_(1) ≤ … ≤ p_(K).

    Rejecting where p̃ ≤ α holds the family-wise error at α under any dependence. NaN entries are
    hypotheses not tested: they stay NaN and do not count in K.

    p_values: any shape; the family is all of it. Returns the same shape.
    Raises InputError for values outside [0, 1].
    Source: Holm 1979, Scand. J. Statist. 6.
    """
    raw = as_float64(p_values, "p_values")
    tested = ~np.isnan(raw)
    family = raw[tested]
    if np.any((family < 0) | (family > 1)):
        raise InputError(f"p_values span {family.min()} to {family.max()}; they must lie in [0, 1]")
    order = np.argsort(family)
    factors = np.arange(family.size, 0, -1)
    adjusted_in_order = np.minimum(np.maximum.accumulate(factors * family[order]), 1.0)
    adjusted = np.full(raw.shape, np.nan)
    in_place = np.empty_like(family)
    in_place[order] = adjusted_in_order
    adjusted[tested] = in_place
    return adjusted


def max_t(a: ArrayLike, b: ArrayLike, *, permutations: int = 999, seed: int) -> NDArray[np.float64]:
    """Single-step adjusted p-values p̃_j = (1 + #{π : max_i |t_i^π| ≥ |t_j|})/(1 + permutations).

    t_j is Welch's statistic of column j and π relabels whole replicas, so the dependence between times
    and observables is kept. The family-wise error is exact when the two arms have the same law, and
    asymptotically right for equal means alone, because t is studentized.

    Columns equal and constant in both arms (the common start) are not tested: NaN. Other NaN or infinite
    entries mark a diverged replica: it keeps them when relabelled, each column's t is over the
    replicas finite there, and is 0 while an arm has fewer than two. The test is then still exact for
    "the same law, divergence included", and its means are those of the replicas not yet diverged.

    a: (replicas_a, ...), b: (replicas_b, ...), the same axes after the first: columns of one family.
    permutations: random relabellings; seed: of those. Returns the shape of one replica.
    Raises InputError for shapes that disagree, an arm of fewer than two replicas, or permutations < 1.
    Source: Westfall & Young 1993 (max-T); Janssen 1997, Statist. Probab. Lett. 36, and Chung & Romano
    2013, Ann. Statist. 41 (studentized); Phipson & Smyth 2010 (the +1).
    """
    replicas_a, replicas_b = as_two_arms(a, b)
    number_a, number_b = len(replicas_a), len(replicas_b)
    if min(number_a, number_b) < 2:
        raise InputError(f"the arms have {number_a} and {number_b} replicas; a test needs two of each")
    excluded = np.atleast_1d(common_constant(a, b)).ravel()
    columns = np.concatenate([replicas_a.reshape(number_a, -1), replicas_b.reshape(number_b, -1)])
    # In units of each column's size, so that no square underflows.
    columns = (columns / unit_of(columns))[:, ~excluded]
    labels = np.zeros(number_a + number_b)
    labels[:number_a] = 1.0
    statistics = WelchStatistics(columns)
    observed = statistics(labels[None])[0]
    as_extreme = np.zeros(columns.shape[1])
    if columns.shape[1]:
        for relabelled in relabellings(labels, permutations, seed):
            largest = statistics(relabelled).max(axis=1)
            as_extreme += (largest[:, None] >= observed * (1 - TIE_TOLERANCE)).sum(axis=0)
    adjusted = np.full(excluded.shape, np.nan)
    adjusted[~excluded] = (1 + as_extreme) / (1 + permutations)
    return adjusted.reshape(replicas_a.shape[1:])


def relabellings(labels: NDArray[np.float64], permutations: int, seed: int):
    """Yield random permutations of `labels` as rows, in blocks of (≤ PERMUTATIONS_AT_ONCE, replicas)."""
    check_positive_integer("permutations", permutations)
    check_seed(seed)
    generator = np.random.default_rng(seed)
    for start in range(0, permutations, PERMUTATIONS_AT_ONCE):
        rows = min(PERMUTATIONS_AT_ONCE, permutations - start)
        yield generator.permuted(np.tile(labels, (rows, 1)), axis=1)


class WelchStatistics:
    """|t| of every column for many labellings at once, from products of labels and sums of powers."""

    def __init__(self, columns: NDArray[np.float64]) -> None:
        finite = np.isfinite(columns)
        count = np.maximum(finite.sum(axis=0), 1)
        filled = np.where(finite, columns, 0.0)
        centred = np.where(finite, filled - filled.sum(axis=0) / count, 0.0)
        # t is free of scale; unit pooled variance keeps the sums of squares accurate.
        scale = np.sqrt((centred**2).sum(axis=0) / count)
        self.values = centred / np.where(scale > 0, scale, 1.0)
        self.squares = self.values**2
        self.finite = finite.astype(np.float64)
        self.complete = bool(finite.all())

    def __call__(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """labels: (permutations, replicas), 1 in arm a and 0 in arm b. Returns (permutations, columns)."""
        if self.complete:
            count_a = labels.sum(axis=1, keepdims=True)
            count_b = labels.shape[1] - count_a
        else:
            count_a = labels @ self.finite
            count_b = self.finite.sum(axis=0) - count_a
        sum_a, squares_a = labels @ self.values, labels @ self.squares
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_a, part_a = _mean_and_its_variance(sum_a, squares_a, count_a)
            sum_b, squares_b = self.values.sum(axis=0) - sum_a, self.squares.sum(axis=0) - squares_a
            mean_b, part_b = _mean_and_its_variance(sum_b, squares_b, count_b)
            difference = np.abs(mean_a - mean_b)
            statistic = difference / np.sqrt(part_a + part_b)
        # Two constant arms: infinitely far apart, unless they coincide.
        statistic = np.where((part_a + part_b == 0) & (difference < 1e-12), 0.0, statistic)
        return np.where((count_a >= 2) & (count_b >= 2), statistic, 0.0)


def _mean_and_its_variance(
    total: NDArray[np.float64], squares: NDArray[np.float64], count: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and estimated variance of the mean; a variance lost in rounding counts as zero."""
    centre = total / count
    variance = (squares - total * centre) / (count - 1)
    return centre, np.where(variance > 1e-12, variance, 0.0) / count
