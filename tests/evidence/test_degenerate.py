"""What didn't move, isn't finite or is passed twice is no evidence, and rounding isn't noise."""

import math
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

import sdesgd as sg
from sdesgd.errors import InputError
from sdesgd.evidence import (
    Estimate,
    difference_p_values,
    energy_test,
    equivalence_test,
    in_reference_deviations,
    max_t,
    mean,
    order_fit,
    paired_difference,
    paired_equivalence_test,
    replicas_needed,
    unpaired_difference,
    verdict,
)
from sdesgd.evidence.movement import are_the_same_numbers
from tests.refusals import refused

METHODS = pytest.mark.parametrize("method", ["max_t", "holm"])


def noise(seed, replicas=300, times=4):
    return np.random.default_rng(seed).standard_normal((replicas, times))


def nudged(constant, seed, dtype, shape=(300, 4)):
    """A constant that differs in its last bit from entry to entry."""
    up = np.nextafter(dtype(constant), dtype(np.inf))
    return np.where(np.random.default_rng(seed).random(shape) < 0.5, dtype(constant), up).astype(dtype)


# -- nothing moved, no noise ---------------------------------------------------------------------------------

PATH = np.exp(-np.arange(4.0))
CASES = {
    "a constant": (np.full((300, 4), 2.5), np.full((300, 4), 2.5), "nothing moved"),
    "zero": (np.zeros((300, 4)), np.zeros((300, 4)), "nothing moved"),
    "integers": (np.full((300, 4), 7), np.full((300, 4), 7), "nothing moved"),
    "last bits of float32": (nudged(0.1, 1, np.float32), nudged(0.1, 2, np.float32), "nothing moved"),
    "last bits of float64": (nudged(0.1, 1, np.float64), nudged(0.1, 2, np.float64), "nothing moved"),
    "denormal numbers of float64": (1e-310 * noise(1), 1e-310 * noise(2), "nothing moved"),
    "denormal numbers of float32": (
        (1e-40 * noise(1)).astype(np.float32),
        (1e-40 * noise(2)).astype(np.float32),
        "nothing moved",
    ),
    "two replicas": (np.full((2, 4), 2.5), np.full((2, 4), 2.5), "nothing moved"),
    "one path": (np.tile(PATH, (300, 1)), np.tile(PATH, (200, 1)), "no noise"),
    "one path, with rounding": (
        np.tile(PATH, (300, 1)).astype(np.float32),
        np.tile(PATH * (1 + 2e-6), (300, 1)).astype(np.float32),
        "no noise",
    ),
    "one path that falls to rounding": (
        np.tile([1.0, 0.1, 1e-9], (300, 1)).astype(np.float32),
        np.tile([1.0, 0.1, 3e-9], (300, 1)).astype(np.float32),
        "no noise",
    ),
}


@METHODS
@pytest.mark.parametrize("case", CASES)
def test_what_did_not_move_is_no_evidence(case, method):
    reference, other, reason = CASES[case]
    result = verdict(reference, other, method=method)
    assert (result.kind, result.reason, result.replicas_needed) == ("inconclusive", reason, None)
    assert (result.equivalent, result.different) == (False, False)
    assert np.isnan(result.difference_p_values).all()
    assert np.isnan(result.equivalence_p_values).all()
    begin = {"nothing moved": "Nothing moved: ", "no noise": "No noise: "}[reason]
    assert result.sentence().startswith(begin)


def test_small_numbers_that_do_vary_are_evidence():
    """Above the smallest normal number a verdict doesn't depend on the unit, down to where squares underflow."""
    usual = verdict(noise(1), noise(2))
    assert usual.kind == "equivalent"
    for unit in (1e-300, 1e-200, 1e-160, 1e150, 1e300):
        tiny = verdict(unit * noise(1), unit * noise(2))
        assert (tiny.kind, tiny.interval) == (usual.kind, pytest.approx(usual.interval, rel=1e-9))
        shifted = verdict(unit * noise(1), unit * (noise(2) + 2.0))
        assert (shifted.kind, shifted.difference_p_values.max()) == ("different", 0.001)
        assert verdict(unit * noise(1, 10), unit * noise(2, 10)).replicas_needed is not None


def test_a_whole_arm_without_noise_is_said():
    frozen = np.zeros((300, 4))
    result = verdict(noise(1), frozen)
    assert result.one_path == "other"
    assert "the replicas of the other arm all follow one path" in result.sentence()
    result = verdict(frozen, noise(2))
    assert (result.one_path, result.equivalent) == ("reference", False)
    assert verdict(noise(1), noise(2)).one_path is None


@METHODS
def test_observables_that_do_not_vary_are_in_no_family(method):
    """p-values and replicas needed are those of the observables that vary; each has a verdict of its own."""
    still = {f"still{k}": np.full((40, 6), float(k)) for k in range(5)} | {"path": np.tile(np.arange(6.0), (40, 1))}
    shift = np.array([0.7, 0.0, 0.0, 0.0])
    alone = verdict(noise(1, 40), noise(2, 40) + shift, method=method)
    among = verdict({"x": noise(1, 40)} | still, {"x": noise(2, 40) + shift} | still, method=method)
    np.testing.assert_array_equal(among["x"].difference_p_values, alone.difference_p_values)
    assert (among["x"].kind, among["x"].replicas_needed) == (alone.kind, alone.replicas_needed)
    assert {result.reason for name, result in among.items() if name != "x"} == {"nothing moved", "no noise"}


def quadratic(curvature, data):
    return sg.Problem(lambda w, x: curvature * 0.5 * jnp.sum((w - x) ** 2), jnp.array([1.0]), data)


def of_runs(problem, rate, batch_size=4, sampling="replacement", observable=None, other=sg.SDE):
    arms = []
    for seed, dynamics in enumerate((sg.SGD(rate, batch_size, sampling), other(rate, batch_size, sampling))):
        run = sg.simulate(
            dynamics,
            problem,
            num_steps=4,
            replicas=12,
            key=jr.key(seed),
            observables={"loss": problem.loss, "w": lambda w: w[0], **({"asked": observable} if observable else {})},
        )
        arms.append(run)
    return verdict(arms[0].values, arms[1].values, diverged=(arms[0].diverged, arms[1].diverged))


DATA = np.random.default_rng(3).normal(size=(16, 1)).astype(np.float32)
RUNS = {
    "a rate far below the resolution": (quadratic(1.0, DATA), 1e-30, {}),
    "a gradient of zero": (quadratic(0.0, DATA), 0.1, {}),
    "one example": (quadratic(1.0, np.ones((1, 1), np.float32)), 0.1, {"batch_size": 1}),
    "examples that are the start": (quadratic(1.0, np.ones((16, 1), np.float32)), 0.1, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", RUNS)
def test_runs_that_do_not_move(case):
    problem, rate, options = RUNS[case]
    results = of_runs(problem, rate, **options)
    assert {(r.kind, r.reason) for r in results.values()} == {("inconclusive", "nothing moved")}


def test_a_constant_observable_among_others_of_a_run():
    results = of_runs(quadratic(1.0, DATA), 0.1, observable=lambda w: jnp.asarray(3.0))
    assert (results["asked"].kind, results["asked"].reason) == ("inconclusive", "nothing moved")
    assert {results[name].reason for name in ("loss", "w")} == {None}


def test_full_batches_have_no_noise():
    """SGD and Gaussian SGD are then one gradient descent; the SDE follows the flow, which is another path."""
    full = {"batch_size": 16, "sampling": "no_replacement"}
    results = of_runs(quadratic(1.0, DATA), 0.1, **full, other=sg.GaussianSGD)
    assert {(r.kind, r.reason) for r in results.values()} == {("inconclusive", "no noise")}
    results = of_runs(quadratic(1.0, DATA), 0.1, **full)
    assert {(r.kind, r.reason) for r in results.values()} == {("different", None)}


# -- not finite ----------------------------------------------------------------------------------------------


def with_nan(seed, rows, columns):
    values = noise(seed)
    values[rows, columns] = np.nan
    return values


NOBODY = np.zeros(300, bool)


def test_nan_of_a_replica_that_lives_is_not_divergence():
    reference, other = with_nan(1, slice(0, 30), slice(2, None)), with_nan(2, slice(0, 33), slice(2, None))
    result = verdict(reference, other, diverged=(NOBODY, NOBODY))
    assert equivalence_test(reference, other).passed.all()  # what is left does agree
    assert (result.kind, result.equivalent, result.reason) == ("inconclusive", False, "not finite")
    assert (result.divergence, result.replicas_needed) == (None, None)
    assert (result.not_finite.replicas, result.not_finite.entries) == ((30, 33), (60, 66))
    assert "60 values in 30 reference replicas and 66 in 33 other replicas are not finite" in result.sentence()
    assert "diverged" not in result.sentence()


def test_only_those_that_diverged_count_as_diverged():
    reference, other = noise(1), with_nan(2, slice(0, 90), slice(2, None))
    some = np.arange(300) < 50
    result = verdict(reference, other, diverged=(NOBODY, some))
    assert (result.divergence.rate_b, result.kind) == (50 / 300, "different")
    assert result.not_finite.replicas == (0, 40)
    assert "17% of 300" in result.sentence().replace("16.7%", "17%")
    # All of them: then nothing is left unexplained.
    assert verdict(reference, other, diverged=(NOBODY, np.arange(300) < 90)).not_finite is None
    # A divergence between the last save and the end leaves no NaN, and is one.
    assert verdict(noise(1), noise(2), diverged=(NOBODY, some)).kind == "different"


def test_without_divergence_the_sentence_says_not_finite():
    reference, other = noise(1), with_nan(2, slice(0, 60), slice(2, None))
    result = verdict(reference, other)
    assert result.kind == "different"
    assert "the shares of replicas that are not finite" in result.sentence()
    assert "diverge" not in result.sentence()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_hole_in_the_middle_is_no_divergence_either(bad):
    """Who diverges never comes back, and takes all observables along."""
    reference, other = noise(1), noise(2)
    other[:60, 1] = bad
    result = verdict(reference, other)
    assert (result.kind, result.reason, result.divergence) == ("inconclusive", "not finite", None)
    lost = {"x": noise(3), "log x": with_nan(4, slice(0, 60), slice(1, None))}
    results = verdict({"x": noise(5), "log x": noise(6)}, lost)
    assert (results["x"].kind, results["x"].divergence) == ("equivalent", None)
    assert (results["log x"].kind, results["log x"].reason) == ("inconclusive", "not finite")


@METHODS
def test_all_nan_is_no_evidence(method):
    nothing = np.full((300, 4), np.nan)
    for diverged in (None, (NOBODY, NOBODY), (~NOBODY, ~NOBODY)):
        result = verdict(nothing, nothing, method=method, diverged=diverged)
        assert (result.kind, result.replicas_needed) == ("inconclusive", None)
    assert verdict(noise(1), nothing, diverged=(NOBODY, NOBODY)).kind == "inconclusive"


def test_a_difference_of_what_is_finite_is_still_one():
    other = with_nan(2, slice(0, 30), slice(2, None)) + 3.0
    result = verdict(noise(1), other, diverged=(NOBODY, NOBODY))
    assert (result.kind, result.reason) == ("different", None)
    assert "are not finite" in result.sentence()


# -- the same numbers, zero variance, two replicas -------------------------------------------------------------


@METHODS
def test_one_run_passed_twice(method):
    a = noise(1)
    for other in (a, a.copy(), a[::-1]):
        result = verdict(a, other, method=method)
        assert (result.kind, result.reason) == ("inconclusive", "same numbers")
        assert not equivalence_test(a, other).passed.any()
    with_ends = with_nan(1, slice(0, 30), slice(2, None))
    assert verdict(with_ends, with_ends.copy(), method=method).reason == "same numbers"
    assert verdict({"x": a, "y": noise(3)}, {"x": a, "y": noise(4)}, method=method)["y"].kind == "equivalent"


def test_two_replicas_claim_nothing():
    """Two numbers have no kurtosis, so the formula calls their deviation exact: at wide margins it passed too often."""
    generator, repetitions = np.random.default_rng(5), 20_000
    reference, other = generator.standard_normal((2, 2, repetitions))
    assert not equivalence_test(reference, other + 10.0, margin=10.0).passed.any()
    assert not equivalence_test(reference, other, margin=1e6).passed.any()
    difference = paired_difference(other, reference)
    assert not paired_equivalence_test(difference, reference, margin=1e6).passed.any()
    three = generator.standard_normal((2, 3, repetitions))
    rate = equivalence_test(three[0], three[1] + 10.0, margin=10.0).passed.mean()
    assert rate < 0.05 + 4 * math.sqrt(0.05 * 0.95 / repetitions)


def test_equal_accuracies_of_two_replicas_are_no_difference():
    """0.50, 0.50 against 0.55, 0.55: the Welch test has no scale, and used to be certain."""
    a, b = np.full((2, 1), 0.50), np.full((2, 1), 0.55)
    assert difference_p_values(unpaired_difference(a, b))[0] == 0.5
    assert verdict(a, b, method="holm").kind == "inconclusive"
    # A fair coin of ten: 2 · 2⁻¹⁰, by scipy's sign test.
    ten = difference_p_values(unpaired_difference(np.full(10, 0.50), np.full(10, 0.55)))
    assert float(ten) == pytest.approx(stats.binomtest(10, 10).pvalue)
    assert math.isnan(float(difference_p_values(unpaired_difference(np.full(10, 0.5), np.full(12, 0.5)))))


def test_the_last_bits_of_a_reference_are_no_margin():
    """TOST in units of rounding noise would pass."""
    reference, other = nudged(0.1, 1, np.float32), nudged(0.1, 2, np.float32)
    assert equivalence_test(reference.astype(float), other.astype(float), margin=1.0).passed.all()
    assert not equivalence_test(reference, other, margin=1.0).passed.any()
    difference = paired_difference(other, reference)
    assert not paired_equivalence_test(difference, reference, margin=1.0).passed.any()
    assert not np.isfinite(np.stack(in_reference_deviations(difference, reference)[1:])).any()


def test_the_energy_test_of_one_point_tests_nothing():
    constant = np.full((30, 2), 0.1)
    assert math.isnan(energy_test(constant, constant, seed=0).p_value)
    rounded = [nudged(0.1, k, np.float32, (30, 2)) for k in (1, 2)]
    assert math.isnan(energy_test(*rounded, seed=0, standardize=True).p_value)


def test_standardizing_does_not_blow_up_rounding():
    """A dimension constant but for its last bits, which differ from arm to arm, as of two programs."""
    a, b = noise(1, 60, 2).astype(np.float32), noise(2, 60, 2).astype(np.float32)
    a[:, 1], b[:, 1] = np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))
    found = energy_test(a, b, seed=0, standardize=True)
    alone = energy_test(a[:, :1], b[:, :1], seed=0, standardize=True)
    assert found == alone
    assert alone.p_value > 0.05


def test_the_energy_test_is_free_of_units():
    a, b = noise(1, 40, 2), noise(2, 40, 2) + 1.0
    usual = energy_test(a, b, seed=0)
    for unit in (1e-200, 1e200):
        scaled = energy_test(unit * a, unit * b, seed=0)
        assert scaled.p_value == usual.p_value
        assert scaled.statistic == pytest.approx(unit * usual.statistic, rel=1e-12)


def test_max_t_is_free_of_units_down_to_the_smallest_numbers():
    a, b = noise(1, 30), noise(2, 30) + 1.0
    usual = max_t(a, b, permutations=99, seed=0)
    for unit in (1e-250, 1e250):
        np.testing.assert_array_equal(max_t(unit * a, unit * b, permutations=99, seed=0), usual)
    assert mean(1e-250 * a).standard_error == pytest.approx(1e-250 * mean(a).standard_error, rel=1e-12)


def test_errors_that_do_not_move_have_no_order():
    with pytest.raises(InputError, match="nothing moved"):
        order_fit([0.1, 0.2, 0.4], [0.3, 0.3, 0.3])
    with pytest.raises(InputError, match="1 different"):
        order_fit([0.1, 0.1 + 1e-12, 0.1 + 2e-12], [1.0, 2.0, 3.0])


def test_a_level_above_a_half_needs_no_more_than_two():
    assert replicas_needed(0.5, power=0.5, alpha=0.9) == 2


# -- the entrance ----------------------------------------------------------------------------------------------

X = noise(1, 20)
ev: Any = sg.evidence


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, np.float32, ">f8", ">f4", int])
def test_dtypes_of_runs(dtype):
    a, b = (np.asarray(np.asarray(10 * noise(k, 40)), dtype=dtype) for k in (1, 2))
    result = verdict(a, b)
    plain = verdict(a.astype(np.float64), b.astype(np.float64))
    assert (result.kind, result.interval) == (plain.kind, plain.interval)
    assert verdict(jnp.asarray(a.astype(np.float32)), b).kind == plain.kind


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ev.verdict(np.ma.masked_less(X, 0), X), "masked array that hides"),
        (lambda: ev.verdict(X.astype(str), X), "holds no numbers"),
        (lambda: ev.verdict(X + 0j, X), "complex"),
        (lambda: ev.verdict(np.array([[None] * 4] * 3), X), "holds no numbers"),
        (lambda: ev.verdict([[1.0, 2.0], [3.0]], X), "can't be made an array"),
        (lambda: ev.verdict(X, noise(2, 20), margin=math.nan), "margin is nan"),
        (lambda: ev.verdict(X, noise(2, 20), margin="0.5"), "margin is '0.5'"),
        (lambda: ev.verdict(X, noise(2, 20), margin=None), "margin is None"),
        (lambda: ev.verdict(X, noise(2, 20), margin=math.inf), "margin is inf"),
        (lambda: ev.verdict(X, noise(2, 20), margin=True), "margin is True"),
        (lambda: ev.verdict(X, noise(2, 20), alpha=np.array([0.05, 0.1])), "alpha is"),
        (lambda: ev.verdict(X, noise(2, 20), alpha=math.nan), "alpha is nan"),
        (lambda: ev.verdict(X, noise(2, 20), seed=-1), "seed is -1"),
        (lambda: ev.verdict(X, noise(2, 20), seed=0.5), "seed is 0.5"),
        (lambda: ev.verdict(X, noise(2, 20), permutations=99.5), "permutations is 99.5"),
        (lambda: ev.verdict(X, noise(2, 20), diverged=np.zeros(20, bool)), "pass the pair"),
        (lambda: ev.verdict(X, noise(2, 20), diverged=(np.zeros(20), np.zeros(20))), "float64"),
        (lambda: ev.verdict(X, noise(2, 20), diverged=(np.zeros(20, bool), np.zeros(19, bool))), r"\(19,\)"),
        (lambda: ev.energy_test(X, X, seed="0"), "seed is '0'"),
        (lambda: ev.energy_test(X, X, seed=0, permutations=-3), "permutations is -3"),
        (lambda: ev.paired_equivalence_test(X, X), "pass an Estimate"),
        (lambda: ev.mean(np.ma.masked_less(X, 0)), "masked array"),
        (lambda: ev.mean(X).interval("0.95"), "confidence is '0.95'"),
        (lambda: ev.replicas_needed(0.5, difference="0"), "difference is '0'"),
        (lambda: ev.order_fit([0.1, 0.2, 0.4], ["a", "b", "c"]), "holds no numbers"),
        (lambda: ev.order_fit([0.1, 0.2, 0.4], [1.0, 2.0, 4.1]).band([-0.1]), "positive"),
    ],
)
def test_one_line_for_bad_input(call, message):
    refused(call, message)


def test_an_estimate_of_nothing_is_nan():
    nothing = mean(np.full((5, 2), np.nan))
    assert np.isnan(nothing.mean).all()
    assert np.isnan(difference_p_values(Estimate(nothing.mean, nothing.standard_error, nothing.count, 0.0))).all()


def test_independent_arms_of_a_discrete_observable_are_not_one_run():
    """Of 40 replicas 20 are in basin A in either arm: by chance, in another order, and no two rows are one replica."""
    rng = np.random.default_rng(0)
    one, two = (rng.permutation(np.repeat([0.0, 1.0], 20))[:, None] for _ in range(2))
    assert not are_the_same_numbers([(one, two)])
    assert not are_the_same_numbers([(np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]]))])
    assert are_the_same_numbers([(one, one)])
    values = rng.normal(size=(20, 3))
    assert are_the_same_numbers([(values, values)])
    assert are_the_same_numbers([(values, values[::-1])])
    assert not are_the_same_numbers([(values, np.nextafter(values, 9))])
