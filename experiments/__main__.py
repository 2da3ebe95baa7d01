"""``python -m experiments NAME``: the command line of all experiments."""

import os
import sys
from typing import NoReturn

from experiments import datasets
from experiments._shared import cli as run
from experiments.basin_occupancy import compute as basin_occupancy
from experiments.batch_size import compute as batch_size
from experiments.batch_size_recommend import compute as batch_size_recommend
from experiments.escape_times import compute as escape_times
from experiments.real_basins import compute as real_basins
from experiments.sgd_vs_sde import compute as sgd_vs_sde
from experiments.stationary_loss import compute as stationary_loss
from experiments.weak_order import compute as weak_order

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        sgd_vs_sde.EXPERIMENT,
        weak_order.EXPERIMENT,
        basin_occupancy.EXPERIMENT,
        stationary_loss.EXPERIMENT,
        real_basins.EXPERIMENT,
        escape_times.EXPERIMENT,
        batch_size.EXPERIMENT,
        batch_size_recommend.EXPERIMENT,
    )
}


def main(arguments: list[str]) -> int:
    """Runs an experiment, or what draws no figure: the benchmark, the list of data sets; returns the exit status."""
    if arguments[:1] == ["bench"]:
        from experiments.bench import main as bench

        return bench.main(arguments[1:])
    if arguments[:1] == ["data"]:
        return datasets.main(arguments[1:])
    if arguments[:2] == ["batch-size", "recommend"]:
        arguments = ["batch-size-recommend", *arguments[2:]]
    status = run.main(EXPERIMENTS, arguments, others=["bench", "data"])
    if arguments in ([], ["--help"]):
        run.console.print("Besides: data, the data sets and which are here; bench, what a step costs.", highlight=False)
    return status


def leave(status: int) -> NoReturn:
    """Ends the process; at once after an interruption, since Python crashes where a compiled call is still running."""
    if status in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
