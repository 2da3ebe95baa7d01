"""The wells of a landscape: intervals on a line, a grid of labels in the plane."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from sdesgd import inputs
from sdesgd.basins.gradient_flow import values_at
from sdesgd.basins.grid_labels import STRIDES, grid_labels, lowest_passes
from sdesgd.basins.quenching import quench
from sdesgd.basins.saddles import critical_points
from sdesgd.basins.wells import GridWells, IntervalWells, Wells
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, as_box, as_landscape
from sdesgd.types import Box, RealScalarLike


def wells_of(
    landscape: Landscape,
    minima: Any = None,
    temperature: RealScalarLike | None = None,
    box: Box | None = None,
    *,
    points: int = 201,
    core_height: RealScalarLike | None = None,
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
