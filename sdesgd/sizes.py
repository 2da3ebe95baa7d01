"""Chunk and block sizes, from shapes alone.

They change the bits of a result, so they never depend on free memory or on timing; the manifest of a run
records them.
"""

import math
from collections.abc import Callable

import jax
from jaxtyping import PyTree

# Activations of one chunk of examples; larger chunks gain nothing on a CPU and cost memory everywhere.
_CHUNK_BYTES = 64 * 2**20
# Parameters × units of a step, times replicas of a block. On a CPU a pass over all units fills the cores and its
# activations the caches, so only toys are worth vectorising; minibatch steps are small, and gain from larger blocks.
_CPU_FULL_BATCH_WORK = 2**17
_CPU_MINIBATCH_WORK = 2**23
_ACCELERATOR_WORK = 2**31


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
    return math.ceil(replicas / math.ceil(replicas / largest))
