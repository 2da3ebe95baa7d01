"""The nets: sizes as published, layers against brute force in numpy, what couples examples and what doesn't."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import sdesgd as sg
from sdesgd import nets
from sdesgd.nets import convolution, layers

KEY = jr.key(0)
RNG = np.random.default_rng(0)


def size(net):
    return sum(x.size for x in jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array)))


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: nets.f2(key=KEY), 2_780_085),
        (lambda: nets.c1(key=KEY), 283_274),
        (lambda: nets.c1(reading="released", key=KEY), 1_757_834),
        # one input channel: 2·25·64 weights of the first kernel fewer
        (lambda: nets.c1((28, 28, 1), key=KEY), 283_274 - 2 * 25 * 64),
        (lambda: nets.f1(key=KEY), 784 * 512 + 512 + 4 * (512 * 512 + 512) + 5 * 1024 + 512 * 10 + 10),
        (lambda: nets.f1(normalization="none", width=8, key=KEY), 784 * 8 + 8 + 4 * 72 + 90),
        (lambda: nets.logistic_regression(7, 3, key=KEY), 24),
        (lambda: nets.linear_regression(7, key=KEY), 8),
    ],
)
def test_parameter_counts(make, parameters):
    assert size(make()) == parameters


# -- layers against brute force ---------------------------------------------------------------------------


def brute_convolution(x, kernel, bias, stride):
    """Cross-correlation with zero padding, one window at a time."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = (range(0, n, stride) for n in x.shape[1:3])
    windows = [[padded[:, i : i + size, j : j + size] for j in columns] for i in rows]
    return (
        np.stack([[np.einsum("bijc,ijco->bo", w, kernel) for w in row] for row in windows]).transpose(2, 0, 1, 3) + bias
    )


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("shape", "stride", "size"), [((7, 7), 2, 5), ((8, 6), 2, 5), ((5, 6), 1, 3), ((4, 9), 3, 5)])
def test_convolution(native, shape, stride, size):
    layer = layers.Convolution(3, 4, size, stride=stride, native=native, key=KEY)
    layer = eqx.tree_at(lambda c: c.bias, layer, jnp.arange(4.0))
    x = RNG.normal(size=(2, *shape, 3))
    want = brute_convolution(x, np.asarray(layer.kernel), np.arange(4.0), stride)
    np.testing.assert_allclose(layer(jnp.asarray(x)), want, atol=1e-12)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (1, 3)])
def test_tiles_are_the_same_convolution(size, shape):
    """In float64, and in float32 to 1e-4 of the largest output; by_matmuls uses them for many channels."""
    kernel, x = RNG.normal(size=(size, size, 9, 4)), RNG.normal(size=(2, *shape, 9))
    want = brute_convolution(x, kernel, 0.0, 1)
    found = [convolution.tiles(*(jnp.asarray(a, dtype) for a in (x, kernel))) for dtype in (np.float64, np.float32)]
    np.testing.assert_allclose(found[0], want, atol=1e-11)
    np.testing.assert_allclose(found[1], want, atol=1e-4 * np.abs(want).max())
    np.testing.assert_array_equal(convolution.by_matmuls(jnp.asarray(x), jnp.asarray(kernel), 1), found[0])


def test_an_even_kernel_is_refused():
    with pytest.raises(sg.InputError, match="kernel size is 4: pass an odd one"):
        layers.Convolution(1, 1, 4, key=KEY)


@pytest.mark.parametrize("shape", [(16, 16), (7, 8), (1, 2)])
def test_max_pool(shape):
    x = RNG.normal(size=(2, *shape, 3)) - 3.0  # negative: padding with zeros would show
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    want = np.stack(
        [
            np.stack([padded[:, i : i + 3, j : j + 3].max(axis=(1, 2)) for j in range(0, shape[1], 2)], axis=1)
            for i in range(0, shape[0], 2)
        ],
        axis=1,
    )
    np.testing.assert_array_equal(layers.max_pool(jnp.asarray(x)), want)


def test_batch_norm_uses_the_batch_and_group_norm_the_example():
    x = RNG.normal(2.0, 3.0, size=(5, 4, 4, 6))
    batch = layers.BatchNorm(6)(jnp.asarray(x), layers.batch_moments(jnp.asarray(x)))
    want = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(batch, want, atol=1e-12)
    norm = layers.GroupNorm(6, groups=4)
    assert norm.groups == 3, "the largest divisor up to 4"
    grouped = x.reshape(5, 16, 3, 2)
    want = (grouped - grouped.mean(axis=(1, 3), keepdims=True)) / np.sqrt(
        grouped.var(axis=(1, 3), keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(norm(jnp.asarray(x)), want.reshape(x.shape), atol=1e-12)
    dense = RNG.normal(size=(5, 6))
    grouped = dense.reshape(5, 3, 2)
    want = (grouped - grouped.mean(axis=2, keepdims=True)) / np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(dense)), want.reshape(5, 6), atol=1e-12)


def test_dropout_keeps_the_mean_and_gives_each_example_its_mask():
    x = jnp.ones((400, 50))
    out = np.asarray(layers.Dropout(0.3)(x, jr.split(KEY, 400)))
    assert set(np.unique(out)) == {0.0, 1 / 0.7}
    share = (out > 0).mean()
    assert abs(share - 0.7) < 4.5 * math.sqrt(0.21 / out.size)
    chi_squared = np.sum(((out > 0).mean(axis=0) - 0.7) ** 2) * 400 / 0.21
    assert abs(chi_squared - 50) < 4.5 * math.sqrt(2 * 50), "masks of a feature are independent over examples"
    assert len({row.tobytes() for row in out}) == 400
    np.testing.assert_array_equal(layers.Dropout(0.3)(x, None), x)


def test_small_images_stand_in_the_middle():
    out = np.asarray(layers.Image((2, 4, 1), 7)(jnp.arange(8.0)[None]))[0, :, :, 0]
    want = np.zeros((7, 7))
    want[2:4, 1:5] = np.arange(8).reshape(2, 4)
    np.testing.assert_array_equal(out, want)


# -- nets --------------------------------------------------------------------------------------------------


def gradient(net, x, y, keys):
    return np.asarray(ravel_pytree(jax.grad(lambda n: nets.cross_entropy(n(x, keys), y).mean())(net))[0])


@pytest.mark.slow
@pytest.mark.parametrize("reading", nets.READINGS)
@pytest.mark.parametrize("normalization", nets.NORMALIZATIONS)
def test_native_convolutions_give_the_same_numbers(reading, normalization):
    """Outputs and gradients, with masks; the two nets differ in how the sums are done alone."""
    pair = [
        nets.c1((6, 6, 2), 4, reading=reading, width=8, normalization=normalization, native=native, key=KEY)
        for native in (False, True)
    ]
    x, y = jr.normal(KEY, (3, 72)), jnp.arange(3)
    outputs, gradients = zip(*((n(x), gradient(n, x, y, jr.split(KEY, 3))) for n in pair), strict=True)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-8, atol=1e-12)


def test_pooling_before_the_relu_is_pooling_after_it():
    x = jr.normal(KEY, (2, 9, 9, 3))
    np.testing.assert_array_equal(jax.nn.relu(layers.max_pool(x)), layers.max_pool(jax.nn.relu(x)))


@pytest.mark.parametrize("normalization", nets.NORMALIZATIONS)
def test_what_couples_examples(normalization):
    """The first example's output moves with the others if and only if there is batch norm; frozen, it doesn't."""
    net = nets.mlp(3, 2, width=4, depth=2, normalization=normalization, key=KEY)
    x = jr.normal(KEY, (6, 3))
    other = x.at[1:].add(1.0)
    assert net.couples_examples == (normalization == "batch")
    assert (not np.allclose(net(x)[0], net(other)[0])) == net.couples_examples
    frozen = net.moments(x)
    np.testing.assert_allclose(net(x, moments=frozen), net(x), rtol=1e-12)
    np.testing.assert_allclose(net(other, moments=frozen)[0], net(x)[0], rtol=1e-12)


def test_frozen_batch_norm_has_examples_as_units():
    """With given moments Σ w_i ∇ℓ_i is that of single examples, and the moments don't move."""
    net = nets.mlp(3, 2, width=4, normalization="batch", key=KEY)
    x, y = jr.normal(KEY, (6, 3)), jnp.array([0, 1, 1, 0, 1, 0])
    moments = net.moments(x)
    problem = nets.finite_sum(net, x, y, moments=moments)
    assert (problem.num_units, problem.num_parameters) == (6, size(net))
    losses = [float(nets.cross_entropy(net(x[i : i + 1], moments=moments), y[i : i + 1])[0]) for i in range(6)]
    np.testing.assert_allclose(problem.losses(problem.params), losses, rtol=1e-12)
    out = sg.simulate(sg.SDE(0.1, 2), problem, num_steps=3, replicas=2, key=KEY, observables={"loss": problem.loss})
    assert np.isfinite(out.values["loss"]).all()


def test_finite_sum_groups_where_there_is_batch_norm():
    net = nets.mlp(3, 2, width=4, normalization="batch", key=KEY)
    x, y = jnp.ones((6, 3)), jnp.zeros(6, int)
    assert nets.finite_sum(net, x, y, 2).num_units == 3
    for batch_size in (None, 1):
        with pytest.raises(sg.InputError, match=f"batch_size is {batch_size}: batch norm needs .* at least 2"):
            nets.finite_sum(net, x, y, batch_size)
    with pytest.raises(sg.InputError, match="N = 6 examples are not a multiple of unit_size = 4"):
        nets.finite_sum(net, x, y, 4)
    assert nets.finite_sum(nets.mlp(3, 2, width=4, key=KEY), x, y).num_units == 6


def test_evaluation_is_the_mean_over_the_set_in_equal_parts():
    net = nets.mlp(3, 4, width=5, dropout=0.5, key=KEY)
    x, y = jr.normal(KEY, (11, 3)), jnp.arange(11) % 4
    logits = np.asarray(net(x))
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(11), y]
    for batch_size in (5000, 4):
        loss = nets.Evaluation(nets.cross_entropy, x, y, batch_size)(net)
        assert float(loss) == pytest.approx(losses.mean(), rel=1e-12), "no dropout, whatever the parts"
    accuracy = nets.Evaluation(nets.correct, x, y)(net)
    assert float(accuracy) == pytest.approx((logits.argmax(axis=1) == np.arange(11) % 4).mean())
    normed = nets.mlp(3, 4, width=5, normalization="batch", key=KEY)
    parts = [np.asarray(nets.cross_entropy(normed(x[a:b]), y[a:b])) for a, b in ((0, 5), (5, 11))]
    loss = nets.Evaluation(nets.cross_entropy, x, y, 6)(normed)
    assert float(loss) == pytest.approx(np.concatenate(parts).mean(), rel=1e-12)


def test_squared_error():
    targets = jnp.array([1.0, -1.0])
    np.testing.assert_allclose(nets.squared_error(jnp.array([[3.0], [-1.0]]), targets), [2.0, 0.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nets.mlp(3, 2, width=4, normalization="btach", key=KEY), "unknown normalization 'btach'"),
        (lambda: nets.mlp(3, 2, width=0, key=KEY), "width is 0: pass at least 1"),
        (lambda: nets.mlp(3, 2, width=4, dropout=1.0, key=KEY), "dropout is 1.0: pass a rate"),
        (lambda: nets.c1(reading="papre", key=KEY), "unknown reading 'papre'.*paper"),
        (lambda: nets.c1((360,), key=KEY), r"C1 takes images .* shape \(360,\): use mlp, f1 or f2"),
        (lambda: nets.c1((33, 32, 1), key=KEY), "at most 32×32"),
    ],
)
def test_bad_nets_are_refused(make, message):
    with pytest.raises(sg.InputError, match=message):
        make()
