"""A density on a grid: what it gives to points, sets and labels."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float, Int

from sdesgd import inputs
from sdesgd.errors import InputError
from sdesgd.results import Result
from sdesgd.results.tables import aligned

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Axes = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GridDensity(Result):
    """Probabilities on the points of a grid.

    An expectation of a smooth function is a trapezoid sum, very accurate since the density vanishes at the edges. The
    probability of a set is off by about half a cell's mass along its boundary.

    Attributes:
        axes: the coordinates along each axis, ascending and evenly spaced.
        masses: of the shape of the grid, with sum 1.
        name: what it is the density of, for titles.
    """

    axes: Axes
    masses: np.ndarray
    name: str = "Density on a grid"

    def __str__(self) -> str:
        rows = [("", "mean", "standard deviation", "grid")]
        for k, axis in enumerate(self.axes):
            p = self.masses.sum(axis=tuple(j for j in range(len(self.axes)) if j != k))
            mean = float(p @ axis)
            deviation = float(np.sqrt(p @ (axis - mean) ** 2))
            mean = 0.0 if abs(mean) < 1e-9 * deviation else mean
            name = "θ" if len(self.axes) == 1 else f"θ{chr(0x2081 + k)}"
            rows.append(
                (name, f"{mean:.5g}", f"{deviation:.5g}", f"{len(axis):,} points, {axis[0]:.4g} to {axis[-1]:.4g}")
            )
        return "\n".join([self.name, *aligned(rows)])

    def plot(self) -> "Figure":
        """The density: a curve on a line, a map in the plane, marginals in three dimensions."""
        from sdesgd.plot import densities

        return densities.grid_density(self)

    def to_xarray(self) -> "xr.Dataset":
        """Masses and densities over the coordinates ``theta_1``, …."""
        import xarray as xr

        axes = {f"theta_{k + 1}": axis for k, axis in enumerate(self.axes)}
        variables = {"masses": (tuple(axes), self.masses), "densities": (tuple(axes), self.densities)}
        return xr.Dataset(variables, axes, {"name": self.name})

    @property
    def points(self) -> Float[np.ndarray, "G D"]:
        """The points of the grid, (G, D), in the order of ``masses.ravel()``."""
        return grid_points(self.axes)

    @property
    def densities(self) -> np.ndarray:
        """Probability per unit volume, of the shape of the grid."""
        return self.masses / cell_volumes(self.axes)

    def expectation(self, values: Any) -> float:
        """E f for values f (G,) at ``points``."""
        return float(inputs.as_float64(self._of_points(values, "values"), "values") @ self.masses.ravel())

    def probability(self, mask: Any) -> float:
        """The probability of the points of a mask (G,) of bools."""
        chosen = self._of_points(mask, "mask")
        if chosen.dtype != bool:
            raise InputError(f"mask is {chosen.dtype}: pass bools, or use expectation for weights")
        return float(self.masses.ravel()[chosen].sum())

    def by_label(self, labels: Int[np.ndarray, " G"], count: int) -> Float[np.ndarray, " count"]:
        """The probability of each label 0 … count−1, (count,); points with label −1 belong to none."""
        where = self._of_points(labels, "labels")
        inputs.check_positive_integer("count", count)
        if not np.issubdtype(where.dtype, np.integer):
            raise InputError(f"labels have dtype {where.dtype}: pass integers")
        if where.min() < -1 or where.max() >= count:
            raise InputError(f"labels run from {where.min()} to {where.max()}: pass −1 … {count - 1} for count {count}")
        return np.bincount(where + 1, self.masses.ravel(), count + 1)[1:]

    def _of_points(self, values: Any, name: str) -> np.ndarray:
        with jax.enable_x64(True):  # the masses are of double precision, and so are these
            values = np.asarray(inputs.as_array(values, name))
        if values.shape != (self.masses.size,):
            raise InputError(f"{name} have shape {values.shape}: pass one for each of the {self.masses.size} points")
        return values


def grid_points(axes: Axes) -> Float[np.ndarray, "G D"]:
    """The points of a grid, (G, D), the last axis the fastest."""
    return np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)


def cell_volumes(axes: Axes) -> np.ndarray:
    """The weights of the trapezoid rule, of the shape of the grid."""
    volumes = np.ones(())
    for axis in axes:
        weights = np.full(len(axis), axis[1] - axis[0])
        weights[[0, -1]] /= 2
        volumes = volumes[..., None] * weights
    return volumes
