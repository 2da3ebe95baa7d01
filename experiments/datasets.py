"""``python -m experiments data``: the data sets, which of them are here, and how to get the others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

import sdesgd as sg
from experiments._shared.cli import console, run_app
from sdesgd.errors import InputError


def show(data_dir: Path | None) -> None:
    """Prints the table, and a line on each data set that is not here.

    Raises:
        InputError: data_dir is no folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir} is not a folder: pass the folder of the files as --data-dir")
    catalogue = sg.data.catalogue(data_dir)
    table = Table(title="Data sets; nothing is ever downloaded", box=SIMPLE_HEAD)
    for heading in ("name", "what", "examples", "features", "classes", "here"):
        numeric = heading in ("examples", "features", "classes")
        table.add_column(heading, no_wrap=heading != "what", justify="right" if numeric else "left")
    for info, missing in catalogue:
        here = "no" if missing else "yes"
        numbers = (info.examples, f"{info.num_features:,}", f"{info.num_classes:,}")
        table.add_row(info.name, escape(info.what), *numbers, here)
    console.print(table, highlight=False)
    for info, missing in catalogue:
        if missing:
            console.print(f"{info.name}: {missing}; {info.how}", highlight=False, markup=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Prints the table; the exit status is 0, 2 for bad arguments."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help="Lists the data sets, which are here, and how to get the others; reads no data.")
    def data(
        data_dir: Annotated[Path | None, typer.Option(help="Look for files in this folder too.")] = None,
    ) -> None:
        show(data_dir)

    return run_app(app, arguments, name="python -m experiments data")
