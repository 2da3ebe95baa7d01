"""The gradient flow dθ/dt = −∇V as an initial value problem: an integrator that gets to its rest points.

An exponential Rosenbrock method of order 4 with an error estimate of order 3. Its steps are exact where V is quadratic,
at any length: near a minimum the step grows and becomes Newton's, so stiff valleys cost nothing and ‖∇V‖ falls
quadratically, while the error estimate keeps every step on the flow. diffrax has no method of this kind; its implicit
ones (Kvaerno 3 and 5) take two to four times as many steps here, and stop at the tolerance of their inner iteration.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from sdesgd import freshness

# How a point's flow stands: moving; ‖∇V‖ below the tolerance; at rest where V curves down; stopped by rounding.
MOVING, ARRIVED, SADDLE, STALLED = range(4)
# Growth of an error along an unstable direction in one step, at most e to this power.
_LARGEST_EXPONENT = 40.0
_SAFETY, _SHRINK, _GROW = 0.9, 0.1, 10.0


def phi_functions(z: Array) -> tuple[Array, Array, Array]:
    """φ₁, φ₃, φ₄ of a real z: φ₀ = e^z, φ_{k+1} = (φ_k − 1/k!)/z, by the series of φ₄ where |z| < 1."""
    small = jnp.abs(z) < 1
    w, fourth = jnp.where(small, 1.0, z), jnp.zeros_like(z)
    up = [jnp.exp(w)]
    for k in range(4):
        up.append((up[-1] - 1 / math.factorial(k)) / w)
    for j in reversed(range(15)):
        fourth = fourth * z + 1 / math.factorial(j + 4)
    third = z * fourth + 1 / 6
    first = z * (z * third + 1 / 2) + 1
    return jnp.where(small, first, up[1]), jnp.where(small, third, up[3]), jnp.where(small, fourth, up[4])


def gradient_and_hessian(value: Callable, theta: Array) -> tuple[Array, Array]:
    """∇V and ∇²V by one linearisation."""
    slope, product = jax.linearize(jax.grad(value), theta)
    return slope, jax.vmap(product)(jnp.eye(theta.size, dtype=theta.dtype))


def exponential_step(
    gradient: Callable, theta: Array, start: Array, eigenvalues: Array, vectors: Array, step: Array
) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
    """One step of exprb43, in the eigenbasis of the Hessian: the new point and the estimate of its error.

    u₂ = θ + ½h φ₁(−½hH) f,  u₃ = θ + h φ₁(−hH)(f + d₂),  d_i = (f + H·)(u_i) − (f + H·)(θ),  f = −∇V
    θ' = θ + h φ₁(−hH) f + h [16φ₃ − 48φ₄](−hH) d₂ + h [−2φ₃ + 12φ₄](−hH) d₃

    Args:
        gradient: ∇V.
        theta: θ. start: ∇V(θ). eigenvalues, vectors: of H(θ). step: h.

    Source: Hochbruck, Ostermann & Schweitzer 2009, exprb43.
    """
    (first, half), (third, _), (fourth, _) = phi_functions(-step * jnp.stack([eigenvalues, eigenvalues / 2]))
    force = -vectors.T @ start

    def rest(x):
        return vectors.T @ (start - gradient(theta + vectors @ x)) + eigenvalues * x

    linear = step * first * force
    d2 = rest(step / 2 * half * force)
    d3 = rest(linear + step * first * d2)
    error = step * fourth * (12 * d3 - 48 * d2)
    return theta + vectors @ (linear + step * third * (16 * d2 - 2 * d3) + error), vectors @ error


def _advance_one(value, theta, step, time, status, gradient_norm, tolerance, num_steps):
    gradient = jax.grad(value)

    def one(state):
        theta, step, time, status, taken = state
        slope, hessian = gradient_and_hessian(value, theta)
        eigenvalues, vectors = jnp.linalg.eigh(hessian)
        least, norm = eigenvalues[0], jnp.linalg.norm(slope)
        largest = jnp.max(jnp.abs(eigenvalues))
        curves_down = least < -1e-8 * largest
        scale = 1 + jnp.max(jnp.abs(theta))
        # The first step is a tenth of the shortest time scale; a step of 0 marks it.
        step = jnp.where(step > 0, step, 0.1 / (largest + norm / scale))
        step = jnp.where(curves_down, jnp.minimum(step, _LARGEST_EXPONENT / jnp.abs(least)), step)
        new, error = exponential_step(gradient, theta, slope, eigenvalues, vectors, step)
        ratio = jnp.max(jnp.abs(error)) / (tolerance * scale)
        ratio = jnp.where(jnp.isfinite(ratio) & jnp.all(jnp.isfinite(new)), ratio, jnp.inf)
        accepted = ratio <= 1
        # A point that doesn't move in a step so long that every direction would have had the time to.
        slowest = jnp.where(curves_down, jnp.abs(least), jnp.min(jnp.abs(eigenvalues)))
        long = (step * slowest >= 30) | (~curves_down & (step * largest >= 1e10))
        still = accepted & long & (jnp.max(jnp.abs(new - theta)) <= 4e-16 * scale)
        at_rest = norm < gradient_norm
        # Near a saddle the gradient is small, but the flow goes on; exactly on its stable manifold it doesn't.
        status = jnp.where(
            at_rest & ~curves_down, ARRIVED, jnp.where(still, jnp.where(curves_down, SADDLE, STALLED), MOVING)
        )
        accepted &= status != ARRIVED
        factor = jnp.clip(_SAFETY * ratio ** (-1 / 4), _SHRINK, _GROW)
        return jnp.where(accepted, new, theta), step * factor, time + accepted * step, status, taken + 1

    def going(state):
        return (state[3] == MOVING) & (state[4] < num_steps)

    return lax.while_loop(going, one, (theta, step, time, status, jnp.zeros((), int)))[:4]


@freshness.jit
def advance(
    value: Callable,
    points: Float[Array, "K D"],
    steps: Float[Array, " K"],
    times: Float[Array, " K"],
    status: Int[Array, " K"],
    gradient_norm: Float[Array, ""],
    tolerance: Float[Array, ""],
    num_steps: Int[Array, ""],
) -> tuple[Float[Array, "K D"], Float[Array, " K"], Float[Array, " K"], Int[Array, " K"]]:
    """Up to ``num_steps`` adaptive steps of the flow of each point: points, the next steps, times, how they stand.

    Args:
        value: V.
        points: θ. steps: the length h to try next; 0: not yet known. times: t. status: MOVING, ….
        gradient_norm: ‖∇V‖ below which a point has arrived, unless V curves down there.
        tolerance: error of one step, relative to 1 + max|θ|.
        num_steps: accepted and refused ones.
    """

    def one(theta, step, time, state):
        return _advance_one(value, theta, step, time, state, gradient_norm, tolerance, num_steps)

    return jax.vmap(one)(points, steps, times, status)


@freshness.jit
def newton_finish(
    value: Callable, points: Float[Array, "K D"]
) -> tuple[Float[Array, "K D"], Float[Array, " K"], Float[Array, " K"], Float[Array, "K D"], Int[Array, " K"]]:
    """Four Newton steps along the directions that curve up, from points that the flow has brought to rest.

    Kept only where they are tiny and the gradient falls. A curvature that vanishes with them (a quartic minimum), or
    that is below 1e-8 of the largest, is a zero mode.

    Returns:
        points; losses; ‖∇V‖; eigenvalues of the Hessian, (K, D) ascending; numbers of zero modes.
    """

    def one(start):
        def step(theta, _):
            slope, hessian = gradient_and_hessian(value, theta)
            values, vectors = jnp.linalg.eigh(hessian)
            curved = values > 1e-8 * jnp.max(jnp.abs(values))
            move = vectors @ jnp.where(curved, vectors.T @ slope / jnp.where(curved, values, 1), 0)
            return theta - move, (theta, jnp.linalg.norm(slope), values)

        _, (points, norms, spectra) = lax.scan(step, start, length=5)
        near = jnp.max(jnp.abs(points[-1] - start)) <= 1e-4 * (1 + jnp.max(jnp.abs(start)))
        kept = jnp.where(near & (norms[-1] <= norms[0]), 4, 0)
        end, spectrum = points[kept], spectra[kept]
        size = jnp.abs(spectrum)
        zero = (size <= 1e-8 * jnp.max(size)) | (jnp.abs(spectra[-1]) < jnp.abs(spectra[0]) / 2)
        return end, value(end), norms[kept], spectrum, jnp.sum(zero)

    return jax.vmap(one)(points)


@freshness.jit
def values_at(value: Callable, points: Float[Array, "K D"]) -> Float[Array, " K"]:
    """V of each point, one after another: no more memory than one needs."""
    return lax.map(value, points)


@freshness.jit
def slopes_at(value: Callable, points: Float[Array, "K D"]) -> Float[Array, " K"]:
    """‖∇V‖ of each point, one after another."""
    return lax.map(lambda theta: jnp.linalg.norm(jax.grad(value)(theta)), points)
