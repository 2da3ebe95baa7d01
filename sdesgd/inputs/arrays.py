"""Arrays of a user's as JAX arrays, with the same numbers or a refusal that names the leaf."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PyTree

from sdesgd.errors import InputError, shown

# A column whose spread is fewer roundings than this has lost what told its values apart.
_LEVELS = 8


def leaf_name(root: str, path: Sequence[Any]) -> str:
    """How a user would write the leaf: root['w'][0], shortened."""
    name = root + jax.tree_util.keystr(tuple(path))
    return name if len(name) <= 60 else name[:40] + "…" + name[-19:]


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


def as_float64(value: Any, name: str, shape: str = "a numeric array") -> np.ndarray:
    """Real numbers as a NumPy array of float64, whatever JAX is set to: for statistics and small matrices.

    Args:
        value: an array, a number, nested lists of numbers.
        name: of the argument, for the refusal.
        shape: what is wanted, for the refusal: "(N, D)".

    Raises:
        InputError: not real numbers, a mask that hides values, integers beyond 2^53.
    """
    array = _numeric(value, name, shape)
    if array.dtype.kind == "c":
        raise InputError(f"{name} is complex ({array.dtype}): pass {shape} of real numbers")
    converted = array.astype(np.float64)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4 and (np.abs(converted) > 2.0**53).any():
        raise InputError(f"{name} has integers beyond 2^53, which float64 can't tell apart: rescale them")
    return converted


def _floating(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating)


def _numeric(value: Any, name: str, wanted: str = "a numeric array") -> np.ndarray:
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
    numeric = array.dtype.kind in "biufc" or (array.dtype.kind == "V" and _floating(array.dtype))
    if not numeric:
        raise InputError(
            f"{name} holds no numbers but {_what(value, array)}: pass numeric arrays whose leading axis is the example"
            if name.startswith("data")
            else f"{name} holds no numbers but {_what(value, array)}: pass {wanted}"
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
            f"{name} has {lost} values up to {largest:.3g}, which overflow {cast.dtype}: rescale them, or pass params "
            "of a wider dtype"
        )
    if array.ndim == 0 or len(array) < 2:
        return
    low, high = array.min(axis=0), array.max(axis=0)
    spread, size = high - low, np.maximum(np.abs(low), np.abs(high))
    eps = float(jnp.finfo(cast.dtype).eps)
    with np.errstate(invalid="ignore"):
        merged = np.asarray((spread > 0) & (spread < _LEVELS * eps * size))
        underflown = np.asarray((spread > 0) & (cast.max(axis=0) == cast.min(axis=0)))
    constant = spread <= 8 * np.finfo(array.dtype).eps * size if array.dtype.kind == "f" else np.asarray(False)
    bad = (merged | underflown) & ~np.asarray(constant)
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
