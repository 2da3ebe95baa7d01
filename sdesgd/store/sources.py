"""The sources that a cell's numbers depend on, as this process imported them."""

import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from sdesgd.errors import InputError

# A file that was edited later and had been imported before its first look may run as it was. The birth of a process is
# known to about a second only.
_BEGAN = min(time.time(), psutil.Process().create_time() + 2.0)
_first_seen: dict[str, str] = {}


def code_files(names: Sequence[str]) -> dict[str, str]:
    """File → SHA-256, over every source file of the packages and modules named.

    Raises:
        InputError: no such package or module, one without a file, or one that was edited since this process imported
            it or first looked at it.
    """
    found = {}
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError) as error:
            raise InputError(f"code '{name}' can't be found ({error}): name a package or module") from None
        if spec is None or not (spec.has_location or spec.submodule_search_locations):
            raise InputError(f"code '{name}' has no source file that can be found: name a package or module that has")
        top = name.replace(".", "/")
        for folder in spec.submodule_search_locations or ():
            for file in sorted(Path(folder).rglob("*.py")):
                found[f"{top}/{file.relative_to(folder).as_posix()}"] = digest_of_file(file)
        if not spec.submodule_search_locations and spec.origin:
            found[top + Path(spec.origin).suffix] = digest_of_file(Path(spec.origin))
    return dict(sorted(found.items()))


def digest_of_file(file: Path) -> str:
    """SHA-256 of a source file as this process imported it.

    Args:
        file: of a module.

    Raises:
        InputError: it can't be read, or was edited since this process imported it or first looked at it.
    """
    try:
        found, edited = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime
    except OSError as error:
        raise InputError(f"can't read {file} ({error.strerror}), whose hash is part of every key: mend it") from None
    name = str(file.resolve())
    late = name not in _first_seen and edited > _BEGAN and _imported(name)
    if late or _first_seen.setdefault(name, found) != found:
        raise InputError(f"{file} was edited while Python ran, so what runs may not be what is on disk: restart Python")
    return found


def _imported(name: str) -> bool:
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return any(file is not None and os.path.realpath(file) == name for file in files)
