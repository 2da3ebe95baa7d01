"""A run before its first step: arguments checked, functions as they are now, sizes, keys, and what it is known by."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from sdesgd import inputs, sizes
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.problem import Problem
from sdesgd.simulation.admission import check_arguments, check_sizes, check_starts, elapsed_time
from sdesgd.simulation.regrouping import around
from sdesgd.simulation.segments import Replicas, begun, segment
from sdesgd.simulation.starts import checked_key, replica_keys, starts_of
from sdesgd.simulation.watch import Watch, watched
from sdesgd.types import PRNGKeyArray


@dataclasses.dataclass(frozen=True)
class Plan:
    """What decides a run, as of its call.

    Attributes:
        dynamics, problem: as they are now, numbers as arrays. given: the dynamics as the user gave it.
        watch, init: the functions of params, and what a replica carries at first.
        starts, common: leaves of the starts that are arrays, those of replicas left out too, leading axis 1 or R; the
            other leaves.
        fixed: leaves of the state that aren't arrays.
        num_members: dynamics that run together.
        key: of the run, or one for each replica. first_replica: those before it are left out. keys: of the others.
        step, time: of the saves, (T,).
        save_every: steps between them.
        rows: name → shape and dtype of an observable.
        blocks: replicas that step together, and that are observed together.
        capacity: saves of one compiled call.
    """

    dynamics: AbstractDynamics
    problem: Problem
    given: AbstractDynamics
    watch: Watch
    init: Any
    starts: PyTree
    common: PyTree
    fixed: PyTree
    num_members: int
    key: PRNGKeyArray | Key[Array, " R"]
    first_replica: int
    keys: Key[Array, " new"]
    step: np.ndarray
    time: np.ndarray
    save_every: int
    rows: dict[str, Any]
    blocks: tuple[int, int]
    capacity: int

    @property
    def num_steps(self) -> int:
        """SGD steps of the run."""
        return int(self.step[-1])

    @property
    def own_starts(self) -> PyTree:
        """Of ``starts``, those of the replicas that are run."""
        return _rows(self.starts, self.first_replica, self.first_replica + len(self.keys))

    def starts_before(self, replica: int) -> PyTree:
        """Of ``starts``, those of the replicas before this one."""
        return _rows(self.starts, 0, replica)

    def key_before(self, replica: int) -> PRNGKeyArray | Key[Array, " before"]:
        """The key, or those of the replicas before this one."""
        return self.key[:replica] if self.key.shape else self.key

    @property
    def first_start(self) -> PyTree:
        """The params from which its first replica starts."""
        return eqx.combine(jax.tree.map(lambda x: x[0], self.starts), self.common)

    def begun(self) -> Replicas:
        """The replicas at their starts."""
        count = len(self.keys)
        own = begun(self.dynamics, self.problem, self.watch, self.own_starts, self.common, self.init, self.blocks[0])
        own = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape[1:])), own)
        return Replicas(own[0], jnp.zeros((count, self.num_members), bool), self.keys, *own[1:])

    def tables(self) -> dict[str, np.ndarray]:
        """name → (new, T, …), to be filled."""
        shape = len(self.keys), len(self.step)
        return {name: np.empty((*shape, *row.shape), row.dtype) for name, row in self.rows.items()}

    def advanced(self, replicas: Replicas, done: int, saves: int, steps: int, observing: bool):
        """(replicas, table of what was observed) after ``saves`` times ``steps`` more; see ``segment``."""
        bounds = jnp.asarray([done, saves, steps, int(observing), around(done)[0]])
        common = self.dynamics, self.problem, self.watch, self.fixed
        return segment(*common, replicas, bounds, self.capacity, self.blocks)

    def params(self, replicas: Replicas) -> PyTree:
        """Where the replicas are, leading axis R."""
        return self.dynamics.params(eqx.combine(replicas.arrays, self.fixed))


def planned(
    dynamics: AbstractDynamics,
    problem: Problem,
    *,
    num_steps: int,
    replicas: int,
    first_replica: int,
    save_every: int,
    key: PRNGKeyArray | Key[Array, " R"],
    observables: Any,
    params: PyTree,
    starts: PyTree,
    until: Any,
    accumulate: Any,
) -> Plan:
    """The run of the replicas first_replica, …, R−1 of R, refused before anything expensive is computed.

    Args:
        first_replica: those before it are left out.
        dynamics, problem, num_steps, replicas, save_every, key, observables, params, starts, until, accumulate: as for
            ``simulate``.

    Raises:
        InputError: as ``simulate``.
    """
    check_arguments(dynamics, problem, num_steps, replicas, save_every)
    num_steps, replicas, save_every = int(num_steps), int(replicas), int(save_every)
    key = checked_key(key, replicas)
    problem, given = problem.fresh(), dynamics.fresh()
    starts, common = starts_of(problem, replicas, params, starts)
    for name in ("learning_rate", "momentum"):
        inputs.check_representable(name, getattr(given, name, 0.0), problem.wide)
    step = np.arange(1 + num_steps // save_every) * save_every
    time = elapsed_time(given.learning_rate, step)
    dynamics = _traced(given, problem.wide)
    state = dynamics.init(problem, eqx.combine(jax.tree.map(lambda x: x[0], starts), common))
    num_members = len(dynamics.members(state))
    watch, init, rows, counted = watched(observables, until, accumulate, dynamics.params(state), num_members)
    new = replicas - first_replica
    blocks = replica_blocks(dynamics, problem, new)
    if watch.stops:
        blocks = sizes.stopping_block(blocks[0], new, jax.default_backend()), blocks[1]
    check_sizes(dynamics, problem, state, counted, replicas, len(step), rows, blocks)
    check_starts(problem, _rows(starts, first_replica, replicas), common, blocks[1])
    return Plan(
        dynamics=dynamics,
        problem=problem,
        given=given,
        watch=watch,
        init=init,
        starts=starts,
        common=common,
        fixed=eqx.filter(state, eqx.is_array, inverse=True),
        num_members=num_members,
        key=key,
        first_replica=first_replica,
        keys=replica_keys(key, replicas, first_replica),
        step=step,
        time=time,
        save_every=save_every,
        rows=rows,
        blocks=blocks,
        capacity=sizes.saves_of_a_call(len(step), new * sum(x.size * x.dtype.itemsize for x in rows.values())),
    )


def replica_blocks(dynamics: AbstractDynamics, problem: Problem, replicas: int) -> tuple[int, int]:
    """Replicas that step together, and that are observed together: functions of shapes and platform."""

    def block(units: int) -> int:
        return sizes.replica_block(problem.num_parameters, units, problem.num_units, replicas, jax.default_backend())

    return block(dynamics.units_per_step(problem)), block(problem.num_units)


def _rows(starts: PyTree, first: int, end: int) -> PyTree:
    """Starts of some replicas; a common one is that of all."""
    return jax.tree.map(lambda x: x if x.shape[0] == 1 else x[first:end], starts)


def _traced(dynamics: AbstractDynamics, dtype) -> AbstractDynamics:
    """Numbers as arrays of this dtype, so that new values don't recompile. An exact 0 (no momentum) stays
    a Python number: it is structure, nothing is carried for it."""
    number = lambda x: isinstance(x, float | np.floating | np.ndarray) and np.ndim(x) == 0 and x != 0  # noqa: E731
    convert = lambda x: jnp.asarray(x, dtype) if number(x) else x  # noqa: E731
    return jax.tree.map(convert, dynamics)
