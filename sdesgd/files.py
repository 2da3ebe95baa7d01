"""Files: what is read is a regular file of bounded size, what is written is whole or absent."""

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sdesgd.errors import InputError, one_line, shown
from sdesgd.types import PathLike

PARTIAL = ".partial"
# A pipe without a writer is opened at once, a terminal doesn't become this process's own; Windows has neither flag.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_ABANDONED_SECONDS = 3600.0  # a file takes far less to be written
_REMEDY = "free space or choose another folder"
_LONGEST_PATH = 120  # characters of it that a message repeats


class MissingFile(InputError):
    """Nothing is there."""


# -- reading -----------------------------------------------------------------------------------------------


@contextmanager
def opened(path: PathLike) -> Iterator[tuple[BinaryIO, int]]:
    """(the file, its size in bytes).

    Args:
        path: of the file; links are followed.

    Raises:
        InputError: a folder, a pipe or a device (reading one may never end), unreadable, also while in use.
        MissingFile: nothing is there.
    """
    path = as_path(path)
    try:
        _require_regular(path, os.stat(path))  # opening a device can have effects
        with open(os.open(path, _READ), "rb") as file:
            found = os.fstat(file.fileno())
            _require_regular(path, found)  # another may stand there by now
            yield file, found.st_size
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"{path} does not exist: a regular file is needed there") from None
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error}): make it readable or replace it") from None


def as_path(path: Any) -> str:
    """A path as text.

    Raises:
        InputError: no text and no ``os.PathLike``, or characters that no name of a file has.
    """
    text = path if isinstance(path, str) else os.fspath(path) if isinstance(path, os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise InputError(f"{shown(path)} is no path: pass the name of a file as text, or a pathlib.Path")
    try:
        os.fsencode(text)
    except UnicodeError:
        raise InputError(f"{shown(text)} is no path, it holds characters that no file's name has: check it") from None
    if "\0" in text:
        raise InputError(f"{shown(text)} is no path, it holds a null character: check the name")
    return text


def read_bytes(path: PathLike, most: int) -> bytes:
    """The content of a regular file.

    Args:
        path: of the file.
        most: bytes that are accepted.

    Raises:
        InputError: as ``opened``; a larger file, which isn't read.
    """
    with opened(path) as (file, size):
        if size > most:
            raise InputError(f"{path} has {size} bytes, at most {most} are accepted: replace it")
        return file.read(size)


def _require_regular(path: PathLike, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "is a folder" if stat.S_ISDIR(found.st_mode) else "is no regular file"
        raise InputError(f"{path} {what}: a regular file is needed there")


# -- writing -----------------------------------------------------------------------------------------------


def write(path: PathLike, content: bytes | memoryview, remedy: str = _REMEDY) -> None:
    """Writes a file whole or not at all, whenever the process, the disk or the machine stops.

    The bytes go to a name of their own in the same folder, are forced to the disk, and are renamed. So an earlier file
    stays as it was until the new one is complete. A link stays one: what it points to is replaced. The mode is what
    the umask leaves of 0666.

    Args:
        path: of the file.
        content: all of it.
        remedy: the end of the message of a refusal.

    Raises:
        InputError: a folder, a pipe or a device in its place; no such folder; no space, permission or quota left.
    """
    try:
        target, temporary = _places(path)
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    except OSError as error:
        raise cannot_write(path, error, remedy) from None


def check_writable(path: PathLike, remedy: str = _REMEDY) -> None:
    """Whether ``write`` could begin: for results that are long in the making. Leaves nothing behind.

    Args:
        path: of the file.
        remedy: the end of the message of a refusal.

    Raises:
        InputError: as ``write``.
    """
    error = why_not_writable(path)
    if error is not None:
        raise cannot_write(path, error, remedy)


def why_not_writable(path: PathLike) -> OSError | None:
    """What stands against writing a file, as far as creating an empty one beside it shows; None if nothing does.

    Raises:
        InputError: a folder, a pipe or a device in its place.
    """
    try:
        _, temporary = _places(path)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(temporary)
    except OSError as error:
        return error
    return None


def remove_abandoned(folder: Path) -> None:
    """Removes what killed processes left half written in a folder and below.

    Raises:
        OSError: a file can't be removed.
    """
    for path in folder.rglob(f".*{PARTIAL}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()


def _places(path: PathLike) -> tuple[Path, Path]:
    """Where the file is to stand, links resolved, and a name beside it that no other process uses."""
    path = as_path(path)
    target = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        _require_regular(path, target.stat())
    # In bytes a name may be at most 255, so only its beginning is repeated.
    return target, target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")


def cannot_write(path: PathLike, why: OSError | str, remedy: str = _REMEDY) -> InputError:
    """The refusal of a place where nothing can be written.

    Args:
        path: of the file or folder; a long one loses its middle, so that a deep folder never hides the reason.
        why: the system's error, or a text.
        remedy: the end of the message.
    """
    reason = why if isinstance(why, str) else why.strerror or str(why)
    if isinstance(why, OSError) and why.errno == errno.EFBIG:
        reason += " for this process's limit (ulimit -f)"
    return InputError(f"can't write {one_line(str(path), _LONGEST_PATH)}: {reason}; {remedy}")
