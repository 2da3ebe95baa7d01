"""``python -m derivations``: checks every claim, shows one, lists them, writes pages and LaTeX, begins a new one."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import derivations
from derivations import catalogue, new

if TYPE_CHECKING:
    from derivations.outcome import Outcome

console = Console()
errors = Console(stderr=True)


def check(
    name: Annotated[str | None, typer.Argument(help="A claim, to be shown step by step; without one, all.")] = None,
    html_folder: Annotated[Path | None, typer.Option("--html", help="Write all as static pages into it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print a claim's equations as LaTeX, unchecked.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Checks each printed equation twice, by algebra and by numbers found another way.

    Then a planted slip takes the place of the formula, and both checks must catch it. The exit status is 1 when a check
    fails; an erratum found is not a failure.

    `python -m derivations list [WORDS]...` lists the claims, `python -m derivations new NAME` begins one.
    """
    if name is not None:
        _refuse_unknown(name)
    if name is not None and html_folder is not None:
        raise _bad_input(f"{name} and --html were both given: pages are written for all claims together; leave out one")
    if html_folder is not None and html_folder.exists() and not html_folder.is_dir():
        raise _bad_input(f"{html_folder} is a file: pass a folder")
    if as_latex:
        if name is None or as_json or html_folder is not None:
            raise _bad_input("--latex is for one claim, without --json and --html: python -m derivations NAME --latex")
        from derivations import latex

        print(latex.align(derivations.claim(name)))
        raise typer.Exit(0)
    if html_folder is not None:  # before the checks, which take a minute
        from derivations import html

        with _written_to(html_folder):
            html.check_writable(html_folder)
    if name is not None and not as_json:
        from derivations import terminal
        from derivations.verification import verify

        claim = derivations.claim(name)
        verification = verify(claim)
        terminal.show_claim(claim, verification, console)
        raise typer.Exit(0 if verification.passed else 1)
    outcomes = _outcomes(list(derivations.modules()) if name is None else [name], html_folder, workers)
    if as_json:
        print(json.dumps([o.as_json() for o in outcomes], ensure_ascii=False, indent=2))
    else:
        from derivations import terminal

        terminal.show_table(outcomes, console)
    raise typer.Exit(0 if all(o.passed for o in outcomes) else 1)


def list_claims(
    words: Annotated[
        list[str] | None, typer.Argument(help="All of them must be mentioned.", show_default=False)
    ] = None,
) -> None:
    """Lists claims with their titles, sources and topics, and checks none.

    Words are looked for in names, titles, sources, topics, verdicts and the first lines of the files. The exit status
    is 1 if no claim mentions them all.
    """
    found = catalogue.search(words or [])
    if not found:
        errors.print(
            f"no claim mentions {' and '.join(words or [])}: try fewer words, or none for the whole list",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)
    width = max(len(e.name) for e in found)
    for topic in dict.fromkeys(e.topic for e in found):
        console.print(f"[bold]{topic}[/bold]", highlight=False)
        table = Table.grid(padding=(0, 2))
        table.add_column(width=width + 2, no_wrap=True)
        table.add_column()
        for e in found:
            if e.topic == topic:
                sources = escape("; ".join(map(str, e.sources)))
                table.add_row(f"  {e.name}", f"{escape(e.title)} [dim]({sources}; {e.verdict})[/dim]")
        console.print(table, highlight=False)
    console.print("[dim]`python -m derivations NAME` checks a claim and shows it.[/dim]", highlight=False)


def new_claim(
    name: Annotated[str, typer.Argument(help="As on the command line, such as my-claim.")],
    chapter: Annotated[
        str, typer.Option(help=f"The folder: {', '.join(derivations.CHAPTERS)}.", show_default=True)
    ] = "dynamics",
) -> None:
    """Writes the file of a new claim: a small one that holds as it is, to be overwritten."""
    try:
        file = new.create(name, chapter, Path(derivations.__file__).parent)
    except ValueError as error:
        raise _bad_input(str(error)) from None
    console.print(f"{file}: change it; `python -m derivations {name}` checks it", soft_wrap=True, highlight=False)


def _outcomes(names: list[str], html_folder: Path | None, workers: int) -> "list[Outcome]":
    """Verifies, behind a bar of progress, and writes the pages if there is a folder for them."""
    from rich.progress import Progress

    from derivations import html, runs

    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("checking", total=len(names))
        outcomes = runs.run(names, pages=html_folder is not None, done=lambda: progress.advance(task), workers=workers)
    if html_folder is not None:
        with _written_to(html_folder):
            html.write(outcomes, html_folder)
        errors.print(f"pages: {html_folder / 'index.html'}", highlight=False, soft_wrap=True)
    return outcomes


def _refuse_unknown(name: str) -> None:
    if name not in derivations.modules():
        try:
            derivations.claim(name)
        except KeyError as error:
            raise _bad_input(error.args[0]) from None


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
    commands = {"list": list_claims, "new": new_claim}
    command = arguments[0] if arguments and arguments[0] in commands else ""
    app.command()(commands.get(command, check))
    try:
        app(arguments[bool(command) :], prog_name=f"python -m derivations {command}".strip())
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
