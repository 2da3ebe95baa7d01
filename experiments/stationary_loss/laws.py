"""What theory says of the mean excess loss: direction by direction with momentum, the SDE on regression, the bias of
the SDE's own integrator."""

import math
from collections.abc import Callable

import numpy as np
from scipy import linalg

from sdesgd.errors import InputError
from sdesgd.stationary import ou_covariance, transient_loss_of_spectrum

# The largest relative error that the integrator of the SDE may make in the stationary loss, where C is constant and
# where it isn't; below the error bars. What is left is known, and taken into account.
INTEGRATOR_BIAS, INTEGRATOR_BIAS_REGRESSION = 0.005, 0.01
_MOST_SUBSTEPS = 64
_MOST_ITERATIONS = 1000


def loss_along(
    values: np.ndarray,
    noise: np.ndarray,
    learning_rate: float,
    batch_size: int,
    momentum: float,
    steps: np.ndarray,
    law: str,
) -> np.ndarray:
    """E(L) − L* after k steps from rest at the minimum, (len(steps),): ½ Σ λ_i q_i(k), q_i = E θ_i² in the basis of H.

    m = 0: ``transient_loss``. m > 0: the three moments (E θ², E θv, E v²) of each direction,
    "discrete"  θ′ = θ + v′, v′ = mv − ηλθ − ηξ, Var ξ = C_ii/S
    "ou"        dθ = p dt, dp = −γp dt − λθ dt + η^{1/4} S^{−1/2} √C_ii dW, γ = (1−m)/√η, √η of time a step

    Assumptions: L quadratic, C constant.

    Args:
        values, noise: (λ_i, C_ii), (D,). learning_rate: η. batch_size: S. momentum: m.
        steps: k, ascending multiples of the first.
        law: "discrete" or "ou".

    Source: claims ``transient-loss``, ``expected-loss-discrete``, ``momentum-sde``.
    """
    if momentum == 0:
        times = learning_rate * np.asarray(steps, float)
        return np.asarray(transient_loss_of_spectrum(values, noise, learning_rate, batch_size, times, law))
    moments = _moments_with_momentum(values, noise, learning_rate, batch_size, momentum, law)
    every = int(steps[0])
    stride, state, found = np.linalg.matrix_power(moments, every), np.zeros((len(values), 4)), []
    state[:, 3] = 1
    for _ in range(int(steps[-1]) // every):
        state = np.einsum("dij,dj->di", stride, state)
        found.append(0.5 * float(values @ state[:, 0]))
    return np.asarray(found)[np.asarray(steps) // every - 1]


def _moments_with_momentum(values, noise, learning_rate, batch_size, momentum, law: str) -> np.ndarray:
    """(D, 4, 4): (q, r, w, 1) → the same after one SGD step of time."""
    matrix = np.zeros((len(values), 4, 4))
    m = momentum
    if law == "discrete":
        x, kick = learning_rate * values, learning_rate**2 * noise / batch_size
        velocity = np.stack([x**2, -2 * m * x, np.full_like(x, m**2), kick], axis=-1)  # E v′²
        cross = np.stack([-x, np.full_like(x, m), np.zeros_like(x), np.zeros_like(x)], axis=-1)  # E θ(v′ + noise)
        matrix[:, 0] = 2 * cross + velocity
        matrix[:, 0, 0] += 1
        matrix[:, 1], matrix[:, 2] = cross + velocity, velocity
        matrix[:, 3, 3] = 1
        return matrix
    root = math.sqrt(learning_rate)
    friction = (1 - m) / root
    matrix[:, 0, 1] = 2
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2] = -values, -friction, 1
    matrix[:, 2, 1], matrix[:, 2, 2], matrix[:, 2, 3] = -2 * values, -2 * friction, root * noise / batch_size
    return linalg.expm(root * matrix)


# -- the SDE's integrator ----------------------------------------------------------------------------------


def integrator_bias(
    values: np.ndarray, noise: np.ndarray, learning_rate: float, momentum: float, substeps: int
) -> float:
    """The relative error of the stationary loss that ``sg.SDE``'s default solver makes at h = η/n, for constant C.

    m = 0, ``SmallNoiseRK3``, z = hλ: X′ = PX + √(h η C_ii/S) b ξ with P = 1 − z + z²/2 − z³/6 and
    b = 1 − z/2 + αz²/3, so the variance is 2z b²/(1 − P²) times the right one.
    m > 0, ``SemiImplicitHeavyBall``, h = √η/n: the fixed point of the moments of (θ, p), see ``_heavy_ball_ratio``.

    Args:
        values, noise: (λ_i, C_ii): the mean is over directions, weighted by C_ii.
        learning_rate: η. momentum: m. substeps: n.

    Returns:
        Infinity where the solver is unstable.
    """
    values = np.maximum(values, 1e-9 * values[-1])
    if momentum == 0:
        P, b = _growth_and_kick(learning_rate / substeps * values)
        if (np.abs(P) >= 1).any():
            return math.inf
        ratio = 2 * learning_rate / substeps * values * b**2 / (1 - P**2)
    else:
        ratio = _heavy_ball_ratio(values, learning_rate, momentum, substeps)
        if not np.isfinite(ratio).all():
            return math.inf
    return float(noise @ ratio / noise.sum() - 1)


def substeps_needed(bias: Callable[[int], float], tolerance: float, least: int = 1) -> int:
    """The fewest solver steps a SGD step, ``least`` times a power of two, that keep |bias(n)| within the tolerance."""
    n = least
    while n < _MOST_SUBSTEPS and abs(bias(n)) > tolerance:
        n *= 2
    return n


def _growth_and_kick(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, b) of ``SmallNoiseRK3`` on a linear drift."""
    return 1 - z + z**2 / 2 - z**3 / 6, 1 - z / 2 + (24 - math.sqrt(96)) / 40 * z**2 / 3


def _heavy_ball_ratio(values: np.ndarray, learning_rate: float, momentum: float, substeps: int) -> np.ndarray:
    """E θ² of the solver ÷ that of dθ = p dt, dp = −γp dt − λθ dt + s dW, s²/(2γλ), in each direction.

    θ½ = θ + hp/2, p′ = e^{−x}p − φ₁hλθ½ + φ s ΔW, θ′ = θ½ + hp′/2, x = γh; NaN where it is unstable.
    """
    h, x = math.sqrt(learning_rate) / substeps, (1 - momentum) / substeps
    first, second = -math.expm1(-x) / x, -math.expm1(-2 * x) / (2 * x)  # φ₁, φ²
    step = np.empty((len(values), 2, 2))
    step[:, 1, 0] = -first * h * values
    step[:, 1, 1] = math.exp(-x) + h / 2 * step[:, 1, 0]
    step[:, 0] = np.array([1, h / 2]) + h / 2 * step[:, 1]
    kick = second * h * np.outer([h / 2, 1], [h / 2, 1])
    operator = np.eye(4) - np.einsum("dij,dkl->dikjl", step, step).reshape(-1, 4, 4)
    square = np.linalg.solve(operator, np.broadcast_to(kick.reshape(4, 1), (len(values), 4, 1)))[:, 0, 0]
    stable = np.abs(np.linalg.eigvals(step)).max(axis=1) < 1
    return np.where(stable, square * 2 * x / h * values, np.nan)


# -- the SDE on linear regression --------------------------------------------------------------------------


def sde_regression_loss(
    inputs: np.ndarray,
    hessian: np.ndarray,
    covariance: np.ndarray,
    learning_rate: float,
    batch_size: int,
    momentum: float,
) -> float:
    """The stationary ½ Tr(HΓ) of the SDE on linear regression, whose noise grows with the distance δ from θ*.

    Γ is the Ornstein–Uhlenbeck covariance for the mean noise E C(θ) = C₀ + K(Γ) − HΓH, K(Γ) = (1/N) Σ x xᵀ Γ x xᵀ: a
    fixed point, reached by iteration from Γ = 0. For m = 0 the loss is (η/4S) E Tr C(θ).

    Args:
        inputs: x, (N, D). hessian: H = XᵀX/N. covariance: C₀, at the minimum.
        learning_rate: η. batch_size: S. momentum: m.

    Raises:
        InputError: the noise grows faster than it is damped.
    """

    def law(noise: np.ndarray) -> np.ndarray:
        return ou_covariance(hessian, noise, learning_rate, batch_size, momentum)

    return _fixed_point(inputs, hessian, covariance, law, np.eye(len(hessian)), learning_rate)


def integrated_regression_loss(
    inputs: np.ndarray,
    hessian: np.ndarray,
    covariance: np.ndarray,
    learning_rate: float,
    batch_size: int,
    substeps: int,
) -> float:
    """The same for ``SmallNoiseRK3`` at h = η/n and m = 0: the law of the recursion that is run.

    X′ = PX + b n with the matrices P, b of hH (see ``integrator_bias``) and n ~ N(0, (hη/S) C(MX)), M = I − hH/2: the
    noise is that of the point half a step on, without the noise picked up on the way.

    Args:
        substeps: n; others as for ``sde_regression_loss``.

    Raises:
        InputError: as there.
    """
    values, axes = linalg.eigh(hessian)
    step = learning_rate / substeps
    growth, kick = (axes * factor @ axes.T for factor in _growth_and_kick(step * values))
    midpoint = np.eye(len(hessian)) - step / 2 * hessian

    def law(noise: np.ndarray) -> np.ndarray:
        return linalg.solve_discrete_lyapunov(growth, step * learning_rate / batch_size * kick @ noise @ kick)

    return _fixed_point(inputs, hessian, covariance, law, midpoint, learning_rate)


def _fixed_point(inputs, hessian, covariance, law: Callable, seen: np.ndarray, learning_rate: float) -> float:
    """½ Tr(HΓ) for Γ = law(C₀ + K(G) − HGH), G = seen Γ seenᵀ."""
    gamma, loss, largest = np.zeros_like(hessian), 0.0, math.inf
    for _ in range(_MOST_ITERATIONS):
        point = seen @ gamma @ seen.T
        lengths = np.einsum("ni,ij,nj->n", inputs, point, inputs)
        noise = covariance + (inputs.T * lengths) @ inputs / len(inputs) - hessian @ point @ hessian
        gamma = law((noise + noise.T) / 2)
        previous, loss = loss, float(np.trace(hessian @ gamma)) / 2
        if abs(loss - previous) < 1e-12 * loss:
            return loss
        largest = min(largest, 1e6 * loss)  # a million times the first: it grows without bound
        if loss > largest:
            break
    raise InputError(f"learning_rate {learning_rate}: the SDE's second moments diverge; pass a smaller one")
