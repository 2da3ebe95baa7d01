"""Kaldi tables (``.scp`` and binary ``.ark``) of float matrices and int32 vectors, strictly checked.

kaldiio decodes, but it would also run the command of a piped entry, unpickle an entry marked ``PKL`` and allocate
whatever a header promises. So every byte is looked at here first: kaldiio is handed one record in memory, of a kind
and size that were checked, and never a file or an scp line.

A binary record: ``\\0B``, then for features ``FM``/``DM`` (float or double) or ``CM``/``CM2``/``CM3`` (compressed), a
blank, rows, columns and the values; for alignments ``\\4``, the length, and ``\\4`` before each int32.
"""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from sdesgd.data.files import LARGEST, opened, present
from sdesgd.errors import InputError

_KEY = 1024  # bytes of an utterance's name, at most
_TEXT = {"features": "copy-feats ark:IN ark:OUT", "alignment": "copy-int-vector ark:IN ark:OUT"}
_FOREIGN = {b"PKL": "a pickle", b"NPY": "a NumPy file", b"RIFF": "audio", b"fLaC": "audio", b"AUDIO": "audio"}
_FOREIGN |= {b"\x1f\x8b": "gzip", b"BZh": "bzip2"}
# bytes of values after the header
_VALUES: dict[bytes, Callable[[int, int], int]] = {
    b"FM": lambda rows, columns: 4 * rows * columns,
    b"DM": lambda rows, columns: 8 * rows * columns,
    b"CM": lambda rows, columns: 8 * columns + rows * columns,
    b"CM2": lambda rows, columns: 2 * rows * columns,
    b"CM3": lambda rows, columns: rows * columns,
}


class Record(NamedTuple):
    """Where a record stands: file, its size in bytes, the first byte of the record; kind is a key of ``_TEXT``."""

    file: BinaryIO
    size: int
    offset: int
    path: Path
    utterance: str
    kind: str

    def fail(self, text: str) -> InputError:
        """The error that says where this record stands and what is wrong with it."""
        where = f"{self.path} ({self.size} bytes), {self.kind} of utterance '{self.utterance}' at byte {self.offset}"
        return InputError(f"{where}: {text}")

    def take(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` bytes into the record; checked against the file before reading."""
        left = self.size - self.offset - start
        if length > left:
            raise self.fail(f"{length} bytes are needed, {max(left, 0)} are left: the archive is cut short or corrupt")
        self.file.seek(self.offset + start)
        content = self.file.read(length)
        if len(content) != length:
            raise self.fail(f"{length} bytes are needed, {len(content)} came: the archive is cut short")
        return content


def read_table(scp: Path, ark: Path, kind: str, widths: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """utterance → array, of the scp file if it is there, else of the archive.

    Args:
        scp, ark: the two places.
        kind: "features" (float32 matrices) or "alignment" (int32 vectors).
        widths: columns a matrix may have.

    Raises:
        InputError: anything but a binary matrix or vector of the right kind; non-finite features; a pipe, a slice or
            a compressed file in the scp; an utterance twice; a table of nothing.
    """
    path, read = (scp, _read_scp) if present(scp) else (ark, _read_ark)
    table = read(path, kind, widths)
    if not table:
        raise InputError(f"{path} has no utterances: write the table again")
    return table


def _read_ark(path: Path, kind: str, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    table: dict[str, np.ndarray] = {}
    with opened(path) as (file, size):
        position = 0
        while position < size:
            file.seek(position)
            key, blank, _ = file.read(_KEY).partition(b" ")
            name = _name(key) if blank else None
            if name is None or name in table:
                fault = f"utterance '{name}' comes twice" if name else "no utterance name and blank stand there"
                raise InputError(
                    f"{path} ({size} bytes) at byte {position}: {fault}; a binary archive is needed, as by "
                    f"{_TEXT[kind]}"
                )
            record = Record(file, size, position + len(key) + 1, path, name, kind)
            table[name], length = _read_record(record, widths)
            position = record.offset + length
    return table


def _read_scp(path: Path, kind: str, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    with opened(path) as (file, size):
        if size > LARGEST:
            raise InputError(f"{path} has {size} bytes, at most {LARGEST} are accepted: it is no scp file")
        content = file.read(size)
    table: dict[str, np.ndarray] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        name, ark, offset = _parse(f"{path} ({size} bytes), line {number}", line)
        if name in table:
            raise InputError(f"{path} ({size} bytes), line {number}: utterance '{name}' comes twice: keep one")
        ark = path.parent / ark
        with opened(ark) as (archive, archive_size):
            table[name], _ = _read_record(Record(archive, archive_size, offset, ark, name, kind), widths)
    return table


def _parse(where: str, line: bytes) -> tuple[str, str, int]:
    key, *rest = line.split(None, 1)
    name, entry = _name(key), _name(b"".join(rest).rstrip(), blanks=True)
    if name is None or entry is None:
        raise InputError(f"{where}: not 'utterance path:offset' in printable UTF-8: write the scp file again")
    short = entry if len(entry) <= 80 else entry[:79] + "…"
    path, colon, offset = entry.rpartition(":")
    if "|" in (entry[0], entry[-1], path[-1:]):
        raise InputError(f"{where}: '{short}' is a command, commands are never run: write its output to a binary ark")
    if entry.endswith("]"):
        raise InputError(f"{where}: '{short}' is a slice of a matrix: write the slice to an ark of its own")
    if not colon or not path or not (offset.isascii() and offset.isdigit()) or len(offset) > 18:
        raise InputError(f"{where}: '{short}' is not path:offset: write the scp file again, as by copy-feats ark,scp:")
    if path.lower().endswith(".gz"):
        raise InputError(f"{where}: '{short}' is compressed: unpack it and write the scp file again")
    return name, path, int(offset)


def _name(raw: bytes, blanks: bool = False) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() and (blanks or " " not in text) else None


def _read_record(record: Record, widths: tuple[int, ...]) -> tuple[np.ndarray, int]:
    start = record.take(0, min(5, max(2, record.size - record.offset)))
    if start[:2] != b"\0B":
        foreign = next((what for mark, what in _FOREIGN.items() if start.startswith(mark)), None)
        fault = f"{foreign}, which is never opened" if foreign else "text or no Kaldi data"
        raise record.fail(f"{fault}; a binary archive is needed, as by {_TEXT[record.kind]}")
    return _matrix(record, widths) if record.kind == "features" else _vector(record)


def _matrix(record: Record, widths: tuple[int, ...]) -> tuple[np.ndarray, int]:
    from kaldiio.matio import read_matrix_or_vector

    # up to "\0BCM2 ": a record this short is refused either way
    token, blank, _ = record.take(2, min(4, record.size - record.offset - 2)).partition(b" ")
    if not blank or token not in _VALUES:
        raise record.fail(f"begins with {token!r}, not one of FM, DM, CM, CM2, CM3: a matrix of floats is needed")
    start = 2 + len(token) + 1
    if token in (b"FM", b"DM"):
        header = record.take(start, 10)
        mark_rows, rows, mark_columns, columns = struct.unpack("<bibi", header)
        if (mark_rows, mark_columns) != (4, 4):
            raise record.fail("its sizes are not marked as int32: the archive is corrupt")
    else:
        header = record.take(start, 16)
        rows, columns = struct.unpack("<8xii", header)
    if columns not in widths or rows < 1:
        allowed = " or ".join(map(str, widths))
        raise record.fail(f"promises {rows} × {columns} values, at least 1 × {allowed} is needed")
    length = start + len(header) + _VALUES[token](rows, columns)
    content = record.take(0, length)
    with np.errstate(all="ignore"):  # what overflows is non-finite, and refused below
        matrix = np.ascontiguousarray(read_matrix_or_vector(io.BytesIO(content)), dtype=np.float32)
    bad = matrix.size - int(np.isfinite(matrix).sum())
    if bad:
        raise record.fail(f"{bad} of {rows} × {columns} values are not finite: compute the features again")
    return matrix, length


def _vector(record: Record) -> tuple[np.ndarray, int]:
    from kaldiio.matio import read_int32vector

    mark, number = struct.unpack("<bi", record.take(2, 5))
    if mark != 4:
        raise record.fail("not a vector of int32: write one state a frame, as by ali-to-pdf")
    if number < 1:
        raise record.fail(f"promises {number} frames, at least 1 is needed")
    length = 7 + 5 * number
    content = record.take(0, length)
    if content[7::5] != b"\4" * number:
        raise record.fail(f"its {number} numbers are not all marked as int32: the archive is corrupt")
    return np.asarray(read_int32vector(io.BytesIO(content))), length
