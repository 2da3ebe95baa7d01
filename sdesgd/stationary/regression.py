"""SGD on linear regression: its exact stationary second moments at finite η, with the C(θ) that the data gives."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from sdesgd.dynamics.protocol import check_sampling, finite_population_factor
from sdesgd.errors import InputError
from sdesgd.inputs import as_float64, check_number, check_positive_integer
from sdesgd.stationary.quadratic import check_rates
from sdesgd.stationary.regression_law import RegressionLaw
from sdesgd.types import RealScalarLike

Inputs = Float[np.ndarray, "N D"]
Pairs = Float[np.ndarray, " P"]
Matrix = Float[np.ndarray, "D D"]

# The moments are P = D(D+1)/2 linear equations, solved densely: 5050 at this D, some seconds and 0.2 GB.
_MAX_PARAMETERS = 100


def regression_covariance(
    inputs: Any,
    targets: Any,
    learning_rate: RealScalarLike,
    batch_size: int,
    *,
    weight_decay: RealScalarLike = 0.0,
    sampling: str = "replacement",
    momentum: RealScalarLike = 0.0,
) -> RegressionLaw:
    """The fixed point of SGD's second moments for ℓ_i = ½(x_i·θ − y_i)² + (w/2)|θ|², exact at any stable η.

    With δ = θ − θ*, H_i = x_i x_iᵀ + wI, e_i = ∇ℓ_i(θ*), and z = (δ, v):

        v′ = m v − η(Hδ + ξ),  δ′ = δ + v′,   Cov(ξ | δ) = (f/S) Cov_i(H_iδ + e_i)
        Z = M Z Mᵀ + (η²f/S) (C₀ + K(Σ) − HΣH) ⊗ [[1, 1], [1, 1]],   Z = E zzᵀ,  Σ = E δδᵀ

    with C₀ = (1/N) Σ e_i e_iᵀ and K(Σ) = (1/N) Σ H_i Σ H_i. The cross terms of H_iδ and e_i are linear in E δ, which is
    0 at stationarity. Weight decay is the same for all examples, so it adds nothing to the noise but through θ*.
    ``discrete_covariance`` with C₀ leaves K(Σ) − HΣH out.

    Assumptions: batches drawn afresh each step.

    Args:
        inputs: x, (N, D); add a column of ones for an intercept. targets: y, (N,).
        learning_rate: η. batch_size: S.
        weight_decay: w ≥ 0. sampling: "replacement" or "no_replacement". momentum: m, heavy ball.

    Raises:
        InputError: arrays of the wrong shape or not finite; H singular; S > N without replacement; reshuffled epochs;
            an η at which the mean or the second moments diverge (the largest stable one is named).

    Source: claim ``linear-regression-recursion`` (Ziyin, Liu, Mori & Ueda 2022), extended to momentum and f.
    """
    x, y = _checked(inputs, targets, weight_decay)
    check_rates(learning_rate, batch_size, momentum)
    check_positive_integer("batch_size", batch_size)
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's batches depend on each other")
    if sampling == "no_replacement" and batch_size > len(x):
        raise InputError(f"batch_size {batch_size} exceeds N = {len(x)} examples: choose at most {len(x)}")
    N, D = x.shape
    H = x.T @ x / N + weight_decay * np.eye(D)
    eigenvalues, axes = linalg.eigh(H)
    if eigenvalues[0] <= 1e-12 * eigenvalues[-1]:
        raise InputError(
            f"the Hessian has an eigenvalue {max(eigenvalues[0], 0):.2g} of {eigenvalues[-1]:.2g}, so nothing is "
            "stationary along it: pass weight_decay > 0, or drop dependent columns"
        )
    minimum = axes @ (axes.T @ (x.T @ y / N) / eigenvalues)
    errors = (x * (x @ minimum - y)[:, None] + weight_decay * minimum) @ axes
    scale = finite_population_factor(N, batch_size, sampling) / batch_size
    system = _system(x @ axes, eigenvalues, weight_decay, scale)
    response = _response(system, learning_rate, momentum)
    if response is None or not _is_stable(system, response):
        edge = _largest_stable_rate(system, learning_rate, momentum)
        raise InputError(
            f"learning_rate {learning_rate:.6g} lets the second moments diverge at batch_size {batch_size}, "
            f"momentum {momentum:g}: pass one below {edge:.4g}"
        )
    noise = errors.T @ errors / N
    moved = _solve(system, response, scale * response * noise[system.rows, system.columns])
    covariance = axes @ _unpacked(system, moved) @ axes.T
    excess = float(np.trace(H @ covariance)) / 2
    setting = float(learning_rate), int(batch_size), float(momentum), sampling, N
    return RegressionLaw(minimum, H, axes @ noise @ axes.T, covariance, excess, *setting)


class _System(NamedTuple):
    """The spread of curvatures (f/S)(K(Σ) − HΣH) as a matrix on the entries a ≤ b of Σ in the eigenbasis of H."""

    eigenvalues: Float[np.ndarray, " D"]
    rows: np.ndarray
    columns: np.ndarray
    spread: Float[np.ndarray, "P P"]


def _system(x: Inputs, eigenvalues: Float[np.ndarray, " D"], weight_decay: RealScalarLike, scale: float) -> _System:
    """x in the eigenbasis of H. The part wI of H_i is the same for all and drops out of K(Σ) − HΣH."""
    rows, columns = np.triu_indices(len(eigenvalues))
    fourth = np.zeros((len(rows), len(rows)))
    for part in np.array_split(x, -(-len(x) // 4096)):
        products = part[:, rows] * part[:, columns]
        fourth += products.T @ products / len(x)
    spread = fourth * np.where(rows == columns, 1, 2)  # an entry off the diagonal stands for two
    curvatures = eigenvalues - weight_decay
    spread[np.diag_indices(len(rows))] -= curvatures[rows] * curvatures[columns]
    return _System(eigenvalues, rows, columns, scale * spread)


def _response(system: _System, learning_rate: RealScalarLike, momentum: RealScalarLike) -> Pairs | None:
    """Σ_ab for a noise with Q_ab = 1, from the four moments of (δ_a, v_a) with (δ_b, v_b); None if unstable."""
    curvatures = learning_rate * system.eigenvalues
    if curvatures[-1] >= 2 * (1 + momentum):
        return None
    step = np.empty((len(curvatures), 2, 2))
    step[:, 0, 0], step[:, 1, 0], step[:, :, 1] = 1 - curvatures, -curvatures, momentum
    pairs = np.einsum("pij,pkl->pikjl", step[system.rows], step[system.columns]).reshape(-1, 4, 4)
    kicks = np.full((len(pairs), 4, 1), learning_rate**2)
    return np.linalg.solve(np.eye(4) - pairs, kicks)[:, 0, 0]


def _solve(system: _System, response: Pairs, right: Pairs) -> Pairs:
    """Σ = T(Σ) + right, where T(Σ) = response ∘ spread(Σ)."""
    return np.linalg.solve(np.eye(len(right)) - response[:, None] * system.spread, right)


def _is_stable(system: _System, response: Pairs) -> bool:
    """Whether the spectral radius of T is below 1.

    T maps covariances to covariances. For such a map it is so exactly if W = T(W) + B has a positive definite solution
    for a positive definite B; here B is the response to the noise I.
    """
    noise = np.where(system.rows == system.columns, response, 0)
    try:
        solved = _solve(system, response, noise)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(solved).all() and linalg.eigvalsh(_unpacked(system, solved))[0] > 0)


def _largest_stable_rate(system: _System, learning_rate: RealScalarLike, momentum: RealScalarLike) -> float:
    """The edge of stability below an unstable learning rate, by halving and bisection, to 3 digits."""

    def stable(rate: float) -> bool:
        response = _response(system, rate, momentum)
        return response is not None and _is_stable(system, response)

    high = min(float(learning_rate), 2 * (1 + momentum) / float(system.eigenvalues[-1]))
    low = high / 2
    while not stable(low):
        low, high = low / 2, low
    while high - low > 1e-3 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low


def _unpacked(system: _System, entries: Pairs) -> Matrix:
    D = len(system.eigenvalues)
    full = np.zeros((D, D))
    full[system.rows, system.columns] = full[system.columns, system.rows] = entries
    return full


def _checked(inputs: Any, targets: Any, weight_decay: RealScalarLike) -> tuple[Inputs, Float[np.ndarray, " N"]]:
    x, y = as_float64(inputs, "inputs", "(N, D)"), as_float64(targets, "targets", "(N,)")
    if x.ndim != 2 or y.shape != x.shape[:1] or not x.size:
        raise InputError(f"inputs have shape {x.shape}, targets {y.shape}: pass (N, D) and (N,)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("inputs or targets have values that are NaN or infinite: remove or impute them")
    if x.shape[1] > _MAX_PARAMETERS:
        raise InputError(f"{x.shape[1]} parameters: the moments are solved densely, for at most {_MAX_PARAMETERS}")
    check_number("weight_decay", weight_decay, "a finite number of at least 0", lambda w: w >= 0)
    return x, y
