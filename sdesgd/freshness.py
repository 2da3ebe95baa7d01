"""Compiled functions that see what a user's functions read from outside: a global, a closure, an attribute, an array.

JAX compiles once per function object, so a loss that reads ``lam`` would keep the ``lam`` of its first call. Here a
user's function is known by its *program* instead: it is traced at every call, and the digest of the traced program and
of its constants is what the compilation cache compares. Another value is another program and is compiled; the same
program, even of a recreated lambda, compiles nothing.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, PyTree

from sdesgd.errors import InputError, one_line
from sdesgd.programs import digest, programs_within, without_addresses

# Part of the key of JAX's own caches. A user's `jax.jit`, scan body or custom derivative is cached by function object;
# under another value of this it is traced again.
_CONTEXT = jax.make_user_context(())
_UNBOUND_AXIS = re.compile(r"unbound axis name:? *['\"]?([^\s'\".]+)")


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
            context = digest(program)
    return Fresh(arrays, _Known(rest, treedef, context or digest(program), context)), shape


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
        axis = _UNBOUND_AXIS.search(str(error)) if isinstance(error, NameError) else None
        if axis is not None:
            raise InputError(
                f"{what} reads the axis '{axis[1]}', which nothing in it binds: batch norm couples examples, so let it "
                f"take a group of them (a problem's loss by unit_size=S) and vmap over it with axis_name='{axis[1]}'"
            ) from error
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


def digest_of(tree: PyTree) -> str:
    """Of a pytree: its structure, arrays by their bytes, functions as of this call by their programs."""
    leaves, treedef = jax.tree.flatten(tree, is_leaf=lambda x: isinstance(x, Fresh))
    parts = [(leaf.known.digest, leaf.arrays) if isinstance(leaf, Fresh) else leaf for leaf in leaves]
    return digest(without_addresses(str(treedef)), *parts)


def _context_of(args: PyTree) -> contextlib.AbstractContextManager:
    found = [x for x in jax.tree.leaves(args, is_leaf=lambda x: isinstance(x, Fresh)) if isinstance(x, Fresh)]
    contexts = tuple(sorted({x.known.context for x in found} - {""}))
    return _CONTEXT(contexts) if contexts else contextlib.nullcontext()
