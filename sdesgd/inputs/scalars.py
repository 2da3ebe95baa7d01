"""Numbers, keys and tables of functions."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer

from sdesgd.errors import InputError, shown
from sdesgd.inputs.arrays import is_key
from sdesgd.types import PRNGKeyArray

# Steps are counted in int32 on the device.
MOST_STEPS = 2**31 - 1


def check_positive_integer(name: str, value: Any, most: int = MOST_STEPS) -> None:
    """Raises InputError unless the value is an integer from 1 to ``most``."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {shown(value)}: pass an integer of at least 1")
    if int(value) > most:
        raise InputError(f"{name} is {int(value):.3e}: pass at most {most}")


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
