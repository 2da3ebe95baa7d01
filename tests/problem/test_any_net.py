"""Every line of the table in ``sdesgd.problem``: a net of each kind, its gradients written out, a few steps of each."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import sdesgd as sg

N, IN, CLASSES = 8, 3, 2
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, IN)).astype(np.float32), RNG.integers(0, CLASSES, N)
SEQUENCES = RNG.normal(size=(N, 4, IN)).astype(np.float32)
TOKENS = RNG.integers(0, 5, size=(N, 4))


def cross_entropy(outputs, label):
    return -jax.nn.log_softmax(outputs)[label]


def flat(tree):
    return np.asarray(ravel_pytree(eqx.filter(tree, eqx.is_inexact_array))[0])


def check(problem, losses, params, units=N):
    """The problem against losses of one unit each, written without it, and runs of both dynamics.

    Args:
        problem: under test.
        losses: k ↦ (params ↦ ℓ_k), in any form of the params.
        params: in that form, of the same order of numbers.
        units: k's there are.
    """
    of_unit = [eqx.filter_value_and_grad(losses(k))(params) for k in range(units)]
    values, gradients = np.array([v for v, _ in of_unit]), np.stack([flat(g) for _, g in of_unit])
    weights = np.random.default_rng(1).normal(size=units).astype(np.float32)
    assert problem.num_units == units
    np.testing.assert_allclose(problem.loss(problem.params), values.mean(), rtol=1e-5)
    np.testing.assert_allclose(flat(problem.gradient(problem.params)), gradients.mean(axis=0), atol=2e-6)
    weighted = problem.weighted_gradient(problem.params, jnp.asarray(weights))
    np.testing.assert_allclose(flat(weighted), weights @ gradients, atol=1e-5)
    assert np.linalg.norm(gradients - gradients.mean(axis=0)) > 0.05, "examples differ"
    for kind in (sg.SGD, sg.SDE):
        batch_size = max(2, problem.unit_size)
        run = sg.simulate(
            kind(0.1, batch_size, "no_replacement"),
            problem,
            num_steps=3,
            replicas=2,
            key=jr.key(4),
            observables={"loss": lambda p: problem.loss(p, jr.key(0) if problem.needs_key else None)},
        )
        values = run.values["loss"]
        assert np.isfinite(values).all(), kind
        assert (np.abs(values[:, -1] - values[:, 0]) > 1e-4).all(), "something moved"
        assert np.isfinite(flat(run.final_params)).all()


# -- pure functions ------------------------------------------------------------------------------------------


def test_plain_arrays():
    params = {"w": RNG.normal(size=(IN, CLASSES)).astype(np.float32), "b": np.zeros(CLASSES, np.float32)}

    def loss(params, example):
        x, y = example
        return cross_entropy(x @ params["w"] + params["b"], y)

    problem = sg.Problem(loss, params, (X, Y))
    check(problem, lambda k: lambda p: cross_entropy(X[k] @ p["w"] + p["b"], Y[k]), jax.tree.map(jnp.asarray, params))
    # For a linear net also without any differentiation: ∇_w ℓ = x (softmax − e_y)ᵀ.
    logits = X @ params["w"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(CLASSES)[Y]
    np.testing.assert_allclose(problem.gradient(problem.params)["w"], X.T @ p / N, atol=1e-6)


def init(key, x):
    """What haiku's ``transform`` gives: names of modules → names of arrays → arrays."""
    first, second = jr.split(key)
    return {
        "mlp/~/linear_0": {"w": jr.normal(first, (x.shape[-1], 5)), "b": jnp.zeros(5)},
        "mlp/~/linear_1": {"w": jr.normal(second, (5, CLASSES)), "b": jnp.zeros(CLASSES)},
    }


def apply(params, rng, x):
    del rng
    for name, activation in (("mlp/~/linear_0", jnp.tanh), ("mlp/~/linear_1", lambda z: z)):
        x = activation(x @ params[name]["w"] + params[name]["b"])
    return x


def test_a_pair_of_init_and_apply():
    params = jax.tree.map(lambda x: x.astype(jnp.float32), init(jr.key(0), X[:1]))
    problem = sg.Problem(lambda p, e: cross_entropy(apply(p, None, e[0]), e[1]), params, (X, Y))
    W, b, V, c = (params[f"mlp/~/linear_{k}"][name] for k in (0, 1) for name in ("w", "b"))

    def by_hand(k):
        return lambda p: cross_entropy(jnp.tanh(X[k] @ p[1] + p[0]) @ p[3] + p[2], Y[k])

    check(problem, by_hand, [b, W, c, V])


# -- equinox -------------------------------------------------------------------------------------------------


def in_float32(net):
    return jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, net)


class WithBatchNorm(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    second: eqx.nn.Linear

    def __init__(self, key):
        keys = jr.split(key)
        self.first = eqx.nn.Linear(IN, 4, key=keys[0])
        self.norm = eqx.nn.BatchNorm(4, "batch", mode="batch")
        self.second = eqx.nn.Linear(4, CLASSES, key=keys[1])

    def __call__(self, x, state):
        x, state = self.norm(self.first(x), state)
        return self.second(jnp.tanh(x)), state


@pytest.mark.slow
def test_equinox_batch_norm_by_groups():
    """The group's own mean and 1/S variance; the running averages of the state neither matter nor move."""
    S = 4
    net, state = eqx.nn.make_with_state(WithBatchNorm)(jr.key(0))
    net, state = in_float32(net), in_float32(state)

    def group_loss(net, group):
        x, y = group
        outputs, _ = jax.vmap(net, (0, None), (0, None), axis_name="batch")(x, state)
        return jnp.mean(jax.vmap(cross_entropy)(outputs, y))

    def by_hand(k):
        rows = slice(k * S, (k + 1) * S)

        def loss(net):
            z = X[rows] @ net.first.weight.T + net.first.bias
            z = (z - z.mean(axis=0)) / jnp.sqrt(((z - z.mean(axis=0)) ** 2).mean(axis=0) + 1e-5)
            outputs = jnp.tanh(z * net.norm.weight + net.norm.bias) @ net.second.weight.T + net.second.bias
            return jnp.mean(jax.vmap(cross_entropy)(outputs, Y[rows]))

        return loss

    problem = sg.Problem(group_loss, net, (X, Y), unit_size=S)
    assert problem.num_parameters == IN * 4 + 4 + 2 * 4 + 4 * CLASSES + CLASSES, "running averages are no parameters"
    check(problem, by_hand, net, units=N // S)


class WithGroupNorm(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.GroupNorm
    second: eqx.nn.Linear

    def __call__(self, x):
        return self.second(jnp.tanh(self.norm(self.first(x))))


@pytest.mark.slow
def test_equinox_group_norm():
    keys = jr.split(jr.key(1))
    net = in_float32(
        WithGroupNorm(eqx.nn.Linear(IN, 4, key=keys[0]), eqx.nn.GroupNorm(2, 4), eqx.nn.Linear(4, CLASSES, key=keys[1]))
    )

    def by_hand(k):
        def loss(net):
            z = (net.first.weight @ X[k] + net.first.bias).reshape(2, 2)
            z = (z - z.mean(axis=1, keepdims=True)) / jnp.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
            h = jnp.tanh(z.reshape(4) * net.norm.weight + net.norm.bias)
            return cross_entropy(net.second.weight @ h + net.second.bias, Y[k])

        return loss

    check(sg.Problem(lambda net, e: cross_entropy(net(e[0]), e[1]), net, (X, Y)), by_hand, net)


class WithLSTM(eqx.Module):
    cell: eqx.nn.LSTMCell
    head: eqx.nn.Linear

    def __call__(self, xs):
        start = (jnp.zeros(self.cell.hidden_size, xs.dtype),) * 2
        (h, _), _ = jax.lax.scan(lambda carry, x: (self.cell(x, carry), None), start, xs)
        return self.head(h)


@pytest.mark.slow
def test_equinox_lstm():
    keys = jr.split(jr.key(2))
    net = in_float32(WithLSTM(eqx.nn.LSTMCell(IN, 3, key=keys[0]), eqx.nn.Linear(3, CLASSES, key=keys[1])))

    def by_hand(k):
        def loss(net):
            h = c = jnp.zeros(3)
            for x in SEQUENCES[k]:
                z = net.cell.weight_ih @ x + net.cell.weight_hh @ h + net.cell.bias
                i, f, g, o = jax.nn.sigmoid(z[:3]), jax.nn.sigmoid(z[3:6]), jnp.tanh(z[6:9]), jax.nn.sigmoid(z[9:])
                c = f * c + i * g
                h = o * jnp.tanh(c)
            return cross_entropy(net.head.weight @ h + net.head.bias, Y[k])

        return loss

    check(sg.Problem(lambda net, e: cross_entropy(net(e[0]), e[1]), net, (SEQUENCES, Y)), by_hand, net)


class Transformer(eqx.Module):
    """One block of attention over tokens, which are integers."""

    embedding: eqx.nn.Embedding
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jr.split(key, 3)
        self.embedding = eqx.nn.Embedding(5, 4, key=keys[0])
        self.attention = eqx.nn.MultiheadAttention(2, 4, key=keys[1])
        self.norm = eqx.nn.LayerNorm(4)
        self.head = eqx.nn.Linear(4, CLASSES, key=keys[2])

    def __call__(self, tokens):
        x = jax.vmap(self.embedding)(tokens)
        x = jax.vmap(self.norm)(x + self.attention(x, x, x))
        return self.head(x.mean(axis=0))


@pytest.mark.slow
def test_equinox_transformer_of_tokens():
    net = in_float32(Transformer(jr.key(3)))

    def by_hand(k):
        def loss(net):
            x, layers = net.embedding.weight[TOKENS[k]], net.attention
            q, key, v = (
                (x @ p.weight.T).reshape(4, 2, 2) for p in (layers.query_proj, layers.key_proj, layers.value_proj)
            )
            scores = jax.nn.softmax(jnp.einsum("shd,thd->hst", q, key) / jnp.sqrt(2.0), axis=-1)
            x = x + jnp.einsum("hst,thd->shd", scores, v).reshape(4, 4) @ layers.output_proj.weight.T
            mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
            x = (x - mean) / jnp.sqrt(variance + 1e-5) * net.norm.weight + net.norm.bias
            return cross_entropy(net.head.weight @ x.mean(axis=0) + net.head.bias, Y[k])

        return loss

    problem = sg.Problem(lambda net, e: cross_entropy(net(e[0]), e[1]), net, (TOKENS, Y))
    assert jnp.issubdtype(problem.data[0].dtype, jnp.integer)
    check(problem, by_hand, net)


# -- flax ----------------------------------------------------------------------------------------------------


def by_hand_two_layers(names):
    """The losses of tanh(x W + b) V + c from a pytree of params, wherever it keeps these four."""

    def of_unit(k):
        def loss(params):
            W, b, V, c = (get(params) for get in names)
            return cross_entropy(jnp.tanh(X[k] @ W + b) @ V + c, Y[k])

        return loss

    return of_unit


@pytest.mark.slow
def test_flax_linen():
    linen = pytest.importorskip("flax.linen")
    net = linen.Sequential([linen.Dense(5), jnp.tanh, linen.Dense(CLASSES)])
    params = net.init(jr.key(0), X[0])
    problem = sg.Problem(lambda p, e: cross_entropy(net.apply(p, e[0]), e[1]), params, (X, Y))
    names = [
        lambda p, layer=layer, name=name: p["params"][layer][name]
        for layer in ("layers_0", "layers_2")
        for name in ("kernel", "bias")
    ]
    check(problem, by_hand_two_layers(names), params)


@pytest.mark.slow
def test_flax_linen_batch_norm_by_groups():
    linen = pytest.importorskip("flax.linen")
    S = 4
    net = linen.Sequential([linen.BatchNorm(use_running_average=False), linen.Dense(CLASSES)])
    variables = net.init(jr.key(0), X[:S])
    params = variables["params"]

    def group_loss(params, group):
        x, y = group
        fresh = {"params": params, "batch_stats": variables["batch_stats"]}
        outputs, _ = net.apply(fresh, x, mutable=["batch_stats"])
        return jnp.mean(jax.vmap(cross_entropy)(outputs, y))

    def by_hand(k):
        rows = slice(k * S, (k + 1) * S)

        def loss(params):
            norm, dense = params["layers_0"], params["layers_1"]
            z = (X[rows] - X[rows].mean(axis=0)) / jnp.sqrt(X[rows].var(axis=0) + 1e-5)
            outputs = (z * norm["scale"] + norm["bias"]) @ dense["kernel"] + dense["bias"]
            return jnp.mean(jax.vmap(cross_entropy)(outputs, Y[rows]))

        return loss

    check(sg.Problem(group_loss, params, (X, Y), unit_size=S), by_hand, params, units=N // S)


@pytest.mark.slow
def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Linear(IN, 5, rngs=rngs), nnx.Linear(5, CLASSES, rngs=rngs)

        def __call__(self, x):
            return self.second(jnp.tanh(self.first(x)))

    net = Net(nnx.Rngs(0))
    graph, params = nnx.split(net)
    problem = sg.Problem(lambda p, e: cross_entropy(nnx.merge(graph, p)(e[0]), e[1]), params, (X, Y))
    arrays = [getattr(getattr(net, layer), name)[...] for layer in ("first", "second") for name in ("bias", "kernel")]
    names = [lambda p, k=k: p[k] for k in (1, 0, 3, 2)]
    check(problem, by_hand_two_layers(names), arrays)
    rebuilt = nnx.merge(graph, problem.params)
    np.testing.assert_allclose(rebuilt(X), net(X), atol=1e-6)


def test_flax_nnx_with_dropout():
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.linear, self.dropout = nnx.Linear(IN, CLASSES, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x, key):
            return self.linear(self.dropout(x, rngs=nnx.Rngs(dropout=key)))

    net = Net(nnx.Rngs(0))
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    problem = sg.Problem(
        lambda p, e, key: cross_entropy(nnx.merge(graph, p, rest)(e[0], key), e[1]), params, (X, Y), stochastic=True
    )
    assert problem.num_parameters == IN * CLASSES + CLASSES, "counters of draws are no parameters"
    draws = [float(problem.loss(problem.params, jr.key(k))) for k in range(3)]
    assert len(set(draws)) == 3
    assert float(problem.loss(problem.params, jr.key(0))) == draws[0]
