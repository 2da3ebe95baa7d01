"""Opening files nobody has vouched for: regular files only, and every failure is one line that names the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sdesgd.errors import InputError

LARGEST = 1 << 30  # bytes of one array or file; the largest real one, MNIST's training images, has 47 MB


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """(the file, its size in bytes).

    Raises:
        InputError: a folder, a pipe or a device (reading one may never end), missing, unreadable, also while in use.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {what}: a regular file is needed there")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error}): make it readable or replace it") from None


def present(path: Path) -> bool:
    """Whether something is there; what may not be looked at counts as absent."""
    try:
        return path.exists()
    except OSError:
        return False


def first_file(candidates: list[Path]) -> Path | None:
    """The first regular file; failing that the first thing of any kind, for the error to name; None if nothing."""
    there = [path for path in candidates if present(path)]
    return next((path for path in there if path.is_file()), there[0] if there else None)


def missing_folder(folder: Path | None) -> str | None:
    """Why a folder can't be looked into, None if it can."""
    if folder is None:
        return "no folder was given (--data-dir)"
    try:
        return None if folder.is_dir() else f"{folder} is not a folder"
    except OSError as error:
        return f"{folder} can't be read ({error.strerror})"
