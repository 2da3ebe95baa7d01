"""Planted orders recovered with the coverage promised, and points that carry no order refused."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence import order_fit

STEPS = np.array([0.4, 0.2, 0.1, 0.05, 0.025])


def coverage(fits, truth):
    return np.mean([fit.low < truth < fit.high for fit in fits])


def noisy(generator, order=1.5, relative=0.08, bend=0.0):
    exact = 0.3 * STEPS**order * np.exp(bend * STEPS)
    return exact + relative * exact * generator.standard_normal(len(STEPS)), relative * exact


def test_exact_power_law_is_recovered_with_its_sign_ignored():
    fit = order_fit(STEPS, -0.3 * STEPS**2.0)
    assert fit.order == pytest.approx(2.0, abs=1e-10)
    assert fit.constant == pytest.approx(0.3, rel=1e-10)
    assert fit.high - fit.low < 1e-8
    assert (fit.count, fit.degrees_of_freedom, fit.chi2, fit.correction) == (5, 3, None, None)


def test_residual_interval_is_scipys_regression():
    errors = 0.3 * STEPS**1.2 * np.exp([0.1, -0.2, 0.05, 0.1, -0.1])
    fit = order_fit(STEPS, errors, confidence=0.9)
    line = stats.linregress(np.log(STEPS), np.log(errors))
    assert fit.order == pytest.approx(line.slope, rel=1e-12)
    half_width = stats.t.ppf(0.95, 3) * line.stderr
    assert fit.low == pytest.approx(line.slope - half_width, rel=1e-10)
    assert fit.high == pytest.approx(line.slope + half_width, rel=1e-10)


@pytest.mark.parametrize("correction", [False, True])
def test_known_errors_cover_as_promised(correction):
    generator, repetitions = np.random.default_rng(41), 1000
    bend = 0.8 if correction else 0.0
    fits = []
    for _ in range(repetitions):
        fits.append(order_fit(STEPS, *noisy(generator, bend=bend), correction=correction))
    # Widening for chance misfit (5 % of fits) can only add to the coverage, and by less than that.
    rate, error = coverage(fits, 1.5), math.sqrt(0.95 * 0.05 / repetitions)
    assert 0.95 - 4 * error < rate < 0.97 + 4 * error, rate
    chi2 = np.array([fit.chi2 for fit in fits])
    freedom = 2 if correction else 3
    assert abs(chi2.mean() - freedom) < 4 * math.sqrt(2 * freedom / repetitions) + 0.1
    assert abs(np.mean([fit.inflated for fit in fits]) - 0.05) < 4 * error


def test_residuals_alone_cover_as_promised():
    generator, repetitions = np.random.default_rng(42), 2000
    fits = [order_fit(STEPS, noisy(generator)[0]) for _ in range(repetitions)]
    assert abs(coverage(fits, 1.5) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / repetitions)


def test_weights_pay_when_errors_differ():
    generator = np.random.default_rng(43)
    relative = np.array([0.005, 0.005, 0.01, 0.1, 0.3])
    exact = STEPS**1.0
    weighted, plain = [], []
    for _ in range(300):
        errors = exact * (1 + relative * generator.standard_normal(5))
        errors = np.where(errors < 0.65 * exact, exact, errors)
        weighted.append(order_fit(STEPS, errors, relative * exact).order)
        plain.append(order_fit(STEPS, errors).order)
    assert np.std(weighted) < 0.3 * np.std(plain)


def test_weighted_fit_is_polyfits():
    generator = np.random.default_rng(46)
    relative = np.array([0.3, 0.02, 0.1, 0.01, 0.2])
    errors = STEPS * (1 + relative * generator.standard_normal(5))
    fit = order_fit(STEPS, errors, relative * errors)
    (slope, level), covariance = np.polyfit(np.log(STEPS), np.log(errors), 1, w=1 / relative, cov="unscaled")
    assert not fit.inflated
    assert fit.order == pytest.approx(slope, rel=1e-10)
    assert fit.constant == pytest.approx(math.exp(level), rel=1e-10)
    assert fit.high - fit.order == pytest.approx(1.959964 * math.sqrt(covariance[0, 0]), rel=1e-6)


def test_misfit_widens_the_interval():
    generator = np.random.default_rng(44)
    errors, standard_errors = noisy(generator, relative=0.01, bend=2.0)
    bent = order_fit(STEPS, errors, standard_errors)
    straight = order_fit(STEPS, errors, standard_errors, correction=True)
    assert bent.inflated
    assert not straight.inflated
    weights = np.abs(errors) / standard_errors
    _, covariance = np.polyfit(np.log(STEPS), np.log(errors), 1, w=weights, cov="unscaled")
    expected = stats.t.ppf(0.975, 3) * math.sqrt(covariance[0, 0] * bent.chi2 / 3)
    assert bent.high - bent.order == pytest.approx(expected, rel=1e-10)
    assert bent.chi2 > 100
    assert straight.low < 1.5 < straight.high
    assert straight.correction == pytest.approx(2.0, abs=0.3)


def test_the_next_term_removes_the_bias_of_the_order():
    errors = STEPS * np.exp(0.9 * STEPS)
    assert abs(order_fit(STEPS, errors).order - 1.0) > 0.05
    fit = order_fit(STEPS, errors, correction=True)
    assert fit.order == pytest.approx(1.0, abs=1e-9)
    assert fit.correction == pytest.approx(0.9, abs=1e-8)


def test_band_covers_the_line_and_is_narrowest_inside():
    generator, repetitions = np.random.default_rng(45), 500
    at = np.array([0.8, 0.1, 0.01])
    inside = np.zeros(3)
    for _ in range(repetitions):
        _, low, high = order_fit(STEPS, *noisy(generator)).band(at)
        truth = 0.3 * at**1.5
        inside += (low < truth) & (truth < high)
    assert np.all(inside / repetitions > 0.95 - 4 * math.sqrt(0.95 * 0.05 / repetitions))
    assert np.argmin(high / low) == 1
    fitted = order_fit(STEPS, STEPS**2.0 * np.exp(STEPS), correction=True).band(at)[0]
    np.testing.assert_allclose(fitted, at**2.0 * np.exp(at), rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: order_fit([0.1, 0.2], [1.0, 2.0]), "2 points.*needs 3"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, 2.0, 4.0], correction=True), "3 points.*needs 4"),
        (lambda: order_fit([0.1, 0.1, 0.1], [1.0, 2.0, 4.0]), "1 different"),
        (lambda: order_fit([0.1, 0.2, -0.4], [1.0, 2.0, 4.0]), "-0.4"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, 0.0, 4.0]), "0 at step size 0.2"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, np.nan, 4.0]), "finite"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, 4.0]), "3 step_sizes and 2 errors"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, 2.0, 4.0], [0.1, 0.1]), "3 errors and 2 standard_errors"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, 2.0, 4.0], [0.1, 0.0, 0.1]), "exact errors pass None"),
        (lambda: order_fit([0.1, 0.2, 0.4], [1.0, -2.0, 4.0], [0.6, 0.1, 0.1]), r"\[0.1\] lie within 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
