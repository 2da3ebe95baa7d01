"""``python -m experiments new NAME``: the folder of a new experiment, which runs as it is."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from experiments._shared.cli import run_app
from experiments._shared.terminal import console

TEMPLATE = Path(__file__).resolve().parent / "template"


def create(name: str, folder: Path, taken: Collection[str] = ()) -> Path:
    """Copies the template.

    Args:
        name: as on the command line, such as ``my-question``.
        folder: of the experiments.
        taken: names of other commands.

    Raises:
        InputError: not a name, or there is such a command or folder.
    """
    from sdesgd.errors import InputError
    from sdesgd.files import write

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise InputError(
            f"{name!r} is no name of an experiment: use small letters, digits and hyphens, say my-question"
        )
    home = folder / name.replace("-", "_")
    if name in taken:
        raise InputError(f"{name} is another command: choose another name")
    if home.exists():
        raise InputError(f"{home} exists: choose another name")
    home.mkdir()
    for source in sorted(TEMPLATE.glob("*.py")):
        text = source.read_text(encoding="utf-8").replace("experiments._shared.template", f"experiments.{home.name}")
        write(home / source.name, text.encode())
    return home


def main(arguments: list[str], taken: Collection[str] = ()) -> int:
    """Runs the command; the exit status is 0, or 2 for bad arguments.

    Args:
        arguments: of the command line.
        taken: names of other commands.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help="Makes the folder of a new experiment, five files that run as they are.")
    def new(name: Annotated[str, typer.Argument(help="As on the command line, such as my-question.")]) -> None:
        home = create(name, TEMPLATE.parents[1], taken)
        console.print(f"{home}: change its five files; `python -m experiments {name}` runs it", soft_wrap=True)

    return run_app(app, arguments, name="python -m experiments new")
