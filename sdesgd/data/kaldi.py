"""Kaldi tables (``.scp`` and binary ``.ark``) of float matrices and int32 vectors, strictly checked.

kaldiio decodes, but it would also run the command of a piped entry, unpickle an entry marked ``PKL`` and allocate
whatever a header promises. So every byte is looked at here first: kaldiio is handed one record in memory, of a kind
and size that were checked, and never a file or an scp line. An scp file is text that anyone may have written: a path in
it that is absolute or climbs by ``..`` is followed only below the folder that the user named.

A binary record: ``\\0B``, then for features ``FM``/``DM`` (float or double) or ``CM``/``CM2``/``CM3`` (compressed), a
blank, rows, columns and the values; for alignments ``\\4``, the length, and ``\\4`` before each int32.
"""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from sdesgd.data.files import present
from sdesgd.errors import InputError
from sdesgd.files import opened

_KEY = 1024  # bytes of an utterance's name, at most
# Bytes of a whole table in memory (TIMIT, spliced: 1.6 GB), what an utterance takes besides its numbers, and bytes of
# an scp file, which has some 60 an utterance.
_LARGEST_TABLE, _UTTERANCE, _LARGEST_SCP = 1 << 31, 1 << 10, 1 << 24
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
    """Where a record stands: file, its size in bytes, the first byte of the record.

    kind: a key of ``_TEXT``; left: bytes of memory that the table may still take.
    """

    file: BinaryIO
    size: int
    offset: int
    path: Path
    utterance: str
    kind: str
    left: int

    def fail(self, text: str) -> InputError:
        """The error that says where this record stands and what is wrong with it."""
        where = f"{self.path} ({self.size} bytes), {self.kind} of utterance '{self.utterance}' at byte {self.offset}"
        return InputError(f"{where}: {text}")

    def expect(self, size: int) -> None:
        """Refuses a record that is too large for the table, before it is read."""
        if size + _UTTERANCE > self.left:
            raise self.fail(f"with it the table takes more than the {_LARGEST_TABLE} bytes accepted: make it smaller")

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


def read_table(
    scp: Path, ark: Path, kind: str, widths: tuple[int, ...] = (), root: Path | None = None
) -> dict[str, np.ndarray]:
    """utterance → array, of the scp file if it is there, else of the archive.

    Args:
        scp: where the scp file may be.
        ark: where the archive may be.
        kind: "features" (float32 matrices) or "alignment" (int32 vectors).
        widths: columns a matrix may have.
        root: below it, paths in the scp that are absolute or climb by ``..`` are followed; default: the scp's folder.

    Raises:
        InputError: anything but a binary matrix or vector of the right kind; non-finite features; a pipe, a slice, a
            compressed file or a path out of ``root`` in the scp; records that overlap; an utterance twice; a table of
            nothing, or of more than 2 GiB.
    """
    path = scp if present(scp) else ark
    table = _read_scp(scp, kind, widths, root or scp.parent) if path == scp else _read_ark(ark, kind, widths)
    if not table:
        raise InputError(f"{path} has no utterances: write the table again")
    return table


def _read_ark(path: Path, kind: str, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    table: dict[str, np.ndarray] = {}
    left = _LARGEST_TABLE
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
            record = Record(file, size, position + len(key) + 1, path, name, kind, left)
            table[name], length = _read_record(record, widths)
            left -= table[name].nbytes + _UTTERANCE
            position = record.offset + length
    return table


def _read_scp(path: Path, kind: str, widths: tuple[int, ...], root: Path) -> dict[str, np.ndarray]:
    with opened(path) as (file, size):
        if size > _LARGEST_SCP:
            raise InputError(f"{path} has {size} bytes, at most {_LARGEST_SCP} are accepted: it is no scp file")
        content = file.read(size)
    table: dict[str, np.ndarray] = {}
    read: dict[tuple[int, int, int], np.ndarray] = {}  # by file and offset: lines for one record share it
    taken: dict[tuple[int, int], int] = {}  # bytes of records, by file
    left = _LARGEST_TABLE
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path} ({size} bytes), line {number}"
        name, entry, offset = _parse(where, line)
        if name in table:
            raise InputError(f"{where}: utterance '{name}' comes twice: keep one")
        ark = _below(where, path.parent, entry, root)
        with opened(ark) as (archive, archive_size):
            found = os.fstat(archive.fileno())
            file_key, record = (
                (found.st_dev, found.st_ino),
                Record(archive, archive_size, offset, ark, name, kind, left),
            )
            if (*file_key, offset) in read:
                table[name] = read[*file_key, offset]
                record.expect(table[name].nbytes)
            else:
                table[name], length = _read_record(record, widths)
                read[*file_key, offset] = table[name]
                taken[file_key] = taken.get(file_key, 0) + length
            if taken[file_key] > archive_size:
                raise record.fail(f"the records up to line {number} of {path.name} overlap: write the scp file again")
        left -= table[name].nbytes + _UTTERANCE
    return table


def _below(where: str, folder: Path, entry: str, root: Path) -> Path:
    """The archive of an scp line. Links that lie in the user's own folder are the user's, and are followed."""
    place = Path(entry)
    if not place.is_absolute() and ".." not in place.parts:
        return folder / place
    if Path(os.path.realpath(folder / place)).is_relative_to(os.path.realpath(root)):
        return folder / place
    raise InputError(
        f"{where}: '{_short(entry)}' lies outside the data set's folder: copy the archive into that folder"
    )


def _parse(where: str, line: bytes) -> tuple[str, str, int]:
    key, *rest = line.split(None, 1)
    name, entry = _name(key), _name(b"".join(rest).rstrip(), blanks=True)
    if name is None or entry is None:
        raise InputError(f"{where}: not 'utterance path:offset' in printable UTF-8: write the scp file again")
    short = _short(entry)
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


def _short(entry: str) -> str:
    return entry if len(entry) <= 80 else entry[:79] + "…"


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
    record.expect(4 * rows * columns)
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
    record.expect(4 * number)
    content = record.take(0, length)
    if content[7::5] != b"\4" * number:
        raise record.fail(f"its {number} numbers are not all marked as int32: the archive is corrupt")
    return np.asarray(read_int32vector(io.BytesIO(content))), length
