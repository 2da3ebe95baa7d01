"""The values outside its config that a cell's function reads: globals of its module, which a program may have set.

A file's hash doesn't tell that ``cells.RATE = 0.1`` was said after the import, and a worker that imports the file
doesn't know. So the values of the globals that the function reads, by itself or through other functions, classes and
modules of the sweep's code, enter the fingerprint; and a process where they differ computes nothing.

What is reached by the code of the cells and changed by it too, as a cache is, is their own affair and left out.
"""

import ast
import contextlib
import enum
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from sdesgd.store.described import Absent, told, within
from sdesgd.store.reads import Chain, definitions, reads

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
        value: Any = Absent
        with contextlib.suppress(Exception):  # what can't be imported here isn't there
            value = importlib.import_module(module)
        for part in path.split("."):
            value = getattr(value, part, Absent)
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
        literal = ast.literal_eval(found[0].value) if len(found) == 1 and isinstance(found[0], ast.Assign) else Absent
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
        if place in reached or not within(place[0], code) or not hasattr(sys.modules.get(place[0]), place[1]):
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
    if own and within(value.__module__ or "", code):
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
