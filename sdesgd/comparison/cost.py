"""What a replica costs, in evaluations of a per-example gradient ∇ℓ_i: a step of SGD takes S, one of the SDE 4N."""

from typing import Any

from sdesgd.dynamics import SDE, Coupled, HalvedSDE
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.problem import Problem

# Of a save, in passes over the examples: a gradient of each for ‖g‖² and tr C, and a forward pass, a third of it.
OBSERVED = 4 / 3


def gradients_per_step(dynamics: AbstractDynamics, problem: Problem) -> int:
    """Per-example gradients of one SGD step of time.

    Args:
        dynamics: SGD takes S, Gaussian SGD N, SVAG 2ℓS, the SDE N a stage and substep, a coupled pair both.
        problem: the finite sum.
    """
    if isinstance(dynamics, Coupled):
        return sum(gradients_per_step(part, problem) for part in (dynamics.first, dynamics.second))
    if isinstance(dynamics, HalvedSDE):
        return gradients_per_step(dynamics.fine, problem)
    stages = _stages(dynamics.solver) if isinstance(dynamics, SDE) else 1
    return dynamics.units_per_step(problem) * problem.unit_size * stages


def _stages(solver: Any) -> int:
    tableau = getattr(solver, "tableau", None)
    return 1 if tableau is None else len(getattr(tableau, "drift", (None,)))


def gradients_per_replica(dynamics: AbstractDynamics, problem: Problem, num_steps: int, saves: int) -> float:
    """Per-example gradients of one replica, those of the observables counted.

    Args:
        dynamics: as for ``gradients_per_step``.
        problem: the finite sum.
        num_steps: of SGD.
        saves: times at which the observables are evaluated.
    """
    arms = 2 if isinstance(dynamics, Coupled) else 1
    observed = OBSERVED * problem.num_units * problem.unit_size
    return num_steps * gradients_per_step(dynamics, problem) + arms * saves * observed
