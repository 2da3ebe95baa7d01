"""One test of whether two clouds of points have the same law, in any number of dimensions."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import distance

from sdesgd.errors import InputError
from sdesgd.evidence.multiplicity import TIE_TOLERANCE, relabellings
from sdesgd.evidence.samples import as_two_arms, common_constant, unit_of
from sdesgd.types import ArrayLike


@dataclass(frozen=True)
class EnergyTest:
    """The scaled energy distance and its permutation p-value, NaN where all points are one: nothing was tested."""

    statistic: float
    p_value: float

    def __str__(self) -> str:
        if math.isnan(self.p_value):
            return "all points are one: nothing was tested"
        return f"energy distance {self.statistic:.4g}, p = {self.p_value:.2g}"


def energy_test(
    a: ArrayLike, b: ArrayLike, *, permutations: int = 999, seed: int, standardize: bool = False
) -> EnergyTest:
    """nm/(n+m) · (2 mean|a−b| − mean|a−a′| − mean|b−b′|), and its permutation p-value.

    The population distance is zero only if the two laws are equal, so every kind of difference is
    seen: mean, covariance or shape. p is exact for independent replicas with the +1 correction.

    a: (n, dimensions), b: (m, dimensions), finite. permutations: random relabellings; seed: of those.
    standardize: divide each dimension by its pooled standard deviation first, where it is not zero.
    A dimension in which all points agree up to rounding of their dtype is left out.
    Memory is that of one (n+m)×(n+m) matrix.
    Raises InputError for other shapes, fewer than two points an arm, or points that are not finite.
    Source: Székely & Rizzo 2004, InterStat 5.
    """
    points_a, points_b = as_two_arms(a, b)
    number_a, number_b = len(points_a), len(points_b)
    if points_a.ndim != 2 or min(number_a, number_b) < 2:
        raise InputError(
            f"the arms have shapes {points_a.shape} and {points_b.shape}; pass (replicas, dimensions) with "
            "two replicas or more; a scalar observable is values[:, None]"
        )
    points = np.concatenate([points_a, points_b])
    lost = int((~np.isfinite(points)).any(axis=1).sum())
    if lost:
        raise InputError(
            f"{lost} of {len(points)} points are not finite; leave out diverged replicas and compare "
            "their number with rate_difference"
        )
    points = points[:, ~common_constant(a, b)]
    if not points.size:
        return EnergyTest(0.0, math.nan)
    unit = 1.0 if standardize else float(unit_of(points).max())
    points = points / (unit_of(points) if standardize else unit)
    if standardize:
        points = points / points.std(axis=0)
    distances = distance.cdist(points, points)
    to_all = distances.sum(axis=1)
    labels = np.zeros(len(points))
    labels[:number_a] = 1.0

    def statistic(labelled):
        """The statistic of every row of labels, from three sums of distances."""
        within_a = ((labelled @ distances) * labelled).sum(axis=1)
        between = labelled @ to_all - within_a
        within_b = to_all.sum() - 2 * between - within_a
        energy = 2 * between / (number_a * number_b) - within_a / number_a**2 - within_b / number_b**2
        return energy * number_a * number_b / (number_a + number_b)

    observed = float(statistic(labels[None])[0])
    threshold = observed - TIE_TOLERANCE * max(abs(observed), float(distances.mean()))
    as_extreme = sum(
        int((statistic(relabelled) >= threshold).sum()) for relabelled in relabellings(labels, permutations, seed)
    )
    return EnergyTest(unit * observed, (1 + as_extreme) / (1 + permutations))
