"""The minima of a landscape by many starts, one for each class of symmetric copies, with their weights by Laplace."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from scipy import special
from scipy.stats import qmc

from sdesgd import freshness, inputs
from sdesgd.basins.kept_landscape import KeptLandscape, kept
from sdesgd.basins.quenching import Quenched, check_points, in_float64, quench, values_of
from sdesgd.basins.result import well_name
from sdesgd.basins.symmetry import LARGEST_ORDER, NoSymmetry, Symmetry, UnitSymmetry
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, Potential
from sdesgd.results import Result
from sdesgd.results.tables import aligned, point
from sdesgd.types import RealScalarLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_OF_MINIMA = ("losses", "multiplicities", "hits")
_FEW_STARTS = 20  # below which Good and Turing's estimate is none


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Minima(Result):
    """Inequivalent non-degenerate minima, the deepest first.

    A file of them holds no function: after ``load`` they print, plot and match points as before, and ``assign`` needs
    the landscape, by ``dataclasses.replace(minima, landscape=V)``.

    Attributes:
        landscape, symmetry: what they are the minima of, and modulo what.
        points: (M, D), one of each class.
        losses: (M,), V there.
        spectra: (M, D), the Hessian's eigenvalues, ascending.
        multiplicities: (M,), copies |G|/|Stab|.
        hits: (M,), starts that came to it or to a copy.
        tolerance: points nearer than this, relative to 1 + |θ|, are one.
    """

    parts: ClassVar[tuple[type, ...]] = (KeptLandscape, NoSymmetry, UnitSymmetry)

    landscape: Landscape
    symmetry: Symmetry
    points: Float[np.ndarray, "M D"]
    losses: Float[np.ndarray, " M"]
    spectra: Float[np.ndarray, "M D"]
    multiplicities: Int[np.ndarray, " M"]
    hits: Int[np.ndarray, " M"]
    tolerance: float

    def __len__(self) -> int:
        return len(self.points)

    def __str__(self) -> str:
        starts, once = int(self.hits.sum()), int((self.hits == 1).sum())
        head = f"{len(self)} minima" if len(self) > 1 else "One minimum"
        group = "" if self.symmetry.order == 1 else f", modulo {self.symmetry.order:,} symmetries"
        rows = [("minimum", "at", "V", "eigenvalues of H", "copies", "starts")]
        for k, spectrum in enumerate(self.spectra):
            curved = f"{spectrum[0]:.3g}" + (f" to {spectrum[-1]:.3g}" if len(spectrum) > 1 else "")
            counts = str(int(self.multiplicities[k])), str(int(self.hits[k]))
            rows.append((well_name(k), point(self.points[k]), f"{self.losses[k]:.6g}", curved, *counts))
        new = f"Nothing says that these are all: they come from {starts} starts."
        if starts >= _FEW_STARTS:
            new = f"{once} found just once: one more start finds a new one with a chance of about {once / starts:.2g}."
        title = f"{head} of {self.landscape.name}, D = {self.landscape.dimension}{group}, from {starts:,} starts"
        return "\n".join([title, *aligned(rows), new])

    def plot(self) -> "Figure":
        """The minima on V (in more than two dimensions their spectra), their depths, and how many starts came there."""
        from sdesgd.plot import minima

        return minima.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Points over (``minimum``, ``coordinate``), and losses, spectra, copies and hits over ``minimum``."""
        import xarray as xr

        variables: dict[str, Any] = {name: ("minimum", getattr(self, name)) for name in _OF_MINIMA}
        variables |= {"points": (("minimum", "coordinate"), self.points)}
        variables |= {"spectra": (("minimum", "eigenvalue"), self.spectra)}
        about = {"landscape": self.landscape.name, "tolerance": self.tolerance, "symmetries": str(self.symmetry.order)}
        return xr.Dataset(variables, {"minimum": [well_name(k) for k in range(len(self))]}, about)

    def _as_kept(self) -> "Minima":
        if type(self.symmetry) not in self.parts:
            what = f"the symmetry is a {type(self.symmetry).__name__}, which no file holds"
            raise InputError(f"{what}: save dataclasses.replace(minima, symmetry=NoSymmetry())")
        return dataclasses.replace(self, landscape=kept(self.landscape, self.points))

    def assign(self, points: Any, *, quench_tolerance: RealScalarLike = 1e-5) -> Int[np.ndarray, " K"]:
        """Whose basin, or whose copy's, each point lies in; −1: at a minimum not among these, or at none.

        Args:
            points: (K, D), float64.
            quench_tolerance: of the flow, as for ``quench``.
        """
        return self.match(quench(self.landscape, points, tolerance=quench_tolerance).points)

    def match(self, points: Any) -> Int[np.ndarray, " K"]:
        """Which minimum each point *is*, or is a copy of; −1: none of them. NaN is none.

        Args:
            points: (K, D), already at rest.
        """
        points = inputs.as_float64(points, "points", f"(K, {self.points.shape[1]})")
        if points.ndim != 2 or points.shape[1] != self.points.shape[1]:
            raise InputError(f"points have shape {points.shape}: pass (K, {self.points.shape[1]})")
        label = np.full(len(points), -1)
        finite = np.flatnonzero(np.isfinite(points).all(axis=1))
        label[finite] = _match(points[finite], self.points, self.symmetry, self.tolerance)
        return label

    def copies(self, index: int) -> Float[np.ndarray, "copies D"]:
        """The different images of a minimum, itself first.

        Args:
            index: 0, …, M − 1.
        """
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < len(self):
            raise InputError(f"index is {shown(index)}: pass 0 to {len(self) - 1}")
        images = self.symmetry.images(self.points[index])
        kept: list[np.ndarray] = []
        for image in images:
            if all(np.linalg.norm(image - other) > self.tolerance * (1 + np.linalg.norm(image)) for other in kept):
                kept.append(image)
        return np.array(kept)

    def log_weights(self, temperature: RealScalarLike) -> Float[np.ndarray, " M"]:
        """log of n (2πT)^{D/2} e^{−L/T}/√det H, Laplace's ∫ e^{−V/T} over the basins of a class of n copies.

        Assumptions: T small against the barriers; relative error O(T).

        Args:
            temperature: T, in units of the loss.

        Raises:
            InputError: T ≤ 0.

        Source: claims ``laplace-basin``, ``discrete-symmetry-multiplicity``.
        """
        check_temperature(temperature)
        log_determinants = np.log(self.spectra).sum(axis=1)
        constant = self.points.shape[1] / 2 * math.log(2 * math.pi * temperature)
        return np.log(self.multiplicities) + constant - self.losses / temperature - log_determinants / 2

    def laplace(self, temperature: RealScalarLike) -> Float[np.ndarray, " M"]:
        """Probabilities of the classes under the Gibbs law by Laplace's method, ∝ n e^{−L/T}/√det H; they sum to 1.

        They ignore minima that weren't found. Arguments and errors as for ``log_weights``.
        """
        return special.softmax(self.log_weights(temperature))


def find_minima(
    landscape: Landscape,
    starts: Any,
    symmetry: Symmetry | None = None,
    tolerance: float = 1e-5,
    *,
    quench_tolerance: RealScalarLike = 1e-5,
) -> Minima:
    """The minima that gradient flow finds from these starts, modulo the symmetry.

    Nothing says that all have been found, but the number of minima hit just once, over the number of starts, estimates
    the chance that one more start of the same kind finds a new one (Good and Turing).

    Args:
        landscape: V.
        starts: (K, D), float64.
        symmetry: default ``NoSymmetry()``.
        tolerance: points nearer than this, relative to 1 + |θ|, are one minimum.
        quench_tolerance: of the flow, as for ``quench``; a looser one is faster and may change some hits.

    Raises:
        InputError: a degenerate minimum; a start that reaches no minimum; a symmetry that V doesn't have; bad starts;
            D > 512; a V that JAX can't trace.
    """
    symmetry = NoSymmetry() if symmetry is None else symmetry
    if not isinstance(symmetry, Symmetry):
        raise InputError(f"symmetry is {shown(symmetry)}: pass one of tanh_symmetry, unit_permutations or NoSymmetry()")
    inputs.check_number("tolerance", tolerance, "a positive, finite number", lambda x: x > 0)
    # The result keeps the landscape as it was given, so that a later call sees what it is then.
    given, landscape = landscape, in_float64(landscape)
    starts = check_points(landscape, starts)
    if not len(starts):
        raise InputError("there are 0 starts: pass at least one point")
    for start in starts[:3]:
        _check_symmetry(landscape, symmetry, start)
    rest = quench(landscape, starts, tolerance=quench_tolerance).check()
    _check_degenerate(landscape, rest)
    order = np.argsort(rest.losses, kind="stable")
    points, losses, spectra = rest.points[order], rest.losses[order], rest.spectra[order]
    kept: list[int] = []
    canonical = symmetry.canonical(points)
    left = np.arange(len(points))
    # Representatives first, which is cheap; then the exact distance between orbits, for the few that remain.
    while left.size:
        kept.append(int(left[0]))
        left = left[~_close(np.linalg.norm(canonical[left] - canonical[left[0]], axis=1), points[left], tolerance)]
    distinct: list[int] = []
    for index in kept:
        if not distinct or _match(points[[index]], points[distinct], symmetry, tolerance)[0] < 0:
            distinct.append(index)
    label = _match(points, points[distinct], symmetry, 3 * tolerance)  # what was merged over two steps
    return Minima(
        given,
        symmetry,
        points[distinct],
        losses[distinct],
        spectra[distinct],
        np.array([symmetry.multiplicity(points[k], tolerance) for k in distinct]),
        np.bincount(label, minlength=len(distinct)),
        tolerance,
    )


def minima_of(potential: Potential, starts: int | None = None) -> Minima:
    """The minima of a ready potential: from its own ``minima``, else from a scrambled Sobol set of starts in its box.

    Args:
        potential: V.
        starts: how many of the box to try besides; default: 0 where the potential names its minima, else 128 D.

    Raises:
        InputError: as ``find_minima``; a landscape without a box.
    """
    if not isinstance(potential, Potential):
        raise InputError(f"potential is {shown(potential)}: pass a Potential, or use find_minima with starts")
    if starts is not None and starts != 0:
        inputs.check_positive_integer("starts", starts)
    named = np.array(potential.minima or np.zeros((0, potential.dimension)), float)
    if starts is None:
        starts = 0 if len(named) else 128 * potential.dimension
    low, high = np.array(potential.box).T
    # Scrambled, so that no start lies on a symmetry axis, from where the flow would end on a saddle.
    sobol = qmc.Sobol(potential.dimension, rng=np.random.default_rng(0)).random_base2(
        math.ceil(math.log2(max(starts, 1)))
    )
    return find_minima(potential, np.concatenate([named, (low + sobol * (high - low))[:starts]]))


def check_temperature(temperature: RealScalarLike) -> None:
    """Raises:
    InputError: T ≤ 0, or not finite.
    """
    wanted = "T > 0; at T = 0 the law is a point mass at the deepest minimum"
    inputs.check_number("temperature", temperature, wanted, lambda x: x > 0)


def _close(distances: np.ndarray, points: np.ndarray, tolerance: float) -> np.ndarray:
    return distances <= tolerance * (1 + np.linalg.norm(points, axis=1))


def _match(points: np.ndarray, minima: np.ndarray, symmetry: Symmetry, tolerance: float) -> np.ndarray:
    """Index of the minimum each point is a copy of; −1: none."""
    label = np.full(len(points), -1)
    canonical, others = symmetry.canonical(points), symmetry.canonical(minima)
    for index, other in enumerate(others):
        label[(label < 0) & _close(np.linalg.norm(canonical - other, axis=1), points, tolerance)] = index
    for index, minimum in enumerate(minima):
        left = np.flatnonzero(label < 0)
        if left.size:
            label[left[_close(symmetry.distances(points[left], minimum), points[left], tolerance)]] = index
    return label


def _check_symmetry(landscape: Landscape, symmetry: Symmetry, theta: np.ndarray) -> None:
    """V at some images of a start (all of a small group)."""
    if symmetry.order == 1:
        return
    # A sum over units is what it is in any order, but no further: compare at rounding error.
    enumerable = symmetry.order <= LARGEST_ORDER
    with freshness.guarded("the symmetry", "see basins.symmetry.Symmetry for what it must give", "can't be applied"):
        images = symmetry.images(theta)[:: 1 + symmetry.order // 64] if enumerable else symmetry.canonical(theta[None])
    values = values_of(landscape, np.concatenate([theta[None], images]))
    worst = np.abs(values - values[0]).max()
    if not worst <= 1e-9 * (1 + np.abs(values[0])):
        raise InputError(
            f"{landscape.name} changes by {worst:.2g} under the symmetry: pass one that it has, or NoSymmetry()"
        )


def _check_degenerate(landscape: Landscape, rest: Quenched) -> None:
    if rest.zero_modes.any():
        worst = int(rest.zero_modes.argmax())
        raise InputError(
            f"{landscape.name} has a degenerate minimum (V = {rest.losses[worst]:.6g}) with {rest.zero_modes[worst]} "
            f"zero modes of {landscape.dimension}, so Laplace's weight is infinite: add weight decay, leave the flat "
            "direction out, or use orbit_laplace_weight for a compact isometric symmetry"
        )
