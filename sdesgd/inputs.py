"""The one entrance: what comes from a user is converted and checked here, and a refusal names the leaf.

Arrays get the native byte order and a numeric dtype that JAX computes in; what the conversion would change without a
word (a mask, integers beyond the dtype, a column that becomes one number) is refused.
"""

import math
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray, PyTree

from sdesgd.errors import InputError, shown

# Leaves that a message names; the others are counted.
_NAMED = 5
# Steps are counted in int32 on the device.
MOST_STEPS = 2**31 - 1
# A column whose spread is fewer roundings than this has lost what told its values apart.
_LEVELS = 8


def leaf_name(root: str, path: Sequence[Any]) -> str:
    """How a user would write the leaf: root['w'][0], shortened."""
    name = root + jax.tree_util.keystr(tuple(path))
    return name if len(name) <= 60 else name[:40] + "…" + name[-19:]


# -- arrays ------------------------------------------------------------------------------------------------


def is_key(x: Any) -> bool:
    """Whether x is an array of JAX's typed random keys."""
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def as_array(value: Any, name: str, dtype: Any = None) -> Array:
    """A JAX array with the numbers of ``value``, strongly typed.

    Args:
        value: a JAX or NumPy array, a number, nested lists of numbers.
        name: of the leaf, for the refusal.
        dtype: floating numbers are cast to it; None: to JAX's dtype of the same kind.

    Raises:
        InputError: not numeric, a mask that hides values, integers that the dtype can't hold, floats that overflow it
            or that become one number in it.
    """
    if isinstance(value, Tracer):
        return value
    if isinstance(value, jax.Array):
        wanted = jax.dtypes.canonicalize_dtype(value.dtype) if not is_key(value) else value.dtype
        if is_key(value) or (wanted == value.dtype and (dtype is None or not _floating(value.dtype))):
            return value if is_key(value) else jnp.asarray(value, value.dtype)  # no weak type
    array = _numeric(value, name)
    target = np.dtype(jax.dtypes.canonicalize_dtype(array.dtype))
    if dtype is not None and _floating(array.dtype):
        target = np.dtype(dtype)
    if array.dtype.kind in "iu" and array.size and target != array.dtype:
        low, high = array.min(), array.max()
        info = np.iinfo(target)
        if int(low) < info.min or int(high) > info.max:
            raise InputError(
                f"{name} has integers from {low} to {high}, which {target} can't hold: renumber them, or switch on "
                "64 bits with jax.enable_x64(True)"
            )
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        cast = array.astype(target) if target != array.dtype else array
    if _floating(array.dtype) and array.dtype.itemsize > target.itemsize and array.size:
        _check_cast(array, cast, name)
    return jnp.asarray(cast)


def _floating(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating)


def _numeric(value: Any, name: str) -> np.ndarray:
    """The value as a NumPy array of native byte order; refuses what isn't numbers."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.getmaskarray(value).any():
            count = int(np.ma.getmaskarray(value).sum())
            raise InputError(f"{name} is a masked array that hides {count} values: drop or fill them, then pass .data")
        value = value.data
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise InputError(f"{name} is a sparse matrix ({type(value).__name__}): pass its .toarray()")
    try:
        array = np.asarray(value)
    except Exception as error:
        # A foreign array type may raise anything on conversion.
        raise InputError(
            f"{name}, a {type(value).__name__}, can't be made an array ({type(error).__name__}: {shown(str(error))}): "
            "pass numbers"
        ) from None
    numeric = array.dtype.kind in "biufc" or array.dtype.kind == "V" and _floating(array.dtype)
    if not numeric:
        raise InputError(
            f"{name} holds no numbers but {_what(value, array)}: pass numeric arrays whose leading axis is the example"
            if name.startswith("data")
            else f"{name} holds no numbers but {_what(value, array)}: pass a numeric array"
        )
    if array.dtype == np.longdouble and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype == np.clongdouble and array.dtype.itemsize > 16:
        array = array.astype(np.complex128)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _what(value: Any, array: np.ndarray) -> str:
    if array.dtype == object:
        return f"Python objects ({type(value).__name__})"
    return f"dtype {array.dtype}"


def _check_cast(array: np.ndarray, cast: np.ndarray, name: str) -> None:
    """Refuses a cast that overflows, or that leaves a column of distinct values all but equal."""
    lost = int(np.sum(np.isfinite(array) & ~np.isfinite(cast.astype(np.float64))))
    if lost:
        largest = np.max(np.abs(array[np.isfinite(array)]))
        raise InputError(
            f"{name} has {lost} values up to {largest:.3g}, which overflow {cast.dtype}: rescale them, or pass params of "
            "a wider dtype"
        )
    if array.ndim == 0 or len(array) < 2:
        return
    low, high = array.min(axis=0), array.max(axis=0)
    spread, size = high - low, np.maximum(np.abs(low), np.abs(high))
    eps = float(jnp.finfo(cast.dtype).eps)
    with np.errstate(invalid="ignore"):
        merged = np.asarray((spread > 0) & (spread < _LEVELS * eps * size))
        underflown = np.asarray((spread > 0) & (cast.max(axis=0) == cast.min(axis=0)))
    bad = merged | underflown
    if bad.any():
        where = np.unravel_index(int(np.argmax(bad)), bad.shape) if bad.ndim else ()
        column = f", column {', '.join(map(str, where))}," if where else ""
        raise InputError(
            f"{name}{column} runs from {low[where]:.10g} to {high[where]:.10g}, which {cast.dtype} hardly tells apart: "
            "subtract an offset or rescale"
        )


def check_finite(tree: PyTree, root: str, remedy: str) -> None:
    """Refuses NaN and infinity in any floating or complex leaf (traced leaves are passed over).

    Raises:
        InputError: names the leaf and counts the values.
    """
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(x, jax.Array) and not isinstance(x, Tracer) and jnp.issubdtype(x.dtype, jnp.inexact):
            bad = int(jnp.sum(~jnp.isfinite(x)))
            if bad:
                raise InputError(f"{leaf_name(root, path)} has {bad} values that are NaN or infinite: {remedy}")


# -- params and data -----------------------------------------------------------------------------------------


def as_params(params: PyTree, root: str = "params") -> PyTree:
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
    if still:
        warnings.warn(
            f"{_listed(still)} will not move: only floating-point arrays are parameters; write 0.0 for 0, wrap a module's "
            "number by jnp.asarray, or mark it static",
            UserWarning,
            stacklevel=4,
        )
    if tied:
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
    if len(paths) > 64 and all(np.ndim(x) == 0 for _, x in paths[:64] if isinstance(x, numbers.Number | np.generic)):
        # A list of numbers or of pairs is a pytree of as many leaves.
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


# -- numbers -----------------------------------------------------------------------------------------------


def check_positive_integer(name: str, value: Any, most: int = MOST_STEPS) -> None:
    """Raises InputError unless the value is an integer from 1 to ``most``."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {shown(value)}: pass an integer of at least 1")
    if value > most:
        raise InputError(f"{name} is {value:.3e}: pass at most {most}")


def real_number(name: str, value: Any, what: str) -> float | None:
    """The value as a Python float; None where it is traced.

    Args:
        name: of the argument.
        value: a number, or an array of no axes.
        what: what is wanted, for the message: "a number with 0 <= momentum < 1".

    Raises:
        InputError: not a real number, or an array with axes.
    """
    if isinstance(value, Tracer):
        return None
    array = isinstance(value, np.ndarray | np.generic | jax.Array)
    real = isinstance(value, numbers.Real) or (
        array and np.ndim(value) == 0 and not is_key(value) and jnp.issubdtype(value.dtype, jnp.number)
    )
    if isinstance(value, bool | np.bool_) or not real or (array and jnp.issubdtype(value.dtype, jnp.complexfloating)):
        shape = f" of shape {value.shape}" if array and value.shape else ""
        raise InputError(f"{name} is {shown(value)}{shape}: pass {what}")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{name} is too large for a float: pass {what}") from None


def check_number(name: str, value: Any, what: str, accept: Callable[[float], bool], *, finite: bool = True) -> None:
    """Raises InputError unless the value is a real, finite number that ``accept`` takes (traced values pass).

    Args:
        name: of the argument.
        value: what was passed.
        what: what is wanted, for the message.
        accept: whether a number will do.
        finite: whether infinity is refused.
    """
    number = real_number(name, value, what)
    if number is None:
        return
    if math.isnan(number) or (finite and math.isinf(number)) or not accept(number):
        raise InputError(f"{name} is {shown(value)}: pass {what}")


def check_representable(name: str, value: Any, dtype: Any) -> None:
    """Refuses a positive number that becomes 0 or infinity in the dtype of the computation.

    Raises:
        InputError: it does.
    """
    if callable(value) or isinstance(value, Tracer):
        return
    number = float(value)
    with np.errstate(over="ignore", under="ignore"):
        cast = float(np.asarray(number).astype(dtype))
    if number != 0 and (cast == 0 or math.isinf(cast)):
        raise InputError(
            f"{name} is {number:g}, which is {cast:g} in {jnp.dtype(dtype).name}, the dtype of params: pass a number "
            "that it can hold"
        )


def as_key(key: Any, name: str = "key") -> PRNGKeyArray:
    """A typed random key; legacy keys of ``jax.random.PRNGKey`` are wrapped.

    Raises:
        InputError: no key, or an array of keys.
    """
    if isinstance(key, Tracer) and not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jr.wrap_key_data(key)
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape:
            raise InputError(f"{name} has shape {key.shape}: pass one key, as by jax.random.key(0)")
        return key
    if isinstance(key, jax.Array | np.ndarray) and key.shape == (2,) and key.dtype == jnp.uint32:
        return jr.wrap_key_data(jnp.asarray(key))
    raise InputError(f"{name} is {shown(key)}: pass a key, as by jax.random.key(0)")


def check_mapping_of_functions(name: str, value: Any) -> dict[str, Callable]:
    """A dictionary of name → function.

    Raises:
        InputError: no mapping, or something in it that can't be called.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is a {type(value).__name__}: pass a dict of name: function of params")
    for key, function in value.items():
        if not callable(function):
            raise InputError(f"{name}[{shown(key)}] is {shown(function)}: pass a function of params")
    return dict(value)
