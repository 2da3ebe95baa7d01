"""Replicas of any dynamics → Trajectories: keys, blocks, segments, divergence, progress, interruption."""

import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sdesgd import curvature, sizes
from sdesgd.dynamics import AbstractDynamics, check_positive_integer
from sdesgd.errors import InputError
from sdesgd.problem import Problem, strong_arrays
from sdesgd.trajectories import RESERVED, Trajectories

# Saves that one compiled call can hold, and the time it should take: long enough to drown the dispatch (1 ms),
# short enough to answer Ctrl-C and to move the progress bar.
_CAPACITY = 64
_SEGMENT_SECONDS = 0.25


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
    size changes). Runs in the dtype of params. A second call with the same function objects compiles nothing.

    Ctrl-C ends the run at the next segment (about a quarter of a second) and returns what was saved,
    ``trajectories.interrupted`` set; before the first save, during compilation, it is raised as usual.

    Args:
        dynamics: ``SGD``, ``GaussianSGD``, ``SVAG``, ``SDE``, ….
        problem: the finite sum.
        num_steps: SGD steps, for every dynamics.
        replicas: independent runs R.
        key: of ``jax.random.key``.
        observables: name → function of params, to an array. Pass the same function objects again to avoid a
            recompilation; bound methods such as ``test_problem.loss`` are fine.
        save_every: steps between saves; must divide num_steps. The start is saved too.
        params: the common start; default: the problem's.
        progress: a label; shows a bar with the time left where stderr is a terminal. Empty: none.

    Raises:
        InputError: bad sizes, a start of another structure than the problem's, an observable that doesn't return
            an array.

    Warns:
        RuntimeWarning: replicas diverged; quotes ηλ_max against 2(1+m).
    """
    _check(num_steps, replicas, save_every, observables)
    params = problem.params if params is None else _like(problem, params)
    time_of_step = elapsed_time(dynamics.learning_rate, num_steps)
    dynamics = _traced(dynamics, problem.dtype)
    state = dynamics.init(problem, params)
    observables = dict(observables)
    blocks = replica_blocks(dynamics, problem, replicas)
    keys = jax.vmap(jr.fold_in, (None, 0))(key, jnp.arange(replicas))
    carry, fixed = eqx.partition(state, eqx.is_array)
    carry = jax.tree.map(lambda x: jnp.broadcast_to(x, (replicas, *x.shape)), carry)
    num_members = len(dynamics.members(state))
    _check_observables(observables, dynamics.params(state), num_members)
    dead = jnp.zeros((replicas, num_members), bool)

    def segment(carry, dead, first, saves, steps, observing):
        bounds = jnp.asarray([first, saves, steps, int(observing)])
        return _segment(dynamics, problem, observables, fixed, carry, dead, keys, bounds, _CAPACITY, blocks)

    recorded: list[dict] = []
    clock = _Clock(num_steps, save_every)
    interrupted = False
    with _progress_bar(progress, num_steps) as advance_bar:
        try:
            _, _, values = segment(carry, dead, 0, 1, 0, True)
            recorded.append(jax.tree.map(lambda x: np.asarray(x[:, :1]), values))
            while clock.done < num_steps:
                saves, steps = clock.plan()
                on_save = (clock.done + saves * steps) % save_every == 0
                carry, dead, values = jax.block_until_ready(segment(carry, dead, clock.done, saves, steps, on_save))
                clock.advance(saves, steps)
                if on_save:
                    recorded.append(jax.tree.map(lambda x, s=saves: np.asarray(x[:, :s]), values))
                advance_bar(clock.done)
        except KeyboardInterrupt:
            if not recorded:
                raise
            interrupted = True
    values = {name: np.concatenate([part[name] for part in recorded], axis=1) for name in observables}
    saved = next(iter(values.values())).shape[1] if values else 1 + clock.done // save_every
    step = np.arange(saved) * save_every
    result = Trajectories(
        time=time_of_step[step],
        step=step,
        values=values,
        final_params=dynamics.params(eqx.combine(carry, fixed)),
        diverged=np.asarray(dead)[:, 0] if num_members == 1 else np.asarray(dead),
        interrupted=interrupted,
        blocks=blocks,
    )
    if result.diverged.any():
        _warn_diverged(dynamics, problem, params, np.any(np.asarray(dead), axis=1, keepdims=True))
    return result


def replica_blocks(dynamics: AbstractDynamics, problem: Problem, replicas: int) -> tuple[int, int]:
    """Replicas that step together, and that are observed together: functions of shapes and platform."""

    def block(units: int) -> int:
        return sizes.replica_block(problem.num_parameters, units, problem.num_units, replicas, jax.default_backend())

    return block(dynamics.units_per_step(problem)), block(problem.num_units)


def elapsed_time(learning_rate: Any, num_steps: int) -> np.ndarray:
    """(num_steps + 1,): the SDE time Σ_{k<n} η_k after n = 0, 1, … steps, in float64.

    Raises:
        InputError: a schedule that is negative or not finite somewhere.
    """
    if callable(learning_rate):
        rates = np.asarray(jax.vmap(lambda n: jnp.asarray(learning_rate(n)))(jnp.arange(num_steps)), np.float64)
        bad = np.flatnonzero(~(rates >= 0) | np.isinf(rates))
        if bad.size:
            raise InputError(f"the schedule gives learning_rate {rates[bad[0]]} at step {bad[0]}: keep it finite, >= 0")
        return np.concatenate([[0.0], np.cumsum(rates)])
    return np.arange(num_steps + 1) * float(learning_rate)


@eqx.filter_jit
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
        values = {name: v.astype(jnp.promote_types(v.dtype, jnp.float32)) for name, v in values.items()}
        return {name: jnp.where(_over_members(dead, v), jnp.nan, v) for name, v in values.items()}

    def one_block(block):
        def observe_block(block):
            return _map_blocks(observe, block, blocks[1])

        rows = jax.eval_shape(observe_block, block)
        blank = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), rows)

        def save(i, outer):
            block, table = outer
            block = _map_blocks(lambda replica: advance(replica, first + i * steps), block, blocks[0])
            row = jax.lax.cond(observing > 0, observe_block, lambda _: blank, block)
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
    """Numbers as arrays of params' dtype, so that new values don't recompile. An exact 0 (no momentum) stays
    a Python number: it is structure, nothing is carried for it."""
    convert = lambda x: jnp.asarray(x, dtype) if isinstance(x, float) and x != 0 else x  # noqa: E731
    return jax.tree.map(convert, dynamics)


class _Clock:
    """Plans segments: (saves, steps a save). Several saves, or a part of the way to the next one."""

    def __init__(self, num_steps: int, save_every: int):
        self.num_steps, self.save_every = num_steps, save_every
        self.done, self.calls, self.budget = 0, 0, 1
        self.started = time.perf_counter()

    def plan(self) -> tuple[int, int]:
        self.started = time.perf_counter()
        to_save = self.save_every - self.done % self.save_every
        if to_save == self.save_every and self.budget >= self.save_every:
            remaining = (self.num_steps - self.done) // self.save_every
            return min(_CAPACITY, remaining, self.budget // self.save_every), self.save_every
        return 1, min(to_save, self.budget)

    def advance(self, saves: int, steps: int) -> None:
        """Counts the segment, and sizes the next by its speed."""
        seconds = time.perf_counter() - self.started
        self.done += saves * steps
        self.calls += 1
        if self.calls > 1:  # the first call may have compiled
            wanted = _SEGMENT_SECONDS / max(seconds, 1e-6) * saves * steps
            self.budget = max(1, min(8 * self.budget, math.ceil(wanted)))


class _progress_bar:
    """Context manager giving ``advance(done)``; silent unless stderr is a terminal and there is a label."""

    def __init__(self, label: str, total: int):
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        shown = bool(label) and sys.stderr.isatty()
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True)
        self.task = self.bar.add_task(label, total=total)

    def __enter__(self):
        self.bar.start()
        return lambda done: self.bar.update(self.task, completed=done)

    def __exit__(self, *_):
        self.bar.stop()


def _check(num_steps, replicas, save_every, observables) -> None:
    for name, value in (("num_steps", num_steps), ("replicas", replicas), ("save_every", save_every)):
        check_positive_integer(name, value)
    if num_steps % save_every:
        divisors = [k for k in range(1, num_steps + 1) if num_steps % k == 0]
        nearest = min(divisors, key=lambda k: abs(k - save_every))
        raise InputError(
            f"save_every {save_every} doesn't divide num_steps {num_steps}: the nearest that does is {nearest}"
        )
    if not isinstance(observables, Mapping):
        raise InputError(f"observables is a {type(observables).__name__}: pass a dict of name: function of params")


def _check_observables(observables: dict, params: PyTree, num_members: int) -> None:
    arrays, fixed = eqx.partition(params, eqx.is_array)
    for name, function in observables.items():
        if name in RESERVED or "/" in name or name.startswith("final_params"):
            raise InputError(f"observable '{name}' can't be named so in a file: call it otherwise, say '{name}_value'")
        shape = jax.eval_shape(lambda p, f=function: f(eqx.combine(p, fixed)), arrays)
        real = hasattr(shape, "dtype") and (shape.dtype == bool or jnp.issubdtype(shape.dtype, jnp.number))
        if not real:
            raise InputError(f"observable '{name}' doesn't return a numeric array: return one array of params")
        if num_members > 1 and shape.shape[:1] != (num_members,):
            raise InputError(
                f"observable '{name}' gives shape {shape.shape} for {num_members} coupled dynamics: stack them"
            )


def _like(problem: Problem, params: PyTree) -> PyTree:
    params = strong_arrays(params)
    want, got = jax.eval_shape(lambda: problem.moving()), jax.eval_shape(lambda: problem.moving(params))
    if jax.tree.structure(want) != jax.tree.structure(got) or jax.tree.leaves(want) != jax.tree.leaves(got):
        raise InputError(
            "params differs from the problem's params in structure, shapes or dtypes: start from the same net"
        )
    return params


def _warn_diverged(dynamics, problem: Problem, params: PyTree, diverged: np.ndarray) -> None:
    rate = dynamics.learning_rate
    momentum = float(getattr(dynamics, "momentum", 0.0))
    stable = 2 * (1 + momentum)
    text = f"{int(diverged.sum())} of {diverged.size} replicas diverged"
    if problem.dtype not in (jnp.float32, jnp.float64):  # Lanczos has no half precision
        warnings.warn(f"{text}; lower the learning_rate", RuntimeWarning, stacklevel=3)
        return
    key = jr.key(0) if problem.needs_key else None
    top = float(curvature.top_eigenpairs(problem, params, key=jr.key(0), mask_key=key).eigenvalues[0])
    if callable(rate):
        text += (
            f": lambda_max = {top:.3g} at the start, and steps are stable while eta lambda_max < 2(1+m) = {stable:.3g}"
        )
    else:
        text += f": eta lambda_max = {float(rate) * top:.3g} at the start against 2(1+m) = {stable:.3g}"
    if top > 0:
        text += f"; try a learning_rate below {stable / top:.2g}, or a larger batch_size"
    warnings.warn(text, RuntimeWarning, stacklevel=3)
