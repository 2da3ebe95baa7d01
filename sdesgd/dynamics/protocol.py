"""The protocol of every dynamics, and what they share: weights, heavy ball, sampling factor.

One SGD step, whatever the dynamics, is θ ← θ − η Σ_i w_i ∇ℓ_i(θ) with E[w_i] = 1/N; a dynamics is a law of w.
"""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PyTree

from sdesgd import freshness, inputs
from sdesgd.errors import InputError, require_known
from sdesgd.problem import Problem
from sdesgd.types import LearningRate, PRNGKeyArray, Schedule

SAMPLING_MODES = ("replacement", "no_replacement", "reshuffle")


class State(NamedTuple):
    """Where a dynamics stands after a whole number of SGD steps.

    params is θ; velocity is v = θ_k − θ_{k−1} (heavy ball; None without momentum); permutation is the order
    of the examples in the running epoch (reshuffling only).
    """

    params: PyTree
    velocity: PyTree = None
    permutation: Int[Array, " examples"] | None = None


class AbstractDynamics(eqx.Module):
    """One step is one SGD step of time, η: ``step = advance ∘ draw``.

    ``draw`` holds all the randomness of a step; given the draw, ``advance`` is deterministic. So the exact law
    of a step can be enumerated, and two dynamics can be driven by the same draw (see ``Coupled``).
    """

    learning_rate: eqx.AbstractVar[LearningRate]

    @abc.abstractmethod
    def init(self, problem: Problem, params: PyTree) -> Any:
        """The state at time 0; checks the dynamics against the problem.

        Raises:
            InputError: the dynamics makes no sense for this problem (say S > N without replacement).
        """

    @abc.abstractmethod
    def draw(self, problem: Problem, state: Any, key: PRNGKeyArray, n: Int[Array, ""]) -> Any:
        """The random numbers of step n."""

    @abc.abstractmethod
    def advance(self, problem: Problem, state: Any, draw: Any, n: Int[Array, ""]) -> Any:
        """The state after step n, given its random numbers."""

    @abc.abstractmethod
    def units_per_step(self, problem: Problem) -> int:
        """Unit gradients of one step: what a step costs."""

    def units_at_once(self, problem: Problem) -> int:
        """Units whose examples are in memory together: a chunk of the data, or the whole of a batch."""
        return problem.chunk_size

    def step(self, problem: Problem, state: Any, key: PRNGKeyArray, n: Int[Array, ""]) -> Any:
        """One SGD step of time: θ_n → θ_{n+1}. n counts from 0 (schedules and epochs read it)."""
        return self.advance(problem, state, self.draw(problem, state, key, n), n)

    def members(self, state: Any) -> tuple:
        """The parts of a state that diverge each on its own: one, or the two of a coupled pair."""
        return (state,)

    def join(self, members: tuple) -> Any:
        """The state of these parts."""
        return members[0]

    def params(self, state: Any) -> PyTree:
        """θ, complete (leaves that don't move included)."""
        return state.params

    def rate(self, n: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, ""]:
        """η_n in this dtype."""
        return jnp.asarray(self.learning_rate(n) if callable(self.learning_rate) else self.learning_rate, dtype)

    def fresh(self) -> "AbstractDynamics":
        """The dynamics with its schedule as it is now, also those that it is made of; see ``freshness``.

        Raises:
            InputError: a schedule that JAX can't trace, or that doesn't give one real number a step.
        """
        changed = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, AbstractDynamics):
                changed[field.name] = value.fresh()
            elif field.name == "learning_rate" and callable(value) and not isinstance(value, freshness.Fresh):
                changed[field.name] = traced_schedule(value)
        return freshness.replaced(self, **changed) if changed else self


class MaskedDraw(NamedTuple):
    """A draw: ``numbers`` (indices, or Brownian increments) and the key of masks and groups (None if unused)."""

    numbers: Any
    key: PRNGKeyArray | None


def split_key(problem: Problem, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray | None]:
    """Keys for the numbers and, where the problem needs it, for masks and groups."""
    if not problem.needs_key:
        return key, None
    key_numbers, key_masks = jr.split(key)
    return key_numbers, key_masks


# -- validation ----------------------------------------------------------------------------------------


def traced_schedule(schedule: Schedule) -> freshness.Fresh:
    """The schedule as it is now.

    Raises:
        InputError: JAX can't trace it, or it doesn't give one real number a step.
    """
    remedy = "write it with jax.numpy (jnp.where for `if`, jnp.cos, a jnp table), or take one of optax"
    step = jax.ShapeDtypeStruct((), jnp.int32)
    fresh, shape = freshness.traced(schedule, step, what="the learning_rate schedule", remedy=remedy)
    real = hasattr(shape, "dtype") and (
        jnp.issubdtype(shape.dtype, jnp.floating) or jnp.issubdtype(shape.dtype, jnp.integer)
    )
    if not real or shape.shape:
        got = f"shape {shape.shape} and dtype {shape.dtype}" if hasattr(shape, "shape") else type(shape).__name__
        raise InputError(f"the learning_rate schedule gives {got} at a step: return one real number")
    return fresh


def check_learning_rate(learning_rate: Any) -> None:
    """Raises InputError unless η is a positive finite number or a schedule of the step."""
    if callable(learning_rate):
        return
    wanted = "a positive finite number or a schedule of the step"
    inputs.check_number("learning_rate", learning_rate, wanted, lambda x: x > 0)


def check_momentum(momentum: Any) -> None:
    """Raises InputError unless 0 ≤ m < 1."""
    inputs.check_number("momentum", momentum, "a number with 0 <= momentum < 1", lambda x: 0 <= x < 1)


def is_structural_zero(momentum: Any) -> bool:
    """Whether momentum is exactly 0 as a number: then nothing is carried for it."""
    return not isinstance(momentum, jax.Array) and bool(momentum == 0)


def check_sampling(sampling: str, allowed: tuple[str, ...], why: str = "") -> None:
    """Raises InputError for an unknown mode, or one that this dynamics has no law for."""
    require_known("sampling", sampling, SAMPLING_MODES)
    if sampling not in allowed:
        raise InputError(f"sampling '{sampling}' is refused here: {why}; use one of: {', '.join(allowed)}")


def batch_units(problem: Problem, batch_size: int, sampling: str) -> int:
    """S in units of the sum: one group where the unit is the batch (batch norm).

    Raises:
        InputError: S > N without replacement; S not a multiple of the unit; groups of one example.
    """
    size = problem.unit_size
    if batch_size % size:
        raise InputError(f"batch_size {batch_size} is not a multiple of unit_size {size}: choose {size} or a multiple")
    if sampling != "replacement" and batch_size > problem.num_examples:
        raise InputError(
            f"batch_size {batch_size} exceeds N = {problem.num_examples} examples: without replacement choose at "
            f"most {problem.num_examples}, or sampling='replacement'"
        )
    return batch_size // size


# -- laws ----------------------------------------------------------------------------------------------


def finite_population_factor(num_units: int, units_per_batch: int, sampling: str) -> float:
    """f: Cov of the minibatch gradient = f C/S.

    f = 1 with replacement, (N−S)/(N−1) without (1 for N = 1, 0 for S = N).

    Args:
        num_units: N, units of the sum.
        units_per_batch: S, in the same units.
        sampling: "replacement" or "no_replacement".
    """
    if sampling == "replacement" or num_units == 1:
        return 1.0
    return (num_units - units_per_batch) / (num_units - 1)


def gaussian_factor(problem: Problem, batch_size: int, sampling: str) -> float:
    """√(f/S), the scale of Gaussian minibatch noise, in the units of the sum.

    Where the unit is a group of ``unit_size`` examples and a batch is one group, S_units = 1 and f = 1: disjoint
    groups already contain the finite-population factor.

    Raises:
        InputError: dropout with replacement, whose covariance one Gaussian pass cannot match.
    """
    units = batch_units(problem, batch_size, sampling)
    if problem.stochastic and sampling == "replacement" and units > 1:
        # Σ E[w_i²] = 1/N + (1/S)(1 − 1/N) multiplies the covariance of the masks, where SGD has 1/S.
        raise InputError(
            "sampling 'replacement' with a stochastic loss: the Gaussian weights overstate the covariance of the "
            "masks by (S-1)/N; use sampling='no_replacement', which is exact"
        )
    if problem.unit_size > 1 and problem.num_units == 1:
        raise InputError(
            f"unit_size {problem.unit_size} leaves one group: the noise between groups needs at least two; choose "
            "a smaller unit"
        )
    return math.sqrt(finite_population_factor(problem.num_units, units, sampling) / units)


def increment_weights(
    dt: Float[Array, ""], increment: Float[Array, " units"], scale: Float[Array, ""] | float
) -> Float[Array, " units"]:
    """Weights w with Σ w_i ∇ℓ_i = g dt − scale · R dW.

    w_i = dt/N − scale (dW_i − mean dW)/√N,   R = (1/√N)[∇ℓ_i − g]

    so that θ − Σ w_i ∇ℓ_i is an Euler step of dθ = −g dt + scale · R dW.

    Args:
        dt: time of the step (or 1, for a step in units of η).
        increment: dW, (num_units,), of variance dt each.
        scale: √(fη/S) (or √(f/S) in units of η).
    """
    num_units = increment.shape[0]
    return dt / num_units - scale * (increment - jnp.mean(increment)) / math.sqrt(num_units)


def descend(params: PyTree, velocity: PyTree, gradient: PyTree, learning_rate, momentum) -> tuple[PyTree, PyTree]:
    """Heavy ball: v ← m v − η ĝ, θ ← θ + v (plain descent where velocity is None). Each leaf keeps its dtype."""
    update = jax.tree.map(lambda g: -learning_rate * g, gradient)
    if velocity is not None:
        update = jax.tree.map(lambda v, u: momentum * v + u, velocity, update)
        velocity = jax.tree.map(lambda v, u: u.astype(v.dtype), velocity, update)
    moved = jax.tree.map(
        lambda u, x: x if u is None else (x + u).astype(x.dtype), update, params, is_leaf=lambda u: u is None
    )
    return moved, velocity


def zero_velocity(problem: Problem, params: PyTree, momentum: Any) -> PyTree:
    """v_0 = 0; None where momentum is exactly 0, so that nothing is carried."""
    if is_structural_zero(momentum):
        return None
    return jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.promote_types(x.dtype, problem.wide)), problem.moving(params))


def standard_increments(problem: Problem, key: PRNGKeyArray, substeps: int) -> Float[Array, "substeps units"]:
    """Brownian increments of one SGD step in units of the step's length: variance 1/substeps each.

    Their sum is the ξ ~ N(0, I) of Gaussian SGD, so dynamics of any number of substeps share one path.
    """
    z = jr.normal(key, (substeps, problem.num_units), problem.wide)
    return z / math.sqrt(substeps)


def coarsen(increments: Float[Array, "fine units"], substeps: int) -> Float[Array, "substeps units"]:
    """Sums fine increments into ``substeps`` coarse ones."""
    return increments.reshape(substeps, -1, increments.shape[1]).sum(axis=1)
