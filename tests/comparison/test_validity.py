"""The validity card: NaN where a number isn't defined, the covariance of the sampling, one line for bad input."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.comparison.validity import _ratio
from tests.compilations import compilations
from tests.refusals import refused
from tests.users import unchecked_types

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2))
KEY = jr.key(0)
card_of: Any = sg.validity_card


def squares(w, x):
    return jnp.sum((w - x) ** 2) / 2


def tilted(tilts, curvature=1.0, start=(1.0, 0.5)):
    """ℓ_i = ½ c|θ|² + a_i·θ: ∇ℓ_i = cθ + a_i."""
    return sg.Problem(lambda w, a: 0.5 * curvature * jnp.sum(w**2) + a @ w, jnp.asarray(start), tilts)


def numbers(card):
    return [card.noise_to_signal, card.trace, card.gradient_norm_squared, *card.skewness.values(), card.stability]


# -- NaN ------------------------------------------------------------------------------------------------------

NOT_FINITE = {
    "the norm at 0": (lambda w, e: jnp.linalg.norm(w) ** 2 + (w[0] - e[0]) ** 2, np.zeros(2)),
    "a square root at 0": (lambda w, e: jnp.sqrt(w[0]) + squares(w, e), np.zeros(2)),
    "an overflow": (lambda w, e: jnp.exp(w[0]) + squares(w, e), np.array([1000.0, 0.0])),
    "a quotient 0/0": (lambda w, e: w[0] / w[1] + squares(w, e), np.zeros(2)),
}


@pytest.mark.parametrize("case", NOT_FINITE)
def test_a_gradient_that_is_not_finite_gives_no_good_looking_number(case):
    loss, start = NOT_FINITE[case]
    card = sg.validity_card(sg.Problem(loss, start, X), 0.05, 2, key=KEY)
    assert not math.isfinite(card.trace)
    assert not math.isfinite(card.gradient_norm_squared)
    assert math.isnan(card.noise_to_signal)
    assert all(map(math.isnan, (*card.skewness.values(), *card.excess_kurtosis.values())))


def test_no_noise_has_no_shape():
    """Equal examples: C is rounding, and so would be its skewness."""
    net = sg.nets.mlp(3, 3, width=4, key=jr.key(1))
    one = RNG.normal(size=(1, 3)).repeat(40, axis=0)
    problem = sg.nets.finite_sum(net, one, np.zeros(40, int))
    card = sg.validity_card(problem, 0.05, 4, key=KEY)
    assert card.trace < 1e-12 * card.gradient_norm_squared
    assert all(map(math.isnan, (*card.skewness.values(), *card.excess_kurtosis.values())))
    assert card.noise_to_signal < 1e-12


def test_rounding_across_the_gradient_has_no_shape_either():
    """The top Hessian direction e₂ is across all gradients, but for their last bits."""
    tilts = np.array([[1e8, 1.0], [2e8, 1.0], [5e8, 1.0 + 2e-15]])
    problem = sg.Problem(lambda w, a: a @ w + 50.0 * w[1] ** 2, np.zeros(2), tilts)
    card = sg.validity_card(problem, 0.001, 2, key=KEY)
    assert math.isnan(card.skewness["top_hessian"])
    assert math.isfinite(card.skewness["gradient"])


def test_zero_by_zero():
    still = sg.validity_card(tilted(np.zeros((4, 2)), start=(0.0, 0.0)), 0.1, 2, key=KEY)
    assert (still.trace, still.gradient_norm_squared) == (0.0, 0.0)
    assert math.isnan(still.noise_to_signal)
    noisy = sg.validity_card(tilted(np.array([[1.0, 0.0], [-1.0, 0.0]]), start=(0.0, 0.0)), 0.1, 2, key=KEY)
    assert noisy.noise_to_signal == math.inf


# -- the covariance of the sampling ---------------------------------------------------------------------------


def mean_gradient_noise(gradients, size):
    """tr Cov of the mean of a batch without replacement, over the gradient's square, by enumeration."""
    means = np.array([gradients[list(b)].mean(axis=0) for b in itertools.combinations(range(len(gradients)), size)])
    g = gradients.mean(axis=0)
    return means.var(axis=0).sum() / (g @ g)


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_noise_to_signal_without_replacement(size):
    gradients = np.array([1.0, 0.5]) + X
    card = sg.validity_card(tilted(X), 0.1, size, key=KEY, sampling="no_replacement")
    assert card.noise_to_signal == pytest.approx(mean_gradient_noise(gradients, size), rel=1e-9, abs=1e-15)
    again = sg.validity_card(tilted(X), 0.1, size, key=KEY)
    g = gradients.mean(axis=0)
    assert again.noise_to_signal == pytest.approx(gradients.var(axis=0).sum() / (size * g @ g), rel=1e-9)


def test_a_batch_of_all_examples_has_no_noise():
    card = sg.validity_card(tilted(X), 0.1, 6, key=KEY, sampling="no_replacement")
    assert card.noise_to_signal == 0
    assert math.isnan(card.skewness["gradient"])
    assert card.trace > 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3, 6])
def test_noise_to_signal_with_masks(size):
    """ℓ_i = z a_i·θ, z = 0 or 1/p: the noise of the masks stays when the batch is all the data."""
    a, p = 3 * X + 3, 0.9

    def loss(w, example, key):
        return jr.bernoulli(key, p) / p * (example @ w)

    problem = sg.Problem(loss, jnp.asarray([1.0, 0.5]), a, stochastic=True)
    card = sg.validity_card(problem, 0.1, size, key=jr.key(2), sampling="no_replacement", draws=400)
    of_examples, of_masks = a.var(axis=0).sum(), np.mean(np.sum(a**2, axis=1)) * (1 - p) / p
    f, g = (6 - size) / 5, a.mean(axis=0)
    want = (f * of_examples + of_masks) / (size * g @ g)
    error = card.standard_errors["noise_to_signal"]
    assert error < 0.2 * want
    assert abs(card.noise_to_signal - want) < 4.5 * error
    # Neither f on all of it nor 1 on all of it would pass.
    for wrong in (f * (of_examples + of_masks), of_examples + of_masks):
        if size > 1:
            assert abs(wrong / (size * g @ g) - want) > 4.5 * error


def test_noise_to_signal_of_disjoint_groups():
    """A batch of two groups of two of six examples is a random four of them, for a loss of the group's mean."""
    w = np.array([1.0, 0.5])
    problem = sg.Problem(lambda w, x: jnp.mean(x @ w), jnp.asarray(w), X, unit_size=2)
    card = sg.validity_card(problem, 0.1, 4, key=jr.key(2), sampling="no_replacement", draws=400)
    want = mean_gradient_noise(X, 4)
    assert abs(card.noise_to_signal - want) < 4.5 * card.standard_errors["noise_to_signal"] + 1e-9
    assert card.standard_errors["noise_to_signal"] < 0.1 * want


# -- freshness ------------------------------------------------------------------------------------------------


def test_a_value_from_outside_is_seen_and_the_same_one_compiles_nothing():
    outside = {"c": 1.0}
    problem = sg.Problem(lambda w, x: outside["c"] * squares(w, x), jnp.ones(2), X)
    first = sg.validity_card(problem, 0.1, 2, key=KEY)
    with compilations() as count:
        again = sg.validity_card(problem, 0.1, 2, key=KEY)
    assert count == []
    assert numbers(again) == numbers(first)
    outside["c"] = 3.0
    with compilations() as count:
        changed = sg.validity_card(problem, 0.1, 2, key=KEY)
    assert count, "the listener must see a compilation when there is one"
    assert changed.trace == pytest.approx(9 * first.trace)
    assert changed.stability == pytest.approx(3 * first.stability)


# -- the entrance ---------------------------------------------------------------------------------------------

P = tilted(X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: card_of(P, 0.0, 2, key=KEY), "learning_rate is 0.0"),
        (lambda: card_of(P, math.nan, 2, key=KEY), "learning_rate is nan"),
        (lambda: card_of(P, "0.1", 2, key=KEY), "learning_rate is '0.1'"),
        (lambda: card_of(P, lambda n: 0.1, 2, key=KEY), "of a schedule the largest"),
        (lambda: card_of(P, np.array([0.1]), 2, key=KEY), "learning_rate is array"),
        (lambda: card_of(P, 0.1, 2, key=KEY, momentum=1.0), "momentum is 1.0"),
        (lambda: card_of(P, 0.1, 2, key=KEY, momentum=None), "momentum is None"),
        (lambda: card_of(P, 0.1, 2.5, key=KEY), "batch_size is 2.5"),
        (lambda: card_of(P, 0.1, True, key=KEY), "batch_size is True"),
        (lambda: card_of(P, 0.1, 7, key=KEY, sampling="no_replacement"), "exceeds N = 6"),
        (lambda: card_of(P, 0.1, 2, key=KEY, sampling="reshuffle"), "'reshuffle' is refused"),
        (lambda: card_of(P, 0.1, 2, key=0), "key is 0"),
        (lambda: card_of(P, 0.1, 2, key=jr.split(KEY, 2)), "pass one key"),
        (lambda: card_of(P, 0.1, 2, key=KEY, draws=0), "draws is 0"),
        (lambda: card_of(P, 0.1, 2, key=KEY, params=np.array([np.nan, 0.0])), "NaN or infinite"),
        (lambda: card_of(P, 0.1, 2, key=KEY, params=np.zeros(3)), "shape"),
        (lambda: card_of(X, 0.1, 2, key=KEY), "pass a Problem"),
        (
            lambda: card_of(sg.Problem(squares, jnp.ones(2, jnp.bfloat16), X), 0.1, 2, key=KEY),
            "bfloat16: Lanczos needs",
        ),
    ],
)
def test_one_line_for_bad_input(call, message):
    refused(call, message)


def test_legacy_keys_and_numpy_numbers_work():
    want = sg.validity_card(P, 0.1, 2, key=KEY)
    with unchecked_types():
        got = card_of(P, np.float32(0.1), np.int64(2), key=jr.PRNGKey(0), momentum=jnp.asarray(0.0))
    assert got.trace == want.trace
    assert got.stability == pytest.approx(want.stability, rel=1e-6)


def test_noise_about_a_tiny_gradient_keeps_its_shape():
    """Noise of size 1, of skewness 2/√3 along a gradient of size 10⁻⁶, in float32: not "no noise"."""
    with jax.enable_x64(False):
        steep = np.repeat([-1.0, 3.0], [3, 1])  # mean 0; skewness of such a pair is 2/√3
        problem = sg.Problem(lambda w, e: e * w + 1e-6 * w, jnp.array(0.0), np.tile(steep, 8))
        card = sg.validity_card(problem, 0.1, 1, key=jr.key(0))
    assert abs(card.skewness["gradient"]) == pytest.approx(2 / np.sqrt(3), rel=1e-3)


def test_debugging_of_nan_stops_no_run_that_has_ended():
    """The gradient of √(w²) is NaN at 0."""
    problem = sg.Problem(lambda w, e: jnp.sqrt(w**2) + 0 * e, jnp.array(0.0), np.ones(4))
    with jax.debug_nans(True), pytest.warns(RuntimeWarning, match="2 of 2 replicas diverged"):
        run = sg.simulate(
            sg.SGD(0.1, 2), problem, num_steps=2, replicas=2, key=jr.key(0), observables={"w": lambda w: w}
        )
    assert run.diverged.all()


@pytest.mark.parametrize(
    ("noise", "norm", "ratio"),
    [(1.0, 2.0, 0.5), (1.0, 0.0, math.inf), (0.0, 0.0, math.nan), (1.0, math.nan, math.nan), (math.nan, 0.0, math.nan)],
)
def test_noise_without_a_gradient_is_infinite_and_nan_stays_nan(noise, norm, ratio):
    assert _ratio(noise, norm) == pytest.approx(ratio, nan_ok=True)
