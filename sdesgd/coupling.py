"""Two Gaussian dynamics on one Brownian path, and the gap between SGD and its SDE that they predict."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from sdesgd import evidence
from sdesgd.dynamics import AbstractDynamics, MaskedDraw, Schedule
from sdesgd.problem import Problem
from sdesgd.sde import SDE
from sdesgd.sgd import GaussianSGD
from sdesgd.simulation import simulate


class Coupled(AbstractDynamics):
    """Two dynamics driven by the same Brownian increments, masks and groups.

    Both read increments of one step in units of its length; the coarser sums the finer's. ``params`` is the pair,
    so observables take a pair.

    Args:
        first, second: ``GaussianSGD`` or ``SDE``, of the same learning rate; the substeps of one are a multiple of
            the other's.
    """

    first: GaussianSGD | SDE
    second: GaussianSGD | SDE

    @property
    def learning_rate(self) -> Any:
        return self.first.learning_rate

    def init(self, problem: Problem, params: PyTree) -> tuple:
        return self.first.init(problem, params), self.second.init(problem, params)

    def draw(self, problem: Problem, state: tuple, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        k = 0 if getattr(self.first, "substeps", 1) >= getattr(self.second, "substeps", 1) else 1
        return (self.first, self.second)[k].draw(problem, state[k], key, n)

    def advance(self, problem: Problem, state: tuple, draw: MaskedDraw, n: Int[Array, ""]) -> tuple:
        return (
            self.first.advance(problem, state[0], draw, n),
            self.second.advance(problem, state[1], draw, n),
        )

    def params(self, state: tuple) -> tuple[PyTree, PyTree]:
        return self.first.params(state[0]), self.second.params(state[1])


@dataclasses.dataclass(frozen=True)
class Gap:
    """E[observable] under Gaussian SGD minus under the SDE, replica by replica on shared increments.

    Attributes:
        time: (T,) SDE time.
        mean, standard_error: name → (T, ...).
        differences: name → (replicas, T, ...).
        diverged: (replicas,) bool; diverged replicas leave the means.
    """

    time: np.ndarray
    mean: dict[str, np.ndarray]
    standard_error: dict[str, np.ndarray]
    differences: dict[str, np.ndarray]
    diverged: np.ndarray


class _Pair:
    """An observable of a pair of params. Equal where the observable is, so a second call compiles nothing."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, pair):
        return jnp.stack([self.function(p) for p in pair])

    def __eq__(self, other):
        return isinstance(other, _Pair) and self.function == other.function

    def __hash__(self):
        return hash(self.function)
