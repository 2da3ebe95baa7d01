"""What weak-order answers with: the slope of every error, and what they say together."""

import dataclasses
from typing import ClassVar

import numpy as np
import xarray as xr

from experiments._shared.result import ExperimentResult
from experiments.weak_order.config import Config
from experiments.weak_order.net import supremum
from experiments.weak_order.slopes import ABSCISSA, WITHOUT_NOISE, Measured
from sdesgd import evidence


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """An error that has no order, (points,) each: x is the step size."""

    x: np.ndarray
    error: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Halving:
    """The integrator's own errors on the net, h against h/2 at the largest η, (2,) each: of order 1 and of order 2."""

    error: np.ndarray
    standard_error: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """How fast weak errors vanish.

    Attributes:
        comparisons: of ``COMPARISONS``, by name.
        data: every error against its step size; those of the net by start and observable too.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, Measured, evidence.OrderFit)
    config: Config
    comparisons: dict[str, Measured]
    data: xr.Dataset

    def to_xarray(self) -> xr.Dataset:
        """Every error against its step size."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), **self.data.attrs}

    @property
    def without_noise(self) -> dict[str, Series]:
        """Panel → the error of the equation without its noise, where it stays as it is."""
        return {
            panel: Series(self.data[f"{panel}_{ABSCISSA[panel]}"].values, self.data[name].values)
            for panel, (name, _) in WITHOUT_NOISE.items()
        }

    @property
    def integrator_on_net(self) -> Halving:
        """The integrator's own errors on the net."""
        return Halving(*supremum(self.data["net_halving_mean"].values, self.data["net_halving_standard_error"].values))

    def answer(self, separator: str = " ") -> str:
        """What the slopes say together, or which of them aren't as expected."""
        statuses = {name: found.status for name, found in self.comparisons.items()}
        missed = [f"{name.replace('_', ' ')} {status}" for name, status in statuses.items() if status != "met"]
        if missed:
            return f"{len(statuses) - len(missed)} of {len(statuses)} slopes as expected; {', '.join(missed)}."
        parts = (
            "Means at fixed time: SGD is O(η) from its SDE, and from gradient flow too; O(η²) from the order-2 "
            "equation.",
            "Fluctuations: the SDE gets their variance right to a relative O(η); gradient flow has none.",
            f"Heavy ball: O(√η) at fixed (1−m)/√η. SVAG: O(1/ℓ). All {len(statuses)} slopes as expected.",
        )
        return separator.join(parts)
