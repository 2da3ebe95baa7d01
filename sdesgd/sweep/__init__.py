"""Sweeps that survive anything: cells computed once each, kept one by one, resumed bit for bit.

A cell is a configuration and a block of seeds; a pure function makes a small table of it. In my_cells.py:

    @jax.jit
    def accuracy(eta, key): ...                                     # compiled once for all cells of one shape

    def cell(config, seeds):
        keys = [jr.fold_in(jr.key(0), seed) for seed in seeds]
        return {"accuracy": np.array([accuracy(config["eta"], key) for key in keys])}

and anywhere:

    cells = sweep.grid({"eta": [0.01, 0.1], "batch_size": [4, 16, 64]}, seeds=5)
    plan = sweep.Sweep("my_cells:cell", cells, shape_key=lambda config: config["batch_size"])
    result = sweep.run(plan, "results/my_sweep", workers=2)         # again after Ctrl-C: it goes on
    result.table                                                    # xarray: cell, eta, batch_size, seed, accuracy
    print(sweep.status("results/my_sweep"))                         # or: python -m sdesgd.sweep results/my_sweep
"""

from sdesgd.sweep.cells import Cell, Sweep, grid
from sdesgd.sweep.columns import digest
from sdesgd.sweep.runner import InterruptedSweep, Result, run
from sdesgd.sweep.sharding import shard_replicas
from sdesgd.sweep.store import Failure
from sdesgd.sweep.summary import Status, status, table

__all__ = [
    "Cell",
    "Failure",
    "InterruptedSweep",
    "Result",
    "Status",
    "Sweep",
    "digest",
    "grid",
    "run",
    "shard_replicas",
    "status",
    "table",
]
