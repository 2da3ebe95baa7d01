"""sdesgd: stochastic gradient descent as a stochastic differential equation, put to the test.

θ ← θ − η Σ_i w_i ∇ℓ_i(θ)          one SGD step; a dynamics is a law of the example weights w
dθ = −g dt + √(fη/S) R dW          its SDE (Itô), R Rᵀ = C, f = 1 or (N−S)/(N−1)
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.sde import SDE
from sdesgd.sgd import SGD, SVAG, GaussianSGD
from sdesgd.solvers import SemiImplicitHeavyBall, SmallNoiseRK3

if TYPE_CHECKING:
    from sdesgd import (
        basins,
        curvature,
        data,
        evidence,
        gradient_covariance,
        layers,
        models,
        observables,
        optimal_batch,
        stationary,
        sweep,
        toys,
    )
    from sdesgd.coupling import Coupled, Gap, predict_gap, simulate_coupled
    from sdesgd.simulation import simulate
    from sdesgd.trajectories import Trajectories
    from sdesgd.validity import ValidityCard, validity_card

__version__ = importlib.metadata.version("sdesgd")

__all__ = [
    "SDE",
    "SGD",
    "SVAG",
    "Coupled",
    "Gap",
    "GaussianSGD",
    "InputError",
    "Problem",
    "SemiImplicitHeavyBall",
    "SmallNoiseRK3",
    "Trajectories",
    "ValidityCard",
    "basins",
    "curvature",
    "data",
    "evidence",
    "gradient_covariance",
    "layers",
    "models",
    "observables",
    "optimal_batch",
    "predict_gap",
    "simulate",
    "simulate_coupled",
    "stationary",
    "sweep",
    "toys",
    "validity_card",
]

# Imported at the first use: scipy.stats, pandas and xarray would double the time that `import sdesgd` takes.
_HOME_OF = {
    "Coupled": "coupling",
    "Gap": "coupling",
    "Trajectories": "trajectories",
    "ValidityCard": "validity",
    "predict_gap": "coupling",
    "simulate": "simulation",
    "simulate_coupled": "coupling",
    "validity_card": "validity",
}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"sdesgd.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    if name in __all__:
        return importlib.import_module(f"sdesgd.{name}")
    raise AttributeError(f"module 'sdesgd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
