"""Intervals that cover the gaps at all times at once, so that the worst time may be picked by the data."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sdesgd.evidence.samples import as_two_arms, check_seed, moments, still, unit_of
from sdesgd.evidence.spending import nominal_levels, pocock_spending
from sdesgd.inputs import check_positive_integer
from sdesgd.types import ArrayLike, RealScalarLike


def simultaneous_level(
    reference: ArrayLike,
    other: ArrayLike,
    fractions: Sequence[RealScalarLike] = (1.0,),
    *,
    alpha: RealScalarLike = 0.05,
    spending: Callable[[RealScalarLike, RealScalarLike], float] = pocock_spending,
    standardized: bool = True,
    draws: int = 100_000,
    seed: int = 0,
) -> float:
    """The two-sided level of pointwise intervals that cover all times at once, at the last of several looks.

    The studentised errors Z of the gaps over the times are Gaussian with their estimated correlation, and over the
    looks they are Brownian motion in the information: Z_k = B(t_k)/√t_k. Simulating B gives bounds c_k with

        P(max|Z_j| ≤ c_j for j < k, max|Z_k| > c_k) = α(t_k) − α(t_{k−1}),    level_k = P(|N(0, 1)| > c_k),

    the maxima over the times.

    Whatever the look at which a study ends, its intervals then cover with probability at least 1 − α, among them that
    of the worst time. A level of ``nominal_levels`` corrected for the times alone wouldn't do: maxima of different
    looks, which different times attain, are less dependent than one statistic is, and so exceed their bounds more often
    in total.

    ``equivalence_test(reference, other, alpha=level / 2)`` gives the intervals in standard deviations of the
    reference, ``unpaired_difference(other, reference).interval(1 - level)`` those in the observable's own units.

    Assumes independent replicas in independent ensembles, enough of them for their correlation to be known, whose
    sizes were in the same proportion at each look.

    Args:
        reference: (replicas, times), all so far; NaN where a replica has diverged: the means are over the others.
        other: (replicas', times).
        fractions: t_1 < … < t_k ≤ 1, of the largest information at each look so far; (1,) for a single look.
        alpha: that some gap isn't covered, over all looks.
        spending: (alpha, t) → what may have been spent at t.
        standardized: whether the gaps are in estimated standard deviations of the reference, or in absolute units.
        draws: simulated paths of looks.
        seed: of those.

    Raises:
        InputError: shapes that disagree, fractions that don't grow up to 1, a level, number or seed out of range.

    Source:
        Lan & DeMets 1983, Biometrika 70; Hothorn, Bretz & Westfall 2008, Biom. J. 50 (the maximum).
    """
    one_time = nominal_levels(fractions, alpha=alpha, sides=2, spending=spending)  # which checks them, too
    check_positive_integer("draws", draws)
    check_seed(seed)
    influences = _influences(*as_two_arms(reference, other, "reference", "other"), standardized=standardized)
    influences = influences[:, ~(still(reference) & still(other)).ravel() & influences.any(axis=0)]
    if not influences.size:
        return float(one_time[-1])
    # Fᵀ F is the correlation of the errors over the times.
    scaled = influences / np.sqrt((influences**2).sum(axis=0))
    factor = np.asarray(np.linalg.qr(scaled, mode="r"), np.float32)
    generator = np.random.default_rng(seed)
    paths, alive = np.zeros((draws, factor.shape[1]), np.float32), np.ones(draws, bool)
    before, c = 0.0, np.inf
    for now in map(float, fractions):
        normals = generator.standard_normal((draws, len(factor)), np.float32)
        paths += normals @ (np.float32(np.sqrt(now - before)) * factor)
        largest = np.where(alive, np.abs(paths).max(axis=1) / np.sqrt(now), -np.inf)
        # Of all paths, so many may have crossed by now.
        crossing = round(spending(alpha, now) * draws) - int(np.sum(~alive))
        c = np.inf if crossing < 1 else float(np.partition(largest, -crossing)[-crossing])
        alive &= largest < c
        before = now
    return float(2 * special.ndtr(-c))


def _influences(
    reference: NDArray[np.float64], other: NDArray[np.float64], *, standardized: bool
) -> NDArray[np.float64]:
    """What each replica adds to the error of the gap at each time, (replicas + replicas', times).

    That of a missing replica is 0: this is the linearisation of a mean over the replicas that are there. All are 0
    where an ensemble has fewer than two.
    """
    unit = unit_of(reference, other)
    arms = [arm.reshape(len(arm), -1) for arm in (reference / unit, other / unit)]
    samples = [moments(arm) for arm in arms]
    with np.errstate(invalid="ignore", divide="ignore"):
        added = [(arm - sample.mean) / sample.count for arm, sample in zip(arms, samples, strict=True)]
        if standardized:  # the error of d − θ s at θ = d/s, where s is the reference's
            variance = np.square(samples[0].unit) * samples[0].variance
            relative = (np.square(arms[0] - samples[0].mean) / variance - 1) / 2
            gap = samples[1].mean - samples[0].mean
            added[0] = added[0] + np.where(variance > 0, gap * relative / samples[0].count, 0.0)
        together = np.concatenate([-added[0], added[1]])
    present = np.isfinite(together) & (np.minimum(samples[0].count, samples[1].count) >= 2)
    return np.where(present, together, 0.0)
