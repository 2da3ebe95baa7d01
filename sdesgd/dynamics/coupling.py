"""Two Gaussian dynamics on one Brownian path."""

from typing import Any

from jax.core import Tracer
from jaxtyping import Array, Int, PyTree

from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, traced_schedule
from sdesgd.dynamics.sde import SDE
from sdesgd.dynamics.sgd import GaussianSGD
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.types import PRNGKeyArray


class Coupled(AbstractDynamics):
    """Two dynamics driven by the same Brownian increments, masks and groups.

    Both read increments of one step in units of its length; the coarser sums the finer's. ``params`` is the pair,
    so observables take a pair, and give an array with a leading axis of 2; ``diverged`` is (replicas, 2).

    Args:
        first, second: ``GaussianSGD`` or ``SDE``, of the same learning rate; the substeps of one are a multiple of
            the other's.

    Raises:
        InputError: other rates, or substeps of which neither divides the other.
    """

    first: GaussianSGD | SDE
    second: GaussianSGD | SDE

    def __init__(self, first: GaussianSGD | SDE, second: GaussianSGD | SDE):
        for dynamics in (first, second):
            if not isinstance(dynamics, GaussianSGD | SDE):
                raise InputError(f"{type(dynamics).__name__} has no Brownian path to share: pass GaussianSGD or SDE")
        self.first, self.second = first, second
        if not _same_rate(first.learning_rate, second.learning_rate):
            rates = " and ".join(
                "a schedule" if callable(d.learning_rate) else str(d.learning_rate) for d in (first, second)
            )
            raise InputError(f"learning rates {rates} can't share a path: give both the same number or schedule object")
        fine, coarse = sorted((self._substeps(0), self._substeps(1)), reverse=True)
        if fine % coarse:
            raise InputError(f"substeps {coarse} and {fine} can't share a path: make one a multiple of the other")

    def _substeps(self, k: int) -> int:
        return getattr((self.first, self.second)[k], "substeps", 1)

    @property
    def learning_rate(self) -> Any:
        return self.first.learning_rate

    def init(self, problem: Problem, params: PyTree) -> tuple:
        return self.first.init(problem, params), self.second.init(problem, params)

    def draw(self, problem: Problem, state: tuple, key: PRNGKeyArray, n: Int[Array, ""]) -> MaskedDraw:
        k = 0 if self._substeps(0) >= self._substeps(1) else 1
        return (self.first, self.second)[k].draw(problem, state[k], key, n)

    def advance(self, problem: Problem, state: tuple, draw: MaskedDraw, n: Int[Array, ""]) -> tuple:
        return (
            self.first.advance(problem, state[0], draw, n),
            self.second.advance(problem, state[1], draw, n),
        )

    @property
    def momentum(self) -> Any:
        return self.first.momentum

    def members(self, state: tuple) -> tuple:
        return state

    def join(self, members: tuple) -> tuple:
        return members

    def units_per_step(self, problem: Problem) -> int:
        return self.first.units_per_step(problem) + self.second.units_per_step(problem)

    def units_at_once(self, problem: Problem) -> int:
        return max(self.first.units_at_once(problem), self.second.units_at_once(problem))

    def params(self, state: tuple) -> tuple[PyTree, PyTree]:
        return self.first.params(state[0]), self.second.params(state[1])


def _same_rate(first: Any, second: Any) -> bool:
    """Whether two rates are one; of schedules those that are traced to the same program."""
    if callable(first) and callable(second):
        return first is second or bool(traced_schedule(first) == traced_schedule(second))
    if callable(first) or callable(second) or isinstance(first, Tracer) or isinstance(second, Tracer):
        return first is second
    return float(first) == float(second)
