"""What XLA compiles is kept for the next run, in a folder of the user's, within bounds.

JAX reads and writes the folder (``JAX_COMPILATION_CACHE_DIR``); a program is known by its text, by the versions and
settings of JAX and XLA, and by the device. Its own bound on the size needs a package that nothing else here does, and
fails on a folder that was filled without it, so the folder is cut to size before a run.

What is kept is code that will be executed: so it lies in a folder that nobody else may write to, and apart by the
processor's model and instructions, which homes on a network share.
"""

import contextlib
import glob
import os
import re
import stat
import warnings
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

VARIABLE = "SDESGD_COMPILATION_CACHE"
FOLDER = "JAX_COMPILATION_CACHE_DIR"
FLAG = "--no-compilation-cache"
MOST = 1 << 30  # bytes
_COMPLAINT = re.compile(r"Error (?P<what>reading|writing) persistent compilation cache entry for '(?P<program>.*?)':")
_OFF = ("0", "off", "no", "false")
# What compiles faster is compiled again: a file for each small operation would cost as much.
_SHORTEST = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}


def use(arguments: Sequence[str], environment: MutableMapping[str, str] = os.environ) -> Path | None:
    """Sets JAX's cache for this process and those it starts; called before JAX is imported.

    Args:
        arguments: of the command line, which may hold ``--no-compilation-cache``.
        environment: of the process. A ``JAX_COMPILATION_CACHE_DIR`` that is set stays, unless the cache is off.

    Returns:
        The folder; None where JAX keeps nothing, or keeps it where it was told to before.
    """
    if FLAG in arguments or environment.get(VARIABLE, "").lower() in _OFF:
        environment.pop(FOLDER, None)
        return None
    if environment.get(FOLDER):
        return None
    folder = place(environment)
    try:
        folder.parents[2].mkdir(parents=True, exist_ok=True)
        if not all(map(_is_ours, (folder.parents[1], folder.parent, folder))):
            return None
        cut(folder.parent, MOST)
    except (OSError, RuntimeError):  # RuntimeError: no home is known
        return None
    environment[FOLDER] = str(folder)
    for name, value in _SHORTEST.items():
        environment.setdefault(name, value)
    _mend(folder)
    return folder


def _is_ours(folder: Path) -> bool:
    """Makes a folder that nobody else may write to; False where it is a link, another's, or open to others."""
    folder.mkdir(exist_ok=True, mode=0o700)
    about = folder.lstat()
    shut = not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK | os.X_OK)
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and shut


def place(environment: MutableMapping[str, str]) -> Path:
    """Where compilations are kept for this processor.

    Args:
        environment: whose ``XDG_CACHE_HOME`` counts, if it is an absolute path.
    """
    given = environment.get("XDG_CACHE_HOME", "")
    home = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return home / "sdesgd" / "xla" / _processor()


def _processor() -> str:
    """A short name of the processor's kind."""
    import hashlib
    import platform

    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    except OSError:
        text = ""
    kept = [line for line in text.splitlines() if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return hashlib.sha256("\n".join([platform.machine(), *kept]).encode()).hexdigest()[:12]


def _mend(folder: Path) -> None:
    """Removes what JAX can't read, as a killed process leaves it, instead of warning of it in every run.

    JAX names the program alone, so all entries of that name go. What can't be written isn't kept, without a word.
    """
    others = warnings.showwarning

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        found = _COMPLAINT.match(str(message))
        if found is None:
            others(message, *where, **more)
        elif found["what"] == "reading":
            for path in folder.glob(f"{glob.escape(found['program'])}-*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    warnings.showwarning = show


def cut(folder: Path, most: int) -> None:
    """Removes the files that were used longest ago, until no more than so many bytes are left.

    Another process may do the same, or write, at the same time. A file system that doesn't note when a file was read
    makes it the files that were written longest ago.

    Args:
        folder: with all that lies below it.
        most: bytes.
    """
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                found.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
