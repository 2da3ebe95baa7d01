"""The SDE at half its step, on the Brownian path of a run that there is already."""

import math
from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, State
from sdesgd.dynamics.sde import SDE
from sdesgd.errors import InputError, shown
from sdesgd.problem import Problem

_BRIDGE = 2**31 - 1  # of the key of a step, for the bridge: beyond what counts masks


class HalvedSDE(AbstractDynamics):
    """The SDE at h/2, replica for replica on the Brownian path that ``coarse`` has with the same key.

    Each increment ΔW of a step h is cut into two of h/2 by a Brownian bridge:

        ΔW = (ΔW/2 + B) + (ΔW/2 − B),   B ~ N(0, h/4)

    which have the law of increments, and whose sum is the one that the coarse run had. So a run at h/2 can be coupled
    with one at h, alone or in a pair of ``Coupled`` with Gaussian SGD, after that has been made and without making it
    again. With masks or groups a substep draws them afresh.

    Args:
        coarse: the SDE at h.

    Raises:
        InputError: something else than an ``SDE``.
    """

    coarse: SDE
    fine: SDE

    def __init__(self, coarse: SDE):
        if not isinstance(coarse, SDE):
            raise InputError(f"coarse is {shown(coarse)}: pass the SDE whose step is to be halved")
        self.coarse = coarse
        self.fine = SDE(
            coarse.learning_rate,
            coarse.batch_size,
            coarse.sampling,
            order=coarse.order,
            momentum=coarse.momentum,
            substeps=2 * coarse.substeps,
            solver=coarse.solver,
        )

    @property
    def learning_rate(self) -> Any:
        return self.coarse.learning_rate

    @property
    def momentum(self) -> Any:
        return self.coarse.momentum

    def init(self, problem: Problem, params: PyTree) -> State:
        return self.fine.init(problem, params)

    def draw(self, problem: Problem, state: State, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        drawn = self.coarse.draw(problem, state, key, n)
        half = drawn.numbers / 2
        bridge = jr.normal(jr.fold_in(key, _BRIDGE), half.shape, half.dtype) / math.sqrt(4 * self.coarse.substeps)
        return MaskedDraw(jnp.stack([half + bridge, half - bridge], axis=1).reshape(-1, half.shape[1]), drawn.key)

    def advance(self, problem: Problem, state: State, draw: MaskedDraw, n: Int[Array, ""]) -> State:
        return self.fine.advance(problem, state, draw, n)

    def units_per_step(self, problem: Problem) -> int:
        return self.fine.units_per_step(problem)
