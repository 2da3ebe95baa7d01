"""The values outside its config that a cell's function reads: globals of its module, which a program may have set.

A file's hash doesn't tell that ``cells.RATE = 0.1`` was said after the import, and a worker that imports the file
doesn't know. So the values of the globals that the function reads, by itself or through other functions, classes and
modules of the sweep's code, enter the fingerprint; and a process where they differ computes nothing.

What is reached by the code of the cells and changed by it too, as a cache is, is their own affair and left out.
"""

import ast
import contextlib
import dataclasses
import enum
import functools
import hashlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from sdesgd.sweep.reads import Chain, definitions, reads

_SHORT = 60  # characters of a value that is told as it is
_DEEPEST = 10  # containers within containers
_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    list,
    set,
    frozenset,
    Mapping,
    np.ndarray,
    np.generic,
    jax.Array,
)
_Place = tuple[str, str]  # module, name


_last_values: dict[str, dict[str, str]] = {}  # by function, in this process


class _Absent:
    """In place of a value that isn't there."""


def values_read(function: str, code: Sequence[str]) -> dict[str, str]:
    """Global that the function reads → its value, or a hash of it; "module:NAME", sorted.

    Args:
        function: "module:function".
        code: packages and modules whose own globals count, the sweep's.
    """
    module, _, inner = function.partition(":")
    reached, changed = _reached(module, inner.partition(".")[0], code)
    found: dict[str, str] = {}
    for place, name in reached - changed:
        for path, value in _own_values(place, name, code):
            found[f"{place}:{path}"] = told(value, code)
    return dict(sorted(found.items()))


def difference(values: Mapping[str, str], code: Sequence[str]) -> str | None:
    """In words, the first of the values that is another one in this process; None if there is none.

    Args:
        values: of ``values_read``, perhaps in another process.
        code: as there.
    """
    for key, expected in values.items():
        module, _, path = key.partition(":")
        value: Any = _Absent
        with contextlib.suppress(Exception):  # what can't be imported here isn't there
            value = importlib.import_module(module)
        for part in path.split("."):
            value = getattr(value, part, _Absent)
        here = told(value, code)
        if here != expected:
            return f"{module}.{path} is {here}, and {expected} where the sweep began"
    return None


def forget_compiled(function: str, values: Mapping[str, str]) -> None:
    """Drops what JAX has compiled if a value may be another one than when it was: it is part of the compiled program.

    Args:
        function: whose cells are to be computed.
        values: of ``values_read``, as they are in this process.
    """
    before = _last_values.get(function)
    if before != values and (before is not None or not all(map(_as_imported, values, values.values()))):
        jax.clear_caches()
    _last_values[function] = dict(values)


def _as_imported(key: str, value: str) -> bool:
    """Whether a value is the source's own: a constant that stands there, or an attribute of a definition."""
    module, _, name = key.partition(":")
    found = definitions(module).get(name, [])
    try:
        literal = ast.literal_eval(found[0].value) if len(found) == 1 and isinstance(found[0], ast.Assign) else _Absent
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return "." in name or told(literal, ()) == value


# -- which globals ---------------------------------------------------------------------------------------


def _reached(module: str, name: str, code: Sequence[str]) -> tuple[set[_Place], set[_Place]]:
    """(module, name) of all globals that a definition reads, through others; and of those that it changes."""
    reached: set[_Place] = set()
    changed: set[_Place] = set()
    waiting = [(module, name)]
    while waiting:
        place = waiting.pop()
        if place in reached or not _within(place[0], code) or not hasattr(sys.modules.get(place[0]), place[1]):
            continue
        reached.add(place)
        value = getattr(sys.modules[place[0]], place[1])
        waiting += [(origin, first) for origin, first in _origins(value)]
        for node in definitions(place[0]).get(place[1], ()):
            found = reads(node)
            waiting += [_located(place[0], chain) for chain in found.found]
            changed |= {_located(place[0], chain) for chain in found.changed}
            waiting += [origin for origin in [_imported(place, node)] if origin]
    for place in reached:
        if any(_imported(place, node) in changed for node in definitions(place[0]).get(place[1], ())):
            changed.add(place)
    return reached, changed


def _within(module: str, code: Sequence[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in code)


def _origins(value: Any) -> Iterator[_Place]:
    """Where a function or a class is defined, jitted or partial ones too."""
    seen = 0
    while value is not None and seen < _DEEPEST:
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(module, str) and isinstance(name, str):
            yield module, name.partition(".")[0]
        value, seen = getattr(value, "__wrapped__", getattr(value, "func", None)), seen + 1


def _located(module: str, chain: Chain) -> _Place:
    """The global that a chain of names like ``settings.rates.first`` begins with, modules passed through."""
    place, name, *rest = module, *chain
    while rest and isinstance(found := getattr(sys.modules[place], name, None), types.ModuleType):
        if found.__name__ not in sys.modules:
            break
        place, name, *rest = found.__name__, *rest
    return place, name


def _imported(place: _Place, node: ast.AST) -> _Place | None:
    """Where a global comes from, by an import in the source."""
    if not isinstance(node, ast.ImportFrom):
        return None
    original = next((a.name for a in node.names if (a.asname or a.name) == place[1]), None)
    package = getattr(sys.modules[place[0]], "__package__", None)
    try:
        module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    except (ImportError, ValueError):
        return None
    return None if original is None or module not in sys.modules else (module, original)


def _own_values(module: str, name: str, code: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """What can have been set at run time: a global that isn't a definition of the source, and attributes of one."""
    value = getattr(sys.modules[module], name)
    if isinstance(value, types.ModuleType):
        return
    if not (isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__"))):
        yield name, value
        return
    if not _as_in_source((module, name), value):
        yield name, value
    own = isinstance(value, types.FunctionType | type) and not isinstance(value, enum.EnumMeta)
    if own and _within(value.__module__ or "", code):
        for attribute, inner in vars(value).items():
            if not attribute.startswith("_") and (inner is None or isinstance(inner, _PLAIN)):
                yield f"{name}.{attribute}", inner


def _as_in_source(place: _Place, value: Any) -> bool:
    if (value.__module__, value.__qualname__) == place:
        return True
    for node in definitions(place[0]).get(place[1], ()):
        origin = _imported(place, node)
        if origin and getattr(sys.modules[origin[0]], origin[1], None) is value:
            return True
    return False


# -- values ------------------------------------------------------------------------------------------------


def told(value: Any, code: Sequence[str]) -> str:
    """A value in short, equal for equal values in all processes.

    Args:
        value: any.
        code: packages and modules of whose objects the attributes count.
    """
    text = _text(value, code, ())
    if len(text) <= _SHORT:
        return text
    return f"{text[: _SHORT // 2]}… {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def _text(value: Any, code: Sequence[str], within: tuple[int, ...]) -> str:
    def inner(one: Any) -> str:
        return _text(one, code, (*within, id(value)))

    if len(within) > _DEEPEST or id(value) in within:
        return "…"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | range | slice):
        return repr(value) if type(value).__module__ == "builtins" else f"{type(value).__qualname__} {value!r}"
    if value is _Absent:
        return "absent"
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array(value)
    if isinstance(value, Mapping):
        return f"{type(value).__name__} {{{', '.join(f'{inner(k)}: {inner(v)}' for k, v in value.items())}}}"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {{{', '.join(sorted(map(inner, value)))}}}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} ({', '.join(map(inner, value))})"
    if isinstance(value, types.CodeType):
        return f"{value.co_code.hex()} {value.co_names} {inner(value.co_consts)}"
    if isinstance(value, PurePath | np.dtype):
        return str(value)
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, functools.partial):
        return f"partial {inner(value.func)} {inner(value.args)} {inner(value.keywords)}"
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
        return f"{name} {inner({field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)})}"
    if isinstance(value, types.SimpleNamespace) or _within(kind.__module__, code):
        return f"{name} {inner(getattr(value, '__dict__', {}))}"
    return name


def _array(value: Any) -> str:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return f"key {_array(jr.key_data(value))}"
    array = np.asarray(value)
    content = repr(array.tolist()) if array.dtype.hasobject else array.tobytes()
    digest = hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:16]
    return f"{array!s} {array.dtype}" if array.ndim == 0 else f"{array.dtype} of shape {array.shape}, {digest}"


def _function(value: types.FunctionType, inner: Any) -> str:
    """Its name; where that doesn't tell it, its program and what it holds."""
    name = f"{value.__module__}.{value.__qualname__}"
    if "<" not in value.__qualname__ and value.__module__ != "__main__":
        return name
    held: list[Any] = []
    for cell in value.__closure__ or ():
        with contextlib.suppress(ValueError):  # still empty
            held.append(cell.cell_contents)
    return f"{name} {inner(value.__code__)} {inner((value.__defaults__, value.__kwdefaults__))} {inner(held)}"
