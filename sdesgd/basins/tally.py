"""Any dynamics, counting as it goes: steps spent in each basin, and crossings between cores."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from sdesgd import freshness
from sdesgd.basins.wells import Wells
from sdesgd.dynamics import AbstractDynamics
from sdesgd.problem import Problem


class TallyState(NamedTuple):
    """What has been counted since the burn-in.

    core: the last core visited, −1 before the first. crossings: (M, M), row a column b: visits of core b after core a,
    without another between. visits: (M,), steps that ended in each basin. All int32: 2·10⁹ steps a replica at most.
    """

    core: Int[Array, ""]
    crossings: Int[Array, "M M"]
    visits: Int[Array, " M"]


class Tallied(NamedTuple):
    """The state of the inner dynamics and the counts."""

    inner: Any
    tally: TallyState


class Tally(AbstractDynamics):
    """The same steps as the inner dynamics, from the same keys, with counts after each.

    ``params`` of its state is the pair (θ, ``TallyState``), so observables take that pair.

    Args:
        dynamics: ``SGD``, ``GaussianSGD``, ``SDE``, …, with or without momentum.
        wells: which basin and core a point is in, called once a step.
        burn_in: steps before counting begins. The core is followed from the start.
    """

    dynamics: AbstractDynamics
    wells: Wells
    burn_in: Int[Array, ""]

    def __init__(self, dynamics: AbstractDynamics, wells: Wells, burn_in: int = 0):
        self.dynamics, self.wells = dynamics, wells
        self.burn_in = jnp.asarray(burn_in, jnp.int32)  # traced: another one compiles nothing

    @property
    def learning_rate(self) -> Any:
        return self.dynamics.learning_rate

    @property
    def momentum(self) -> Any:
        return getattr(self.dynamics, "momentum", 0.0)

    def fresh(self) -> "Tally":
        """With a schedule, and wells of a class of the user's, as they are now; see ``freshness``."""
        return freshness.replaced(super().fresh(), wells=self.wells.fresh())

    def init(self, problem: Problem, params: PyTree) -> Tallied:
        inner = self.dynamics.init(problem, params)
        M = self.wells.count
        empty = jnp.zeros((M, M), jnp.int32), jnp.zeros(M, jnp.int32)
        return Tallied(inner, TallyState(self.wells.core(self._theta(inner)), *empty))

    def draw(self, problem: Problem, state: Tallied, key: PRNGKeyArray, n: Int[Array, ""]) -> Any:
        return self.dynamics.draw(problem, state.inner, key, n)

    def advance(self, problem: Problem, state: Tallied, draw: Any, n: Int[Array, ""]) -> Tallied:
        inner = self.dynamics.advance(problem, state.inner, draw, n)
        theta, last = self._theta(inner), state.tally.core
        labels = jnp.arange(self.wells.count, dtype=jnp.int32)
        basin, core = self.wells.basin(theta), self.wells.core(theta)
        # Sums of one-hot rows vectorise over replicas; a scatter doesn't.
        counted = n >= self.burn_in
        crossed = counted & (core >= 0) & (last >= 0) & (core != last)
        move = (labels[:, None] == last) & (labels == core) & crossed
        crossings = state.tally.crossings + move.astype(jnp.int32)
        visits = state.tally.visits + ((labels == basin) & counted).astype(jnp.int32)
        return Tallied(inner, TallyState(jnp.where(core >= 0, core, last), crossings, visits))

    def units_per_step(self, problem: Problem) -> int:
        return self.dynamics.units_per_step(problem)

    def units_at_once(self, problem: Problem) -> int:
        return self.dynamics.units_at_once(problem)

    def params(self, state: Tallied) -> tuple[PyTree, TallyState]:
        return self.dynamics.params(state.inner), state.tally

    def crossings(self, params: tuple[PyTree, TallyState]) -> Int[Array, "M M"]:
        """An observable: crossings so far, (M, M)."""
        return params[1].crossings

    def visits(self, params: tuple[PyTree, TallyState]) -> Int[Array, " M"]:
        """An observable: steps in each basin so far, (M,)."""
        return params[1].visits

    def _theta(self, inner: Any) -> Float[Array, " D"]:
        return ravel_pytree(eqx.filter(self.dynamics.params(inner), eqx.is_inexact_array))[0]
