"""TOST: its level with a shift planted at the margin, its power, and the algebra of the delta method."""

import math

import numpy as np
import pytest
from scipy import stats

from sdesgd.errors import InputError
from sdesgd.evidence import (
    equivalence_test,
    mean,
    paired_difference,
    paired_equivalence_test,
    replicas_needed,
    replicas_to_detect,
    unpaired_difference,
)

LEVEL = 0.05


def draw(generator, law, shape):
    """Standardized replicas: mean 0, variance 1; 'gamma' has skewness 1 and kurtosis 4.5."""
    if law == "gaussian":
        return generator.standard_normal(shape)
    return (generator.gamma(4.0, size=shape) - 4.0) / 2.0


def within(rate, nominal, repetitions):
    return abs(rate - nominal) < 4 * math.sqrt(nominal * (1 - nominal) / repetitions)


@pytest.mark.parametrize(
    ("law", "margin", "replicas", "repetitions"),
    [
        ("gaussian", 0.5, 69, 4000),
        ("gaussian", 1.5, 100, 2000),
        ("gamma", 0.5, 100, 4000),
        ("gamma", 1.0, 1000, 2000),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_level_with_a_shift_planted_at_the_margin(law, margin, replicas, repetitions, side):
    generator = np.random.default_rng(11)
    # In units of 3: the margin is in the reference's standard deviations, not in plain units.
    reference = 3.0 * draw(generator, law, (replicas, repetitions))
    other = 3.0 * (draw(generator, law, (replicas, repetitions)) + side * margin)
    rate = equivalence_test(reference, other, margin=margin, alpha=LEVEL).passed.mean()
    assert within(rate, LEVEL, repetitions), rate


@pytest.mark.parametrize("side", [1, -1])
def test_small_skewed_samples_err_on_the_cautious_side(side):
    generator = np.random.default_rng(13)
    reference, other = draw(generator, "gamma", (2, 60, 4000))
    rate = equivalence_test(reference, other + side, margin=1.0).passed.mean()
    assert 0.5 * LEVEL < rate <= LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / 4000), rate


@pytest.mark.parametrize(("law", "margin", "replicas"), [("gaussian", 1.5, 100), ("gamma", 1.0, 200)])
def test_the_margin_taken_as_known_would_miss_the_level(law, margin, replicas):
    generator = np.random.default_rng(11)
    reference = draw(generator, law, (replicas, 2000))
    other = draw(generator, law, (replicas, 2000)) + margin
    difference = unpaired_difference(other, reference)
    edge = margin * reference.std(axis=0, ddof=1)
    statistic = (difference.mean - edge) / difference.standard_error
    rate = np.mean(stats.t.cdf(statistic, difference.degrees_of_freedom) <= LEVEL)
    assert not within(rate, LEVEL, 2000), rate


def test_delta_method_matches_the_moment_formula():
    generator = np.random.default_rng(3)
    reference, other = generator.gamma(2.0, size=400), generator.standard_normal(300) + 2.2
    margin = 0.7
    result = equivalence_test(reference, other, margin=margin)
    n, s = len(reference), reference.std(ddof=1)
    centred = reference - reference.mean()
    second, third, fourth = ((centred**k).mean() for k in (2, 3, 4))
    variance_d = reference.var(ddof=1) / n + other.var(ddof=1) / len(other)
    variance_s = (fourth - second**2) / (4 * n * second)
    covariance = -third / (2 * s * n)
    d = other.mean() - reference.mean()
    p_values = [
        stats.norm.cdf((d - margin * s) / math.sqrt(variance_d + margin**2 * variance_s - 2 * margin * covariance)),
        stats.norm.sf((d + margin * s) / math.sqrt(variance_d + margin**2 * variance_s + 2 * margin * covariance)),
    ]
    # Student against Gauss, n − 1 against n: equal to a per cent at this size.
    assert float(result.p_value) == pytest.approx(max(p_values), rel=0.05)
    assert float(result.standardized) == pytest.approx(d / s, rel=1e-12)


def test_interval_inverts_the_test():
    generator = np.random.default_rng(4)
    reference, other = generator.gamma(2.0, size=(40, 300)), generator.gamma(2.0, size=(25, 300)) + 0.3
    result = equivalence_test(reference, other, margin=0.5)
    inside = (result.low > -0.5) & (result.high < 0.5)
    assert 20 < inside.sum() < 280
    np.testing.assert_array_equal(inside, result.passed)
    np.testing.assert_array_equal(inside, result.p_value <= LEVEL)
    # The same at the interval's own edge: there the p-value is alpha.
    edge = float(result.high[7])
    assert edge > abs(float(result.low[7]))
    at_edge = equivalence_test(reference, other, margin=edge)
    assert float(at_edge.p_value[7]) == pytest.approx(LEVEL, rel=1e-9)


def test_paired_interval_inverts_the_paired_test():
    generator = np.random.default_rng(5)
    reference = generator.standard_normal((30, 200))
    other = reference + 0.4 + 0.3 * generator.standard_normal((30, 200))
    difference = paired_difference(other, reference)
    result = paired_equivalence_test(difference, reference, margin=0.6)
    inside = (result.low > -0.6) & (result.high < 0.6)
    assert 20 < inside.sum() < 180
    np.testing.assert_array_equal(inside, result.passed)
    mirrored = paired_equivalence_test(paired_difference(reference, other), reference, margin=0.6)
    np.testing.assert_allclose(mirrored.high, -result.low, rtol=1e-12)


@pytest.mark.parametrize("coupling", [0.0, 0.9, -0.9])
def test_paired_level_holds_whatever_the_coupling(coupling):
    """The covariance of d with s is not known to the test: its level must hold for either sign."""
    generator = np.random.default_rng(6)
    replicas, repetitions, margin = 100, 4000, 0.5
    reference = draw(generator, "gamma", (replicas, repetitions))
    own = 0.05 * generator.standard_normal((replicas, repetitions))
    difference = mean(margin + 0.2 * coupling * reference + own)
    rate = paired_equivalence_test(difference, reference, margin=margin).passed.mean()
    assert rate <= LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / repetitions), rate


def test_pairing_decides_what_independent_arms_cannot():
    generator = np.random.default_rng(7)
    reference = generator.standard_normal((20, 50))
    other = reference + 0.2 + 0.02 * generator.standard_normal((20, 50))
    assert paired_equivalence_test(paired_difference(other, reference), reference).passed.all()
    assert not equivalence_test(reference, other).passed.any()


def test_untestable_and_constant_columns():
    generator = np.random.default_rng(8)
    reference, other = generator.standard_normal((2, 300, 3))
    reference[:, 0] = 1.0
    reference[1:, 1] = np.nan
    result = equivalence_test(reference, other)
    assert result.p_value[0] == 1.0
    assert math.isnan(result.p_value[1])
    assert result.passed.tolist() == [False, False, True]
    paired = paired_equivalence_test(paired_difference(other, reference), reference)
    assert paired.passed.tolist() == [False, False, True]


def test_replicas_needed():
    """The classical 69 and 275 (σ known: 2·((1.645 + 1.282)/m)²) times 1 + m²/4 for the estimated margin."""
    assert replicas_needed(0.5) == math.ceil(68.51 * (1 + 0.25 / 4)) == 73
    assert replicas_needed(0.25) == math.ceil(274.05 * (1 + 0.0625 / 4)) == 279
    assert replicas_needed(0.5, difference=0.5) == math.inf
    assert replicas_needed(0.5, difference=-0.7) == math.inf
    assert replicas_needed(0.5, difference=-0.2) == replicas_needed(0.5, difference=0.2) > 73
    # Two-sided, 5 %, 80 %: the textbook's 63 an arm for half a standard deviation.
    assert replicas_to_detect(0.5) == replicas_to_detect(-0.5) == 63
    assert replicas_to_detect(0.0) == math.inf


@pytest.mark.parametrize(
    ("margin", "difference", "power"), [(0.5, 0.0, 0.8), (0.5, 0.25, 0.8), (0.5, -0.1, 0.9), (1.0, 0.0, 0.8)]
)
def test_power_is_as_promised(margin, difference, power):
    """The rate of passed tests at the promised number (within 0.01 for rounding up and t), and its fall below it."""
    generator, repetitions = np.random.default_rng(10), 5000
    replicas = replicas_needed(margin, difference=difference, power=power)

    def rate(count):
        reference, other = generator.standard_normal((2, count, repetitions))
        return equivalence_test(reference, other + difference, margin=margin).passed.mean()

    assert abs(rate(replicas) - power) < 0.01 + 4 * math.sqrt(power * (1 - power) / repetitions)
    assert rate(round(0.85 * replicas)) < power - 0.02


def test_power_of_the_difference_test():
    generator, repetitions = np.random.default_rng(12), 5000
    a, b = generator.standard_normal((2, replicas_to_detect(0.5), repetitions))
    difference = unpaired_difference(a + 0.5, b)
    low, high = difference.interval()
    assert within(np.mean((low > 0) | (high < 0)), 0.8, repetitions)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equivalence_test(np.zeros((3, 2)), np.zeros((3, 2)), margin=-0.5), "margin is -0.5"),
        (lambda: equivalence_test(np.zeros((3, 2)), np.zeros((3, 2)), alpha=5.0), "alpha is 5.0"),
        (lambda: equivalence_test(np.zeros((3, 2)), np.zeros((3, 4))), "same times"),
        (lambda: paired_equivalence_test(mean(np.zeros((3, 2))), np.zeros((3, 4))), r"\(2,\).*\(4,\)"),
        (lambda: replicas_needed(0.5, power=1.0), "power is 1.0"),
        (lambda: replicas_needed(0.5, difference=math.nan), "nan"),
        (lambda: replicas_to_detect(math.nan), "nan"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
