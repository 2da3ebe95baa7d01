"""What a command does: compute a run or read one, draw it, report it."""

import contextlib
import dataclasses
import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments._shared.experiment import Experiment, Interrupted
from experiments._shared.options import check_ignored, check_options, check_replaced
from experiments._shared.page import page
from experiments._shared.result import ExperimentResult, as_json
from experiments._shared.run_folder import REMEDY, RunFolder, figure_in, manifest
from experiments._shared.terminal import console
from sdesgd import files
from sdesgd.errors import InputError, one_line
from sdesgd.netcdf import to_bytes
from sdesgd.results import file

RESULT = "result.nc"
_LARGEST_MANIFEST = 1 << 28  # bytes
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
# What a result of another version can provoke where it is drawn and reported.
_FOREIGN = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError, RecursionError)


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes:
        options: of the experiment.
        given: names of those that were given.
        results: where runs are kept.
        from_: a run's folder to draw again.
        figure: where to write the figure too.
    """

    options: Mapping[str, Any]
    given: set[str]
    results: str | None
    from_: str | None
    figure: str | None


def run(experiment: Experiment, request: Request) -> None:
    """Computes a run, or reads one; draws and reports it.

    Raises:
        Interrupted: Ctrl-C; finished stages are kept.
        InputError: bad options, or a place that can't be written.
    """
    results, source, figure = (_path(name, getattr(request, name)) for name in ("results", "from_", "figure"))
    if figure is not None:
        _check_figure(figure)
    if source is not None:
        check_ignored(name for name in request.options if name in request.given)
        _show(experiment, *read_run(experiment, source), source, figure, finished=True)
        return
    config = experiment.config(**request.options)
    check_options(config)
    check_replaced(config, request.given)
    fitting = {name: value for name, value in experiment.implied(config).items() if name not in request.given}
    config = dataclasses.replace(config, **fitting)
    check_options(config)
    folder = RunFolder(experiment, config, results or Path(), config.label())
    try:
        result = experiment.compute(config, folder)
        folder.write(RESULT, to_bytes(file.packed(result)))
        summary = {"experiment": experiment.name, **result.summary()}
        folder.write("summary.json", json.dumps(summary, indent=1, allow_nan=False).encode())
        told = manifest(
            config, folder, {"experiment": experiment.name, **as_json(result.sizes()), "answer": result.answer()}
        )
        folder.write("manifest.json", json.dumps(told, indent=1).encode())
    except KeyboardInterrupt as stop:  # typer would end without a word
        raise Interrupted(str(stop) or "finished stages are kept: run the same command again") from None
    finally:
        folder.discard_if_empty()
    _show(experiment, result, told, folder.path, figure, finished=False)


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
    experiment: Experiment,
    result: ExperimentResult,
    manifest: Mapping[str, Any],
    folder: Path,
    figure: Path | None,
    *,
    finished: bool,
) -> None:
    """Draws and reports; what a finished run holds may come from another version, and lie where nothing is written."""
    with _of_another_version(folder) if finished else contextlib.nullcontext():
        drawn = result.plot()
        with console.capture() as report:
            result.report(console)
        pictures = {form: figure_in(drawn, form) for form in ("png", "svg")}
        written = page(experiment, result, pictures["svg"].decode(), manifest)
    kept = {"figure.png": pictures["png"], "figure.svg": pictures["svg"], "report.html": written.encode()}
    if finished:
        error = files.why_not_writable(folder / "figure.png")
        if error is not None and error.errno in _READ_ONLY:
            kept = {}
    for name, content in kept.items():
        files.write(folder / name, content, REMEDY)
    if figure is not None:
        files.write(figure, pictures[figure.suffix.lower().removeprefix(".")], "choose another --figure")
    console.file.write(report.get())
    shown = folder / "figure.png" if kept else figure
    note = f"figure: {shown}" if shown else f"{folder} is read-only, so nothing was drawn there: pass --figure"
    note += f"\npage:   {folder / 'report.html'}" if kept else ""
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


def read_run(experiment: Experiment, folder: Path) -> tuple[ExperimentResult, dict[str, Any]]:
    """The result and the manifest of a finished run.

    Args:
        experiment: whose run it should be.
        folder: of the run.

    Raises:
        InputError: the folder isn't a finished run of this experiment.
    """
    missing = [name for name in (RESULT, "summary.json", "manifest.json") if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a finished run ({', '.join(missing)} missing): pass a folder like "
            f"results/{experiment.name}/<run>"
        )
    try:
        told = json.loads(files.read_bytes(folder / "manifest.json", _LARGEST_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder / 'manifest.json'} can't be read ({error}): compute the run again") from None
    if not isinstance(told, dict) or told.get("experiment") != experiment.name:
        raise InputError(
            f"{folder} is not a run of {experiment.name}: pass a folder like results/{experiment.name}/<run>"
        )
    result = experiment.result.load(folder / RESULT)
    with _of_another_version(folder):
        check_options(result.config)
    return result, told
