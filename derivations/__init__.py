"""Derivations in sympy, one claim a file, each checked twice. Imports nothing of sdesgd.

from derivations import claim
claim("batch-covariance").function("numpy")
"""

import difflib
import importlib
import pkgutil
from functools import cache
from pathlib import Path

from derivations.claim import Claim

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


def claim(name: str) -> Claim:
    """The claim of this name.

    Raises:
        KeyError: an unknown name (the nearest is named).
    """
    if name not in modules():
        near = difflib.get_close_matches(name, modules(), 1)
        remedy = f"did you mean {near[0]}?" if near else "`python -m derivations` lists them"
        raise KeyError(f"no claim is called {name!r}: {remedy}")
    return importlib.import_module(modules()[name]).CLAIM


def claims() -> list[Claim]:
    """All claims, in the order of the tables."""
    return [claim(name) for name in modules()]
