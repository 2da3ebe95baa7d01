"""The command line of experiments. Nothing is imported before it is needed: a list of names takes no JAX."""

import contextlib
import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from experiments._shared.experiment import Experiment, Experiments, Interrupted

console = Console()
errors = Console(stderr=True)
_TOO_LARGE = re.compile(
    r"RESOURCE_EXHAUSTED|[Oo]ut of memory|array is too big|Maximum allowed (dimension|size) exceeded"
)


def main(experiments: Mapping[str, Experiment], arguments: list[str], others: Mapping[str, str] | None = None) -> int:
    """Runs one experiment; returns the exit status, see ``run_app``.

    Args:
        experiments: by name; only the one that is asked for is imported.
        arguments: of the command line.
        others: name → what it does, of commands that are run elsewhere, for the help.
    """
    app = typer.Typer(
        add_completion=False,
        help="Experiments of sdesgd, one question and one figure each.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name in experiments:
        if name == asked:
            experiment = experiments[name]
            app.command(name, help=inspect.getdoc(experiment.config))(_command(experiment))
        else:
            headline = experiments.headline(name) if isinstance(experiments, Experiments) else ""
            app.command(name, help=headline)(_nothing)
    for name, headline in (others or {}).items():
        app.command(name, help=headline)(_nothing)
    app.callback()(_nothing)

    def check_name() -> None:
        if asked is not None and arguments[0] == asked and asked not in experiments:
            from sdesgd.errors import require_known

            require_known("experiment", asked, [*experiments, *(others or {})])

    return run_app(app, arguments, check=check_name, light=asked is None)


def _nothing() -> None:
    """In place of a command that isn't asked for."""


def run_app(
    app: typer.Typer,
    arguments: list[str],
    *,
    name: str | None = None,
    check: Callable[[], None] = lambda: None,
    light: bool = False,
) -> int:
    """Runs a command line: what goes wrong is one line on stderr.

    Args:
        app: the commands.
        arguments: without the program's name.
        name: of the program, in its help.
        check: called first.
        light: nothing is computed, so that the library need not be imported.

    Returns:
        0; 1 where memory didn't suffice; 2 for bad input and for what can't be written; 130 for Ctrl-C, 143 for
        SIGTERM.
    """
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        if hasattr(stream, "reconfigure"):  # a terminal that is set to ASCII gets a ? for an η
            stream.reconfigure(errors="replace")
    interruptions: Any = contextlib.nullcontext()
    try:
        if not light:
            from sdesgd.interruption import Interruptions

            interruptions = Interruptions()
        with interruptions:
            check()
            status = app(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except (Interrupted, KeyboardInterrupt) as stop:
        status = getattr(interruptions, "status", 130)
        return _told(f"interrupted: {stop or 'nothing was lost that had been saved'}", status)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # of a reader that has seen enough, as head
        _give_up_stdout()
        return 1
    except OSError as error:
        _give_up_stdout()
        where = f" {error.filename}" if error.filename else ""
        return _told(
            f"error: can't read or write{where}: {error.strerror or error}; free space or choose another place", 2
        )
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    from sdesgd.errors import InputError, one_line

    if isinstance(error, InputError):
        return _told(f"error: {error}", 2)
    if hasattr(error, "format_message"):  # typer's and click's own, of arguments that aren't understood
        text = error.format_message()  # type: ignore[attr-defined]
        return _told(f"error: {text}; see --help" if text else "", 2)
    if isinstance(error, MemoryError | OverflowError) or _TOO_LARGE.search(str(error)):
        why = one_line(str(error) or type(error).__name__, 150)
        return _told(f"error: that takes more than this machine has ({why}); choose smaller sizes", 1)
    raise error


def _told(text: str, status: int) -> int:
    if text:
        from sdesgd.errors import one_line

        style = "bold red" if status in (1, 2) else None
        errors.print(one_line(text), style=style, markup=False, highlight=False, soft_wrap=True)
    return status


def _give_up_stdout() -> None:
    """What is still to be printed can't be: Python would say so again as it ends."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command(experiment: Experiment) -> Callable:
    """The options of an experiment as a command of typer."""

    def command(context: typer.Context, **options: Any) -> None:
        from experiments._shared.running import Request, run

        sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in options}
        given = {name for name, origin in sources.items() if origin == "COMMANDLINE"}
        places = {name: options.pop(name) for name in ("results", "from_", "figure")}
        run(experiment, Request(options, given & set(options), **places))

    fields = dataclasses.fields(experiment.config)
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    parameters += [
        _parameter(f.name, f.type, f.default, typer.Option(help=f.metadata["help"], show_default=True)) for f in fields
    ]
    redraw = "A run's folder: draw and report it again, computing nothing."
    again = "Write the figure here too (.png or .svg)."
    parameters += [
        _parameter("results", str, "results", typer.Option(help="Where runs are kept.", metavar="PATH")),
        _parameter("from_", str | None, None, typer.Option("--from", help=redraw, show_default=False, metavar="PATH")),
        _parameter("figure", str | None, None, typer.Option(help=again, show_default=False, metavar="PATH")),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(name: str, annotation: Any, default: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info]
    )
