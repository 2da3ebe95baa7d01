"""``python -m experiments NAME``: the command line of all experiments."""

import sys

from experiments import run, sgd_vs_sde

EXPERIMENTS = {"sgd-vs-sde": sgd_vs_sde.EXPERIMENT}


def main(arguments: list[str]) -> int:
    """Runs an experiment, or the benchmark, which draws no figure; returns the exit status."""
    if arguments[:1] == ["bench"]:
        from experiments import bench

        return bench.main(arguments[1:])
    status = run.main(EXPERIMENTS, arguments, others=["bench"])
    if arguments in ([], ["--help"]):
        run.console.print("Besides: bench, what a step costs, as ratios of time.", highlight=False)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
