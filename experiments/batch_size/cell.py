"""One cell of batch-size: SGD at one (η, N, m, B) under a budget, a run for each seed."""

import functools
import json
import math
import types
import warnings
import zlib
from collections.abc import Callable, Mapping
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
from sdesgd.errors import InputError
from sdesgd.observables import Loss, Together
from sdesgd.optimal_batch.policy import guessing_loss, no_better_than_guessing

BUDGETS = ("steps", "epochs", "loss")
# Budget "loss": the train loss, looked at every CHUNK steps, has stopped when the lowest of the last PATIENCE values
# isn't below the lowest before them by this part of it.
CHUNK, PATIENCE, STOPPED = 256, 8, 0.05


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


def problem_of(parts: Parts, config: Mapping[str, Any]) -> sg.Problem:
    """The finite sum of the first N examples.

    Args:
        parts: the data.
        config: num_examples.
    """
    return nets.finite_sum(parts.problem.params, *(x[: config["num_examples"]] for x in parts.problem.data))


def trained(
    parts: Parts,
    config: Mapping[str, Any],
    keys: Key[Array, " seeds"],
    problem: sg.Problem,
    observables: Any = types.MappingProxyType({}),
    accumulate: Any = None,
) -> sg.Trajectories:
    """Replicas of SGD with replacement under the budget, one for each key, each from a net of its own.

    Args:
        parts: the data.
        config: of a cell.
        keys: (seeds,), of the nets and the batches.
        problem: of the N examples.
        observables: as for ``simulate``.
        accumulate: the same.
    """
    split, total = jax.vmap(jr.split)(keys), num_steps(config)
    features = problem.data[0].shape[1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*replicas (diverged|are unstable)", category=RuntimeWarning)
        run = sg.simulate(
            sg.SGD(config["learning_rate"], config["batch_size"], momentum=config["momentum"]),
            problem,
            num_steps=total,
            replicas=len(keys),
            key=split[:, 1],
            starts=_nets(split[:, 0], features, parts.num_classes, config["width"], config["depth"]),
            save_every=total,
            observables=observables,
            accumulate=accumulate,
        )
    if run.interrupted:
        raise KeyboardInterrupt
    return run


@eqx.filter_jit
def _nets(keys, in_size: int, num_classes: int, width: int, depth: int):
    def of_key(key):
        return eqx.filter(nets.mlp(in_size, num_classes, width=width, depth=depth, key=key), eqx.is_array)

    return jax.vmap(of_key)(keys)


class LossFalls(eqx.Module):
    """Whether the train loss, looked at every CHUNK steps, still falls: what a replica carries under the budget "loss".

    Args:
        loss: net ↦ train loss.
    """

    loss: Callable

    def begin(self, net: PyTree) -> dict[str, Array]:
        """late: the last PATIENCE losses. before: the lowest of those before them; ∞: there were none. steps: taken."""
        late = jnp.full(PATIENCE, jnp.inf).at[-1].set(self.loss(net))
        return {"before": jnp.asarray(jnp.inf), "late": late, "steps": jnp.asarray(0)}

    def update(self, carry: dict[str, Array], net: PyTree, n: Int[Array, ""]) -> dict[str, Array]:
        """What it carries after step n."""

        def look() -> tuple[Array, Array]:
            before, late = jnp.minimum(carry["before"], carry["late"][0]), jnp.roll(carry["late"], -1)
            return before, late.at[-1].set(self.loss(net))

        before, late = jax.lax.cond(n % CHUNK == 0, look, lambda: (carry["before"], carry["late"]))
        return {"before": before, "late": late, "steps": n}

    def over(self, carry: dict[str, Array]) -> Bool[Array, ""]:
        """Whether the lowest of the late losses isn't below the lowest before them by a part STOPPED of it."""
        before, late = carry["before"], carry["late"]
        falls = late.min() < (1 - STOPPED) * before
        return ~jnp.where(jnp.isinf(before), jnp.isfinite(late[-1]), falls)


# -- the cell ----------------------------------------------------------------------------------------------


def cell(config: Mapping[str, Any], seeds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Trains a net for each seed under the cell's budget.

    Returns:
        accuracy, test_loss: on the test set; train_accuracy, train_loss: on the N examples, means in nats. steps:
        of the budget; under "loss" those that were taken. diverged: parameters or losses that aren't finite; all four
        are then NaN. failed: finite, but a train loss of log K or more, K classes, that of equal probabilities. Such a
        run needn't guess: a few confident errors give that loss at a high accuracy.
    """
    parts, keys = load(config), keys_of(config, seeds)
    problem = problem_of(parts, config)
    both = {"train": problem.data, "test": parts.test}
    observed = Together({name: _scores(name, data) for name, data in both.items()})
    falls = LossFalls(Loss(problem))
    until = (falls.begin, falls.update, falls.over) if config["budget"] == "loss" else None
    run = trained(parts, config, keys, problem, observed, until)
    columns = {name: np.asarray(x[:, -1], np.float64) for name, x in run.values.items()}
    finite = ~run.diverged & np.isfinite(columns["train_loss"]) & np.isfinite(columns["test_loss"])
    columns = {name: np.where(finite, x, np.nan) for name, x in columns.items()}
    failed = finite & no_better_than_guessing(columns["train_loss"], guessing_loss(parts.num_classes))
    steps = np.full(len(seeds), num_steps(config)) if run.accumulated is None else np.asarray(run.accumulated["steps"])
    columns["accuracy"] = columns.pop("test_accuracy")
    return columns | {"diverged": ~finite, "failed": failed, "steps": steps}


def _scores(which: str, data: tuple[Array, Array]) -> nets.Evaluation:
    """Mean loss in nats and accuracy."""
    return nets.Evaluation({f"{which}_loss": nets.cross_entropy, f"{which}_accuracy": nets.correct}, *data)
