"""SGD in its three sampling modes, Gaussian SGD, and SVAG."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PyTree

from sdesgd import inputs
from sdesgd.dynamics import protocol as dyn
from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, State
from sdesgd.problem import Problem
from sdesgd.types import LearningRate, PRNGKeyArray


def _sample_units(key: PRNGKeyArray, num_units: int, count: int, sampling: str) -> Int[Array, " batch"]:
    if sampling == "replacement":
        return jr.randint(key, (count,), 0, num_units)
    return jr.choice(key, num_units, (count,), replace=False)


class SGD(AbstractDynamics):
    """Minibatch SGD with heavy ball.

    v ← m v − η (1/S) Σ_{i in batch} ∇ℓ_i(θ),   θ ← θ + v

    The batch: S independent draws (``"replacement"``), a random subset (``"no_replacement"``), or the next S of
    a permutation renewed each epoch (``"reshuffle"``; an epoch is ⌊N/S⌋ steps, the examples left over sit out
    until the next one). Minibatches are gathered: a step costs S gradients (with groups a
    permutation of N besides).
    Where the unit is a group (batch norm), a batch is made of groups of the step's random partition, so its examples
    are distinct in every mode, and "replacement" is of groups; an epoch of reshuffling is one partition.

    Args:
        learning_rate: η > 0, or a schedule of the step n (an optax schedule, say).
        batch_size: S, in examples.
        sampling: "replacement" | "no_replacement" | "reshuffle".
        momentum: 0 ≤ m < 1.

    Raises:
        InputError: values out of range; at ``init``: S > N without replacement, S not a multiple of the unit.
    """

    learning_rate: LearningRate
    batch_size: int
    sampling: str = "replacement"
    momentum: float | Array = 0.0

    def __check_init__(self):
        dyn.check_learning_rate(self.learning_rate)
        inputs.check_positive_integer("batch_size", self.batch_size)
        dyn.check_sampling(self.sampling, dyn.SAMPLING_MODES)
        dyn.check_momentum(self.momentum)

    def init(self, problem: Problem, params: PyTree) -> State:
        dyn.batch_units(problem, self.batch_size, self.sampling)
        order = jnp.arange(problem.num_examples) if self.sampling == "reshuffle" else None
        return State(params, dyn.zero_velocity(problem, params, self.momentum), order)

    def units_per_step(self, problem: Problem) -> int:
        return self.batch_size // problem.unit_size

    def units_at_once(self, problem: Problem) -> int:
        return self.batch_size // problem.unit_size

    def draw(self, problem: Problem, state: State, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        key_units, key_masks = dyn.split_key(problem, key)
        count = self.batch_size // problem.unit_size
        if self.sampling != "reshuffle":
            return MaskedDraw(_sample_units(key_units, problem.num_units, count, self.sampling), key_masks)
        new_epoch = n % (problem.num_units // count) == 0
        shuffled = lambda: jr.permutation(key_units, problem.num_examples)  # noqa: E731
        order = jax.lax.cond(new_epoch, shuffled, lambda: state.permutation)
        return MaskedDraw(order, key_masks)

    def advance(self, problem: Problem, state: State, draw: MaskedDraw, n: Int[Array, ""]) -> State:
        units, order = draw.numbers, None
        if self.sampling == "reshuffle":
            count, order = self.batch_size // problem.unit_size, draw.numbers
            first = (n % (problem.num_units // count)) * self.batch_size
            units = jax.lax.dynamic_slice_in_dim(order, first, self.batch_size)
            if problem.unit_size > 1:
                units = units.reshape(count, problem.unit_size)  # an epoch is one partition into groups
        gradient = problem.minibatch_gradient(state.params, units, draw.key)
        rate = self.rate(n, problem.wide)
        params, velocity = dyn.descend(state.params, state.velocity, gradient, rate, self.momentum)
        return State(params, velocity, order)


class GaussianSGD(AbstractDynamics):
    """SGD with Gaussian minibatch noise of the same mean and covariance, Euler–Maruyama of the SDE at h = η.

    θ ← θ − η Σ w_i ∇ℓ_i(θ),   w_i = 1/N − √(f/(N S)) (ξ_i − mean ξ),   ξ ~ N(0, I_N)

    Its first two moments of one step are SGD's own, over groups (batch norm, in units of groups: S = f = 1) and masks
    (dropout) too; what it lacks is the non-Gaussianity of minibatch noise.
    A step costs one full gradient. With momentum, the gradient enters the heavy ball as in ``SGD``.

    Args:
        learning_rate: η > 0, or a schedule of the step n.
        batch_size: S, in examples.
        sampling: "replacement" (f = 1) | "no_replacement" (f = (N−S)/(N−1)).
        momentum: 0 ≤ m < 1.

    Raises:
        InputError: values out of range; reshuffling, whose steps are not independent.
    """

    learning_rate: LearningRate
    batch_size: int
    sampling: str = "replacement"
    momentum: float | Array = 0.0

    def __check_init__(self):
        dyn.check_learning_rate(self.learning_rate)
        inputs.check_positive_integer("batch_size", self.batch_size)
        dyn.check_sampling(self.sampling, dyn.SAMPLING_MODES[:2], "an epoch's noise cancels at fixed parameters")
        dyn.check_momentum(self.momentum)

    def init(self, problem: Problem, params: PyTree) -> State:
        dyn.gaussian_factor(problem, self.batch_size, self.sampling)
        return State(params, dyn.zero_velocity(problem, params, self.momentum))

    def units_per_step(self, problem: Problem) -> int:
        return problem.num_units

    def draw(self, problem: Problem, state: State, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        key_increments, key_masks = dyn.split_key(problem, key)
        return MaskedDraw(dyn.standard_increments(problem, key_increments, 1), key_masks)

    def advance(self, problem: Problem, state: State, draw: MaskedDraw, n: Int[Array, ""]) -> State:
        scale = dyn.gaussian_factor(problem, self.batch_size, self.sampling)
        weights = dyn.increment_weights(jnp.ones((), problem.wide), dyn.coarsen(draw.numbers, 1)[0], scale)
        gradient = problem.weighted_gradient(state.params, weights, draw.key)
        rate = self.rate(n, problem.wide)
        params, velocity = dyn.descend(state.params, state.velocity, gradient, rate, self.momentum)
        return State(params, velocity)


class SVAG(AbstractDynamics):
    """Stochastic variance amplified gradient: SGD steps that approach the SDE as ℓ grows.

    ℓ times:  θ ← θ − (η/ℓ)[c₁ ∇L_{B1}(θ) + c₂ ∇L_{B2}(θ)],   c₁,₂ = (1 ± √(2ℓ−1))/2

    with independent batches B1, B2, so c₁ + c₂ = 1 and c₁² + c₂² = ℓ; ℓ inner steps are one SGD step of time.
    ℓ = 1 is SGD. The weak distance to the SDE is O(1/ℓ) at fixed η
    (Li, Malladi & Arora 2021, arXiv 2102.12470).

    Args:
        learning_rate: η > 0, or a schedule of the step n.
        batch_size: S, in examples.
        ell: ℓ ≥ 1.
        sampling: "replacement" | "no_replacement" within each batch.

    Raises:
        InputError: values out of range; reshuffling, whose batches are not independent.
    """

    learning_rate: LearningRate
    batch_size: int
    ell: int
    sampling: str = "replacement"

    def __check_init__(self):
        dyn.check_learning_rate(self.learning_rate)
        inputs.check_positive_integer("batch_size", self.batch_size)
        inputs.check_positive_integer("ell", self.ell)
        dyn.check_sampling(self.sampling, dyn.SAMPLING_MODES[:2], "SVAG needs two independent batches a step")

    @property
    def coefficients(self) -> tuple[float, float]:
        """(c₁, c₂)."""
        root = math.sqrt(2 * self.ell - 1)
        return (1 + root) / 2, (1 - root) / 2

    def init(self, problem: Problem, params: PyTree) -> State:
        dyn.batch_units(problem, self.batch_size, self.sampling)
        return State(params)

    def units_per_step(self, problem: Problem) -> int:
        return 2 * self.ell * self.batch_size // problem.unit_size

    def units_at_once(self, problem: Problem) -> int:
        return self.batch_size // problem.unit_size

    def draw(self, problem: Problem, state: State, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        key_units, key_masks = dyn.split_key(problem, key)
        count = self.batch_size // problem.unit_size
        sample = lambda k: _sample_units(k, problem.num_units, count, self.sampling)  # noqa: E731
        units = jax.vmap(jax.vmap(sample))(jr.split(key_units, (self.ell, 2)))
        return MaskedDraw(units, None if key_masks is None else jr.split(key_masks, (self.ell, 2)))

    def advance(self, problem: Problem, state: State, draw: MaskedDraw, n: Int[Array, ""]) -> State:
        rate = self.rate(n, problem.wide) / self.ell
        plus, minus = self.coefficients
        moving, fixed = eqx.partition(state.params, eqx.is_inexact_array)

        def inner(moving, batches):
            units, keys = batches
            gradients = [
                problem.minibatch_gradient(eqx.combine(moving, fixed), units[k], None if keys is None else keys[k])
                for k in (0, 1)
            ]
            gradient = jax.tree.map(lambda a, b: plus * a + minus * b, *gradients)
            return dyn.descend(moving, None, gradient, rate, 0.0)[0], None

        moving, _ = jax.lax.scan(inner, moving, (draw.numbers, draw.key))
        return State(eqx.combine(moving, fixed))
