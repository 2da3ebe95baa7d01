"""Which basin a point lies in, and whether in its core: cheap enough to be asked at every SGD step.

The *basin* of a minimum is all that gradient flow leads to it. Its *core* is the part of the basin with V − V_a below a
height. Time shares are those of basins. Crossings are counted between cores: a walk that dithers on a ridge changes
its basin many times and its core never.
"""

import abc
import itertools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import ndimage, optimize

from sdesgd.basins.gradient_flow import values_at
from sdesgd.basins.quenching import quench
from sdesgd.basins.saddles import critical_points
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape

_STRIDES = (4, 2, 1)  # of the grids in two dimensions, each twice as fine

Box = Sequence[tuple[float | int, float | int]]


class Wells(eqx.Module):
    """M wells as functions of θ (D,) that can be compiled, and their numbers.

    Attributes:
        minima: (M, D). barriers: (M,), V at the lowest pass out of each well, less V at its minimum; infinite for
        a lone well. heights: (M,), up to which V − V_a counts as core.
    """

    minima: eqx.AbstractVar[Float[np.ndarray, "M D"]]
    barriers: eqx.AbstractVar[Float[np.ndarray, " M"]]
    heights: eqx.AbstractVar[Float[np.ndarray, " M"]]

    @property
    def count(self) -> int:
        """M."""
        return len(self.minima)

    @abc.abstractmethod
    def basin(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        """0 … M − 1 (int32): the basin of θ."""

    @abc.abstractmethod
    def core(self, theta: Float[Array, " D"]) -> Int[Array, ""]:
        """0 … M − 1 (int32), or −1 where θ is in no core."""

    def labels(self, points: Float[Array | np.ndarray, "K D"]) -> Int[np.ndarray, " K"]:
        """The basins of many points."""
        return np.asarray(_labels(self, jnp.asarray(points)))

    def cores(self, points: Float[Array | np.ndarray, "K D"]) -> Int[np.ndarray, " K"]:
        """The cores of many points, −1 outside all."""
        return np.asarray(_cores(self, jnp.asarray(points)))


@eqx.filter_jit
def _labels(wells: Wells, points):
    return jax.vmap(wells.basin)(points)


@eqx.filter_jit
def _cores(wells: Wells, points):
    return jax.vmap(wells.core)(points)


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
    if landscape.dimension > 2:
        raise InputError(f"{landscape.name} has {landscape.dimension} dimensions: wells on a grid take one or two")
    box = getattr(landscape, "box", None) if box is None else box
    if box is None or len(box) != landscape.dimension or any(not low < high for low, high in box):
        raise InputError(f"box {box}: pass (low, high) with low < high for each of {landscape.dimension} coordinates")
    if temperature is not None and not (math.isfinite(temperature) and temperature > 0):
        raise InputError(f"temperature is {temperature}: pass T > 0, or None")
    minima = getattr(landscape, "minima", None) if minima is None else getattr(minima, "points", minima)
    given = None if minima is None else np.asarray(minima, float)
    if given is not None and (given.ndim != 2 or given.shape[1] != landscape.dimension or not len(given)):
        raise InputError(f"minima have shape {given.shape}: pass (M, {landscape.dimension}), one row a well")
    with jax.enable_x64(True):
        build = _on_a_line if landscape.dimension == 1 else _in_the_plane
        return build(landscape, given, temperature, np.array(box, float), points, core_height)


def _core_heights(barriers: np.ndarray, temperature, core_height) -> np.ndarray:
    """(M,); refuses cores that would touch."""
    if core_height is not None:
        if not (core_height > 0 and (core_height < barriers).all()):
            raise InputError(
                f"core_height is {core_height}: pass one between 0 and the lowest barrier, {barriers.min():.3g}"
            )
        return np.full(len(barriers), float(core_height))
    return np.minimum(barriers / 2, math.inf if temperature is None else temperature)


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
    value = jax.jit(lambda z: landscape.value(z[None]))
    walls = np.concatenate([[math.inf], [float(value(jnp.asarray(top))) for top in tops], [math.inf]])
    depths = np.array([float(value(jnp.asarray(bottom))) for bottom in bottoms])
    barriers = np.minimum(walls[:-1], walls[1:]) - depths
    edges = np.concatenate([[-math.inf], tops, [math.inf]])
    heights = _core_heights(barriers, temperature, core_height)
    core_edges = np.empty((len(bottoms), 2))
    for a, bottom in enumerate(bottoms):

        def above(z: float, level=depths[a] + heights[a]) -> float:
            return float(value(jnp.asarray(z))) - level

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
    if points < 2 * _STRIDES[0]:
        raise InputError(f"points is {points}: pass at least {2 * _STRIDES[0]} an axis")
    points += -(points - 1) % _STRIDES[0]
    found = quench(landscape, given).check()
    minima, close = found.points, 1e-3 * float(np.linalg.norm(box[:, 1] - box[:, 0]))
    for a, b in itertools.combinations(range(len(minima)), 2):
        if np.linalg.norm(minima[a] - minima[b]) < close:
            raise InputError(f"minima {a} and {b} lie in the basin of {minima[a]}: pass one for each basin")
    axes = [np.linspace(low, high, points) for low, high in box]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    labels = _grid_labels(landscape, grid, minima, close)
    values = np.asarray(values_at(landscape.value, jnp.asarray(grid.reshape(-1, 2)))).reshape(points, points)
    barriers = _passes(labels, values, len(minima)) - found.losses
    heights = _core_heights(barriers, temperature, core_height)
    cores = np.where(values - found.losses[labels] <= heights[labels], labels, -1).astype(np.int32)
    missing = sorted(set(range(len(minima))) - set(cores.ravel().tolist()))
    if missing:
        raise InputError(f"the core of the well at {minima[missing[0]]} holds no point of the grid: take more points")
    spacing = (box[:, 1] - box[:, 0]) / (points - 1)
    return GridWells(minima, barriers, heights, *(jnp.asarray(x) for x in (box[:, 0], spacing, labels, cores)))


def _grid_labels(landscape: Landscape, grid: np.ndarray, minima: np.ndarray, close: float) -> np.ndarray:
    """(n, n): quenches a coarse grid, then of the finer ones only what lies between different labels."""
    labels = np.full(grid.shape[:2], -1, np.int32)
    for stride in _STRIDES:
        part, asked = labels[::stride, ::stride].copy(), np.ones(labels[::stride, ::stride].shape, bool)
        if stride < _STRIDES[0]:
            coarse = labels[:: 2 * stride, :: 2 * stride]
            spread = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[: len(part), : len(part)]
            alike = ndimage.maximum_filter(spread, 5) == ndimage.minimum_filter(spread, 5)
            asked = ~alike & (part < 0)
            part = np.where(part < 0, spread, part)
        part[asked] = _ends(landscape, grid[::stride, ::stride][asked], minima, close)
        if (part < 0).any():  # on a ridge, at rest on a saddle: it takes its neighbour's label
            nearest = ndimage.distance_transform_edt(part < 0, return_distances=False, return_indices=True)
            part = part[tuple(np.asarray(nearest))]
        labels[::stride, ::stride] = part
    return labels


def _ends(landscape: Landscape, points: np.ndarray, minima: np.ndarray, close: float) -> np.ndarray:
    """The label of the minimum where each point's flow ends; −1 for a saddle."""
    ended = quench(landscape, points, gradient_norm=1e-4)
    ends = ended.points[ended.converged]
    distance = np.linalg.norm(ends[:, None] - minima, axis=-1)
    lost = ends[distance.min(axis=1, initial=math.inf) > close]
    if len(lost):
        raise InputError(
            f"{landscape.name} has a well that isn't among the minima, near {np.round(lost[0], 3)}, where {len(lost)} "
            "points of the grid end: add it"
        )
    labels = np.full(len(points), -1, np.int32)
    labels[ended.converged] = distance.argmin(axis=1)
    return labels


def _passes(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """(M,): the lowest V on each basin's edge with another, of the higher of the two grid points; infinite for one."""
    lowest = np.full(count, math.inf)
    for axis in (0, 1):
        here, there = (np.moveaxis(x, axis, 0) for x in (labels, values))
        edge = here[:-1] != here[1:]
        height = np.maximum(there[:-1], there[1:])[edge]
        for side in (here[:-1][edge], here[1:][edge]):
            np.minimum.at(lowest, side, height)
    return lowest
