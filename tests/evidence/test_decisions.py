"""Verdicts on planted cases: each kind, the common start, divergence, several observables."""

import math

import numpy as np
import pytest

from sdesgd.errors import InputError
from sdesgd.evidence import (
    difference_p_values,
    equivalence_test,
    holm,
    max_t,
    replicas_needed,
    unpaired_difference,
    verdict,
)

METHODS = pytest.mark.parametrize("method", ["max_t", "holm"])


def ensemble(seed, replicas, times=6, shift=0.0):
    """Correlated trajectories of growing variance from one common start of 2.5; `shift` in their own sd."""
    steps = np.random.default_rng(seed).standard_normal((replicas, times))
    steps[:, 0] = 0.0
    values = 2.5 + 0.1 * np.cumsum(steps, axis=1)
    return values + 0.1 * shift * np.sqrt(np.arange(times))


@METHODS
def test_equivalent(method):
    result = verdict(ensemble(1, 300), ensemble(2, 300), method=method)
    assert (result.kind, result.equivalent, result.different) == ("equivalent", True, False)
    assert result.replicas_needed is None
    assert -0.5 < result.interval[0] < result.standardized_difference < result.interval[1] < 0.5
    assert result.sentence().startswith("Equivalent")
    assert "nevertheless" not in result.sentence()


@METHODS
def test_different(method):
    result = verdict(ensemble(1, 100), ensemble(2, 100, shift=1.0), method=method)
    assert (result.kind, result.equivalent, result.different) == ("different", False, True)
    assert result.standardized_difference > 0.5
    assert result.sentence().startswith("Different in the means")


@METHODS
def test_equivalent_with_a_difference_inside_the_margin(method):
    result = verdict(ensemble(1, 2000), ensemble(2, 2000, shift=0.2), method=method)
    assert (result.kind, result.equivalent, result.different) == ("equivalent", True, True)
    assert "a difference inside the margin was nevertheless detected" in result.sentence()


@METHODS
def test_a_large_p_value_is_not_sameness(method):
    result = verdict(ensemble(1, 10), ensemble(2, 10), method=method)
    assert np.nanmin(result.difference_p_values) > 0.2
    assert (result.kind, result.equivalent, result.different) == ("inconclusive", False, False)
    assert f"about {result.replicas_needed} replicas an arm would decide" in result.sentence()


def test_replicas_needed_come_from_the_worst_time():
    reference, other = ensemble(1, 10), ensemble(2, 10)
    result = verdict(reference, other)
    tests = equivalence_test(reference[:, 1:], other[:, 1:])
    worst = 1 + int(np.argmax(tests.p_value))
    assert result.worst_time == worst
    assert result.standardized_difference == pytest.approx(float(tests.standardized[worst - 1]), rel=1e-12)
    # Equal variances would need the table's number; the observed ones scale it.
    variances = [arm[:, worst].var(ddof=1) for arm in (reference, other)]
    excess = (variances[0] + variances[1]) / (2 * variances[0])
    table = replicas_needed(0.5, difference=result.standardized_difference)
    detect = 2 * ((2.5758 + 0.8416) / result.standardized_difference) ** 2  # 5 times: alpha = 0.01
    assert result.replicas_needed == pytest.approx(excess * min(table, detect), rel=0.03)


def test_replicas_needed_is_a_promise_kept():
    """Ten inconclusive pilots, each repeated with the truth their estimate named, are decided."""
    shift = 0.35
    pilot = verdict(ensemble(1, 15, times=2), ensemble(2, 15, times=2, shift=shift))
    assert pilot.kind == "inconclusive"
    scale = pilot.standardized_difference
    decided = 0
    for repetition in range(40):
        a = ensemble(100 + repetition, pilot.replicas_needed, times=2)
        b = ensemble(200 + repetition, pilot.replicas_needed, times=2, shift=scale)
        decided += verdict(a, b, method="holm").kind != "inconclusive"
    assert decided >= 25, decided


@METHODS
def test_the_common_start_counts_neither_way(method):
    reference, other = ensemble(1, 300), ensemble(2, 300)
    with_start = verdict(reference, other, method=method)
    without = verdict(reference[:, 1:], other[:, 1:], method=method)
    assert math.isnan(with_start.difference_p_values[0])
    assert math.isnan(with_start.equivalence_p_values[0])
    np.testing.assert_array_equal(with_start.difference_p_values[1:], without.difference_p_values)
    assert (with_start.kind, with_start.worst_time) == ("equivalent", without.worst_time + 1)


def test_a_constant_reference_is_never_equivalent_to_an_arm_that_varies():
    reference, other = ensemble(1, 300), ensemble(2, 300)
    reference[:, 3] = other[:, 3].mean()
    result = verdict(reference, other)
    assert not result.equivalent
    assert result.worst_time == 3
    assert "the reference does not vary" in result.sentence()
    assert verdict(other, reference).equivalent  # but an arm that keeps to the mean is within the margin


def test_different_constants_are_different():
    start = np.full((40, 1), 2.5)
    same = verdict(np.hstack([start, start]), np.hstack([start, start]))
    assert (same.kind, same.different, same.reason) == ("inconclusive", False, "nothing moved")
    for method in ("max_t", "holm"):
        result = verdict(np.hstack([start, start]), np.hstack([start, start + 1.0]), method=method)
        assert (result.kind, result.worst_time) == ("different", 1)


def test_divergence_alone_makes_arms_different():
    reference, other = ensemble(1, 300), ensemble(2, 300)
    other[:60, 4:] = np.nan
    result = verdict(reference, other, diverged=(np.zeros(300, bool), np.arange(300) < 60))
    assert np.all(equivalence_test(reference[:, 1:], other[:, 1:]).passed)  # the survivors do agree
    assert (result.kind, result.equivalent, result.different) == ("different", False, True)
    assert "Different in the rates of divergence" in result.sentence()
    assert "0% of 300 reference and 20% of 300 other" in result.sentence()


def test_equal_divergence_is_stated_and_halves_the_level():
    reference, other = ensemble(1, 300), ensemble(2, 300)
    reference[:30, 4:] = other[:33, 4:] = np.nan
    diverged = np.arange(300) < 30, np.arange(300) < 33
    result = verdict(reference, other, method="holm", diverged=diverged)
    assert result.kind == "equivalent"
    assert result.divergence.p_value == 1.0
    assert "means are over the replicas not yet diverged" in result.sentence()
    last = verdict(reference[30:], other[33:], method="holm").difference_p_values[5]
    assert result.counts[1] in (267, 300)
    assert result.difference_p_values[5] == pytest.approx(min(1.0, 2 * last), rel=0.5)


def test_too_few_survivors_cannot_be_equivalent():
    reference, other = ensemble(1, 300), ensemble(2, 300)
    reference[1:, 5] = other[1:, 5] = np.nan
    result = verdict(reference, other)
    assert (result.kind, result.worst_time, result.counts) == ("inconclusive", 5, (1, 1))
    assert result.replicas_needed is None
    assert "only 1 and 1 replicas are finite" in result.sentence()


@METHODS
def test_observables_share_the_correction_but_not_the_equivalence(method):
    reference = {"loss": ensemble(1, 300), "norm": ensemble(3, 300, times=4)}
    other = {"loss": ensemble(2, 300), "norm": ensemble(4, 300, times=4, shift=1.0)}
    result = verdict(reference, other, method=method)
    assert (result["loss"].kind, result["norm"].kind) == ("equivalent", "different")
    joint = [np.concatenate([arm["loss"][:, 1:], arm["norm"][:, 1:]], axis=1) for arm in (reference, other)]
    if method == "max_t":
        expected = max_t(*joint, permutations=999, seed=0)
    else:
        expected = holm(difference_p_values(unpaired_difference(*joint)))
    np.testing.assert_allclose(result["loss"].difference_p_values[1:], expected[:5], rtol=1e-9)
    np.testing.assert_allclose(result["norm"].difference_p_values[1:], expected[5:], rtol=1e-9)


@pytest.mark.slow
def test_a_family_of_observables_keeps_its_level():
    """Corrected one by one, eight observables of one law would have one called different in 34 % of cases."""
    generator, repetitions, wrong = np.random.default_rng(51), 80, 0
    for _ in range(repetitions):
        arms = [{name: generator.standard_normal((20, 1)) for name in "abcdefgh"} for _ in range(2)]
        wrong += any(result.different for result in verdict(*arms, method="holm").values())
    assert wrong / repetitions < 0.05 + 4 * math.sqrt(0.05 * 0.95 / repetitions), wrong


def test_margin_is_in_reference_deviations_not_in_units():
    reference, other = ensemble(1, 300), ensemble(2, 300, shift=0.9)
    kinds = {verdict(unit * reference, unit * other).kind for unit in (1e-6, 1.0, 1e6)}
    assert kinds == {"different"}
    assert verdict(reference, other, margin=1.5).equivalent
    # The wider arm as reference: the same difference is a small part of its deviation.
    wide = ensemble(3, 300) + 10 * (ensemble(4, 300) - 2.5)
    assert verdict(wide, other).equivalent
    assert not verdict(other, wide).equivalent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: verdict(x, x, method="welch"), "unknown method 'welch'"),
        (lambda x: verdict(x, x, method="holm", seed=3), "draws nothing"),
        (lambda x: verdict(x, x, permutations=10), "permutations=10"),
        (lambda x: verdict(x[:, 0], x[:, 0]), r"\(replicas, times\)"),
        (lambda x: verdict(x[:1], x), "two or more"),
        (lambda x: verdict({"loss": x}, {"norm": x}), r"\['loss'\].*\['norm'\]"),
        (lambda x: verdict({"loss": x}, x), "two of a kind"),
        (lambda x: verdict({"a": x, "b": x[:5]}, {"a": x, "b": x}), "'b': 5"),
        (lambda x: verdict(x, x[:, :3]), "same times"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(ensemble(1, 10))
