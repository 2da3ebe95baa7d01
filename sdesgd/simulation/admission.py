"""What ``simulate`` looks at before it starts, so that nothing expensive is lost to it afterwards."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.experimental import checkify
from jaxtyping import PyTree

from sdesgd import freshness, inputs, sizes
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.errors import InputError, shown
from sdesgd.problem import Problem
from sdesgd.simulation.segments import map_blocks

# Rates of a schedule that are evaluated at once.
_SCHEDULE_BLOCK = 2**16


def check_arguments(dynamics, problem, num_steps, replicas, save_every) -> None:
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem; the order is (dynamics, problem)")
    if not isinstance(dynamics, AbstractDynamics):
        raise InputError(f"dynamics is {shown(dynamics)}: pass an SGD, GaussianSGD, SVAG or SDE")
    for name, value in (("num_steps", num_steps), ("replicas", replicas), ("save_every", save_every)):
        inputs.check_positive_integer(name, value)
    if num_steps % save_every:
        low = [k for k in range(1, math.isqrt(num_steps) + 1) if num_steps % k == 0]
        nearest = min({*low, *(num_steps // k for k in low)}, key=lambda k: (abs(k - save_every), k))
        raise InputError(
            f"save_every {save_every} doesn't divide num_steps {num_steps}: the nearest that does is {nearest}"
        )


def check_sizes(dynamics, problem, state, counted, replicas, saves, rows, blocks) -> None:
    """Refuses what can't fit into the memory of this machine, before anything is computed."""
    size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree) if hasattr(x, "dtype"))  # noqa: E731
    row, carried = size(rows), size(eqx.filter(state, eqx.is_array)) + size(counted)
    kept = replicas * (saves * row + 2 * carried)
    sizes.check_fits(
        kept, f"{replicas} replicas × ({saves} saves × {row} bytes + 2 × {carried} bytes of params and state)"
    )
    units, example = dynamics.units_per_step(problem), size(problem.data) // problem.num_units
    sizes.check_fits(
        blocks[0] * (units * 4 + dynamics.units_at_once(problem) * example),
        f"a step of {blocks[0]} replicas, {units} random numbers and {example} bytes of each example drawn,"
        " by its batch_size, ell or substeps",
    )


@freshness.jit
def _losses_at(problem, starts, common, key, block: int):
    return map_blocks(lambda start: problem.loss(eqx.combine(start, common), key), starts, block)


def check_starts(problem: Problem, starts: PyTree, common: PyTree, block: int) -> None:
    """No learning rate helps where the loss isn't finite.

    Args:
        problem: as it is now.
        starts: leaves that are arrays, with a leading axis.
        common: the other leaves.
        block: starts at a time.
    """
    count = jax.tree.leaves(starts)[0].shape[0]
    try:
        key = jr.key(0) if problem.needs_key else None
        losses = np.asarray(_losses_at(problem, starts, common, key, min(block, count)), float)
    except FloatingPointError:  # under jax_debug_nans
        losses = np.full(count, math.nan)
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        whose = f" of replica {bad[0]}" if count > 1 else ""
        raise InputError(
            f"the loss is {losses[bad[0]]} at the start{whose}: start where it is finite, or mend the loss (log of 0? "
            "0/0?)"
        )


@freshness.jit
def _rates(schedule, steps):
    return checkify.checkify(jax.vmap(schedule), errors=checkify.index_checks)(steps)


def elapsed_time(learning_rate: Any, steps: np.ndarray) -> np.ndarray:
    """The SDE time Σ_{k<n} η_k after these numbers of steps n, in float64.

    Args:
        learning_rate: η, or a schedule as of ``dynamics.fresh()``.
        steps: rising; memory is that of the steps asked for.

    Raises:
        InputError: a schedule that is negative or not finite somewhere, that JAX can't trace, or that reads beyond the
            end of a table.
    """
    if not callable(learning_rate):
        return steps * float(learning_rate)
    times, done, total = np.empty(len(steps)), 0, 0.0
    last = int(steps[-1])
    size = min(_SCHEDULE_BLOCK, last)
    while done < last:
        block = np.minimum(np.arange(done, done + size), last - 1)
        error, found = _rates(learning_rate, jnp.asarray(block, jnp.int32))
        if error.get() is not None:
            raise InputError(
                f"the learning_rate schedule reads beyond the end of its table between steps {done} and {block[-1]}: "
                f"give it a rate for each of the {last} steps"
            )
        found = np.asarray(found, np.float64)[: last - done]
        bad = np.flatnonzero(~(found >= 0) | np.isinf(found))
        if bad.size:
            raise InputError(
                f"the schedule gives learning_rate {found[bad[0]]} at step {done + bad[0]}: keep it finite, >= 0"
            )
        sums = np.cumsum(np.concatenate([[total], found]))
        inside = (steps >= done) & (steps <= done + len(found))
        times[inside] = sums[steps[inside] - done]
        done, total = done + len(found), sums[-1]
    return times
