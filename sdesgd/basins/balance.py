"""Is it an equilibrium? Net crossings between wells, and the rotation of a stationary walk."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sdesgd.errors import InputError
from sdesgd.inputs import as_float64, check_number
from sdesgd.types import RealScalarLike


def detailed_balance(
    crossings: Int[np.ndarray, "M M"] | Int[np.ndarray, "replicas M M"],
) -> Float[np.ndarray, "M M"]:
    """z_ab = (n_ab − n_ba)/√(n_ab + n_ba): at equilibrium as many go from a to b as come back.

    Only wells that lie on a loop can carry a current: where the pair's pass is the only way, |n_ab − n_ba| ≤ 1 in each
    replica whatever the dynamics, so two wells always pass. At equilibrium the variance of n_ab − n_ba is at most
    n_ab + n_ba, so |z| is not too large by chance. Starts that aren't stationary do leave a net flow: drop a burn-in.

    Args:
        crossings: (M, M), row a column b, counted from a to b, summed over replicas; or (replicas, M, M), for the
            replicas' own standard errors in place of √(n_ab + n_ba).

    Returns:
        (M, M), antisymmetric; NaN where nothing crossed, or where the replicas' nets are all equal and have no spread.

    Raises:
        InputError: another shape, negative counts, fewer than two replicas.
    """
    counts = as_float64(crossings, "crossings", "counts (M, M) or (replicas, M, M)")
    if counts.ndim not in (2, 3) or counts.shape[-1] != counts.shape[-2] or not (counts >= 0).all():
        raise InputError(f"crossings have shape {counts.shape}: pass counts (M, M) or (replicas, M, M), none negative")
    net = counts - np.swapaxes(counts, -1, -2)
    if counts.ndim == 2:
        error = np.sqrt(counts + counts.T)
    else:
        if len(counts) < 2:
            raise InputError("crossings of 1 replica have no spread: pass at least two, or their sum (M, M)")
        error, net = net.std(axis=0, ddof=1) * math.sqrt(len(counts)), net.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(error > 0, net / error, np.nan)


def rotation(
    theta: Any, dt: RealScalarLike, mean: Any = None
) -> tuple[Float[np.ndarray, "D D"], Float[np.ndarray, "D D"]]:
    """A = ½ E[θ dθᵀ − dθ θᵀ]/dt, antisymmetric, and its standard errors: the sense and speed of turning.

    A_12 > 0: θ turns from axis 1 towards axis 2. For a linear drift −Hθ and one step between saves it is (HΓ − ΓH)/2,
    minus the antisymmetric part of ΓH, exactly, for SGD (with its own covariance) as for the SDE's Euler steps;
    ``sdesgd.stationary.quadratic.rotation``. For the SDE saved every dt it is ½(Γe^{−Hdt} − e^{−Hdt}Γ)/dt. It vanishes
    at equilibrium.

    Assumptions: stationary, θ about its mean.

    Args:
        theta: (replicas, T, D), saved every dt. dt: SDE time between saves, η for every step.
        mean: (D,), to be subtracted; default: the mean over replicas and times.

    Returns:
        A (D, D), in squared parameters per unit of SDE time, and its standard errors (D, D) from replica to replica.

    Raises:
        InputError: another shape, fewer than two replicas or times, NaN, dt ≤ 0.
    """
    theta = as_float64(theta, "theta", "(replicas, T, D)")
    if theta.ndim != 3 or min(theta.shape[:2]) < 2:
        raise InputError(f"theta has shape {theta.shape}: pass (replicas, T, D), at least two of the first two")
    if not np.isfinite(theta).all():
        raise InputError("theta holds NaN or infinity: leave replicas that diverged out")
    check_number("dt", dt, "the SDE time between saves, positive", lambda x: x > 0)
    middle = theta.mean(axis=(0, 1)) if mean is None else as_float64(mean, "mean", f"({theta.shape[2]},)")
    if middle.shape != theta.shape[2:] or not np.isfinite(middle).all():
        raise InputError(f"mean has shape {middle.shape}: pass finite numbers ({theta.shape[2]},)")
    centred = theta - middle
    turned = np.einsum("rti,rtj->rij", centred[:, :-1], np.diff(centred, axis=1)) / (theta.shape[1] - 1) / dt
    rates = (turned - np.swapaxes(turned, 1, 2)) / 2
    return rates.mean(axis=0), rates.std(axis=0, ddof=1) / math.sqrt(len(rates))
