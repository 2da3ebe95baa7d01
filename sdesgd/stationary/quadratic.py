"""Stationary laws near a minimum: of the Ornstein-Uhlenbeck limit, and of SGD itself at finite η."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import linalg

from sdesgd import inputs
from sdesgd.errors import InputError
from sdesgd.types import RealScalarLike

Matrix = Float[np.ndarray, "D D"]


def ou_covariance(H: Any, C: Any, learning_rate: float, batch_size: int, momentum: float = 0.0) -> Matrix:
    """Γ, the stationary covariance of the SDE on a quadratic with constant C: HΓ + ΓH = (η/S) C.

    With momentum that of dθ = p dt, dp = −γp dt − Hθ dt + η^{1/4} S^{−1/2} C^{1/2} dW, γ = (1−m)/√η. Where H and C
    commute it is Γ/(1−m); otherwise it is not.

    Assumptions: L = ½ θᵀHθ, C does not depend on θ. ``discrete_covariance`` is the law of SGD itself, larger by a
    factor of about 1/(1 − ηλ/2) along an eigenvalue λ.

    Args:
        H: (D, D), symmetric, positive definite; in units of loss by squared parameter.
        C: (D, D), symmetric, positive semi-definite: the gradient covariance, times f if drawn without replacement.
        learning_rate: η. batch_size: S. momentum: m.

    Returns:
        (D, D), the covariance of θ about the minimum.

    Raises:
        InputError: a matrix of the wrong kind, a rate or a batch that isn't positive, m outside [0, 1).
    """
    H, C = _checked(H, C, learning_rate, batch_size, momentum)
    if momentum == 0:
        return linalg.solve_continuous_lyapunov(H, learning_rate / batch_size * C)
    D, delta = len(H), math.sqrt(learning_rate)
    gamma = (1 - momentum) / delta
    drift = np.block([[np.zeros((D, D)), -np.eye(D)], [H, gamma * np.eye(D)]])
    noise = np.zeros((2 * D, 2 * D))
    noise[D:, D:] = delta / batch_size * C
    return linalg.solve_continuous_lyapunov(drift, noise)[:D, :D]


def discrete_covariance(H: Any, C: Any, learning_rate: float, batch_size: int, momentum: float = 0.0) -> Matrix:
    """The exact stationary covariance of SGD on a quadratic with constant C, at any stable η, with heavy ball.

    v ← m v − η(Hθ + ξ), θ ← θ + v, Cov ξ = C/S: the fixed point Σ = AΣAᵀ + Q of the moments of (θ, v).

    Assumptions: L = ½ θᵀHθ; C does not depend on θ (tilted copies of one loss; not linear regression).

    Args:
        H, C, learning_rate, batch_size, momentum: as for ``ou_covariance``.

    Returns:
        (D, D), the covariance of θ about the minimum.

    Raises:
        InputError: as ``ou_covariance``, and ηλ_max ≥ 2(1+m), where SGD diverges.
    """
    H, C = _checked(H, C, learning_rate, batch_size, momentum)
    top = float(linalg.eigvalsh(H)[-1])
    if learning_rate * top >= 2 * (1 + momentum):
        raise InputError(
            f"η λ_max = {learning_rate * top:.4g} is not below 2(1+m) = {2 * (1 + momentum):g}, so SGD diverges: "
            f"pass a learning rate below {2 * (1 + momentum) / top:.4g}"
        )
    D = len(H)
    kick = learning_rate**2 / batch_size * C
    if momentum == 0:
        return linalg.solve_discrete_lyapunov(np.eye(D) - learning_rate * H, kick)
    step = np.block(
        [
            [np.eye(D) - learning_rate * H, momentum * np.eye(D)],
            [-learning_rate * H, momentum * np.eye(D)],
        ]
    )
    return linalg.solve_discrete_lyapunov(step, np.block([[kick, kick], [kick, kick]]))[:D, :D]


def rotation(H: Any, covariance: Any) -> Matrix:
    """½ E[θ dθᵀ − dθ θᵀ]/dt = (HΓ − ΓH)/2, the stationary rotation under a linear drift, E[dθ|θ] = −Hθ dt.

    It is −Q, with Q = (ΓH − HΓ)/2 the antisymmetric part of ΓH, and QΓ⁻¹θ the velocity of the probability. Entry
    (1, 2) is the mean of ½(θ₁ dθ₂ − θ₂ dθ₁)/dt, positive if θ turns from axis 1 towards axis 2. It is 0 exactly if C,
    and so Γ, commutes with H.

    Assumptions: L = ½ θᵀHθ about the stationary mean, no momentum. Exact for the SDE with Γ of ``ou_covariance`` and
    for SGD at finite η, dt = η a step, with ``discrete_covariance`` or ``regression_covariance``, whose drift is as
    linear.

    Args:
        H: (D, D), symmetric. covariance: Γ, (D, D), of θ about its mean.

    Returns:
        (D, D), antisymmetric, in squared parameters per unit of SDE time.

    Raises:
        InputError: matrices that aren't square, symmetric and of one size.

    Source: claim ``probability-current``.
    """
    H, G = symmetric_pair(H, covariance, "covariance")
    return (H @ G - G @ H) / 2


def temperature(gradient_variance: float, learning_rate: float, batch_size: int, momentum: float = 0.0) -> float:
    """T = ησ²/(2S(1−m)), so that the stationary density is ∝ exp(−L/T) for C = σ²I, in the limit η → 0.

    Args:
        gradient_variance: σ². learning_rate: η. batch_size: S. momentum: m.

    Raises:
        InputError: a value out of range.
    """
    check_rates(learning_rate, batch_size, momentum)
    wanted = "σ² > 0, or there is no temperature"
    inputs.check_number("gradient_variance", gradient_variance, wanted, lambda x: x > 0)
    return float(learning_rate) * float(gradient_variance) / (2 * float(batch_size) * (1 - float(momentum)))


def symmetric_pair(H: Any, other: Any, name: str) -> tuple[Matrix, Matrix]:
    """H and another matrix as float64, symmetrised.

    Raises:
        InputError: not numbers, not square and of one size, not finite, not symmetric.
    """
    H, other = as_symmetric("H", H), as_symmetric(name, other)
    if H.shape != other.shape:
        raise InputError(f"{name} has shape {other.shape} and H {H.shape}: pass H and {name} as matrices of one size")
    return H, other


def as_symmetric(name: str, matrix: Any) -> Matrix:
    """A matrix as float64, symmetrised.

    Raises:
        InputError: not numbers, not square, not finite, not symmetric.
    """
    x = inputs.as_float64(matrix, name, "a square matrix")
    if x.ndim != 2 or x.shape[0] != x.shape[1] or not x.size:
        raise InputError(f"{name} has shape {x.shape}: pass a square matrix")
    if not np.isfinite(x).all():
        raise InputError(f"{name} has values that are NaN or infinite: remove them")
    if np.abs(x - x.T).max() > 1e-6 * np.abs(x).max():
        raise InputError(f"{name} is not symmetric (by {np.abs(x - x.T).max():.2g}): pass ({name} + {name}ᵀ)/2")
    return (x + x.T) / 2


def check_semidefinite(C: Matrix) -> None:
    """Raises InputError if a gradient covariance has a negative eigenvalue."""
    least = float(linalg.eigvalsh(C)[0])
    if least < -1e-6 * np.abs(C).max():
        raise InputError(f"C has an eigenvalue {least:.3g} < 0: a covariance has none")


def _checked(H: Any, C: Any, learning_rate: float, batch_size: int, momentum: float) -> tuple[Matrix, Matrix]:
    check_rates(learning_rate, batch_size, momentum)
    H, C = symmetric_pair(H, C, "C")
    least = float(linalg.eigvalsh(H)[0])
    if least <= 0:
        raise InputError(
            f"H has an eigenvalue {least:.3g}, so nothing is stationary along it: add weight decay, or leave the "
            "direction out"
        )
    check_semidefinite(C)
    return H, C


def check_rates(learning_rate: RealScalarLike, batch_size: int, momentum: RealScalarLike = 0.0) -> None:
    """Raises InputError unless η > 0, S ≥ 1 and 0 ≤ m < 1."""
    inputs.check_number("learning_rate", learning_rate, "η > 0", lambda x: x > 0)
    inputs.check_number("batch_size", batch_size, "a number of at least 1", lambda x: x >= 1)
    inputs.check_number("momentum", momentum, "0 ≤ m < 1", lambda x: 0 <= x < 1)
