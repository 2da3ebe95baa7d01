"""The finite sum: weighted gradients against explicit Jacobians, units, masks, chunks, bad input."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import sdesgd as sg


def net_problem(seed=0, num_examples=13, width=6, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    net = sg.nets.mlp(4, 3, width=width, depth=2, activation=jnp.tanh, key=jr.key(seed))
    net = jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, net)
    return sg.nets.finite_sum(net, rng.normal(size=(num_examples, 4)), rng.integers(0, 3, num_examples), **options)


def jacobian(problem, key=None):
    """The D×N matrix of ∇ℓ_i by forward mode, one coordinate of θ at a time: not the library's reverse pass."""
    flat, unravel = ravel_pytree(problem.moving())
    return jax.jacfwd(lambda x: problem.losses(unravel(x), key))(flat).T


def flatten(tree):
    return ravel_pytree(tree)[0]


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), chunk=st.integers(1, 20), width=st.sampled_from([1, 6]))
def test_weighted_gradient_is_the_jacobian_product(seed, chunk, width):
    problem = net_problem(seed, width=width, chunk_size=chunk)
    weights = np.random.default_rng(seed).normal(size=13)
    got = flatten(problem.weighted_gradient(problem.params, jnp.asarray(weights)))
    want = jacobian(net_problem(seed, width=width)) @ weights
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("chunk", [1, 5, 13])
def test_means_over_any_chunks(chunk):
    problem = net_problem(chunk_size=chunk)
    x, y = problem.data
    logits = np.asarray(problem.params(x))
    by_hand = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(13), np.asarray(y)]
    np.testing.assert_allclose(problem.losses(problem.params), by_hand, rtol=1e-12)
    np.testing.assert_allclose(problem.loss(problem.params), by_hand.mean(), rtol=1e-12)
    np.testing.assert_allclose(flatten(problem.gradient(problem.params)), jacobian(problem).mean(axis=1), atol=1e-13)


def test_a_minibatch_counts_repeats():
    problem = net_problem()
    units = jnp.asarray([2, 2, 7])
    want = jacobian(problem)[:, np.asarray(units)].mean(axis=1)
    np.testing.assert_allclose(flatten(problem.minibatch_gradient(problem.params, units)), want, atol=1e-13)
    each = problem.unit_gradients(problem.params, units)
    np.testing.assert_allclose(jax.vmap(flatten)(each), jacobian(problem)[:, np.asarray(units)].T, atol=1e-13)


def test_only_inexact_arrays_move():
    class Net(eqx.Module):
        weight: jax.Array
        offset: jax.Array  # integers
        rate: float
        activation: object

        def __call__(self, x):
            return self.activation(self.rate * self.weight * x + self.offset)

    net = Net(jnp.ones(()), jnp.asarray(3), 0.5, jnp.tanh)
    problem = sg.Problem(lambda net, x: net(x) ** 2, net, np.linspace(0, 1, 5))
    assert problem.num_parameters == 1
    out = sg.simulate(
        sg.SGD(0.1, 2), problem, num_steps=3, replicas=2, key=jr.key(0), observables={"loss": problem.loss}
    )
    assert out.final_params.weight.shape == (2,)
    assert out.final_params.rate == 0.5
    assert int(out.final_params.offset[0]) == 3


def test_batched_losses_agree_with_single_ones():
    def one(net, example):
        x, y = example
        return -jax.nn.log_softmax(net(x[None])[0])[y]

    vector = net_problem(chunk_size=4)
    single = sg.Problem(one, vector.params, vector.data, chunk_size=4)
    weights = jnp.linspace(-1, 1, 13)
    np.testing.assert_allclose(
        flatten(vector.weighted_gradient(vector.params, weights)),
        flatten(single.weighted_gradient(single.params, weights)),
        atol=1e-14,
    )


# -- units that are groups, and masks -----------------------------------------------------------------------


def group_loss(w, group):
    """A loss that couples a group's examples, as batch norm does."""
    x, y = group
    z = x @ w
    z = (z - z.mean()) / jnp.sqrt(z.var() + 1e-3)
    return jnp.mean((z - y) ** 2)


def group_problem(**options):
    rng = np.random.default_rng(1)
    return sg.Problem(
        group_loss,
        rng.normal(size=3),
        (rng.normal(size=(12, 3)), rng.normal(size=12)),
        unit_size=3,
        **options,
    )


def test_groups_are_a_random_partition_shared_by_all_calls_with_a_key():
    problem, key = group_problem(), jr.key(5)
    assert problem.num_units == 4
    index = sg.Problem(lambda w, i: w * jnp.sum(1.0 * i), jnp.ones(()), np.arange(12), unit_size=3)
    sums = np.asarray(index.losses(index.params, key))
    assert sums.sum() == np.arange(12).sum()
    assert not np.array_equal(sums, np.asarray(index.losses(index.params)))
    np.testing.assert_array_equal(np.asarray(index.losses(index.params)), np.arange(12).reshape(4, 3).sum(axis=1))
    weights = jnp.asarray([1.0, -2.0, 0.5, 3.0])
    for chunk in (1, 3, 4):
        chunked = group_problem(chunk_size=chunk)
        np.testing.assert_allclose(
            chunked.weighted_gradient(chunked.params, weights, key),
            jacobian(problem, key) @ weights,
            atol=1e-13,
        )
    one = problem.minibatch_gradient(problem.params, jnp.asarray([2]), key)
    np.testing.assert_allclose(one, jacobian(problem, key)[:, 2], atol=1e-13)


def masked_loss(w, x, key):
    return jnp.sum(jr.bernoulli(key, 0.5, w.shape) * w * x) ** 2


def test_masks_are_frozen_by_the_key_and_differ_between_units():
    rng = np.random.default_rng(2)
    problem = sg.Problem(masked_loss, rng.normal(size=5), rng.normal(size=(6, 5)), stochastic=True, chunk_size=4)
    key = jr.key(0)
    np.testing.assert_array_equal(problem.losses(problem.params, key), problem.losses(problem.params, key))
    assert not np.array_equal(problem.losses(problem.params, key), problem.losses(problem.params, jr.key(1)))
    weights = jnp.asarray(rng.normal(size=6))
    np.testing.assert_allclose(
        problem.weighted_gradient(problem.params, weights, key), jacobian(problem, key) @ weights, atol=1e-13
    )
    np.testing.assert_allclose(
        problem.unit_gradients(problem.params, jnp.asarray([4]), key)[0],
        jacobian(problem, key)[:, 4],
        atol=1e-13,
    )
    twice = problem.minibatch_gradient(problem.params, jnp.asarray([1, 1]), key)
    alone = [problem.minibatch_gradient(problem.params, jnp.asarray([1]), jr.key(k)) for k in range(20)]
    assert len({tuple(np.asarray(a)) for a in alone}) > 1
    assert twice.shape == (5,)


def test_gaussian_sgd_has_the_covariance_of_dropout_without_replacement():
    """(1/S)[f Cov_i(E ∇ℓ_i) + E_i Cov ∇ℓ_i] for a linear loss with one Bernoulli(½) mask an example, in closed form."""
    x = np.array([1.0, 2.0, -1.0, 0.5])
    N, S, eta = 4, 3, 0.1
    problem = sg.Problem(
        lambda w, a, key: w * a * jr.bernoulli(key).astype(w.dtype), jnp.asarray(0.0), x, stochastic=True
    )
    f = (N - S) / (N - 1)
    mean_part, mask_part = np.var(x / 2), np.mean(x**2) / 4
    want = eta**2 / S * (f * mean_part + mask_part)
    for dynamics in (sg.SGD(eta, S, "no_replacement"), sg.GaussianSGD(eta, S, "no_replacement")):
        state = dynamics.init(problem, problem.params)
        step = jax.jit(
            jax.vmap(lambda k, d=dynamics: d.step(problem, d.init(problem, problem.params), k, jnp.asarray(0)).params)
        )
        out = np.asarray(step(jr.split(jr.key(3), 200_000)))
        deviation = (out - out.mean()) ** 2
        assert abs(deviation.mean() - want) < 4.5 * deviation.std() / np.sqrt(len(out)), type(dynamics)
        assert state.velocity is None


def test_gaussian_sgd_over_groups_has_the_covariance_of_one_group():
    """Batch norm's unit: SGD takes one random group; by enumeration over all groups of 2 out of 4."""
    from itertools import combinations

    rng = np.random.default_rng(4)
    data = (rng.normal(size=(4, 3)), rng.normal(size=4))
    problem = sg.Problem(group_loss, rng.normal(size=3), data, unit_size=2)
    gradients = np.array(
        [jax.grad(group_loss)(problem.params, (data[0][list(p)], data[1][list(p)])) for p in combinations(range(4), 2)]
    )
    eta = 0.1
    want_mean = -eta * gradients.mean(axis=0)
    want_covariance = eta**2 * np.cov(gradients.T, ddof=0)
    for dynamics in (sg.SGD(eta, 2, "no_replacement"), sg.GaussianSGD(eta, 2, "no_replacement")):
        step = jax.jit(
            jax.vmap(lambda k, d=dynamics: d.step(problem, d.init(problem, problem.params), k, jnp.asarray(0)).params)
        )
        moved = np.asarray(step(jr.split(jr.key(6), 100_000))) - np.asarray(problem.params)
        sem = moved.std(axis=0) / np.sqrt(len(moved))
        assert (np.abs(moved.mean(axis=0) - want_mean) < 4.5 * sem).all()
        products = np.einsum("ri,rj->rij", moved - want_mean, moved - want_mean)
        sem = products.std(axis=0) / np.sqrt(len(moved))
        assert (np.abs(products.mean(axis=0) - want_covariance) < 4.5 * sem).all(), type(dynamics)


# -- bad input ----------------------------------------------------------------------------------------------


def scalar(w, x):
    return jnp.sum(w * x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: sg.Problem(scalar, jnp.ones(2), np.ones((0, 2))), "data has 0 examples"),
        (lambda: sg.Problem(scalar, jnp.ones(2), ()), "data is empty"),
        (
            lambda: sg.Problem(scalar, jnp.ones(2), (np.ones((3, 2)), np.ones(4))),
            "leading axes of data differ.*3.*4",
        ),
        (
            lambda: sg.Problem(scalar, jnp.ones(2), np.ones((7, 2)), unit_size=2),
            "N = 7 .*unit_size = 2: drop 1",
        ),
        (
            lambda: sg.Problem(lambda w, x: w * x, jnp.ones(2), np.ones((3, 2))),
            r"must return a scalar.*\(2,\)",
        ),
        (
            lambda: sg.Problem(lambda w, x: jnp.mean(x @ w), jnp.ones(2), np.ones((3, 2)), batched=True),
            r"batched=True .*\(B,\).*gave \(\)",
        ),
        (lambda: sg.Problem(scalar, jnp.ones(2), np.array([[1.0, np.nan], [0, 1]])), "1 values that are NaN"),
        (
            lambda: sg.Problem(scalar, jnp.ones(2), np.full((2, 2), np.inf)),
            "4 values that are NaN or infinite",
        ),
        (lambda: sg.Problem(scalar, 1.0, np.ones(3)), "wrap numbers by jnp.asarray"),
        (lambda: sg.Problem(scalar, jnp.ones(2), np.ones((3, 2)), chunk_size=0), "chunk_size is 0"),
    ],
)
def test_bad_problems_are_refused_in_one_line(build, message):
    with pytest.raises(sg.InputError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_a_stochastic_loss_needs_a_key():
    problem = sg.Problem(masked_loss, jnp.ones(2), np.ones((3, 2)), stochastic=True)
    with pytest.raises(sg.InputError, match="no key was passed"):
        problem.loss(problem.params)


def test_default_chunks_follow_the_shapes_and_bound_the_memory():
    from sdesgd import sizes

    assert net_problem().chunk_size == 13
    assert sizes.chunk_size(2000, 2**18) == 250
    assert sizes.chunk_size(2001, 2**18) == 251
    loss = lambda w, x: jnp.sin(x @ w)  # noqa: E731
    small = sizes.activation_bytes(loss, jnp.ones((8, 4)), jnp.ones((1, 8)))
    large = sizes.activation_bytes(loss, jnp.ones((8, 400)), jnp.ones((1, 8)))
    assert 90 < large / small < 110
