"""Cells that the tests of sweeps run, in their own process or started as a script.

    python -m tests.sweep.small_cells FOLDER [--workers N] [--count CELLS] [--seconds A_CELL] [--function NAME]

Every start and end of a cell is a line "start CONFIG SEEDS PID" in the file that SWEEP_LOG names. SWEEP_PACE times
a cell's seconds is how long it sleeps.
"""

import argparse
import os
import resource
import sys
import time

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from sdesgd import sweep


@jax.jit
def walk(scale, key):
    """A random walk whose end depends on every bit of the way."""
    steps = scale * jr.normal(key, (200,), jnp.float32)
    return jax.lax.scan(lambda x, step: (jnp.sin(3 * x) + step, x), jnp.float32(0.1), steps)[0]


def log(event, config, seeds):
    path = os.environ.get("SWEEP_LOG")
    if path:
        line = f"{event} {config['scale']!r} {list(seeds)!r} {os.getpid()}\n".replace(", ", ",")
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())
        os.close(handle)


def ends(config, seeds):
    """The ends of walks, one a seed."""
    log("start", config, seeds)
    time.sleep(config["seconds"] * float(os.environ.get("SWEEP_PACE", "1")))
    keys = [jr.fold_in(jr.key(7), seed) for seed in seeds]
    result = {"end": np.asarray([walk(jnp.float32(config["scale"]), key) for key in keys])}
    log("end", config, seeds)
    return result


def sometimes(config, seeds):
    """Fails for scales above 0.5, unless the file that SWEEP_MENDED names is there."""
    log("start", config, seeds)
    if config["scale"] > 0.5 and not os.path.exists(os.environ.get("SWEEP_MENDED", "/nowhere")):
        raise ValueError(f"scale {config['scale']} is too large")
    return {"end": np.full(len(seeds), config["scale"])}


def uneven(config, seeds):
    """Another column for scales above 0.5."""
    return {"low" if config["scale"] <= 0.5 else "high": np.zeros(len(seeds))}


def sizes_of_floats(config, seeds):
    """In the dtype that JAX has by default where the cell runs."""
    return {"bytes": np.full(len(seeds), jnp.ones(1).dtype.itemsize)}


@jax.jit
def endless(x):
    """Hours in one compiled call."""
    inner = lambda n, x: jax.lax.fori_loop(0, 10**9, lambda k, x: jnp.sin(x + k), x)  # noqa: E731
    return jax.lax.fori_loop(0, 10**6, inner, x)


def stuck(config, seeds):
    """Inside a compiled call, which no signal handler of Python's can cut short; the first cells aren't."""
    if config["scale"] < 0.25:
        return ends(config, seeds)
    log("start", config, seeds)
    return {"end": np.full(len(seeds), endless(1.0))}


TRACES = []


@jax.jit
def traced(x, rate):
    """Leaves a trace of its compilation."""
    TRACES.append(x.shape)
    return rate * jnp.sum(x)


def shaped(config, seeds):
    """One shape a ``size``."""
    return {"end": np.asarray([traced(np.ones(config["size"], np.float32), config["rate"]) for _ in seeds])}


def filling(config, seeds):
    """From scale 0.4 on the process may write no file beyond 512 bytes."""
    if config["scale"] > 0.4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))
    return ends(config, seeds)


def deadly(config, seeds):
    """Takes its process with it, if that is a worker."""
    log("start", config, seeds)
    if config["scale"] > 0.5:
        os._exit(7)
    return {"end": np.full(len(seeds), config["scale"])}


def same_bits(one, other):
    """Whether two tables are equal to the last bit; ``identical`` takes 0.0 and −0.0 for equal."""
    columns = [[(name, a.dtype, a.values.tobytes()) for name, a in table.items()] for table in (one, other)]
    return columns[0] == columns[1] and one.attrs == other.attrs


def plan(count=12, seconds=0.0, function="ends"):
    scales = (np.arange(count) / count).tolist()
    cells = sweep.grid({"scale": scales, "seconds": seconds}, seeds=[3, 1], block=2)
    return sweep.Sweep(f"tests.sweep.small_cells:{function}", cells, code=())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--scheduler")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--function", default="ends")
    given = parser.parse_args()
    try:
        result = sweep.run(
            plan(given.count, given.seconds, given.function), given.folder, given.workers, given.scheduler
        )
    except sweep.InterruptedSweep as stop:
        print(f"interrupted: {stop}", flush=True)
        sys.exit(130)
    print(f"computed {result.computed}", flush=True)


if __name__ == "__main__":
    main()
