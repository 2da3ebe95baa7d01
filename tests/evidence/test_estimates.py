"""Means and differences against scipy's own t-tests, exact tests and hand-worked numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence import (
    difference_p_values,
    mean,
    paired_difference,
    rate_difference,
    unpaired_difference,
)


@pytest.fixture
def arms():
    generator = np.random.default_rng(1)
    shared = generator.standard_normal((30, 4))
    a = shared + 0.1 * generator.standard_normal((30, 4)) + np.array([0.0, 0.1, 1.0, -2.0])
    return a, shared


def test_mean_is_scipys_one_sample_interval(arms):
    estimate = mean(arms[0])
    expected = stats.ttest_1samp(arms[0], 0.0).confidence_interval(0.9)
    low, high = estimate.interval(0.9)
    np.testing.assert_allclose(low, expected.low, rtol=1e-12)
    np.testing.assert_allclose(high, expected.high, rtol=1e-12)
    assert estimate.count.tolist() == [30] * 4


def test_paired_difference_is_scipys_paired_test(arms):
    estimate = paired_difference(*arms)
    expected = stats.ttest_rel(*arms)
    np.testing.assert_allclose(estimate.mean / estimate.standard_error, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(estimate.interval()[0], expected.confidence_interval().low, rtol=1e-12)
    np.testing.assert_allclose(difference_p_values(estimate), expected.pvalue, rtol=1e-12)
    # Pairing must pay: the arms share nearly all of their noise.
    assert np.all(estimate.standard_error < 0.2 * unpaired_difference(*arms).standard_error)


def test_unpaired_difference_is_scipys_welch_test(arms):
    a, b = arms[0], 3.0 * arms[1][:11]
    estimate = unpaired_difference(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose(estimate.degrees_of_freedom, expected.df, rtol=1e-12)
    np.testing.assert_allclose(estimate.interval()[1], expected.confidence_interval().high, rtol=1e-12)
    np.testing.assert_allclose(difference_p_values(estimate), expected.pvalue, rtol=1e-12)


def test_tiny_variances_keep_their_degrees_of_freedom(arms):
    scale = 1e-100
    usual, tiny = unpaired_difference(*arms), unpaired_difference(scale * arms[0], scale * arms[1])
    np.testing.assert_allclose(tiny.degrees_of_freedom, usual.degrees_of_freedom, rtol=1e-9)


def test_diverged_replicas_leave_the_mean_and_the_count(arms):
    a = arms[0].copy()
    a[:5, 2:] = np.nan
    a[5, 3] = np.inf
    estimate = mean(a)
    assert estimate.count.tolist() == [30, 30, 25, 24]
    assert estimate.mean[3] == pytest.approx(a[6:, 3].mean(), rel=1e-12)
    assert estimate.standard_error[3] == pytest.approx(stats.sem(a[6:, 3]), rel=1e-12)
    difference = unpaired_difference(a, arms[1])
    expected = stats.ttest_ind(a[5:, 2], arms[1][:, 2], equal_var=False)
    assert difference.degrees_of_freedom[2] == pytest.approx(expected.df, rel=1e-12)
    # A pair is lost with either member.
    assert paired_difference(arms[1], a).count.tolist() == [30, 30, 25, 24]


def test_fewer_than_two_finite_replicas_give_nan_not_a_crash():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    estimate = mean(values)
    assert estimate.count.tolist() == [1, 0]
    assert np.isnan(estimate.mean).all()
    assert np.isnan(estimate.standard_error).all()
    assert np.isnan(estimate.interval()[0]).all()
    assert math.isnan(mean([3.0]).standard_error)


def test_a_constant_column_has_exactly_no_error():
    # 0.1 summed 30 times is not 3.0: a naive variance would not vanish.
    estimate = mean(np.full((30, 2), 0.1))
    assert estimate.mean.tolist() == [0.1, 0.1]
    assert estimate.standard_error.tolist() == [0.0, 0.0]


def test_scalars_and_single_precision():
    estimate = mean(np.array([1.0, 2.0, 3.0], dtype=np.float32))
    assert estimate.mean == 2.0
    assert estimate.standard_error == pytest.approx(1 / math.sqrt(3), rel=1e-15)
    assert estimate.count == 3


def test_the_interval_covers_as_often_as_it_says():
    values = np.random.default_rng(2).standard_normal((12, 20_000))
    low, high = mean(values).interval(0.9)
    covered = np.mean((low < 0) & (high > 0))
    assert abs(covered - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 20_000)


def test_rate_difference_by_hand():
    # Fisher's tea taster: 3 of 4 against 1 of 4; two-sided p = 34/70.
    result = rate_difference(np.array([True, True, True, False]), np.array([True, False, False, False]))
    assert (result.rate_a, result.rate_b) == (0.75, 0.25)
    assert result.p_value == pytest.approx(34 / 70, rel=1e-12)
    # No event in n: the upper Clopper–Pearson limit is 1 − 0.025^(1/n).
    none = rate_difference(np.zeros(40, bool), np.ones(20, bool))
    assert none.interval_a == pytest.approx((0.0, 1 - 0.025 ** (1 / 40)), abs=1e-9)
    assert none.p_value == pytest.approx(1 / math.comb(60, 20), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean(np.zeros((0, 3))), r"shape \(0, 3\)"),
        (lambda: mean(np.array(["a"])), "dtype"),
        (lambda: mean(np.zeros((3, 1))).interval(1.5), "confidence is 1.5"),
        (lambda: paired_difference(np.zeros((3, 2)), np.zeros((4, 2))), "3 replicas and b 4"),
        (lambda: unpaired_difference(np.zeros((3, 2)), np.zeros((3, 5))), r"\(3, 2\).*\(3, 5\)"),
        (lambda: rate_difference(np.array([0.0, np.nan]), np.array([True])), "float64"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
