"""The occupancies of SGD's own stationary law at finite η, with no Monte Carlo: the transfer operator on fine grids."""

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse import linalg

from sdesgd import freshness, inputs
from sdesgd.basins.wells import Wells
from sdesgd.dynamics.sgd import SGD, GaussianSGD
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, as_box
from sdesgd.problem import Problem
from sdesgd.results import Result
from sdesgd.stationary.grid_density import GridDensity
from sdesgd.stationary.transfer import TransferOperator, transfer_operator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Grid spacings per standard deviation of a step, wanted and at least: the error of a gap is about 3/r⁴ of it.
_RESOLUTION = {1: (5.0, 3.0), 2: (4.0, 2.0)}
# Entries of the matrix: half a gigabyte while it is built.
_MOST_ENTRIES = 6_000_000
# Points inside a cell of the grid, along each axis, that are asked for their basin.
_INNER = {1: 32, 2: 5}
_WIDENINGS = 6
_GAUSSIAN_BATCHES = 16


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ExactLaw(Result):
    """The stationary law of a dynamics itself on a grid.

    Attributes:
        occupancy: (M,), of the wells.
        points: (G, D), the grid.
        density: (G,), per unit volume.
    """

    occupancy: Float[np.ndarray, " M"]
    points: Float[np.ndarray, "G D"]
    density: Float[np.ndarray, " G"]

    def __iter__(self) -> Iterator[np.ndarray]:
        """The three arrays in turn: ``occupancy, points, density = law``."""
        return iter((self.occupancy, self.points, self.density))

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Coordinates along each axis of the grid."""
        return tuple(np.unique(column) for column in self.points.T)

    def __str__(self) -> str:
        shares = ", ".join(f"{100 * p:.2f} %" for p in self.occupancy)
        D = self.points.shape[1]
        grid = " × ".join(str(len(axis)) for axis in self.axes)
        return f"Stationary law of the dynamics at this η, exact on a grid of {grid} points (D = {D})\nwells: {shares}"

    def plot(self) -> "Figure":
        """The density on its grid, with the occupancies of the wells."""
        from sdesgd.plot import densities

        return densities.exact_law(self)

    def to_xarray(self) -> "xr.Dataset":
        """The density over the coordinates ``theta_1``, …, and the occupancies over ``well``."""
        import xarray as xr

        axes = {f"theta_{k + 1}": axis for k, axis in enumerate(self.axes)}
        density = self.density.reshape([len(axis) for axis in axes.values()])
        return xr.Dataset({"density": (tuple(axes), density), "occupancy": ("well", self.occupancy)}, axes)


def exact_occupancy(
    landscape: Landscape,
    problem: Problem,
    dynamics: SGD | GaussianSGD,
    wells: Wells,
    temperature: float,
    box: Any,
    *,
    resolution: float = 1.0,
) -> ExactLaw:
    """The stationary law of SGD or of Gaussian SGD at finite η, and its occupancies: π K = π on a grid.

    The box is widened until less than 1e−6 of the mass leaves it per step. A grid has five spacings (in the plane
    four) per standard deviation of a step, √(2Tη), or as many as memory allows.

    Args:
        landscape: V, of one or two dimensions, the mean loss of the problem.
        problem: the finite sum.
        dynamics: without momentum.
        wells: of V.
        temperature: T = ησ²/(2S), which sets the spacing of the grid.
        box: (low, high) along each axis, to begin with; say where exp(−V/T) has died out.
        resolution: grid spacings relative to the default number of them.

    Raises:
        InputError: as ``stationary.transfer_operator``; a law that leaves any box; a grid that needs too much memory.
    """
    sides, eta = as_box(box, landscape.dimension), float(np.asarray(dynamics.learning_rate))
    step = math.sqrt(2 * temperature * eta)
    for _ in range(_WIDENINGS):
        shape = _shape(problem, dynamics, sides, step, resolution)
        operator = transfer_operator(problem, dynamics, [(float(low), float(high)) for low, high in sides], shape)
        law = _stationary(landscape, operator, temperature)
        if law is not None:
            break
        sides = sides + 0.15 * (sides[:, 1:] - sides[:, :1]) * np.array([-1, 1])
    else:
        raise InputError(f"SGD at T = {temperature:g}, η = {eta:g} leaves any box: it has no stationary law; lower η")
    cell = (sides[:, 1] - sides[:, 0]) / (np.array(shape) - 1)
    return ExactLaw(law @ membership(wells, operator.points, cell), operator.points, law / cell.prod())


def density_occupancy(density: GridDensity, wells: Wells) -> Float[np.ndarray, " M"]:
    """The occupancies of a density on a fine grid; on a line with the cells at the ridges shared out.

    Args:
        density: as of ``stationary.gibbs_density``.
        wells: of the same landscape.
    """
    if len(density.axes) == 2:
        return density.by_label(wells.labels(density.points), wells.count)
    cell = np.array([density.axes[0][1] - density.axes[0][0]])
    return density.masses @ membership(wells, density.points, cell)


def membership(wells: Wells, points: Float[np.ndarray, "G D"], cell: Any) -> Float[np.ndarray, "G M"]:
    """The share of each grid cell that each basin has: a cell on an edge counts for both.

    Args:
        wells: of one or two dimensions.
        points: the grid.
        cell: (D,), the spacing along each axis.
    """
    sizes = inputs.as_float64(cell, "cell", "(D,)")
    D, n = points.shape[1], _INNER[points.shape[1]]
    offsets = (np.arange(n) + 0.5) / n - 0.5
    found = np.zeros((len(points), wells.count))
    for offset in np.stack(np.meshgrid(*[offsets] * D, indexing="ij"), axis=-1).reshape(-1, D):
        labels = wells.labels(points + offset * sizes)
        found[np.arange(len(points)), labels] += 1
    return found / n**D


def _shape(problem: Problem, dynamics: Any, box: np.ndarray, step: float, resolution: float) -> tuple[int, ...]:
    """Points along each axis: as fine as the spread of a step needs, or as the memory allows."""
    D, S = len(box), dynamics.batch_size
    kinds = _kinds(problem)
    gaussian = isinstance(dynamics, GaussianSGD)
    batches = _GAUSSIAN_BATCHES if gaussian else math.comb(kinds + S - 1, S)
    wanted, least = _RESOLUTION[D]
    sides = (box[:, 1] - box[:, 0]) / step
    allowed = (_MOST_ENTRIES / (batches * 4**D) / sides.prod()) ** (1 / D)
    if allowed < least:
        name = "Gaussian SGD" if gaussian else "SGD"
        raise InputError(
            f"the law of {name} takes a grid of {(least * sides).max():.0f} points an axis with {batches} batches, "
            "more than the memory set aside: raise η or lower S"
        )
    return tuple(int(n) for n in np.ceil(min(wanted, allowed) * resolution * sides) + 1)


def _kinds(problem: Problem) -> int:
    """Examples that differ."""
    leaves = [np.asarray(x).reshape(problem.num_units, -1) for x in jax.tree.leaves(problem.data)]
    return len(np.unique(np.concatenate(leaves, axis=1), axis=0))


def _stationary(landscape: Landscape, operator: TransferOperator, temperature: float) -> np.ndarray | None:
    """π K = π, or None if the box is too small: in one dimension by elimination; in two by Arnoldi from the Gibbs law,
    some tens of times faster."""
    if landscape.dimension == 1:
        try:
            return operator.stationary()
        except InputError:  # its one refusal: mass leaves the box
            return None
    start = np.exp(-np.asarray(_values(landscape.fresh().value, jnp.asarray(operator.points))) / temperature)
    transposed = operator.matrix.T.tocsr()
    found: Any = linalg.eigs(transposed, k=1, which="LM", v0=start / start.sum(), ncv=40, tol=1e-10)  # type: ignore[arg-type]
    values, vectors = found
    law = np.real(vectors[:, 0])
    law = law / law.sum()
    residual = float(np.abs(transposed @ law - law).sum())
    if abs(values[0] - 1) > 1e-7 or residual > 1e-7:
        raise InputError(f"the transfer operator at T = {temperature:g} has no clear stationary law: lower η")
    return law if law @ operator.outside < 1e-6 else None


@freshness.jit
def _values(value: Any, points: Float[Array, "G D"]) -> Float[Array, " G"]:
    return jax.vmap(value)(points)
