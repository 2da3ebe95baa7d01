"""Means and differences of means with their standard errors, and rates of divergence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence.samples import as_replicas, as_two_arms, check_probability, moments
from sdesgd.types import ArrayLike, RealScalarLike

FloatArray = NDArray[np.floating] | float
CountArray = NDArray[np.integer] | np.integer | int


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A Monte Carlo mean, or difference of means, with its standard error, at every time.

    `count` is the number of replicas finite at that time, which the mean is conditioned on; for a
    difference of two arms it is the smaller of the two counts (unpaired) or the number of complete
    pairs (paired). Where it is below two, mean and standard error are NaN. All four fields have the
    shape of one replica: an array over times, or scalars.
    """

    mean: FloatArray
    standard_error: FloatArray
    count: CountArray
    degrees_of_freedom: FloatArray

    def __repr__(self) -> str:
        means, errors, counts = (np.atleast_1d(x) for x in (self.mean, self.standard_error, self.count))
        last = f"{means.ravel()[-1]:.5g} ± {errors.ravel()[-1]:.2g}"
        replicas = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
        where = "" if means.size == 1 else f", the last of {means.size} numbers"
        return f"{last} (standard error, {replicas} replicas){where}"

    def interval(self, confidence: RealScalarLike = 0.95) -> tuple[FloatArray, FloatArray]:
        """mean ± t·standard_error with Student's t quantile at (1 + confidence)/2: (low, high).

        Assumes that the mean is nearly Gaussian. Raises InputError unless 0 < confidence < 1.
        Each time has its own interval: together they cover less often than `confidence`.
        """
        check_probability(confidence, "confidence")
        quantile = stats.t.ppf(0.5 + 0.5 * confidence, self.degrees_of_freedom)
        half_width = quantile * np.asarray(self.standard_error)
        return (self.mean - half_width)[()], (self.mean + half_width)[()]


@dataclass(frozen=True)
class RateDifference:
    """The share of diverged replicas in two arms, each with its interval, and an exact p-value."""

    rate_a: float
    interval_a: tuple[float, float]
    count_a: int
    rate_b: float
    interval_b: tuple[float, float]
    count_b: int
    p_value: float

    def __str__(self) -> str:
        arms = (
            (self.rate_a, self.interval_a, self.count_a),
            (self.rate_b, self.interval_b, self.count_b),
        )
        rates = [f"{100 * k:.3g} % of {n} [{100 * low:.3g}, {100 * high:.3g}]" for k, (low, high), n in arms]
        return f"{rates[0]} against {rates[1]} diverged (p = {self.p_value:.2g})"


def mean(values: ArrayLike) -> Estimate:
    """x̄ = (1/n) Σ x_r with standard error s/√n and n−1 degrees of freedom, at each time.

    Assumes independent replicas. A mean is over the replicas finite at that time, so it is conditional
    on not having diverged by then.

    values: (replicas,) or (replicas, times, ...); NaN or infinite where a replica has diverged.
    Raises InputError for an empty or non-numeric array.
    """
    sample = moments(as_replicas(values, "values"))
    with np.errstate(divide="ignore", invalid="ignore"):
        standard_error = np.asarray(sample.unit * np.sqrt(sample.variance / sample.count))
    degrees_of_freedom = np.where(sample.count >= 2, sample.count - 1.0, np.nan)
    return Estimate(sample.mean[()], standard_error[()], sample.count[()], degrees_of_freedom[()])


def paired_difference(a: ArrayLike, b: ArrayLike) -> Estimate:
    """The mean of a − b, replica by replica, with the standard error of those differences.

    Assumes that replica r of `a` and replica r of `b` share their Brownian increments (or batches) and
    that the pairs are independent. A pair counts where both of its members are finite.

    a, b: (replicas, times, ...), the same shape.
    Raises InputError when the shapes differ.
    """
    replicas_a, replicas_b = as_two_arms(a, b)
    if replicas_a.shape != replicas_b.shape:
        raise InputError(
            f"a has {replicas_a.shape[0]} replicas and b {replicas_b.shape[0]}: pairs need one of each; "
            "for independent arms use unpaired_difference"
        )
    with np.errstate(invalid="ignore"):
        return mean(replicas_a - replicas_b)


def unpaired_difference(a: ArrayLike, b: ArrayLike) -> Estimate:
    """ā − b̄ with standard error √(s_a²/n_a + s_b²/n_b) and Satterthwaite's degrees of freedom.

    Assumes independent replicas in independent arms; the variances may differ.

    a: (replicas_a, times, ...), b: (replicas_b, times, ...); NaN or infinite after divergence.
    Raises InputError when the axes after the first differ.
    Source: Welch 1947, Biometrika 34; Satterthwaite 1946, Biometrics Bulletin 2.
    """
    replicas_a, replicas_b = as_two_arms(a, b)
    sample_a, sample_b = moments(replicas_a), moments(replicas_b)
    count = np.minimum(sample_a.count, sample_b.count)
    unit = np.maximum(sample_a.unit, sample_b.unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        part_a, part_b = (x.variance * np.square(x.unit / unit) / x.count for x in (sample_a, sample_b))
        variance = part_a + part_b
        # As shares of the total, so that small variances do not underflow when squared.
        share_a, share_b = part_a / variance, part_b / variance
        welch = 1 / (share_a**2 / (sample_a.count - 1) + share_b**2 / (sample_b.count - 1))
    # Two constant arms leave 0/0; the smaller arm's count is then the cautious choice.
    degrees_of_freedom = np.where(variance == 0, count - 1.0, welch)
    return Estimate(
        (sample_a.mean - sample_b.mean)[()], (unit * np.sqrt(variance))[()], count[()], degrees_of_freedom[()]
    )


def difference_p_values(difference: Estimate) -> NDArray[np.float64]:
    """Two-sided Student p-values of mean = 0.

    Where nothing varies Student's t has no scale. Means that agree are then no test, NaN; of n replicas that all
    differ by the same amount p is 2^(1−n), that of the sign test, since n coins would fall alike as often: with two
    replicas that is no evidence.
    """
    centre, standard_error = np.asarray(difference.mean), np.asarray(difference.standard_error)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * stats.t.sf(np.abs(centre) / standard_error, difference.degrees_of_freedom)
    certain = np.where(centre == 0, np.nan, np.minimum(1.0, 2.0 ** (1.0 - np.asarray(difference.count))))
    return np.asarray(np.where(standard_error == 0, certain, p_value))


def rate_difference(
    diverged_a: ArrayLike, diverged_b: ArrayLike, *, confidence: RealScalarLike = 0.95
) -> RateDifference:
    """Diverged rates k/n of two arms, Clopper–Pearson intervals, and Fisher's exact two-sided p-value.

    Fisher's test holds its level at every size, at the price of some power in small arms.
    Assumes independent replicas.

    diverged_a: (replicas_a,) bool; diverged_b: (replicas_b,) bool; confidence: of each interval.
    Raises InputError for anything but non-empty vectors of booleans.
    Source: Fisher 1935; Clopper & Pearson 1934, Biometrika 26.
    """
    check_probability(confidence, "confidence")
    arms = [np.asarray(diverged_a), np.asarray(diverged_b)]
    for name, arm in zip(("diverged_a", "diverged_b"), arms, strict=True):
        if arm.dtype != np.bool_ or arm.ndim != 1 or arm.size == 0:
            raise InputError(
                f"{name} has dtype {arm.dtype} and shape {arm.shape}; pass one boolean a replica, (replicas,)"
            )
    diverged = [int(arm.sum()) for arm in arms]
    table = [[hit, arm.size - hit] for hit, arm in zip(diverged, arms, strict=True)]
    _, p_value = np.asarray(stats.fisher_exact(table))
    intervals = []
    for hit, arm in zip(diverged, arms, strict=True):
        bounds = stats.binomtest(hit, arm.size).proportion_ci(float(confidence), method="exact")
        intervals.append((float(bounds.low), float(bounds.high)))
    return RateDifference(
        rate_a=diverged[0] / arms[0].size,
        interval_a=intervals[0],
        count_a=arms[0].size,
        rate_b=diverged[1] / arms[1].size,
        interval_b=intervals[1],
        count_b=arms[1].size,
        p_value=float(p_value),
    )
