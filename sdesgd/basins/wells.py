"""Which basin a point lies in, and whether in its core: cheap enough to be asked at every SGD step.

The *basin* of a minimum is all that gradient flow leads to it. Its *core* is the part of the basin with V − V_a below a
height. Time shares are those of basins. Crossings are counted between cores: a walk that dithers on a ridge changes
its basin many times and its core never.
"""

import abc
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import optimize

from sdesgd import freshness, inputs
from sdesgd.basins.gradient_flow import values_at
from sdesgd.basins.grid_labels import STRIDES, grid_labels, lowest_passes
from sdesgd.basins.quenching import quench
from sdesgd.basins.saddles import critical_points
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, as_box, as_landscape
from sdesgd.results import Result
from sdesgd.results.tables import aligned, point

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Box = Sequence[tuple[float | int, float | int]]


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
            heights = [f"{x[k]:.4g}" if np.isfinite(x[k]) else "no end" for x in (self.barriers, self.heights)]
            rows.append((str(k), point(where), *heights))
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


class IntervalWells(Wells):
    """Wells on a line: intervals between maxima, exactly. The outermost reach to infinity.

    Attributes:
        edges: (M, 2), the interval of each basin. core_edges: (M, 2), of each core.
    """

    minima: Float[np.ndarray, "M D"]
    barriers: Float[np.ndarray, " M"]
    heights: Float[np.ndarray, " M"]
    edges: Float[Array, "M 2"]
    core_edges: Float[Array, "M 2"]

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
    low: Float[Array, " 2"]
    spacing: Float[Array, " 2"]
    basin_grid: Int[Array, "n n"]
    core_grid: Int[Array, "n n"]

    def _cell(self, theta: Float[Array, " D"]) -> tuple[Array, Array]:
        n = self.basin_grid.shape[0]
        at = jnp.clip(jnp.round((theta - self.low) / self.spacing), 0, n - 1).astype(jnp.int32)
        return at[0], at[1]

    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return self.basin_grid[self._cell(theta)].astype(jnp.int32)

    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        return self.core_grid[self._cell(theta)].astype(jnp.int32)


def wells_of(
    landscape: Landscape,
    minima: Any = None,
    temperature: float | int | None = None,
    box: Box | None = None,
    *,
    points: int = 201,
    core_height: float | int | None = None,
) -> Wells:
    """The wells of a landscape in one dimension (exact) or two (a grid of labels from gradient flow).

    Args:
        landscape: V, of one or two dimensions.
        minima: (M, D) points, one in each basin, or an object with such ``points``; the wells are numbered in their
            order. Default: the landscape's own; on a line, all that are in the box, from the left.
        temperature: T. If given, cores reach at most T above their minimum, so that fewer crossings turn back.
        box: (low, high) of each coordinate; default: the landscape's own. What is beyond belongs to the edge.
        points: of the grid along each axis, in two dimensions.
        core_height: V − V_a up to which a basin is core; default: half the lowest barrier out of it, and T.

    Raises:
        InputError: another dimension, no box, T ≤ 0, a minimum of V that isn't among those given, two in one basin,
            no minimum in the box, cores that aren't below the barrier.
    """
    if not isinstance(landscape, Landscape):
        raise InputError(f"landscape is {shown(landscape)}: pass a Landscape or a toys.Potential")
    if landscape.dimension > 2:
        raise InputError(f"{landscape.name} has {landscape.dimension} dimensions: wells on a grid take one or two")
    box = getattr(landscape, "box", None) if box is None else box
    if box is None:
        raise InputError(f"{landscape.name} has no box: pass (low, high) along each of {landscape.dimension} axes")
    sides = as_box(box, landscape.dimension)
    if temperature is not None:
        inputs.check_number("temperature", temperature, "T > 0, or None", lambda x: x > 0)
    if core_height is not None:
        inputs.check_number("core_height", core_height, "a positive height, or None", lambda x: x > 0)
    inputs.check_positive_integer("points", points)
    minima = getattr(landscape, "minima", None) if minima is None else getattr(minima, "points", minima)
    given = None if minima is None else inputs.as_float64(minima, "minima", f"(M, {landscape.dimension})")
    if given is not None and (given.ndim != 2 or given.shape[1] != landscape.dimension or not len(given)):
        raise InputError(f"minima have shape {given.shape}: pass (M, {landscape.dimension}), one row a well")
    if given is not None and not np.isfinite(given).all():
        raise InputError("minima hold NaN or infinity: leave those that reached no minimum out")
    with jax.enable_x64(True):
        build = _on_a_line if landscape.dimension == 1 else _in_the_plane
        return build(as_landscape(landscape), given, temperature, sides, points, core_height)


def _core_heights(barriers: np.ndarray, temperature, core_height) -> np.ndarray:
    """(M,); refuses cores that would touch."""
    if core_height is not None:
        if not (core_height < barriers).all():
            raise InputError(
                f"core_height is {core_height}: pass one between 0 and the lowest barrier, {barriers.min():.3g}"
            )
        return np.full(len(barriers), float(core_height))
    return np.minimum(barriers / 2, math.inf if temperature is None else float(temperature))


# -- one dimension -----------------------------------------------------------------------------------------


def _on_a_line(landscape: Landscape, given, temperature, box, points, core_height) -> IntervalWells:
    low, high = box[0]
    if given is not None:  # gradient flow from within the box may leave it
        margin = 1e-3 * (high - low)
        low, high = min(low, given.min() - margin), max(high, given.max() + margin)
    bottoms, tops = critical_points(landscape, low, high)
    if not len(bottoms):
        raise InputError(f"{landscape.name} has no minimum between {low:g} and {high:g}: enlarge the box")
    tops = np.array([top for top in tops if bottoms[0] < top < bottoms[-1]])
    order = np.arange(len(bottoms))
    if given is not None:
        order = np.searchsorted(tops, given[:, 0])
        twice = [k for k in set(order.tolist()) if (order == k).sum() > 1]
        if twice:
            raise InputError(f"two of the minima lie in the basin of {bottoms[twice[0]]:.4g}: pass one for each basin")
        unknown = sorted(set(range(len(bottoms))) - set(order.tolist()))
        if unknown:
            where = ", ".join(f"{bottoms[k]:.4g}" for k in unknown)
            raise InputError(
                f"{landscape.name} has wells that aren't among the minima, at {where}: add them, or take the default"
            )

    def value(z: float) -> float:
        return float(values_at(landscape.value, jnp.asarray([[z]]))[0])

    walls = np.array([math.inf, *map(value, tops), math.inf])
    depths = np.array([value(bottom) for bottom in bottoms])
    barriers = np.minimum(walls[:-1], walls[1:]) - depths
    edges = np.concatenate([[-math.inf], tops, [math.inf]])
    heights = _core_heights(barriers, temperature, core_height)
    core_edges = np.empty((len(bottoms), 2))
    for a, bottom in enumerate(bottoms):

        def above(z: float, level=depths[a] + heights[a]) -> float:
            return value(z) - level

        for side, end in enumerate((max(edges[a], low), min(edges[a + 1], high))):
            # Where V doesn't reach the level inside the box the core goes on to infinity.
            reached = math.isfinite(heights[a]) and above(end) > 0
            core_edges[a, side] = edges[a + side]
            if reached:
                core_edges[a, side] = optimize.root_scalar(above, bracket=(bottom, end), xtol=1e-14).root
    intervals = np.stack([edges[:-1], edges[1:]], axis=1)[order]
    return IntervalWells(
        bottoms[order, None], barriers[order], heights[order], jnp.asarray(intervals), jnp.asarray(core_edges[order])
    )


# -- two dimensions ----------------------------------------------------------------------------------------


def _in_the_plane(landscape: Landscape, given, temperature, box, points, core_height) -> GridWells:
    if given is None:
        raise InputError(f"{landscape.name} comes without minima: pass a point in each basin, say those of find_minima")
    if points < 2 * STRIDES[0]:
        raise InputError(f"points is {points}: pass at least {2 * STRIDES[0]} an axis")
    points += -(points - 1) % STRIDES[0]
    found = quench(landscape, given).check()
    minima, close = found.points, 1e-3 * float(np.linalg.norm(box[:, 1] - box[:, 0]))
    for a, b in itertools.combinations(range(len(minima)), 2):
        if np.linalg.norm(minima[a] - minima[b]) < close:
            raise InputError(f"minima {a} and {b} lie in the basin of {minima[a]}: pass one for each basin")
    axes = [np.linspace(low, high, points) for low, high in box]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    labels = grid_labels(landscape, grid, minima, close)
    values = np.asarray(values_at(landscape.value, jnp.asarray(grid.reshape(-1, 2)))).reshape(points, points)
    barriers = lowest_passes(labels, values, len(minima)) - found.losses
    heights = _core_heights(barriers, temperature, core_height)
    cores = np.where(values - found.losses[labels] <= heights[labels], labels, -1).astype(np.int32)
    missing = sorted(set(range(len(minima))) - set(cores.ravel().tolist()))
    if missing:
        raise InputError(f"the core of the well at {minima[missing[0]]} holds no point of the grid: take more points")
    spacing = (box[:, 1] - box[:, 0]) / (points - 1)
    return GridWells(minima, barriers, heights, *(jnp.asarray(x) for x in (box[:, 0], spacing, labels, cores)))
