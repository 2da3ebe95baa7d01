"""The terminal: a console that takes no orders from the text that it prints."""

import re
from typing import Any

from rich.console import Console
from rich.errors import MarkupError
from rich.text import Text

# The styles that reports ask for. All else in brackets is text: names, messages and options may come from a file.
_TAG = re.compile(r"(?P<slashes>\\*)\[(?=[a-zA-Z#/@])(?!/?(?:bold|red|green|yellow)\])")


class PlainConsole(Console):
    """A console that knows the tags bold, red, green and yellow, and prints all other brackets as they are.

    Rich's own markup has links and more, which a text of somebody else's must not reach, and refuses what doesn't
    close.
    """

    def __init__(self, **options: Any):
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its tags, or as it stands where these make no sense."""
        try:
            return super().render_str(_TAG.sub(_escaped, text), **options)
        except MarkupError:
            return super().render_str(text, **{**options, "markup": False})


def _escaped(found: re.Match[str]) -> str:
    """The bracket as text; after an odd number of backslashes it is text already."""
    slashes = found["slashes"]
    return found[0] if len(slashes) % 2 else f"{slashes}{slashes}\\["


console = PlainConsole()
errors = PlainConsole(stderr=True)
