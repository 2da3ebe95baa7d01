"""Which process computes which cell: a lock on a file, which the kernel gives back however its holder ends.

Nothing here makes a result right: two processes that compute one cell write the same table, each by one rename. Claims
only save the second computation. Where there are no such locks (Windows, some network folders), every claim is granted.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

try:
    import fcntl as _fcntl
except ImportError:
    _fcntl = None
fcntl: Any = _fcntl


class Claims:
    """The claims of one run: a locked file for every cell that it computes now."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._held: dict[str, int] = {}

    def take(self, key: str) -> bool:
        """Whether the cell is this run's to compute: no living one has it, nor has just finished it.

        Raises:
            OSError: the folder can't be written.
        """
        path = self.folder / key
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if _lock(handle, shared=False) and _is_at(path, handle):
            self._held[key] = handle
            return True
        os.close(handle)
        return False

    def give_back(self, key: str) -> None:
        """Unlinks before it unlocks: who waits for the lock of a file that is gone notices in ``take``."""
        with contextlib.suppress(OSError):
            (self.folder / key).unlink(missing_ok=True)
        os.close(self._held.pop(key))

    def give_back_all(self) -> None:
        for key in list(self._held):
            self.give_back(key)


def claimed(folder: Path) -> set[str]:
    """Keys that living runs have claimed."""
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # it may be a pipe
            if not _lock(handle, shared=True):
                found.add(path.name)
            os.close(handle)
    return found


def _lock(handle: int, shared: bool) -> bool:
    """False if another holds it."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    return True


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
