"""NUTS against quadrature, its standard errors against those between chains, and refusals."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size

import sdesgd as sg
from sdesgd import toys
from sdesgd.landscape import Landscape
from sdesgd.stationary import gibbs_density, sample_gibbs
from sdesgd.stationary.gibbs import GibbsSample

# A well of unequal depth and width, and four wells; the highest that a chain must climb in them.
LINE, PLANE = toys.potential("asymmetric"), toys.potential("four-wells")
HIGHEST = {LINE.name: 0.29, PLANE.name: 0.33}


def drawn(potential, barrier_in_units, starts, samples, seed):
    barrier = HIGHEST[potential.name]
    options: dict[str, Any] = {"barrier": barrier, "samples": samples, "key": jr.key(seed)}
    return sample_gibbs(potential, barrier / barrier_in_units, starts, **options)


def assert_same_energy(sample, density, potential):
    """E V, which halves with T, within 4 standard errors of at most 3 %."""
    values = np.asarray(jax.vmap(jax.vmap(potential.value))(jnp.asarray(sample.points)))
    values, grid = values - values.min(), np.asarray(jax.vmap(potential.value)(density.points)) - values.min()
    error = values.std() / np.sqrt(float(effective_sample_size(values)))
    assert abs(values.mean() - density.expectation(grid)) < 4 * error
    assert error < 0.03 * values.mean()


@pytest.mark.slow
@pytest.mark.parametrize("height", [2.0, 3.0])
def test_one_dimension(height):
    """Barriers of 2T and 3T (one compilation): the occupancy within 4 standard errors, of at most 2 points."""
    sample = drawn(LINE, height, np.tile([[-3.0], [3.0]], (4, 1)), 8_000, 0)
    sample.check()
    # The way down from the starts is not in the sample: where V exceeds 30T.
    assert np.abs(sample.points).max() < 2.4
    density = gibbs_density(LINE, HIGHEST[LINE.name] / height)
    p, error = sample.probability(sample.points[..., 0] > 0)
    assert abs(p - density.probability(density.points[:, 0] > 0)) < 4 * error
    assert 0.003 < error < 0.02
    assert (p, error) == sample.probability(lambda theta: theta[:, 0] > 0)
    assert_same_energy(sample, density, LINE)


@pytest.mark.slow
def test_two_dimensions():
    """Four wells at 3T; and the errors from the ESS are those from the scatter between 16 chains."""
    assert PLANE.minima is not None
    sample = drawn(PLANE, 3.0, np.tile(PLANE.minima, (4, 1)), 4_000, 1)
    sample.check()
    density = gibbs_density(PLANE, HIGHEST[PLANE.name] / 3)
    ratios = []
    for signs in ([-1, -1], [-1, 1], [1, -1], [1, 1]):
        inside = (sample.points * signs > 0).all(axis=-1)
        p, error = sample.probability(inside)
        assert abs(p - density.probability((density.points * signs > 0).all(axis=-1))) < 4 * error
        assert error < 0.02
        ratios.append(inside.mean(axis=1).std(ddof=1) / np.sqrt(16) / error)
    assert 0.6 < np.mean(ratios) < 1.5
    assert_same_energy(sample, density, PLANE)


# -- what a sample says of itself --------------------------------------------------------------------------


def from_points(points, **changes):
    points = np.asarray(points, float)
    given: dict[str, Any] = {"r_hat": np.ones(1), "ess": np.full(1, 1000.0), "divergences": 0}
    return GibbsSample(points, **(given | changes))


def test_error_of_a_probability():
    """Independent draws: √(p(1−p)/n). A two-state chain that stays with probability 0.95: √19 times as much."""
    rng = np.random.default_rng(0)
    p, error = from_points(np.zeros((4, 5000, 1))).probability(rng.random((4, 5000)) < 0.3)
    assert error == pytest.approx(np.sqrt(p * (1 - p) / 20_000), rel=0.1)
    switches = rng.random((4, 5000)) < 0.05
    p, error = from_points(np.zeros((4, 5000, 1))).probability(np.cumsum(switches, axis=1) % 2 == 1)
    assert error == pytest.approx(np.sqrt(19 * p * (1 - p) / 20_000), rel=0.15)


def test_sets_that_no_chain_or_every_chain_is_in():
    sample = from_points(np.zeros((2, 200, 1)), ess=np.array([50.0]))
    assert sample.probability(lambda theta: theta[:, 0] > 1) == (0.0, 0.02)
    assert sample.probability(lambda theta: theta[:, 0] < 1) == (1.0, 0.02)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (np.ones((2, 200)), "pass bools"),
        (np.ones((2, 100), bool), "pass bools"),
        (np.repeat([[True], [False]], 200, axis=1), "that of the starts"),
    ],
)
def test_bad_sets(where, message):
    with pytest.raises(sg.InputError, match=message):
        from_points(np.zeros((2, 200, 1))).probability(where)


@pytest.mark.parametrize(
    "changes",
    [
        {"r_hat": np.array([1.03])},
        {"r_hat": np.array([np.nan])},
        {"ess": np.array([399.0])},
        {"ess": np.array([np.nan])},
        {"divergences": 1},
    ],
)
def test_check_refuses(changes):
    from_points(np.zeros((2, 200, 1))).check()
    with pytest.raises(sg.InputError, match="haven't mixed"):
        from_points(np.zeros((2, 200, 1)), **changes).check()


LOGARITHM = Landscape("logarithm", lambda x: jnp.log(x[0]), 1)
LARGE = Landscape("large", lambda x: jnp.vdot(x, x), 5)
GOOD: dict[str, Any] = {
    "landscape": LINE,
    "temperature": 0.1,
    "starts": [[-1.0], [1.0]],
    "barrier": 0.29,
    "key": jr.key(0),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"barrier": 0.6}, r"barrier 0.6 is 6 T at T = 0.1, .*: use gibbs_density, or choose T ≥ 0.15"),
        ({"landscape": LARGE, "starts": np.zeros((2, 5)), "barrier": 0.6}, "4 T: choose T ≥ 0.15"),
        ({"barrier": -1.0}, "0 for one basin"),
        ({"barrier": float("nan")}, "0 for one basin"),
        ({"temperature": 0.0}, "pass T > 0"),
        ({"starts": [[0.0]]}, "at least two chains"),
        ({"starts": [[0.0, 1.0], [1.0, 0.0]]}, r"pass \(chains, 1\)"),
        ({"landscape": LOGARITHM}, "not finite at some start"),
        ({"samples": 50}, "at least 100 a chain"),
        ({"warmup": 0}, "at least 1"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(sg.InputError, match=message):
        sample_gibbs(**(GOOD | change))


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(sg.InputError, match="enable_x64"):
        sample_gibbs(**GOOD)
