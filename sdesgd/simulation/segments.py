"""The compiled part of a simulation: replicas that step, are observed, counted and stopped, block after block."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Int, Key, PyTree

from sdesgd import freshness
from sdesgd.inputs import is_key
from sdesgd.simulation.regrouping import going_first
from sdesgd.simulation.watch import Watch


class Replicas(NamedTuple):
    """What a run carries of its replicas, leading axis R (one replica has none).

    arrays: the state of the dynamics, those of its leaves that are arrays. dead: (members,), which have diverged.
    key: the one from which the keys of all steps are made. stopped: the step at which it was to stop, −1 before; None
    where none does. accumulated: of ``accumulate``; None without it.
    """

    arrays: PyTree
    dead: Bool[Array, "*R members"]
    key: Key[Array, "*R"]
    stopped: Int[Array, "*R"] | None
    accumulated: PyTree


@freshness.jit
def segment(
    dynamics, problem, watch: Watch, fixed, replicas: Replicas, bounds, capacity: int, blocks: tuple[int, int]
) -> tuple[Replicas, dict[str, Array]]:
    """Some steps of all replicas, and a table of what was observed.

    Args:
        dynamics, problem: as they are now, numbers as arrays.
        watch: the functions of params.
        fixed: the leaves of the state that aren't arrays.
        replicas: where they are.
        bounds: (first step, saves, steps a save, whether to observe, the last regrouping), traced: segments of any
            length share one compilation.
        capacity: rows of the table.
        blocks: replicas that step together, and that are observed together.
    """
    first, saves, steps, observing, regrouped = bounds

    def step(n: Int[Array, ""], one: Replicas) -> Replicas:
        state = eqx.combine(one.arrays, fixed)
        new = eqx.filter(dynamics.step(problem, state, jr.fold_in(one.key, n), n), eqx.is_array)
        parts = list(zip(dynamics.members(one.arrays), dynamics.members(new), strict=True))
        dead = one.dead | jnp.stack([~all_finite(part) for _, part in parts])
        stays = dead if one.stopped is None else dead | (one.stopped >= 0)
        arrays = dynamics.join(tuple(select(stays[k], *part) for k, part in enumerate(parts)))
        if not watch.stops and watch.update is None:
            return one._replace(arrays=arrays, dead=dead)
        params, going = dynamics.params(eqx.combine(arrays, fixed)), ~jnp.any(stays)
        accumulated, stopped, done = one.accumulated, one.stopped, (n + 1).astype(jnp.int32)
        if watch.update is not None:
            accumulated = select(going, watch.carried(accumulated, params, done), accumulated)
        if watch.stops:
            stopped = jnp.where(going & watch.met(params, accumulated), done, jnp.asarray(stopped))
        return Replicas(arrays, dead, one.key, stopped, accumulated)

    def advance(block: Replicas, begin: Int[Array, ""]) -> Replicas:
        if not watch.stops:
            return map_blocks(lambda one: jax.lax.fori_loop(begin, begin + steps, step, one), block, blocks[0])

        # The loop is that of the block, so that n is one number for all replicas and not one for each.
        def going(loop):
            n, block = loop
            return (n < begin + steps) & jnp.any((block.stopped < 0) & ~jnp.all(block.dead, axis=1))

        def body(loop):
            n, block = loop
            return n + 1, map_blocks(lambda one: step(n, one), block, blocks[0])

        return jax.lax.while_loop(going, body, (begin, block))[1]

    def observe(one: Replicas) -> dict[str, Array]:
        values = watch.values(dynamics.params(eqx.combine(one.arrays, fixed)))
        return {name: jnp.where(_over_members(one.dead, v), jnp.nan, v) for name, v in values.items()}

    def one_block(block: Replicas):
        def observe_block(block):
            return map_blocks(observe, block, blocks[1])

        rows = jax.eval_shape(observe_block, block)

        def blank(_):
            return jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), rows)

        def save(i, outer):
            block, table = outer
            block = advance(block, first + i * steps)
            row = jax.lax.cond(observing > 0, observe_block, blank, block)
            return block, jax.tree.map(lambda t, v: t.at[:, i].set(v), table, row)

        table = jax.tree.map(lambda s: jnp.full((s.shape[0], capacity, *s.shape[1:]), jnp.nan, s.dtype), rows)
        return jax.lax.fori_loop(0, saves, save, (block, table))

    if replicas.stopped is None or blocks[0] >= replicas.dead.shape[0]:
        return in_blocks(one_block, replicas, blocks[0])
    order = going_first(replicas.stopped, regrouped)
    found = in_blocks(one_block, jax.tree.map(lambda x: x[order], replicas), blocks[0])
    back = jnp.argsort(order)
    return jax.tree.map(lambda x: x[back], found)


def begun(dynamics, problem, watch: Watch, starts: PyTree, common: PyTree, init: Callable | None, block: int):
    """(arrays, stopped, accumulated) at each start, leading axis that of ``starts``.

    Args:
        dynamics, problem, watch: as for ``segment``.
        starts: the leaves of params that are arrays.
        common: the other leaves.
        init: params ↦ what is carried, or None.
        block: replicas at a time.
    """
    if jax.tree.leaves(starts)[0].shape[0] > 1 or watch.stops or init is not None:
        return _begun(dynamics, problem, watch, starts, common, init, block)
    # A common start has nothing worth compiling.
    first = _begin(dynamics, problem, watch, jax.tree.map(lambda x: x[0], starts), common, init)
    return jax.tree.map(lambda x: x[None], first)


@freshness.jit
def _begun(dynamics, problem, watch, starts, common, init, block: int):
    return map_blocks(lambda start: _begin(dynamics, problem, watch, start, common, init), starts, block)


def _begin(dynamics, problem, watch, start, common, init):
    state = dynamics.init(problem, eqx.combine(start, common))
    params = dynamics.params(state)
    # Strongly typed, as what an update gives is: else the segment would be compiled for both.
    strong = lambda x: x if is_key(x) else jnp.asarray(x, jnp.result_type(x))  # noqa: E731
    carried = None if init is None else jax.tree.map(strong, init(params))
    stopped = jnp.where(watch.met(params, carried), 0, jnp.asarray(-1, jnp.int32)) if watch.stops else None
    return eqx.filter(state, eqx.is_array), stopped, carried


def in_blocks(function: Callable, replicas: PyTree, block: int) -> PyTree:
    """``function`` of one block of replicas after another; the last is filled up with copies of the last replica."""
    count = jax.tree.leaves(replicas)[0].shape[0]
    if block >= count:
        return function(replicas)
    padded = replicas
    if count % block:
        filling = jnp.full(-count % block, count - 1)
        padded = jax.tree.map(lambda x: jnp.concatenate([x, x[filling]]), replicas)
    stacked = jax.tree.map(lambda x: x.reshape(-1, block, *x.shape[1:]), padded)
    out = jax.lax.map(function, stacked)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], out)


def map_blocks(function: Callable, replicas: PyTree, block: int) -> PyTree:
    """vmap over blocks of replicas, one block after another. A block of 1 is not a vmap, which would cost 1.6×."""
    if block == 1:
        return jax.lax.map(function, replicas)
    return in_blocks(jax.vmap(function), replicas, block)


def select(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    """One of two pytrees."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether ‖θ‖² is finite: one fast pass. A norm that overflows the dtype (1.8e19 in float32) has diverged too."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in leaves]
    return jnp.isfinite(sum(jnp.vdot(x, x) for x in wide))


def _over_members(dead, values):
    """dead, (members,), shaped for values: without an axis for a single dynamics, else along their first."""
    return dead[0] if dead.size == 1 else dead.reshape(-1, *[1] * (values.ndim - 1))
