"""The folder of a sweep: a file a cell, whole or absent, and a file a failure."""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdesgd.errors import InputError
from sdesgd.files import MissingFile, cannot_write, read_bytes, remove_abandoned, write
from sdesgd.store.claims import Claims
from sdesgd.store.environment import deciding, differences, hash_of
from sdesgd.sweep.cells import Cell, Sweep
from sdesgd.sweep.columns import Columns, CorruptCell, checked_columns, packed, unpacked
from sdesgd.sweep.fingerprint import Fingerprint
from sdesgd.types import PathLike

MANIFEST = "sweep.json"
FORMAT = 1
# Bytes of a file that are read at most; a manifest of a million cells has some 300 MB.
_LARGEST_CELL, _LARGEST_MANIFEST, _LARGEST_FAILURE = 1 << 32, 1 << 30, 1 << 20
_REMEDY = "free space or choose another folder, then run again: cells that are finished are kept"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A cell whose function raised, or whose worker died.

    Attributes:
        type, message: of the exception. line: the last line of its traceback: file, number and source.
    """

    config: Mapping[str, Any]
    seeds: tuple[int, ...]
    type: str
    message: str
    line: str

    def __str__(self) -> str:
        """One line."""
        message = " ".join(self.message.split("\n", 1)[0].split())
        return f"{dict(self.config)}, seeds {list(self.seeds)}: {self.type}: {message} ({self.line})"


@dataclasses.dataclass(frozen=True)
class Kept:
    """A cell that is done."""

    columns: Columns
    seconds: float
    environment: Mapping[str, Any]


class OtherFormat(InputError):
    """A manifest that this version can't read."""


class Store:
    """Cells of one sweep in one folder.

    FOLDER/sweep.json            the manifest: cells, code, modes, environment of the last run
    FOLDER/cells/KEY.npz         a table with its checksum, see ``columns``
    FOLDER/failures/KEY.json     an error
    FOLDER/claims/KEY            a cell that is being computed, see ``claims``

    Every file is written under another name, forced to the disk and renamed. A rename that a power cut undoes leaves a
    cell missing, no more. What is read is checked first and never unpickled.
    """

    def __init__(self, folder: PathLike, allow_mixed: bool = False):
        self.folder = Path(folder)
        self.allow_mixed = allow_mixed
        self.claims = Claims(self.folder / "claims")
        self._damaged: set[str] = set()
        self._mixed: dict[str, Path] | None = None

    # -- the manifest --------------------------------------------------------------------------------------

    def open(self, manifest: Mapping[str, Any]) -> None:
        """Makes the folder, says what of an earlier run can't be reused, and writes the manifest.

        Raises:
            InputError: the folder can't be written, or is of another version of sdesgd.

        Warns:
            RuntimeWarning: the earlier run was of other code, or in another environment.
        """
        before = self.manifest()
        try:
            for name in ("cells", "failures", "claims"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder)
        except OSError as error:
            raise cannot_write(self.folder, error, _REMEDY) from None
        if before is not None:
            self._say_what_changed(before, manifest)
        if before != manifest:
            write(self.folder / MANIFEST, json.dumps(manifest, indent=0, allow_nan=False).encode(), _REMEDY)

    def manifest(self) -> dict[str, Any] | None:
        """The manifest as it stands; None if there is none, or only a damaged one.

        Raises:
            InputError: it is of another format: another version of sdesgd works here.
        """
        try:
            return read_manifest(self.folder)
        except OtherFormat:
            raise
        except InputError:
            return None

    def _say_what_changed(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """One line if cells that are kept from before would do, but for other code or another environment."""
        there = {path.stem for path in (self.folder / "cells").glob("*.npz")}
        known = {hash_of([cell["config"], cell["seeds"]]): cell["key"] in there for cell in before["cells"]}
        missing = [cell for cell in now["cells"] if cell["key"] not in there]
        count = sum(known.get(hash_of([cell["config"], cell["seeds"]]), False) for cell in missing)
        if not count or any(before[name] != now[name] for name in ("function", "modes", "inputs")):
            return
        told = differences(_short(before["code"]), _short(now["code"]), most=3)
        told = told or differences(before.get("values", {}), now["values"], most=3)
        end = f"so {count} cells are computed anew"
        if not told:
            told = differences(deciding(before["environment"]), deciding(now["environment"]))
            mixed = f"so {count} cells are kept and the table is a mixture"
            end = f"and equal numbers can't be promised across these, {mixed if self.allow_mixed else end}"
            end += "" if self.allow_mixed else " (allow_mixed=True keeps them)"
        warnings.warn(f"{self.folder}: changed since the last run: {told}; {end}", RuntimeWarning, stacklevel=4)

    # -- cells ---------------------------------------------------------------------------------------------

    def claim(self, key: str) -> bool:
        """Whether the cell is this process's to compute.

        Raises:
            InputError: the folder can't be written.
        """
        try:
            return self.claims.take(key)
        except OSError as error:
            raise cannot_write(self.claims.folder / key, error, _REMEDY) from None

    def read(self, key: str) -> Kept | None:
        """A cell's table; None if it isn't there, or not as it was written.

        Raises:
            InputError: something else than a regular file stands there, or it can't be read.

        Warns:
            RuntimeWarning: the file is cut short or changed.
        """
        path = self._file(key)
        if path is None:
            return None
        try:
            content = read_bytes(path, _LARGEST_CELL)
        except MissingFile:
            return None
        except InputError as error:
            raise InputError(f"cell {error}, or remove it") from None
        try:
            columns, about = unpacked(content)
            if about["key"] != path.stem or "seed" not in columns:
                raise CorruptCell(f"it holds cell {about['key']}, columns {', '.join(columns)}")
            columns = checked_columns(columns, about["config"], tuple(about["seeds"]))
            return Kept(columns, float(about["seconds"]), dict(about["environment"]))
        except (CorruptCell, KeyError, TypeError, ValueError) as error:
            if key not in self._damaged:
                self._damaged.add(key)
                text = f"{path} is damaged ({error}), so that cell counts as missing and is computed anew by run"
                warnings.warn(text, RuntimeWarning, stacklevel=3)
            return None

    def write(self, cell: Cell, key: str, kept: Kept) -> None:
        """Keeps a cell's table.

        Raises:
            InputError: the disk is full, or the folder can't be written any more.
        """
        about = {
            "key": key,
            "config": dict(cell.config),
            "seeds": list(cell.seeds),
            "seconds": kept.seconds,
            "environment": dict(kept.environment),
        }
        write(self.folder / "cells" / f"{key}.npz", packed(kept.columns, about), _REMEDY)

    def _file(self, key: str) -> Path | None:
        path = self.folder / "cells" / f"{key}.npz"
        if not self.allow_mixed or path.exists():
            return path
        if self._mixed is None:
            self._mixed = {other.stem.partition("-")[0]: other for other in sorted(path.parent.glob("*.npz"))}
        return self._mixed.get(key.partition("-")[0])

    # -- failures ------------------------------------------------------------------------------------------

    def failure(self, key: str) -> Failure | None:
        """Why a cell failed; None if it didn't, or what was written can't be read."""
        try:
            found = json.loads(read_bytes(self.folder / "failures" / f"{key}.json", _LARGEST_FAILURE))
            return Failure(**{**found, "seeds": tuple(found["seeds"])})
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def write_failure(self, key: str, failure: Failure) -> None:
        text = json.dumps(dataclasses.asdict(failure), indent=1, allow_nan=False)
        write(self.folder / "failures" / f"{key}.json", text.encode(), _REMEDY)

    def forget_failure(self, key: str) -> None:
        path = self.folder / "failures" / f"{key}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error, _REMEDY) from None


def manifest_of(sweep: Sweep, found: Fingerprint, allow_mixed: bool) -> dict[str, Any]:
    """What ``status`` and ``table`` need to know of a sweep, and a reader of how it came about."""
    cells = [
        {"key": found.key(cell), "config": dict(cell.config), "seeds": list(cell.seeds), "group": group}
        for cell, group in zip(sweep.cells, sweep.groups(), strict=True)
    ]
    return {
        "format": FORMAT,
        "function": found.function,
        "modes": dict(found.modes),
        "inputs": dict(found.inputs),
        "values": dict(found.values),
        "environment": dict(found.environment),
        "allow_mixed": allow_mixed,
        "code_sha256": found.code_digest,
        "code": dict(found.code),
        "cells": cells,
    }


def read_manifest(folder: PathLike) -> dict[str, Any]:
    """The manifest of the last sweep that ran in a folder.

    Raises:
        InputError: there is none, or it can't be read.
    """
    path = Path(folder) / MANIFEST
    try:
        content = read_bytes(path, _LARGEST_MANIFEST)
    except MissingFile:
        raise InputError(
            f"no sweep can be read in {folder}, it has no {MANIFEST}: pass a folder that run wrote"
        ) from None
    try:
        manifest = json.loads(content)
        found = manifest["format"]
        if found != FORMAT:
            raise OtherFormat(f"{path} has format {found}: use the version of sdesgd that wrote it, or another folder")
        whole = all(isinstance(manifest[name], dict) for name in ("modes", "inputs", "environment", "code"))
        whole &= all(isinstance(manifest[name], str) for name in ("function", "code_sha256"))
        whole &= isinstance(manifest["allow_mixed"], bool) and isinstance(manifest.get("values", {}), dict)
        for cell in manifest["cells"]:
            Cell(cell["config"], cell["seeds"])
            whole &= isinstance(cell["group"], int) and set(cell["key"]) <= set("0123456789abcdef-")
        if not whole:
            raise ValueError
    except OtherFormat:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is damaged: run the sweep again, its cells are kept") from None
    return manifest


def _short(code: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:8] for name, digest in code.items()}
