"""What a problem says of its loss when it is made: batch norm of single examples, groups of one, examples not read."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.programs import deviates_from_a_mean_of_one
from tests.refusals import refused

X, Y = np.random.default_rng(0).normal(size=(6, 3)), np.arange(6) % 2


class Net(eqx.Module):
    norm: eqx.nn.BatchNorm
    head: eqx.nn.Linear

    def __init__(self, key):
        self.norm, self.head = eqx.nn.BatchNorm(3, "minibatch", mode="batch"), eqx.nn.Linear(3, 1, key=key)

    def __call__(self, x, state):
        x, state = self.norm(x, state)
        return self.head(x)[0], state


NET, STATE = eqx.nn.make_with_state(Net)(jr.key(0))


def of_one(net, example):
    return (net(example[0], STATE)[0] - example[1]) ** 2


def of_group(net, group):
    outputs, _ = jax.vmap(net, (0, None), (0, None), axis_name="minibatch")(group[0], STATE)
    return jnp.mean((outputs - group[1]) ** 2)


def of_group_of_one(net, example):
    return of_group(net, jax.tree.map(lambda x: x[None], example))


def made(loss, params=NET, data=(X, Y), **options):
    """The problem, and what was said of it as RuntimeWarning."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        problem = sg.Problem(loss, params, data, **options)
    return problem, [str(w.message) for w in seen if issubclass(w.category, RuntimeWarning)]


# -- batch norm ------------------------------------------------------------------------------------------------


def test_batch_norm_of_single_examples_names_the_axis_and_the_remedy():
    for options in ({}, {"unit_size": 2}):
        line = refused(lambda options=options: sg.Problem(of_one, NET, (X, Y), **options), "reads the axis 'minibatch'")
        assert "unit_size=S" in line
        assert "axis_name='minibatch'" in line
    assert not made(of_group, unit_size=3)[1]


def test_any_collective_outside_its_axis_is_met_so_in_an_observable_too():
    refused(lambda: sg.Problem(lambda w, x: jax.lax.psum(w * x[0], "i"), 1.0 * jnp.ones(()), X), "reads the axis 'i'")
    problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(3), X)
    refused(
        lambda: sg.simulate(
            sg.SGD(0.1, 2),
            problem,
            num_steps=1,
            replicas=1,
            key=jr.key(0),
            observables={"mean": lambda w: jax.lax.pmean(w, "replicas")},
        ),
        "observable 'mean' reads the axis 'replicas'",
    )


def test_a_loss_of_a_group_or_a_batch_that_gets_one_example_is_told_which_option_it_needs():
    line = refused(
        lambda: sg.Problem(of_group, NET, (X, Y)), "can't take one example .*takes a group: pass unit_size=S"
    )
    assert "batched" not in line
    of_batch = lambda w, batch: (batch[0] @ w)[:, None].sum(axis=1) - batch[1]  # noqa: E731
    refused(lambda: sg.Problem(of_batch, jnp.ones(3), (X, Y)), "takes a batch: pass batched=True")

    def random_group(w, group, key):
        x, y = group
        return jnp.mean((x[:, :2] @ w[:2] - y) ** 2) * jr.uniform(key)

    refused(lambda: sg.Problem(random_group, jnp.ones(3), (X, Y), stochastic=True), "takes a group")
    # What fails for a group too keeps its own error.
    refused(lambda: sg.Problem(lambda w, x: w @ x, jnp.ones(5), X), "can't be traced by JAX .*TypeError")


def test_batch_norm_over_a_group_of_one_is_noticed():
    """Its output is its bias, so nothing before it gets a gradient: the fact that the warning is about."""
    problem, said = made(of_group_of_one)
    assert len(said) == 1, said
    assert "unit_size=S" in said[0]
    gradients = problem.unit_gradients(problem.params, jnp.arange(6))
    assert np.abs(gradients.norm.weight).max() == 0
    assert np.abs(problem.gradient(problem.params).head.bias).max() > 0


def test_means_over_one_number_are_found_and_no_others():
    def found(function, *shapes):
        return deviates_from_a_mean_of_one(jax.make_jaxpr(function)(*(jnp.ones(shape) for shape in shapes)).jaxpr)

    assert found(lambda x: x - x.mean(), ())
    assert found(lambda x: x[None] - x[None].mean(axis=0), 3)
    assert found(lambda x: jnp.std(x, axis=1), (3, 1))
    assert found(jax.jit(lambda x: jax.checkpoint(lambda x: x - x.mean(axis=1))(x[:, None])[:, 0]), 3)
    assert found(lambda x: jax.lax.scan(lambda c, a: (c + (a - a.mean()), None), 0.0, x)[0], 3)
    assert found(lambda x: jax.vmap(lambda a: a - jax.lax.pmean(a, "b"), axis_name="b")(x), (1, 3))
    half = jax.jit(lambda x: (x / 2).squeeze(1))  # one program, called twice
    for other in (
        lambda x: x - x.mean(),
        lambda x: jnp.std(x, axis=0),
        lambda x: x[:1] - x.mean(axis=0, keepdims=True),
        lambda x: x - jax.lax.stop_gradient(x),
        lambda x: x - x[::-1].mean(axis=1, keepdims=True),
        lambda x: x - jax.nn.relu(x).mean(axis=1, keepdims=True),
        lambda x: half(x) - half(x + 1)[:, None].mean(axis=1),
        lambda x: jax.nn.log_softmax(x, axis=1),
        lambda x: jax.vmap(lambda a: a - jax.lax.pmean(a, "b"), axis_name="b")(x),
    ):
        assert not found(other, (3, 1))


# -- losses that don't read their example ------------------------------------------------------------------------


def test_a_loss_that_ignores_its_example_is_noticed_at_once():
    for loss in (
        lambda w, x: jnp.sum(w**2),
        lambda w, x: jnp.sum(w**2) + x.sum(),  # losses differ, their gradients don't
        lambda w, x: jax.jit(lambda w, x: jnp.sum(jnp.sin(w)))(w, x),
        lambda w, x: jax.lax.scan(lambda c, _: (jnp.tanh(c), None), w.sum(), None, 3)[0],
        lambda w, x: jnp.sum(w**2) + jax.lax.stop_gradient(x @ w),
    ):
        problem, said = made(loss, jnp.ones(3), X)
        assert len(said) == 1, said
        assert "the same for all 6" in said[0]
        gradients = np.asarray(problem.unit_gradients(problem.params, jnp.arange(6)))
        assert np.ptp(gradients, axis=0).max() == 0
    assert len(made(lambda w, group: jnp.sum(w**2), jnp.ones(3), X, unit_size=2)[1]) == 1
    assert len(made(lambda w, batch: jnp.zeros(len(batch)) + w.sum(), jnp.ones(3), X, batched=True)[1]) == 1


@pytest.mark.parametrize(
    ("loss", "data", "options"),
    [
        (lambda w, e: (w.sum() - e[1]) ** 2, (X, Y), {}),  # labels only
        (lambda w, e: e[0][0] * w.sum(), (X, Y), {}),  # one input only
        (lambda w, i: (jnp.asarray(X)[i] @ w) ** 2, np.arange(6), {}),  # an index into data that it holds
        (lambda w, x: jnp.where(x[0] > 0, w.sum(), w.sum() ** 2), X, {}),
        (lambda w, x: jax.lax.cond(x[0] > 0, lambda w: w.sum(), lambda w: w.sum() ** 2, w), X, {}),
        (lambda w, x: jax.lax.fori_loop(0, 3, lambda _, c: c + x @ w, 0.0), X, {}),
        (lambda w, x: jax.lax.scan(lambda c, a: (c * a + w.sum(), None), 1.0, x)[0], X, {}),
        (lambda w, x, key: jr.normal(key) * w.sum(), X, {"stochastic": True}),  # random for each example
        (lambda w, x: w.sum() ** 2, X[:1], {}),  # one example: plain gradient descent
        (lambda w, x: w.sum() ** 2, X, {"unit_size": 6}),  # one unit
    ],
)
def test_no_loss_that_is_of_its_examples_is_suspected(loss, data, options):
    assert made(loss, jnp.ones(3), data, **options)[1] == []


def test_a_custom_derivative_is_what_counts():
    """Straight through a sign, whose own derivative is 0; and one that forgets the example, unlike the value."""

    def signs(w, x):
        return jnp.sum(jnp.sign(w) * x)

    through, forgetful = jax.custom_vjp(signs), jax.custom_vjp(signs)
    through.defvjp(lambda w, x: (signs(w, x), x), lambda x, g: (g * x, 0 * x))
    forgetful.defvjp(lambda w, x: (signs(w, x), x), lambda x, g: (g * jnp.ones(3), jnp.zeros(3)))
    assert len(made(signs, jnp.ones(3), X)[1]) == 1, "no gradient at all, for any example"
    assert len(made(forgetful, jnp.ones(3), X)[1]) == 1
    problem, said = made(through, jnp.ones(3), X)
    assert said == []
    np.testing.assert_allclose(problem.gradient(problem.params), X.mean(axis=0), atol=1e-12)


def test_the_card_says_that_equal_examples_make_no_noise():
    loss = lambda w, x: jnp.sum((w - x) ** 2)  # noqa: E731
    same = sg.Problem(loss, jnp.ones(3), np.tile(X[:1], (6, 1)))
    with pytest.warns(RuntimeWarning, match="gradients of all 6 examples are equal"):
        assert sg.validity_card(same, 0.1, 2, key=jr.key(0)).trace < 1e-25
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        nearly = np.tile(X[:1], (6, 1))
        nearly[0] += 1e-9
        sg.validity_card(sg.Problem(loss, jnp.ones(3), nearly), 0.1, 2, key=jr.key(0))
        interpolating = sg.Problem(lambda w, x: (x @ w) ** 2, jnp.zeros(3), X)
        sg.validity_card(interpolating, 0.1, 2, key=jr.key(0))
        sg.validity_card(sg.Problem(loss, jnp.ones(3), X[:1]), 0.1, 1, key=jr.key(0))
