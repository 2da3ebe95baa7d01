"""What the experiment answers with."""

import dataclasses
from typing import ClassVar

import xarray as xr

from experiments._shared.result import ExperimentResult
from experiments._shared.template.config import Config


@dataclasses.dataclass(frozen=True)
class Measured:
    """SGD's variance at one learning rate.

    Attributes:
        learning_rate: η.
        variance, error: of θ at the end of the runs, with its standard error.
        law: what it should be.
    """

    learning_rate: float
    variance: float
    error: float
    law: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """Variances beside their law, and the runs that they are of.

    Attributes:
        rows: one for each learning rate.
        data: θ at the end of each run.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, Measured)
    config: Config
    rows: tuple[Measured, ...]
    data: xr.Dataset

    def to_xarray(self) -> xr.Dataset:
        """θ at the end of each run."""
        return self.data

    def answer(self) -> str:
        """The headline."""
        worst = max(abs(row.variance - row.law) / row.error for row in self.rows)
        return f"SGD's variance is at most {worst:.1f} standard errors from its law."
