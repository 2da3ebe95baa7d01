"""Replicas of any dynamics → Trajectories: keys, blocks, segments, divergence, progress, interruption."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from sdesgd import freshness, inputs, sizes
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.problem import Problem
from sdesgd.simulation.admission import check_arguments, check_sizes, check_starts, elapsed_time
from sdesgd.simulation.checkpoint import Checkpoint, identity_of
from sdesgd.simulation.divergence import undebugged, warn_diverged, warn_unstable
from sdesgd.simulation.progress import Clock, progress_bar
from sdesgd.simulation.segments import Replicas, begun, segment
from sdesgd.simulation.starts import starts_of
from sdesgd.simulation.watch import watched
from sdesgd.trajectories.result import Trajectories


def simulate(
    dynamics: AbstractDynamics,
    problem: Problem,
    *,
    num_steps: int,
    replicas: int,
    key: PRNGKeyArray,
    observables: Mapping[str, Callable[[PyTree], Any]] | Callable[[PyTree], Mapping[str, Any]],
    save_every: int = 1,
    params: PyTree = None,
    starts: PyTree = None,
    until: Callable[[PyTree], Any] | None = None,
    accumulate: tuple[Any, Callable[[PyTree, PyTree, Any], PyTree]] | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: str = "",
) -> Trajectories:
    """Independent replicas of a dynamics, with observables saved along the way.

    Replica r at step n draws from ``fold_in(fold_in(key, r), n)``: results don't depend on how the run is cut
    into segments, and a replica doesn't depend on the number of the others (up to the bits that the block
    size changes). The run is in the dtype of params. What loss, schedule and observables read from outside is seen as
    it is at this call; a second call compiles nothing unless a program or its constants changed.

    Ctrl-C ends the run at the next segment (about a quarter of a second) and returns what was saved,
    ``trajectories.interrupted`` set; before the first save, during compilation, it is raised as usual.

    Args:
        dynamics: ``SGD``, ``GaussianSGD``, ``SVAG``, ``SDE``, ….
        problem: the finite sum.
        num_steps: SGD steps, for every dynamics.
        replicas: independent runs R.
        key: of ``jax.random.key``.
        observables: name → function of params, to an array; bound methods such as ``test_problem.loss`` are fine. Or
            one function of params, to a mapping of name → array, so that several share a pass over the data.
        save_every: steps between saves; must divide num_steps. The start is saved too.
        params: the common start; default: the problem's.
        starts: a start for each replica instead: a pytree like the problem's params in which arrays have a leading
            axis ``replicas``, such as ``final_params`` of an earlier run.
        until: params ↦ bool. A replica for which it holds, at its start or after a whole step, stays where it is from
            then on, and ``stopped`` of the result says at which step that was. A coupled pair stops together, and never
            after one of the two has diverged.
        accumulate: (init, update), for what is counted after every step without being saved. ``init``: what a replica
            carries at first, a pytree of arrays, or a function of its start to one. ``update(carry, params, n)``: what
            it carries after step n = 1, 2, …, of the same shapes and dtypes. A replica that has diverged (of a
            coupled pair one of the two) or stopped counts no more; the step at which it stops still counts.
        checkpoint: a file that holds the state of the run, written every minute, at Ctrl-C and at the end. The same
            call goes on from it after an interruption, a kill −9 too, and gives the same result, bit for bit; after
            the end it gives the result at once.
        progress: a label; shows a bar with the time left where stderr is a terminal. Empty: none.

    Raises:
        InputError: bad sizes, or more than fits into this machine's memory; a start of another structure than the
            problem's or that isn't finite; both params and starts; an ``until`` that doesn't give one bool, an
            ``accumulate`` that changes shapes or dtypes; functions that JAX can't trace; an observable that doesn't
            return an array, or whose name a file can't hold; a rate that is 0 or infinite in the dtype of params; a
            checkpoint that is damaged, that can't be written, or of a run with another problem, dynamics, key, start,
            functions or sizes.

    Warns:
        RuntimeWarning: replicas diverged, or are unstable: finite, but 10⁶ times further from their start than its
            size and gradients explain, and up the loss; quotes ηλ_max against 2(1+m).
    """
    check_arguments(dynamics, problem, num_steps, replicas, save_every)
    num_steps, replicas, save_every = int(num_steps), int(replicas), int(save_every)
    key = inputs.as_key(key)
    problem, dynamics = problem.fresh(), dynamics.fresh()
    starts, common = starts_of(problem, replicas, params, starts)
    for name in ("learning_rate", "momentum"):
        inputs.check_representable(name, getattr(dynamics, name, 0.0), problem.wide)
    step = np.arange(1 + num_steps // save_every) * save_every
    time_of_save = elapsed_time(dynamics.learning_rate, step)
    given, dynamics = dynamics, _traced(dynamics, problem.wide)
    first = eqx.combine(jax.tree.map(lambda x: x[0], starts), common)
    state = dynamics.init(problem, first)
    fixed = eqx.filter(state, eqx.is_array, inverse=True)
    num_members = len(dynamics.members(state))
    watch, init, rows, counted = watched(observables, until, accumulate, dynamics.params(state), num_members)
    blocks = replica_blocks(dynamics, problem, replicas)
    capacity = sizes.saves_of_a_call(len(step), replicas * sum(x.size * x.dtype.itemsize for x in rows.values()))
    check_sizes(dynamics, problem, state, counted, replicas, len(step), rows, blocks)
    check_starts(problem, starts, common, blocks[1])
    own = begun(dynamics, problem, watch, starts, common, init, blocks[0])
    own = jax.tree.map(lambda x: jnp.broadcast_to(x, (replicas, *x.shape[1:])), own)
    keys = jax.vmap(jr.fold_in, (None, 0))(key, jnp.arange(replicas))
    now = Replicas(own[0], jnp.zeros((replicas, num_members), bool), keys, *own[1:])
    values = {name: np.empty((replicas, len(step), *row.shape), row.dtype) for name, row in rows.items()}
    saved, clock = 0, Clock(num_steps, save_every, capacity)
    keeper = None
    if checkpoint is not None:
        identity = identity_of(
            problem=problem,
            dynamics=(dynamics, _program(dynamics, problem, state)),
            key=key,
            start=(starts, common),
            functions=(watch, init),
            sizes=(num_steps, replicas, save_every, blocks, str(jr.key_impl(key))),
        )
        keeper = Checkpoint(checkpoint, identity, (num_steps, save_every))
        found = keeper.resume(now._replace(key=None), values)
        if found is not None:
            (now, saved, clock.done), keys = found, now.key
            now = now._replace(key=keys)

    def advanced(now, first, saves, steps, observing):
        bounds = jnp.asarray([first, saves, steps, int(observing)])
        return segment(dynamics, problem, watch, fixed, now, bounds, capacity, blocks)

    def keep(table, count):
        for name, rows in table.items():
            values[name][:, saved : saved + count] = np.asarray(rows)[:, :count]
        return saved + count

    interrupted, kept = False, (now, saved, clock.done)  # assigned at once, so that Ctrl-C finds what belongs together

    def write():
        if keeper is not None:
            keeper.write(kept[0]._replace(key=None), values, *kept[1:])

    with progress_bar(progress, num_steps) as advance_bar, undebugged():
        try:
            if not saved:
                now, table = advanced(now, 0, 1, 0, True)
                saved = keep(table, 1)
                kept = now, saved, 0
            while clock.done < num_steps:
                saves, steps = clock.plan()
                on_save = (clock.done + saves * steps) % save_every == 0
                now, table = jax.block_until_ready(advanced(now, clock.done, saves, steps, on_save))
                clock.advance(saves, steps)
                if on_save:
                    saved = keep(table, saves)
                del table
                kept = now, saved, clock.done
                advance_bar(clock.done)
                if keeper is not None and keeper.due():
                    write()
        except KeyboardInterrupt:
            if not kept[1]:
                raise
            interrupted = True
    try:
        write()
    except KeyboardInterrupt:
        interrupted = True
    now, saved, _ = kept
    dead = np.asarray(now.dead)
    result = Trajectories(
        time=time_of_save[:saved],
        step=step[:saved],
        values={name: array[:, :saved] for name, array in values.items()},
        final_params=dynamics.params(eqx.combine(now.arrays, fixed)),
        diverged=dead[:, 0] if num_members == 1 else dead,
        interrupted=interrupted,
        blocks=blocks,
        stopped=None if now.stopped is None else np.asarray(now.stopped),
        accumulated=now.accumulated,
    )
    with undebugged():
        if dead.any():
            warn_diverged(given, problem, first, np.any(dead, axis=1))
        else:
            members = result.final_params if num_members > 1 else (result.final_params,)
            warn_unstable(given, problem, starts, common, members, time_of_save[-1])
    return result


def replica_blocks(dynamics: AbstractDynamics, problem: Problem, replicas: int) -> tuple[int, int]:
    """Replicas that step together, and that are observed together: functions of shapes and platform."""

    def block(units: int) -> int:
        return sizes.replica_block(problem.num_parameters, units, problem.num_units, replicas, jax.default_backend())

    return block(dynamics.units_per_step(problem)), block(problem.num_units)


def _program(dynamics: AbstractDynamics, problem: Problem, state: PyTree) -> freshness.Fresh:
    """One step as it is traced, a solver or a dynamics of the user's own included."""

    def step(problem, state, key, n):
        return eqx.filter(dynamics.step(problem, state, key, n), eqx.is_array)

    return freshness.of(step, problem, state, jr.key(0), jnp.asarray(0), what="a step of the dynamics")


def _traced(dynamics: AbstractDynamics, dtype) -> AbstractDynamics:
    """Numbers as arrays of this dtype, so that new values don't recompile. An exact 0 (no momentum) stays
    a Python number: it is structure, nothing is carried for it."""
    number = lambda x: isinstance(x, float | np.floating | np.ndarray) and np.ndim(x) == 0 and x != 0  # noqa: E731
    convert = lambda x: jnp.asarray(x, dtype) if number(x) else x  # noqa: E731
    return jax.tree.map(convert, dynamics)
