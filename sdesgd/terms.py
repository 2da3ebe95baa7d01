"""Fused drift and diffusion of the SDEs of SGD, as diffrax terms.

The control of a term is the pair (dt, dW). ``vf_prod`` forms example weights from it and calls one weighted
gradient, so an Euler step costs one backward pass; solvers that want drift and diffusion apart ask for them.
"""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from sdesgd.derivatives import hessian_product
from sdesgd.dynamics import increment_weights
from sdesgd.errors import InputError
from sdesgd.problem import Problem

_CONTRAST = 0  # the stage of the second draw in a contrast; solvers number theirs from 1


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


class StepPath(diffrax.AbstractPath):
    """Brownian increments for fixed steps: each interval gets a draw of its own, W(t1) − W(t0) ~ N(0, t1 − t0).

    As diffrax's ``UnsafeBrownianPath``, but keyed by all bits of the ends: that one rounds them to float32, so that
    short steps at late times in 64 bits would share their noise.

    Args:
        shape: of an increment, with its dtype.
        key: of the path.
    """

    shape: jax.ShapeDtypeStruct = eqx.field(static=True)
    key: PRNGKeyArray
    t0 = -jnp.inf
    t1 = jnp.inf

    def evaluate(self, t0, t1=None, left: bool = True) -> Float[Array, " units"]:
        """The increment over [t0, t1]; the same ends give the same draw."""
        del left
        if t1 is None:
            raise InputError("this Brownian path knows increments only: use it with solvers of fixed steps")
        key = self.key
        for end in (t0, t1):
            words = jax.lax.bitcast_convert_type(jnp.asarray(end, jnp.result_type(float)), jnp.uint32)
            for word in jnp.atleast_1d(words):
                key = jr.fold_in(key, word)
        return jnp.sqrt(jnp.asarray(t1 - t0, self.shape.dtype)) * jr.normal(key, self.shape.shape, self.shape.dtype)


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

    def at_stage(self, stage: int) -> "AbstractFusedTerm":
        """The term with masks and groups of its own for a stage of a solver; itself where there are none."""
        del stage
        return self

    def noise(self, y: PyTree, control: Increment, drift_share: float) -> PyTree:
        """ε B(y) dW, and what the noise of a random drift (masks, groups) leaves of a step's covariance.

        Args:
            control: of the step.
            drift_share: Σ b_i² over the weights of the solver's drift stages, each drawn afresh.
        """
        del drift_share
        return self.diffusion(y, control.dW)

    def vf(self, t, y, args):
        del t, args
        return y

    def is_vf_expensive(self, t0, t1, y, args):
        # Asked by diffrax's Runge-Kutta solvers alone; for an SDE these (Heun, Midpoint, …) are Stratonovich's.
        del t0, t1, y, args
        raise InputError(
            "this solver does not converge to the Itô solution: use diffrax.Euler() or sdesgd.SmallNoiseRK3()"
        )

    def contr(self, t0, t1, **kwargs):
        return Increment(jnp.asarray(t1 - t0), self.path.evaluate(t0, t1, **kwargs))

    def prod(self, vf, control):
        return jax.tree.map(jnp.add, self.drift(vf, control.dt), self.diffusion(vf, control.dW))


class GradientFlowTerm(AbstractFusedTerm):
    """The SDE of SGD, dθ = b(θ) dt + √(fη/S) R(θ) dW, in the Itô sense.

    b = −g (order 1), or b = −∇(L + (η/4)|∇L|²) = −g − (η/2) H g (order 2; one Hessian-vector product).

    With masks or groups P a gradient g_P is random, and Cov g_P is part of SGD's covariance: η² Cov g_P a step. Kept
    the same through a step, g_P would be a force of duration η, with a Stratonovich limit: one step's mean would have
    (η²/2) E[H_P g_P] = (η²/2) (Hg + ½ ∇tr Cov g_P) in place of (η²/2) Hg, an error of the order of the gap between SGD
    and its SDE. So each stage draws its own, and ``noise`` adds a (g_P' − g_P) to make up the covariance. For order 2,
    whose −(η/2) H_P g_P cancels that term, one draw a step is right.

    Args:
        problem: the finite sum.
        fixed: the leaves of params that don't move.
        scale: √(fη/S).
        correction: η/2 for order 2, None for order 1.
        path: the Brownian motion, of shape (num_units,).
        key: masks and groups.
        substeps: solver steps a SGD step, each with a term of its own; None: masks and groups are frozen for the life
            of the term.
    """

    problem: Problem
    fixed: PyTree
    scale: Float[Array, ""]
    correction: Float[Array, ""] | None
    path: diffrax.AbstractPath
    key: PRNGKeyArray | None
    substeps: int | None = eqx.field(static=True, default=None)

    @property
    def redraws(self) -> bool:
        """Whether stages draw masks and groups of their own."""
        return self.key is not None and self.substeps is not None and self.correction is None

    def at_stage(self, stage):
        if self.key is None or not self.redraws:
            return self
        return dataclasses.replace(self, key=fresh_key(self.key, stage))

    def drift(self, y, dt):
        uniform = jnp.full(self.problem.num_units, 1 / self.problem.num_units, self.problem.wide)
        if self.correction is None:
            return _descent(self, y, dt * uniform)
        # With F = −g: DF·F = H g.
        F = _descent(self, y, uniform)
        _, Hg = hessian_product(lambda x: _descent(self, x, uniform), y, F)
        return jax.tree.map(lambda f, h: dt * (f - self.correction * h), F, Hg)

    def diffusion(self, y, dW):
        return _descent(self, y, increment_weights(jnp.zeros((), dW.dtype), dW, self.scale))

    def noise(self, y, control, drift_share):
        if not self.redraws or self.substeps is None:
            return self.diffusion(y, control.dW)
        # A step of length h = η/m wants covariance h η Cov g_P, of which the drift stages give h² drift_share.
        excess = control.dt * math.sqrt((self.substeps - drift_share) / 2)
        return self._with_contrast(y, control, -excess, excess)

    def prod(self, vf, control):
        if self.correction is not None:
            return super().prod(vf, control)
        if not self.redraws or self.substeps in (None, 1):
            return _descent(self, vf, increment_weights(control.dt, control.dW, self.scale))
        # Coefficients (1 ± √(2m−1))/2 as in SVAG: they sum to 1, their squares to m.
        root = math.sqrt(2 * self.substeps - 1)
        return self._with_contrast(vf, control, -control.dt * (1 + root) / 2, -control.dt * (1 - root) / 2)

    def _with_contrast(self, y: PyTree, control: Increment, first: Array, second: Array) -> PyTree:
        """ε R dW + first · g_P + second · g_P', two independent draws of masks and groups."""
        weights = increment_weights(-first, control.dW, self.scale)
        uniform = jnp.full(self.problem.num_units, 1 / self.problem.num_units, self.problem.wide)
        one, other = _descent(self, y, weights), _descent(self.at_stage(_CONTRAST), y, -second * uniform)
        return jax.tree.map(jnp.add, one, other)


def fresh_key(key: PRNGKeyArray, stage: int | Array) -> PRNGKeyArray:
    """A key for a further draw of masks and groups: far from what ``split`` makes of the same key."""
    return jr.fold_in(key, jnp.uint32(2**31) + jnp.asarray(stage, jnp.uint32))


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
        uniform = jnp.full(self.problem.num_units, 1 / self.problem.num_units, self.problem.wide)
        minus_gradient = lambda x: _descent(self, x, uniform)  # noqa: E731
        gamma, c = self.friction, self.correction
        if c is None:
            return jax.tree.map(lambda q: dt * q, p), jax.tree.map(
                lambda q, F: dt * (F - gamma * q), p, minus_gradient(theta)
            )
        F, minus_Hp = hessian_product(minus_gradient, theta, p)
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
    after = solver.step(term, zero, dt, y, None, state, False)[0]
    return jax.tree.map(lambda new, old: new.astype(old.dtype), after, y)
