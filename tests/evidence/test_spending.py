"""Levels of several looks: published boundaries, one look, and simulated Brownian motion."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.evidence import nominal_levels, pocock_spending
from tests.refusals import refused

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def o_brien_fleming(alpha, fraction):
    return 4 * stats.norm.sf(stats.norm.isf(alpha / 4) / math.sqrt(fraction))


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # As of DeMets & Lan 1994, Statist. Med. 13, and of the programs ld98 and gsDesign.
        (pocock_spending, (2.438, 2.427, 2.410, 2.397, 2.386)),
        (o_brien_fleming, (4.877, 3.357, 2.680, 2.290, 2.031)),
    ],
)
def test_published_boundaries_of_five_looks(spending, published):
    levels = nominal_levels(FIFTHS, alpha=0.05, sides=2, spending=spending)
    np.testing.assert_allclose(stats.norm.isf(levels / 2), published, atol=6e-4)


@pytest.mark.parametrize("sides", [1, 2])
def test_one_look_is_the_whole_level(sides):
    assert nominal_levels([1.0], alpha=0.03, sides=sides)[0] == pytest.approx(0.03, rel=1e-9)
    assert nominal_levels([0.4], alpha=0.03, sides=sides)[0] == pytest.approx(pocock_spending(0.03, 0.4), rel=1e-9)


def test_later_looks_do_not_change_earlier_levels():
    np.testing.assert_allclose(nominal_levels(FIFTHS[:3]), nominal_levels(FIFTHS)[:3], rtol=1e-12)


def test_of_two_looks_the_second_is_a_gaussian_in_two_dimensions():
    levels = nominal_levels([0.3, 1.0], alpha=0.05)
    bounds = stats.norm.isf(levels)
    correlation = math.sqrt(0.3)
    law = stats.multivariate_normal(np.zeros(2), [[1, correlation], [correlation, 1]])
    assert 1 - law.cdf(bounds) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("fractions", [(0.25, 0.5, 0.75, 1.0), (0.05, 0.1, 0.9, 0.95)])
def test_brownian_motion_crosses_as_often_as_is_spent(sides, fractions):
    generator, paths = np.random.default_rng(0), 400_000
    steps = np.sqrt(np.diff([0.0, *fractions])) * generator.standard_normal((paths, len(fractions)))
    statistics = np.cumsum(steps, axis=1) / np.sqrt(fractions)
    if sides == 2:
        statistics = np.abs(statistics)
    bounds = stats.norm.isf(nominal_levels(fractions, sides=sides) / sides)
    so_far = np.logical_or.accumulate(statistics > bounds, axis=1).mean(axis=0)
    spent = np.array([pocock_spending(0.05, t) for t in fractions])
    assert np.all(np.abs(so_far - spent) < 4 * np.sqrt(spent * (1 - spent) / paths)), (so_far, spent)
    unadjusted = np.any(statistics > stats.norm.isf(0.05 / sides), axis=1).mean()
    assert unadjusted > 0.08  # what looking for nothing costs


def test_where_nothing_may_be_spent_the_level_is_zero():
    levels = nominal_levels([0.5, 1.0], spending=lambda alpha, t: alpha if t == 1 else 0.0)
    assert levels[0] == 0.0
    assert levels[1] == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nominal_levels([]), r"fractions are \[\]"),
        (lambda: nominal_levels([0.5, 0.5]), r"fractions are \[0.5, 0.5\]"),
        (lambda: nominal_levels([0.5, 1.5]), "up to 1"),
        (lambda: nominal_levels([0.0, 1.0]), "fractions are"),
        (lambda: nominal_levels([float("nan")]), "fractions are"),
        (lambda: nominal_levels([1.0], sides=3), "sides is 3"),
        (lambda: nominal_levels([1.0], alpha=5), "alpha is 5"),
    ],
)
def test_bad_input_is_refused(call, message):
    refused(call, message)
