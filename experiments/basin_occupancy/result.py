"""What basin-occupancy answers with: each basin's occupancy by every source, and what the sources say of each other."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from experiments._shared.result import ExperimentResult
from experiments.basin_occupancy.config import Config
from sdesgd.basins.passes import Saddle
from sdesgd.evidence import Decision, OrderFit


@dataclasses.dataclass(frozen=True, eq=False)
class Basin:
    """A basin of the potential.

    Attributes:
        name: A for the deepest, B for the next.
        minimum: (D,), θ.
        loss: V there.
        curvatures: (D,), the Hessian's eigenvalues there, ascending.
        barrier: V at the lowest pass out, minus V at the minimum.
    """

    name: str
    minimum: Float[np.ndarray, " D"]
    loss: float
    curvatures: Float[np.ndarray, " D"]
    barrier: float


@dataclasses.dataclass(frozen=True, eq=False)
class Theory:
    """Occupancies by quadrature and by formulas.

    Attributes:
        gibbs: (M,), of exp(−V/T).
        reference: (M,), of the SDE's own law: Gibbs, or with C(θ) the Itô density.
        laplace: (M,), derived.
        corrected: (M,), with the next order in T; constant C alone.
    """

    gibbs: Float[np.ndarray, " M"]
    reference: Float[np.ndarray, " M"]
    laplace: Float[np.ndarray, " M"]
    corrected: Float[np.ndarray, " M"] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """An occupancy with error bars.

    Attributes:
        probabilities: (M,), NaN where refused.
        standard_errors: (M,), the same.
        crossings: (M,), between the core of each basin and others; None for NUTS.
        refused: why nothing may be claimed; None if it may.
        steps: of a simulation, that count.
        burn_in: its steps before those.
        replicas: of a simulation.
        r_hat: of NUTS, the largest.
        ess: of NUTS, the smallest.
    """

    probabilities: Float[np.ndarray, " M"]
    standard_errors: Float[np.ndarray, " M"]
    crossings: Int[np.ndarray, " M"] | None
    refused: str | None = None
    steps: int | None = None
    burn_in: int | None = None
    replicas: int | None = None
    r_hat: float | None = None
    ess: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """How often SGD is in one basin, against what is said of it.

    Attributes:
        gibbs: the decision against Gibbs' law.
        law: that against the SDE's.
        parts: part → what the exact laws say that it adds to the gap to Gibbs.
    """

    gibbs: Decision
    law: Decision
    parts: dict[str, float]

    @property
    def gap(self) -> float:
        """SGD's share minus Gibbs'."""
        return float(self.gibbs.difference[0])

    @property
    def half_width(self) -> float:
        """Half of the gap's 95 % interval."""
        return float(self.gibbs.half_width[0])


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """All sources at one temperature.

    Attributes:
        temperature: T.
        refused: why nothing was simulated; None if it was.
        theory: what needs no simulation.
        exact: source → (M,), the law of what it simulates or samples; None out of reach.
        measured: source → what it gave.
        verdicts: for each basin, None without a measured share of SGD.
    """

    temperature: float
    refused: str | None
    theory: Theory
    exact: dict[str, Float[np.ndarray, " M"] | None]
    measured: dict[str, Measured]
    verdicts: tuple[Verdict | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class OwnLaws:
    """Every simulation against the exact law of what it simulates.

    Attributes:
        count: of the comparisons.
        largest: distance in standard errors.
        p_value: of that one, by Holm.
        where: source, T and basin of that one.
    """

    count: int
    largest: float = math.nan
    p_value: float = math.nan
    where: tuple[str, float, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Power:
    """The power of η with which the exact law of one arm approaches the SDE's.

    Attributes:
        expected: by theory.
        etas: (K,), η, ascending.
        gaps: (K,), the arm's share of the shown basin minus the SDE's.
        fit: of the smallest steps on one side of zero, against η^expected; None where they are too few.
    """

    expected: float
    etas: Float[np.ndarray, " K"]
    gaps: Float[np.ndarray, " K"]
    fit: OrderFit | None

    @property
    def order(self) -> float:
        """The measured power; NaN without a fit."""
        return math.nan if self.fit is None else self.fit.order * self.expected

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return math.nan if self.fit is None else self.fit.low * self.expected

    @property
    def high(self) -> float:
        """The upper end."""
        return math.nan if self.fit is None else self.fit.high * self.expected

    def __str__(self) -> str:
        if self.fit is None:
            return f"power not measured (too few steps on one side of zero), theory {self.expected:g}"
        return f"power {self.order:.2f} [{self.low:.2f}, {self.high:.2f}], theory {self.expected:g}"


@dataclasses.dataclass(frozen=True)
class Powers:
    """The limit η → 0 at fixed T and S.

    Attributes:
        temperature: T.
        arms: arm → its power.
    """

    temperature: float
    arms: dict[str, Power]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """How often SGD sits in each basin, against T.

    Attributes:
        learning_rate: η, as given or chosen.
        barrier: the highest that a walk must climb, by the lowest way, to reach a deeper well.
        basins: the deepest first.
        saddles: the passes between them.
        cores: (M, 2), intervals on a line; (0, 2) in the plane.
        temperatures: a row for each T, ascending.
        shown_basin: the one that the figure and the headline are about.
        own_laws: simulations against their exact laws.
        powers: the limit η → 0.
        data: curves against T and η, measurements, densities and paths.
    """

    parts: ClassVar[tuple[type, ...]] = (
        *(Config, Basin, Saddle, Row, Theory, Measured, Verdict, Decision),
        *(OwnLaws, Powers, Power, OrderFit),
    )
    config: Config
    learning_rate: float
    barrier: float
    basins: tuple[Basin, ...]
    saddles: tuple[Saddle, ...]
    cores: Float[np.ndarray, "cores 2"]
    temperatures: tuple[Row, ...]
    shown_basin: int
    own_laws: OwnLaws
    powers: Powers
    data: xr.Dataset

    @property
    def dimension(self) -> int:
        """D."""
        return len(self.basins[0].minimum)

    @property
    def shown_temperature(self) -> float:
        """The lowest that wasn't refused."""
        return next(row.temperature for row in self.temperatures if row.refused is None)

    @property
    def grid_error(self) -> float:
        """What a coarser grid changes in SGD's exact law at that temperature."""
        return float(self.data["grid_error"])

    @property
    def law(self) -> str:
        """The SDE's stationary law: "Gibbs", or where C varies "Itô"."""
        return "Gibbs" if self.config.noise == "constant" else "Itô"

    def to_xarray(self) -> xr.Dataset:
        """Curves, measurements, densities and paths."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), "dtype": "float64", "replicas": self.config.replicas}

    def settings(self) -> str:
        """The potential and the numbers of the run, in a line."""
        config, tilts = self.config, self.config.tilts
        noise = "constant C" if config.noise == "constant" else "C(θ) larger to the right"
        if tilts == "skewed":
            N = config.examples
            tilts += f" (N = {N} a coordinate, skewness {(N - 2) / (N - 1) ** 0.5:.2g})"
        return (
            f"{config.potential} potential, η = {self.learning_rate:g}, S = {config.batch_size}, {tilts} "
            f"tilts, {noise}, barrier {self.barrier:.3g}, {config.replicas} replicas"
        )

    def answer(self) -> str:
        """Where SGD stands against Gibbs, in a line."""
        k, margin = self.shown_basin, self.config.margin
        found = [(row, verdict) for row in self.temperatures if (verdict := row.verdicts[k]) is not None]
        if not found:
            return "No simulation of SGD mixed: see what was refused."
        many = f"all {len(found)} temperatures" if len(found) > 1 else f"T = {found[0][0].temperature:g}"
        if {verdict.gibbs.kind for row, _ in found for verdict in row.verdicts if verdict} == {"equivalent"}:
            text = f"SGD sits in each basin as often as Gibbs says, within {margin:g} percentage points, at {many}"
        elif all(verdict.gibbs.kind == "inconclusive" for _, verdict in found):
            half, name = max(100 * verdict.half_width for _, verdict in found), self.basins[k].name
            text = f"SGD's share of basin {name} can't be told from what Gibbs says, to ±{half:.1f} percentage points"
        else:
            gaps = [100 * verdict.gap for _, verdict in found]
            text = f"SGD sits in basin {self.basins[k].name} {_compared(gaps)} Gibbs says"
        if self.law == "Itô":
            exact = [(law, row.theory.reference) for row, _ in found if (law := row.exact["SGD"]) is not None]
            gaps = [float(100 * (law[k] - reference[k])) for law, reference in exact]
            return text + (f", and {_compared(gaps)} the Itô density, the limit η → 0." if gaps else ".")
        power = self.powers.arms["SGD"]
        sure = power.high - power.low < 0.5
        return text + (f"; the gap vanishes as η^{power.order:.2f}." if sure else ".")


def _compared(gaps: list[float]) -> str:
    """Gaps in percentage points, in words."""
    low, high = min(gaps), max(gaps)
    if low < 0 < high:
        return f"{low:+.1f} to {high:+.1f} percentage points off what".replace("-0.0", "0.0").replace("+0.0", "0.0")
    near, far = sorted([f"{abs(low):.1f}", f"{abs(high):.1f}"], key=float)
    return (
        f"{near if near == far else f'{near} to {far}'} percentage points {'more' if low >= 0 else 'less'} often than"
    )
