"""A run's folder: its result, its figure, its manifest; and the stages, which the runs of an experiment share."""

import dataclasses
import hashlib
import importlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import xarray as xr
from matplotlib.figure import Figure

import derivations
from experiments._shared.experiment import Interrupted
from experiments._shared.terminal import errors
from sdesgd import files
from sdesgd.errors import InputError
from sdesgd.store.described import within
from sdesgd.store.environment import hardware, modes, settings, versions
from sdesgd.store.imports import used_by
from sdesgd.store.stages import Stages

TOP = Path(__file__).resolve().parent.parent.parent
REMEDY = "free space or choose another --results, then run again: finished stages are kept"
_LONGEST_LABEL = 120  # characters
# Packages whose sources a stage is known by, and what can't change its numbers.
_OWN = ("sdesgd", "derivations", "experiments", "tests")
_BESIDE = ("sdesgd.plot", "experiments._shared", "matplotlib", "rich", "typer")
_CALLS = {("derivations", "claim"): derivations.modules()}


def hashed_options(config: Any) -> dict[str, Any]:
    """The options of a configuration that can change a result."""
    fields = dataclasses.fields(config)
    return {field.name: getattr(config, field.name) for field in fields if field.metadata.get("hashed", True)}


class RunFolder:
    """results/EXPERIMENT/RUN/, and results/stages/EXPERIMENT/, where an interrupted run finds what it had finished.

    The run's name ends in a hash of the ``hashed_options``. Each stage is known by what its own numbers depend on (see
    ``sdesgd.store.stages``): nothing stale is used, nothing that still holds is computed again. The folders are made
    when the first file comes.

    Args:
        experiment: whose run it is.
        config: its configuration.
        results: where runs are kept.
        label: the beginning of the run's name; what a file name shouldn't hold becomes a dash.

    Raises:
        InputError: no file could be written there.
    """

    def __init__(self, experiment: Any, config: Any, results: Path, label: str):
        digest = hashlib.sha256(json.dumps(hashed_options(config), sort_keys=True).encode()).hexdigest()[:8]
        label = re.sub(r"[^\w.,+=-]+", "-", label)[:_LONGEST_LABEL]
        self.path = results / experiment.name / f"{label}-{digest}"
        stages = results / "stages" / experiment.name
        self.stages = Stages(stages, _OWN, _say, calls=_CALLS, never=_BESIDE, remedy=REMEDY)
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
        """Makes the folders, and removes what killed processes left half written in them.

        Raises:
            InputError: they can't be made.
        """
        try:
            for folder in (*reversed(self.path.parents), self.path, self.stages.folder.parent, self.stages.folder):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._made.append(folder)
            files.remove_abandoned(self.path)
        except OSError as error:
            raise self._cannot_write(error) from None

    def stage(self, name: str, compute: Callable[..., xr.Dataset], *arguments: Any, **named: Any) -> xr.Dataset:
        """The dataset of a stage: read if it is there, else computed and kept.

        Args:
            name: of the stage.
            compute: a function of a module that makes its dataset.
            arguments: what its numbers depend on, see ``sdesgd.store.stages.Stages.keep``.
            named: the same by keyword.

        Raises:
            Interrupted: the stage was cut short; the part is kept as ``NAME-KEY.partial.nc``.
            InputError: the dataset can't be written.
        """
        self.make()
        dataset = self.stages.keep(name, compute, *arguments, **named)
        if dataset.attrs.get("interrupted"):
            raise Interrupted(
                f"stage '{name}' was cut short; finished stages are kept: run the same command again, and it starts "
                f"with '{name}'"
            )
        return dataset

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Writes a file of the run, whole or not at all.

        Args:
            name: path below the run's folder.
            content: of the file.

        Raises:
            InputError: it can't be written.
        """
        self.make()
        files.write(self.path / name, content, REMEDY)

    def discard_if_empty(self) -> None:
        """Leaves no folder behind where nothing was computed."""
        claims = self.stages.folder / "claims"
        for folder in (claims, self.stages.folder, self.stages.folder.parent, self.path, *reversed(self._made)):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def sources_of(module: str, name: str, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The modules whose sources a function's numbers depend on: the ``code`` of a sweep.

    Args:
        module: of the function.
        name: of the function.
        without: packages and modules that can't change its numbers, besides those that draw.
    """
    importlib.import_module(module)
    used = used_by([(module, name)], _OWN, _CALLS).modules
    beside = (*_BESIDE, *without)
    # The package itself holds nothing but names, and would stand for all of it.
    return tuple(sorted(found for found in used - {"sdesgd"} if not within(found, beside)))


def _say(line: str) -> None:
    errors.print(line, highlight=False, markup=False, soft_wrap=True)


def figure_in(figure: Figure, form: str) -> bytes:
    """A figure as a file, without a date, so that equal figures are equal files.

    Args:
        figure: what to draw.
        form: "png" or "svg".
    """
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "sdesgd"}):
        figure.savefig(content, format=form, dpi=130, metadata={"Date": None} if form == "svg" else {})
    return content.getvalue()


# -- the manifest ------------------------------------------------------------------------------------------


def manifest(config: Any, folder: RunFolder, extra: Mapping[str, Any]) -> dict:
    """What a run needs to be understood and repeated: config, versions, device, git state, sizes, stages.

    Args:
        config: of the run.
        folder: of the run.
        extra: what else there is to say.
    """
    device = jax.devices()[0]
    return {
        "config": dataclasses.asdict(config),
        "options": {
            f.name: value for f in dataclasses.fields(config) if (value := getattr(config, f.name)) != f.default
        },
        "versions": versions(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "settings": {**modes(), **settings()},
        "machine": hardware(),
        "git": _git_state(),
        "stages": {name: _told(about) for name, about in folder.stages.used.items()},
        **extra,
    }


def _told(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in ("file", "made", "seconds", "machine") if name in about}


def _git_state() -> dict:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=TOP, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}
