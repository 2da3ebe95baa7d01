"""The two pytrees of a problem, params and data: converted, checked, and with the leaves named that won't move."""

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from sdesgd.errors import InputError
from sdesgd.inputs.arrays import as_array, check_finite, leaf_name
from sdesgd.inputs.scalars import check_positive_integer

# Leaves that a message names; the others are counted.
_NAMED = 5


def as_params(params: PyTree, root: str = "params", *, warn: bool = True) -> PyTree:
    """The parameters with their numbers as JAX arrays; names what will not move.

    Arrays of floating numbers move. A Python float in a plain container (dict, list, tuple) is a parameter too and
    becomes an array; in a module of its own it is a setting, such as a dropout rate.

    Raises:
        InputError: complex parameters, strings as arrays, masks that hide values, no floating number at all.

    Warns:
        UserWarning: numbers that are no floating-point arrays stay where they are; tied arrays come apart.
    """
    if isinstance(params, np.ma.MaskedArray | str | bytes):
        params = as_array(params, root)
    still, seen, tied = [], {}, []

    def convert(path: tuple, x: Any) -> Any:
        name, plain = leaf_name(root, path), _in_plain_container(params, path)
        if isinstance(x, float) and not isinstance(x, np.floating) and plain:
            return jnp.asarray(x, jnp.result_type(float))
        if isinstance(x, np.ndarray | np.generic | np.ma.MaskedArray | jax.Array):
            if isinstance(x, jax.Array) and x.ndim > 1:
                if id(x) in seen:
                    tied.append(f"{seen[id(x)]} and {name}")
                seen.setdefault(id(x), name)
            array = as_array(x, name)
            if jnp.issubdtype(array.dtype, jnp.complexfloating):
                raise InputError(f"{name} is complex ({array.dtype}): pass its real and imaginary parts as two arrays")
            if jnp.issubdtype(array.dtype, jnp.integer):
                still.append(name)
            return array
        if isinstance(x, complex):
            raise InputError(f"{name} is the complex number {x}: pass its real and imaginary parts")
        if isinstance(x, numbers.Number) and not isinstance(x, bool) and (plain or not _of_a_library(params, path)):
            still.append(name)
        return x

    converted = jax.tree_util.tree_map_with_path(convert, params)
    if not jax.tree.leaves(eqx.filter(converted, eqx.is_inexact_array)):
        raise InputError("params has no floating-point array, so nothing can move: wrap numbers by jnp.asarray")
    if still and warn:
        warnings.warn(
            f"{_listed(still)} will not move: only floating-point arrays are parameters; write 0.0 for 0, wrap a "
            "module's number by jnp.asarray, or mark it static",
            UserWarning,
            stacklevel=4,
        )
    if tied and warn:
        warnings.warn(
            f"{_listed(tied)} are one array now and will move apart: pass it once, and use it twice in the loss",
            UserWarning,
            stacklevel=4,
        )
    return converted


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _owner(tree: PyTree, path: Sequence[Any]) -> Any:
    """The container of the last key of a path."""
    for entry in path[:-1]:
        if isinstance(entry, jax.tree_util.DictKey):
            tree = tree[entry.key]
        elif isinstance(entry, jax.tree_util.SequenceKey):
            tree = tree[entry.idx]
        elif isinstance(entry, jax.tree_util.GetAttrKey):
            tree = getattr(tree, entry.name)
        else:
            return None
    return tree


def _in_plain_container(tree: PyTree, path: Sequence[Any]) -> bool:
    return bool(path) and isinstance(_owner(tree, path), dict | list | tuple)


def _of_a_library(tree: PyTree, path: Sequence[Any]) -> bool:
    owner = _owner(tree, path)
    return type(owner).__module__.partition(".")[0] in ("equinox", "flax", "haiku", "sdesgd", "optax")


def as_data(data: PyTree, dtype: Any, unit_size: Any) -> PyTree:
    """The data as JAX arrays of one leading axis; floating leaves in ``dtype``.

    Raises:
        InputError: not numbers, no examples, leading axes that differ, NaN or infinity, N not a multiple of the unit,
            values that the cast would change; see ``as_array``.
    """
    paths = jax.tree_util.tree_leaves_with_path(data)
    if not paths:
        raise InputError("data is empty: pass a pytree of arrays whose leading axis is the example")
    if len(paths) > 64 and all(isinstance(x, numbers.Number) for _, x in paths[:64]):
        # A list of numbers is a pytree of as many leaves.
        first = leaf_name("data", paths[0][0])
        raise InputError(
            f"data has {len(paths)} leaves, the first being {first}: pass arrays whose leading axis is the example, as "
            "by numpy.stack, not a list of examples"
        )
    converted = jax.tree_util.tree_map_with_path(lambda p, x: as_array(x, leaf_name("data", p), dtype), data)
    leaves = jax.tree_util.tree_leaves_with_path(converted)
    lengths = {leaf_name("data", path): x.shape[0] if x.ndim else -1 for path, x in leaves}
    num_examples = next(iter(lengths.values()))
    if num_examples < 0 or len(set(lengths.values())) > 1:
        parts = [f"{name}: {'none' if n < 0 else n}" for name, n in lengths.items()]
        raise InputError(f"leading axes of data differ ({_listed(parts)}): give every leaf the same number of examples")
    if num_examples == 0:
        raise InputError("data has 0 examples: pass at least one")
    check_positive_integer("unit_size", unit_size)
    if num_examples % unit_size:
        raise InputError(
            f"N = {num_examples} examples are not a multiple of unit_size = {unit_size}: "
            f"drop {num_examples % unit_size} or choose a divisor"
        )
    check_finite(converted, "data", "remove or impute them")
    return converted
