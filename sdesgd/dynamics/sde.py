"""The SDE of SGD as a dynamics: dθ = −g dt + √(fη/S) R dW, its order-2 equation, and momentum."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from sdesgd import inputs
from sdesgd.dynamics import protocol as dyn
from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, State
from sdesgd.dynamics.solvers import SemiImplicitHeavyBall, SmallNoiseRK3, check_solver
from sdesgd.dynamics.terms import (
    AbstractFusedTerm,
    GivenIncrement,
    GradientFlowTerm,
    HeavyBallTerm,
    StepPath,
    fresh_key,
    fused_step,
)
from sdesgd.errors import InputError, shown
from sdesgd.problem import Problem
from sdesgd.types import LearningRate, PRNGKeyArray

_SUBSTEPS = 1024  # where the keys of substeps start, beyond those of a solver's stages


class SDE(AbstractDynamics):
    """The stochastic differential equation of SGD (Itô).

    order 1:  dθ = −g dt + √(fη/S) R dW,   R Rᵀ = C
    order 2:  dθ = −∇(L + (η/4)|∇L|²) dt + √(fη/S) R dW
    momentum: see ``HeavyBallTerm``; a step is √η of its inner time, and still η of the time reported.

    A step of the dynamics is one SGD step, in ``substeps`` solver steps. Masks and groups are drawn afresh for each
    stage of a solver, which keeps the equation Itô (see ``GradientFlowTerm``); with momentum and for order 2 they are
    frozen within a step. With batch norm the sum runs over M = N/S groups: g is the gradient of the expected group
    loss, C the covariance of group gradients, and the scale is √η, in units of groups (one group a step). With dropout
    masks are part of the sample, C/S becomes (1/S)[f Cov_i(E_mask ∇ℓ_i) + E_i Cov_mask ∇ℓ_i].

    In what sense it approximates SGD: as η → 0 at fixed S both tend to the gradient flow dθ = −g dt, which is itself
    weakly O(η) from SGD at fixed time. What the noise term adds is the fluctuations about that flow, of size √(η/S):
    their variance has a relative error of O(η), where gradient flow has no variance at all. At fixed η it is the
    limit ℓ → ∞ of SVAG(ℓ).

    Order 2 against order 1: at fixed time the weak error is O(η²) against O(η); with momentum it is O(η) against O(√η)
    at fixed friction (1−m)/√η, and O(η) for both at fixed m. At stationarity neither is always the better one:

    - On a quadratic with constant C, without momentum, order 2 gets the variance wrong by twice as much: it moves it by
      −ηλ/2 (relative), order 1 by 0 and SGD itself by +ηλ/2.
    - With momentum, on the same parabola, both orders have the same variance, −ηλ/(2(1+m)) relative to SGD's.
    - In the odds of basins at fixed temperature order 2 has the term of order η right, but for what comes from steps
      that aren't Gaussian; order 1 misses that term.

    Args:
        learning_rate: η > 0, or a schedule of the step n.
        batch_size: S, in examples; S enters through √(η/S) alone, but with batch norm through g and C too.
        sampling: "replacement" (f = 1) | "no_replacement" (f = (N−S)/(N−1)).
        order: 1 | 2.
        momentum: 0 ≤ m < 1.
        substeps: solver steps a SGD step; h = η/substeps (with momentum √η/substeps).
        solver: a diffrax Itô solver for the fused term. Default ``SmallNoiseRK3()``; with momentum and order 1
            ``SemiImplicitHeavyBall()``.

    Raises:
        InputError: values out of range; reshuffling (no such SDE: at fixed θ the noise of an epoch cancels);
            a solver that doesn't converge to the Itô solution or needs commutative noise.

    Source: Li, Tai & E 2017 (orders 1 and 2).
    """

    learning_rate: LearningRate
    batch_size: int
    sampling: str
    order: int
    momentum: float | Array
    substeps: int
    solver: Any

    def __init__(
        self,
        learning_rate: Any,
        batch_size: int,
        sampling: str = "replacement",
        order: int = 1,
        momentum: Any = 0.0,
        substeps: int = 1,
        solver: Any = None,
    ):
        dyn.check_learning_rate(learning_rate)
        inputs.check_positive_integer("batch_size", batch_size)
        dyn.check_sampling(sampling, dyn.SAMPLING_MODES[:2], "at fixed parameters an epoch's noise cancels: no SDE")
        dyn.check_momentum(momentum)
        inputs.check_positive_integer("substeps", substeps)
        if isinstance(order, bool) or order not in (1, 2):
            raise InputError(f"order is {shown(order)}: pass 1 or 2")
        self.learning_rate, self.batch_size, self.sampling = learning_rate, batch_size, sampling
        self.order, self.momentum, self.substeps = order, momentum, substeps
        if solver is None:
            solver = SemiImplicitHeavyBall() if self.has_momentum and order == 1 else SmallNoiseRK3()
        check_solver(solver, HeavyBallTerm if self.has_momentum else GradientFlowTerm)
        if order == 2 and isinstance(solver, SemiImplicitHeavyBall):
            raise InputError("solver SemiImplicitHeavyBall has the order-1 drift: use SmallNoiseRK3() with order=2")
        self.solver = solver

    @property
    def has_momentum(self) -> bool:
        """Whether the state has a velocity."""
        return not dyn.is_structural_zero(self.momentum)

    def init(self, problem: Problem, params: PyTree) -> State:
        dyn.gaussian_factor(problem, self.batch_size, self.sampling)
        return State(params, dyn.zero_velocity(problem, params, self.momentum))

    def units_per_step(self, problem: Problem) -> int:
        return problem.num_units * self.substeps

    def draw(self, problem: Problem, state: State, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        key_increments, key_masks = dyn.split_key(problem, key)
        return MaskedDraw(dyn.standard_increments(problem, key_increments, self.substeps), key_masks)

    def advance(self, problem: Problem, state: State, draw: MaskedDraw, n: Int[Array, ""]) -> State:
        given = self.rate(n, problem.wide)
        rate = jnp.where(given > 0, given, 1)  # at a rate of 0 nothing is drawn: see below
        # The velocity of the heavy ball is v = δ p, δ = √η: kept as v, so that a schedule may change δ.
        length = jnp.sqrt(rate) if self.has_momentum else rate
        increments = jnp.sqrt(length) * dyn.coarsen(draw.numbers, self.substeps)
        y, fixed = eqx.partition(state.params, eqx.is_inexact_array)
        if self.has_momentum:
            y = (y, jax.tree.map(lambda v: v / length, state.velocity))

        frozen = self.substeps == 1 or self.has_momentum or self.order == 2

        def substep(y, now):
            increment, k = now
            key = draw.key if draw.key is None or frozen else fresh_key(draw.key, _SUBSTEPS + k)
            term = self.term(problem, GivenIncrement(increment), rate, fixed, key, self.substeps)
            return fused_step(term, self.solver, y, length / self.substeps), None

        steps = increments, jnp.arange(self.substeps)
        y = substep(y, (increments[0], 0))[0] if self.substeps == 1 else jax.lax.scan(substep, y, steps)[0]
        theta, velocity = y, None
        if self.has_momentum:
            theta, velocity = y[0], jax.tree.map(lambda q: length * q, y[1])
        moved = State(eqx.combine(theta, fixed), velocity)
        # A schedule may end at η = 0, where the equation in units of √η is singular: the heavy ball coasts.
        zero = jax.tree.map(jnp.zeros_like, eqx.filter(state.params, eqx.is_inexact_array))
        coasting = State(*dyn.descend(state.params, state.velocity, zero, given, self.momentum))
        choose = lambda a, b: jnp.where(given > 0, a, b) if eqx.is_inexact_array(a) else a  # noqa: E731
        return jax.tree.map(choose, moved, coasting)

    def term(
        self,
        problem: Problem,
        path: diffrax.AbstractPath,
        rate: Array,
        fixed: PyTree,
        key: PRNGKeyArray | None,
        substeps: int | None = None,
    ) -> AbstractFusedTerm:
        """The diffrax term of the equation at a constant learning rate.

        Args:
            path: Brownian motion of shape (num_units,).
            rate: η, a scalar array.
            fixed: the leaves of params that don't move.
            key: masks and groups.
            substeps: see ``GradientFlowTerm``.
        """
        factor = dyn.gaussian_factor(problem, self.batch_size, self.sampling)
        root = jnp.sqrt(rate)
        if not self.has_momentum:
            correction = rate / 2 if self.order == 2 else None
            return GradientFlowTerm(
                problem=problem,
                fixed=fixed,
                scale=root * factor,
                correction=correction,
                path=path,
                key=key,
                substeps=substeps,
            )
        friction = (1 - self.momentum) / root
        correction = root / 2 if self.order == 2 else None
        return HeavyBallTerm(
            problem=problem,
            fixed=fixed,
            scale=jnp.sqrt(root) * factor,
            friction=friction,
            correction=correction,
            path=path,
            key=key,
        )

    def equation(self, problem: Problem, key: PRNGKeyArray, params: PyTree = None) -> tuple[AbstractFusedTerm, PyTree]:
        """(term, y0) for a plain ``diffrax.diffeqsolve``, at a constant learning rate.

        The Brownian motion is a ``StepPath``: fixed steps, and ``adjoint=diffrax.DirectAdjoint()``. One draw
        of masks and groups holds for the whole solution, another problem than ``simulate``'s, which redraws them.
        y0 holds the leaves that move (with momentum: the pair (θ, p), p = 0, and time √η a SGD step).

        Raises:
            InputError: a learning-rate schedule, which makes the equation depend on the step.
        """
        if callable(self.learning_rate):
            raise InputError("learning_rate is a schedule: a diffrax term needs a number; use simulate instead")
        key = inputs.as_key(key)
        params = problem.params if params is None else problem.like(params)
        y0, fixed = eqx.partition(params, eqx.is_inexact_array)
        key_path, key_masks = dyn.split_key(problem, key)
        shape = jax.ShapeDtypeStruct((problem.num_units,), problem.wide)
        path = StepPath(shape, key_path)
        term = self.term(problem, path, jnp.asarray(self.learning_rate, problem.wide), fixed, key_masks)
        return term, (y0, jax.tree.map(jnp.zeros_like, y0)) if self.has_momentum else y0
