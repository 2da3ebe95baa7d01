"""The command line of experiments. Nothing is imported before it is needed: a list of names takes no JAX."""

import contextlib
import dataclasses
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from experiments._shared import completion
from experiments._shared.experiment import Experiment, Experiments, Interrupted
from experiments._shared.terminal import errors

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
    completing = completion.wanted()
    app = typer.Typer(
        add_completion=completing,
        help="Experiments of sdesgd, one question and one figure each.",
        epilog="Each has a --help of its own, say: python -m experiments sgd-vs-sde --help",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name in experiments:
        if completing and isinstance(experiments, Experiments) and name == completion.experiment_asked():
            found = completion.options(experiments.folders[name] / "config.py")
            fields = [
                _parameter(option, kind, kind(), typer.Option(help=help)) for option, (kind, help) in found.items()
            ]
            app.command(name)(_with_parameters(_nothing, [*fields, *_places()]))
        elif name == asked:
            experiment = experiments[name]
            app.command(name, help=inspect.getdoc(experiment.config), epilog=_examples(experiment))(
                _command(experiment)
            )
        else:
            headline = experiments.headline(name) if isinstance(experiments, Experiments) else ""
            app.command(name, help=headline)(_with_parameters(_nothing, []))
    for name, headline in (others or {}).items():
        app.command(name, help=headline)(_with_parameters(_nothing, []))
    app.callback()(_root)

    def check_name() -> None:
        if asked is not None and arguments[0] == asked and asked not in experiments:
            from sdesgd.errors import require_known

            require_known("experiment", asked, [*experiments, *(others or {})])

    program = completion.WORD if completing else "python -m experiments"
    return run_app(app, arguments, name=program, check=check_name, light=asked is None)


def _nothing(**options: Any) -> None:
    """In place of a command that isn't asked for."""


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"sdesgd {_version('sdesgd')}, jax {_version('jax')}, Python {sys.version.split()[0]}")
        raise typer.Exit


def _say_completion(shell: str | None) -> None:
    if shell is not None:
        from sdesgd.errors import require_known

        print(completion.script(require_known("shell", shell, completion.SHELLS)))
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and leave.", is_eager=True, callback=_say_version),
    ] = False,
    show_completion: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(completion.SHELLS),
            help="Print what a shell reads to complete names and options; README says how.",
            is_eager=True,
            callback=_say_completion,
        ),
    ] = None,
) -> None:
    """Options without an experiment."""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _examples(experiment: Experiment) -> str:
    """The section at the end of --help."""
    lines = [f"python -m experiments {experiment.name} {options}" for options in experiment.examples]
    return "\n\n".join(["Examples:", *lines]) if lines else ""


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
        return _failed(error, arguments)


def _failed(error: Exception, arguments: list[str]) -> int:
    from sdesgd.errors import InputError, one_line

    if isinstance(error, InputError):
        return _told(f"error: {error}", 2)
    if hasattr(error, "format_message"):  # typer's and click's own, of arguments that aren't understood
        text = _unknown_option(error) or _bad_value(error, arguments) or error.format_message()  # type: ignore[attr-defined]
        return _told(f"error: {text}; see --help" if text else "", 2)
    if isinstance(error, MemoryError | OverflowError) or _TOO_LARGE.search(str(error)):
        why = one_line(str(error) or type(error).__name__, 150)
        return _told(f"error: that takes more than this machine has ({why}); choose smaller sizes", 1)
    raise error


def _unknown_option(error: Any) -> str:
    """What to say of an option that there isn't; empty for other errors."""
    if not hasattr(error, "possibilities"):
        return ""
    from experiments._shared.suggestions import meant

    command = getattr(error.ctx, "command", None)
    parameters = getattr(command, "params", [])
    known = [name for one in parameters for name in (*one.opts, *one.secondary_opts) if name.startswith("--")]
    near = meant(error.option_name, [*known, "--help"])
    if near is None and hasattr(command, "commands"):
        return f"no such option {error.option_name}: options of an experiment come after its name"
    return f"no such option {error.option_name}" + (f": did you mean {near}?" if near else "")


def _bad_value(error: Any, arguments: list[str]) -> str:
    """What to say of a value that is no number, or none within bounds: typer's message doesn't hold it."""
    names = getattr(getattr(error, "param", None), "opts", [])
    for k, argument in reversed(list(enumerate(arguments))):
        name, equals, value = argument.partition("=")
        if name in names and (equals or arguments[k + 1 :]) and " should be " in error.message:
            value = value if equals else arguments[k + 1]
            kinds = {"valid integer": "a whole number", "valid number": "a number"}
            wanted = next((f"pass {kind}" for words, kind in kinds.items() if words in error.message), error.message)
            return f"{name} is {value[:40]!r}: {wanted}"
    return ""


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
        options.pop("compilation_cache")  # heeded before JAX was imported
        run(experiment, Request(options, given & set(options), **places))

    fields = dataclasses.fields(experiment.config)
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    panels = {field.name: getattr(field.metadata.get("declared"), "group", "run") for field in fields}
    order = ("data", "net", "problem", "dynamics", "run")
    for field in sorted(fields, key=lambda field: order.index(panels[field.name])):
        text = typer.Option(help=field.metadata["help"], show_default=True, rich_help_panel=panels[field.name].title())
        parameters.append(_parameter(field.name, field.type, field.default, text))
    return _with_parameters(command, [*parameters, *_places()])


def _places() -> list[inspect.Parameter]:
    """Options that every experiment has."""
    redraw = "A run's folder: draw and report it again, computing nothing."
    again = "Write the figure here too (.png or .svg)."
    cache = "Keep what is compiled, so that the next run of equal shapes starts at once; see README."
    panel: Any = {"rich_help_panel": "Run"}
    none: Any = panel | {"show_default": False, "metavar": "PATH"}
    return [
        _parameter("results", str, "results", typer.Option(help="Where runs are kept.", metavar="PATH", **panel)),
        _parameter("from_", str | None, None, typer.Option("--from", help=redraw, **none)),
        _parameter("figure", str | None, None, typer.Option(help=again, **none)),
        _parameter("compilation_cache", bool, True, typer.Option(help=cache, **panel)),
    ]


def _with_parameters(function: Callable, parameters: list[inspect.Parameter]) -> Callable:
    """A command of typer with these options."""

    def command(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(name: str, annotation: Any, default: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info]
    )
