"""Derivations in sympy, one claim a file, each checked twice. Imports nothing of sdesgd.

from derivations import claim
claim("batch-covariance").function("numpy")
claim("heavy-ball-variance")(eta=0.1, S=1, lam=1, c=1, m=0.9)
"""

import difflib
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # sympy takes most of a second, which the list of claims doesn't need
    from derivations.parts import Claim

# The folders of claims, in the order of the tables.
CHAPTERS = ("lecture", "thesis", "dynamics", "stationary", "basins", "sharpness")


@cache
def modules() -> dict[str, str]:
    """Name → module of every claim, chapter by chapter."""
    found = {}
    for chapter in CHAPTERS:
        folder = Path(__file__).parent / chapter
        for info in pkgutil.iter_modules([str(folder)]):
            name = info.name.replace("_", "-")
            if name in found:
                raise ValueError(f"two claims are called {name}: {found[name]} and derivations.{chapter}.{info.name}")
            found[name] = f"derivations.{chapter}.{info.name}"
    return found


def claim(name: str) -> "Claim":
    """The claim of this name.

    Raises:
        KeyError: an unknown name (the nearest are named).
    """
    if name not in modules():
        raise KeyError(f"no claim is called {name!r}: {_remedy(name)}")
    return importlib.import_module(modules()[name]).CLAIM


def claims() -> "list[Claim]":
    """All claims, in the order of the tables."""
    return [claim(name) for name in modules()]


def _remedy(name: str) -> str:
    """Names that are spelt alike, then those that share a word with it."""
    words = set(name.casefold().replace("_", "-").split("-"))
    near = difflib.get_close_matches(name.casefold().replace("_", "-"), modules(), 3)
    near += [other for other in modules() if words & set(other.split("-")) and other not in near]
    if not near:
        return "`python -m derivations list` lists them"
    *others, last = near[:3]
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
