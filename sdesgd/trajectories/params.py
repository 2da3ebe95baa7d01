"""The leaves of a pytree of params, as a file of trajectories keeps them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from sdesgd.errors import InputError, shown
from sdesgd.inputs import is_key
from sdesgd.types import PathLike

_Entry = dict[str, Any]
_Leaves = Sequence[tuple[_Entry, np.ndarray | None]]
_PLAIN = (bool, int, float, complex, str, bytes)


def as_stored(leaf: Any, where: str) -> tuple[_Entry, np.ndarray | None] | None:
    """What a leaf is, and its array; None for a leaf that is neither an array nor a plain value of Python.

    Args:
        leaf: of a pytree.
        where: its path, for messages.

    Raises:
        InputError: an array with a mask.
    """
    if type(leaf) in _PLAIN:
        return {"kind": type(leaf).__name__, "value": _as_json(leaf)}, None
    if isinstance(leaf, np.ma.MaskedArray):
        raise InputError(f"params{where} is an array with a mask, which a file can't hold: fill it")
    if is_key(leaf):
        return {"kind": "key", "algorithm": str(jr.key_impl(leaf))}, np.asarray(jr.key_data(leaf))
    if isinstance(leaf, jax.Array):
        return {"kind": "jax"}, np.asarray(leaf)
    if isinstance(leaf, np.ndarray | np.generic):
        return {"kind": "numpy" if isinstance(leaf, np.ndarray) else "scalar"}, np.asarray(leaf)
    return None


def as_dict(leaves: _Leaves) -> dict[str, Any]:
    """path → array, as NumPy has it; random keys are JAX's.

    Args:
        leaves: entries with their arrays.
    """
    found: dict[str, Any] = {}
    for entry, array in leaves:
        path = entry["path"]
        while path in found:  # keys of pytrees that print alike
            path += "'"
        found[path] = array if entry["kind"] in ("jax", "numpy") else _value(entry, array)
    return found


def as_pytree(leaves: _Leaves, template: PyTree, replicas: int, path: PathLike) -> PyTree:
    """The pytree that was saved.

    Args:
        leaves: entries with their arrays.
        template: a pytree of the same structure, without the replica axis.
        replicas: R.
        path: of the file, for messages.

    Raises:
        InputError: the first leaf that differs in place, kind, shape or dtype.
    """
    wanted, structure = jax.tree_util.tree_flatten_with_path(template)
    stored = {int(entry["number"]): (entry, array) for entry, array in leaves}
    if min(stored, default=0) < 0:
        raise ValueError(f"leaf {shown(min(stored))}")
    made = []
    for number in sorted({*range(len(wanted)), *stored}):
        entry, array = stored.get(number, (None, None))
        if number >= len(wanted):
            if entry is not None:
                raise _misfit(path, f"has params{entry['path']}", "the template has no such leaf")
            continue
        where, leaf = jax.tree_util.keystr(wanted[number][0]), wanted[number][1]
        keeps = as_stored(leaf, where)
        if entry is None:
            if keeps is not None:
                raise _misfit(path, f"has no params{where}", f"it is {_told(leaf)} in the template")
            made.append(leaf)  # a function or such: only the template has it
            continue
        if entry["path"] != where:
            raise _misfit(path, f"has params{entry['path']}", f"the template has params{where} in its place")
        if not _fits(entry, array, leaf, replicas):
            saved = shown(entry["value"]) if array is None else f"of shape {array.shape}, {array.dtype}"
            saved = "a random key" if entry["kind"] == "key" else saved
            raise _misfit(
                path, f"has params{where} {saved}", f"the template has {_told(leaf)} (without {replicas} replicas)"
            )
        made.append(_value(entry, array))
    return jax.tree_util.tree_unflatten(structure, made)


def _misfit(path: PathLike, saved: str, template: str) -> InputError:
    return InputError(f"{path} {saved}, and {template}: pass a template like the params that were run")


def _told(leaf: Any) -> str:
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return f"{leaf.dtype} of shape {leaf.shape}"
    return f"{type(leaf).__name__} {shown(leaf, 30)}"


def _fits(entry: _Entry, array: np.ndarray | None, leaf: Any, replicas: int) -> bool:
    number = type(leaf) in (bool, int, float, complex)
    if array is None:
        kinds = (bool, int, float, complex) if entry["kind"] in ("bool", "int", "float", "complex") else (str, bytes)
        return type(leaf) in kinds
    if number:  # a run makes arrays of numbers
        return entry["kind"] != "key" and array.shape in ((), (replicas,))
    if is_key(leaf) != (entry["kind"] == "key"):
        return False
    if is_key(leaf):
        shape = array.shape[: array.ndim - jr.key_data(leaf).ndim + leaf.ndim]
        return entry["algorithm"] == str(jr.key_impl(leaf)) and shape in ((replicas, *leaf.shape), leaf.shape)
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return False
    dtypes = {leaf.dtype.newbyteorder("=")}
    if not isinstance(leaf, jax.Array):  # a run makes JAX's arrays of NumPy's
        dtypes |= {_of_32_bits(leaf.dtype)}
    text = array.dtype.kind in "US" and array.dtype.kind == leaf.dtype.kind  # of any length
    shapes: list[tuple[int, ...]] = [(replicas, *leaf.shape)]
    if entry["kind"] != "jax":  # it needn't have been part of the run
        shapes.append(leaf.shape)
    return (text or array.dtype.newbyteorder("=") in dtypes) and array.shape in shapes


def _of_32_bits(dtype: np.dtype) -> np.dtype:
    halved = {"f": np.float32, "i": np.int32, "u": np.uint32, "c": np.complex64}
    wide = dtype.itemsize == (16 if dtype.kind == "c" else 8)
    return np.dtype(halved[dtype.kind]) if wide and dtype.kind in halved else dtype.newbyteorder("=")


def _value(entry: _Entry, array: np.ndarray | None) -> Any:
    kind = entry["kind"]
    if array is None:
        return _from_json(kind, entry["value"])
    if kind == "key":
        return jr.wrap_key_data(jnp.asarray(array), impl=entry["algorithm"])
    if kind == "jax" and jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype:  # else JAX would round it
        return jnp.asarray(array)
    return array[()] if kind == "scalar" else array


def _as_json(leaf: Any) -> Any:
    if isinstance(leaf, complex):
        return [leaf.real, leaf.imag]
    if isinstance(leaf, bytes):
        return leaf.hex()
    return hex(leaf) if type(leaf) is int else leaf  # in base 10, Python refuses the longest


def _from_json(kind: str, value: Any) -> Any:
    if kind == "complex":
        return complex(float(value[0]), float(value[1]))
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "int":
        return int(value, 16)
    return {"bool": bool, "float": float, "str": str}[kind](value)
