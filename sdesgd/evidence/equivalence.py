"""Two one-sided tests (TOST) at a margin in units of the reference arm's own standard deviation."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from sdesgd.errors import InputError
from sdesgd.evidence.estimates import Estimate, unpaired_difference
from sdesgd.evidence.movement import are_the_same_numbers
from sdesgd.evidence.samples import (
    as_replicas,
    as_two_arms,
    check_margin,
    check_probability,
    moments,
    still,
    unit_of,
)
from sdesgd.inputs import check_number
from sdesgd.types import ArrayLike, RealScalarLike


@dataclass(frozen=True, eq=False, repr=False)
class Equivalence:
    """One TOST a time. Every field but `margin` and `alpha` has the shape of one replica.

    `standardized` is d/s, the difference other − reference over the reference's standard deviation, and
    (`low`, `high`) its interval at confidence 1 − 2·alpha. `passed` says that it lies inside ±margin,
    which is p_value ≤ alpha. Where an arm has fewer than two finite replicas p_value is NaN and the test
    is not passed. The interval is infinite and nothing passes where there is no margin to lie in: the reference does
    not vary (up to rounding of its dtype; p_value is then 1), or has two finite replicas only, which tell no error of
    their standard deviation; and where both arms are the same numbers, so that they are not two samples.
    """

    standardized: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_value: NDArray[np.float64]
    passed: NDArray[np.bool_]
    margin: float
    alpha: float

    def __repr__(self) -> str:
        low, high, centre = (np.atleast_1d(x).ravel() for x in (self.low, self.high, self.standardized))
        worst = int(np.argmax(np.nan_to_num(np.maximum(np.abs(low), np.abs(high)), nan=np.inf)))
        return (
            f"equivalent within {self.margin:g} reference SD at {int(np.sum(self.passed))} of {np.size(self.passed)} "
            f"times; furthest: {centre[worst]:+.2g} [{low[worst]:+.2g}, {high[worst]:+.2g}] SD "
            f"({100 * (1 - 2 * self.alpha):g}% interval)"
        )


def equivalence_test(
    reference: ArrayLike, other: ArrayLike, *, margin: RealScalarLike = 0.5, alpha: RealScalarLike = 0.05
) -> Equivalence:
    """TOST of H0: |μ_other − μ_ref| ≥ m σ_ref for independent arms, at each time.

    With d = mean(other) − mean(reference) and s the reference's standard deviation, H0 is rejected when
    d − m s is significantly negative and d + m s significantly positive. σ_ref is estimated, hence

        Var(d ± m s) = Var(d) + m² Var(s) ± 2 m Cov(d, s),
        Var(s) = (μ4 − μ2²)/(4 n μ2),    Cov(d, s) = −Cov(mean(reference), s) = −μ3/(2 s n),

    from the reference's central moments, and Student's t with Welch's degrees of freedom. The interval
    of d/s inverts the same test (Fieller), so interval and test never disagree.

    Assumes independent replicas and enough of them for the delta method: some dozens. Small skewed
    samples err on the cautious side (level 0.04 for 0.05 at margin 1, skewness 1 and 200 replicas).
    No correction over times is needed to claim equivalence at *all* times (intersection–union).

    reference: (replicas, times, ...), other: (replicas', times, ...); NaN after divergence, and then the
    claim is conditional on the finite replicas. margin: in reference standard deviations. alpha: of each
    one-sided test.
    Raises InputError for shapes that disagree, margin ≤ 0 or alpha outside (0, 1).
    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15; Berger & Hsu 1996, Statist. Sci. 11 (the
    intersection–union test); Fieller 1954, J. R. Statist. Soc. B 16.
    """
    check_margin(margin)
    check_probability(alpha, "alpha")
    reference_values, other_values = as_two_arms(reference, other, "reference", "other")
    # The test is free of scale: in units of the data nothing underflows.
    unit = unit_of(reference_values, other_values)
    reference_values, other_values = reference_values / unit, other_values / unit
    difference = unpaired_difference(other_values, reference_values)
    d, degrees_of_freedom = np.asarray(difference.mean), np.asarray(difference.degrees_of_freedom)
    s, var_s, cov_mean_s = _deviation(reference_values, still(reference))
    flat = [arm.reshape(len(arm), -1) for arm in (reference_values, other_values)]
    if are_the_same_numbers([(flat[0], flat[1])]):
        var_s = np.full_like(s, np.inf)
    var_d, cov_d_s = np.square(difference.standard_error), -cov_mean_s

    def standard_error(theta: float) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(var_d + theta**2 * var_s - 2 * theta * cov_d_s))

    low, high = fieller(d, var_d, s, var_s, cov_d_s, stats.t.ppf(1 - alpha, degrees_of_freedom))
    upper = (np.asarray(d - margin * s), standard_error(float(margin)))
    lower = (np.asarray(d + margin * s), standard_error(-float(margin)))
    return two_tests(d, s, low, high, upper, lower, degrees_of_freedom, margin, alpha)


def paired_equivalence_test(
    difference: Estimate, reference: ArrayLike, *, margin: RealScalarLike = 0.5, alpha: RealScalarLike = 0.05
) -> Equivalence:
    """TOST of H0: |δ| ≥ m σ_ref for a difference δ estimated elsewhere, such as on shared increments.

    As `equivalence_test`, but the covariance of d and s is unknown, so the standard error of d ± m s is
    taken at its largest, SE(d) + m SE(s) (Cauchy–Schwarz): the level holds whatever the covariance.

    difference: an Estimate of other − reference over the times, e.g. from `paired_difference`.
    reference: (replicas, times, ...), the arm whose standard deviation sets the margin.
    margin: in reference standard deviations. alpha: of each one-sided test.
    Raises InputError for shapes that disagree, margin ≤ 0 or alpha outside (0, 1).
    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15.
    """
    check_margin(margin)
    check_probability(alpha, "alpha")
    d, error_d, s, var_s, degrees_of_freedom = _against(difference, reference)
    error_s = np.sqrt(var_s)
    quantile = stats.t.ppf(1 - alpha, degrees_of_freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        bottom, top = d - quantile * error_d, d + quantile * error_d
        small, large = s - quantile * error_s, s + quantile * error_s
        low = np.where(small > 0, bottom / np.where(bottom < 0, small, large), -np.inf)
        high = np.where(small > 0, top / np.where(top > 0, small, large), np.inf)
    error = np.asarray(error_d + margin * error_s)
    upper = (np.asarray(d - margin * s), error)
    lower = (np.asarray(d + margin * s), error)
    return two_tests(d, s, low, high, upper, lower, degrees_of_freedom, margin, alpha)


def in_reference_deviations(
    difference: Estimate, reference: ArrayLike, *, confidence: RealScalarLike = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(d/s, low, high): a difference in standard deviations of the reference, with Fieller's interval at each time.

    Both d and s are estimated, and the interval says so: with n replicas s alone is uncertain by 1/√(2n).

    Assumes a difference measured independently of the reference (a coupled pair with its own increments). Where the
    reference does not vary, all three are NaN or infinite.

    difference: an Estimate over the times. reference: (replicas, times, ...). confidence: of each interval.
    Raises InputError for shapes that disagree or a confidence outside (0, 1).
    Source: Fieller 1954, J. R. Statist. Soc. B 16.
    """
    check_probability(confidence, "confidence")
    d, error_d, s, var_s, degrees_of_freedom = _against(difference, reference)
    low, high = fieller(
        d, np.square(error_d), s, var_s, np.zeros_like(d), stats.t.ppf(0.5 + 0.5 * confidence, degrees_of_freedom)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return d / s, low, high


def fieller(d, var_d, s, var_s, cov_d_s, quantile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The θ with (d − θ s)² ≤ t² Var(d − θ s): an interval, finite only if s is clearly above zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        leading = s**2 - quantile**2 * var_s
        middle = d * s - quantile**2 * cov_d_s
        root = np.sqrt(np.maximum(middle**2 - leading * (d**2 - quantile**2 * var_d), 0.0))
        low = np.where(leading > 0, (middle - root) / leading, -np.inf)
        high = np.where(leading > 0, (middle + root) / leading, np.inf)
    return low, high


def replicas_needed(
    margin: RealScalarLike,
    *,
    power: RealScalarLike = 0.8,
    alpha: RealScalarLike = 0.05,
    difference: RealScalarLike = 0.0,
) -> int | float:
    """The smallest n an arm with Φ(a(m − δ) − z) + Φ(a(m + δ) − z) − 1 ≥ power, a² = n/(2 + m²/2).

    z is the 1 − alpha Gaussian quantile: the power of a TOST at margin m when the true difference is δ.
    Assumes independent arms of equal size and variance and Gaussian data. The m²/2 is the price of a margin
    measured in an estimated standard deviation (Var s ≈ σ²/2n); with σ known it is absent, and at margin 0.5
    the classical 69 replicas become 73: with 69 the power is 0.77.

    margin, difference: in reference standard deviations. Returns math.inf when |difference| ≥ margin.
    Raises InputError for margin ≤ 0, or power or alpha outside (0, 1).
    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15.
    """
    check_margin(margin)
    check_probability(power, "power")
    check_probability(alpha, "alpha")
    _check_difference(difference)
    shift = abs(float(difference))
    if shift >= margin:
        return math.inf
    critical = special.ndtri(1 - alpha)

    def shortfall(scale: float) -> float:
        inside = special.ndtr(scale * (margin - shift) - critical)
        return float(inside + special.ndtr(scale * (margin + shift) - critical) - 1 - power)

    if shortfall(0.0) >= 0:  # at such a level two replicas claim it by themselves
        return 2
    # With the nearer edge alone at (1 + power)/2 the two together surely exceed the power.
    enough = (critical + special.ndtri((1 + power) / 2)) / (margin - shift)
    scale = optimize.root_scalar(shortfall, bracket=(0.0, 1.01 * enough)).root
    return max(2, math.ceil((2 + margin**2 / 2) * scale**2))


def replicas_to_detect(
    difference: RealScalarLike, *, power: RealScalarLike = 0.8, alpha: RealScalarLike = 0.05
) -> int | float:
    """n = 2 (z_{1−alpha/2} + z_power)²/δ² an arm for the two-sided test of a difference δ.

    Assumes independent arms of equal size and variance and Gaussian means; math.inf for δ = 0.

    difference: the true difference in standard deviations.
    Raises InputError for a NaN difference, or power or alpha outside (0, 1).
    """
    check_probability(power, "power")
    check_probability(alpha, "alpha")
    _check_difference(difference)
    if difference == 0:
        return math.inf
    quantiles = special.ndtri(1 - alpha / 2) + special.ndtri(power)
    return max(2, math.ceil(2 * (quantiles / difference) ** 2))


def _check_difference(difference: RealScalarLike) -> None:
    wanted = "the true difference in reference standard deviations"
    check_number("difference", difference, wanted, lambda x: True, finite=False)


def _against(difference: Estimate, reference: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """(d, SE(d), s, Var(s), degrees of freedom) in units of the reference's size, where nothing underflows."""
    if not isinstance(difference, Estimate):
        raise InputError(f"difference is a {type(difference).__name__}: pass an Estimate, as of paired_difference")
    values = as_replicas(reference, "reference")
    d = np.asarray(difference.mean, np.float64)
    if d.shape != values.shape[1:]:
        raise InputError(
            f"difference has shape {d.shape} and one replica of reference {values.shape[1:]}; "
            "take both at the same times"
        )
    unit = unit_of(values)
    s, var_s, _ = _deviation(values / unit, still(reference))
    own = np.sum(np.isfinite(values), axis=0) - 1.0
    degrees_of_freedom = np.minimum(difference.degrees_of_freedom, np.where(own > 0, own, np.nan))
    return d / unit, np.asarray(difference.standard_error / unit), s, var_s, degrees_of_freedom


def _deviation(
    reference: NDArray[np.float64], constant: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """s, Var(s) and Cov(mean, s), by the delta method; zero where the reference does not vary.

    Of two replicas the formula gives Var(s) = 0, whatever they are: it is infinite instead.
    """
    sample = moments(reference)
    constant = constant | (sample.variance == 0)
    s = np.where(constant, 0.0, sample.unit * np.sqrt(sample.variance))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = (sample.fourth - sample.second**2) / (4 * (sample.count - 1) * sample.second)
        cov_mean_s = sample.third / (2 * (sample.count - 1) * np.sqrt(sample.variance))
    var_s = np.where(sample.count == 2, np.inf, np.square(sample.unit) * np.maximum(relative, 0.0))
    return s, np.where(constant, 0.0, var_s), np.where(constant, 0.0, np.square(sample.unit) * cov_mean_s)


def two_tests(
    d: NDArray[np.float64],
    s: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    upper: tuple[NDArray[np.float64], NDArray[np.float64]],
    lower: tuple[NDArray[np.float64], NDArray[np.float64]],
    degrees_of_freedom: NDArray[np.float64],
    margin: RealScalarLike,
    alpha: RealScalarLike,
) -> Equivalence:
    """Both one-sided tests, each a (statistic, standard error), and what to say of the margin."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p_upper = stats.t.cdf(upper[0] / upper[1], degrees_of_freedom)
        p_lower = stats.t.sf(lower[0] / lower[1], degrees_of_freedom)
        standardized = d / s
    untested = np.isnan(d) | np.isnan(s)
    # A reference that does not vary leaves a margin of zero: nothing can lie inside it.
    p_value = np.where(s > 0, np.maximum(p_upper, p_lower), np.where(untested, np.nan, 1.0))
    low, high = (np.where(untested, np.nan, np.where(s == 0, end, x)) for x, end in ((low, -np.inf), (high, np.inf)))
    passed = (p_value <= alpha) & np.isfinite(low) & np.isfinite(high)
    return Equivalence(
        np.asarray(standardized),
        np.asarray(low),
        np.asarray(high),
        np.asarray(p_value),
        np.asarray(passed),
        float(margin),
        float(alpha),
    )
