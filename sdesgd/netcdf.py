"""NetCDF files: written from memory in one piece, and looked through before anything in them is read.

The HDF5 library writes on its own when a file is closed, and a full disk at that moment ends the process. So a dataset
becomes bytes first, and ``files.write`` puts these on the disk.

A file may come from anywhere. HDF5 can take its numbers from other files (external storage, virtual data sets, links),
and promise far more of them than it holds; neither occurs in what is written here, and both are refused.
"""

import io
import math
from typing import Any

import h5py
import numpy as np
import xarray as xr
from h5py import h5l, h5o  # type: ignore[attr-defined]

from sdesgd.errors import InputError, one_line, shown
from sdesgd.files import opened, write
from sdesgd.types import PathLike

_DEFLATE = 1032  # zeros take at least a thousandth of their size: how far a compressed array may expand
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_SMALLEST_CHUNK = 1 << 20  # bytes; h5netcdf's own are smaller, or as large as their array
_TEXT, _LISTED = 1 << 26, 1 << 30  # bytes of all text and all attributes together; of a list of text, as it might be
_PIECES = 64  # of text in a list; each can be as long as the file
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


class _Refused(Exception):
    """Why a file isn't read."""


# -- writing -----------------------------------------------------------------------------------------------


def to_bytes(dataset: xr.Dataset) -> memoryview:
    """The NetCDF file of a dataset.

    Raises:
        InputError: names or types that the format doesn't have; not enough memory.
    """
    plain = {name: {"_FillValue": None} for name, variable in dataset.variables.items() if variable.dtype.kind in "fc"}
    try:
        content = dataset.to_netcdf(engine="h5netcdf", encoding=plain)
    except MemoryError:
        raise InputError(f"a file of {dataset.nbytes:,} bytes doesn't fit into memory: save fewer numbers") from None
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, OSError) as error:
        raise InputError(
            f"the dataset can't be written as NetCDF: {one_line(str(error), 150)}; rename or convert it"
        ) from None
    return memoryview(content)


def write_netcdf(dataset: xr.Dataset, path: PathLike, remedy: str = "") -> None:
    """Writes a dataset, whole or not at all.

    Args:
        dataset: what to write.
        path: of the file.
        remedy: the end of the message of a refusal; empty: the usual one.

    Raises:
        InputError: see ``to_bytes`` and ``files.write``.
    """
    write(path, to_bytes(dataset), *([remedy] if remedy else []))


# -- reading -----------------------------------------------------------------------------------------------


def read_netcdf(path: PathLike, *, decode: bool = True) -> xr.Dataset:
    """Reads a whole dataset and closes the file.

    Args:
        path: of the file.
        decode: whether to apply the conventions on missing values, times and bools.

    Raises:
        InputError: no regular file; no NetCDF; numbers that lie elsewhere, or more than the file or memory holds.
    """
    with opened(path) as (file, size):
        return _read(file, size, path, decode)


def from_bytes(content: bytes, path: PathLike, *, decode: bool = True) -> xr.Dataset:
    """The same of a file that has been read.

    Args:
        content: of the file.
        path: where it came from, for messages.
        decode: whether to apply the conventions on missing values, times and bools.

    Raises:
        InputError: as ``read_netcdf``.
    """
    return _read(io.BytesIO(content), len(content), path, decode)


def _read(file: Any, size: int, path: PathLike, decode: bool) -> xr.Dataset:
    try:
        _check(file, size)
        file.seek(0)
        with xr.open_dataset(file, engine="h5netcdf", decode_cf=decode) as dataset:
            return dataset.load()
    except _Refused as error:
        raise InputError(f"{path} is refused: {error}: read only files that sdesgd wrote") from None
    except MemoryError:
        raise InputError(f"{path} doesn't fit into memory: read it where there is more") from None
    except Exception as error:  # a damaged or forged file can provoke any
        why = one_line(str(error), 100)
        raise InputError(f"{path} is not a readable NetCDF file ({why}): was it cut short?") from None


def _check(file: Any, size: int) -> None:
    """Looks at what a file declares; of the numbers, none is read."""
    total = text = 0
    with h5py.File(file, "r") as root:
        text += _bytes_of_attributes("the file", root.attrs, size, 0)
        for name in map(str, root):
            link = name.encode(errors="surrogateescape")
            if root.id.links.get_info(link).type != h5l.TYPE_HARD:
                raise _Refused(f"{shown(name)} is a link to elsewhere")
            found = h5o.open(root.id, link)
            if isinstance(found, h5py.h5t.TypeID):
                continue
            if not isinstance(found, h5py.h5d.DatasetID):
                raise _Refused(f"{shown(name)} is a group")
            dataset = h5py.Dataset(found)
            text += _bytes_of_attributes(shown(name), dataset.attrs, size, text)
            total += _bytes_of_numbers(shown(name), dataset)
            text += _bytes_of_text(shown(name), dataset, size, text)
    import psutil  # needed by this check alone

    free = psutil.virtual_memory().available
    if total > free:
        raise _Refused(f"it declares {total:,} bytes, and {free:,} bytes of memory are free")


def _bytes_of_numbers(name: str, dataset: h5py.Dataset) -> int:
    """What an array takes in memory, which the file holds."""
    plan, each = dataset.id.get_create_plist(), dataset.id.get_type().get_size()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise _Refused(f"the numbers of {name} lie in other files")
    if dataset.dtype.kind not in "biufcSO" or (
        dataset.dtype.kind == "O" and not h5py.check_string_dtype(dataset.dtype)
    ):
        raise _Refused(f"{name} holds neither numbers nor text")
    packed = {plan.get_filter(k)[0] for k in range(plan.get_nfilters())}
    if not packed <= set(_FILTERS):
        raise _Refused(f"{name} is packed otherwise than by deflate")
    if h5py.h5ds.is_scale(dataset.id) and bytes(dataset.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):
        return 0  # a dimension: of its numbers there are none
    declared = math.prod(dataset.shape) * each
    held = dataset.id.get_storage_size() * (_DEFLATE if packed else 1)
    if declared > held:
        raise _Refused(f"{name} declares {declared:,} bytes, and there are {held:,} in the file at most")
    chunk = math.prod(plan.get_chunk()) * each if plan.get_layout() == h5py.h5d.CHUNKED else 0
    if declared and chunk > max(declared, _SMALLEST_CHUNK):
        raise _Refused(f"{name} declares {declared:,} bytes in pieces of {chunk:,}")
    return declared


def _bytes_of_text(name: str, dataset: h5py.Dataset, size: int, before: int) -> int:
    """Of pieces of text of any length. They may all be the same bytes of the file, so few are read at a time."""
    if dataset.dtype.kind != "O":
        return 0
    if math.prod(dataset.shape[1:]) > _PIECES:
        raise _Refused(f"{name} is a table of text of shape {dataset.shape}")
    total, step = 0, max(1, min(_PIECES, _TEXT // size))
    for start in range(0, dataset.shape[0] if dataset.shape else 1, step):
        total += _length(dataset[start : start + step] if dataset.shape else dataset[()])
        _require_little_text(before + total)
    return total


def _bytes_of_attributes(name: str, attributes: h5py.AttributeManager, size: int, before: int) -> int:
    """The same for attributes, of which a list of text is read at once."""
    total = 0
    for key in attributes:
        found = attributes.get_id(key)
        total += found.get_storage_size()
        if found.dtype.kind == "O":
            pieces = math.prod(found.shape)
            if pieces > _PIECES or (pieces > 1 and key != "DIMENSION_LIST" and pieces * size > _LISTED):
                raise _Refused(f"the attribute {shown(key)} of {name} is a list of {pieces:,} pieces of text")
            total += _length(attributes[key])
        _require_little_text(before + total)
    return total


def _length(text: Any) -> int:
    return sum(len(piece) for piece in np.atleast_1d(np.asarray(text, object)).ravel())


def _require_little_text(total: int) -> None:
    if total > _TEXT:
        raise _Refused(f"its text and attributes take more than {_TEXT:,} bytes")
