"""Replicas over several accelerators: one function, the same bits on any number of devices."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PyTree

from sdesgd.errors import InputError


def shard_replicas(
    function: Callable[[Any], PyTree], keys: PyTree, devices: Sequence[Any] | None = None, block: int = 1
) -> PyTree:
    """function(key) for every key, the replicas shared out evenly over the devices.

    Every device steps through its replicas in blocks of ``block``, vmapped. The last block is filled up with copies
    of the last replica, so each has the same size whatever the number of devices, and so the bits are the same.

    Assumptions: the function is pure, and does no communication of its own.

    Args:
        function: of one key, to a pytree of arrays. An equinox module or a ``jax.tree_util.Partial`` may carry arrays:
            they are copied to every device and traced, so new values don't recompile. Pass the same object again
            to compile once.
        keys: a key array of length R, or a pytree of arrays with a leading axis R.
        devices: of equal kind; default: all that this process has.
        block: replicas that a device takes at a time. 1 suits nets on a CPU; on an accelerator as many as fill it, up
            to R / devices.

    Returns:
        What the function returns, leading axis R.

    Raises:
        InputError: no replicas, leading axes that differ, no devices, a bad block.
    """
    leaves = jax.tree.leaves(keys)
    counts = {leaf.shape[0] if getattr(leaf, "ndim", 0) else None for leaf in leaves}
    if len(counts) != 1 or None in counts or 0 in counts:
        found = ", ".join(sorted(map(str, counts))) or "none"
        raise InputError(f"keys has leading axes {found}: pass arrays with one leading axis, at least 1 long")
    if not isinstance(block, int) or isinstance(block, bool) or block < 1:
        raise InputError(f"block is {block!r}: pass a whole number of replicas, at least 1")
    chosen = tuple(jax.local_devices() if devices is None else devices)
    if not chosen:
        raise InputError("devices is empty: pass at least one, or None for all")
    kinds = sorted({device.device_kind for device in chosen})
    if len(kinds) > 1:
        raise InputError(f"devices are of several kinds ({', '.join(kinds)}): pass devices of one kind")
    count = leaves[0].shape[0]
    blocks = -(-count // (len(chosen) * block))
    return _sharded(function, keys, jnp.asarray(blocks), Mesh(chosen, ("replica",)), blocks, block)


@eqx.filter_jit
def _sharded(function, keys, steps, mesh: Mesh, blocks: int, block: int):
    """``steps`` = blocks, traced, and at least two are stored: XLA would inline a loop that it knows to have one step,
    and fuse it otherwise than a longer one, to other bits."""
    stored = max(blocks, 2)
    count = jax.tree.leaves(keys)[0].shape[0]
    position = jnp.minimum(jnp.arange(mesh.size * blocks * block), count - 1)
    padded = jax.tree.map(lambda x: x[position], keys)
    carried, fixed = eqx.partition(function, eqx.is_array)

    def on_one_device(carried, steps, local):
        whole = eqx.combine(carried, fixed)
        local = jax.tree.map(lambda x: x.reshape(blocks, block, *x.shape[1:]), local)
        local = jax.tree.map(lambda x: x[jnp.arange(stored) % blocks], local)

        def of_block(k):
            some = jax.tree.map(lambda x: x[k], local)
            return jax.vmap(whole)(some) if block > 1 else _only(whole, some)

        shapes = jax.eval_shape(of_block, 0)
        out = jax.tree.map(lambda s: jnp.zeros((stored, *s.shape), s.dtype), shapes)
        store = lambda k, out: jax.tree.map(lambda o, new: o.at[k].set(new), out, of_block(k))  # noqa: E731
        out = jax.lax.fori_loop(0, steps, store, out)
        return jax.tree.map(lambda x: x[:blocks].reshape(-1, *x.shape[2:]), out)

    spec, same = PartitionSpec("replica"), PartitionSpec()
    shared = jax.shard_map(on_one_device, mesh=mesh, in_specs=(same, same, spec), out_specs=spec, check_vma=False)
    return jax.tree.map(lambda x: x[:count], shared(carried, steps, padded))


def _only(function, block):
    """A block of 1 is not a vmap, which would cost 1.6×."""
    out = function(jax.tree.map(lambda x: x[0], block))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], out)
