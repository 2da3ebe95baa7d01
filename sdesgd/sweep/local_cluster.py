"""A dask cluster of this machine's processes, in a process of its own: a script, not to be imported.

    python -P local_cluster.py WORKERS SCRATCH

writes the scheduler's address to stdout and lasts until stdin is closed, so it ends with whoever started it, however
that ends. It is apart so that it can be killed as a whole, inside whatever compiled call its workers are, and so that
workers don't import the user's script again, as processes begun by multiprocessing do.
"""

import os
import shutil
import sys

import dask.config
import distributed

_SETTINGS = {
    # By default OMP_NUM_THREADS=1 and the like, and the BLAS would give other bits than in the starting process.
    "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536},
    # A worker that died may take longer than the default 15 s to come back, and would be given up.
    "distributed.deploy.lost-worker-timeout": "1 hour",
}


def main(workers: int, scratch: str) -> None:
    """Serves until stdin ends."""
    with dask.config.set(_SETTINGS):
        cluster = distributed.LocalCluster(
            n_workers=0,  # they come while the client connects
            threads_per_worker=1,
            processes=True,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",  # any free port, on this machine, and nothing there
            scheduler_kwargs={"dashboard": False},
            silence_logs=50,
            local_directory=scratch,
        )
        print(cluster.scheduler_address, flush=True)
        os.dup2(2, 1)  # what cells print goes to stderr, nobody reads stdout from here on
        cluster.scale(workers)
        sys.stdin.read()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)  # the workers end as their pipes break


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
