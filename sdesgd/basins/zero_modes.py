"""Minima that form an orbit of a continuous symmetry: their Gibbs weight by the orbit's volume.

One parameter, φ ∈ [0, 2π): rotations of two weights into each other, of a ring's angle. The group must be compact and
act by isometries; ReLU rescaling does neither, see ``symmetry.relu_symmetry``.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sdesgd import freshness, inputs
from sdesgd.basins import gradient_flow
from sdesgd.basins.minima import check_temperature
from sdesgd.basins.quenching import check_points, in_float64, values_of
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape
from sdesgd.types import RealScalarLike

Action = Callable[[Float[Array, ""], Float[Array, " D"]], Float[Array, " D"]]

# How many times an orbit may be run through as φ goes round once.
_MOST_TURNS = 64
# Places where the action is tried: they share no multiple.
_ANGLES = (0.3, 1.0, 2.2, 3.9, 5.3)


def orbit_volume(action: Action, theta: Any) -> float:
    """Length of the orbit {action(φ, θ)}, each of its points counted once: ∫₀^{2π} |∂_φ action(φ, θ)| dφ / m.

    m is how often the orbit is run through: the order of the stabiliser {φ : action(φ, θ) = θ}, up to 64.

    Assumptions: a one-parameter group of isometries, so the speed is the same all along; checked at a few φ.

    Args:
        action: φ, θ (D,) ↦ (D,), in JAX, smooth, of period 2π in φ. The same program again compiles nothing.
        theta: θ (D,), float64.

    Returns:
        The length, in units of θ.

    Raises:
        InputError: action(0, θ) or action(2π, θ) isn't θ; it isn't a group or not isometric; it leaves θ where it is;
            JAX can't trace it, or it isn't finite.
    """
    theta = inputs.as_float64(theta, "theta", "one point, (D,)")
    if theta.ndim != 1 or not theta.size or not np.isfinite(theta).all():
        raise InputError(f"theta has shape {theta.shape}: pass one point, (D,), of finite numbers")
    if not jax.config.read("jax_enable_x64"):
        raise InputError(
            "JAX computes in float32 here, too coarse for an orbit: call within `with jax.enable_x64(True):`"
        )
    action = _fresh_action(action, theta)
    scale = 1 + float(np.linalg.norm(theta))
    turns = np.arange(1, _MOST_TURNS + 1)
    returns = np.asarray(_images(action, 2 * math.pi / jnp.asarray(turns, float), jnp.asarray(theta)))
    gaps = np.linalg.norm(returns - theta, axis=1)
    if not gaps[0] <= 1e-9 * scale:
        raise InputError(
            f"action(2π, θ) is {gaps[0]:.2g} away from θ, so the orbit isn't closed: scale φ to a period of 2π; a "
            "group that isn't compact gives no weight"
        )
    _check_isometric_group(action, theta, scale)
    speeds = np.asarray(_speeds(action, jnp.asarray([0.0, *_ANGLES]), jnp.asarray(theta)))
    if not speeds[0] > 1e-9 * scale:
        raise InputError(
            "the action leaves θ where it is, so there is no orbit: use Laplace's weight of a single minimum"
        )
    stabiliser = int(turns[gaps <= 1e-9 * scale].max())
    return float(2 * math.pi * speeds.mean() / stabiliser)


def orbit_laplace_weight(landscape: Landscape, theta: Any, action: Action, temperature: RealScalarLike) -> float:
    """∫ e^{−V/T} near an orbit of minima: Vol (2πT)^{(D−1)/2} e^{−L/T}/√det′H.

    det′H is the product of the D − 1 eigenvalues that aren't zero. ``Minima.log_weights`` has the logarithm of the same
    integral near an isolated minimum, so the two can be compared.

    Assumptions: T small against the barriers; relative error O(T). Other symmetric copies of the orbit aren't counted.

    Args:
        landscape: V.
        theta: θ (D,), a point of the orbit, at rest (of ``quench``).
        action: as for ``orbit_volume``; V must not change along it.
        temperature: T, in units of the loss.

    Raises:
        InputError: θ is no minimum, V changes under the action, zero modes other than the orbit's own, T ≤ 0.

    Source: claim ``orbit-volume``.
    """
    check_temperature(temperature)
    landscape = in_float64(landscape)
    theta = inputs.as_float64(theta, "theta", f"({landscape.dimension},)")
    theta = check_points(landscape, theta[None])[0]
    action = _fresh_action(action, theta)
    volume = orbit_volume(action, theta)
    _check_invariant(landscape, action, theta)
    slope, hessian = (np.asarray(x) for x in _derivatives(landscape.value, jnp.asarray(theta)))
    if not np.linalg.norm(slope) <= 1e-8:
        raise InputError(
            f"‖∇V‖ is {np.linalg.norm(slope):.2g} at θ, so it is no minimum: pass a point of quench(...).points"
        )
    if not np.isfinite(hessian).all():
        raise InputError(f"the Hessian of {landscape.name} at θ isn't finite: smooth the loss there")
    values = np.linalg.eigvalsh(hessian)
    zero = np.abs(values) <= 1e-8 * np.abs(values).max()
    if values[0] < 0 and not zero[0]:
        raise InputError(f"the Hessian has an eigenvalue {values[0]:.2g} at θ: a saddle; quench from beside it")
    if zero.sum() != 1:
        raise InputError(
            f"the Hessian has {zero.sum()} zero modes at θ, but the orbit accounts for 1: add weight decay, or leave "
            "the other flat directions out"
        )
    log_weight = (len(theta) - 1) / 2 * math.log(2 * math.pi * temperature) - np.log(values[~zero]).sum() / 2
    return float(volume * math.exp(log_weight - float(landscape.value(jnp.asarray(theta))) / temperature))


def _fresh_action(action: Action, theta: np.ndarray) -> freshness.Fresh:
    """The action as it is now."""
    if isinstance(action, freshness.Fresh):
        return action
    if not callable(action):
        raise InputError(f"action is {shown(action)}: pass a function of φ and θ, in JAX")
    angle = jax.ShapeDtypeStruct((), jnp.result_type(float))
    known, shape = freshness.traced(action, angle, jnp.asarray(theta), what="the action")
    if getattr(shape, "shape", None) != theta.shape:
        raise InputError(f"action(φ, θ) has shape {getattr(shape, 'shape', '?')}: return a point like θ, {theta.shape}")
    return known


def _check_isometric_group(action: Action, theta: np.ndarray, scale: float) -> None:
    """Jacobians are orthogonal, and angles add up, at θ and at a point beside it."""
    beside = theta + scale * np.cos(np.arange(len(theta)) + 1.0) / 2
    for point in map(jnp.asarray, (theta, beside)):
        origin = float(jnp.linalg.norm(action(jnp.asarray(0.0), point) - point))
        if not origin <= 1e-9 * scale:
            raise InputError(f"action(0, θ) is {origin:.2g} away from θ: let φ = 0 be the identity")
        jacobians, composed, direct = (np.asarray(x) for x in _group_laws(action, jnp.asarray(_ANGLES), point))
        stretch = np.abs(jacobians.transpose(0, 2, 1) @ jacobians - np.eye(len(theta))).max()
        if not stretch <= 1e-8:
            raise InputError(
                f"the action isn't isometric (JᵀJ is off by {stretch:.2g}), so Hessians differ along the orbit: it "
                "gives no weight; add weight decay, which breaks such a symmetry"
            )
        if not np.abs(composed - direct).max() <= 1e-8 * scale:
            raise InputError("action(φ, action(χ, θ)) isn't action(φ + χ, θ): pass a one-parameter group")


def _check_invariant(landscape: Landscape, action: Action, theta: np.ndarray) -> None:
    """V along the orbits of θ and of a point beside it."""
    beside = theta + 0.1 * (1 + np.linalg.norm(theta)) * np.cos(np.arange(len(theta)) + 1.0)
    for point in (theta, beside):
        images = _images(action, jnp.asarray([0.0, *_ANGLES]), jnp.asarray(point))
        values = values_of(landscape, np.asarray(images))
        change = np.abs(values - values[0]).max()
        if not change <= 1e-9 * (1 + abs(values[0])):
            raise InputError(
                f"{landscape.name} changes by {change:.2g} under the action: pass a symmetry that it has, or quench to "
                "an isolated minimum"
            )


@freshness.jit
def _images(action, angles, theta):
    return jax.vmap(action, (0, None))(angles, theta)


@freshness.jit
def _speeds(action, angles, theta):
    return jax.vmap(lambda a: jnp.linalg.norm(jax.jacfwd(action)(a, theta)))(angles)


@freshness.jit
def _group_laws(action, angles, theta):
    jacobians = jax.vmap(lambda a: jax.jacfwd(action, argnums=1)(a, theta))(angles)
    composed = jax.vmap(lambda a: action(a, action(1.0 - a, theta)))(angles)
    direct = jnp.broadcast_to(action(jnp.ones(()), theta), composed.shape)
    return jacobians, composed, direct


@freshness.jit
def _derivatives(value, theta):
    return gradient_flow.gradient_and_hessian(value, theta)
