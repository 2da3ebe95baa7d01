"""Replicas of any dynamics → Trajectories: keys, blocks, segments, divergence, progress, interruption."""

import contextlib
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from sdesgd import curvature, freshness, inputs, sizes
from sdesgd.admission import check_arguments, check_sizes, check_start, elapsed_time, saved_dtype, traced_observables
from sdesgd.dynamics import AbstractDynamics
from sdesgd.errors import InputError, one_line
from sdesgd.problem import Problem
from sdesgd.progress import Clock, progress_bar
from sdesgd.trajectories import Trajectories


def simulate(
    dynamics: AbstractDynamics,
    problem: Problem,
    *,
    num_steps: int,
    replicas: int,
    key: PRNGKeyArray,
    observables: Mapping[str, Callable[[PyTree], Any]],
    save_every: int = 1,
    params: PyTree = None,
    progress: str = "",
) -> Trajectories:
    """Independent replicas of a dynamics from one start, with observables saved along the way.

    Replica r at step n draws from ``fold_in(fold_in(key, r), n)``: results don't depend on how the run is cut
    into segments, and a replica doesn't depend on the number of the others (up to the bits that the block
    size changes). Runs in the dtype of params. What loss, schedule and observables read from outside is seen as it is
    at this call; a second call compiles nothing unless a program or its constants changed.

    Ctrl-C ends the run at the next segment (about a quarter of a second) and returns what was saved,
    ``trajectories.interrupted`` set; before the first save, during compilation, it is raised as usual.

    Args:
        dynamics: ``SGD``, ``GaussianSGD``, ``SVAG``, ``SDE``, ….
        problem: the finite sum.
        num_steps: SGD steps, for every dynamics.
        replicas: independent runs R.
        key: of ``jax.random.key``.
        observables: name → function of params, to an array; bound methods such as ``test_problem.loss`` are fine.
        save_every: steps between saves; must divide num_steps. The start is saved too.
        params: the common start; default: the problem's.
        progress: a label; shows a bar with the time left where stderr is a terminal. Empty: none.

    Raises:
        InputError: bad sizes, or more than fits into this machine's memory; a start of another structure than the
            problem's or that isn't finite; functions that JAX can't trace; an observable that doesn't return an array,
            or whose name a file can't hold; a rate that is 0 or infinite in the dtype of params.

    Warns:
        RuntimeWarning: replicas diverged; quotes ηλ_max against 2(1+m).
    """
    check_arguments(dynamics, problem, num_steps, replicas, save_every)
    key = inputs.as_key(key)
    problem, dynamics = problem.fresh(), dynamics.fresh()
    params = problem.params if params is None else problem.like(params)
    for name in ("learning_rate", "momentum"):
        inputs.check_representable(name, getattr(dynamics, name, 0.0), problem.wide)
    step = np.arange(1 + num_steps // save_every) * save_every
    time_of_save = elapsed_time(dynamics.learning_rate, step)
    given, dynamics = dynamics, _traced(dynamics, problem.wide)
    state = dynamics.init(problem, params)
    num_members = len(dynamics.members(state))
    watched, rows = traced_observables(observables, dynamics.params(state), num_members)
    blocks = replica_blocks(dynamics, problem, replicas)
    capacity = sizes.saves_of_a_call(len(step), replicas * sum(x.size * x.dtype.itemsize for x in rows.values()))
    check_sizes(dynamics, problem, state, replicas, len(step), rows, blocks)
    check_start(problem, params)
    carry, fixed = eqx.partition(state, eqx.is_array)
    carry = jax.tree.map(lambda x: jnp.broadcast_to(x, (replicas, *x.shape)), carry)
    keys = jax.vmap(jr.fold_in, (None, 0))(key, jnp.arange(replicas))
    dead = jnp.zeros((replicas, num_members), bool)
    values = {name: np.empty((replicas, len(step), *row.shape), row.dtype) for name, row in rows.items()}
    saved = 0

    def segment(carry, dead, first, saves, steps, observing):
        bounds = jnp.asarray([first, saves, steps, int(observing)])
        return _segment(dynamics, problem, watched, fixed, carry, dead, keys, bounds, capacity, blocks)

    def keep(table, count):
        for name, rows in table.items():
            values[name][:, saved : saved + count] = np.asarray(rows)[:, :count]
        return saved + count

    clock = Clock(num_steps, save_every, capacity)
    interrupted = False
    with progress_bar(progress, num_steps) as advance_bar, _undebugged():
        try:
            carry, dead, table = segment(carry, dead, 0, 1, 0, True)
            saved = keep(table, 1)
            while clock.done < num_steps:
                saves, steps = clock.plan()
                on_save = (clock.done + saves * steps) % save_every == 0
                carry, dead, table = jax.block_until_ready(segment(carry, dead, clock.done, saves, steps, on_save))
                clock.advance(saves, steps)
                if on_save:
                    saved = keep(table, saves)
                del table
                advance_bar(clock.done)
        except KeyboardInterrupt:
            if not saved:
                raise
            interrupted = True
    result = Trajectories(
        time=time_of_save[:saved],
        step=step[:saved],
        values={name: array[:, :saved] for name, array in values.items()},
        final_params=dynamics.params(eqx.combine(carry, fixed)),
        diverged=np.asarray(dead)[:, 0] if num_members == 1 else np.asarray(dead),
        interrupted=interrupted,
        blocks=blocks,
    )
    if result.diverged.any():
        with _undebugged():
            _warn_diverged(given, problem, params, np.any(np.asarray(dead), axis=1))
    return result


def replica_blocks(dynamics: AbstractDynamics, problem: Problem, replicas: int) -> tuple[int, int]:
    """Replicas that step together, and that are observed together: functions of shapes and platform."""

    def block(units: int) -> int:
        return sizes.replica_block(problem.num_parameters, units, problem.num_units, replicas, jax.default_backend())

    return block(dynamics.units_per_step(problem)), block(problem.num_units)


@freshness.jit
def _segment(dynamics, problem, observables, fixed, carry, dead, keys, bounds, capacity: int, blocks: tuple[int, int]):
    """``bounds`` = (first step, saves, steps a save, whether to observe), traced: segments of any length share one
    compilation. ``blocks``: replicas that step together, and replicas that are observed together."""
    first, saves, steps, observing = bounds

    def advance(replica, begin):
        def step(n, inner):
            old, dead, key = inner
            state = eqx.combine(old, fixed)
            new = eqx.filter(dynamics.step(problem, state, jr.fold_in(key, n), n), eqx.is_array)
            parts = list(zip(dynamics.members(old), dynamics.members(new), strict=True))
            dead |= jnp.stack([~_all_finite(part) for _, part in parts])
            kept = [_where(dead[k], *part) for k, part in enumerate(parts)]
            return dynamics.join(tuple(kept)), dead, key

        return jax.lax.fori_loop(begin, begin + steps, step, replica)

    def observe(replica):
        carry, dead, _ = replica
        params = dynamics.params(eqx.combine(carry, fixed))
        values = {name: jnp.asarray(f(params)) for name, f in observables.items()}
        values = {name: v.astype(saved_dtype(v.dtype)) for name, v in values.items()}
        return {name: jnp.where(_over_members(dead, v), jnp.nan, v) for name, v in values.items()}

    def one_block(block):
        def observe_block(block):
            return _map_blocks(observe, block, blocks[1])

        rows = jax.eval_shape(observe_block, block)

        def blank(_):
            return jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), rows)

        def save(i, outer):
            block, table = outer
            block = _map_blocks(lambda replica: advance(replica, first + i * steps), block, blocks[0])
            row = jax.lax.cond(observing > 0, observe_block, blank, block)
            return block, jax.tree.map(lambda t, v: t.at[:, i].set(v), table, row)

        table = jax.tree.map(lambda s: jnp.full((s.shape[0], capacity, *s.shape[1:]), jnp.nan, s.dtype), rows)
        (carry, dead, _), table = jax.lax.fori_loop(0, saves, save, (block, table))
        return carry, dead, table

    return _in_blocks(one_block, (carry, dead, keys), blocks[0])


def _in_blocks(function, replicas, block: int):
    """``function`` of one block of replicas after another; the last is filled up with copies."""
    count = jax.tree.leaves(replicas)[0].shape[0]
    if block >= count:
        return function(replicas)
    padded = jax.tree.map(lambda x: jnp.concatenate([x, x[: -count % block]]), replicas)
    stacked = jax.tree.map(lambda x: x.reshape(-1, block, *x.shape[1:]), padded)
    out = jax.lax.map(function, stacked)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], out)


def _map_blocks(function, replicas, block: int):
    """vmap over blocks of replicas, one block after another. A block of 1 is not a vmap, which would cost 1.6×."""
    if block == 1:
        return jax.lax.map(function, replicas)
    return _in_blocks(jax.vmap(function), replicas, block)


def _where(condition, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _over_members(dead, values):
    """dead, (members,), shaped for values: without an axis for a single dynamics, else along their first."""
    return dead[0] if dead.size == 1 else dead.reshape(-1, *[1] * (values.ndim - 1))


def _all_finite(tree: PyTree):
    """Whether ‖θ‖² is finite: one fast pass. A norm that overflows the dtype (1.8e19 in float32) has diverged too."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in leaves]
    return jnp.isfinite(sum(jnp.vdot(x, x) for x in wide))


def _traced(dynamics: AbstractDynamics, dtype) -> AbstractDynamics:
    """Numbers as arrays of this dtype, so that new values don't recompile. An exact 0 (no momentum) stays
    a Python number: it is structure, nothing is carried for it."""
    number = lambda x: isinstance(x, float | np.floating | np.ndarray) and np.ndim(x) == 0 and x != 0  # noqa: E731
    convert = lambda x: jnp.asarray(x, dtype) if number(x) else x  # noqa: E731
    return jax.tree.map(convert, dynamics)


def _undebugged() -> contextlib.ExitStack:
    """A replica that diverges is no bug to stop at, whatever JAX's debugging flags say."""
    stack = contextlib.ExitStack()
    for flag, switch in (("jax_debug_nans", jax.debug_nans), ("jax_debug_infs", jax.debug_infs)):
        if getattr(jax.config, flag):
            stack.enter_context(switch(False))
    return stack


def _warn_diverged(dynamics, problem: Problem, params: PyTree, diverged: np.ndarray) -> None:
    """Says what may have been wrong; whatever can't be measured for it is left out, and never ends the run."""
    rate, momentum = dynamics.learning_rate, float(getattr(dynamics, "momentum", 0.0))
    text = f"{int(diverged.sum())} of {diverged.size} replicas diverged"
    stable = 2 * (1 + momentum)
    try:
        top = _top_eigenvalue(problem, params)
    except (InputError, RuntimeError, MemoryError, ArithmeticError) as error:
        text += f"; lower the learning_rate (lambda_max is not known: {one_line(str(error), 120)})"
    else:
        if not math.isfinite(top):
            text += ": the gradient or the Hessian of the loss is not finite at the start, so no learning_rate may help"
        elif callable(rate):
            text += f": lambda_max = {top:.3g} at the start, and steps are stable while eta lambda_max < 2(1+m)"
            text += f" = {stable:.3g}"
        else:
            text += f": eta lambda_max = {float(rate) * top:.3g} at the start against 2(1+m) = {stable:.3g}"
        if math.isfinite(top) and top > 0:
            text += f"; try a learning_rate below {stable / top:.2g}, or a larger batch_size"
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _top_eigenvalue(problem: Problem, params: PyTree) -> float:
    key = jr.key(0) if problem.needs_key else None
    return float(curvature.top_eigenpairs(problem, params, key=jr.key(0), mask_key=key).eigenvalues[0])
