"""Verdicts look by look: exact by enumeration, one look is the fixed design, bookkeeping, and what is refused."""

import itertools

import numpy as np
import pytest

from sdesgd.evidence import GroupSequential, Margin, equivalence_test, nominal_levels, pocock_spending, verdict
from sdesgd.evidence import group_sequential as module
from tests.refusals import refused

QUARTERS = (0.25, 0.5, 0.75, 1.0)


@pytest.mark.slow
def test_exact_by_enumeration(monkeypatch):
    """Of all 100 ways to label two stages of 3 + 2 replicas, exactly the share alpha is called different."""
    pool = np.random.default_rng(1).standard_exponential((2, 5, 2))
    orders = [[*chosen, *(k for k in range(5) if k not in chosen)] for chosen in itertools.combinations(range(5), 3)]
    labels = np.array([np.isin(range(5), order[:3]) for order in orders], float)

    def all_others(own, permutations, seed):
        np.testing.assert_array_equal(own, labels[0])
        of_stage = [k // 10 if seed == 0 else k % 10 for k in range(1, 100)]
        yield labels[of_stage]

    monkeypatch.setattr(module, "relabellings", all_others)
    called = []
    for one, two in itertools.product(orders, orders):
        first, second = pool[0][one], pool[1][two]
        sequence = GroupSequential(alpha=0.2, permutations=99)
        sequence.look({"x": first[:3]}, {"x": first[3:]}, 0.5)
        at_first = sequence.verdicts["x"].different
        reference, other = (np.concatenate([first[part], second[part]]) for part in (slice(3), slice(3, 5)))
        sequence.look({"x": reference}, {"x": other}, 1.0)
        called.append((at_first, sequence.verdicts["x"].different))
    # At the first look each statistic is that of ten paths: one such ten fits into what may be spent, 12 of 100.
    early = 10 * int(10 * pocock_spending(0.2, 0.5))
    assert [sum(at_first for at_first, _ in called), sum(ever for _, ever in called)] == [early, 20]


def arms(seed, one, two, times=5, shift=0.0):
    generator = np.random.default_rng(seed)
    reference, other = (np.cumsum(generator.standard_normal((n, times)), axis=1) for n in (one, two))
    return reference, other + shift * np.sqrt(np.arange(1, times + 1))


@pytest.mark.parametrize(("replicas", "shift"), [(200, 0.0), (60, 0.9), (12, 0.2)])
def test_one_look_is_the_fixed_design(replicas, shift):
    reference, other = arms(2, replicas, 3 * replicas, shift=shift)
    fixed = verdict({"x": reference, "y": other[:replicas]}, {"x": other, "y": other[::-1] - 0.1})
    sequence = GroupSequential()
    looked = sequence.look({"x": reference, "y": other[:replicas]}, {"x": other, "y": other[::-1] - 0.1}, 1.0)
    for name, single in fixed.items():
        assert looked[name].kind == single.kind
        np.testing.assert_array_equal(looked[name].difference_p_values, single.difference_p_values)
        np.testing.assert_allclose(looked[name].equivalence_p_values, single.equivalence_p_values, rtol=1e-12)
        np.testing.assert_allclose(looked[name].interval, single.interval, rtol=1e-6)
        assert looked[name].alpha == pytest.approx(0.05, rel=1e-8)


def test_the_levels_and_intervals_of_each_look():
    reference, other = arms(3, 40, 120)
    sequence, levels = GroupSequential(), nominal_levels(QUARTERS)
    for k, fraction in enumerate(QUARTERS):
        one, two = reference[: 10 * (k + 1)], other[: 30 * (k + 1)]
        result = sequence.look({"x": one}, {"x": two}, fraction)["x"]
        assert sequence.looks[k].replicas == (10 * (k + 1), 30 * (k + 1))
        assert sequence.looks[k].equivalence_level == pytest.approx(levels[k], rel=1e-9)
        # The interval and the sentence are at the level of the TOST, not at that of the difference test.
        assert result.alpha == pytest.approx(levels[k], rel=1e-9)
        test = equivalence_test(one, two, alpha=levels[k])
        assert result.interval == pytest.approx((test.low[result.worst_time], test.high[result.worst_time]), rel=1e-6)
        assert result.difference_level == sequence.looks[k].difference_level
        assert f"{100 * (1 - 2 * levels[k]):g}% interval" in result.sentence()
    spent = np.cumsum([look.difference_level for look in sequence.looks])
    wanted = [np.floor(1000 * pocock_spending(0.05, t) + 1e-9) / 1000 for t in QUARTERS]
    np.testing.assert_allclose(spent, wanted, atol=1e-12)
    assert sequence.crossed.sum() == 50


def test_a_verdict_that_has_fallen_stays():
    reference, other = arms(4, 100, 100, shift=2.0)
    sequence = GroupSequential()
    early = sequence.look({"x": reference[:50]}, {"x": other[:50]}, 0.5)["x"]
    assert early.kind == "different"
    assert sequence.looks[0].decided == ("x",)
    late = sequence.look({"x": reference}, {"x": other}, 1.0)["x"]
    assert late is early
    assert sequence.looks[1].decided == sequence.undecided == ()


def test_ties_do_not_use_up_the_level():
    """A first look at nearly nothing, one replica of the reference finite, where most statistics are 0."""
    reference, other = arms(5, 40, 40, shift=2.0)
    reference[1:20] = np.nan
    sequence = GroupSequential(permutations=199)
    sequence.look({"x": reference[:20]}, {"x": other[:1].repeat(2, axis=0)}, 0.5)
    assert sequence.crossed.sum() <= 6


def test_what_moves_only_later_is_judged_from_then_on():
    reference, other = arms(6, 100, 100, shift=2.0)
    still = np.zeros((20, 5))
    sequence = GroupSequential()
    first = sequence.look({"x": still}, {"x": still}, 0.2)["x"]
    assert first.reason == "nothing moved"
    assert sequence.undecided == ()
    second = sequence.look({"x": np.vstack([still, reference])}, {"x": np.vstack([still, other])}, 1.0)["x"]
    assert (second.kind, second.reason) == ("different", None)


def test_rates_of_divergence_have_a_level_of_their_own():
    reference, other = arms(7, 400, 400)
    sequence = GroupSequential(margin=0.01)
    for k, fraction in enumerate(QUARTERS[:3]):
        n = 100 * (k + 1)
        assert sequence.look({"x": reference[:n]}, {"x": other[:n]}, fraction)["x"].kind == "inconclusive"
    # More than half of alpha is gone, so that nothing is left for the means.
    reference[300:340, -1] = np.nan
    last = sequence.look({"x": reference}, {"x": other}, 1.0)["x"]
    assert sequence.looks[-1].difference_level == 0.0
    assert last.kind == "different"
    assert "rates" in last.sentence() or "shares" in last.sentence()
    assert last.divergence_level == pytest.approx(0.025 - pocock_spending(0.025, 0.75), rel=1e-9)
    assert last.divergence.p_value == pytest.approx(1.2e-12, rel=0.2)  # Fisher's of 40 and 0 of 400, as it is


def test_what_is_refused_leaves_the_sequence_as_it_was():
    reference, other = arms(8, 60, 60)
    sequence, unspoilt = GroupSequential(), GroupSequential()
    for one in (sequence, unspoilt):
        one.look({"x": reference[:30]}, {"x": other[:30]}, 0.5)
    x, y = {"x": reference}, {"x": other}
    refused(lambda: sequence.look(x, y, 1.5), "up to 1")
    refused(lambda: sequence.look(x, y, 0.5), "fraction is 0.5 after 0.5")
    refused(lambda: sequence.look(x, {"y": other}, 1.0), "same names")
    refused(lambda: sequence.look({}, {}, 1.0), "at least one")
    refused(lambda: sequence.look({"y": reference}, {"y": other}, 1.0), "same names")
    refused(lambda: sequence.look({"x": reference[:, 1:]}, {"x": other[:, 1:]}, 1.0), "same names and times")
    refused(lambda: sequence.look({"x": reference[:20]}, y, 1.0), r"replicas are \(20, 60\), and were \(30, 30\)")
    refused(lambda: sequence.look(x, y, 1.0, diverged=(np.zeros(60), np.zeros(60))), "diverged")
    one, two = sequence.look(x, y, 1.0)["x"], unspoilt.look(x, y, 1.0)["x"]
    np.testing.assert_array_equal(one.difference_p_values, two.difference_p_values)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GroupSequential(alpha=5), "alpha is 5"),
        (lambda: GroupSequential(permutations=0), "permutations is 0"),
        (lambda: GroupSequential(seed=-1), "seed is -1"),
        (lambda: GroupSequential(margin=-1), "margin is -1"),
        (lambda: GroupSequential(margin={"x": Margin(0.0)}), "margin is 0"),
        (lambda: GroupSequential(margin="wide"), "margin is"),
    ],
)
def test_bad_input_is_refused(call, message):
    refused(call, message)
