"""One cell of batch-size: SGD at one (η, N, m, B) under a budget, a run for each seed."""

import functools
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

import sdesgd as sg
from sdesgd import nets
from sdesgd.dynamics.protocol import MaskedDraw
from sdesgd.errors import InputError
from sdesgd.optimal_batch.policy import guessing_loss, no_better_than_guessing

BUDGETS = ("steps", "epochs", "loss")
CHUNK = 256  # steps of one compiled call
# Budget "loss": the train loss, seen every CHUNK steps, has stopped when the lowest of the last so many values isn't
# below the lowest before them by this part of it.
PATIENCE, STOPPED = 8, 0.05


# -- the problem -------------------------------------------------------------------------------------------


class Parts(eqx.Module):
    """The training examples of the largest N, of which a smaller N takes the first, and the test set of all N."""

    problem: sg.Problem
    test: tuple[Float[Array, "test features"], Int[Array, " test"]]
    num_classes: int = eqx.field(static=True)


def load(config: Mapping[str, Any]) -> Parts:
    """The data and the net of a cell; kept for the cells to come.

    Args:
        config: data, data_dir, data_seed, pool (N of the largest), num_test, pooling, width, depth.
    """
    names = ("data", "data_dir", "data_seed", "pool", "num_test", "pooling", "width", "depth")
    return _load(*(config[name] for name in names), bool(jax.config.read("jax_enable_x64")))


@functools.lru_cache(maxsize=4)
def _load(data, data_dir, data_seed, pool, num_test, pooling, width, depth, x64) -> Parts:
    del x64  # arrays of one dtype mode don't fit the other
    folder = Path(data_dir) if data_dir else None
    dataset = sg.data.load(data, pool, num_test, data_seed, data_dir=folder)
    inputs, test_inputs = (pooled(x, dataset.shape, pooling) for x in (dataset.inputs, dataset.test_inputs))
    net = nets.mlp(inputs.shape[1], dataset.num_classes, width=width, depth=depth, key=jr.key(0))
    problem = nets.finite_sum(net, inputs, dataset.labels)
    test = jnp.asarray(test_inputs, problem.dtype), jnp.asarray(dataset.test_labels)
    return Parts(problem, test, dataset.num_classes)


def pooled(inputs: np.ndarray, shape: tuple[int, ...], block: int) -> np.ndarray:
    """Means over block × block pixels of flat images.

    Args:
        inputs: (N, height·width·colours), row-major.
        shape: (height, width, colours), or anything where block is 1.
        block: side of a block; must divide height and width.

    Raises:
        InputError: no images, or a side that the block doesn't divide.
    """
    if block == 1:
        return inputs
    if len(shape) != 3 or shape[0] % block or shape[1] % block:
        raise InputError(f"pooling is {block}, but an example has shape {shape}: pass --pooling 1, or a divisor")
    height, width, colours = shape
    blocks = inputs.reshape(-1, height // block, block, width // block, block, colours)
    return blocks.mean(axis=(2, 4)).reshape(len(inputs), -1)


def num_steps(config: Mapping[str, Any]) -> int:
    """SGD steps of a cell's budget: itself, or ⌈epochs·N/B⌉, or the cap of "loss"."""
    size = config["budget_size"]
    if config["budget"] == "epochs":
        return math.ceil(size * config["num_examples"] / config["batch_size"])
    return int(size)


def keys_of(config: Mapping[str, Any], seeds: tuple[int, ...]) -> Key[Array, " seeds"]:
    """A key for each seed, and other ones in every other cell: cells are independent."""
    text = json.dumps(sorted(config.items()))
    stream = jr.fold_in(jr.key(config["data_seed"]), zlib.crc32(text.encode()))
    return jax.vmap(jr.fold_in, (None, 0))(stream, jnp.asarray(seeds, jnp.uint32))


# -- training ----------------------------------------------------------------------------------------------


class Training:
    """Replicas of SGD with replacement on the first N examples, one for each key, each from a net of its own.

    A step is ``SGD.step`` on the problem of these N examples, split into its draw, where N is an array, and its
    ``advance``, which touches only the rows drawn; so cells of equal B share one compilation, whatever η, m and N.

    Args:
        parts: the data.
        config: learning_rate, num_examples, momentum, batch_size.
        keys: (seeds,).
    """

    def __init__(self, parts: Parts, config: Mapping[str, Any], keys: Key[Array, " seeds"]):
        self.problem = problem = parts.problem
        rate, momentum = (jnp.asarray(config[name], problem.dtype) for name in ("learning_rate", "momentum"))
        self.dynamics = sg.SGD(rate, config["batch_size"], momentum=momentum)
        self.count = jnp.asarray(config["num_examples"])
        split = jax.vmap(jr.split)(keys)
        self.keys, in_size = split[:, 1], problem.data[0].shape[1]
        trained = _nets(split[:, 0], in_size, parts.num_classes, config["width"], config["depth"])
        start, self.fixed = eqx.partition(self.dynamics.init(problem, problem.params), eqx.is_array)
        velocity = jax.tree.map(lambda x: jnp.zeros((len(keys), *x.shape), x.dtype), start.velocity)
        self.states = start._replace(params=trained, velocity=velocity)
        self.done = 0

    def advance(self, steps: int, resting: Bool[np.ndarray, " seeds"] | None = None) -> None:
        """Some steps more, of all replicas but those at rest."""
        old, end = self.states, self.done + steps
        while self.done < end:
            now = min(CHUNK, end - self.done)
            rows = _rows(self.keys, jnp.asarray(self.done), self.count, self.dynamics.batch_size)
            bound = jnp.asarray(now)
            self.states = _advance(self.problem, self.dynamics, self.fixed, self.states, rows, bound)
            self.done += now
        if resting is not None and resting.any():
            self.states = jax.tree.map(lambda a, b: _where(resting, a, b), old, self.states)

    @property
    def trained(self) -> PyTree:
        """The nets, leaves (seeds, …); None where a leaf is no array."""
        return self.states.params

    def net(self, replica: int) -> nets.Net:
        """One of them, complete."""
        return eqx.combine(jax.tree.map(lambda x: x[replica], self.trained), self.fixed.params)


@eqx.filter_jit
def _nets(keys, in_size: int, num_classes: int, width: int, depth: int):
    def of_key(key):
        return eqx.filter(nets.mlp(in_size, num_classes, width=width, depth=depth, key=key), eqx.is_array)

    return jax.vmap(of_key)(keys)


@eqx.filter_jit
def _rows(keys, first, count, batch_size: int) -> Int[Array, "seeds chunk batch"]:
    """The draws of SGD with replacement from the first ``count`` examples, at CHUNK steps."""

    def of_step(key, n):
        return jr.randint(jr.fold_in(key, n), (batch_size,), 0, count)

    return jax.vmap(lambda key: jax.vmap(lambda n: of_step(key, n))(first + jnp.arange(CHUNK)))(keys)


@eqx.filter_jit
def _advance(problem, dynamics, fixed, states, rows, steps):
    def one(state, rows):
        def step(n, state):
            new = dynamics.advance(problem, eqx.combine(state, fixed), MaskedDraw(rows[n], None), n)
            return eqx.filter(new, eqx.is_array)

        return jax.lax.fori_loop(0, steps, step, state)

    return jax.vmap(one)(states, rows)


def _where(condition, yes, no):
    return jnp.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


# -- the cell ----------------------------------------------------------------------------------------------


@eqx.filter_jit
def scores(trained: PyTree, fixed: PyTree, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """(mean loss, accuracy) of each net, (seeds,) each."""

    def of_net(net):
        net = eqx.combine(net, fixed)
        evaluations = (nets.Evaluation(f, *data) for f in (nets.cross_entropy, nets.correct))
        return tuple(evaluation(net) for evaluation in evaluations)

    return jax.lax.map(of_net, trained)


def cell(config: Mapping[str, Any], seeds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Trains a net for each seed under the cell's budget.

    Returns:
        accuracy, test_loss: on the test set; train_accuracy, train_loss: on the N examples, means in nats. steps:
        taken. diverged: parameters or losses that aren't finite; all four are then NaN. failed: finite, but a train
        loss of log K or more, K classes, that of equal probabilities. Such a run needn't guess: a few confident
        errors give that loss at a high accuracy.
    """
    parts = load(config)
    training = Training(parts, config, keys_of(config, seeds))
    train = tuple(x[: config["num_examples"]] for x in parts.problem.data)
    evaluate = functools.partial(scores, fixed=training.fixed.params)
    total = num_steps(config)
    steps = np.full(len(seeds), total)
    if config["budget"] == "loss":
        steps = _until_it_stops(training, total, lambda: np.asarray(evaluate(training.trained, data=train)[0]))
    else:
        training.advance(total)
    (train_loss, train_accuracy), (test_loss, accuracy) = (
        evaluate(training.trained, data=x) for x in (train, parts.test)
    )
    finite = np.asarray(jnp.isfinite(train_loss) & jnp.isfinite(test_loss) & finite_norm(training.trained))
    columns = {"accuracy": accuracy, "test_loss": test_loss, "train_accuracy": train_accuracy, "train_loss": train_loss}
    columns = {name: np.where(finite, np.asarray(x, np.float64), np.nan) for name, x in columns.items()}
    failed = finite & no_better_than_guessing(columns["train_loss"], guessing_loss(parts.num_classes))
    return columns | {"diverged": ~finite, "failed": failed, "steps": steps}


def finite_norm(trained: PyTree) -> Bool[Array, " seeds"]:
    """Whether ‖θ‖² of each replica is finite in the dtype of the parameters."""
    squares = [jnp.sum(x**2, axis=tuple(range(1, x.ndim))) for x in jax.tree.leaves(trained)]
    return jnp.isfinite(sum(squares))


def _until_it_stops(training: Training, cap: int, loss) -> np.ndarray:
    """Trains until no replica's train loss falls any more; returns the steps of each."""
    seen = [loss()]
    steps = np.zeros(len(seen[0]), int)
    resting = np.zeros(len(seen[0]), bool)
    while training.done < cap and not resting.all():
        now = min(CHUNK, cap - training.done)
        training.advance(now, resting)
        steps += np.where(resting, 0, now)
        seen.append(loss())
        resting |= stopped(np.asarray(seen))
    return steps


def stopped(losses: Float[np.ndarray, "checks seeds"]) -> Bool[np.ndarray, " seeds"]:
    """Whether the lowest of the last PATIENCE losses isn't below the lowest before them by a part STOPPED of it."""
    if len(losses) <= PATIENCE:
        return ~np.isfinite(losses[-1])
    before, late = losses[:-PATIENCE].min(axis=0), losses[-PATIENCE:].min(axis=0)
    return ~(late < (1 - STOPPED) * before)
