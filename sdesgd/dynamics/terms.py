"""Fused drift and diffusion of the SDEs of SGD, as diffrax terms.

The control of a term is the pair (dt, dW). ``prod`` forms example weights from it and calls one weighted gradient, so
an Euler step costs one backward pass. A scheme of several stages is data, a ``Tableau``, which a term runs itself.
"""

import abc
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from sdesgd import sizes
from sdesgd.curvature.derivatives import hessian_product
from sdesgd.dynamics.protocol import increment_weights
from sdesgd.dynamics.tableau import Tableau, run
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.types import PRNGKeyArray

_CONTRAST = 0  # the key of the second draw in a contrast; those of stages of drift count from 1


class Increment(NamedTuple):
    """The control over an interval: its length dt and the Brownian increment dW, (num_units,), None for none."""

    dt: Float[Array, ""]
    dW: Any


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
    key: eqx.AbstractVar[PRNGKeyArray | None]

    @property
    def is_small(self) -> bool:
        """Whether a gradient costs so little that the stages of a step are best compiled apart."""
        return True

    @abc.abstractmethod
    def increment(self, y: PyTree, control: Increment, drift: Any, diffusion: Any, key: PRNGKeyArray | None) -> PyTree:
        """c a(y) dt + d ε B(y) dW with the masks and groups of this key.

        Args:
            y: where.
            control: (dt, dW).
            drift: c, a number, or a traced one that all replicas share.
            diffusion: d, the same.
            key: masks and groups.
        """

    def drift(self, y: PyTree, dt: Float[Array, ""]) -> PyTree:
        """a(y) dt."""
        return self.increment(y, Increment(dt, None), 1, 0, self.key)

    def diffusion(self, y: PyTree, dW: Float[Array, " units"]) -> PyTree:
        """ε B(y) dW."""
        return self.increment(y, Increment(jnp.zeros((), dW.dtype), dW), 0, 1, self.key)

    def advance(self, tableau: Tableau, y: PyTree, control: Increment) -> PyTree:
        """One step of an explicit scheme, with one draw of masks and groups."""
        increment = lambda x, c, d, _: self.increment(x, control, c, d, self.key)  # noqa: E731
        return run(tableau, y, increment, None, unrolled=self.is_small)

    def prod(self, vf, control):
        return self.increment(vf, control, 1, 1, self.key)

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


class GradientFlowTerm(AbstractFusedTerm):
    """The SDE of SGD, dθ = b(θ) dt + √(fη/S) R(θ) dW, in the Itô sense.

    b = −g (order 1), or b = −∇(L + (η/4)|∇L|²) = −g − (η/2) H g (order 2; one Hessian-vector product).

    With masks or groups P a gradient g_P is random, and Cov g_P is part of SGD's covariance: η² Cov g_P a step. Kept
    the same through a step, g_P would be a force of duration η, with a Stratonovich limit: one step's mean would have
    (η²/2) E[H_P g_P] = (η²/2) (Hg + ½ ∇tr Cov g_P) in place of (η²/2) Hg, an error of the order of the gap between SGD
    and its SDE. So each stage of drift draws its own, and stages of noise add a (g_P' − g_P) to make up the
    covariance. For order 2, whose −(η/2) H_P g_P cancels that term, one draw per step is right.

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
    def is_small(self):
        return self.problem.num_parameters * self.problem.num_units <= sizes.UNROLLED_WORK

    def increment(self, y, control, drift, diffusion, key):
        if self.correction is None:
            return _descent(self, y, _weights(self, control, drift, diffusion), key)

        def drift_part():
            # With F = −g: DF·F = H g.
            uniform = _weights(self, Increment(jnp.ones_like(control.dt), None), 1, 0)
            F = _descent(self, y, uniform, key)
            _, Hg = hessian_product(lambda x: _descent(self, x, uniform, key), y, F)
            return jax.tree.map(lambda f, h: drift * control.dt * (f - self.correction * h), F, Hg)

        def noise_part():
            return _descent(self, y, _weights(self, control, 0, diffusion), key)

        return _of_two_parts(drift, drift_part, diffusion, noise_part)

    def prod(self, vf, control):
        if self._draws is None or self._draws == 1:
            return self.increment(vf, control, 1, 1, self.key)
        # Coefficients (1 ± √(2m−1))/2 as in SVAG: they sum to 1, their squares to m.
        root = math.sqrt(2 * self._draws - 1)
        one = self.increment(vf, control, (1 + root) / 2, 1, self.key)
        other = self.increment(vf, control, (1 - root) / 2, 0, fresh_key(self.key, _CONTRAST))
        return jax.tree.map(jnp.add, one, other)

    def advance(self, tableau, y, control):
        if self._draws is None:
            return super().advance(tableau, y, control)
        # A step of length h = η/m needs covariance h η Cov g_P, of which the drift stages give h² Σ (b_i c_i)².
        contrasted = tableau.with_contrast(math.sqrt((self._draws - tableau.drift_share()) / 2))
        increment = lambda x, c, d, key: self.increment(x, control, c, d, key)  # noqa: E731
        keys = self._keys(tableau.of_noise_alone())
        return run(contrasted, y, increment, keys, unrolled=self.is_small)

    @property
    def _draws(self) -> int | None:
        """m, the substeps, where stages draw masks and groups of their own; None where one draw holds."""
        return self.substeps if self.key is not None and self.correction is None else None

    def _keys(self, noisy: list[bool]) -> Key[Array, " stages"]:
        """The term's own for a stage of noise, one more for its contrast, and one for each stage of drift."""
        keys, drifts = [], 0
        for noise in noisy:
            drifts += not noise
            keys += [self.key, fresh_key(self.key, _CONTRAST)] if noise else [fresh_key(self.key, drifts)]
        return jnp.stack(keys)


def fresh_key(key: PRNGKeyArray | None, stage: int | Array) -> PRNGKeyArray:
    """A key for a further draw of masks and groups: far from what ``split`` makes of the same key."""
    if key is None:
        raise InputError("a problem with masks or groups needs a key: pass key=jax.random.key(...)")
    return jr.fold_in(key, jnp.uint32(2**31) + jnp.asarray(stage, jnp.uint32))


def _descent(
    term: "GradientFlowTerm | HeavyBallTerm", theta: PyTree, weights: Float[Array, " units"], key: PRNGKeyArray | None
) -> PyTree:
    """−Σ w_i ∇ℓ_i(θ)."""
    gradient = term.problem.weighted_gradient(eqx.combine(theta, term.fixed), weights, key)
    return jax.tree.map(jnp.negative, gradient)


def _weights(
    term: "GradientFlowTerm | HeavyBallTerm", control: Increment, drift: Any, diffusion: Any
) -> Float[Array, " units"]:
    """Of c a dt + d ε B dW; a number 0 costs nothing."""
    units = term.problem.num_units
    if control.dW is None or (isinstance(diffusion, int | float) and diffusion == 0):
        return drift * control.dt * jnp.full(units, 1 / units, term.problem.wide)
    return increment_weights(drift * control.dt, diffusion * control.dW, term.scale)


def _of_two_parts(drift: Any, drift_part: Callable, diffusion: Any, noise_part: Callable) -> PyTree:
    """The sum of the parts whose coefficient isn't 0."""
    parts = (drift, drift_part), (diffusion, noise_part)
    if all(isinstance(c, int | float) for c, _ in parts):
        there = [part() for c, part in parts if c != 0] or [noise_part()]
        return there[0] if len(there) == 1 else jax.tree.map(jnp.add, *there)
    shapes = (jax.eval_shape(part) for _, part in parts)
    blank = jax.tree.map(lambda a, b: jnp.zeros(a.shape, jnp.promote_types(a.dtype, b.dtype)), *shapes)

    def of(part):
        return jax.tree.map(lambda x, like: x.astype(like.dtype), part(), blank)

    return jax.tree.map(jnp.add, *(jax.lax.cond(c != 0, partial(of, part), lambda: blank) for c, part in parts))


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

    @property
    def is_small(self):
        return self.problem.num_parameters * self.problem.num_units <= sizes.UNROLLED_WORK

    def increment(self, y, control, drift, diffusion, key):
        theta, p = y
        gamma, c = self.friction, self.correction
        if c is None:
            kick = _descent(self, theta, _weights(self, control, drift, diffusion), key)
            return jax.tree.map(lambda q: drift * control.dt * q, p), jax.tree.map(
                lambda q, f: f - drift * control.dt * gamma * q, p, kick
            )
        dt = drift * control.dt

        def drift_part():
            uniform = _weights(self, Increment(jnp.ones_like(control.dt), None), 1, 0)
            F, minus_Hp = hessian_product(lambda x: _descent(self, x, uniform, key), theta, p)
            return (
                jax.tree.map(lambda q, f: dt * (q - c * (gamma * q - f)), p, F),
                jax.tree.map(
                    lambda q, f, k: dt * (f - gamma * q + c * (-k - gamma**2 * q + gamma * f)), p, F, minus_Hp
                ),
            )

        def noise_part():
            kick = _descent(self, theta, _weights(self, control, 0, diffusion), key)
            return jax.tree.map(lambda k: c * k, kick), jax.tree.map(lambda k: (1 + gamma * c) * k, kick)

        return _of_two_parts(drift, drift_part, diffusion, noise_part)


def fused_step(term: AbstractFusedTerm, solver: diffrax.AbstractSolver, y: PyTree, dt: Any) -> PyTree:
    """One step of a diffrax solver over [0, dt]: the equations are autonomous, and t = n h would round dt."""
    zero = jnp.zeros((), jnp.result_type(dt))
    state = solver.init(term, zero, dt, y, None)
    after = solver.step(term, zero, dt, y, None, state, False)[0]
    return jax.tree.map(lambda new, old: new.astype(old.dtype), after, y)
