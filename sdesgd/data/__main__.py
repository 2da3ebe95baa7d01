"""``python -m sdesgd.data``: the data sets, which of them are here, and how to get the others; no data is read."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sdesgd.data.dataset import catalogue
from sdesgd.errors import InputError

_NUMERIC = ("examples", "features", "classes")


def show(data_dir: Path | None, console: Console) -> None:
    """Prints the table, and a line on each data set that is not here.

    Args:
        data_dir: a folder in which files are looked for too.
        console: where to print.

    Raises:
        InputError: data_dir is no folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir} is not a folder: pass the folder of the files as --data-dir")
    found = catalogue(data_dir)
    table = Table(title="Data sets; nothing is ever downloaded", box=SIMPLE_HEAD)
    for heading in ("name", "what", *_NUMERIC, "here"):
        table.add_column(heading, no_wrap=heading != "what", justify="right" if heading in _NUMERIC else "left")
    for info, missing in found:
        numbers = (info.examples, f"{info.num_features:,}", f"{info.num_classes:,}")
        table.add_row(info.name, escape(info.what), *numbers, "no" if missing else "yes")
    console.print(table, highlight=False)
    for info, missing in found:
        if missing:
            console.print(f"{info.name}: {missing}; {info.how}", highlight=False, markup=False, soft_wrap=True)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")


def main(arguments: list[str]) -> int:
    """Prints the table; the exit status is 0, 2 for bad arguments."""
    what = "The data sets, which of them are here, and how to get the others."
    parser = _Parser("python -m sdesgd.data", description=what)
    parser.add_argument("--data-dir", type=Path, metavar="PATH", help="look for files in this folder too")
    try:
        show(parser.parse_args(arguments).data_dir, Console())
    except SystemExit as stop:
        return int(stop.code or 0)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
