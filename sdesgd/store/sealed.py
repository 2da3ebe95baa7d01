"""Files that carry a checksum of every byte, and what is known of how they came about.

CONTENT, then a line of JSON, then a line ``sha256 DIGEST LENGTH`` over both, LENGTH being that of CONTENT. What follows
its own end disturbs no reader of HDF5, so a sealed NetCDF file opens everywhere.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from sdesgd.errors import InputError, one_line
from sdesgd.files import opened, write
from sdesgd.types import PathLike

_SEAL = re.compile(rb"\nsha256 ([0-9a-f]{64}) ([0-9]{20})\n\Z")
_SEAL_BYTES = len("\nsha256 ") + 64 + 1 + 20 + 1
_LARGEST = 1 << 36  # bytes


class Damaged(InputError):
    """A file that isn't what was written."""


def write_sealed(path: PathLike, content: bytes | memoryview, about: Mapping[str, Any], remedy: str) -> None:
    """Writes a file whole or not at all.

    Args:
        path: of the file.
        content: what it holds.
        about: what JSON can hold.
        remedy: the end of the message of a refusal.

    Raises:
        InputError: it can't be written.
    """
    told = b"\n" + json.dumps(about, allow_nan=False, sort_keys=True).encode()
    digest = hashlib.sha256(content)
    digest.update(told)
    seal = f"\nsha256 {digest.hexdigest()} {len(content):020d}\n".encode()
    write(path, b"".join((content, told, seal)), remedy)


def read_sealed(path: PathLike) -> tuple[bytes, dict[str, Any]]:
    """(content, about) of a file in which no byte has changed.

    Raises:
        Damaged: cut short, changed, or never sealed.
        InputError: it can't be read.
        MissingFile: nothing is there.
    """
    with opened(path) as (file, size):
        if size > _LARGEST:
            raise Damaged(f"{path} has {size:,} bytes: no file of a run has that many")
        everything = file.read(size)
    seal = _SEAL.search(everything[-_SEAL_BYTES:])
    if seal is None:
        raise Damaged(f"{path} is damaged: it doesn't end as it was written, so it was cut short or changed")
    body = everything[:-_SEAL_BYTES]
    length = int(seal[2])
    if length >= len(body) or hashlib.sha256(body).hexdigest() != seal[1].decode():
        raise Damaged(f"{path} is damaged: its checksum doesn't fit, so a byte of it was changed")
    try:
        about = json.loads(body[length + 1 :])
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {one_line(str(error), 80)}") from None
    if not isinstance(about, dict):
        raise Damaged(f"{path} is damaged: it says nothing of how it came about")
    return body[:length], about


def read_about(path: PathLike) -> dict[str, Any]:
    """What a file says of how it came about, unchecked; empty if it says nothing."""
    try:
        with opened(path) as (file, size):
            file.seek(max(0, size - _SEAL_BYTES))
            seal = _SEAL.search(file.read())
            if seal is None or int(seal[2]) >= size - _SEAL_BYTES:
                return {}
            file.seek(int(seal[2]) + 1)
            found = json.loads(file.read(size - _SEAL_BYTES - int(seal[2]) - 1))
    except (InputError, ValueError, OSError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
