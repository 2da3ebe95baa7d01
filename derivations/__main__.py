"""``python -m derivations``: checks every claim, shows one, writes the pages."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

import derivations
from derivations import html, runs, terminal
from derivations.verification import verify

console = Console()
errors = Console(stderr=True)


def check(
    name: Annotated[str | None, typer.Argument(help="A claim, to be shown step by step; without one, all.")] = None,
    html_folder: Annotated[Path | None, typer.Option("--html", help="Write all as static pages into it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Checks each printed equation twice, by algebra and by numbers found another way.

    The exit status is 1 when a check fails; an erratum found is not a failure.
    """
    if name is not None and name not in derivations.modules():
        try:
            derivations.claim(name)
        except KeyError as error:
            raise _bad_input(error.args[0]) from None
    if name is not None and html_folder is not None:
        raise _bad_input(f"{name} and --html were both given: pages are written for all claims together; leave out one")
    if html_folder is not None and html_folder.exists() and not html_folder.is_dir():
        raise _bad_input(f"{html_folder} is a file: pass a folder")
    if html_folder is not None:  # before the checks, which take a minute
        with _written_to(html_folder):
            html.check_writable(html_folder)
    if name is not None and not as_json:
        claim = derivations.claim(name)
        verification = verify(claim)
        terminal.show_claim(claim, verification, console)
        raise typer.Exit(0 if verification.passed else 1)
    names = list(derivations.modules()) if name is None else [name]
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("checking", total=len(names))
        outcomes = runs.run(names, pages=html_folder is not None, done=lambda: progress.advance(task), workers=workers)
    if html_folder is not None:
        with _written_to(html_folder):
            html.write(outcomes, html_folder)
        errors.print(f"pages: {html_folder / 'index.html'}", highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps([o.as_json() for o in outcomes], ensure_ascii=False, indent=2))
    else:
        terminal.show_table(outcomes, console)
    raise typer.Exit(0 if all(o.passed for o in outcomes) else 1)


@contextlib.contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _bad_input(f"can't write {folder}: {error.strerror}; free space or choose another folder") from None


def _bad_input(message: str) -> typer.Exit:
    errors.print(f"error: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(2)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status: 0, 1 for a failed check, 2 for bad input, 130 for Ctrl-C."""
    app = typer.Typer(add_completion=False)
    app.command()(check)
    try:
        app(arguments, prog_name="python -m derivations")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
