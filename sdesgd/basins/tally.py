"""What a run counts as it goes: steps spent in each basin, and crossings between cores."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from sdesgd.basins.wells import Wells


class Counts(NamedTuple):
    """What has been counted since the burn-in.

    core: the last core visited, −1 before the first. crossings: (M, M), row a column b: visits of core b after core a,
    without another between. visits: (M,), steps that ended in each basin. All int32: 2·10⁹ steps per replica at most.
    """

    core: Int[Array, ""]
    crossings: Int[Array, "M M"]
    visits: Int[Array, " M"]


class Tally(eqx.Module):
    """Counts basins and crossings: ``simulate(…, accumulate=tally.accumulate)``, then ``accumulated`` is ``Counts``.

    Args:
        wells: which basin and core a point is in, called once per step.
        burn_in: steps before counting begins. The core is followed from the start.
    """

    wells: Wells
    burn_in: Int[Array, ""]

    def __init__(self, wells: Wells, burn_in: int = 0):
        self.wells, self.burn_in = wells, jnp.asarray(burn_in, jnp.int32)  # traced: another one compiles nothing

    @property
    def accumulate(self) -> tuple:
        """(init, update), as ``simulate`` takes them."""
        return self.init, self.update

    def init(self, params: PyTree) -> Counts:
        """Nothing counted; the core of the start."""
        M = self.wells.count
        return Counts(self.wells.core(_flat(params)), jnp.zeros((M, M), jnp.int32), jnp.zeros(M, jnp.int32))

    def update(self, counts: Counts, params: PyTree, n: Int[Array, ""]) -> Counts:
        """The counts after step n."""
        theta, last = _flat(params), counts.core
        labels = jnp.arange(self.wells.count, dtype=jnp.int32)
        basin, core = self.wells.basin(theta), self.wells.core(theta)
        # Sums of one-hot rows vectorise over replicas; a scatter doesn't.
        counted = n > self.burn_in
        crossed = counted & (core >= 0) & (last >= 0) & (core != last)
        move = (labels[:, None] == last) & (labels == core) & crossed
        visits = counts.visits + ((labels == basin) & counted).astype(jnp.int32)
        return Counts(jnp.where(core >= 0, core, last), counts.crossings + move.astype(jnp.int32), visits)


def _flat(params: PyTree) -> Float[Array, " D"]:
    return ravel_pytree(eqx.filter(params, eqx.is_inexact_array))[0]
