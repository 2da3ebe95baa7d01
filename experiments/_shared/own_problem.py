"""A problem of one's own, ``--problem FILE.py:NAME``: NAME is an ``sdesgd.Problem``, or a function that returns one.

The function takes ``num_examples``, ``seed``, both by these names, or neither:

    def make(num_examples, seed):
        data = ...
        return sdesgd.Problem(loss, params, data)

The file is run as Python runs a script, with its folder first on the path. A stage that uses the problem is known by
the problem's values, by the file's source and those of the modules beside it that it imports, and by what the globals
of these hold.
"""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import keyword
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import sdesgd as sg
from experiments._shared.options import option
from experiments._shared.run_folder import RunFolder
from sdesgd.errors import InputError, one_line, require_known, shown
from sdesgd.store.described import described

_FORM = "pass FILE.py:NAME, a file and the problem in it"
_NUMBERS = ("num_examples", "seed")


def problem_option(*replaces: str) -> Any:
    """The option ``problem`` of a Config.

    Args:
        replaces: options that it stands in place of.
    """
    text = "FILE.py:NAME, an sdesgd.Problem of yours, or a function of num_examples and seed that returns one."
    return option("", text, group="problem", replaces=replaces)


@dataclasses.dataclass(frozen=True)
class OwnProblem:
    """What a file gives.

    Attributes:
        name: of the file and of the problem in it, for titles.
        problem: the problem.
        modules: top-level names of the modules of one's own.
        held: what their globals hold, in words that are equal for equal values.
    """

    name: str
    problem: sg.Problem
    modules: tuple[str, ...]
    held: str

    def counts_in(self, folder: RunFolder) -> None:
        """Makes the sources of these modules a part of the keys of the run's stages.

        Raises:
            InputError: the problem holds what can't be told in full, so that no key would know it.
        """
        stages = folder.stages
        stages.own = (*stages.own, *(name for name in self.modules if name not in stages.own))
        try:
            described(self.problem, stages.own, strict=True)
        except TypeError as error:
            raise InputError(f"{self.name}: {error}") from None


@functools.cache
def load(text: str, num_examples: int, seed: int) -> OwnProblem:
    """The problem that a text names; the file is run once a process.

    Args:
        text: FILE.py:NAME.
        num_examples: what the function is given, where it takes it.
        seed: the same.

    Raises:
        InputError: no such file or name, an error in the file, not a problem.
    """
    place, _, name = text.rpartition(":")
    path = Path(place)
    if not place.strip() or not name.strip() or path.suffix != ".py":
        raise InputError(f"--problem is {shown(text)}: {_FORM}")
    if not path.is_file():
        raise InputError(f"--problem: there is no file {one_line(place, 120)}: {_FORM}")
    module = _module(path)
    public = [known for known in vars(module) if not known.startswith("_")]
    found = getattr(module, require_known(f"name in {path.name}", name, public))
    title = f"{path.name}:{name}"
    if callable(found) and not isinstance(found, sg.Problem):
        found = _made(path, title, found, {"num_examples": num_examples, "seed": seed})
    if not isinstance(found, sg.Problem):
        raise InputError(f"{title} is {_kind(found)}: make it an sdesgd.Problem, or a function that returns one")
    modules = _beside(path.resolve().parent)
    names = tuple(dict.fromkeys([module.__name__, *(one.__name__.partition(".")[0] for one in modules)]))
    values = {
        one.__name__: {key: value for key, value in sorted(vars(one).items()) if not key.startswith("__")}
        for one in modules
    }
    return OwnProblem(title, found, names, described(values, names))


def _module(path: Path) -> ModuleType:
    """The file as a module of its own name, as its siblings would import it."""
    name, folder = path.stem, str(path.resolve().parent)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"{path.name} can't be imported by its name: rename it, say to my_net.py")
    if folder not in sys.path:
        taken = sys.modules.get(name) or _found(name)
        if taken is not None:
            raise InputError(f"{path.name} has the name of another module, {name}: rename it, say to my_net.py")
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    module = _running(path, path.name, lambda: importlib.import_module(name))
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise InputError(f"{path.name} has the name of another module, {name}: rename it, say to my_net.py")
    return module


def _found(name: str) -> Any:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec(name)
    return None


def _made(path: Path, title: str, function: Callable, numbers: dict[str, int]) -> Any:
    """What the function returns for these."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in _VARIADIC]
    other = [name for name in needed if name not in _NUMBERS]
    if other:
        raise InputError(f"{title} takes {', '.join(other)}: make it a function of num_examples and seed")
    taken = {one.name for one in parameters} & set(_NUMBERS)
    return _running(path, title, lambda: function(**{name: numbers[name] for name in sorted(taken)}))


_OURS = ("sdesgd", "derivations", "experiments", "tests")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _running(path: Path, what: str, call: Callable[[], Any]) -> Any:
    """What the call returns; an error of the user's own is one line, with the line of the file."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        resolved = str(path.resolve())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == resolved]
        if isinstance(error, SyntaxError) and error.filename == resolved:
            lines.append(error.lineno)
        where = f", line {lines[-1]}" if lines else ""
        why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {one_line(str(error), 160)}"
        raise InputError(f"{what}{where}: {why}: mend the file") from None


def _beside(folder: Path) -> list[ModuleType]:
    """The modules of the user's own that were imported from a folder, by name; the stages know ours themselves."""
    found = [
        module
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and folder in Path(file).resolve().parents
        if "site-packages" not in Path(file).parts and module.__name__.partition(".")[0] not in _OURS
    ]
    return sorted((module for module in found if module.__name__ != "__main__"), key=lambda module: module.__name__)


def _kind(value: Any) -> str:
    return "a class" if isinstance(value, type) else f"a {type(value).__name__}"
