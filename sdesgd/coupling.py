"""Two Gaussian dynamics on one Brownian path, and the gap between SGD and its SDE that they predict."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from sdesgd import evidence, inputs
from sdesgd.dynamics import AbstractDynamics, MaskedDraw, traced_schedule
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.sde import SDE
from sdesgd.sgd import GaussianSGD
from sdesgd.simulation import simulate
from sdesgd.trajectories import Trajectories


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


@dataclasses.dataclass(frozen=True)
class Gap:
    """E[observable] under Gaussian SGD minus under the SDE, replica by replica on shared increments.

    Attributes:
        time: (T,) SDE time.
        mean, standard_error: name → (T, ...).
        differences: name → (replicas, T, ...).
        diverged: (replicas,) bool, in either dynamics; diverged replicas leave the means.
    """

    time: np.ndarray
    mean: dict[str, np.ndarray]
    standard_error: dict[str, np.ndarray]
    differences: dict[str, np.ndarray]
    diverged: np.ndarray


class _Pair(eqx.Module):
    """Observables of a pair of params, stacked: (2, ...)."""

    function: Callable

    def __call__(self, pair: tuple[PyTree, PyTree]) -> PyTree:
        return jax.tree.map(lambda *values: jnp.stack(values), *(self.function(params) for params in pair))


def simulate_coupled(
    first: GaussianSGD | SDE, second: GaussianSGD | SDE, problem: Problem, *, observables, **settings: Any
) -> tuple[Trajectories, Trajectories]:
    """``simulate`` for two dynamics on shared increments: replica r of one pairs with replica r of the other.

    Either may diverge without the other.

    Args:
        first, second: as for ``Coupled``.
        problem: as for ``simulate``.
        observables: functions of params, as for ``simulate``.
        settings: as for ``simulate``; but ``until`` and ``accumulate`` get the pair of params, and both results carry
            what they give.
    """
    if callable(observables):
        pairs = _Pair(observables)
    else:
        observables = inputs.check_mapping_of_functions("observables", observables)
        pairs = {name: _Pair(function) for name, function in observables.items()}
    both = simulate(Coupled(first, second), problem, observables=pairs, **settings)

    def part(k: int) -> Trajectories:
        values = {name: array[:, :, k] for name, array in both.values.items()}
        return dataclasses.replace(both, values=values, final_params=both.final_params[k], diverged=both.diverged[:, k])

    return part(0), part(1)


def predict_gap(
    problem: Problem,
    learning_rate: Any,
    batch_size: int,
    *,
    num_steps: int,
    replicas: int,
    key: PRNGKeyArray,
    observables: Mapping[str, Callable[[PyTree], Any]],
    sampling: str = "replacement",
    momentum: Any = 0.0,
    substeps: int = 1,
    save_every: int = 1,
    params: PyTree = None,
    progress: str = "",
) -> Gap:
    """How far SGD will be from its SDE, before any SGD is run: the discretisation part of the gap.

    SGD − SDE = (SGD − Gaussian SGD) + (Gaussian SGD − SDE)

    The second part, O(η), is measured here on shared Brownian increments, which makes its standard error far
    smaller than that of two independent ensembles. The first, the non-Gaussianity of minibatch noise, is
    O(η² · third cumulants) and is not in it: see ``gradient_covariance.minibatch_cumulants``. Five gradients a
    step. The bias of the SDE's integrator is left in; halve h with ``substeps`` to see it. Masks and groups are shared
    by the two, fresh with each step, and averaged over with the replicas.

    Args:
        problem, num_steps, replicas, key, observables, save_every, params, progress: as for ``simulate``.
        learning_rate, batch_size, sampling, momentum, substeps: as for ``SDE``.

    Raises:
        InputError: as ``simulate`` and ``SDE``.
    """
    gaussian, sde = simulate_coupled(
        GaussianSGD(learning_rate, batch_size, sampling, momentum),
        SDE(learning_rate, batch_size, sampling, momentum=momentum, substeps=substeps),
        problem,
        num_steps=num_steps,
        replicas=replicas,
        key=key,
        observables=observables,
        save_every=save_every,
        params=params,
        progress=progress,
    )
    return gap_between(gaussian, sde)


def gap_between(first: Trajectories, second: Trajectories) -> Gap:
    """The paired difference of two coupled ensembles."""
    estimates = {name: evidence.paired_difference(array, second.values[name]) for name, array in first.values.items()}
    return Gap(
        time=first.time,
        mean={name: np.asarray(e.mean) for name, e in estimates.items()},
        standard_error={name: np.asarray(e.standard_error) for name, e in estimates.items()},
        differences={name: array - second.values[name] for name, array in first.values.items()},
        diverged=first.diverged | second.diverged,
    )
