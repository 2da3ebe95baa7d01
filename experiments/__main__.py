"""``python -m experiments NAME``: the command line of all experiments."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from experiments._shared import cli, compilations
from experiments._shared.experiment import Experiments

EXPERIMENTS = Experiments("experiments", Path(__file__).resolve().parent)
_OTHERS = {
    "bench": "What a step costs, as ratios of compiled loops timed in turns; --device checks an accelerator.",
    "runs": "The runs that are kept: list, show, compare, rm, export.",
    "new": "The folder of a new experiment, five files that run as they are.",
    "data": "The data sets, which of them are here, and how to get the others.",
}


def main(arguments: list[str]) -> int:
    """Runs an experiment, or what draws no figure: the benchmark, the list of data sets; returns the exit status."""
    if arguments[:1] == ["bench"]:
        from experiments.bench import main as bench

        return bench.main(arguments[1:])
    if arguments[:1] == ["runs"]:
        from experiments._shared import runs

        return runs.main(EXPERIMENTS, arguments[1:])
    if arguments[:1] == ["new"]:
        from experiments._shared import new

        return new.main(arguments[1:], _OTHERS)
    if arguments[:1] == ["data"]:
        from sdesgd.data import __main__ as data

        return data.main(arguments[1:])
    if arguments[:2] == ["batch-size", "recommend"]:
        arguments = ["batch-size-recommend", *arguments[2:]]
    return cli.main(EXPERIMENTS, arguments, _OTHERS)


def leave(status: int) -> NoReturn:
    """Ends the process; at once after an interruption, since Python crashes where a compiled call is still running."""
    if status in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    if (sys.argv[1:2] and sys.argv[1] in EXPERIMENTS.folders) or sys.argv[1:3] == ["batch-size", "recommend"]:
        compilations.use(sys.argv[1:])
    leave(main(sys.argv[1:]))
