"""Errors a user can mend: one line that says the value and the remedy."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The message is one line: what is wrong, the value, the remedy."""


def require_known(kind: str, name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is among ``known``; else raise, naming the nearest one.

    Raises:
        InputError: ``name`` is not known.
    """
    known = sorted(known)
    if name in known:
        return name
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    raise InputError(f"unknown {kind} '{name}': {hint}known: {', '.join(known)}")
