"""What a command does: compute a run or read one, draw it, report it."""

import contextlib
import dataclasses
import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from experiments._shared.cli import console
from experiments._shared.experiment import Experiment, Interrupted
from experiments._shared.options import check_ignored, check_options, check_replaced
from experiments._shared.run_folder import RunFolder, manifest, write_figure
from sdesgd import files
from sdesgd.errors import InputError, one_line
from sdesgd.netcdf import read_netcdf, to_bytes

RESULT = "trajectories.nc"
_LARGEST_SUMMARY = 1 << 28  # bytes
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
# What a summary of another version can provoke where it is drawn and reported.
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
        dataset, summary = experiment.compute(config, folder)
        folder.write(RESULT, to_bytes(dataset))
        folder.write("summary.json", json.dumps(summary, indent=1, allow_nan=False).encode())
        told = manifest(config, folder, summary["sizes"] | {"answer": experiment.answer(summary)})
        folder.write("manifest.json", json.dumps(told, indent=1).encode())
    except KeyboardInterrupt as stop:  # typer would end without a word
        raise Interrupted(str(stop) or "finished stages are kept: run the same command again") from None
    finally:
        folder.discard_if_empty()
    _show(experiment, dataset, summary, folder.path, figure, finished=False)


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
    missing = [name for name in (RESULT, "summary.json", "manifest.json") if not (folder / name).is_file()]
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
    return read_netcdf(folder / RESULT), summary
