"""Options of an experiment, each declared once with its bounds or choices; and the parts of them that stages take."""

import dataclasses
import inspect
import math
import types
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from sdesgd.errors import InputError, one_line, require_known

# Panels of --help, in their order.
Group = Literal["data", "net", "problem", "dynamics", "run"]
# A whole number above it means no experiment that would end, unless its option says otherwise. What is below may still
# take long or not fit into memory: that is checked where it is known.
_DEFAULT_MOST = 10**6
_MOST_SEED = 2**32 - 1
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Declared:
    """What an option may be; see ``option``."""

    group: Group = "run"
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    zero: str = ""
    numbers: type | None = None
    fewest: int = 1
    choices: tuple[str, ...] = ()
    several: bool = False
    kind: str = ""
    remedy: str = ""
    replaces: tuple[str, ...] = ()

    def inside(self, value: float) -> bool:
        """Whether a number is within the bounds; 0 where it has a meaning of its own."""
        return (self.zero != "" and value == 0) or (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def wanted(self, name: str, whole: bool) -> str:
        """What to pass, in words."""
        if self.remedy:
            return self.remedy
        otherwise = f", or 0 for {self.zero}" if self.zero else ""
        if whole and self.least is not None:
            return f"pass at least {self.least:g}{otherwise}"
        low = f"{self.above:g} < " if self.above is not None else f"{self.least:g} ≤ " if self.least is not None else ""
        high = f" < {self.below:g}" if self.below is not None else f" ≤ {self.most:g}" if self.most is not None else ""
        return f"pass a number with {low}{name}{high}{otherwise}"


def option(default: Any, help: str, *, hashed: bool = True, group: Group = "run", **declared: Any) -> Any:
    """A field of a Config: its default, its line in --help, and what it may be.

    Args:
        default: value.
        help: what it is, a sentence; the choices are added to it.
        hashed: whether it enters the name of the run's folder; False for what can't change a result, such as the number
            of worker processes: a run is then resumed with another.
        group: panel of --help.
        **declared: ``least``, ``most``, ``above``, ``below``: bounds of a number, or of each number of a list; whole
            numbers are 0 to 10⁶ unless bounds say otherwise. ``zero``: what 0 stands for, where it is allowed beside
            the bounds. ``numbers``: int or float, for text that is a list of different numbers, ``fewest`` or more;
            empty where the default is. ``choices``: names of which it is one, or with ``several`` a list;
            ``kind``: what they are names of. ``remedy``: the end of a refusal, in place of the bounds in words.
            ``replaces``: names of options that can't be given beside this one.
    """
    found = Declared(group, **declared)
    help = f"{help.removesuffix('.')}: {' | '.join(found.choices)}." if found.choices else help
    return dataclasses.field(default=default, metadata={"help": help, "hashed": hashed, "declared": found})


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


# -- what options hold -------------------------------------------------------------------------------------


def listed(config: Any, name: str) -> list[Any]:
    """The numbers of an option that is a list of them, ascending; none where it is empty.

    Args:
        config: a dataclass of options, or a ``Part`` of one.
        name: of the option.

    Raises:
        InputError: no numbers, out of bounds, repeated, or too few.
    """
    field = _field(config, name)
    declared, text = field.metadata["declared"], getattr(config, name)
    if not text.strip() and not field.default:
        return []
    whole = declared.numbers is int
    example = field.default or "0.05,0.1"
    found = []
    for part in text.split(","):
        try:
            found.append(int(part) if whole else float(part))
        except ValueError:
            kind = "whole numbers" if whole else "numbers"
            raise InputError(f"{name} is {_shown(text)}: pass comma-separated {kind}, say {example}") from None
        _check_number(name, "holds", found[-1], declared)
    if len(set(found)) < len(found):
        raise InputError(f"{name} is {_shown(text)}: a value is repeated; pass each once")
    if len(found) < declared.fewest:
        raise InputError(f"{name} is {_shown(text)}: pass {declared.fewest} or more different numbers, say {example}")
    return sorted(found)


def named(config: Any, name: str) -> list[str]:
    """The names of an option that is a list of them, in the order in which its choices are declared.

    Args:
        config: a dataclass of options, or a ``Part`` of one.
        name: of the option.

    Raises:
        InputError: an unknown name (the nearest is named), or none.
    """
    declared = _field(config, name).metadata["declared"]
    text = getattr(config, name)
    kind = declared.kind or name.removesuffix("s")
    found = {require_known(kind, part.strip(), declared.choices) for part in text.split(",")}
    return [choice for choice in declared.choices if choice in found]


def _field(config: Any, name: str) -> dataclasses.Field:
    kind = config._kind if isinstance(config, Part) else type(config)
    return kind.__dataclass_fields__[name]


# -- what is refused ---------------------------------------------------------------------------------------


def check_options(config: Any) -> None:
    """Refuses what an option wasn't declared to be, and numbers that can't be meant, whatever the experiment.

    Args:
        config: a dataclass of options.

    Raises:
        InputError: names the option: out of bounds, no such choice; no whole number from 0 to what is plausible; not
            finite, or 0 or infinite in float32, in which nets are computed.
    """
    for field in dataclasses.fields(config):
        name, value, declared = field.name, getattr(config, field.name), _declared(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(name, "is", value, declared)
        elif declared.numbers is not None:
            listed(config, name)
        elif declared.several:
            named(config, name)
        elif declared.choices:
            require_known(declared.kind or name.replace("_", " "), value, declared.choices)


def check_replaced(config: Any, given: Iterable[str]) -> None:
    """Refuses options beside another one that stands in their place.

    Args:
        config: a dataclass of options.
        given: names of options that stand on the command line.

    Raises:
        InputError: names both.
    """
    given = set(given)
    for field in dataclasses.fields(config):
        both = [_flag(name) for name in _declared(field).replaces if name in given]
        if both and field.name in given:
            raise InputError(f"{_flag(field.name)} stands in place of {', '.join(both)}: leave out one or the other")


def check_ignored(given: Iterable[str]) -> None:
    """Refuses options beside ``--from``, which computes nothing.

    Args:
        given: names of options of the experiment that stand on the command line.

    Raises:
        InputError: there are some.
    """
    named = ", ".join(map(_flag, given))
    if named:
        raise InputError(
            f"--from draws a finished run as it was computed, so {named} can't apply: leave out one or the other"
        )


def _declared(field: dataclasses.Field) -> Declared:
    return field.metadata.get("declared", Declared())


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_number(name: str, verb: str, value: float, declared: Declared) -> None:
    whole = isinstance(value, int)
    if not whole:
        _check_real(name, verb, value)
    most = declared.most or (_MOST_SEED if name == "seed" else _DEFAULT_MOST)
    if whole and value > most:
        raise InputError(f"{name} {verb} {_digits(value)}: pass at most {most:,}")
    if whole and declared.least is None and declared.above is None:
        declared = dataclasses.replace(declared, least=0)
    if not declared.inside(value):
        raise InputError(f"{name} {verb} {_digits(value) if whole else f'{value:g}'}: {declared.wanted(name, whole)}")


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


def _digits(value: int) -> str:
    return one_line(str(value), 40) if abs(value) < 10**1000 else "a number of more than 1000 digits"


def _shown(text: str) -> str:
    return f"'{one_line(text, 60)}'"
