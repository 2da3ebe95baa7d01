"""A cell's small table: columns of one length, kept in one .npz file that carries its own checksum."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from sdesgd.errors import InputError
from sdesgd.sweep.cells import RESERVED

Columns = dict[str, np.ndarray]
_META = "about_this_cell"
_DIGEST = 64  # hex digits of a SHA-256


class CorruptCell(Exception):
    """A file that isn't what was written: cut short, changed, or of another cell."""


def checked_columns(result: Any, config: Mapping[str, Any], seeds: tuple[int, ...]) -> Columns:
    """What a cell's function returned, as NumPy arrays with a column ``seed``, sorted by it.

    Raises:
        InputError: no dict, columns of unequal lengths or more than one dimension or of no plain type, seeds that are
            missing or not the cell's.
    """
    if not isinstance(result, Mapping):
        raise InputError(f"the cell's function returned a {type(result).__name__}: return a dict of columns")
    columns = {}
    for name, values in result.items():
        if not isinstance(name, str) or not name or "/" in name or name in {*RESERVED, _META} - {"seed"}:
            raise InputError(f"a column has the name {name!r}: use text other than 'cell' and 'row', without a slash")
        if name in config:
            raise InputError(f"column '{name}' is a name of the config too: call it otherwise, say '{name}_found'")
        columns[name] = array = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind not in "biufcU":
            raise InputError(
                f"column '{name}' has shape {array.shape} and type {array.dtype}: return one-dimensional arrays of "
                "numbers, bools or text"
            )
    rows = {name: len(array) for name, array in columns.items()}
    if len(set(rows.values())) != 1 or not next(iter(rows.values())):
        raise InputError(f"the columns have lengths {rows}: return columns of one length, at least one row a seed")
    if "seed" not in columns:
        count = next(iter(rows.values()))
        if count != len(seeds):
            raise InputError(f"{count} rows for {len(seeds)} seeds: return one row a seed, or add a column 'seed'")
        columns["seed"] = np.asarray(seeds, np.int64)
    found = columns["seed"]
    if found.dtype.kind not in "iu" or set(found.tolist()) != set(seeds):
        some = sorted(set(found.tolist()))[:5]
        raise InputError(f"column 'seed' holds {some}…: return rows of all seeds of the cell, and of no others")
    columns["seed"] = found.astype(np.int64)
    order = np.argsort(columns["seed"], kind="stable")
    return {name: columns[name][order] for name in sorted(columns)}


def packed(columns: Columns, about: Mapping[str, Any]) -> bytes:
    """An .npz file that ``numpy.load`` opens, whose zip comment is the SHA-256 of all that stands before it."""
    text = json.dumps(about, sort_keys=True, allow_nan=False).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # numpy.savez has names that a column can't bear
        for name, array in {_META: np.frombuffer(text, np.uint8), **columns}.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    # The last two bytes of a zip file without a comment say how long the comment is: 0.
    body = buffer.getvalue()[:-2] + _DIGEST.to_bytes(2, "little")
    return body + hashlib.sha256(body).hexdigest().encode()


def unpacked(content: bytes) -> tuple[Columns, dict[str, Any]]:
    """What was ``packed``. Nothing is parsed before the checksum has been found right, and nothing is unpickled.

    Raises:
        CorruptCell: the file was cut short or changed, or was never ``packed``.
    """
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if len(content) <= _DIGEST or hashlib.sha256(body).hexdigest().encode() != digest:
        raise CorruptCell(f"its {len(content)} bytes don't fit its checksum")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files if name != _META}
            return columns, json.loads(file[_META].tobytes())
    except Exception as error:  # a forged file can provoke any
        raise CorruptCell(f"it isn't a table of a sweep: {type(error).__name__}") from None


def same_kind(columns: Columns, others: Columns) -> str | None:
    """Why two cells' columns can't stand in one table; None if they can."""
    odd = sorted(set(columns) ^ set(others))
    if odd:
        return f"column {odd[0]} is in one of them only"
    for name, array in columns.items():
        one, two = array.dtype, others[name].dtype
        if one != two and not one.kind == two.kind == "U":
            return f"column {name} is {one} in one and {two} in the other"
    return None


def digest(*arrays: Any) -> str:
    """SHA-256 of arrays, their shapes and types: for ``Sweep(inputs={"data": digest(inputs, labels)})``."""
    total = hashlib.sha256()
    for array in map(np.asarray, arrays):
        if array.dtype.hasobject:
            raise InputError("an array of Python objects has no digest of its content: pass numbers or text")
        total.update(f"{array.dtype.str}{array.shape};".encode() + array.tobytes())
    return total.hexdigest()
