"""The functions that a sweep was given, by a name under which its cells find them again."""

import importlib
from collections.abc import Callable

from sdesgd import programs

# By name, in this process: functions that no import finds, such as those of a notebook.
_HERE: dict[str, Callable] = {}


def name_of(function: Callable) -> str:
    """ "module:name" where an import finds the function, else a name that holds in this process alone."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module and module != "__main__" and "<" not in name and _imported(f"{module}:{name}") is function:
        return f"{module}:{name}"
    label = f"here:{programs.digest(function)}"
    _HERE[label] = function
    return label


def function_of(name: str) -> Callable:
    """The function of this name.

    Raises:
        LookupError: it was given to another process.
    """
    found = _HERE.get(name) if name.startswith("here:") else _imported(name)
    if found is None:
        raise LookupError(f"the function {name} isn't there: define it in a module, so that every process finds it")
    return found


def is_importable(name: str) -> bool:
    """Whether other processes find it."""
    return not name.startswith("here:")


def _imported(name: str) -> Callable | None:
    module, _, inner = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in inner.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if callable(found) else None
