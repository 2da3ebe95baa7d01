"""``python -m experiments NAME``: the command line of all experiments."""

import sys

from experiments import run, sgd_vs_sde

EXPERIMENTS = {"sgd-vs-sde": sgd_vs_sde.EXPERIMENT}

if __name__ == "__main__":
    sys.exit(run.main(EXPERIMENTS, sys.argv[1:]))
