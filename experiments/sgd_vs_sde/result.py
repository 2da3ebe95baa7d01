"""What sgd-vs-sde answers with: the comparison of ``sg.compare``, and what it was asked."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import xarray as xr

import sdesgd as sg
from experiments._shared.result import ExperimentResult, as_json
from experiments.sgd_vs_sde.config import Config
from sdesgd.comparison import GapEstimate


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """A comparison, its configuration and the sizes of its problem.

    Attributes:
        comparison: of SGD with its SDE.
        problem: name → size.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, sg.Comparison, *sg.Comparison.parts)
    config: Config
    comparison: sg.Comparison
    problem: dict[str, Any]

    def to_xarray(self) -> xr.Dataset:
        """The observables along the runs."""
        return self.comparison.to_xarray()

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        return {**super().sizes(), **self.problem}

    def answer(self) -> str:
        """The headline of the comparison."""
        return self.comparison.answer

    def summary(self) -> dict:
        """The comparison in numbers and words that JSON has."""
        comparison, design = self.comparison, self.comparison.design
        return {
            "config": as_json(self.config),
            "answer": self.answer(),
            "law_of_the_sde": comparison.setting.law,
            "cards": {when: as_json(dataclasses.asdict(card)) for when, card in comparison.cards.items()},
            "observables": {name: _judged(comparison, name) for name in comparison.verdicts},
            "laws_at_the_end": comparison.laws,
            "diverged": {arm: int(np.sum(run.diverged)) for arm, run in comparison.trajectories.items()},
            "replicas": design.replicas,
            "looks": [list(look.replicas) for look in design.looks],
            "ended": design.ended,
            "gradients": design.gradients,
            "report": str(comparison),
            "sizes": as_json(self.sizes()),
        }


def _judged(comparison: sg.Comparison, name: str) -> dict:
    """The verdict on one observable, and the gap in its parts, in SGD's standard deviations."""
    verdict, worst = comparison.verdicts[name], comparison.worst.get(name)
    missing = comparison.not_established.get(name)
    judged: dict[str, Any] = {
        "sentence": comparison.sentence(name),
        "kind": verdict.kind,
        "reason": verdict.reason,
        "not_finite": None if verdict.not_finite is None else list(verdict.not_finite.replicas),
        "different": bool(verdict.different),
        "worst_time": int(verdict.worst_time) if worst is None else worst.index,
        "worst": None if worst is None else as_json(worst),
        "remedy": None if missing is None else missing.remedy,
        "gaussian_kind": comparison.against["Gaussian SGD"][name].kind,
        "svag_kind": comparison.against["SVAG"][name].kind if "SVAG" in comparison.against else None,
    }
    parts = {
        "total": comparison.gap,
        "non_gaussianity": comparison.non_gaussian,
        "discretisation": comparison.discretisation,
        "h_against_half": comparison.h_against_half,
    }
    return judged | {part: _interval(estimates[name]) for part, estimates in parts.items() if name in estimates}


def _interval(estimate: GapEstimate) -> dict:
    return {key: as_json(getattr(estimate, key)) for key in ("mean", "low", "high")}
