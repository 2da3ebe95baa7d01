"""The arguments of a formula by keyword: the names of the symbols as Python can have them; λ is ``lam``."""

import difflib
import keyword as python
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

import sympy as sp

# Signs that symbols have in their names. Of all others the letters stay.
_SPELT = {"*": "star", "′": "_prime_", "″": "_second_", "‴": "_third_", "∇": "grad_", "Δ": "Delta_", "ℓ": "ell"}


def keyword(argument: Any) -> str:
    """The keyword of a symbol: g_* is ``g_star``, ΔL ``Delta_L``, φ‴ ``phi_third``, det H_A ``det_H_A``."""
    name = str(argument)
    if name == "lambda":
        return "lam"
    spelt = "".join(_SPELT.get(letter) or _latin(letter) for letter in name)
    spelt = re.sub(r"_+", "_", re.sub(r"\W", "_", spelt)).strip("_")
    return f"{spelt}_" if python.iskeyword(spelt) else spelt


def renamed(argument: Any) -> Any:
    """The symbol under its keyword, with its assumptions or its shape."""
    name = keyword(argument)
    if name == str(argument):
        return argument
    if isinstance(argument, sp.MatrixSymbol):
        return sp.MatrixSymbol(name, *argument.shape)
    return sp.Symbol(name, **argument.assumptions0)


def check(claim: str, accepted: Collection[str], given: Mapping[str, Any]) -> None:
    """Refuses keywords that a claim's formula doesn't have, or that are missing.

    Args:
        claim: its name.
        accepted: its keywords.
        given: by the caller.

    Raises:
        TypeError: with the keywords that it takes.
    """
    takes = f"it takes {', '.join(accepted)}"
    for name in given:
        if name not in accepted:
            raise TypeError(f"{claim} has no argument {name!r}: {takes}{_nearest(name, accepted)}")
    missing = [name for name in accepted if name not in given]
    if missing:
        raise TypeError(f"{claim} was not given {', '.join(missing)}: {takes}")


def _nearest(name: str, accepted: Collection[str]) -> str:
    """What was probably meant."""
    near = ["lam"] if name.strip("_") in ("lambda", "lmbda", "λ") and "lam" in accepted else []
    near = near or difflib.get_close_matches(name, accepted, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _latin(letter: str) -> str:
    """Greek letters by their names, such as phi or Phi."""
    name = unicodedata.name(letter, "").split()
    if len(name) == 4 and name[0] == "GREEK" and name[2] == "LETTER":
        return name[3].lower() if name[1] == "SMALL" else name[3].title()
    return letter
