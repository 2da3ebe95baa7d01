"""Trajectories as one NetCDF dataset and back, bit for bit: any names, any dtypes, any pytree of params.

Names are escaped where HDF5 can't have them, what NetCDF has no type for is stored as its bytes, and the variable
``%index``, JSON, says what every variable was.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import ml_dtypes
import numpy as np
import xarray as xr
from jaxtyping import PyTree

from sdesgd.errors import InputError, one_line, shown
from sdesgd.trajectories.params import as_dict, as_pytree, as_stored
from sdesgd.types import PathLike

if TYPE_CHECKING:
    from sdesgd.trajectories.result import Trajectories

INDEX, _FORMAT = "%index", 1
_PARAMS = "final_params"
FORGED = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError, MemoryError)
RESERVED = (
    "time",
    "step",
    "replica",
    "diverged",
    "stopped",
)  # names of our own in the table, which no observable may bear
_LONGEST = 200  # bytes of a name; NetCDF's limit is 256
_ESCAPED = re.compile(r"[%/\x00-\x1f\x7f-\x9f\ud800-\udfff]|^[\s._]|\s$")
_DTYPE = re.compile(r"[<>|=]?[?biufcSUVmM][0-9]*(\[[0-9]*[a-zA-Z]+\])?")
_Entry = dict[str, Any]


# -- writing -----------------------------------------------------------------------------------------------


def packed(trajectories: "Trajectories") -> xr.Dataset:
    """The dataset that is written.

    Args:
        trajectories: what to keep.

    Raises:
        InputError: a name of an observable or a leaf of params that can't be kept.
    """
    table = trajectories.to_xarray()
    writing = Writing(table.sizes)
    for name, variable in table.variables.items():
        file_name = str(name) if name in RESERVED else writing.free(escaped(str(name)))
        dims = [writing.dims.get(dim) or writing.dimension(str(dim)) for dim in map(str, variable.dims)]
        writing.add(file_name, variable.values, dims, shown(name), variable.attrs)
        if name in trajectories.values:
            writing.index["values"].append([file_name, name])
    writing.add_tree("leaves", _PARAMS, trajectories.final_params, len(trajectories.diverged))
    if trajectories.accumulated is not None:
        writing.index["accumulated"] = []
        writing.add_tree("accumulated", "accumulated", trajectories.accumulated, len(trajectories.diverged))
    writing.index["identity"] = trajectories.identity
    text = np.frombuffer(json.dumps(writing.index).encode(), np.uint8)
    return xr.Dataset(writing.variables | {INDEX: ((f"{INDEX}_0",), text)}, attrs=table.attrs)


class Writing:
    """The variables of a file and what is said of them."""

    def __init__(self, sizes: Mapping[Any, int]):
        self.variables: dict[str, Any] = {}
        self.index: _Entry = {"format": _FORMAT, "dtypes": {}, "values": [], "leaves": []}
        self.dims = {"replica": "replica", "time": "time"}
        self._taken = {*RESERVED, INDEX, f"{INDEX}_0"}

    def free(self, name: str) -> str:
        """The name, or one like it that no variable or dimension has."""
        return free_name(name, self._taken)

    def dimension(self, name: str) -> str:
        self.dims[name] = self.free(escaped(name))
        return self.dims[name]

    def add(
        self, name: str, array: Any, dims: list[str], told: str, attributes: Mapping[Any, Any] | None = None
    ) -> None:
        """A variable in a dtype that NetCDF has."""
        array = np.asarray(array)
        kept, how = _kept(array, told)
        attributes = dict(attributes or {})
        if how:
            self.index["dtypes"][name] = how
        if kept.ndim > array.ndim:
            dims = [*dims, self.free(f"{name}_bytes")]
            attributes["bytes_of"] = how["dtype"]
        self.variables[name] = dims, kept, attributes

    def add_tree(self, entry: str, prefix: str, tree: PyTree, replicas: int) -> None:
        """Adds the leaves of a pytree; an array with as many rows as there are replicas has their dimension."""
        for number, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
            where = jax.tree_util.keystr(path)
            stored = as_stored(leaf, where)
            if stored is None:
                continue
            told, array = stored
            if array is not None:
                told["variable"] = name = self.free(escaped(prefix + where))
                replicated = array.shape[:1] == (replicas,)
                dims = [self.free(f"{name}_{k}") for k in range(replicated, array.ndim)]
                self.add(name, array, ["replica"] * replicated + dims, f"params{where}")
            self.index[entry].append({"number": number, "path": where, **told})


def escaped(name: str) -> str:
    """A name that HDF5 can have: odd characters as %XX, the end of a very long one as its hash."""
    plain = _ESCAPED.sub(lambda c: "".join(f"%{b:02x}" for b in c.group().encode(errors="surrogatepass")), name)
    if len(plain.encode()) > _LONGEST:
        beginning = plain.encode()[: _LONGEST - 40].decode(errors="ignore")
        plain = f"{beginning}%{hashlib.sha256(plain.encode()).hexdigest()[:32]}"
    return plain


def free_name(name: str, taken: set[str]) -> str:
    """The name, with as many underscores as keep it apart from those taken, which it joins."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _kept(array: np.ndarray, told: str) -> tuple[np.ndarray, _Entry]:
    """An array as NetCDF can hold it, and how to undo that."""
    dtype = array.dtype
    if dtype.hasobject or dtype.fields or dtype.subdtype or not _known(_name(dtype)):
        raise InputError(f"{told} has dtype {one_line(str(dtype), 60)}, which a file can't hold: pass numbers or text")
    if dtype.kind == "b":
        return array, {"dtype": _name(dtype)}
    if dtype.isbuiltin == 1 and dtype.kind in "iufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        return array, {}
    native = dtype.newbyteorder("=")
    if native.isbuiltin == 1 and dtype.kind in "iufc" and native != dtype:
        kept, how = _kept(array.astype(native), told)
        if not how:
            return kept, {"dtype": _name(dtype)}
    if dtype.isbuiltin == 2:  # bfloat16 and the like, as readable numbers where these keep every bit
        wide = array.astype(np.float32)
        if wide.astype(dtype).tobytes() == array.tobytes():
            return wide, {"dtype": _name(dtype)}
    content = np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, dtype.itemsize)
    return content, {"dtype": _name(dtype), "bytes": True}


def _name(dtype: np.dtype) -> str:
    return dtype.name if dtype.isbuiltin == 2 else dtype.str


def _known(name: str) -> bool:
    kind = getattr(ml_dtypes, name, None)
    return _DTYPE.fullmatch(name) is not None or (isinstance(kind, type) and issubclass(kind, np.generic))


# -- reading -----------------------------------------------------------------------------------------------


def unpacked(dataset: xr.Dataset, path: PathLike, template: PyTree = None, carried: PyTree = None) -> _Entry:
    """The fields of the trajectories that were ``packed``.

    Args:
        dataset: as in the file, not decoded.
        path: for messages.
        template: see ``Trajectories.load``.
        carried: the same, of what was accumulated.

    Raises:
        InputError: another dataset; a template that doesn't fit.
    """
    try:
        index = json.loads(dataset[INDEX].values.tobytes()) if INDEX in dataset else _old_index(dataset)
        if index["format"] != _FORMAT:
            raise InputError(f"{path} has format {index['format']}: read it with the version of sdesgd that wrote it")

        def array(name: str) -> np.ndarray:
            return restored(dataset[name].values, index["dtypes"].get(name))

        fields: _Entry = {
            "time": array("time"),
            "step": array("step"),
            "values": {name: array(variable) for variable, name in index["values"]},
            "diverged": array("diverged").astype(bool),
            "interrupted": bool(dataset.attrs["interrupted"]),
            "blocks": (int(dataset.attrs["blocks"][0]), int(dataset.attrs["blocks"][1])),
        }
        if "stopped" in dataset and dataset["stopped"].dims == ("replica",):
            fields["stopped"] = array("stopped")

        fields["identity"] = index.get("identity")
        if not isinstance(fields["identity"], dict | None):
            raise ValueError(f"identity {shown(fields['identity'])}")

        def tree(entries: Any, template: PyTree) -> PyTree:
            leaves = [(e, array(e["variable"]) if "variable" in e else None) for e in entries]
            return as_dict(leaves) if template is None else as_pytree(leaves, template, len(fields["diverged"]), path)

        fields["final_params"] = tree(index["leaves"], template)
        if "accumulated" in index:
            fields["accumulated"] = tree(index["accumulated"], carried)
    except FORGED as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} holds no trajectories ({type(error).__name__}: {one_line(str(error), 80)}): pass a file that save "
            "wrote"
        ) from None
    return fields


def restored(array: np.ndarray, how: Mapping[str, Any] | None) -> np.ndarray:
    """An array in the dtype in which it was given to ``Writing.add``."""
    if how is None:
        return array
    name = how["dtype"]
    if not _known(name):
        raise ValueError(f"dtype {shown(name)}")
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    if not how.get("bytes"):
        if dtype.itemsize > 16 or dtype.kind not in "biufcV" or (dtype.kind == "V" and not hasattr(ml_dtypes, name)):
            raise ValueError(f"dtype {shown(name)} without bytes")  # of any size, text would take any memory
        return array.astype(dtype)
    shape = array.shape[:-1]
    if not dtype.itemsize:
        return np.zeros(shape, dtype)
    return np.frombuffer(np.ascontiguousarray(array, np.uint8).tobytes(), dtype).reshape(shape).copy()


def _old_index(dataset: xr.Dataset) -> _Entry:
    """Of a file without an index, as earlier versions wrote them."""
    names = [str(name) for name in dataset.data_vars if name not in RESERVED]
    params = [name for name in names if name.startswith(_PARAMS)]
    leaves = [
        {"number": k, "path": name.removeprefix(_PARAMS), "kind": "jax", "variable": name}
        for k, name in enumerate(params)
    ]
    bools = {str(name): {"dtype": "|b1"} for name in dataset.variables if dataset[name].attrs.get("dtype") == "bool"}
    return {"format": _FORMAT, "dtypes": bools, "values": [[n, n] for n in names if n not in params], "leaves": leaves}
