"""A run's folder: stages kept as they finish, the manifest, files that are whole or absent."""

import dataclasses
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from sdesgd import files
from sdesgd.errors import InputError
from sdesgd.netcdf import read_netcdf, write_netcdf

TOP = Path(__file__).resolve().parent.parent.parent
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
errors = Console(stderr=True)
_REMEDY = "free space or choose another --results, then run again: finished stages are kept"
_LONGEST_LABEL = 120  # characters


class Interrupted(Exception):
    """Ctrl-C or SIGTERM during a stage: what was finished before is kept."""


def hashed_options(config: Any) -> dict[str, Any]:
    """The options of a configuration that can change a result."""
    fields = dataclasses.fields(config)
    return {field.name: getattr(config, field.name) for field in fields if field.metadata.get("hashed", True)}


class RunFolder:
    """results/<experiment>/<run>/: stages are kept as they finish, so an interrupted run resumes where it stood.

    The run's name ends in a hash of the ``hashed_options``, of the code, the versions and the hardware: nothing stale
    is reused. The folder is made when the first file comes.

    Args:
        experiment: whose run it is.
        config: its configuration.
        results: where runs are kept.
        label: the beginning of the run's name; what a file name shouldn't hold becomes a dash.

    Raises:
        InputError: no file could be written there.
    """

    def __init__(self, experiment: Any, config: Any, results: Path, label: str):
        fingerprint = json.dumps([hashed_options(config), code_hash(), versions(), hardware()], sort_keys=True)
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:8]
        label = re.sub(r"[^\w.,+=-]+", "-", label)[:_LONGEST_LABEL]
        self.path = results / experiment.name / f"{label}-{digest}"
        self._made: list[Path] = []
        above = next((folder for folder in (self.path, *self.path.parents) if os.path.lexists(folder)), self.path)
        try:
            error = files.why_not_writable(above / "x")
        except InputError as refusal:
            raise self._cannot_write(str(refusal)) from None
        if error is not None:
            raise self._cannot_write(error)

    def _cannot_write(self, why: OSError | str) -> InputError:
        return files.cannot_write(self.path, why, "choose a writable folder with --results")

    def make(self) -> None:
        """Makes the folder, and removes what killed processes left half written in it.

        Raises:
            InputError: it can't be made.
        """
        stages = self.path / "stages"
        try:
            for folder in (*reversed(stages.parents), stages):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._made.append(folder)
            files.remove_abandoned(self.path)
        except OSError as error:
            raise self._cannot_write(error) from None

    def stage(self, name: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The dataset of a stage: read if it is there, else computed and kept.

        Args:
            name: of the stage.
            compute: makes its dataset.

        Raises:
            Interrupted: the stage was cut short; the part is kept as ``NAME.partial.nc``.
            InputError: the dataset can't be written.
        """
        file = self.path / "stages" / f"{name}.nc"
        if os.path.lexists(file):
            try:
                kept = read_netcdf(file)
                errors.print(f"stage '{name}': kept from an earlier run", highlight=False)
                return kept
            except InputError as error:
                errors.print(f"{error}: computing that stage again", style="yellow", markup=False, soft_wrap=True)
        self.make()
        files.check_writable(file, _REMEDY)
        dataset = compute()
        self.make()
        if dataset.attrs.get("interrupted"):
            write_netcdf(dataset, file.with_suffix(".partial.nc"), _REMEDY)
            raise Interrupted(
                f"stage '{name}' was cut short; finished stages are kept: run the same command again, and it starts "
                f"with '{name}'"
            )
        write_netcdf(dataset, file, _REMEDY)
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
        try:
            known = files.read_bytes(file, 1 << 10)
        except files.MissingFile:
            known = None
        if known is not None and known != digest.hexdigest().encode():
            errors.print("[yellow]the data changed since the earlier run: computing all stages again[/yellow]")
            for stage in file.parent.glob("*.nc"):
                stage.unlink()
        self.write("stages/inputs.sha256", digest.hexdigest().encode())

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Writes a file of the run, whole or not at all.

        Args:
            name: path below the run's folder.
            content: of the file.

        Raises:
            InputError: it can't be written.
        """
        self.make()
        files.write(self.path / name, content, _REMEDY)

    def discard_if_empty(self) -> None:
        """Leaves no folder behind where nothing was computed."""
        if not list((self.path / "stages").glob("*.nc")):
            (self.path / "stages" / "inputs.sha256").unlink(missing_ok=True)
        for folder in (self.path / "stages", self.path, *reversed(self._made)):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def write_figure(figure: Figure, path: Path, remedy: str = _REMEDY) -> None:
    """Writes a figure in the format of the suffix, without a date, so that equal figures are equal files.

    Args:
        figure: what to draw.
        path: of the file.
        remedy: the end of the message of a refusal.

    Raises:
        InputError: it can't be written.
    """
    form, content = path.suffix.lower().removeprefix("."), io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "sdesgd"}):
        figure.savefig(content, format=form, dpi=130, metadata={"Date": None} if form == "svg" else {})
    files.write(path, content.getvalue(), remedy)


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
    for file in sorted([*TOP.glob("sdesgd/**/*.py"), *TOP.glob("experiments/**/*.py")]):
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
