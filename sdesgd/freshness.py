"""Compiled functions that see what a user's functions read from outside: a global, a closure, an attribute, an array.

JAX compiles once per function object, so a loss that reads ``lam`` would keep the ``lam`` of its first call. Here a
user's function is known by its *program* instead: it is traced at every call, and the digest of the traced program and
of its constants is what the compilation cache compares. Another value is another program and is compiled; the same
program, even of a recreated lambda, compiles nothing.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import os
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core
from jaxtyping import Array, PyTree

from sdesgd.errors import InputError, one_line

# Part of the key of JAX's own caches. A user's `jax.jit`, scan body or custom derivative is cached by function object;
# under another value of this it is traced again.
_CONTEXT = jax.make_user_context(())
# Of what a program holds, these are thunks that are new at each trace, and names.
_SKIPPED = {"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees", "jvp_jaxpr_thunk", "debug_info", "name"}
_WITHOUT_STATE = {"builtins", "jax", "jaxlib", "numpy"}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _Known:
    """The static part of a function, compared by the digest of its program."""

    def __init__(self, rest: tuple, treedef: Any, digest: str, context: str):
        self.rest, self.treedef, self.digest, self.context = rest, treedef, digest, context

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and (self.digest, self.context) == (other.digest, other.context)

    def __hash__(self) -> int:
        return hash(self.digest)


class Fresh(eqx.Module):
    """A user's function as of this call: arrays that it carries, and the rest known by its program."""

    arrays: list[Array | np.ndarray]
    known: _Known = eqx.field(static=True)

    def __call__(self, *args: Any) -> Any:
        arrays = iter(self.arrays)
        leaves = [next(arrays) if leaf is _ARRAY else leaf for leaf in self.known.rest]
        with _CONTEXT((self.known.context,)) if self.known.context else contextlib.nullcontext():
            return jax.tree.unflatten(self.known.treedef, leaves)(*args)


_ARRAY = object()


def of(function: Callable, *examples: PyTree, what: str = "the function", remedy: str = "") -> Fresh:
    """The function as it is now, traced on arguments like these.

    Args:
        function: to be called with arrays; an equinox module may carry arrays, which are inputs and not constants.
        examples: pytrees of arguments; only shapes and dtypes matter.
        what: the subject of the refusal.
        remedy: its end.

    Raises:
        InputError: JAX can't trace the function.
    """
    return traced(function, *examples, what=what, remedy=remedy)[0]


def traced(function: Callable, *examples: PyTree, what: str = "the function", remedy: str = "") -> tuple[Fresh, PyTree]:
    """(the function as it is now, the shapes and dtypes of what it returns); see ``of``."""
    leaves, treedef = jax.tree.flatten(function)
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array | np.ndarray)]
    rest = tuple(_ARRAY if isinstance(leaf, jax.Array | np.ndarray) else leaf for leaf in leaves)
    dynamic, static = eqx.partition(examples, _is_arraylike)

    def call(arrays: list, dynamic: PyTree) -> Any:
        # A new function object at each call: JAX has nothing cached for it.
        rebuilt = Fresh(arrays, _Known(rest, treedef, "", ""))
        return rebuilt(*eqx.combine(dynamic, static))

    with guarded(what, remedy):
        program, shape = jax.make_jaxpr(call, return_shape=True)(arrays, dynamic)
        context = ""
        if _has_own_cache(program.jaxpr):
            with _CONTEXT(object()):
                try:
                    program = jax.make_jaxpr(_differentiated(call, shape))(arrays, dynamic)
                except Exception:  # a while loop has no reverse mode, and an observable needs none
                    program = jax.make_jaxpr(call)(arrays, dynamic)
            context = _digest(program)
    return Fresh(arrays, _Known(rest, treedef, context or _digest(program), context)), shape


def jit(function: Callable) -> Callable:
    """``eqx.filter_jit`` whose arguments' functions are seen as they are at each call.

    Args:
        function: its positional arguments are searched for objects with a method ``fresh`` (problems, dynamics).
    """
    compiled = eqx.filter_jit(function)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        given = freshened(args)
        with _context_of(given):
            return compiled(*given)

    return call


def freshened(tree: PyTree) -> PyTree:
    """Every object with a method ``fresh`` replaced by what it returns."""
    leaf = lambda x: hasattr(type(x), "fresh")  # noqa: E731
    return jax.tree.map(lambda x: x.fresh() if leaf(x) else x, tree, is_leaf=leaf)


@contextlib.contextmanager
def guarded(what: str, remedy: str = "", fault: str = "can't be traced by JAX") -> Iterator[None]:
    """Turns what a user's function raises while JAX traces it into one line.

    Args:
        what: the subject, such as "observable 'loss'".
        remedy: the end of the line.
        fault: what it is that JAX can't do.

    Raises:
        InputError: anything but a refusal of our own was raised.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except Exception as error:
        # Whatever a user's code raises is a user's to mend; the cause keeps the traceback.
        text = one_line(str(error).split("\n")[0].removesuffix("."), 110)
        remedy = remedy or "use jax.numpy in it, and no float(), no `if` and no NumPy on what it is given"
        raise InputError(f"{what} {fault} ({type(error).__name__}: {text}): {remedy}") from error


def replaced(module: Any, **fields: Any) -> Any:
    """An equinox module with other values of these fields, without running its ``__init__`` and checks again."""
    new = object.__new__(type(module))
    for field in dataclasses.fields(module):
        if field.name in fields or hasattr(module, field.name):
            object.__setattr__(new, field.name, fields.get(field.name, getattr(module, field.name, None)))
    return new


# -- programs ----------------------------------------------------------------------------------------------


def _is_arraylike(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)


def _differentiated(call: Callable, shape: PyTree) -> Callable:
    """The function with its derivative, where it has one: a custom rule may read other values than the function."""

    def program(arrays: list, dynamic: PyTree) -> Any:
        value = call(arrays, dynamic)
        moving, fixed = eqx.partition(dynamic, eqx.is_inexact_array)
        scalars = [s for s in jax.tree.leaves(shape) if jnp.issubdtype(s.dtype, jnp.floating)]
        if not scalars or not jax.tree.leaves(moving):
            return value

        def total(moving: PyTree) -> Array:
            leaves = jax.tree.leaves(call(arrays, eqx.combine(moving, fixed)))
            floats = (jnp.sum(x).astype(jnp.float32) for x in leaves if jnp.issubdtype(x.dtype, jnp.floating))
            return sum(floats, jnp.zeros(()))

        return value, jax.grad(total)(moving)

    return program


@functools.cache
def _libraries() -> tuple[str, ...]:
    """Folders of code whose compiled functions call none of a user's.

    Not Equinox's: what ``eqx.filter_jit`` compiles is a wrapper of its own that calls the user's function, in
    ``diffrax.diffeqsolve`` too.
    """
    found = (importlib.util.find_spec(name) for name in ("jax", "optax", "sdesgd"))
    return tuple(str(Path(spec.origin).parent) + os.sep for spec in found if spec is not None and spec.origin)


def _has_own_cache(jaxpr: core.Jaxpr) -> bool:
    """Whether some inner function, of a jit, a loop or a custom derivative, is of a user's own file.

    JAX keeps what it traced of these by function object, so the trace that shows them may itself be stale.
    """
    for inner in programs_within(jaxpr):
        source = inner.debug_info.func_src_info if inner is not jaxpr and inner.debug_info is not None else ""
        file = (source or "").rpartition(" at ")[2]
        if file and not file.startswith(_libraries()):
            return True
    return False


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


def digest_of(tree: PyTree) -> str:
    """Of a pytree: its structure, arrays by their bytes, functions as of this call by their programs."""
    leaves, treedef = jax.tree.flatten(tree, is_leaf=lambda x: isinstance(x, Fresh))
    written = [_ADDRESS.sub("", str(treedef)).encode()]
    for leaf in leaves:
        if isinstance(leaf, Fresh):
            written.append(leaf.known.digest.encode())
            _feed(written, leaf.arrays, 0)
        else:
            _feed(written, leaf, 0)
    return hashlib.blake2b(b"\0".join(written), digest_size=16).hexdigest()


def _digest(program: core.ClosedJaxpr) -> str:
    written: list[bytes] = []
    _feed(written, program, 0)
    return hashlib.blake2b(b"\0".join(written), digest_size=16).hexdigest()


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
        out += sorted(_ADDRESS.sub("", repr(item)).encode() for item in value)
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
        out.append(_ADDRESS.sub("", f"{type(value).__name__}:{value!r}").encode())


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


def _context_of(args: PyTree) -> contextlib.AbstractContextManager:
    found = [x for x in jax.tree.leaves(args, is_leaf=lambda x: isinstance(x, Fresh)) if isinstance(x, Fresh)]
    contexts = tuple(sorted({x.known.context for x in found} - {""}))
    return _CONTEXT(contexts) if contexts else contextlib.nullcontext()
