"""Errors a user can mend: one line that says the value and the remedy."""

import difflib
from collections.abc import Iterable

# A refusal stays one line of a terminal or a log, whatever the values it quotes.
LONGEST = 300


class InputError(ValueError):
    """Bad input. The message is one line of at most 300 characters: what is wrong, the value, the remedy."""

    def __init__(self, message: object = ""):
        super().__init__(one_line(str(message)))


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text in one line; what is too long loses its middle, since the fault comes first and the remedy last.

    Args:
        text: any text.
        longest: characters, at most.
    """
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    tail = longest * 2 // 5
    return f"{text[: longest - tail - 3]} … {text[-tail:]}"


def shown(value: object, longest: int = 60) -> str:
    """``repr`` of a value in one line, shortened: for messages that quote what a user passed."""
    return one_line(repr(value), longest)


def require_known(kind: str, name: object, known: Iterable[str]) -> str:
    """Return ``name`` if it is among ``known``; else raise, naming the nearest one.

    Args:
        kind: what is being named, for the message.
        name: what was passed.
        known: the names there are.

    Raises:
        InputError: ``name`` is not known.
    """
    known = sorted(known)
    if isinstance(name, str) and name in known:
        return name
    lowered = {candidate.lower(): candidate for candidate in known}
    nearest = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.0)
    hint = f"did you mean '{lowered[nearest[0]]}'? " if nearest else ""
    raise InputError(f"unknown {kind} '{one_line(str(name), 40)}': {hint}known: {', '.join(known)}")
