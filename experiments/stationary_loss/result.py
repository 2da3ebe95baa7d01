"""What stationary-loss answers with: mean excess losses beside every formula, and what may be said of them."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import xarray as xr
from scipy import stats

from experiments._shared.result import ExperimentResult
from experiments.stationary_loss.config import Config
from sdesgd import evidence
from sdesgd.evidence.outcome import Kind

_LEVEL = 0.05  # of either claim; of a difference for all points and both arms of a case together (Bonferroni)
MARGIN = 0.05  # of a measured mean around its exact law, as a share of it
SAME = 0.02  # traces nearer than this are called equal


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Measured means against their exact laws.

    Attributes:
        kind: of ``evidence.decide``: "equivalent" if every mean is within ``MARGIN`` of its law, by its 90 % interval
            (TOST); else "different" if one deviates, corrected for their number; else "inconclusive".
        worst: the largest deviation in standard errors, against its limit.
        limit: beyond which a deviation is one.
    """

    kind: Kind
    worst: float
    limit: float


@dataclasses.dataclass(frozen=True)
class ArmMean:
    """The mean excess loss E(L) − L* of SGD or of the SDE at one point; NaN where it couldn't be measured.

    Attributes:
        mean, standard_error: over the replicas.
        low, high: the 95 % interval.
        replicas: that didn't diverge.
        diverged: replicas that did.
    """

    mean: float = math.nan
    standard_error: float = math.nan
    low: float = math.nan
    high: float = math.nan
    replicas: int = 0
    diverged: int = 0

    def is_measured(self) -> bool:
        """Whether there is a mean with an error."""
        return math.isfinite(self.mean) and 0 < self.standard_error < math.inf

    def deviation(self, law: float) -> float:
        """(mean − law) ÷ standard error."""
        return (self.mean - law) / self.standard_error if self.is_measured() else math.nan


@dataclasses.dataclass(frozen=True)
class Formulas:
    """What every formula gives for the mean excess loss over the saved steps after the burn-in.

    Attributes:
        learning_rate, batch_size: η, S.
        noise: η/(S(1−m)).
        steps: of SGD.
        trace_hessian, trace_covariance: (η/(4S(1−m))) Tr H and Tr C, at stationarity.
        ou, discrete: of the SDE and of SGD with constant H and C, from the start at the minimum.
        relaxed: ou ÷ its stationary value.
        sgd_law, sde_law: discrete and ou, or exact with C(θ) at stationarity where it is known (regression).
    """

    learning_rate: float
    batch_size: int
    noise: float
    steps: int
    trace_hessian: float
    trace_covariance: float
    ou: float
    discrete: float
    relaxed: float
    sgd_law: float
    sde_law: float


@dataclasses.dataclass(frozen=True)
class Point(Formulas):
    """Formulas and measurements at one η and S.

    Attributes:
        substeps: solver steps of the SDE per SGD step.
        integrator_bias: the relative error of the stationary loss that they leave.
        SGD: what was measured.
        SDE: the same of the SDE; None at the point with η and S both divided.
    """

    substeps: int
    integrator_bias: float
    SGD: ArmMean = ArmMean()
    SDE: ArmMean | None = None

    def arms(self) -> dict[str, ArmMean]:
        """The arms that were run here."""
        return {"SGD": self.SGD} | ({"SDE": self.SDE} if self.SDE else {})

    def law(self, arm: str) -> float:
        """What an arm should be; for the SDE the law of its integrator."""
        return self.sgd_law if arm == "SGD" else self.sde_law * (1 + self.integrator_bias)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Formulas between the smallest and the largest η, (nodes,) each: see ``Formulas``."""

    noise: np.ndarray
    trace_covariance: np.ndarray
    sgd_law: np.ndarray
    sde_law: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """SGD for a long time beside the formulas.

    Attributes:
        learning_rate, batch_size, replicas: of the run.
        time, mean, standard_error: (parts,), of its parts, longer and longer, in SDE time.
        curve_time, discrete, ou: (saves,), the formulas at each save.
        trace_covariance: (η/(4S(1−m))) Tr C.
        unrelaxed: directions that haven't relaxed by its end: 2λt < 1.
        unrelaxed_share: their share of Tr C.
    """

    learning_rate: float
    batch_size: int
    replicas: int
    time: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    curve_time: np.ndarray
    discrete: np.ndarray
    ou: np.ndarray
    trace_covariance: float
    unrelaxed: int
    unrelaxed_share: float


@dataclasses.dataclass(frozen=True, eq=False)
class CaseResult:
    """One loss at its minimum: its matrices in numbers, and its points.

    Attributes:
        group: the problem, a panel of the figure.
        title: in words.
        exact: whether SGD's stationary loss is known exactly.
        num_units, num_parameters: N, D.
        trace_hessian, trace_covariance: Tr H, Tr C.
        smallest_curvature, largest_curvature: eigenvalues of H.
        gradient_norm: ‖g‖.
        floor: L*.
        trace_decay: the part of Tr H that is weight decay, wD.
        time: of a run, in SDE time.
        points: by ascending η; where η and S are both divided, the last.
        curve: the formulas in between.
        course: a long run, of the net.
    """

    group: str
    title: str
    exact: bool
    num_units: int
    num_parameters: int
    trace_hessian: float
    trace_covariance: float
    smallest_curvature: float
    largest_curvature: float
    gradient_norm: float
    floor: float
    trace_decay: float
    time: float
    points: tuple[Point, ...]
    curve: Curve
    course: Course | None = None

    def trace_ratio(self) -> float:
        """Tr H ÷ Tr C."""
        return self.trace_hessian / self.trace_covariance

    def same_traces(self) -> bool:
        """Whether Tr H and Tr C are called equal."""
        return abs(self.trace_ratio() - 1) < SAME

    def is_divided(self, point: Point) -> bool:
        """Whether this is the point with η and S both divided."""
        return point.batch_size != self.points[0].batch_size

    def main_points(self) -> list[Point]:
        """Those with the problem's own S, by ascending η."""
        return [point for point in self.points if not self.is_divided(point)]

    def agreement(self) -> Agreement:
        """Whether both arms have their exact laws; the SDE's is that of its integrator.

        A mean that could not be measured lets nothing be called equivalent.
        """
        arms = [(found, point.law(arm)) for point in self.points for arm, found in point.arms().items()]
        z = np.array([found.deviation(law) for found, law in arms])
        error = np.array([found.standard_error / law if found.is_measured() else math.nan for found, law in arms])
        degrees = np.array([max(found.replicas - 1, 1) for found, _ in arms], float)
        limits = stats.t.isf(_LEVEL / 2 / len(arms), degrees)
        one_sided = stats.t.isf(_LEVEL, degrees)
        low, high = ((z + sign * one_sided) * error for sign in (-1, 1))
        wide = (z - limits) * error, (z + limits) * error
        kind = evidence.decide(low, high, MARGIN, wide=wide)
        if np.isnan(z).all():
            return Agreement(kind, math.nan, math.nan)
        worst = int(np.nanargmax(np.abs(z) / limits))
        return Agreement(kind, float(abs(z[worst])), float(limits[worst]))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """The loss that SGD and its SDE hover at, against η/S.

    Attributes:
        cases: name → one loss.
        data: each replica's mean after the burn-in, and the mean along the runs.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, CaseResult, Point, ArmMean, Curve, Course)
    config: Config
    cases: dict[str, CaseResult]
    data: xr.Dataset

    def to_xarray(self) -> xr.Dataset:
        """Each replica's mean after the burn-in, and the mean along the runs."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), "parameters": {name: case.num_parameters for name, case in self.cases.items()}}

    def answer(self, separator: str = " ") -> str:
        """One sentence on the traces, one on the exact laws."""
        wrong = [case for case in self.cases.values() if not case.same_traces()]
        exact = [case for case in self.cases.values() if case.exact]
        parts = ["Tr H and Tr C are equal here."]
        if wrong:
            factors: dict[str, list[str]] = {}
            for case in wrong:
                factors.setdefault(case.group, []).append(_factor(case.trace_ratio()))
            found = ", ".join(f"{group} {' and '.join(each)}" for group, each in factors.items())
            parts = [f"At small η the loss follows Tr C, not Tr H (Tr H ÷ Tr C: {found})."]
        if exact:
            kinds = [case.agreement().kind for case in exact]
            held, undecided = kinds.count("equivalent"), kinds.count("inconclusive")
            every = "on all" if held == len(exact) else f"on only {held} of"
            more = f" ({undecided} undecided: more replicas)" if undecided else ""
            parts.append(
                f"At finite η it is neither: SGD's exact law holds {every} {len(exact)} losses where it is known{more}."
            )
        return separator.join(parts)


def _factor(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio > 0.95 else f"1/{1 / ratio:.2g}"
