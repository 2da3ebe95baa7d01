"""sdesgd: stochastic gradient descent as a stochastic differential equation, put to the test.

θ ← θ − η Σ_i w_i ∇ℓ_i(θ)          one SGD step; a dynamics is a law of the example weights w
dθ = −g dt + √(fη/S) R dW          its SDE (Itô), R Rᵀ = C, f = 1 or (N−S)/(N−1)
"""

import importlib
import importlib.metadata
import warnings
from typing import TYPE_CHECKING, Any

from sdesgd.dynamics import SDE, SGD, SVAG, Coupled, GaussianSGD, SemiImplicitHeavyBall, SmallNoiseRK3
from sdesgd.errors import InputError
from sdesgd.problem import Problem

if TYPE_CHECKING:
    from sdesgd import (
        basins,
        comparison,
        curvature,
        data,
        dynamics,
        evidence,
        gradient_noise,
        nets,
        observables,
        optimal_batch,
        plot,
        results,
        simulation,
        stationary,
        sweep,
        toys,
        trajectories,
    )
    from sdesgd.basins import Occupancy, occupancy
    from sdesgd.comparison import Comparison, Gap, ValidityCard, compare, predict_gap, simulate_coupled, validity_card
    from sdesgd.simulation import simulate
    from sdesgd.trajectories import Trajectories

try:
    __version__ = importlib.metadata.version("sdesgd")
except importlib.metadata.PackageNotFoundError:  # a copy on the path that nothing has installed
    __version__ = "0+unknown"

__all__ = [
    "SDE",
    "SGD",
    "SVAG",
    "Comparison",
    "Coupled",
    "Gap",
    "GaussianSGD",
    "InputError",
    "Occupancy",
    "Problem",
    "SemiImplicitHeavyBall",
    "SmallNoiseRK3",
    "Trajectories",
    "ValidityCard",
    "basins",
    "compare",
    "comparison",
    "curvature",
    "data",
    "dynamics",
    "evidence",
    "gradient_noise",
    "nets",
    "observables",
    "occupancy",
    "optimal_batch",
    "plot",
    "predict_gap",
    "results",
    "simulate",
    "simulate_coupled",
    "simulation",
    "stationary",
    "sweep",
    "toys",
    "trajectories",
    "validity_card",
]

# Imported at the first use: scipy.stats, pandas and xarray would double the time that `import sdesgd` takes.
_HOME_OF = {
    "Comparison": "comparison",
    "compare": "comparison",
    "Gap": "comparison",
    "Occupancy": "basins",
    "Trajectories": "trajectories",
    "ValidityCard": "comparison",
    "occupancy": "basins",
    "predict_gap": "comparison",
    "simulate": "simulation",
    "simulate_coupled": "comparison",
    "validity_card": "comparison",
}

_RENAMED = {"gradient_covariance": "gradient_noise", "layers": "nets", "models": "nets"}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"sdesgd.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    if name in _RENAMED:
        warnings.warn(f"sdesgd.{name} is now sdesgd.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    name = _RENAMED.get(name, name)
    if name in __all__:
        return importlib.import_module(f"sdesgd.{name}")
    raise AttributeError(f"module 'sdesgd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
