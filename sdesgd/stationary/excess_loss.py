"""Expected loss above a critical point, in all its forms: E(L) = ½ Tr(HΣ), and what is written in its place."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import linalg

from sdesgd import inputs
from sdesgd.errors import InputError, require_known
from sdesgd.stationary.quadratic import check_rates, check_semidefinite, symmetric_pair
from sdesgd.types import RealScalarLike


def expected_loss(
    H: Any,
    C: Any,
    learning_rate: RealScalarLike,
    batch_size: int,
    momentum: RealScalarLike = 0.0,
    law: str = "discrete",
) -> float:
    """E(L) − L_min = ½ Tr(HΣ) at stationarity: of SGD itself, or of its SDE.

    "discrete"  (η/(4S(1−m))) Tr[C (I − ηH/(2(1+m)))⁻¹], Σ = ``discrete_covariance``
    "ou"        (η/(4S(1−m))) Tr C, Σ = ``ou_covariance``: H has dropped out

    Assumptions: L is quadratic, C doesn't depend on θ. H and C need not commute.

    Args:
        H: (D, D), symmetric, positive definite.
        C: (D, D), the gradient covariance, times f if drawn without replacement.
        learning_rate: η. batch_size: S. momentum: m.
        law: "discrete" or "ou".

    Raises:
        InputError: bad matrices or rates; an H with nothing stationary; "discrete" where ηλ_max ≥ 2(1+m).

    Source: claims ``expected-loss-discrete`` (Liu, Ziyin & Ueda 2021) and ``expected-loss-ou``.
    """
    _check_law(law)
    check_rates(learning_rate, batch_size, momentum)
    eigenvalues, noise = _spectrum(H, C)
    if eigenvalues[0] <= 0:
        raise InputError(
            f"H has an eigenvalue {eigenvalues[0]:.3g}, so nothing is stationary along it: use transient_loss, add "
            "weight decay, or leave the direction out"
        )
    scale = learning_rate / (4 * batch_size * (1 - momentum))
    if law == "ou":
        return float(scale * noise.sum())
    edge = 2 * (1 + momentum)
    if learning_rate * eigenvalues[-1] >= edge:
        raise InputError(
            f"η λ_max = {learning_rate * eigenvalues[-1]:.4g} is not below 2(1+m) = {edge:g}, so SGD diverges: pass a "
            f"learning rate below {edge / eigenvalues[-1]:.4g}"
        )
    return float(scale * np.sum(noise / (1 - learning_rate * eigenvalues / edge)))


def transient_loss(
    H: Any,
    C: Any,
    learning_rate: RealScalarLike,
    batch_size: int,
    time: Any,
    law: str = "discrete",
) -> Float[np.ndarray, "*times"]:
    """E(L) − L(θ₀) after a time t = kη from a critical point θ₀ at rest, whatever the signs of H's eigenvalues.

    "ou"        (η/4S) Σ_i C_ii (1 − e^{−2λ_i t})
    "discrete"  (η/4S) Σ_i C_ii (1 − (1 − ηλ_i)^{2k}) / (1 − ηλ_i/2): SGD itself after k steps

    in the eigenbasis of H. Positive curvature saturates, a flat direction adds nothing, a negative one lowers the loss
    exponentially. "discrete" also holds beyond the edge of stability, where it grows without bound.

    Assumptions: L is quadratic, C doesn't depend on θ; no momentum. H and C need not commute.

    Args:
        H: (D, D), symmetric. C: (D, D), the gradient covariance, times f if drawn without replacement.
        learning_rate: η. batch_size: S.
        time: (…,), SDE time kη ≥ 0, a number or an array; "discrete" interpolates between whole k.
        law: "discrete" or "ou".

    Returns:
        (…,), of the shape of time.

    Raises:
        InputError: bad matrices or rates, a negative time.

    Source: claims ``transient-loss`` (Zhu et al. 2019) and, for its recursion, ``flat-direction``.
    """
    return transient_loss_of_spectrum(*_spectrum(H, C), learning_rate, batch_size, time, law)


def transient_loss_of_spectrum(
    eigenvalues: Any,
    noise: Any,
    learning_rate: RealScalarLike,
    batch_size: int,
    time: Any,
    law: str = "discrete",
) -> Float[np.ndarray, "*times"]:
    """``transient_loss`` from the eigenvalues of H and the C_ii alone, for nets too large for a D×D matrix.

    The formula is a sum over eigendirections, so nodes of a quadrature (λ_q, with Tr C's weight there as C_qq) do too.

    Args:
        eigenvalues: λ, (D,). noise: C_ii = u_iᵀ C u_i ≥ 0 along their eigenvectors, (D,).
        learning_rate, batch_size, time, law: as for ``transient_loss``.

    Raises:
        InputError: arrays of another shape or not finite, C_ii < 0, bad rates, a negative time.
    """
    _check_law(law)
    check_rates(learning_rate, batch_size)
    named = (("eigenvalues", eigenvalues), ("noise", noise), ("time", time))
    eigenvalues, noise, t = (inputs.as_float64(x, name) for name, x in named)
    if eigenvalues.ndim != 1 or noise.shape != eigenvalues.shape:
        raise InputError(f"eigenvalues have shape {eigenvalues.shape}, noise {noise.shape}: pass (D,) for both")
    if not (np.isfinite(eigenvalues).all() and np.isfinite(noise).all()):
        raise InputError("eigenvalues or noise have values that are NaN or infinite: remove them")
    if noise.min(initial=0) < -1e-6 * np.abs(noise).max(initial=0):
        raise InputError(f"noise has a value {noise.min():.3g} < 0: a variance has none")
    if not (t >= 0).all():
        raise InputError("time is negative or NaN somewhere: pass kη ≥ 0, counted from the start at the critical point")
    # What has no noise stays where it is, also on a saddle that would grow to ∞.
    eigenvalues, noise = eigenvalues[noise != 0], noise[noise != 0]
    t = t[..., None]
    scale = learning_rate / (4 * batch_size)
    with np.errstate(over="ignore"):  # a saddle left to itself for long: −∞ is the value
        if law == "ou":
            return np.asarray(scale * np.sum(noise * -np.expm1(-2 * eigenvalues * t), axis=-1))
        x, k = learning_rate * eigenvalues, t / learning_rate
        return np.asarray(2 * scale * np.sum(noise * x * _geometric_sum(x, k), axis=-1))


def trace_hessian_loss(H: Any, learning_rate: RealScalarLike, batch_size: int) -> float:
    """(η/4S) Tr H, the textbook value of the stationary excess loss: true only where Tr C = Tr H, and as η → 0.

    Args:
        H: (D, D), or Tr H as a number.
        learning_rate: η. batch_size: S.

    Raises:
        InputError: not a square matrix or a number, bad rates.

    Source: thesis (3.3); claim ``expected-loss-at-minimum``.
    """
    check_rates(learning_rate, batch_size)
    return learning_rate / (4 * batch_size) * _trace("H", H)


def trace_covariance_loss(
    C: Any, learning_rate: RealScalarLike, batch_size: int, momentum: RealScalarLike = 0.0
) -> float:
    """(η/(4S(1−m))) Tr C, the stationary excess loss of the SDE on any quadratic with constant C.

    Args:
        C: (D, D), or Tr C as a number; times f if drawn without replacement.
        learning_rate: η. batch_size: S. momentum: m.

    Raises:
        InputError: not a square matrix or a number, bad rates.

    Source: claims ``expected-loss-ou``, ``momentum-sde``.
    """
    check_rates(learning_rate, batch_size, momentum)
    return learning_rate / (4 * batch_size * (1 - momentum)) * _trace("C", C)


def _spectrum(H: Any, C: Any) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """(λ_i, C_ii) in the eigenbasis of H, λ ascending: all that ½ Tr(HΣ) depends on."""
    H, C = symmetric_pair(H, C, "C")
    check_semidefinite(C)
    eigenvalues, vectors = linalg.eigh(H)
    return eigenvalues, np.einsum("ij,ij->j", vectors, C @ vectors)


def _geometric_sum(x: Float[np.ndarray, " D"], k: Float[np.ndarray, "*times 1"]) -> Float[np.ndarray, "*times D"]:
    """(1 − (1−x)^{2k}) / (x(2−x)) = Σ_{j<k} (1−x)^{2j}, at x = 0 and x = 2 its limit k."""
    distance = np.where(x < 1, -x, x - 2)  # |1 − x| − 1, without cancellation at 0 and at 2
    log = 2 * np.log1p(np.maximum(distance, -1 + 1e-16))
    grown = np.expm1(k * log)
    denominator = -x * (2 - x)
    return np.where(denominator == 0, k, grown / np.where(denominator == 0, 1, denominator))


def _trace(name: str, matrix: Any) -> float:
    x = inputs.as_float64(matrix, name, "a square matrix, or its trace")
    if x.ndim not in (0, 2) or (x.ndim == 2 and x.shape[0] != x.shape[1]) or not np.isfinite(x).all():
        raise InputError(f"{name} of shape {x.shape}: pass a square matrix of finite numbers, or its trace as a number")
    return float(np.trace(x)) if x.ndim else float(x)


def _check_law(law: str) -> None:
    require_known("law", law, ("discrete", "ou"))
