"""The sources of an occupancy, one function each: simulations, exact laws, quadrature, NUTS, Laplace."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.sparse import linalg

import sdesgd as sg
from experiments.basin_occupancy_setting import Setting, modulated_variance, theory
from sdesgd.basins.occupancy import measure_occupancy
from sdesgd.errors import InputError
from sdesgd.stationary.density import GridDensity, gibbs_density, ito_density
from sdesgd.stationary.gibbs import sample_gibbs
from sdesgd.stationary.transfer import TransferOperator, transfer_operator

# Grid spacings to a step's standard deviation, wanted and at least: the error of a gap is about 3/r⁴ of it.
_RESOLUTION = {1: (5.0, 3.0), 2: (4.0, 2.0)}
# Entries of the matrix: half a gigabyte while it is built.
_MOST_ENTRIES = 6_000_000
# Points inside a cell of the grid, along each axis, that are asked for their basin.
_INNER = {1: 32, 2: 5}
_NUTS_CHAINS = 4


# -- simulations ---------------------------------------------------------------------------------------------


def dynamics_of(setting: Setting, arm: str, learning_rate: float | None = None) -> Any:
    """ "SGD", "Gaussian SGD" or "SDE" at the setting's η and S."""
    eta, S = setting.learning_rate if learning_rate is None else learning_rate, setting.config.batch_size
    if arm == "SDE":
        return sg.SDE(eta, S)
    return {"SGD": sg.SGD, "Gaussian SGD": sg.GaussianSGD}[arm](eta, S)


def simulated(setting: Setting, arm: str, temperature: float, key: PRNGKeyArray) -> xr.Dataset:
    """Time shares of the basins in runs of a dynamics, with standard errors from crossings; or why there are none."""
    M = len(setting.minima)
    nothing = np.full(M, np.nan), np.full(M, np.nan), np.zeros((M, M), int)
    try:
        burn_in, steps = setting.plan(temperature)
        found = measure_occupancy(
            dynamics_of(setting, arm),
            setting.problem(temperature),
            setting.wells,
            starts=setting.minima.points,
            num_steps=steps,
            burn_in=burn_in,
            replicas=setting.config.replicas,
            key=key,
            rates=setting.rates(temperature),
            least_crossings=setting.config.least_crossings,
            progress=f"{arm}, T = {temperature:g}",
        )
    except InputError as refusal:
        if "was interrupted" in str(refusal):
            raise KeyboardInterrupt from None
        return _occupancy(*nothing, refused=str(refusal))
    attributes = {"steps": found.steps, "burn_in": burn_in, "replicas": found.replicas}
    return _occupancy(found.probabilities, found.standard_errors, found.crossings, **attributes)


def _occupancy(probabilities: Any, standard_errors: Any, crossings: Any, **attributes: Any) -> xr.Dataset:
    values = {
        "probabilities": ("basin", np.asarray(probabilities, float)),
        "standard_errors": ("basin", np.asarray(standard_errors, float)),
        "crossings": (("origin", "target"), np.asarray(crossings)),
    }
    return xr.Dataset(values, attrs=attributes)


def nuts(setting: Setting, temperature: float, key: PRNGKeyArray) -> xr.Dataset:
    """The Gibbs law sampled by NUTS, a chain from each well in turn; refused beyond barriers of 4T."""
    M = len(setting.minima)
    starts = setting.minima.points[np.arange(_NUTS_CHAINS) % M]
    try:
        sample = sample_gibbs(
            setting.potential,
            temperature,
            starts,
            barrier=setting.barrier,
            samples=setting.config.nuts_samples,
            key=key,
        )
        sample.check()
    except InputError as refusal:
        return _occupancy(np.full(M, np.nan), np.full(M, np.nan), np.zeros((M, M), int), refused=str(refusal))
    chains, n, D = sample.points.shape
    labels = setting.wells.labels(sample.points.reshape(-1, D)).reshape(chains, n)
    found = [sample.probability(labels == k) for k in range(M)]
    attributes = {"r_hat": float(np.max(sample.r_hat)), "ess": float(np.min(sample.ess))}
    probabilities, errors = np.transpose(found)
    return _occupancy(probabilities, errors, np.zeros((M, M), int), **attributes)


# -- exact laws ----------------------------------------------------------------------------------------------


class ExactLaw(NamedTuple):
    """The stationary law of a dynamics itself on a grid.

    occupancy: (M,). points: (G, D). density: (G,), per unit volume.
    """

    occupancy: Float[np.ndarray, " M"]
    points: Float[np.ndarray, "G D"]
    density: Float[np.ndarray, " G"]


def exact(
    setting: Setting, arm: str, temperature: float, learning_rate: float | None = None, resolution: float = 1.0
) -> ExactLaw:
    """The stationary law of SGD or of Gaussian SGD at finite η by the transfer operator: no Monte Carlo.

    Args:
        resolution: grid spacings against the default number of them.
    """
    eta = setting.learning_rate if learning_rate is None else learning_rate
    problem = setting.problem(temperature, eta)
    box = np.array([(axis[0], axis[-1]) for axis in reference(setting, temperature).axes])
    for _ in range(6):
        shape = _shape(setting, arm, problem, box, math.sqrt(2 * temperature * eta), resolution)
        operator = transfer_operator(problem, dynamics_of(setting, arm, eta), [tuple(side) for side in box], shape)
        law = _stationary(setting, operator, temperature)
        if law is not None:
            break
        box += 0.15 * (box[:, 1:] - box[:, :1]) * np.array([-1, 1])
    else:
        raise InputError(f"SGD at T = {temperature:g}, η = {eta:g} leaves any box: it has no stationary law; lower η")
    cell = (box[:, 1] - box[:, 0]) / (np.array(shape) - 1)
    return ExactLaw(law @ _membership(setting, operator.points, cell), operator.points, law / cell.prod())


def _shape(
    setting: Setting, arm: str, problem: sg.Problem, box: np.ndarray, step: float, resolution: float
) -> tuple[int, ...]:
    """Points along each axis: as fine as a step's noise asks for, or as the memory allows."""
    D, S = setting.potential.dimension, setting.config.batch_size
    kinds = len(np.unique(np.asarray(problem.data), axis=0))
    batches = 16 if arm == "Gaussian SGD" else math.comb(kinds + S - 1, S)
    wanted, least = _RESOLUTION[D]
    sides = (box[:, 1] - box[:, 0]) / step
    allowed = (_MOST_ENTRIES / (batches * 4**D) / sides.prod()) ** (1 / D)
    if allowed < least:
        raise InputError(
            f"the law of {arm} takes a grid of {(least * sides).max():.0f} points an axis with {batches} batches: more "
            f"than the memory set aside; raise η or lower S"
        )
    return tuple(int(n) for n in np.ceil(min(wanted, allowed) * resolution * sides) + 1)


def _stationary(setting: Setting, operator: TransferOperator, temperature: float) -> Float[np.ndarray, " G"] | None:
    """π K = π, or None if the box is too small: in one dimension by elimination; in two by Arnoldi from the Gibbs law,
    some tens of times faster."""
    if setting.potential.dimension == 1:
        try:
            return operator.stationary()
        except InputError:  # its one refusal: mass leaves the box
            return None
    start = np.exp(-np.asarray(_values(setting.potential.value, jnp.asarray(operator.points))) / temperature)
    transposed = operator.matrix.T.tocsr()
    found: Any = linalg.eigs(transposed, k=1, which="LM", v0=start / start.sum(), ncv=40, tol=1e-10)  # type: ignore[arg-type]
    values, vectors = found
    law = np.real(vectors[:, 0])
    law = law / law.sum()
    residual = float(np.abs(transposed @ law - law).sum())
    if abs(values[0] - 1) > 1e-7 or residual > 1e-7:
        raise InputError(f"the transfer operator at T = {temperature:g} has no clear stationary law: lower η")
    return law if law @ operator.outside < 1e-6 else None


def _values(value: Any, points: Float[Array, "G D"]) -> Float[Array, " G"]:
    return jax.jit(jax.vmap(value))(points)


def _membership(setting: Setting, points: Float[np.ndarray, "G D"], cell: np.ndarray) -> Float[np.ndarray, "G M"]:
    """The share of each grid cell that each basin has: a cell on an edge counts for both."""
    D, n = points.shape[1], _INNER[points.shape[1]]
    offsets = (np.arange(n) + 0.5) / n - 0.5
    found = np.zeros((len(points), len(setting.minima)))
    for offset in np.stack(np.meshgrid(*[offsets] * D, indexing="ij"), axis=-1).reshape(-1, D):
        labels = setting.wells.labels(points + offset * cell)
        found[np.arange(len(points)), labels] += 1
    return found / n**D


# -- the law of the SDE, and theory --------------------------------------------------------------------------


def reference(setting: Setting, temperature: float) -> GridDensity:
    """The stationary law of the SDE by quadrature: Gibbs, or with C(θ) the Itô density."""
    gibbs = gibbs_density(setting.potential, temperature)
    if setting.constant:
        return gibbs
    low, high = float(gibbs.axes[0][0]), float(gibbs.axes[0][-1])
    middle, half = (low + high) / 2, 0.75 * (high - low)
    problem = setting.problem(temperature)
    S = setting.config.batch_size
    return ito_density(problem, setting.learning_rate, S, (middle - half, middle + half), points=20_001)


def quadrature(setting: Setting, density: GridDensity) -> Float[np.ndarray, " M"]:
    """The occupancies of a density on a fine grid; on a line with the cells at the ridges shared out."""
    if setting.potential.dimension == 2:
        return density.by_label(setting.wells.labels(density.points), len(setting.minima))
    cell = np.array([density.axes[0][1] - density.axes[0][0]])
    return density.masses @ _membership(setting, density.points, cell)


def laplace(setting: Setting, temperature: float) -> Float[np.ndarray, " M"]:
    """Occupancies from the derived odds of each basin and the deepest; with C(θ) those of the Itô equation."""
    minima, eta, S = setting.minima, setting.learning_rate, setting.config.batch_size
    determinants = minima.spectra.prod(axis=1)
    if setting.constant:
        losses = minima.losses
        odds = [
            theory("two-basins")(temperature, L, losses[0], d, determinants[0])
            for L, d in zip(losses, determinants, strict=True)
        ]
    else:
        variance, deepest = setting.variance(temperature), float(minima.points[0, 0])
        noise = [modulated_variance(variance, float(x)) for x in minima.points[:, 0]]
        odds = [
            theory("state-dependent-noise-occupancy")(
                eta, S, lam, determinants[0], c, noise[0], setting.climb(deepest, float(x), variance)
            )
            for x, lam, c in zip(minima.points[:, 0], determinants, noise, strict=True)
        ]
    return np.array(odds) / np.sum(odds)


def contractions(setting: Setting) -> Float[np.ndarray, "M 3"]:
    """α, β, κ of the third and fourth derivatives of V at each minimum, as in claim ``laplace-correction-matrix``."""
    hessian = setting.potential.hessian
    derivatives = jax.jit(lambda x: (jax.jacfwd(hessian)(x), jax.jacfwd(jax.jacfwd(hessian))(x)))
    found = []
    for point in jnp.asarray(setting.minima.points):
        third, fourth = derivatives(point)
        P = np.linalg.inv(hessian(point))
        alpha = np.einsum("ijk,lmn,ij,kl,mn", third, third, P, P, P)
        beta = np.einsum("ijk,lmn,il,jm,kn", third, third, P, P, P)
        found.append([alpha, beta, np.einsum("ijkl,ij,kl", fourth, P, P)])
    return np.array(found)


def corrected_laplace(
    setting: Setting, temperature: float, derivatives: Float[np.ndarray, "M 3"]
) -> Float[np.ndarray, " M"]:
    """Laplace's weights times 1 + T(α/8 + β/12 − κ/8), the next order in T; constant noise alone.

    Args:
        derivatives: of ``contractions``.
    """
    factors = theory("laplace-correction-matrix")(temperature, *derivatives.T)
    weights = laplace(setting, temperature) * factors
    return weights / weights.sum()
