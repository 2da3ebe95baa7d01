"""What every experiment shares: what it consists of, and its command line."""

import contextlib
import dataclasses
import errno
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from experiments._shared.options import check_ignored, check_options
from experiments._shared.run_folder import TOP, Interrupted, RunFolder, errors, manifest, write_figure
from sdesgd import files
from sdesgd.errors import InputError, one_line, require_known
from sdesgd.interruption import Interruptions
from sdesgd.netcdf import read_netcdf, to_bytes

__all__ = [
    "TOP",
    "Experiment",
    "Interrupted",
    "RunFolder",
    "console",
    "errors",
    "main",
    "option",
    "read_run",
    "run_app",
]

console = Console()
_LARGEST_SUMMARY = 1 << 28  # bytes
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
# What a summary of another version can provoke where it is drawn and reported.
_FOREIGN = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError, RecursionError)
_TOO_LARGE = re.compile(
    r"RESOURCE_EXHAUSTED|[Oo]ut of memory|array is too big|Maximum allowed (dimension|size) exceeded"
)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment: its configuration and its three functions.

    Args:
        name: as on the command line.
        config: a frozen dataclass; each field, with a default and ``metadata={"help": …}``, is an option.
        compute: (config, folder) → (trajectories dataset, summary).
        plot: (dataset, summary) → figure.
        report: (summary, console): the terminal's verdict.
        implied: config → what its choices (a model, a preset) imply for the options that weren't given.
    """

    name: str
    config: type
    compute: Callable[[Any, RunFolder], tuple[xr.Dataset, dict]]
    plot: Callable[[xr.Dataset, dict], Figure]
    report: Callable[[dict, Console], None]
    implied: Callable[[Any], Mapping[str, Any]] = lambda config: {}


def option(default: Any, help: str, *, hashed: bool = True) -> Any:
    """A field of a Config: its default and its line in --help.

    Args:
        default: value.
        help: what it is.
        hashed: whether it enters the name of the run's folder; False for what can't change a result, such as the number
            of worker processes: a run is then resumed with another.
    """
    return dataclasses.field(default=default, metadata={"help": help, "hashed": hashed})


# -- the command line --------------------------------------------------------------------------------------


def main(experiments: Mapping[str, Experiment], arguments: list[str], others: Sequence[str] = ()) -> int:
    """Runs one experiment; returns the exit status, see ``run_app``."""
    app = typer.Typer(
        add_completion=False, help="Experiments of sdesgd.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    for experiment in experiments.values():
        app.command(experiment.name, help=inspect.getdoc(experiment.config))(_command(experiment))

    @app.callback()
    def group() -> None:
        """Experiments of sdesgd, one figure each."""

    def check_name() -> None:
        if arguments and not arguments[0].startswith("-"):
            require_known("experiment", arguments[0], [*experiments, *others])

    return run_app(app, arguments, check=check_name)


def run_app(
    app: typer.Typer, arguments: list[str], *, name: str | None = None, check: Callable[[], None] = lambda: None
) -> int:
    """Runs a command line: what goes wrong is one line on stderr.

    Args:
        app: the commands.
        arguments: without the program's name.
        name: of the program, in its help.
        check: called first.

    Returns:
        0; 1 where memory didn't suffice; 2 for bad input and for what can't be written; 130 for Ctrl-C, 143 for
        SIGTERM.
    """
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        if hasattr(stream, "reconfigure"):  # a terminal that is set to ASCII gets a ? for an η
            stream.reconfigure(errors="replace")
    interruptions = Interruptions()
    try:
        with interruptions:
            check()
            status = app(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except InputError as error:
        return _told(f"error: {error}", 2)
    except (Interrupted, KeyboardInterrupt) as stop:
        return _told(f"interrupted: {stop or 'nothing was lost that had been saved'}", interruptions.status)
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
        if hasattr(error, "format_message"):  # typer's and click's own, of arguments that aren't understood
            text = error.format_message()  # type: ignore[attr-defined]
            return _told(f"error: {text}; see --help" if text else "", 2)
        if isinstance(error, MemoryError | OverflowError) or _TOO_LARGE.search(str(error)):
            why = one_line(str(error) or type(error).__name__, 150)
            return _told(f"error: that takes more than this machine has ({why}); choose smaller sizes", 1)
        raise


def _told(text: str, status: int) -> int:
    if text:
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
    fields = dataclasses.fields(experiment.config)

    def command(context: typer.Context, **options: Any) -> None:
        results, source, figure = (_path(name, options.pop(name)) for name in ("results", "from_", "figure"))
        sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in options}
        given = {name for name, origin in sources.items() if origin == "COMMANDLINE"}
        if figure is not None:
            _check_figure(figure)
        if source is not None:
            check_ignored(name for name in options if name in given)
            _show(experiment, *read_run(experiment, source), source, figure, finished=True)
            return
        config = experiment.config(**options)
        fitting = {name: value for name, value in experiment.implied(config).items() if name not in given}
        config = dataclasses.replace(config, **fitting)
        check_options(config)
        folder = RunFolder(experiment, config, results or Path(), config.label())
        try:
            dataset, summary = experiment.compute(config, folder)
            folder.write("trajectories.nc", to_bytes(dataset))
            folder.write("summary.json", json.dumps(summary, indent=1, allow_nan=False).encode())
            folder.write("manifest.json", json.dumps(manifest(config, summary["sizes"]), indent=1).encode())
        except KeyboardInterrupt as stop:  # typer would end without a word
            raise Interrupted(str(stop) or "finished stages are kept: run the same command again") from None
        finally:
            folder.discard_if_empty()
        _show(experiment, dataset, summary, folder.path, figure, finished=False)

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


def _path(name: str, text: str | None) -> Path | None:
    if text is not None and (not text.strip() or "\0" in text):
        raise InputError(
            f"--{name.strip('_')} is {text!r}: pass the path of a {'file' if name == 'figure' else 'folder'}"
        )
    return None if text is None else Path(text)


def _check_figure(figure: Path) -> None:
    if figure.suffix.lower() not in (".png", ".svg") or not figure.parent.is_dir():
        raise InputError(f"--figure {figure}: pass a .png or .svg in a folder that exists")
    files.check_writable(figure, "choose another --figure")


def _show(
    experiment: Experiment, dataset: xr.Dataset, summary: dict, folder: Path, figure: Path | None, *, finished: bool
) -> None:
    """Draws and reports; what a finished run holds may come from another version, and lie where nothing is written."""
    with _of_another_version(folder) if finished else contextlib.nullcontext():
        drawn = experiment.plot(dataset, summary)
        with console.capture() as report:
            experiment.report(summary, console)
    kept = [folder / "figure.png", folder / "figure.svg"]
    if finished:
        error = files.why_not_writable(kept[0])
        if error is not None and error.errno in _READ_ONLY:
            kept = []
    for path in kept:
        write_figure(drawn, path)
    if figure is not None:
        write_figure(drawn, figure, "choose another --figure")
    console.file.write(report.get())
    shown = kept[0] if kept else figure
    note = f"figure: {shown}" if shown else f"{folder} is read-only, so nothing was drawn there: pass --figure"
    console.print(f"\n{note}", soft_wrap=True, highlight=False, markup=False)


@contextlib.contextmanager
def _of_another_version(folder: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _FOREIGN as error:
        why = f"{type(error).__name__}: {one_line(str(error), 80)}"
        raise InputError(
            f"{folder} is a run of another version, or was changed ({why}): "
            "draw it with the version that made it, or compute it again"
        ) from error


def read_run(experiment: Experiment, folder: Path) -> tuple[xr.Dataset, dict]:
    """The dataset and summary of a finished run.

    Args:
        experiment: whose run it should be.
        folder: of the run.

    Raises:
        InputError: the folder isn't a finished run of this experiment.
    """
    missing = [name for name in ("trajectories.nc", "summary.json", "manifest.json") if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a finished run ({', '.join(missing)} missing): pass a folder like "
            f"results/{experiment.name}/<run>"
        )
    content = files.read_bytes(folder / "summary.json", _LARGEST_SUMMARY)
    try:
        summary = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder / 'summary.json'} can't be read ({error}): compute the run again") from None
    if not isinstance(summary, dict) or summary.get("experiment") != experiment.name:
        raise InputError(
            f"{folder} is not a run of {experiment.name}: pass a folder like results/{experiment.name}/<run>"
        )
    return read_netcdf(folder / "trajectories.nc"), summary
