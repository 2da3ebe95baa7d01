"""Stages of a computation, each kept in a file under what its numbers depend on."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from sdesgd import files
from sdesgd.interruption import check_interruptions
from sdesgd.netcdf import from_bytes, to_bytes
from sdesgd.store.claims import Claims
from sdesgd.store.described import definitions_held, described, within
from sdesgd.store.environment import differences, hardware, hash_of, modes, settings
from sdesgd.store.imports import Calls, Used, file_of, used_by
from sdesgd.store.sealed import Damaged, read_about, read_sealed, write_sealed
from sdesgd.store.sources import digest_of_file

_FORMAT = 1
_LOOK_AGAIN = 0.2  # seconds


@dataclasses.dataclass(frozen=True)
class Known:
    """What the numbers of a stage depend on.

    Attributes:
        key: hexadecimal digits of all of it.
        values: a digest of the arguments.
        code: module → SHA-256 of its source.
        versions: package → version.
        settings: of JAX and the device's kind.
    """

    values: str
    code: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]

    @functools.cached_property
    def key(self) -> str:
        return hash_of([_FORMAT, self.values, dict(self.code), dict(self.versions), dict(self.settings)])[:20]

    def about(self) -> dict[str, Any]:
        return {"format": _FORMAT, "key": self.key, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}}


class Stages:
    """The stages of one experiment in one folder, shared by its runs.

    FOLDER/NAME-KEY.nc      a stage, sealed (``sealed``); KEY is a digest of the arguments, of the sources of the
                            modules that the stage's function uses, of the versions of the packages that these import,
                            of JAX's settings and of the kind of device
    FOLDER/claims/NAME-KEY  a stage that a process computes now

    The number of cores and the processor's model change rounding alone: they are kept with a stage and told where
    they differ, and enter no key, so that unequal machines can share a folder.

    Args:
        folder: made when the first stage is kept.
        own: top-level packages whose sources count; of others the version does.
        say: told in one line what is used again, what is computed anew and why.
        calls: see ``used_by``.
        never: modules and packages that can't change a number, such as those that draw.
        remedy: the end of the message where nothing can be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        own: Sequence[str],
        say: Callable[[str], None],
        *,
        calls: Calls | None = None,
        never: Sequence[str] = (),
        remedy: str = "free space or choose another folder, then run again: finished stages are kept",
    ):
        self.folder, self.own, self.say, self.remedy = Path(folder), tuple(own), say, remedy
        self.calls, self.never = calls, tuple(never)
        self.used: dict[str, dict[str, Any]] = {}  # name of a stage → what is known of it
        self._claims = Claims(self.folder / "claims")

    def keep(self, name: str, compute: Callable[..., xr.Dataset], *arguments: Any, **named: Any) -> xr.Dataset:
        """The dataset of a stage: read if it is there, else computed and kept.

        Args:
            name: of the stage, and of its file.
            compute: a function of a module; what it reads besides its arguments must be in the sources.
            arguments: whatever the numbers depend on, and nothing else: another value is another stage.
            named: the same by keyword.

        Raises:
            InputError: the dataset can't be written.
        """
        known = self.known(compute, arguments, named)
        path = self.folder / f"{name}-{known.key}.nc"
        found = self._read(name, path)
        if found is not None:
            return found
        check_interruptions()
        self._make()
        with self._claimed(name, path) as mine:
            if not mine:  # another process has made it meanwhile
                found = self._read(name, path)
                if found is not None:
                    return found
            return self._computed(name, path, known, functools.partial(compute, *arguments, **named))

    def known(self, compute: Callable, arguments: tuple = (), named: Mapping[str, Any] | None = None) -> Known:
        """What the numbers of a stage depend on.

        Args:
            compute: as for ``keep``.
            arguments: as for ``keep``.
            named: as for ``keep``.

        Raises:
            InputError: a source was edited since this process imported it.
            TypeError: an argument of a kind whose content can't be told.
        """
        values = described((compute, arguments, dict(named or {})), self.own, strict=True)
        places = definitions_held((compute, arguments, dict(named or {})), self.own)
        used = used_by(sorted(places), self.own, self.calls)
        modules = sorted(module for module in used.modules if not within(module, self.never))
        code = {module: digest_of_file(file) for module in modules if (file := file_of(module)) is not None}
        return Known(hash_of(values), code, self._versions(used), {**modes(), **settings()})

    def _versions(self, used: Used) -> dict[str, str]:
        names = {"jaxlib"} if "jax" in used.packages else set()
        for package in used.packages - set(self.never):
            names |= set(_distributions().get(package, [package]))
        found = {"python": ".".join(platform.python_version_tuple()[:2])}
        for name in sorted(names):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(name)
        return found

    # -- one stage -----------------------------------------------------------------------------------------

    def _read(self, name: str, path: Path) -> xr.Dataset | None:
        try:
            content, about = read_sealed(path)
            if about.get("key") != path.stem.rpartition("-")[2]:
                raise Damaged(f"{path} holds another stage, '{about.get('stage')}'")
            dataset = from_bytes(content, path)
        except files.MissingFile:
            return None
        except Damaged as error:
            self.say(f"{error}: computing that stage again")
            return None
        other = differences(about.get("machine", {}), hardware())
        self.say(f"stage '{name}': kept from an earlier run" + (f", on another machine ({other})" if other else ""))
        self.used[name] = about | {"file": path.name}
        return dataset

    def _computed(self, name: str, path: Path, known: Known, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        files.check_writable(path, self.remedy)
        self._say_why(name, known)
        began = time.perf_counter()
        dataset = compute()
        seconds = round(time.perf_counter() - began, 3)
        about = known.about() | {"stage": name, "made": time.time(), "seconds": seconds, "machine": hardware()}
        if dataset.attrs.get("interrupted"):  # a part, for whoever wants to look at it
            path = path.with_suffix(".partial.nc")
        else:
            self.used[name] = json.loads(json.dumps(about, sort_keys=True)) | {"file": path.name}  # as it is read
        self._make()
        write_sealed(path, to_bytes(dataset), about, self.remedy)
        return dataset

    def _say_why(self, name: str, known: Known) -> None:
        """If only something else than the arguments differs from the latest stage of that name."""
        others = sorted(self.folder.glob(f"{name}-{'[0-9a-f]' * 20}.nc"), key=lambda path: path.lstat().st_mtime)
        alike = [about for about in map(read_about, others) if about.get("values") == known.values]
        if not alike:
            return
        before, now = alike[-1], known.about()
        code = differences(_short(before.get("code", {})), _short(now["code"]), most=3)
        changed = code or differences(before.get("versions", {}), now["versions"], most=3)
        changed = changed or differences(before.get("settings", {}), now["settings"], most=3)
        self.say(f"stage '{name}': computed anew, since the earlier run of equal options: {changed}")

    def _make(self) -> None:
        try:
            self._claims.folder.mkdir(parents=True, exist_ok=True)
            files.remove_abandoned(self.folder)
        except OSError as error:
            raise files.cannot_write(self.folder, error, self.remedy) from None

    @contextlib.contextmanager
    def _claimed(self, name: str, path: Path):
        """Whether the stage is this process's to compute; waits while another computes it."""
        told = False
        while True:
            try:
                taken = self._claims.take(path.stem)
            except OSError as error:
                raise files.cannot_write(self._claims.folder / path.stem, error, self.remedy) from None
            if taken:
                break
            if not told:
                self.say(f"stage '{name}': another process computes it, waiting for that")
                told = True
            time.sleep(_LOOK_AGAIN)
        try:
            yield not told
        finally:
            self._claims.give_back(path.stem)


def _short(code: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:8] for name, digest in code.items()}


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Top-level package → what was installed under which names."""
    return importlib.metadata.packages_distributions()
