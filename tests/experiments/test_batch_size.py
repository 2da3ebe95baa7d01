"""The cells of batch-size against the library's own SGD and against closed forms; its noise scales against matrices."""

import math

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray as xr

import sdesgd as sg
from experiments.batch_size import cell as batch_size_cell
from experiments.batch_size import noise as batch_size_noise
from experiments.batch_size.series import noise_scales_of
from sdesgd import nets
from sdesgd.errors import InputError

pytestmark = pytest.mark.slow

CELL = {
    "data": "digits",
    "data_dir": "",
    "data_seed": 0,
    "pool": 60,
    "num_test": 100,
    "pooling": 2,
    "width": 5,
    "depth": 1,
    "budget": "steps",
    "budget_size": 40,
    "learning_rate": 0.1,
    "num_examples": 30,
    "momentum": 0.9,
    "batch_size": 4,
}


# -- the cell ----------------------------------------------------------------------------------------------


def by_hand(config, seeds):
    """(net, test accuracy) of each seed by ``simulate`` on the problem of the N examples alone."""
    dataset = sg.data.load(config["data"], config["pool"], config["num_test"], config["data_seed"])
    halved = [
        x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) for x in (dataset.inputs, dataset.test_inputs)
    ]
    N, made = config["num_examples"], []
    for key in batch_size_cell.keys_of(config, seeds):
        key_net, key_steps = jr.split(key)
        net = nets.mlp(16, 10, width=config["width"], depth=config["depth"], key=key_net)
        problem = nets.finite_sum(net, halved[0][:N], dataset.labels[:N])
        dynamics = sg.SGD(config["learning_rate"], config["batch_size"], momentum=config["momentum"])
        state = dynamics.init(problem, net)
        for n in range(config["budget_size"]):
            state = _step(dynamics, problem, state, jr.fold_in(key_steps, n), jnp.asarray(n))
        logits = np.asarray(state.params(jnp.asarray(halved[1])))
        made.append((state.params, np.mean(logits.argmax(axis=1) == dataset.test_labels)))
    return made


def arrays(nets):
    return jax.tree.leaves(eqx.filter(nets, eqx.is_array))


@eqx.filter_jit
def _step(dynamics, problem, state, key, n):
    return dynamics.step(problem, state, key, n)


@pytest.mark.parametrize("change", [{}, {"momentum": 0.0, "batch_size": 1}, {"depth": 0, "num_examples": 60}])
def test_a_cell_is_the_librarys_sgd_on_the_first_n_examples(change):
    config = CELL | change
    seeds = (3, 0)
    parts = batch_size_cell.load(config)
    keys, problem = batch_size_cell.keys_of(config, seeds), batch_size_cell.problem_of(parts, config)
    run = batch_size_cell.trained(parts, config, keys, problem)
    found = batch_size_cell.cell(config, seeds)
    for k, (net, accuracy) in enumerate(by_hand(config, seeds)):
        for a, b in zip(*map(arrays, (run.final_params, net)), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-9, atol=1e-12)
        assert found["accuracy"][k] == pytest.approx(accuracy, abs=1e-12)
    assert not found["diverged"].any()
    np.testing.assert_array_equal(found["steps"], 40)


def test_losses_are_means_over_the_right_examples():
    found = batch_size_cell.cell(CELL, (0,))
    (net, _), dataset = by_hand(CELL, (0,))[0], sg.data.load("digits", 60, 100, 0)
    for which, inputs, labels in (
        ("train", dataset.inputs[:30], dataset.labels[:30]),
        ("test", dataset.test_inputs, dataset.test_labels),
    ):
        halved = inputs.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
        logits = np.asarray(net(jnp.asarray(halved)), float)
        likelihood = np.exp(logits[np.arange(len(labels)), labels]) / np.exp(logits).sum(axis=1)
        assert found[f"{which}_loss"][0] == pytest.approx(-np.log(likelihood).mean(), rel=1e-6)
    assert found["train_accuracy"][0] * 30 == pytest.approx(round(found["train_accuracy"][0] * 30))


def test_seeds_and_cells_have_streams_of_their_own():
    keys = [batch_size_cell.keys_of(CELL | change, (0, 1)) for change in ({}, {"batch_size": 8}, {"momentum": 0.5})]
    data = np.concatenate([np.asarray(jr.key_data(k)) for k in keys])
    assert len({tuple(row) for row in data}) == 6
    again = batch_size_cell.keys_of(dict(reversed(CELL.items())), (1,))
    np.testing.assert_array_equal(jr.key_data(again)[0], data[1])
    alone, both = (batch_size_cell.cell(CELL, seeds) for seeds in ((1,), (0, 1)))
    assert alone["train_loss"][0] == pytest.approx(both["train_loss"][1], rel=1e-9)


def test_a_run_that_leaves_the_finite_numbers_is_diverged_and_one_that_only_guesses_has_failed():
    blown = batch_size_cell.cell(CELL | {"learning_rate": 1e300}, (0, 1))
    assert blown["diverged"].all()
    assert not blown["failed"].any()
    assert np.isnan(blown["accuracy"]).all()
    untrained = batch_size_cell.cell(CELL | {"learning_rate": 30.0}, (0, 1))
    guesses = untrained["train_loss"] >= math.log(10)
    np.testing.assert_array_equal(untrained["failed"], guesses & ~untrained["diverged"])
    assert untrained["failed"].any()


def test_budgets_in_epochs_and_until_the_loss_stops():
    assert batch_size_cell.num_steps(CELL | {"budget": "epochs", "budget_size": 3}) == 23  # ⌈3·30/4⌉
    config = CELL | {
        "budget": "loss",
        "budget_size": 12 * batch_size_cell.CHUNK,
        "learning_rate": 1e-6,
        "momentum": 0.0,
    }
    found = batch_size_cell.cell(config, (0, 1))  # nothing falls by 5 %: over after PATIENCE checks
    np.testing.assert_array_equal(found["steps"], batch_size_cell.PATIENCE * batch_size_cell.CHUNK)
    short = batch_size_cell.cell(config | {"budget_size": 300}, (0, 1))
    np.testing.assert_array_equal(short["steps"], 300)


def test_the_loss_has_stopped_when_the_last_eight_bring_no_twentieth():
    falling = 0.9 ** np.arange(20)
    level = np.concatenate([falling[:10], np.full(8, falling[9] * 0.96)])
    assert not over_after(falling[:18])
    assert over_after(level) == 17
    assert not over_after(level[:17])
    level[-1] = 0.94 * falling[9]
    assert not over_after(level)
    assert over_after(np.array([1.0, np.nan])) == 1
    assert over_after(np.array([1.0, 0.5, np.inf])) == 2


def over_after(losses):
    """The look at which a run of these losses is over; None if it isn't. A net is the number of the look."""
    falls = batch_size_cell.LossFalls(lambda net: jnp.asarray(losses)[net])
    carry = falls.begin(0)
    for look in range(1, len(losses)):
        assert not falls.over(carry)
        carry = falls.update(carry, look - 1, jnp.asarray(batch_size_cell.CHUNK * look - 1))  # between two looks
        carry = falls.update(carry, look, jnp.asarray(batch_size_cell.CHUNK * look))
        if falls.over(carry):
            return look
    return None


def test_a_replica_at_rest_stays_and_the_others_go_on(monkeypatch):
    """Whose loss falls no more has the net of a run of just so many steps."""
    monkeypatch.setattr(batch_size_cell, "CHUNK", 3)
    config = CELL | {"budget": "loss", "budget_size": 600}
    seeds = range(4)
    parts, keys = batch_size_cell.load(config), batch_size_cell.keys_of(config, tuple(seeds))
    problem = batch_size_cell.problem_of(parts, config)
    falls = batch_size_cell.LossFalls(problem.loss)
    until = falls.begin, falls.update, falls.over
    run = batch_size_cell.trained(parts, config, keys, problem, accumulate=until)
    steps = np.asarray(run.accumulated["steps"])
    np.testing.assert_array_equal(run.stopped, steps)
    assert len(set(steps)) > 1
    assert (steps % 3 == 0).all()
    assert steps.max() < 600
    for seed in seeds:
        alone = CELL | {"budget_size": int(steps[seed])}
        free = batch_size_cell.trained(parts, alone, keys, problem)
        for a, b in zip(*map(arrays, (run.final_params, free.final_params)), strict=True):
            np.testing.assert_allclose(a[seed], b[seed], rtol=1e-9, atol=1e-12)


def test_pooling_is_the_mean_of_blocks():
    images = np.arange(2 * 4 * 6 * 3, dtype=float).reshape(2, 4, 6, 3)
    found = batch_size_cell.pooled(images.reshape(2, -1), (4, 6, 3), 2).reshape(2, 2, 3, 3)
    assert found[1, 1, 2, 0] == images[1, 2:4, 4:6, 0].mean()
    with pytest.raises(InputError, match="pooling is 3"):
        batch_size_cell.pooled(images.reshape(2, -1), (4, 6, 3), 3)


# -- noise scales ------------------------------------------------------------------------------------------


def test_noise_scales_are_those_of_dense_matrices(monkeypatch):
    """C and H as matrices from jacfwd and hessian; tr(HC) by probes within 4.5 of its standard errors, which are small
    enough that probes of the second moment C + ggᵀ instead of C would fail."""
    monkeypatch.setattr(batch_size_noise, "PROBES", 2000)
    config = CELL | {"width": 2, "num_examples": 12, "budget_size": 8, "noise_points": 2}
    found = batch_size_noise.cell(config, (0, 1))
    np.testing.assert_array_equal(found["step"], [4, 4, 8, 8])
    np.testing.assert_array_equal(found["seed"], [0, 1, 0, 1])
    parts = batch_size_cell.load(config)
    plain = {name: value for name, value in config.items() if name != "noise_points"}
    problem = batch_size_cell.problem_of(parts, config)
    run = batch_size_cell.trained(parts, config, batch_size_cell.keys_of(plain, (0, 1)), problem)
    theta, fixed = eqx.partition(run.final_params, eqx.is_array)
    flat, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(lambda x: x[1], theta))
    inputs, labels = (x[:12] for x in parts.problem.data)

    def losses(theta):
        return nets.cross_entropy(eqx.combine(unravel(theta), fixed)(inputs), labels)

    jacobian = np.asarray(jax.jacfwd(losses)(flat))
    hessian = np.asarray(jax.hessian(lambda theta: losses(theta).mean())(flat))
    g = jacobian.mean(axis=0)
    C = np.cov(jacobian.T, bias=True)
    row = {name: values[3] for name, values in found.items()}
    assert row["trace_covariance"] == pytest.approx(np.trace(C), rel=1e-6)
    assert row["gradient_squared"] == pytest.approx(g @ g, rel=1e-6)
    assert row["gradient_curvature"] == pytest.approx(g @ hessian @ g, rel=1e-6)
    assert abs(row["trace_hessian_covariance"] - np.trace(hessian @ C)) < 4.5 * row["standard_error"]
    assert 9 * row["standard_error"] < min(abs(g @ hessian @ g), abs(np.trace(hessian @ C)))


def test_noise_scales_are_ratios_of_means():
    columns = {"trace_covariance": [2.0, 4.0], "gradient_squared": [1.0, 0.5], "trace_hessian_covariance": [3.0, 1.0]}
    columns |= {"gradient_curvature": [0.1, 0.3], "step": [5, 5], "batch_size": [8, 8], "num_examples": [30, 30]}
    columns |= {"learning_rate": [0.1, 0.1], "momentum": [0.9, 0.9]}
    noise = xr.Dataset({name: ("row", values) for name, values in columns.items()})
    place = {"learning_rate": 0.1, "num_examples": 30, "momentum": 0.9}
    (found,) = noise_scales_of(noise, place)
    assert (found.simple, found.noise) == pytest.approx((4.0, 10.0))
