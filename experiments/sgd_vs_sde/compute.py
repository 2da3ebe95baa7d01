"""Does the SDE describe this SGD?  ``sg.compare`` on a net and a data set of the command line."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.random as jr
import xarray as xr

import sdesgd as sg
from experiments._shared.experiment import Interrupted
from experiments._shared.run_folder import RunFolder
from experiments.sgd_vs_sde.config import Config, build, chosen, describe
from experiments.sgd_vs_sde.result import Result
from sdesgd.errors import InputError
from sdesgd.results import file
from sdesgd.simulation import replica_blocks
from sdesgd.trajectories import Trajectories


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Batch(sg.results.Result):
    """A batch of replicas as a stage of a run keeps it."""

    parts: ClassVar[tuple[type, ...]] = (Trajectories,)
    runs: tuple[Trajectories, ...]

    def __str__(self) -> str:
        return f"{len(self.runs)} arms of {len(self.runs[0].diverged)} replicas"


def compute(config: Config, folder: RunFolder) -> Result:
    """Compares SGD with its SDE; each batch of replicas is a stage."""
    _check(config)
    replicas = _replicas(config)
    keys = jr.split(jr.key(config.seed))
    problem, observables = build(config, keys[0])
    sgd = sg.SGD(config.learning_rate, config.batch_size, config.sampling, config.momentum)

    def keep(name: str, batch: Callable[[], tuple[Trajectories, ...]]) -> tuple[Trajectories, ...]:
        return file.unpacked(folder.stage(_stage(name), packed, batch), Batch, folder.path).runs

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
        svag=0 if config.momentum else config.svag_ell,
        title=f"{describe(config)} on {config.data}",
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
        "blocks": {"SGD": list(replica_blocks(sgd, problem, comparison.design.looks[0].replicas[0]))},
    }
    return Result(config, comparison, sizes)


def packed(batch: Callable[[], tuple[Trajectories, ...]]) -> xr.Dataset:
    """The dataset of a batch; what it is of, ``sg.compare`` has put into the function."""
    runs = batch()
    return file.packed(Batch(runs)).assign_attrs(interrupted=int(any(part.interrupted for part in runs)))


def _stage(batch: str) -> str:
    """A short name of a file: messages hold its path."""
    kind, number = batch.rsplit("-", 1)
    short = {"Gaussian SGD and SDE": "pairs", "SDE at h over 2": "check"}
    return f"{short.get(kind, kind.lower())}-{number}"


def _check(config: Config) -> None:
    if not 0 < config.margin < math.inf:
        raise InputError(f"margin is {config.margin}: pass a positive number of standard deviations")
    for name, least in (("width", 1), ("depth", 1), ("svag_ell", 0), ("seed", 0)):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    if config.check_replicas == 1 or config.check_replicas < 0:
        raise InputError(f"check_replicas is {config.check_replicas}: an error bar needs at least 2")


def _replicas(config: Config) -> Any:
    """A number, or "decide".

    Raises:
        InputError: anything else.
    """
    if config.replicas == "decide":
        return config.replicas
    if not config.replicas.isdecimal() or int(config.replicas) < 2:
        raise InputError(f"replicas is {config.replicas}: pass 'decide', or a number; an error bar needs at least 2")
    return int(config.replicas)
