"""``python -m sdesgd.sweep FOLDER``: how far a sweep is, while it runs or afterwards; nothing is written."""

import sys

from sdesgd.errors import InputError, shown
from sdesgd.sweep.summary import status


def main(arguments: list[str]) -> int:
    """Prints the status; 2 for bad arguments."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        given = shown(" ".join(arguments)) if arguments else "no argument"
        print(f"error: {given}: pass one folder, as in python -m sdesgd.sweep FOLDER", file=sys.stderr)
        return 2
    try:
        print(status(arguments[0]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
