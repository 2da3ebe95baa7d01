"""Labels of the points of a grid in the plane: in whose basin each lies, and how high the passes between basins are."""

import math

import numpy as np
from scipy import ndimage

from sdesgd.basins.quenching import quench
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape

STRIDES = (4, 2, 1)  # of the grids, each twice as fine


def grid_labels(landscape: Landscape, grid: np.ndarray, minima: np.ndarray, close: float) -> np.ndarray:
    """(n, n): quenches a coarse grid, then of the finer ones only what lies between different labels."""
    labels = np.full(grid.shape[:2], -1, np.int32)
    for stride in STRIDES:
        part, asked = labels[::stride, ::stride].copy(), np.ones(labels[::stride, ::stride].shape, bool)
        if stride < STRIDES[0]:
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


def lowest_passes(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """(M,): the lowest V on each basin's edge with another, of the higher of the two grid points; infinite for one."""
    lowest = np.full(count, math.inf)
    for axis in (0, 1):
        here, there = (np.moveaxis(x, axis, 0) for x in (labels, values))
        edge = here[:-1] != here[1:]
        height = np.maximum(there[:-1], there[1:])[edge]
        for side in (here[:-1][edge], here[1:][edge]):
            np.minimum.at(lowest, side, height)
    return lowest
