"""Options of an experiment: declared once, refused where no experiment could mean them, taken by stages in parts."""

import dataclasses
import inspect
import math
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from sdesgd.errors import InputError, one_line

# Whole numbers above which an option means no experiment that would end, by the option's name. What is below may still
# take long or not fit into memory: that is checked where it is known.
_MOST = {"seed": 2**32 - 1, "max_steps": 10**9, "num_steps": 10**8, "steps": 10**8, "crossings": 10**9}
_MOST |= dict.fromkeys(("num_examples", "num_test", "nuts_samples", "passages", "replicas", "budget_size"), 10**7)
_MOST |= {"width": 10**5, "seeds": 10**4, "points": 10**4, "examples": 10**4, "svag_ell": 10**4, "substeps": 10**4}
_MOST |= {"depth": 1000, "workers": 1000, "curve_points": 1000, "etas": 100}
_DEFAULT_MOST = 10**6
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def option(default: Any, help: str, *, hashed: bool = True) -> Any:
    """A field of a Config: its default and its line in --help.

    Args:
        default: value.
        help: what it is.
        hashed: whether it enters the name of the run's folder; False for what can't change a result, such as the number
            of worker processes: a run is then resumed with another.
    """
    return dataclasses.field(default=default, metadata={"help": help, "hashed": hashed})


class Part:
    """Some options of a configuration, by which a stage is known; reading another one is an error.

    Methods of the configuration can be called, as far as they read no other options.

    Args:
        config: a dataclass of options.
        names: of the options.
    """

    def __init__(self, config: Any, *names: str):
        self._kind = type(config)
        self._values = {name: getattr(config, name) for name in names}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_kind", "_values"):
            raise AttributeError(name)
        if name in self._values:
            return self._values[name]
        found = getattr(self._kind, name, None)
        if inspect.isfunction(found):
            return types.MethodType(found, self)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)
        raise AttributeError(
            f"'{name}' is not among the options that this stage is known by: {', '.join(self._values)}"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self._kind, self._values) == (other._kind, other._values)

    def __hash__(self) -> int:
        return hash((self._kind, *sorted(self._values.items())))


def check_options(config: Any) -> None:
    """Refuses numbers that can't be meant, whatever the experiment.

    Args:
        config: a dataclass of options, text with commas among them for lists of numbers.

    Raises:
        InputError: names the option: no whole number from 0 to what is plausible; not finite, or 0 or infinite in
            float32, in which nets are computed.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        _check(field.name, "is", value)
        for number in _numbers(field, value) if isinstance(value, str) else ():
            _check(field.name, "holds", number)


def check_ignored(given: Iterable[str]) -> None:
    """Refuses options beside ``--from``, which computes nothing.

    Args:
        given: names of options of the experiment that stand on the command line.

    Raises:
        InputError: there are some.
    """
    named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    if named:
        raise InputError(
            f"--from draws a finished run as it was computed, so {named} can't apply: leave out one or other"
        )


def _check(name: str, verb: str, value: Any) -> None:
    if isinstance(value, float):
        _check_real(name, verb, value)
    elif isinstance(value, int) and not isinstance(value, bool):
        _check_whole(name, verb, value)


def _check_whole(name: str, verb: str, value: int) -> None:
    most = _MOST.get(name, _DEFAULT_MOST)
    if value < 0:
        raise InputError(f"{name} {verb} {_digits(value)}: pass at least 0")
    if value > most:
        raise InputError(f"{name} {verb} {_digits(value)}: pass at most {most}")


def _check_real(name: str, verb: str, value: float) -> None:
    size = abs(value)
    if not math.isfinite(value):
        raise InputError(f"{name} {verb} {value}: pass a finite number")
    if size > _LARGEST or 0 < size < _SMALLEST:
        what = "infinite" if size > 1 else "0 or loses digits"
        raise InputError(
            f"{name} {verb} {value:g}, which is {what} in float32: pass 0 or a number of size "
            f"{_SMALLEST:.1e} to {_LARGEST:.1e}"
        )


def _numbers(field: dataclasses.Field, text: str) -> list[int | float]:
    """Of an option that is a list of numbers by its default or its name; [] for other text."""
    if not (_parsed(str(field.default)) or field.name.endswith(("rates", "temperatures"))):
        return []
    return _parsed(text)


def _parsed(text: str) -> list[int | float]:
    found: list[int | float] = []
    for part in text.split(","):
        try:
            found.append(int(part) if part.strip().lstrip("+-").isdigit() else float(part))
        except ValueError:
            return []
    return found


def _digits(value: int) -> str:
    return one_line(str(value), 40) if abs(value) < 10**1000 else "a number of more than 1000 digits"
