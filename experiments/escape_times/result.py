"""What escape-times answers with: measured mean times beside the exact ones and Kramers' formula."""

import dataclasses
from typing import ClassVar

import xarray as xr

import sdesgd as sg
from experiments._shared.result import ExperimentResult
from experiments.escape_times.config import ARMS, Config

_MARGIN = 0.15  # of a measured mean around the exact one, as a share of it


@dataclasses.dataclass(frozen=True)
class Passages:
    """The mean first-passage time of SGD or of the SDE at one barrier, in SDE time (η per SGD step).

    Attributes:
        mean: of the measured passages.
        error: its standard error.
        exact: what it should be.
    """

    mean: float
    error: float
    exact: float

    @property
    def z(self) -> float:
        """The deviation from the exact time in standard errors."""
        return (self.mean - self.exact) / self.error


@dataclasses.dataclass(frozen=True)
class Barrier:
    """The times at one height of the barrier.

    Attributes:
        ratio: ΔV/T.
        temperature: T.
        kramers: the time by Kramers' formula.
        arms: "SGD" and "SDE" → its passages.
    """

    ratio: float
    temperature: float
    kramers: float
    arms: dict[str, Passages]


@dataclasses.dataclass(frozen=True)
class WellShape:
    """Where the passages start and end.

    Attributes:
        start: the deeper minimum, θ.
        top: the pass, θ.
        target: the other minimum, θ.
        barrier: ΔV.
    """

    start: float
    top: float
    target: float
    barrier: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """How long a well holds, against ΔV/T.

    Attributes:
        well: from which the passages start.
        rows: one for each ΔV/T, ascending.
        data: the steps of every passage, and the curves of exact times and of Kramers' formula.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, WellShape, Barrier, Passages)
    config: Config
    well: WellShape
    rows: tuple[Barrier, ...]
    data: xr.Dataset

    def to_xarray(self) -> xr.Dataset:
        """The steps of every passage, and the curves."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), "dtype": "float64", "passages": self.config.passages}

    @property
    def worst(self) -> float:
        """The largest deviation of a measured mean from the exact one, in standard errors."""
        return max(abs(arm.z) for row in self.rows for arm in row.arms.values())

    def agreement(self) -> sg.evidence.Decision:
        """Measured against exact times, as shares of the exact ones.

        The SDE's exact time is one to leading order in √η, so enough passages would find it wrong by something: the
        claim is of a margin.
        """
        arms = [arm for row in self.rows for arm in row.arms.values()]
        deviations = [arm.mean / arm.exact - 1 for arm in arms]
        return sg.evidence.decide_differences(deviations, [arm.error / arm.exact for arm in arms], _MARGIN)

    def answer(self) -> str:
        """What the passages say of the exact times, and the exact times of Kramers."""
        deep = self.rows[-1]
        ratios = {arm: deep.arms[arm].exact / deep.kramers for arm in ARMS}
        found = self.agreement()
        words = {
            "equivalent": f"agree with the exact ones within {100 * _MARGIN:g} %",
            "different": "differ from the exact ones",
            "inconclusive": f"aren't shown to be within {100 * _MARGIN:g} % of the exact ones, nor to differ",
        }
        count = len(found.difference)
        return (
            f"Measured times {words[found.kind]} (largest of {count} deviations {self.worst:.1f} SE); "
            f"at ΔV/T = {deep.ratio:g} exact ÷ Kramers is {ratios['SDE']:.3f} for the SDE, {ratios['SGD']:.3f} for SGD."
        )
