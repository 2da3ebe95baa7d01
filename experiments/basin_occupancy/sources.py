"""The sources of an occupancy, one function each: simulations, exact laws, quadrature, NUTS, Laplace."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, PRNGKeyArray

import sdesgd as sg
from derivations import claim
from experiments.basin_occupancy.setting import Setting, modulated_variance
from sdesgd.basins.exact_law import ExactLaw, density_occupancy, exact_occupancy
from sdesgd.basins.measured import measure_occupancy
from sdesgd.errors import InputError
from sdesgd.stationary.density import gibbs_density, ito_density
from sdesgd.stationary.gibbs import sample_gibbs
from sdesgd.stationary.grid_density import GridDensity

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


def exact(
    setting: Setting, arm: str, temperature: float, learning_rate: float | None = None, resolution: float = 1.0
) -> ExactLaw:
    """The stationary law of SGD or of Gaussian SGD at finite η by the transfer operator: no Monte Carlo.

    Args:
        resolution: grid spacings against the default number of them.
    """
    eta = setting.learning_rate if learning_rate is None else learning_rate
    box = np.array([(axis[0], axis[-1]) for axis in reference(setting, temperature).axes])
    dynamics, problem = dynamics_of(setting, arm, eta), setting.problem(temperature, eta)
    return exact_occupancy(setting.potential, problem, dynamics, setting.wells, temperature, box, resolution=resolution)


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
    """The occupancies of a density on a fine grid."""
    return density_occupancy(density, setting.wells)


def laplace(setting: Setting, temperature: float) -> Float[np.ndarray, " M"]:
    """Occupancies from the derived odds of each basin and the deepest; with C(θ) those of the Itô equation."""
    minima, eta, S = setting.minima, setting.learning_rate, setting.config.batch_size
    determinants = minima.spectra.prod(axis=1)
    if setting.constant:
        losses = minima.losses
        odds = [
            claim("two-basins").function("numpy")(temperature, L, losses[0], d, determinants[0])
            for L, d in zip(losses, determinants, strict=True)
        ]
    else:
        variance, deepest = setting.variance(temperature), float(minima.points[0, 0])
        noise = [modulated_variance(variance, float(x)) for x in minima.points[:, 0]]
        odds = [
            claim("state-dependent-noise-occupancy").function("numpy")(
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
    factors = claim("laplace-correction-matrix").function("numpy")(temperature, *derivatives.T)
    weights = laplace(setting, temperature) * factors
    return weights / weights.sum()
