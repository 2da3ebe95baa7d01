"""What every experiment shares: the command line, the run folder with its stages, the manifest, atomic writes."""

import dataclasses
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import matplotlib
import numpy as np
import typer
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from sdesgd.errors import InputError, require_known
from sdesgd.trajectories import read_netcdf, write_netcdf

TOP = Path(__file__).resolve().parent.parent
PACKAGES = (
    "jax",
    "jaxlib",
    "diffrax",
    "equinox",
    "numpy",
    "scipy",
    "xarray",
    "optax",
    "matfree",
    "mlxtend",
    "scikit-learn",
    "mnist1d",
    "kaldiio",
)
console = Console()
errors = Console(stderr=True)


class Interrupted(Exception):
    """Ctrl-C during a stage: what was finished before is kept."""


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
    compute: Callable[[Any, "RunFolder"], tuple[xr.Dataset, dict]]
    plot: Callable[[xr.Dataset, dict], Figure]
    report: Callable[[dict, Console], None]
    implied: Callable[[Any], Mapping[str, Any]] = lambda config: {}


def option(default: Any, help: str, *, hashed: bool = True) -> Any:
    """A field of a Config: its default and its line in --help.

    Args:
        hashed: whether it enters the name of the run's folder; False for what can't change a result, such as the number
            of worker processes: a run is then resumed with another.
    """
    return dataclasses.field(default=default, metadata={"help": help, "hashed": hashed})


def hashed_options(config: Any) -> dict[str, Any]:
    """The options of a configuration that can change a result."""
    fields = dataclasses.fields(config)
    return {field.name: getattr(config, field.name) for field in fields if field.metadata.get("hashed", True)}


# -- the run folder --------------------------------------------------------------------------------------


class RunFolder:
    """results/<experiment>/<run>/: stages are kept as they finish, so an interrupted run resumes where it stood.

    The run's name ends in a hash of the ``hashed_options``, of the code, the versions and the hardware: nothing stale
    is reused.
    """

    def __init__(self, experiment: Experiment, config: Any, results: Path, label: str):
        fingerprint = json.dumps([hashed_options(config), code_hash(), versions(), hardware()], sort_keys=True)
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:8]
        self.path = results / experiment.name / f"{label}-{digest}"
        try:
            (self.path / "stages").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise InputError(
                f"can't write {self.path}: {error.strerror}; choose a writable folder with --results"
            ) from None

    def stage(self, name: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The dataset of a stage: read if it is there, else computed and kept.

        Raises:
            Interrupted: the stage was cut short; the part is kept as ``NAME.partial.nc``.
        """
        file = self.path / "stages" / f"{name}.nc"
        if file.exists():
            try:
                kept = read_netcdf(file)
                errors.print(f"stage '{name}': kept from an earlier run", highlight=False)
                return kept
            except InputError:
                errors.print(f"[yellow]{file} can't be read: computing that stage again[/yellow]")
        dataset = compute()
        if dataset.attrs.get("interrupted"):
            write_netcdf(dataset, file.with_suffix(".partial.nc"))
            raise Interrupted(
                f"stage '{name}' was cut short; finished stages are kept: run the same command again, and it starts "
                f"with '{name}'"
            )
        write_netcdf(dataset, file)
        return dataset

    def expect_inputs(self, *arrays: Any) -> None:
        """Discards the stages of an earlier run on other numbers: what lies in a data folder may have changed since.

        Args:
            arrays: what the stages are computed from, besides the configuration.
        """
        digest = hashlib.sha256()
        for array in map(np.asarray, arrays):
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        file = self.path / "stages" / "inputs.sha256"
        if file.exists() and file.read_text(encoding="utf-8") != digest.hexdigest():
            errors.print("[yellow]the data changed since the earlier run: computing all stages again[/yellow]")
            for stage in file.parent.glob("*.nc"):
                stage.unlink()
        write_text(file, digest.hexdigest())

    def discard_if_empty(self) -> None:
        """Leaves no folder behind where nothing was computed."""
        if not list((self.path / "stages").glob("*.nc")):
            (self.path / "stages" / "inputs.sha256").unlink(missing_ok=True)
        for folder in (self.path / "stages", self.path):
            if not any(folder.iterdir()):
                folder.rmdir()
            else:
                break


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; free space or choose another --results") from None


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a figure in the format of the suffix, without a date, so that equal figures are equal files."""
    temporary = path.with_name(f".{path.name}.partial{path.suffix}")
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    try:
        with matplotlib.rc_context({"svg.hashsalt": "sdesgd"}):
            figure.savefig(temporary, dpi=130, metadata=metadata)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; choose a folder that exists and is writable") from None


# -- the manifest ------------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Versions that can change a result."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def hardware() -> dict:
    """What else can change the bits: device, precision mode, cores."""
    device = jax.devices()[0]
    return {
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "x64": bool(jax.config.read("jax_enable_x64")),
        "cpu_count": os.cpu_count(),
    }


def code_hash() -> str:
    """SHA-256 over the sources of the library and the experiments."""
    digest = hashlib.sha256()
    for file in sorted([*TOP.glob("sdesgd/**/*.py"), *TOP.glob("experiments/*.py")]):
        digest.update(str(file.relative_to(TOP)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def manifest(config: Any, extra: Mapping[str, Any]) -> dict:
    """What a run needs to be understood and repeated: config, versions, device, git state, sizes."""
    return {
        "config": dataclasses.asdict(config),
        "versions": versions(),
        "code_sha256": code_hash(),
        "git": _git_state(),
        **hardware(),
        **extra,
    }


def _git_state() -> dict:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=TOP, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


# -- the command line --------------------------------------------------------------------------------------


def main(experiments: Mapping[str, Experiment], arguments: list[str], others: Sequence[str] = ()) -> int:
    """Runs one experiment; returns the exit status: 0, 1 for an unexpected state, 2 for bad input, 130 for Ctrl-C."""
    app = typer.Typer(add_completion=False, help="Experiments of sdesgd.", no_args_is_help=True)
    for experiment in experiments.values():
        app.command(experiment.name, help=inspect.getdoc(experiment.config))(_command(experiment))

    @app.callback()
    def group() -> None:
        """Experiments of sdesgd, one figure each."""

    try:
        if arguments and not arguments[0].startswith("-"):
            require_known("experiment", arguments[0], [*experiments, *others])
        app(arguments, standalone_mode=True)
    except SystemExit as stop:
        return int(stop.code or 0)
    except InputError as error:
        errors.print(f"error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except (Interrupted, KeyboardInterrupt) as stop:
        errors.print(f"interrupted: {stop or 'nothing was lost that had been saved'}", markup=False, soft_wrap=True)
        return 130
    return 0


def _command(experiment: Experiment) -> Callable:
    fields = dataclasses.fields(experiment.config)

    def command(context: typer.Context, **options: Any) -> None:
        results, source, figure = options.pop("results"), options.pop("from_"), options.pop("figure")
        if figure is not None and (figure.suffix not in (".png", ".svg") or not figure.parent.is_dir()):
            raise InputError(f"--figure {figure}: pass a .png or .svg in a folder that exists")
        if source is not None:
            dataset, summary = read_run(experiment, source)
            folder = source
        else:
            config = experiment.config(**options)
            sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in options}
            given = {name for name, origin in sources.items() if origin == "COMMANDLINE"}
            fitting = {name: value for name, value in experiment.implied(config).items() if name not in given}
            config = dataclasses.replace(config, **fitting)
            run = RunFolder(experiment, config, results, config.label())
            try:
                dataset, summary = experiment.compute(config, run)
            except InputError:
                run.discard_if_empty()
                raise
            folder = run.path
            write_netcdf(dataset, folder / "trajectories.nc")
            write_text(folder / "summary.json", json.dumps(summary, indent=1, allow_nan=False))
            write_text(folder / "manifest.json", json.dumps(manifest(config, summary["sizes"]), indent=1))
        drawn = experiment.plot(dataset, summary)
        for path in [folder / "figure.png", folder / "figure.svg", *([figure] if figure else [])]:
            write_figure(drawn, path)
        experiment.report(summary, console)
        console.print(f"\nfigure: {folder / 'figure.png'}", soft_wrap=True, highlight=False)

    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    parameters += [
        _parameter(f.name, f.type, f.default, typer.Option(help=f.metadata["help"], show_default=True)) for f in fields
    ]
    parameters += [
        _parameter("results", Path, Path("results"), typer.Option(help="Where runs are kept.")),
        _parameter(
            "from_",
            Path | None,
            None,
            typer.Option(
                "--from",
                help="A run's folder: draw and report it again, computing nothing.",
                show_default=False,
            ),
        ),
        _parameter(
            "figure",
            Path | None,
            None,
            typer.Option(help="Write the figure here too (.png or .svg).", show_default=False),
        ),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(name: str, annotation: Any, default: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info]
    )


def read_run(experiment: Experiment, folder: Path) -> tuple[xr.Dataset, dict]:
    """The dataset and summary of a finished run.

    Raises:
        InputError: the folder isn't a finished run of this experiment.
    """
    missing = [name for name in ("trajectories.nc", "summary.json", "manifest.json") if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a finished run ({', '.join(missing)} missing): pass a folder like "
            f"results/{experiment.name}/<run>"
        )
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'summary.json'} can't be read ({error}): compute the run again") from None
    if not isinstance(summary, dict) or summary.get("experiment") != experiment.name:
        raise InputError(
            f"{folder} is not a run of {experiment.name}: pass a folder like results/{experiment.name}/<run>"
        )
    return read_netcdf(folder / "trajectories.nc"), summary
