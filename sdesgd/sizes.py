"""Chunk and block sizes, from shapes alone.

They change the bits of a result, so they never depend on free memory or on timing; the manifest of a run
records them.
"""

import math
import os
import resource
from collections.abc import Callable
from pathlib import Path

import jax
from jaxtyping import PyTree

from sdesgd.errors import InputError

# Activations of one chunk of examples; larger chunks gain nothing on a CPU and cost memory everywhere.
_CHUNK_BYTES = 64 * 2**20
# Parameters × units of a step, times replicas of a block. On a CPU a pass over all units fills the cores and its
# activations the caches, so only toys are worth vectorising; minibatch steps are small, and gain from larger blocks.
_CPU_FULL_BATCH_WORK = 2**17
_CPU_MINIBATCH_WORK = 2**23
_ACCELERATOR_WORK = 2**31
# Parameters × units up to which the stages of a solver are compiled apart: a gradient then costs microseconds, and so
# would the loop.
UNROLLED_WORK = 2**17
# Parameters × replicas up to which copies of them are cheap.
_SMALL = 2**20
# Replicas that step together where some stop before others: enough for vectorised instructions, few enough that many
# a block can be skipped. An accelerator takes as long for one as for thousands.
_CPU_STOPPING = 64
# Saves that one compiled call can hold, and bytes from which their number follows the saves that there are.
_MOST_SAVES = 64
_TABLE_BYTES = 2**22


def activation_bytes(batched_loss: Callable, params: PyTree, examples: PyTree) -> int:
    """Bytes of intermediates that one more example adds to a batch.

    The loss is traced for one and for two examples, abstractly; the difference in the size of all
    intermediates is what backpropagation may have to keep for an example.
    """

    def total(count: int) -> int:
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape[1:]), x.dtype), examples)
        return _jaxpr_bytes(jax.make_jaxpr(batched_loss)(params, batch).jaxpr)

    return max(1, total(2) - total(1))


def _jaxpr_bytes(jaxpr) -> int:
    size = 0
    for equation in jaxpr.eqns:
        inner = [p for p in equation.params.values() if hasattr(p, "jaxpr") or hasattr(p, "eqns")]
        if inner:
            size += sum(_jaxpr_bytes(getattr(p, "jaxpr", p)) for p in inner)
        else:
            size += sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in equation.outvars)
    return size


def chunk_size(num_units: int, bytes_per_unit: int) -> int:
    """Units of one chunk: as many as fit the activation budget, split evenly."""
    largest = max(1, _CHUNK_BYTES // bytes_per_unit)
    return math.ceil(num_units / math.ceil(num_units / largest))


def replica_block(num_parameters: int, units_per_step: int, num_units: int, replicas: int, platform: str) -> int:
    """Replicas advanced together by ``vmap``; blocks follow one another.

    Args:
        num_parameters: D.
        units_per_step: unit gradients of a step of one replica.
        num_units: N, in units.
        replicas: R.
        platform: "cpu", "gpu", ….
    """
    if platform != "cpu":
        budget = _ACCELERATOR_WORK
    else:
        budget = _CPU_MINIBATCH_WORK if units_per_step < num_units else _CPU_FULL_BATCH_WORK
    largest = max(1, budget // max(1, num_parameters * units_per_step))
    if replicas * num_parameters <= _SMALL:
        return math.ceil(replicas / math.ceil(replicas / largest))
    # Where copies of all replicas count, blocks divide them so that none is filled up, and are small on a CPU.
    largest = max(1, min(largest, _SMALL // num_parameters)) if platform == "cpu" else largest
    blocks = math.ceil(replicas / largest)
    even = next((n for n in range(blocks, 2 * blocks) if replicas % n == 0), blocks)
    return math.ceil(replicas / even)


def stopping_block(block: int, replicas: int, platform: str) -> int:
    """Replicas advanced together where each stops at a time of its own.

    Args:
        block: of those that don't.
        replicas: R.
        platform: "cpu", "gpu", ….
    """
    if platform != "cpu" or block <= _CPU_STOPPING:
        return block
    return math.ceil(replicas / math.ceil(replicas / _CPU_STOPPING))


def saves_of_a_call(saves: int, bytes_per_save: int) -> int:
    """Rows of the table that one compiled call fills: 64, or as many as the bytes allow.

    Args:
        saves: of the whole run.
        bytes_per_save: of all replicas and observables.
    """
    if bytes_per_save * _MOST_SAVES <= _TABLE_BYTES:
        return _MOST_SAVES
    return max(1, min(_MOST_SAVES, saves - 1, _TABLE_BYTES // bytes_per_save))


def memory() -> int:
    """Bytes that this process may hope for: of the machine or the accelerator, of its control group, of its limit."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return int((device.memory_stats() or {}).get("bytes_limit", 2**63))
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    found += [limit] if limit != resource.RLIM_INFINITY else []
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        found += [int(text)] if text.isdigit() else []
    return min(found)


def check_fits(needed: int, arithmetic: str) -> None:
    """Refuses what is larger than the memory there is; sizes that fit never change with it.

    Args:
        needed: bytes.
        arithmetic: how they come about.

    Raises:
        InputError: they don't fit.
    """
    there = memory()
    if needed > there:
        raise InputError(
            f"{arithmetic} is {needed / 1e9:.3g} GB, and {there / 1e9:.3g} GB is all there is: ask for less"
        )
