"""The runs of real-basins: many starts at once, labels by quenching, NUTS with labels."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, PRNGKeyArray

import sdesgd as sg
from experiments.real_basins.mixing import COLLAPSED, MOST_UNKNOWN, UNKNOWN
from sdesgd.basins.minima import Minima
from sdesgd.basins.symmetry import UnitSymmetry
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, flat
from sdesgd.stationary.gibbs import GibbsSample, sample_gibbs

# A frame so near a fixed set of the symmetry, where weights are of order 1.
_COLLAPSED = 1e-6
_CHAINS = 4


# -- starts ------------------------------------------------------------------------------------------------


def frames(
    dynamics: AbstractDynamics,
    problem: sg.Problem,
    starts: Float[np.ndarray, "R D"],
    *,
    num_steps: int,
    save_every: int,
    key: PRNGKeyArray,
    progress: str,
) -> Float[np.ndarray, "R F D"]:
    """Flat parameters of each replica, saved along the way; the start isn't among them; NaN after divergence.

    Raises:
        KeyboardInterrupt: the run was cut short.
    """
    _, unravel = ravel_pytree(problem.moving())
    run = sg.simulate(
        dynamics,
        problem,
        num_steps=num_steps,
        save_every=save_every,
        replicas=len(starts),
        key=key,
        observables={"theta": flat},
        starts=eqx.combine(jax.vmap(unravel)(jnp.asarray(starts)), problem.params),
        progress=progress,
    )
    if run.interrupted:
        raise KeyboardInterrupt
    return np.asarray(run.values["theta"][:, 1:])


def labels_of(minima: Minima, points: Float[np.ndarray, "R F D"]) -> Int[np.ndarray, "R F"]:
    """The basin of each frame by quenching, modulo the symmetry.

    −1: diverged, or a minimum that isn't among these. −2: collapsed. Where a unit is dead, or two are equal, the
    gradients of all examples lie within that set, so neither drift nor noise leads out: SGD can be drawn to it
    exponentially fast (stochastic collapse; Chen, Kunin, Yamamura & Ganguli 2023), and in L it is a saddle.
    """
    rows = points.reshape(-1, points.shape[-1])
    found, alive = np.full(len(rows), UNKNOWN), np.isfinite(rows).all(axis=1)
    if alive.any():
        found[alive] = minima.assign(rows[alive])
    # A minimum may lie in such a set itself; then a frame beside it is no loss.
    within = np.append(from_fixed_set(minima, minima.points) < _COLLAPSED, False)  # the last for UNKNOWN
    found[(from_fixed_set(minima, rows) < _COLLAPSED) & ~within[found]] = COLLAPSED
    return found.reshape(points.shape[:-1])


def from_fixed_set(minima: Minima, rows: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " K"]:
    """The distance of each point to the nearest set where a unit is zero, or is another one or its mirror image."""
    symmetry = minima.symmetry
    assert isinstance(symmetry, UnitSymmetry)
    units = rows[:, symmetry.units]
    nearest = np.linalg.norm(units, axis=2).min(axis=1)
    for i, j in itertools.combinations(range(units.shape[1]), 2):
        for sign in (1, -1):
            apart = np.linalg.norm(units[:, i] - sign * units[:, j], axis=1) / math.sqrt(2)
            nearest = np.minimum(nearest, apart)
    return nearest


# -- NUTS ----------------------------------------------------------------------------------------------------


def gibbs_shares(
    landscape: Landscape,
    minima: Minima,
    temperature: float,
    *,
    barrier: float,
    samples: int,
    labelled: int,
    key: PRNGKeyArray,
) -> xr.Dataset:
    """Probabilities of the classes of basins under exp(−L/T): NUTS, with every few draws quenched.

    R-hat and ESS are those of L and of the indicators, which the symmetry leaves alone. Chains needn't visit the copies
    of a minimum, so coordinates need not mix.

    Args:
        barrier: that a chain must climb between classes. samples: draws of each of four chains. labelled: of them.
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    M = len(minima)
    starts = minima.points[np.arange(_CHAINS) % M]
    blank = {"probabilities": ("basin", np.full(M, np.nan)), "standard_errors": ("basin", np.full(M, np.nan))}
    try:
        sample = sample_gibbs(landscape, temperature, starts, barrier=barrier, samples=samples, key=key)
        thin = max(1, samples // labelled)
        points = sample.points[:, thin - 1 :: thin]
        label = labels_of(minima, points)
        losses = np.asarray(jax.lax.map(landscape.value, jnp.asarray(sample.points.reshape(-1, points.shape[-1]))))
        invariant = [losses.reshape(sample.points.shape[:2])]
        indicators = [(label == k).astype(float) for k in range(M)]
        varying = [x for x in indicators if x.any() and not x.all()]
        r_hat = [float(split_gelman_rubin(x)) for x in invariant + varying]
        ess = [float(effective_sample_size(x)) for x in invariant + varying]
        checked = GibbsSample(points, np.array(r_hat), np.array(ess), sample.divergences)
        checked.check()
        if (label < 0).mean() > MOST_UNKNOWN:
            raise InputError(f"{100 * (label < 0).mean():.2g} % of the draws are at minima that weren't found")
        found = np.array([checked.probability(label == k) for k in range(M)])
    except InputError as refusal:
        return xr.Dataset(blank, attrs={"refused": str(refusal)})
    values = {"probabilities": ("basin", found[:, 0]), "standard_errors": ("basin", found[:, 1])}
    return xr.Dataset(values, attrs={"refused": "", "r_hat": max(r_hat), "ess": min(ess)})
