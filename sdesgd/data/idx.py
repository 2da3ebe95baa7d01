"""IDX files (MNIST's format), plain or gzipped, strictly checked.

Layout: two zero bytes, 0x08 (unsigned bytes), the number of dimensions, each dimension as a big-endian int32, then
the bytes, row-major. The file must hold exactly what its header promises.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from sdesgd.data.files import first_file, missing_folder
from sdesgd.data.loader import Info, Part, Parts, Request
from sdesgd.errors import InputError
from sdesgd.files import opened

# (images, labels): name before and after the - or . between them
TRAIN = (("train-images", "idx3-ubyte"), ("train-labels", "idx1-ubyte"))
TEST = (("t10k-images", "idx3-ubyte"), ("t10k-labels", "idx1-ubyte"))
# What the two parts of MNIST and of the sets made in its likeness hold; fewer are accepted.
_MOST_TRAIN, _MOST_TEST = 60_000, 10_000
_LARGEST = 1 << 30  # bytes of an array
_PIECE = 1 << 20
_FETCH = "fetch the file again"


def missing(folder: Path | None) -> str | None:
    """The first of the four files that is not there; see ``loader.Loader``."""
    fault = missing_folder(folder)
    if fault or folder is None:
        return fault
    for stem, suffix in (*TRAIN, *TEST):
        if find(folder, stem, suffix) is None:
            return f"{folder} has no {stem}-{suffix}.gz, nor {stem}-{suffix}, nor {stem}.{suffix}"
    return None


def find(folder: Path, stem: str, suffix: str) -> Path | None:
    """The file under any of its usual names, the plain one first."""
    return first_file([folder / f"{stem}{dot}{suffix}{end}" for end in ("", ".gz") for dot in "-."])


def read_parts(request: Request, info: Info) -> Parts:
    """Training and test images with labels, as bytes, of a folder where nothing is ``missing``.

    Raises:
        InputError: a file breaks the format, images and labels differ in number, an image is not of the set's size, a
            label is not below num_classes.
    """
    folder = request.folder or Path()
    parts = [_read_part(folder, info, most, *names) for most, names in ((_MOST_TRAIN, TRAIN), (_MOST_TEST, TEST))]
    return Parts(parts[0], parts[1], f"{info.name}: IDX files in {folder}")


def _read_part(folder: Path, info: Info, most: int, images_name: tuple[str, str], labels_name: tuple[str, str]) -> Part:
    images_file, labels_file = (
        find(folder, *name) or folder / "-".join(name) for name in (images_name, labels_name)
    )  # gone since it was found: opening says so
    height, width = info.shape[:2]
    images, labels = read(images_file, 3, most * height * width), read(labels_file, 1, most)
    if images.shape[1:] != (height, width):
        rows, columns = images.shape[1:]
        raise InputError(f"{images_file} has images of {rows}×{columns}, not {height}×{width}: pass {info.name}'s own")
    if len(images) != len(labels):
        raise InputError(
            f"{images_file} has {len(images)} images, {labels_file} {len(labels)} labels: fetch both of one set"
        )
    wrong = np.flatnonzero(labels >= info.num_classes)
    if len(wrong):
        raise InputError(
            f"{labels_file} has label {labels[wrong[0]]} at position {wrong[0]}, {info.name}'s are 0 to "
            f"{info.num_classes - 1}: {_FETCH}"
        )
    return Part(images.reshape(len(images), -1).__getitem__, labels)


def read(path: Path, num_dims: int, most: int = _LARGEST) -> np.ndarray:
    """The array of an IDX file of unsigned bytes.

    A gzipped file (told by its first bytes, not its name) is unpacked in pieces and no further than one byte beyond
    what the header promises.

    Args:
        path: of the file.
        num_dims: it must have.
        most: bytes that the header may promise.

    Raises:
        InputError: not such a file, or its size is not what its header promises (both byte counts are said).
    """
    header_size = 4 + 4 * num_dims
    header, body = bytearray(), bytearray()
    with opened(path) as (file, size):
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if packed else file
        form = f"gzip of {size} bytes" if packed else f"file of {size} bytes"
        expected = header_size
        if size > most + _PIECE:  # gzip makes nothing larger by as much
            raise InputError(f"{path} has {size} bytes, and at most {most} of an array are accepted: {_FETCH}")
        try:
            _fill(header, stream, header_size)
            shape = _shape(path, form, bytes(header), num_dims, most)
            expected += math.prod(shape)
            if not packed and size != expected:
                raise InputError(f"{path} has {size} bytes, its header promises {expected}: {_FETCH}")
            _fill(body, stream, expected - header_size + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            found = len(header) + len(body)
            raise InputError(
                f"{path} ({form}) is corrupt or cut short: {found} bytes came out, at least {expected} are needed "
                f"({error}): {_FETCH}"
            ) from None
    if len(body) != expected - header_size:
        more = "more" if header_size + len(body) > expected else f"{header_size + len(body)}"
        raise InputError(f"{path} ({form}) holds {more}, its header promises {expected} bytes: {_FETCH}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _fill(buffer: bytearray, stream: Any, size: int) -> None:
    # In pieces: a header may promise far more than the file has.
    while len(buffer) < size:
        piece = stream.read(min(_PIECE, size - len(buffer)))
        if not piece:
            break
        buffer += piece


def _shape(path: Path, form: str, header: bytes, num_dims: int, most: int) -> tuple[int, ...]:
    expected = 4 + 4 * num_dims
    if len(header) < expected:
        raise InputError(f"{path} ({form}) holds {len(header)} bytes, an IDX header takes {expected}: {_FETCH}")
    magic, wanted = header[:4].hex(), bytes([0, 0, 8, num_dims]).hex()
    if magic != wanted:
        raise InputError(f"{path} ({form}) begins with 0x{magic}, not 0x{wanted}: it is no IDX file of its kind")
    shape = struct.unpack(f">{num_dims}i", header[4:])
    said = " × ".join(map(str, shape))
    if min(shape) < 1:
        raise InputError(f"{path} ({form}) promises {said} bytes: at least one of each is needed, {_FETCH}")
    if math.prod(shape) > most:
        raise InputError(f"{path} ({form}) promises {said} bytes, at most {most} are accepted: {_FETCH}")
    return shape
