"""The family-wise error of Holm and max-|t|, at its nominal level, and what each must find."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence import difference_p_values, holm, max_t, unpaired_difference
from sdesgd.evidence.multiplicity import WelchStatistics

LEVEL, PERMUTATIONS = 0.05, 199


def tolerance(repetitions, nominal=LEVEL):
    return 4 * math.sqrt(nominal * (1 - nominal) / repetitions)


def walks(generator, law, replicas, times):
    """Trajectories: sums of independent steps, so the columns are strongly correlated."""
    if law == "gaussian":
        steps = generator.standard_normal((replicas, times))
    else:
        steps = generator.exponential(size=(replicas, times)) - 1.0
    return np.cumsum(steps, axis=1)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; made monotone: 0.06 last.
    adjusted = holm([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, np.nan, 0.06, 0.02], rtol=1e-12)
    np.testing.assert_allclose(holm([[0.5], [0.6]]), [[1.0], [1.0]])
    assert holm([]).shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["gaussian", "exponential"])
def test_max_t_level_of_one_law_against_itself(law):
    generator, repetitions = np.random.default_rng(21), 1000
    rejections = 0
    for repetition in range(repetitions):
        a, b = walks(generator, law, 20, 8), walks(generator, law, 25, 8)
        rejections += max_t(a, b, permutations=PERMUTATIONS, seed=repetition).min() <= LEVEL
    assert abs(rejections / repetitions - LEVEL) < tolerance(repetitions), rejections


@pytest.mark.slow
def test_max_t_level_with_replicas_that_diverge():
    """A replica is lost once it strays: which ones are missing depends on their values."""
    generator, repetitions = np.random.default_rng(22), 1000
    rejections = 0
    for repetition in range(repetitions):
        arms = []
        for _ in range(2):
            arm = walks(generator, "exponential", 20, 8)
            arm[np.maximum.accumulate(np.abs(arm), axis=1) > 3.5] = np.nan
            arms.append(arm)
        rejections += np.nanmin(max_t(*arms, permutations=PERMUTATIONS, seed=repetition)) <= LEVEL
    assert abs(rejections / repetitions - LEVEL) < tolerance(repetitions), rejections


@pytest.mark.slow
def test_max_t_level_with_equal_means_and_unequal_variances():
    """Studentizing is what saves the level; the plain difference of means would be far above it."""
    generator, repetitions = np.random.default_rng(23), 600
    rejections = plain = 0
    for repetition in range(repetitions):
        a, b = 4.0 * walks(generator, "gaussian", 25, 3), walks(generator, "gaussian", 75, 3)
        rejections += max_t(a, b, permutations=PERMUTATIONS, seed=repetition).min() <= LEVEL
        pooled = np.concatenate([a, b])[:, 0]
        shuffled = generator.permuted(np.tile(pooled, (PERMUTATIONS, 1)), axis=1)
        differences = np.abs(shuffled[:, :25].mean(axis=1) - shuffled[:, 25:].mean(axis=1))
        as_extreme = np.sum(differences >= abs(a[:, 0].mean() - b[:, 0].mean()))
        plain += (1 + as_extreme) / (1 + PERMUTATIONS) <= LEVEL
    assert abs(rejections / repetitions - LEVEL) < tolerance(repetitions), rejections
    assert plain / repetitions > LEVEL + tolerance(repetitions), plain


@pytest.mark.parametrize("law", ["gaussian", "exponential"])
def test_holm_level_and_that_no_correction_would_miss_it(law):
    generator, repetitions, times = np.random.default_rng(24), 1000, 8
    a, b = (np.stack([walks(generator, law, 40, times) for _ in range(repetitions)], axis=1) for _ in range(2))
    p_values = difference_p_values(unpaired_difference(a, b))
    corrected = np.mean([holm(row).min() <= LEVEL for row in p_values])
    assert corrected <= LEVEL + tolerance(repetitions), corrected
    assert corrected > 0.005
    assert np.mean(p_values.min(axis=1) <= LEVEL) > LEVEL + tolerance(repetitions)


def test_max_t_gains_on_holm_where_columns_are_correlated():
    generator = np.random.default_rng(25)
    found = {"max_t": 0, "holm": 0}
    for repetition in range(100):
        shared = generator.standard_normal((2, 30, 1))
        a, b = shared + 0.1 * generator.standard_normal((2, 30, 40)) + np.array([0.75, 0.0])[:, None, None]
        found["max_t"] += max_t(a, b, permutations=PERMUTATIONS, seed=repetition).min() <= LEVEL
        found["holm"] += holm(difference_p_values(unpaired_difference(a, b))).min() <= LEVEL
    assert found["max_t"] > found["holm"] + 15, found


def test_max_t_in_one_column_is_a_permutation_welch_test():
    generator = np.random.default_rng(26)
    a, b = generator.standard_normal(9), generator.standard_normal(12) + 0.8

    def statistic(x, y, axis):
        return np.abs(stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic)

    oracle = stats.permutation_test(
        (a, b), statistic, vectorized=True, n_resamples=20_000, alternative="greater", rng=generator
    )
    ours = float(max_t(a, b, permutations=20_000, seed=1))
    assert abs(ours - oracle.pvalue) < 4 * math.sqrt(2 * ours * (1 - ours) / 20_000)


def test_statistics_are_over_the_finite_replicas():
    generator = np.random.default_rng(29)
    columns = generator.standard_normal((40, 3)) + np.arange(40)[:, None] / 20
    columns[::3, 1] = np.nan
    columns[1:40, 2] = np.nan
    labels = np.stack([np.arange(40) < 15, np.arange(40) % 4 == 0]).astype(float)
    ours = WelchStatistics(columns)(labels)
    for row, label in zip(ours, labels == 1, strict=True):
        expected = stats.ttest_ind(
            columns[label, :2], columns[~label, :2], equal_var=False, nan_policy="omit"
        ).statistic
        np.testing.assert_allclose(row, [*np.abs(expected), 0.0], rtol=1e-10)


def test_max_t_finds_the_shifted_column_and_leaves_the_rest():
    generator = np.random.default_rng(27)
    a, b = generator.standard_normal((2, 50, 3, 4))
    b[:, 1, 2] += 3.0
    p_values = max_t(a, b, permutations=999, seed=0)
    assert p_values.shape == (3, 4)
    assert p_values[1, 2] == 0.001
    assert np.sum(p_values <= LEVEL) == 1
    np.testing.assert_array_equal(p_values, max_t(a, b, permutations=999, seed=0))


def test_max_t_excludes_the_common_start_and_ignores_scale():
    generator = np.random.default_rng(28)
    a, b = generator.standard_normal((2, 30, 5))
    plain = max_t(a, b, permutations=99, seed=3)
    start = np.full((30, 1), 0.1)
    scales = np.array([1.0, 1e-9, 1e9, 1.0, 1.0])
    wider = max_t(np.hstack([start, scales * a]), np.hstack([start, scales * b]), permutations=99, seed=3)
    assert math.isnan(wider[0])
    np.testing.assert_array_equal(wider[1:], plain)
    # The same start computed twice in single precision differs in its last bit; a real difference stays.
    single = np.hstack([start, a]).astype(np.float32)
    nudged = np.hstack([np.nextafter(np.float32(0.1), np.float32(1)) * np.ones((30, 1)), b]).astype(np.float32)
    assert math.isnan(max_t(single, nudged, permutations=99, seed=3)[0])
    nudged[:, 0] = np.float32(0.1001)
    assert max_t(single, nudged, permutations=99, seed=3)[0] == 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: holm([0.5, 1.5]), "1.5"),
        (lambda: max_t(np.zeros((1, 2)), np.zeros((5, 2)), seed=0), "1 and 5 replicas"),
        (lambda: max_t(np.zeros((5, 2)), np.ones((5, 2)), permutations=0, seed=0), "permutations is 0"),
        (lambda: max_t(np.zeros((5, 2)), np.zeros((5, 3)), seed=0), "same times"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
