"""Any result as one NetCDF dataset and back: its arrays as variables, and what they belong to as JSON.

A node of the JSON has one key: ``value`` (text, a whole number, a bool, None), ``float`` (in hexadecimal), ``array``
(the name of a variable), ``tuple``, ``list``, ``dict``, ``dataset`` (an xarray dataset), ``object`` (a class of
``Result.parts`` by its name), or ``tree`` (a pytree of another kind, whose leaves come back by path).
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
import xarray as xr

from sdesgd.errors import InputError, one_line, shown
from sdesgd.results.result import NotEstablished, Result, fields_of
from sdesgd.trajectories.file import FORGED, INDEX, Writing, escaped, restored
from sdesgd.trajectories.params import as_dict, as_stored
from sdesgd.types import PathLike

_FORMAT = 1
_Result = TypeVar("_Result", bound=Result)


def packed(result: Result) -> xr.Dataset:
    """The dataset that is written.

    Args:
        result: a dataclass.

    Raises:
        InputError: an array that no file can hold.
    """
    writing = Writing({})
    made = {part.__name__: part for part in _parts(type(result))}
    node = _node(result, type(result).__name__, writing, made)
    index = {"result": type(result).__name__, "format": _FORMAT, "dtypes": writing.index["dtypes"], "node": node}
    text = np.frombuffer(json.dumps(index).encode(), np.uint8)
    return xr.Dataset(writing.variables | {INDEX: ((f"{INDEX}_0",), text)})


def _parts(kind: type[Result]) -> tuple[type, ...]:
    return (kind, NotEstablished, *kind.parts)


def _node(value: Any, where: str, writing: Writing, made: Mapping[str, type]) -> dict[str, Any]:
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return {"value": value}
    if isinstance(value, float) and not isinstance(value, np.generic):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        name = writing.free(escaped(where))
        array = np.asarray(value)
        writing.add(name, array, [writing.free(f"{name}_{k}") for k in range(array.ndim)], where)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if type(value) in (tuple, list):
        nodes = [_node(entry, f"{where}[{k}]", writing, made) for k, entry in enumerate(value)]
        return {type(value).__name__: nodes}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": [[key, _node(entry, f"{where}.{key}", writing, made)] for key, entry in value.items()]}
    if isinstance(value, xr.Dataset):
        told = [
            {
                "name": str(name),
                "dims": [str(dim) for dim in variable.dims],
                "coordinate": name in value.coords,
                "values": _node(np.asarray(variable.values), f"{where}.{name}", writing, made),
                "attrs": _node(dict(variable.attrs), f"{where}.{name}.attrs", writing, made),
            }
            for name, variable in value.variables.items()
        ]
        return {"dataset": told, "attrs": _node(dict(value.attrs), f"{where}.attrs", writing, made)}
    kind = type(value)
    if made.get(kind.__name__) is kind:
        fields = fields_of(value).items()
        return {"object": kind.__name__, "fields": {k: _node(v, f"{where}.{k}", writing, made) for k, v in fields}}
    if dataclasses.is_dataclass(value) and isinstance(value, Result):
        raise TypeError(f"{kind.__name__} is not among the parts of its result")
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(value):
        stored = as_stored(leaf, f"{where}{jax.tree_util.keystr(path)}")
        if stored is not None:
            told, array = stored
            if array is not None:
                told["variable"] = name = writing.free(escaped(f"{where}{jax.tree_util.keystr(path)}"))
                writing.add(name, array, [writing.free(f"{name}_{k}") for k in range(array.ndim)], where)
            leaves.append({"path": jax.tree_util.keystr(path), **told})
    return {"tree": leaves}


def unpacked(dataset: xr.Dataset, kind: type[_Result], path: PathLike) -> _Result:
    """The result that was ``packed``.

    Args:
        dataset: as in the file, not decoded.
        kind: of result that is expected.
        path: for messages.

    Raises:
        InputError: another dataset, another kind of result, or one that is damaged.
    """
    try:
        index = json.loads(dataset[INDEX].values.tobytes())
        made = {part.__name__: part for part in _parts(kind)}
        if index["result"] not in {name for name, part in made.items() if issubclass(part, kind)}:
            raise InputError(
                f"{path} holds a {shown(index['result'])}, and a {kind.__name__} is read: use {index['result']}.load"
            )
        if index["format"] != _FORMAT:
            raise InputError(f"{path} has format {index['format']}: read it with the version of sdesgd that wrote it")
        found = _value(index["node"], dataset, index["dtypes"], made)
        if not isinstance(found, kind):
            raise TypeError(f"a {type(found).__name__}")
        return found
    except FORGED as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} holds no {kind.__name__} ({type(error).__name__}: {one_line(str(error), 80)}): pass a file that "
            "save wrote"
        ) from None


def _is_name(dimension: Any) -> bool:
    """Whether it can be one: tables are written under the names of their dimensions."""
    return isinstance(dimension, str) and dimension != "" and not set(dimension) & set("/\\\0")


def _value(node: dict[str, Any], dataset: xr.Dataset, dtypes: dict[str, Any], made: Mapping[str, type]) -> Any:
    def array(name: str) -> np.ndarray:
        return restored(dataset[name].values, dtypes.get(name))

    if "value" in node:
        value = node["value"]
        if not (value is None or isinstance(value, bool | str | int)):
            raise TypeError(f"value {shown(value)}")
        return value
    if "float" in node:
        return float.fromhex(node["float"])
    if "array" in node:
        found = array(node["array"])
        return found[()] if node["scalar"] else found
    for name, container in (("tuple", tuple), ("list", list)):
        if name in node:
            return container(_value(entry, dataset, dtypes, made) for entry in node[name])
    if "dict" in node:
        return {str(key): _value(entry, dataset, dtypes, made) for key, entry in node["dict"]}
    if "dataset" in node:
        entry = lambda told: _value(told, dataset, dtypes, made)  # noqa: E731
        variables: tuple[dict, dict] = ({}, {})
        for told in node["dataset"]:
            if len(set(told["dims"])) < len(told["dims"]) or not all(map(_is_name, told["dims"])):
                raise ValueError(f"dimensions {shown(told['dims'])}")
            found = xr.Variable(told["dims"], entry(told["values"]), entry(told["attrs"]))
            variables[bool(told["coordinate"])][str(told["name"])] = found
        return xr.Dataset(*variables, attrs=entry(node["attrs"]))
    if "object" in node:
        return made[node["object"]](**{k: _value(v, dataset, dtypes, made) for k, v in node["fields"].items()})
    return as_dict([(entry, array(entry["variable"]) if "variable" in entry else None) for entry in node["tree"]])
