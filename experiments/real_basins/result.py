"""What real-basins answers with: the minima of each loss, where SGD sits among them, and where it arrives."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from experiments._shared.result import ExperimentResult
from experiments.real_basins.config import Config
from experiments.real_basins.mixing import Shares
from experiments.real_basins.problems import Anisotropy
from sdesgd.evidence import Decision

ARMS = ("SGD", "SDE", "isotropic")


@dataclasses.dataclass(frozen=True)
class Basin:
    """A minimum and its basin.

    Attributes:
        name: A for the deepest, B for the next.
        loss: L there.
        copies: of it, by the symmetry of the net.
        hits: starts of the search that came to it or to a copy.
        softest: the smallest eigenvalue of the Hessian.
        stiffest: the largest.
        barrier: L at the lowest pass found to another minimum, minus L here; infinite where none was found.
        noise: of minibatches there.
    """

    name: str
    loss: float
    copies: int
    hits: int
    softest: float
    stiffest: float
    barrier: float
    noise: Anisotropy


# -- stationary occupancy ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Arm(Shares):
    """Time shares in the runs of one arm.

    Attributes:
        trace: mean tr C along the runs.
        mean_loss: mean L along the runs.
        steps: of each run.
        replicas: runs.
        diverged: of them.
    """

    trace: float
    mean_loss: float
    steps: int
    replicas: int
    diverged: int


@dataclasses.dataclass(frozen=True, eq=False)
class Gibbs:
    """Probabilities under exp(−L/T) by NUTS.

    Attributes:
        probabilities: (M,), NaN where refused.
        standard_errors: (M,), the same.
        refused: why nothing may be claimed; "" if it may.
        r_hat: the largest.
        ess: the smallest.
    """

    probabilities: Float[np.ndarray, " M"]
    standard_errors: Float[np.ndarray, " M"]
    refused: str = ""
    r_hat: float = math.nan
    ess: float = math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Occupancy:
    """Where SGD sits at one learning rate.

    Attributes:
        eta: η.
        ratio: η/S.
        variance: σ² = tr C/D along SGD's runs.
        temperature: T = ησ²/(2S).
        barrier_over_temperature: the problem's barrier over T.
        laplace: (M,), by Laplace's formula at T.
        arms: arm → its shares.
        nuts: Gibbs' law at T; None if it wasn't asked for.
        gaps: arm → its shares minus Gibbs', where both are claimed.
        verdicts: arm → what it says of Gibbs' law, see ``verdicts.verdict``.
        sgd_less_sde: SGD's shares minus the SDE's, where both are claimed.
    """

    eta: float
    ratio: float
    variance: float
    temperature: float
    barrier_over_temperature: float
    laplace: Float[np.ndarray, " M"]
    arms: dict[str, Arm]
    nuts: Gibbs | None
    gaps: dict[str, Decision]
    verdicts: dict[str, str]
    sgd_less_sde: Decision | None


# -- arrivals --------------------------------------------------------------------------------------------------


class Proportion(NamedTuple):
    """A share of the runs with its exact (Clopper–Pearson) 95 % interval."""

    share: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class Frequencies:
    """How many runs arrive at each minimum.

    Attributes:
        counts: (M,), runs.
        unknown: runs that arrive at none of them.
        runs: all.
        shares: (M,), of the runs.
        low: (M,), lower ends of Clopper–Pearson 95 % intervals.
        high: (M,), upper ends.
    """

    counts: tuple[int, ...]
    unknown: int
    runs: int
    shares: Float[np.ndarray, " M"]
    low: Float[np.ndarray, " M"]
    high: Float[np.ndarray, " M"]


@dataclasses.dataclass(frozen=True, eq=False)
class Paired:
    """Shares minus others of runs from the same starts.

    Attributes:
        difference: (M,).
        half_width: (M,), half of each 95 % interval.
    """

    difference: Float[np.ndarray, " M"]
    half_width: Float[np.ndarray, " M"]


@dataclasses.dataclass(frozen=True, eq=False)
class Arrived(Frequencies):
    """Where the runs of one arm arrive.

    Attributes:
        less_flow: minus where gradient flow does.
        changed: share of the runs that arrive elsewhere than gradient flow from the same start.
        moved_late: share of the runs that changed their basin in the second half.
        steps: of each.
    """

    less_flow: Paired
    changed: Proportion
    moved_late: Proportion
    steps: int


@dataclasses.dataclass(frozen=True, eq=False)
class Arrival:
    """Where SGD arrives at one learning rate.

    Attributes:
        eta: η.
        ratio: η/S.
        arms: "SGD" and "SDE" → where they arrive.
        sgd_less_sde: the one minus the other.
    """

    eta: float
    ratio: float
    arms: dict[str, Arrived]
    sgd_less_sde: Paired


# -- all -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """One loss.

    Attributes:
        title: in figures.
        num_examples: N.
        dimension: D.
        decay: the weight decay.
        basins: the deepest first.
        barrier: the highest that a walk must climb, by the lowest way, to reach a deeper basin.
        steps: of a stationary run.
        arrival_time: SDE time of an arrival.
        occupancy: a row for each η, ascending.
        flow: where gradient flow arrives.
        arrivals: a row for each η, ascending.
    """

    title: str
    num_examples: int
    dimension: int
    decay: float
    basins: tuple[Basin, ...]
    barrier: float
    steps: int
    arrival_time: float
    occupancy: tuple[Occupancy, ...]
    flow: Frequencies
    arrivals: tuple[Arrival, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """Where SGD sits and where it arrives, on each loss.

    Attributes:
        problems: name → what was found of it.
        data: the minima and what they compute, shares and labels; each name begins with the problem's.
    """

    parts: ClassVar[tuple[type, ...]] = (
        *(Config, Problem, Basin, Anisotropy, Occupancy, Arm, Gibbs, Decision),
        *(Frequencies, Arrival, Arrived, Paired, Proportion),
    )
    config: Config
    problems: dict[str, Problem]
    data: xr.Dataset

    def to_xarray(self) -> xr.Dataset:
        """The minima and what they compute, shares and labels."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), "dtype": "float64", "runs": self.config.runs, "replicas": self.config.replicas}

    def answer(self, separator: str = " ") -> str:
        """What the control says, and what SGD's own noise does, for all problems.

        Args:
            separator: of its two sentences.
        """
        rows = [row for problem in self.problems.values() for row in problem.occupancy]
        isotropic, own = (
            [kind for row in rows if (kind := row.verdicts[arm]) in ("equivalent", "different", "inconclusive")]
            for arm in ("isotropic", "SGD")
        )
        if not own or not isotropic:
            return "Too few runs mixed to compare minibatch noise with Gibbs: see what was refused."
        errors = [max(row.gaps["isotropic"].half_width) for row in rows if "isotropic" in row.gaps]
        loose = f", with errors of up to ±{100 * max(errors):.0f}" if errors else ""
        collapsed = [row.verdicts["SGD"] for row in rows].count("collapsed")
        more = f", and collapses at {collapsed} more" if collapsed else ""
        return (
            f"The control, isotropic noise, agrees with Gibbs within {self.config.margin:g} percentage points at "
            f"{isotropic.count('equivalent')} of {len(isotropic)} η{loose}.{separator}"
            f"SGD's own noise of the same trace doesn't at {own.count('different')} of {len(own)}{more} "
            f"({len(rows)} η in all)."
        )
