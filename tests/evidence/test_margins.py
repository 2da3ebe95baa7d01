"""Margins in three units against direct computation, and the level of those that are estimated."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.evidence import Margin, equivalence_test
from sdesgd.evidence.margins import as_margins, margin_test
from tests.refusals import refused


def falling(generator, replicas, progress=3.0, times=4):
    """Means that fall by `progress` standard deviations from a common start of 5."""
    values = 5.0 - progress * np.linspace(0, 1, times) + generator.standard_normal((replicas, times))
    values[:, 0] = 5.0
    return values


def test_standard_deviations_are_the_equivalence_test():
    generator = np.random.default_rng(1)
    reference, other = falling(generator, 40), falling(generator, 90)
    ours, direct = (
        margin_test(reference, other, margin=Margin(0.7), alpha=0.02),
        equivalence_test(reference, other, margin=0.7, alpha=0.02),
    )
    for name in ("standardized", "low", "high", "p_value", "passed"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(direct, name))


def test_absolute_is_welchs_test_of_the_shifted_mean():
    generator = np.random.default_rng(2)
    reference, other = falling(generator, 40)[:, 1:], 1.7 * falling(generator, 90)[:, 1:] - 2
    result = margin_test(reference, other, margin=Margin(0.6, "absolute"), alpha=0.03)
    above = stats.ttest_ind(other - 0.6, reference, equal_var=False, alternative="less").pvalue
    below = stats.ttest_ind(other + 0.6, reference, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(result.p_value, np.maximum(above, below), rtol=1e-9)
    interval = stats.ttest_ind(other, reference, equal_var=False).confidence_interval(1 - 2 * 0.03)
    np.testing.assert_allclose(0.6 * result.low, interval.low, rtol=1e-9)
    np.testing.assert_allclose(0.6 * result.high, interval.high, rtol=1e-9)
    np.testing.assert_array_equal(result.passed, (interval.low > -0.6) & (interval.high < 0.6))


@pytest.mark.parametrize("up", [1, -1])
def test_progress_is_a_test_of_one_linear_combination(up):
    """ȳ_t − x̄_t ∓ m |x̄_T − x̄_0| compares y_t with x_t ± m sign (x_T − x_0), replica by replica."""
    generator = np.random.default_rng(3)
    reference, other = up * falling(generator, 4000), up * falling(generator, 9000) + 0.5
    result = margin_test(reference, other, margin=Margin(0.2, "progress"), alpha=0.05)
    moved = -up * 0.2 * (reference[:, -1:] - reference[:, :1])
    above = stats.ttest_ind(other, reference + moved, equal_var=False).statistic[1:]
    below = stats.ttest_ind(other, reference - moved, equal_var=False).statistic[1:]
    direct = np.maximum(stats.norm.cdf(above), stats.norm.sf(below))
    np.testing.assert_allclose(stats.norm.isf(result.p_value[1:]), stats.norm.isf(direct), rtol=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("many_repetitions")
@pytest.mark.parametrize("side", [1, -1])
def test_level_of_a_margin_in_progress(side):
    """A gap of half the progress at the last time: the error of the progress is the error of the reference."""
    generator, repetitions, passed, known = np.random.default_rng(4), 1000, 0, 0
    for _ in range(repetitions):
        reference, other = falling(generator, 60), falling(generator, 240)
        other[:, -1] += side * 1.5
        passed += margin_test(reference, other, margin=Margin(0.5, "progress"), alpha=0.05).passed[-1]
        known += margin_test(
            reference,
            other,
            margin=Margin(0.5 * float(-np.diff(reference.mean(axis=0)[[0, -1]])[0]), "absolute"),
            alpha=0.05,
        ).passed[-1]
    tolerance = 3 * math.sqrt(0.05 * 0.95 / repetitions)
    assert abs(passed / repetitions - 0.05) < tolerance, passed
    assert abs(known / repetitions - 0.05) > tolerance, known  # as if the progress were known


def test_no_progress_is_no_margin_and_missing_replicas_are_left_out():
    generator = np.random.default_rng(5)
    flat = np.ones((20, 3))
    assert not margin_test(flat, flat, margin=Margin(0.5, "progress"), alpha=0.05).passed.any()
    reference, other = falling(generator, 300), falling(generator, 300)
    reference[:5, 2:] = np.nan
    result = margin_test(reference, other, margin=Margin(0.4, "progress"), alpha=0.05)
    assert result.passed.all()
    size = 0.4 * abs(np.nanmean(reference[:, -1]) - 5.0)
    gap = other[:, 2].mean() - np.nanmean(reference[:, 2])
    assert result.standardized[2] == pytest.approx(gap / size, rel=1e-9)


def test_margins_by_name():
    margins = as_margins({"loss": 0.3, "accuracy": Margin(0.01, "absolute"), "unused": 1}, {"loss": 0, "accuracy": 0})
    assert margins == {"loss": Margin(0.3), "accuracy": Margin(0.01, "absolute")}
    assert as_margins(0.5, {"a": 0, "b": 0}) == {"a": Margin(0.5), "b": Margin(0.5)}
    assert [str(Margin(0.5)), str(Margin(2, "progress"))] == ["0.5 SD", "2 of the progress"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Margin(-0.5), "margin is -0.5"),
        (lambda: Margin(float("inf")), "margin is inf"),
        (lambda: Margin(0.5, "percent"), "percent"),
        (lambda: as_margins({"loss": 0.3}, {"loss": 0, "accuracy": 0}), "margin has none for .accuracy"),
        (lambda: as_margins("wide", {"loss": 0}), "wide"),
        (lambda: margin_test(np.ones((3, 2)), np.ones((3, 2)), margin=Margin(1.0), alpha=2), "alpha is 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    refused(call, message)
