"""Does the SDE describe this SGD?  ``sg.compare`` on a net and a data set of the command line."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax.random as jr
import xarray as xr

import sdesgd as sg
from experiments._shared.experiment import Interrupted
from experiments._shared.options import check_options
from experiments._shared.run_folder import RunFolder
from experiments.sgd_vs_sde.config import Config, build, chosen, describe, own
from experiments.sgd_vs_sde.result import Result
from sdesgd.errors import InputError
from sdesgd.results import file
from sdesgd.simulation import replica_blocks
from sdesgd.trajectories import Trajectories

_MOST_REPLICAS = 10**7


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Batch(sg.results.Result):
    """A batch of replicas as a stage of a run keeps it."""

    parts: ClassVar[tuple[type, ...]] = (Trajectories,)
    runs: tuple[Trajectories, ...]

    def __str__(self) -> str:
        return f"{len(self.runs)} arms of {len(self.runs[0].diverged)} replicas"


def compute(config: Config, folder: RunFolder) -> Result:
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
        "blocks": {"SGD": list(replica_blocks(sgd, problem, comparison.design.looks[0].replicas[0]))},
    }
    return Result(config, comparison, sizes)


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
