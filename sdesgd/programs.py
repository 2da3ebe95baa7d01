"""What a traced program holds: the programs within it, and a digest that tells programs and their constants apart."""

import dataclasses
import functools
import hashlib
import re
import types
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core

from sdesgd.errors import InputError

# Of what a program holds, these are thunks that are new at each trace, and names.
_SKIPPED = {"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees", "jvp_jaxpr_thunk", "debug_info", "name"}
_WITHOUT_STATE = {"builtins", "jax", "jaxlib", "numpy"}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def programs_within(jaxpr: core.Jaxpr) -> Iterator[core.Jaxpr]:
    """The program itself and all that its equations hold: loops, branches, compiled and differentiated functions."""
    yield jaxpr
    for equation in jaxpr.eqns:
        for inner in _inner(equation.params):
            yield from programs_within(inner)


def _inner(params: dict) -> Iterator[core.Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, core.Jaxpr):
                yield item


# These keep values, in their order, where the number of elements stays the same; of sums those over axes of length one.
_SAME_VALUES = {"broadcast_in_dim", "reshape", "squeeze", "expand_dims", "convert_element_type", "copy"}
_SUMS = {"reduce_sum", "psum"}
_CALLS = {"jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call"}


def deviates_from_a_mean_of_one(jaxpr: core.Jaxpr) -> bool:
    """Whether a program subtracts from some array its mean over axes of length one, which leaves 0.

    Only what is certain counts: reshapes, sums over axes of length one and a division by 1 lie between the two.
    """
    return _deviates(jaxpr, {})


def _deviates(jaxpr: Any, source: dict[Any, tuple[Any, bool]]) -> bool:
    """``source``: variable → (the one whose values it has, whether as a mean)."""

    def of(atom: Any) -> tuple[Any, bool]:
        return (atom, False) if type(atom) is core.Literal else source.get(atom, (atom, False))

    for equation in jaxpr.eqns:
        name, ins, outs = equation.primitive.name, equation.invars, equation.outvars
        if name == "sub":
            (minuend, _), (subtrahend, as_mean) = of(ins[0]), of(ins[1])
            if minuend is subtrahend and as_mean and _size(ins[0]) == _size(ins[1]):
                return True
        elif _keeps_values(equation):
            source[outs[0]] = of(ins[0])
        elif name == "div" and type(ins[1]) is core.Literal and np.ndim(ins[1].val) == 0 and ins[1].val == 1:
            source[outs[0]] = of(ins[0])[0], True
        for inner in _inner(equation.params):
            called = name in _CALLS and len(inner.invars) == len(ins)
            within: dict[Any, tuple[Any, bool]] = dict(zip(inner.invars, map(of, ins), strict=True)) if called else {}
            if _deviates(inner, within):
                return True
            if called:
                # A variable of its own may stand for another value in another call.
                outside = {id(of(atom)[0]) for atom in ins}
                ends = ((out, within.get(v)) for out, v in zip(outs, inner.outvars, strict=True) if _is_variable(v))
                source |= {out: end for out, end in ends if end is not None and id(end[0]) in outside}
    return False


def _keeps_values(equation: Any) -> bool:
    name = equation.primitive.name
    if name in _SUMS and not all(isinstance(axis, int | np.integer) for axis in equation.params["axes"]):
        return False
    return name in _SAME_VALUES | _SUMS and _size(equation.invars[0]) == _size(equation.outvars[0])


def _size(atom: Any) -> int:
    return atom.aval.size


def _is_variable(atom: Any) -> bool:
    return type(atom) is not core.Literal


def digest(*values: Any) -> str:
    """Of programs, arrays by their bytes, and plain values; the same in every process."""
    written: list[bytes] = []
    for value in values:
        _feed(written, value, 0)
    return hashlib.blake2b(b"\0".join(written), digest_size=16).hexdigest()


def without_addresses(text: str) -> str:
    """What ``repr`` says, but for where in memory something lies."""
    return _ADDRESS.sub("", text)


# Values that ``repr`` writes exactly; most of a program's parameters are these.
_SIMPLE = frozenset((str, int, bool, float, complex, bytes, type(None)))


@functools.lru_cache(maxsize=4096)
def _aval(aval: Any) -> bytes:
    return aval.str_short().encode()


def _feed(out: list[bytes], value: Any, depth: int) -> None:
    """Writes a value of a program: equations by primitives and variables, constants by their bytes."""
    if type(value) in _SIMPLE or (type(value) is tuple and all(type(item) in _SIMPLE for item in value)):
        out.append(repr(value).encode())
    elif isinstance(value, dict):
        for name in value:
            if name not in _SKIPPED:
                out.append(str(name).encode())
                _feed(out, value[name], depth + 1)
    elif depth > 40:
        raise InputError("the function holds itself: pass one that JAX can trace")
    elif isinstance(value, core.ClosedJaxpr):
        _feed_jaxpr(out, value.jaxpr, depth)
        for constant in value.consts:
            _feed(out, constant, depth + 1)
    elif isinstance(value, core.Jaxpr):
        _feed_jaxpr(out, value, depth)
    elif isinstance(value, np.integer):
        out.append(repr(int(value)).encode())
    elif isinstance(value, frozenset):
        out += sorted(without_addresses(repr(item)).encode() for item in value)
    elif isinstance(value, types.CodeType):
        out.append(value.co_code + repr(value.co_names).encode())
        _feed(out, value.co_consts, depth + 1)
    elif isinstance(value, Tracer):
        out.append(f"traced {id(value)}".encode())
    elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        _feed(out, jax.random.key_data(value), depth + 1)
    elif isinstance(value, jax.Array | np.ndarray | np.generic):
        array = np.asarray(value)
        out.append(f"{array.dtype}{array.shape}".encode())
        out.append(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    elif isinstance(value, tuple | list):
        out.append(f"({len(value)}".encode())
        for item in value:
            _feed(out, item, depth + 1)
    elif callable(value) and hasattr(value, "__code__"):
        _feed_function(out, value, depth)
    elif isinstance(value, functools.partial):
        _feed(out, (value.func, value.args, value.keywords), depth + 1)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        out.append(type(value).__name__.encode())
        _feed(out, {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}, depth + 1)
    elif type(value).__module__.partition(".")[0] not in _WITHOUT_STATE and hasattr(value, "__dict__"):
        out.append(type(value).__qualname__.encode())  # a user's object, whose method a program calls back
        _feed(out, vars(value), depth + 1)
    else:
        out.append(without_addresses(f"{type(value).__name__}:{value!r}").encode())


def _feed_jaxpr(out: list[bytes], jaxpr: core.Jaxpr, depth: int) -> None:
    numbers: dict[Any, bytes] = {}

    def define(variables: Any) -> None:
        for variable in variables:
            numbers[variable] = b"%d" % len(numbers)
            out.append(_aval(variable.aval))

    def use(variables: Any) -> None:
        for variable in variables:
            if type(variable) is core.Literal:
                value = variable.val
                out.append(_aval(variable.aval))
                out.append(repr(value).encode() if type(value) in _SIMPLE else np.asarray(value).tobytes())
            else:
                out.append(numbers[variable])

    define((*jaxpr.constvars, *jaxpr.invars))
    for equation in jaxpr.eqns:
        out.append(equation.primitive.name.encode())
        use(equation.invars)
        define(equation.outvars)
        _feed(out, equation.params, depth + 1)
    use(jaxpr.outvars)


def _feed_function(out: list[bytes], function: Any, depth: int) -> None:
    """A Python function that a program calls back, by its code and what it closes over."""
    code = function.__code__
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _filled(cell)]
    kept = [getattr(function, name, None) for name in ("__defaults__", "__kwdefaults__", "__self__")]
    _feed(out, (code, cells, *kept), depth + 1)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
