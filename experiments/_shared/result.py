"""What an experiment answers with: typed numbers, which say, draw and keep themselves."""

import dataclasses
import importlib
import inspect
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from rich.console import Console

from experiments._shared.terminal import PlainConsole
from sdesgd.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 110  # characters of a report that isn't printed on a terminal
_LONGEST = 1000  # numbers of an array that is told in JSON; a longer one is in the result's file alone


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ExperimentResult(Result):
    """The base of the ``Result`` of an experiment's folder, a frozen dataclass of configuration, numbers and verdicts.

    ``plot`` and ``str`` are the folder's ``figure.draw`` and ``report.show``, ``save`` and ``load`` those of all
    results; ``parts`` names the dataclasses of which it is made, its ``Config`` among them.

    Attributes:
        config: of the run.
    """

    config: Any

    def answer(self) -> str:
        """The headline, in one sentence or two."""
        raise NotImplementedError

    def sizes(self) -> dict[str, Any]:
        """What the manifest says of the run besides its configuration: dtype, number of parameters, …"""
        return {"seed": self.config.seed}

    def how_to_read(self) -> str:
        """What the figure shows: the first lines of its module."""
        return inspect.getdoc(self._beside("figure")) or ""

    def plot(self) -> "Figure":
        """The figure of the experiment."""
        return self._beside("figure").draw(self)

    def report(self, console: Console) -> None:
        """Prints tables and headline."""
        self._beside("report").show(self, console)

    def __str__(self) -> str:
        text = io.StringIO()
        self.report(PlainConsole(file=text, width=_WIDTH))
        return text.getvalue().rstrip()

    def summary(self) -> dict[str, Any]:
        """The numbers as JSON has them, for people and other programs; nothing is read back from it."""
        return {"answer": self.answer(), **as_json(self), "sizes": as_json(self.sizes())}

    def _beside(self, name: str) -> Any:
        """A module of the experiment's folder: a result imports nothing that draws or prints before it must."""
        return importlib.import_module(f"{type(self).__module__.rpartition('.')[0]}.{name}")


def as_json(value: Any) -> Any:
    """The fields and properties of dataclasses, and what they hold, as JSON has them.

    A number that isn't finite becomes None. Datasets, results of their own and arrays of more than 1,000 numbers are
    left out.

    Args:
        value: a dataclass, a mapping with text as keys, a sequence, an array, a number or a text.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {name: getattr(value, name) for name in _told(type(value))}
        return {name: as_json(entry) for name, entry in told.items() if not _is_long(entry)}
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items() if not _is_long(entry)}
    if isinstance(value, list | tuple):
        return [None if _is_long(entry) else as_json(entry) for entry in value]  # the others keep their places
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _told(kind: type) -> list[str]:
    fields = [field.name for field in dataclasses.fields(kind)]
    derived = [name for base in reversed(kind.__mro__) for name, found in vars(base).items() if _is_public(name, found)]
    return list(dict.fromkeys(fields + derived))


def _is_public(name: str, found: Any) -> bool:
    return isinstance(found, property) and not name.startswith("_")


def _is_long(value: Any) -> bool:
    return isinstance(value, xr.Dataset | Result) or (isinstance(value, np.ndarray) and value.size > _LONGEST)
