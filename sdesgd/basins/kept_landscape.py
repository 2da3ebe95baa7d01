"""What a file keeps of a landscape: no function, but V on a grid, for figures."""

import dataclasses
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sdesgd.basins.gradient_flow import values_at
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape

_POINTS = {1: 601, 2: 121}  # along each axis
_AROUND = 0.35  # of the extent of the minima, beyond them, where a landscape has no box
_BEYOND = 0.05  # of the box, where a minimum lies at its edge or beyond


def _no_function(theta: Any) -> NoReturn:
    raise InputError(
        "a file holds no functions, so this landscape can't be asked: put it back with "
        "dataclasses.replace(result, landscape=V)"
    )


@dataclasses.dataclass(frozen=True, eq=False)
class KeptLandscape(Landscape):
    """A landscape as a file has it: its name, its dimension, and V on a grid in one or two dimensions.

    Attributes:
        name: as it was.
        value: refuses, since no file holds a function.
        dimension: D.
        axes: coordinates along each axis of the grid; none in more than two dimensions.
        values: V, of the shape of the grid.
    """

    value: Callable[..., Any] = dataclasses.field(init=False, default_factory=lambda: _no_function, repr=False)
    axes: tuple[np.ndarray, ...] = ()
    values: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0), repr=False)


def kept(landscape: Landscape, points: Float[np.ndarray, "K D"]) -> KeptLandscape:
    """The landscape on a grid over its box, or where it has none, around the points.

    Args:
        landscape: V.
        points: that the grid must hold.
    """
    if isinstance(landscape, KeptLandscape):
        return landscape
    D = landscape.dimension
    if D not in _POINTS:
        return KeptLandscape(landscape.name, D)
    box = getattr(landscape, "box", None)
    low, high = points.min(axis=0), points.max(axis=0)
    if box is None:
        margin = _AROUND * max(float((high - low).max()), 1.0)
    else:
        sides = np.array(box, float)
        margin = 0.0 if ((sides[:, 0] < low) & (high < sides[:, 1])).all() else _BEYOND * float(np.ptp(sides))
        low, high = np.minimum(low, sides[:, 0]), np.maximum(high, sides[:, 1])
    axes = tuple(np.linspace(low[k] - margin, high[k] + margin, _POINTS[D]) for k in range(D))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    with jax.enable_x64(True):
        values = np.asarray(values_at(landscape.fresh().value, jnp.asarray(grid.reshape(-1, D))))
    return KeptLandscape(landscape.name, D, axes, values.reshape(grid.shape[:-1]))
