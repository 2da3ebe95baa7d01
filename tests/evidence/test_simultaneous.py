"""Intervals for all times at once: closed forms of the bound, and the coverage of the gap at the worst time."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.evidence import equivalence_test, nominal_levels, simultaneous_level
from tests.refusals import refused

FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def processes(generator, replicas, times, correlation):
    """Stationary Gauss–Markov in time, mean 0, variance 1."""
    steps = generator.standard_normal((replicas, times))
    values = np.empty_like(steps)
    values[:, 0] = steps[:, 0]
    for k in range(1, times):
        values[:, k] = correlation * values[:, k - 1] + math.sqrt(1 - correlation**2) * steps[:, k]
    return values


def crossings(correlation, fractions, bound):
    """(looks, paths): whether the largest of simulated Brownian motions, of this correlation, is beyond the bound."""
    generator = np.random.default_rng(0)
    factor = np.linalg.cholesky(correlation)
    steps = np.sqrt(np.diff([0.0, *fractions]))[:, None, None] * generator.standard_normal(
        (len(fractions), 200_000, len(factor))
    )
    paths = np.cumsum(steps @ factor.T, axis=0) / np.sqrt(np.array(fractions))[:, None, None]
    return np.abs(paths).max(axis=2) > bound


def test_independent_times_are_sidaks():
    generator = np.random.default_rng(1)
    reference, other = processes(generator, 4000, 12, 0.0), processes(generator, 9000, 12, 0.0)
    level = simultaneous_level(reference, other)
    # The bound is an order statistic of 100 000 draws, 5000 beyond it.
    assert level == pytest.approx(1 - 0.95 ** (1 / 12), rel=4 / math.sqrt(5000) + 0.02)


def test_one_time_many_times_over_is_one_time():
    generator = np.random.default_rng(2)
    reference, other = generator.standard_normal((50, 1)), generator.standard_normal((200, 1))
    one = simultaneous_level(reference, other, FRACTIONS)
    assert one == pytest.approx(nominal_levels(FRACTIONS, sides=2)[-1], rel=4 / math.sqrt(850))
    many = simultaneous_level(np.tile(reference, 7) * np.arange(1, 8), np.tile(other, 7) * np.arange(1, 8), FRACTIONS)
    assert many == pytest.approx(one, rel=4 / math.sqrt(850))


def test_the_correlation_is_that_of_the_difference_of_the_means():
    """Times 1 and 2 are copies in the reference and independent in the other, the scarcer and so the noisier one."""
    generator = np.random.default_rng(3)
    reference = np.repeat(generator.standard_normal((9000, 1)), 2, axis=1)
    other = generator.standard_normal((3000, 2))
    level = simultaneous_level(reference, other)
    correlation = (1 / 9000) / (1 / 9000 + 1 / 3000)
    bound = stats.norm.isf(level / 2)
    law = stats.multivariate_normal(np.zeros(2), [[1, correlation], [correlation, 1]])
    assert 1 - law.cdf([bound, bound], lower_limit=[-bound, -bound]) == pytest.approx(0.05, rel=4 / math.sqrt(5000))


@pytest.mark.slow
def test_maxima_of_several_looks_exceed_a_level_that_was_corrected_for_the_times_alone():
    generator = np.random.default_rng(4)
    reference, other = processes(generator, 4000, 12, 0.5), processes(generator, 9000, 12, 0.5)
    correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    levels = [simultaneous_level(reference, other, FRACTIONS[: k + 1]) for k in range(4)]
    naive = [simultaneous_level(reference, other, alpha=a) for a in nominal_levels(FRACTIONS, sides=2)]

    def total(pointwise):
        bounds = stats.norm.isf(np.array(pointwise) / 2)[:, None]
        return np.mean(crossings(correlation, FRACTIONS, bounds).any(axis=0))

    assert total(levels) == pytest.approx(0.05, abs=0.0025)
    assert total(naive) > 0.053


@pytest.mark.slow
@pytest.mark.usefixtures("many_repetitions")
def test_coverage_of_the_gap_at_the_time_that_the_data_picked():
    """0.3 standard deviations at each of twelve times, two looks, the first of which ends it if its worst gap is large.

    Pointwise intervals of 95 % miss the gap at the worst time far more often.
    """
    generator, repetitions = np.random.default_rng(5), 500
    covered = pointwise = 0
    for _ in range(repetitions):
        reference, other = processes(generator, 80, 12, 0.5), processes(generator, 240, 12, 0.5) + 0.3
        for fractions, n in (((0.5,), 40), ((0.5, 1.0), 80)):
            one, two = reference[:n], other[: 3 * n]
            level = simultaneous_level(one, two, fractions, draws=4000)
            test = equivalence_test(one, two, alpha=level / 2)
            worst = int(np.argmax(np.abs(test.standardized)))
            if abs(test.standardized[worst]) > 0.55:
                break
        covered += test.low[worst] < 0.3 < test.high[worst]
        alone = equivalence_test(one, two, alpha=0.025)
        pointwise += alone.low[worst] < 0.3 < alone.high[worst]
    assert covered / repetitions > 0.95 - 3 * math.sqrt(0.05 * 0.95 / repetitions), covered
    assert pointwise / repetitions < 0.85, pointwise


def test_missing_replicas_and_constant_times_are_left_out():
    generator = np.random.default_rng(6)
    reference, other = processes(generator, 3000, 4, 0.5), processes(generator, 3000, 4, 0.5)
    plain = simultaneous_level(reference, other)
    start = np.full((3000, 1), 2.5)
    assert simultaneous_level(np.hstack([start, reference]), np.hstack([start, other])) == pytest.approx(plain)
    lost = reference.copy()
    lost[:60, 2:] = np.nan
    lost[60:, 3][:-1] = np.nan  # a single replica is left: no interval there
    assert simultaneous_level(lost, other) == pytest.approx(
        simultaneous_level(reference[:, :3], other[:, :3]), rel=4 / math.sqrt(5000)
    )
    assert simultaneous_level(start, start, FRACTIONS) == nominal_levels(FRACTIONS, sides=2)[-1]
    assert simultaneous_level(1e-200 * reference, 1e-200 * other) == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simultaneous_level(np.ones((3, 2)), np.ones((3, 4))), "same times"),
        (lambda: simultaneous_level(np.ones((3, 2)), np.ones((3, 2)), (0.5, 0.2)), "fractions are"),
        (lambda: simultaneous_level(np.ones((3, 2)), np.ones((3, 2)), alpha=2), "alpha is 2"),
        (lambda: simultaneous_level(np.ones((3, 2)), np.ones((3, 2)), draws=0), "draws is 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    refused(call, message)
