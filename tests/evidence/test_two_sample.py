"""The energy test against its definition and scipy, its level, and what it sees that means do not."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence import energy_test, unpaired_difference

LEVEL = 0.05
ROTATED = np.array([[1.0, 0.0], [0.9, math.sqrt(1 - 0.9**2)]])


def test_statistic_is_the_definition():
    generator = np.random.default_rng(31)
    a, b = generator.standard_normal((7, 3)), generator.standard_normal((5, 3)) + 1.0

    def average(x, y):
        return np.mean([[np.linalg.norm(p - q) for q in y] for p in x])

    expected = 7 * 5 / 12 * (2 * average(a, b) - average(a, a) - average(b, b))
    assert energy_test(a, b, permutations=9, seed=0).statistic == pytest.approx(expected, rel=1e-12)


def test_statistic_in_one_dimension_is_scipys():
    generator = np.random.default_rng(32)
    a, b = generator.standard_normal(40), generator.gamma(2.0, size=60)
    ours = energy_test(a[:, None], b[:, None], permutations=9, seed=0).statistic
    assert ours == pytest.approx(40 * 60 / 100 * stats.energy_distance(a, b) ** 2, rel=1e-10)


def test_p_values_are_uniform_when_the_laws_are_equal():
    generator, repetitions = np.random.default_rng(33), 600
    p_values = np.array(
        [
            energy_test(*generator.exponential(size=(2, 15, 2)), permutations=99, seed=repetition).p_value
            for repetition in range(repetitions)
        ]
    )
    for level in (0.05, 0.2, 0.5, 0.8):
        error = math.sqrt(level * (1 - level) / repetitions)
        assert abs(np.mean(p_values <= level) - level) < 4 * error, level


def test_sees_a_difference_in_the_covariance_alone():
    generator, repetitions = np.random.default_rng(34), 40
    found = seen_in_a_mean = 0
    for repetition in range(repetitions):
        a, b = generator.standard_normal((2, 150, 2))
        b = b @ ROTATED.T  # correlation 0.9; both margins stay standard Gaussian
        found += energy_test(a, b, permutations=199, seed=repetition).p_value <= LEVEL
        low, high = unpaired_difference(a, b).interval(0.975)
        seen_in_a_mean += bool(np.any((low > 0) | (high < 0)))
    assert found >= 36, found
    assert seen_in_a_mean < 10, seen_in_a_mean


def test_standardizing_makes_units_immaterial():
    generator = np.random.default_rng(35)
    a, b = generator.standard_normal((2, 60, 3))
    b[:, 2] += 1.0
    a[:, 0] = b[:, 0] = 5.0  # a constant dimension has no deviation to divide by
    units = np.array([1.0, 1e4, 1.0])
    plain = energy_test(units * a, units * b, permutations=199, seed=1)
    scaled = energy_test(units * a, units * b, permutations=199, seed=1, standardize=True)
    assert scaled.statistic == pytest.approx(
        energy_test(a, b, permutations=199, seed=1, standardize=True).statistic, rel=1e-9
    )
    assert scaled.p_value <= 0.01 < 0.1 < plain.p_value


def test_identical_clouds_are_not_different():
    points = np.random.default_rng(36).standard_normal((20, 2))
    assert energy_test(points, points[::-1], permutations=199, seed=0).p_value == 1.0


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros(5), np.zeros(5), r"values\[:, None\]"),
        (np.zeros((5, 2)), np.zeros((1, 2)), r"\(1, 2\)"),
        (np.full((5, 2), np.nan), np.zeros((5, 2)), "5 of 10 points"),
    ],
)
def test_bad_input_is_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        energy_test(a, b, seed=0)
