"""Three-valued decisions: each kind by hand, and rates of error at the edges."""

import numpy as np
import pytest

from sdesgd import evidence
from tests.refusals import refused


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (-0.5, 0.9, "equivalent"),
        (0.1, 0.9, "equivalent"),  # a difference that is too small to matter
        (0.1, 1.1, "different"),
        (-2.0, -1.5, "different"),
        (-0.1, 1.1, "inconclusive"),
        (np.nan, np.nan, "inconclusive"),
    ],
)
def test_one_interval(low, high, kind):
    assert evidence.decide(low, high, 1.0) == kind
    assert evidence.decide(low + 3, high + 3, 1.0, expected=3.0) == kind


def test_beyond_the_margin_a_difference_must_matter():
    assert evidence.decide(0.1, 1.1, 1.0, beyond_margin=True) == "inconclusive"
    assert evidence.decide(1.1, 1.2, 1.0, beyond_margin=True) == "different"


def test_all_must_be_equivalent_and_one_may_differ():
    assert evidence.decide([-0.1, -0.2], [0.1, 1.2], 1.0) == "inconclusive"
    assert evidence.decide([-0.1, 1.2], [0.1, 1.4], 1.0) == "different"
    wide = (np.array([-0.3, -0.1]), np.array([0.3, 2.7]))
    assert evidence.decide([-0.1, 1.2], [0.1, 1.4], 1.0, wide=wide) == "inconclusive"


@pytest.mark.slow
def test_levels_at_the_edges():
    """At the margin itself equivalence is claimed in 2.5 %, without a difference one is claimed in 5 % of trials."""
    rng, trials, error = np.random.default_rng(0), 4000, 0.2
    at_margin = [evidence.decide_differences(1 + error * rng.normal(), error, 1.0).kind for _ in range(trials)]
    assert np.mean(np.array(at_margin) == "equivalent") == pytest.approx(0.025, abs=4 * np.sqrt(0.025 / trials))
    none = [evidence.decide_differences(rng.normal(size=5), np.ones(5), 1.0).kind for _ in range(trials)]
    assert np.mean(np.array(none) == "different") == pytest.approx(0.049, abs=4 * np.sqrt(0.05 / trials))


def test_the_worst_is_named_and_intervals_are_at_95_percent():
    found = evidence.decide_differences([0.1, -0.4], [0.1, 0.1], 0.2)
    assert (found.kind, found.worst) == ("different", 1)
    np.testing.assert_allclose(found.high - found.difference, 0.1959964, rtol=1e-6)


def test_bad_input_gets_one_line():
    refused(lambda: evidence.decide(1.0, 0.0, 1.0), "low ≤ high")
    refused(lambda: evidence.decide(0.0, 1.0, 0.0), "margin")
    refused(lambda: evidence.decide_differences([0.0, 1.0], [1.0], 1.0), "none negative")
