"""Does the SDE describe this SGD?  ``sg.compare`` on a net and a data set of the command line."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.random as jr
import numpy as np
import xarray as xr

import sdesgd as sg
from experiments._shared.experiment import Interrupted
from experiments._shared.options import check_options
from experiments._shared.run_folder import RunFolder
from experiments.sgd_vs_sde.config import Config, build, chosen, describe, own
from sdesgd.comparison import GapEstimate
from sdesgd.errors import InputError
from sdesgd.results import Result, file
from sdesgd.simulation import replica_blocks
from sdesgd.trajectories import Trajectories

_MOST_REPLICAS = 10**7


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Batch(Result):
    """A batch of replicas as a stage of a run keeps it."""

    parts: ClassVar[tuple[type, ...]] = (Trajectories,)
    runs: tuple[Trajectories, ...]

    def __str__(self) -> str:
        return f"{len(self.runs)} arms of {len(self.runs[0].diverged)} replicas"


def compute(config: Config, folder: RunFolder) -> tuple[xr.Dataset, dict]:
    """Compares SGD with its SDE; each batch of replicas is a stage."""
    check_options(config)
    if config.svag_ell and config.momentum:
        raise InputError(f"svag_ell is {config.svag_ell}, and SVAG has no momentum: pass --svag-ell 0 or --momentum 0")
    replicas = _replicas(config)
    keys = jr.split(jr.key(config.seed))
    problem, observables = build(config, keys[0])
    sgd = sg.SGD(config.learning_rate, config.batch_size, config.sampling, config.momentum)

    beside = ()
    if config.problem:
        own(config).counts_in(folder)
        beside = (own(config).held,)

    def keep(name: str, batch: Callable[[], tuple[Trajectories, ...]]) -> tuple[Trajectories, ...]:
        return file.unpacked(folder.stage(_stage(name), packed, batch, *beside), Batch, folder.path).runs

    comparison = sg.compare(
        problem,
        sgd,
        num_steps=config.num_steps,
        save_every=config.save_every,
        key=keys[1],
        observables=observables,
        labels=chosen(config),
        margin=config.margin,
        replicas=replicas,
        max_minutes=config.max_minutes,
        substeps=config.substeps,
        check_replicas=config.check_replicas or None,
        svag=config.svag_ell,
        title=describe(config),
        keep=keep,
        progress="sgd-vs-sde",
    )
    if comparison.design.ended == "interrupted":
        raise Interrupted("finished batches of replicas are kept: run the same command again")
    sizes = {
        "num_parameters": problem.num_parameters,
        "num_examples": problem.num_examples,
        "num_units": problem.num_units,
        "dtype": str(problem.dtype),
        "chunk_size": problem.chunk_size,
        "blocks": {"SGD": replica_blocks(sgd, problem, comparison.design.looks[0].replicas[0])},
        "seed": config.seed,
    }
    return file.packed(comparison), summary_of(comparison, config) | {"sizes": sizes}


def packed(batch: Callable[[], tuple[Trajectories, ...]], beside: str = "") -> xr.Dataset:
    """The dataset of a batch; what it is of, ``sg.compare`` has put into the function.

    Args:
        batch: makes the runs.
        beside: what else the numbers depend on, for the key of the stage.
    """
    del beside
    runs = batch()
    return file.packed(Batch(runs)).assign_attrs(interrupted=int(any(part.interrupted for part in runs)))


def _stage(batch: str) -> str:
    """A short name of a file: messages hold its path."""
    kind, number = batch.rsplit("-", 1)
    short = {"Gaussian SGD and SDE": "pairs", "SDE at h over 2": "check"}
    return f"{short.get(kind, kind.lower())}-{number}"


def _replicas(config: Config) -> Any:
    """A number, or "decide".

    Raises:
        InputError: anything else.
    """
    if config.replicas == "decide":
        return config.replicas
    if not config.replicas.isdecimal() or int(config.replicas) < 2:
        raise InputError(f"replicas is {config.replicas}: pass 'decide', or a number; an error bar needs at least 2")
    if int(config.replicas) > _MOST_REPLICAS:
        raise InputError(f"replicas is {config.replicas}: pass at most {_MOST_REPLICAS}")
    return int(config.replicas)


def summary_of(comparison: sg.Comparison, config: Config) -> dict:
    """The comparison in numbers and words that JSON has.

    Args:
        comparison: of ``sg.compare``.
        config: of the run.
    """
    design = comparison.design
    return {
        "experiment": "sgd-vs-sde",
        "config": dataclasses.asdict(config),
        "answer": comparison.answer,
        "law_of_the_sde": comparison.setting.law,
        "cards": {when: _finite(dataclasses.asdict(card)) for when, card in comparison.cards.items()},
        "observables": {name: _judged(comparison, name) for name in comparison.verdicts},
        "laws_at_the_end": comparison.laws,
        "diverged": {arm: int(np.sum(run.diverged)) for arm, run in comparison.trajectories.items()},
        "replicas": design.replicas,
        "looks": [list(look.replicas) for look in design.looks],
        "ended": design.ended,
        "gradients": design.gradients,
        "report": str(comparison),
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
        "worst": None if worst is None else _finite(dataclasses.asdict(worst)),
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
    return {key: [_finite(float(x)) for x in getattr(estimate, key)] for key in ("mean", "low", "high")}


def _finite(value: Any) -> Any:
    """A text; a number, None where it isn't finite; the same for the values of a dictionary."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return value if isinstance(value, str) or math.isfinite(value) else None
