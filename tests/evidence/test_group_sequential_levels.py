"""How often a sequence of four looks claims what isn't so."""

import functools
import math

import numpy as np
import pytest

from sdesgd.evidence import GroupSequential, nominal_levels
from sdesgd.evidence import group_sequential as module

QUARTERS, LEVEL, REPETITIONS, TIMES = (0.25, 0.5, 0.75, 1.0), 0.05, 500, 4
TOLERANCE = 3 * math.sqrt(LEVEL * (1 - LEVEL) / REPETITIONS)


@pytest.fixture(autouse=True)
def levels_once(monkeypatch):
    """The same four looks each time: their levels are integrated once."""
    once = functools.cache(lambda fractions, alpha: nominal_levels(fractions, alpha=alpha))
    monkeypatch.setattr(module, "nominal_levels", lambda fractions, alpha: once(tuple(fractions), alpha))


def processes(generator, law, replicas):
    """Times of correlation 0.8; standard Gaussian, or lognormal of skewness 3."""
    values = generator.standard_normal((replicas, TIMES))
    for k in range(1, TIMES):
        values[:, k] = 0.8 * values[:, k - 1] + 0.6 * values[:, k]
    return values if law == "gaussian" else np.exp(0.7 * values)


def last_verdict(reference, other, seed, **options):
    sequence = GroupSequential(seed=seed, **options)
    for fraction in QUARTERS:
        one, two = (arm[: round(len(arm) * fraction)] for arm in (reference, other))
        result = sequence.look({"x": one}, {"x": two}, fraction)["x"]
        if result.kind != "inconclusive":
            break
    return result


@pytest.mark.slow
@pytest.mark.usefixtures("many_repetitions")
@pytest.mark.parametrize("law", ["gaussian", "lognormal"])
def test_equal_laws_are_called_different_with_probability_alpha(law):
    generator, called = np.random.default_rng(8), 0
    for seed in range(REPETITIONS):
        reference, other = processes(generator, law, 24), processes(generator, law, 72)
        called += last_verdict(reference, other, seed, margin=0.01, permutations=99).different
    assert abs(called / REPETITIONS - LEVEL) < TOLERANCE, called


@pytest.mark.slow
@pytest.mark.usefixtures("many_repetitions")
@pytest.mark.parametrize(("side", "replicas", "margin"), [(1, 100, 1.5), (-1, 160, 0.5)])
def test_a_gap_at_the_margin_is_called_equivalent_with_at_most_alpha(side, replicas, margin):
    """At one time of four; a single relabelling can't call anything different, which would end the sequence before."""
    generator, called = np.random.default_rng(9), 0
    for seed in range(REPETITIONS):
        reference, other = processes(generator, "gaussian", replicas), processes(generator, "gaussian", 3 * replicas)
        other[:, 2] += side * margin
        called += last_verdict(reference, other, seed, margin=margin, permutations=1).equivalent
    assert 0.01 < called / REPETITIONS < LEVEL + TOLERANCE, called
