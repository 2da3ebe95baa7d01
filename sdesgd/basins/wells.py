"""Which basin a point lies in, and whether in its core: cheap enough to be asked at every SGD step.

The *basin* of a minimum is all that gradient flow leads to it. Its *core* is the part of the basin with V − V_a below a
height. Time shares are those of basins. Crossings are counted between cores: a walk that dithers on a ridge changes
its basin many times and its core never.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sdesgd import freshness, inputs
from sdesgd.errors import InputError
from sdesgd.results import Result
from sdesgd.results.tables import aligned, point

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class Wells(Result, eqx.Module):
    """M wells as functions of θ (D,) that can be compiled, and their numbers.

    Attributes:
        minima: (M, D). barriers: (M,), V at the lowest pass out of each well, less V at its minimum; infinite for
        a lone well. heights: (M,), up to which V − V_a counts as core.
    """

    parts: ClassVar[tuple[type, ...]]

    minima: eqx.AbstractVar[Float[np.ndarray, "M D"]]
    barriers: eqx.AbstractVar[Float[np.ndarray, " M"]]
    heights: eqx.AbstractVar[Float[np.ndarray, " M"]]

    @property
    def count(self) -> int:
        """M."""
        return len(self.minima)

    def __str__(self) -> str:
        rows = [("well", "minimum", "lowest pass out, above it", "core up to, above it")]
        for k, where in enumerate(self.minima):
            barrier, height = (f"{x[k]:.4g}" if np.isfinite(x[k]) else "no end" for x in (self.barriers, self.heights))
            rows.append((str(k), point(where), barrier, height))
        return "\n".join([f"{self.count} well{'s' * (self.count > 1)}, numbered from 0", *aligned(rows)])

    def plot(self) -> "Figure":
        """The basins and their cores: on a line with the height of the passes, in the plane as a map."""
        from sdesgd.plot import wells

        return wells.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Minima over (``well``, ``coordinate``), the heights of the passes and of the cores over ``well``."""
        import xarray as xr

        heights = {"barriers": ("well", self.barriers), "heights": ("well", self.heights)}
        return xr.Dataset({"minima": (("well", "coordinate"), self.minima), **heights})

    @abc.abstractmethod
    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        """0 … M − 1 (int32): the basin of θ."""

    @abc.abstractmethod
    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        """0 … M − 1 (int32), or −1 where θ is in no core."""

    def labels(self, points: Float[Array | np.ndarray, "K D"]) -> Int[np.ndarray, " K"]:
        """The basins of many points.

        Raises:
            InputError: points of another shape than (K, D), or not finite.
        """
        return np.asarray(_labels(self, self._points(points)))

    def cores(self, points: Float[Array | np.ndarray, "K D"]) -> Int[np.ndarray, " K"]:
        """The cores of many points, −1 outside all.

        Raises:
            InputError: points of another shape than (K, D), or not finite.
        """
        return np.asarray(_cores(self, self._points(points)))

    def fresh(self) -> "Wells":
        """The wells with ``basin`` and ``core`` as they are now; those of this library read nothing from outside."""
        if type(self).__module__.partition(".")[0] == "sdesgd":
            return self
        theta = jax.ShapeDtypeStruct((self.minima.shape[1],), jnp.result_type(float))
        known = [freshness.of(f, theta, what=f"{type(self).__name__}.{f.__name__}") for f in (self.basin, self.core)]
        return _KnownWells(self.minima, self.barriers, self.heights, *known)

    def _points(self, points: Any) -> Float[Array, "K D"]:
        D = self.minima.shape[1]
        array = inputs.as_float64(points, "points", f"(K, {D})")
        if array.ndim != 2 or array.shape[1] != D or not np.isfinite(array).all():
            raise InputError(f"points have shape {array.shape}: pass finite points (K, {D})")
        return jnp.asarray(array)


@freshness.jit
def _labels(wells: Wells, points):
    return jax.vmap(wells.basin)(points)


@freshness.jit
def _cores(wells: Wells, points):
    return jax.vmap(wells.core)(points)


class _KnownWells(Wells):
    """Wells of another class, known by their programs."""

    minima: Float[np.ndarray, "M D"]
    barriers: Float[np.ndarray, " M"]
    heights: Float[np.ndarray, " M"]
    known_basin: freshness.Fresh
    known_core: freshness.Fresh

    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return jnp.asarray(self.known_basin(theta), jnp.int32)

    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return jnp.asarray(self.known_core(theta), jnp.int32)


def _in_double(array: Any) -> Array:
    """The array as JAX's, of the same dtype whatever JAX is set to: a file gives NumPy's."""
    with jax.enable_x64(True):
        return jnp.asarray(array)


class IntervalWells(Wells):
    """Wells on a line: intervals between maxima, exactly. The outermost reach to infinity.

    Attributes:
        edges: (M, 2), the interval of each basin. core_edges: (M, 2), of each core.
    """

    minima: Float[np.ndarray, "M D"]
    barriers: Float[np.ndarray, " M"]
    heights: Float[np.ndarray, " M"]
    edges: Float[Array, "M 2"] = eqx.field(converter=_in_double)
    core_edges: Float[Array, "M 2"] = eqx.field(converter=_in_double)

    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        inside = (self.edges[:, 0] <= theta[0]) & (theta[0] < self.edges[:, 1])
        return jnp.sum(jnp.where(inside, jnp.arange(self.count), 0)).astype(jnp.int32)

    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        inside = (self.core_edges[:, 0] <= theta[0]) & (theta[0] <= self.core_edges[:, 1])
        return (jnp.sum(jnp.where(inside, 1 + jnp.arange(self.count), 0)) - 1).astype(jnp.int32)


class GridWells(Wells):
    """Wells in the plane: the label of the nearest point of a grid; beyond the box that of its edge.

    A basin's edge is off by at most half a spacing, to either side, so its time share is off by at most the stationary
    density at the ridge times that; the edge is the same for whatever uses the same wells. An arm of a basin that is
    thinner than four spacings may be missed.

    Attributes:
        low, spacing: (2,), of the grid. basin_grid, core_grid: (n, n), labels.
    """

    minima: Float[np.ndarray, "M D"]
    barriers: Float[np.ndarray, " M"]
    heights: Float[np.ndarray, " M"]
    low: Float[Array, " 2"] = eqx.field(converter=_in_double)
    spacing: Float[Array, " 2"] = eqx.field(converter=_in_double)
    basin_grid: Int[Array, "n n"] = eqx.field(converter=_in_double)
    core_grid: Int[Array, "n n"] = eqx.field(converter=_in_double)

    def _cell(self, theta: Float[Array, " D"]) -> tuple[Array, Array]:
        n = self.basin_grid.shape[0]
        at = jnp.clip(jnp.round((theta - self.low) / self.spacing), 0, n - 1).astype(jnp.int32)
        return at[0], at[1]

    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return self.basin_grid[self._cell(theta)].astype(jnp.int32)

    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return self.core_grid[self._cell(theta)].astype(jnp.int32)


Wells.parts = (IntervalWells, GridWells)
