"""Fused drift and diffusion of the SDEs of SGD, as diffrax terms.

The control of a term is the pair (dt, dW). ``vf_prod`` forms example weights from it and calls one weighted
gradient, so an Euler step costs one backward pass; solvers that want drift and diffusion apart ask for them.
"""

import abc
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from sdesgd.dynamics import increment_weights
from sdesgd.problem import Problem


class Increment(NamedTuple):
    """The control over an interval: its length dt and the Brownian increment dW, (num_units,)."""

    dt: Float[Array, ""]
    dW: Float[Array, " units"]


class GivenIncrement(diffrax.AbstractPath):
    """A path of which only the increment over one step is known: the step's own draw."""

    increment: Float[Array, " units"]
    t0 = 0.0
    t1 = jnp.inf

    def evaluate(self, t0, t1=None, left: bool = True) -> Float[Array, " units"]:
        """The increment, whatever the interval: the caller takes one step."""
        del t0, t1, left
        return self.increment


class AbstractFusedTerm(diffrax.AbstractTerm):
    """dy = a(y) dt + ε B(y) dW with the control (dt, dW).

    ``vf`` returns the point itself, standing for the linear map (dt, dW) ↦ a dt + ε B dW, which ``prod`` applies:
    the matrix B (D×N) is never formed.
    """

    path: eqx.AbstractVar[diffrax.AbstractPath]

    @abc.abstractmethod
    def drift(self, y: PyTree, dt: Float[Array, ""]) -> PyTree:
        """a(y) dt."""

    @abc.abstractmethod
    def diffusion(self, y: PyTree, dW: Float[Array, " units"]) -> PyTree:
        """ε B(y) dW."""

    def vf(self, t, y, args):
        del t, args
        return y

    def contr(self, t0, t1, **kwargs):
        return Increment(jnp.asarray(t1 - t0), self.path.evaluate(t0, t1, **kwargs))

    def prod(self, vf, control):
        return jax.tree.map(jnp.add, self.drift(vf, control.dt), self.diffusion(vf, control.dW))


class GradientFlowTerm(AbstractFusedTerm):
    """The SDE of SGD, dθ = b(θ) dt + √(fη/S) R(θ) dW, in the Itô sense.

    b = −g (order 1), or b = −∇(L + (η/4)|∇L|²) = −g − (η/2) H g (order 2; one Hessian-vector product).

    Args:
        problem: the finite sum.
        fixed: the leaves of params that don't move.
        scale: √(fη/S).
        correction: η/2 for order 2, None for order 1.
        path: the Brownian motion, of shape (num_units,).
        key: masks and groups, frozen for the life of the term.
    """

    problem: Problem
    fixed: PyTree
    scale: Float[Array, ""]
    correction: Float[Array, ""] | None
    path: diffrax.AbstractPath
    key: PRNGKeyArray | None

    def drift(self, y, dt):
        uniform = jnp.full(self.problem.num_units, 1 / self.problem.num_units, self.problem.dtype)
        if self.correction is None:
            return _descent(self, y, dt * uniform)
        # With F = −g: DF·F = H g.
        F = _descent(self, y, uniform)
        _, Hg = jax.jvp(lambda x: _descent(self, x, uniform), (y,), (F,))
        return jax.tree.map(lambda f, h: dt * (f - self.correction * h), F, Hg)

    def diffusion(self, y, dW):
        return _descent(self, y, increment_weights(jnp.zeros((), dW.dtype), dW, self.scale))

    def prod(self, vf, control):
        if self.correction is not None:
            return super().prod(vf, control)
        return _descent(self, vf, increment_weights(control.dt, control.dW, self.scale))


def _descent(term: "GradientFlowTerm | HeavyBallTerm", theta: PyTree, weights: Float[Array, " units"]) -> PyTree:
    """−Σ w_i ∇ℓ_i(θ)."""
    gradient = term.problem.weighted_gradient(eqx.combine(theta, term.fixed), weights, term.key)
    return jax.tree.map(jnp.negative, gradient)


class HeavyBallTerm(AbstractFusedTerm):
    """The SDE of heavy-ball SGD in phase space (θ, p), with δ = √η, γ = (1−m)/δ, time δ a step.

    order 1:  dθ = p dt,   dp = −γ p dt − g dt + dN,   dN = η^{1/4} √(f/S) R(θ) dW
    order 2:  dθ = [p − (δ/2)(γp + g)] dt + (δ/2) dN
              dp = [−γp − g + (δ/2)(Hp − γ²p − γg)] dt + (1 + γδ/2) dN

    The noise of order 2: a heavy-ball step adds (δn, n) to (θ, p), so Cov = E n² [[δ², δ], [δ, 1]]; the equation's own
    is E n² [BBᵀ + (δ/2)(A BBᵀ + BBᵀ Aᵀ)], A = [[0, 1], [−H, −γ]], and B = (δ/2, 1 + γδ/2) makes them agree up to
    O(δ²). With B = (0, 1) the variance would be off by O(√η), and by more than order 1's is.

    Args:
        problem, fixed, path, key: as in ``GradientFlowTerm``.
        scale: η^{1/4} √(f/S).
        friction: γ.
        correction: δ/2 for order 2, None for order 1.
    """

    problem: Problem
    fixed: PyTree
    scale: Float[Array, ""]
    friction: Float[Array, ""]
    correction: Float[Array, ""] | None
    path: diffrax.AbstractPath
    key: PRNGKeyArray | None

    def drift(self, y, dt):
        theta, p = y
        uniform = jnp.full(self.problem.num_units, 1 / self.problem.num_units, self.problem.dtype)
        minus_gradient = lambda x: _descent(self, x, uniform)  # noqa: E731
        gamma, c = self.friction, self.correction
        if c is None:
            return jax.tree.map(lambda q: dt * q, p), jax.tree.map(
                lambda q, F: dt * (F - gamma * q), p, minus_gradient(theta)
            )
        F, minus_Hp = jax.jvp(minus_gradient, (theta,), (p,))
        return (
            jax.tree.map(lambda q, f: dt * (q - c * (gamma * q - f)), p, F),
            jax.tree.map(lambda q, f, k: dt * (f - gamma * q + c * (-k - gamma**2 * q + gamma * f)), p, F, minus_Hp),
        )

    def diffusion(self, y, dW):
        theta, _ = y
        kick = _descent(self, theta, increment_weights(jnp.zeros((), dW.dtype), dW, self.scale))
        c = self.correction
        if c is None:
            return jax.tree.map(jnp.zeros_like, theta), kick
        return jax.tree.map(lambda k: c * k, kick), jax.tree.map(lambda k: (1 + self.friction * c) * k, kick)

    def prod(self, vf, control):
        if self.correction is not None:
            return super().prod(vf, control)
        theta, p = vf
        kick = _descent(self, theta, increment_weights(control.dt, control.dW, self.scale))
        return jax.tree.map(lambda q: control.dt * q, p), jax.tree.map(
            lambda q, f: f - control.dt * self.friction * q, p, kick
        )


def fused_step(term: AbstractFusedTerm, solver: diffrax.AbstractSolver, y: PyTree, dt: Any) -> PyTree:
    """One step of a diffrax solver over [0, dt]: the equations are autonomous, and t = n h would round dt."""
    zero = jnp.zeros((), jnp.result_type(dt))
    state = solver.init(term, zero, dt, y, None)
    return solver.step(term, zero, dt, y, None, state, False)[0]
