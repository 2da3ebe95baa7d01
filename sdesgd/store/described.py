"""Any value in words that are equal for equal values in all processes: what keys and fingerprints are made of."""

import contextlib
import dataclasses
import enum
import functools
import hashlib
import inspect
import os
import types
import weakref
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np

_SHORT = 60  # characters of a value that is told as it is
_DEEPEST = 30  # containers within containers
_CHECKS = os.path.dirname(jaxtyping.__file__)


class Absent:
    """In place of a value that isn't there."""


def within(module: str, code: Sequence[str]) -> bool:
    """Whether a module is one of these packages and modules, or within one."""
    return any(module == name or module.startswith(f"{name}.") for name in code)


def told(value: Any, code: Sequence[str]) -> str:
    """A value in short, equal for equal values in all processes.

    Fields of a dataclass with ``metadata={"hashed": False}``, which can't change a number, are left out.

    Args:
        value: any.
        code: packages and modules of whose objects the attributes count.
    """
    text = described(value, code)
    if len(text) <= _SHORT:
        return text
    return f"{text[: _SHORT // 2]}… {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def described(value: Any, code: Sequence[str], *, strict: bool = False) -> str:
    """The same at full length.

    Args:
        value: any.
        code: as for ``told``.
        strict: refuse what only the name of its class would be told of.

    Raises:
        TypeError: ``strict``, and there is such a value.
    """
    return _text(value, code, (), strict)


def _text(value: Any, code: Sequence[str], outer: tuple[int, ...], strict: bool) -> str:
    def inner(one: Any) -> str:
        return _text(one, code, (*outer, id(value)), strict)

    if strict and len(outer) > _DEEPEST:
        raise TypeError("values lie too deep within others to be told: pass simpler arguments")
    if len(outer) > _DEEPEST or id(value) in outer:
        return "…"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | range | slice):
        return repr(value) if type(value).__module__ == "builtins" else f"{type(value).__qualname__} {value!r}"
    if value is Absent:
        return "absent"
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array(value)
    if hasattr(value, "to_dict") and hasattr(value, "dims") and hasattr(value, "attrs"):  # xarray's
        return f"{type(value).__name__} {inner(_plain(value.to_dict(data='array')))}"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} {{{', '.join(f'{inner(k)}: {inner(v)}' for k, v in value.items())}}}"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {{{', '.join(sorted(map(inner, value)))}}}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} ({', '.join(map(inner, value))})"
    if isinstance(value, types.CodeType):
        return f"{value.co_code.hex()} {value.co_names} {inner(value.co_consts)}"
    if isinstance(value, PurePath | np.dtype | inspect.Signature):
        return str(value)
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, functools.partial):
        return f"partial {inner(value.func)} {inner(value.args)} {inner(value.keywords)}"
    if isinstance(value, weakref.ref):
        return f"weak {inner(value())}"
    if isinstance(value, types.MethodType):
        return f"{inner(value.__func__)} of {inner(value.__self__)}"
    if isinstance(value, types.FunctionType):
        return _function(value, inner)
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, type):
        return f"class {name}"
    if callable(getattr(value, "__wrapped__", None)):
        return f"{name} of {inner(value.__wrapped__)}"
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    if dataclasses.is_dataclass(value):
        fields = [field for field in dataclasses.fields(value) if field.metadata.get("hashed", True)]
        return f"{name} {inner({field.name: getattr(value, field.name, None) for field in fields})}"
    if isinstance(value, types.SimpleNamespace) or within(kind.__module__, code):
        return f"{name} {inner(getattr(value, '__dict__', {}))}"
    if callable(value) and isinstance(getattr(value, "__qualname__", None), str):
        return f"{name} {getattr(value, '__module__', '')}.{value.__qualname__}"
    if strict and not isinstance(value, np.ufunc | np.dtype):
        raise TypeError(f"a {name} can't be told in full: pass what it was made of")
    return f"{name} {value!r}" if isinstance(value, np.ufunc) else name


def _plain(value: Any) -> Any:
    """xarray's dictionary, coordinates and attributes included, in an order that doesn't depend on how it was made."""
    return {key: _plain(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def _array(value: Any) -> str:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return f"key {_array(jr.key_data(value))}"
    array = np.asarray(value)
    content = repr(array.tolist()) if array.dtype.hasobject else array.tobytes()
    digest = hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:16]
    return f"{array!s} {array.dtype}" if array.ndim == 0 else f"{array.dtype} of shape {array.shape}, {digest}"


def _own_function(value: types.FunctionType) -> types.FunctionType:
    """The function itself, without runtime checks of its types."""
    while value.__code__.co_filename.startswith(_CHECKS) and isinstance(
        inner := getattr(value, "__wrapped__", None), types.FunctionType
    ):
        value = inner
    return value


def _function(value: types.FunctionType, inner: Any) -> str:
    """Its name; where that doesn't tell it, its program and what it holds."""
    value = _own_function(value)
    name = f"{value.__module__}.{value.__qualname__}"
    if "<" not in value.__qualname__ and value.__module__ != "__main__":
        return name
    held: list[Any] = []
    for cell in value.__closure__ or ():
        with contextlib.suppress(ValueError):  # still empty
            held.append(cell.cell_contents)
    return f"{name} {inner(value.__code__)} {inner((value.__defaults__, value.__kwdefaults__))} {inner(held)}"


def definitions_held(value: Any, own: Sequence[str], outer: tuple[int, ...] = ()) -> set[tuple[str, str]]:
    """(module, name) of the classes and functions of some packages that a value is made of.

    Args:
        value: any.
        own: the packages.
        outer: what holds the value.
    """
    if len(outer) > _DEEPEST or id(value) in outer or isinstance(value, str | bytes | int | float | np.ndarray):
        return set()
    found: set[tuple[str, str]] = set()
    kind = value if isinstance(value, type | types.FunctionType) else type(value)
    if within(kind.__module__ or "", own):
        found.add((kind.__module__, kind.__qualname__.partition(".")[0]))
    parts: list[Any] = []
    if isinstance(value, functools.partial):
        parts = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, tuple | list | set | frozenset):
        parts = list(value)
    elif isinstance(value, types.MethodType):
        parts = [value.__func__, value.__self__]
    elif isinstance(value, types.FunctionType):
        value = _own_function(value)
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # still empty
                parts.append(cell.cell_contents)
        parts += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    elif callable(getattr(value, "__wrapped__", None)):
        parts = [value.__wrapped__]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    elif isinstance(value, types.SimpleNamespace) or within(kind.__module__ or "", own):
        parts = list(getattr(value, "__dict__", {}).values()) if not isinstance(value, type) else []
    return found.union(*(definitions_held(part, own, (*outer, id(value))) for part in parts))
