"""Cells, grids and sweeps: what is accepted, what is refused, and in which order cells are computed."""

import json

import jax
import numpy as np
import pytest

from sdesgd import InputError, sweep
from sdesgd.sweep.columns import CorruptCell, checked_columns, packed, unpacked
from tests.sweep import small_cells

ENDS = "tests.sweep.small_cells:ends"


def test_grid_is_the_product_in_order():
    cells = sweep.grid({"eta": np.array([0.1, 0.2]), "batch": [4, 8], "kind": "relu"}, seeds=5, block=2)
    expected = [
        ({"eta": eta, "batch": batch, "kind": "relu"}, seeds)
        for eta in (0.1, 0.2)
        for batch in (4, 8)
        for seeds in ((0, 1), (2, 3), (4,))
    ]
    assert [(cell.config, cell.seeds) for cell in cells] == expected
    assert all(type(value) in (float, int, str) for cell in cells for value in cell.config.values())


def test_identities_tell_values_apart():
    values = [1, 1.0, True, "1", None, 0, 0.0, False, "", -1]
    identities = {sweep.Cell({"x": value}, (0,)).identity() for value in values}
    assert len(identities) == len(values)
    assert sweep.Cell({"a": 1, "b": 2}, (0,)).identity() == sweep.Cell({"b": np.int64(2), "a": 1}, (0,)).identity()
    assert sweep.Cell({"a": 1}, (0, 1)).identity() != sweep.Cell({"a": 1}, (1, 0)).identity()


def test_equal_shapes_run_one_after_another():
    cells = sweep.grid({"eta": [1, 2, 3], "batch": [8, 4]}, seeds=1)
    plan = sweep.Sweep(ENDS, cells, shape_key=lambda config: config["batch"])
    batches = [plan.cells[index].config["batch"] for index in plan.order()]
    assert batches == [8, 8, 8, 4, 4, 4]
    assert [plan.cells[index].config["eta"] for index in plan.order()] == [1, 2, 3, 1, 2, 3]
    assert sweep.Sweep(ENDS, cells).order() == list(range(6))


def test_the_code_that_matters():
    cells = sweep.grid({"scale": [1.0]}, seeds=1)
    assert sweep.Sweep(ENDS, cells).code == ("sdesgd", "tests")
    assert sweep.Sweep(ENDS, cells, code=["json"]).code == ("json", "tests.sweep.small_cells")


GRID = sweep.grid({"a": [1, 2]}, seeds=2)
REFUSED = {
    "no seeds": (lambda: sweep.Cell({"a": 1}, ()), "at least one"),
    "a seed twice": (lambda: sweep.Cell({"a": 1}, (1, 1)), "none twice"),
    "a negative seed": (lambda: sweep.Cell({"a": 1}, (-1,)), "seed -1"),
    "a seed beyond fold_in": (lambda: sweep.Cell({"a": 1}, (2**32,)), "4294967295"),
    "a float seed": (lambda: sweep.Cell({"a": 1}, (1.5,)), "seed 1.5"),
    "one number for seeds": (lambda: sweep.Cell({"a": 1}, 3), "list of whole numbers"),
    "nan": (lambda: sweep.Cell({"a": float("nan")}, (0,)), "'a' in a config is nan"),
    "infinity": (lambda: sweep.Cell({"a": np.inf}, (0,)), "finite"),
    "an array": (lambda: sweep.Cell({"a": np.ones(2)}, (0,)), "ndarray"),
    "a nested dict": (lambda: sweep.Cell({"a": {"b": 1}}, (0,)), "dict"),
    "a huge int": (lambda: sweep.Cell({"a": 2**63}, (0,)), "64 bits"),
    "a number as a name": (lambda: sweep.Cell({1: 1}, (0,)), "non-empty text"),
    "a name of the table": (lambda: sweep.Cell({"seed": 1}, (0,)), "'seed'"),
    "a list as a config": (lambda: sweep.Cell([1], (0,)), "a list"),
    "an empty axis": (lambda: sweep.grid({"a": []}, seeds=1), "axis 'a' is empty"),
    "a block of none": (lambda: sweep.grid({"a": [1]}, seeds=2, block=0), "block is 0"),
    "no seeds in a grid": (lambda: sweep.grid({"a": [1]}, seeds=0), "at least one"),
    "no cells": (lambda: sweep.Sweep(ENDS, ()), "no cells"),
    "a dict for a cell": (lambda: sweep.Sweep(ENDS, ({"a": 1},)), "is a dict"),
    "equal cells": (lambda: sweep.Sweep(ENDS, (*GRID, GRID[0])), "cells 0 and 2 hold the same config and seed 0"),
    "other names": (lambda: sweep.Sweep(ENDS, (*GRID, sweep.Cell({"b": 1}, (0,)))), "differ in the names a, b"),
    "the function itself": (lambda: sweep.Sweep(small_cells.ends, GRID), "name it so, as text"),
    "no such module": (lambda: sweep.Sweep("nowhere_at_all:f", GRID), "'nowhere_at_all' has no source file"),
    "no such function": (lambda: sweep.Sweep("tests.sweep.small_cells:fends", GRID), "can't be imported"),
    "no function": (lambda: sweep.Sweep("tests.sweep.small_cells:__doc__", GRID), "is a str"),
    "no colon": (lambda: sweep.Sweep("tests.sweep.small_cells", GRID), "package.module:function"),
    "an array as input": (lambda: sweep.Sweep(ENDS, GRID, inputs={"data": 3}), "digests"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_cells_are_refused(case):
    build, expected = REFUSED[case]
    with pytest.raises(InputError) as caught:
        build()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_are_sorted_by_seed_and_keep_their_types():
    result = {"x": np.float32([1, 2, 3]), "seed": [5, 2, 5], "text": ["a", "b", "c"], "ok": jax.numpy.array([True] * 3)}
    columns = checked_columns(result, {}, (5, 2))
    assert columns["seed"].tolist() == [2, 5, 5]
    assert columns["x"].tolist() == [2, 1, 3]
    assert columns["x"].dtype == np.float32
    assert columns["text"].tolist() == ["b", "a", "c"]
    assert columns["ok"].dtype == bool
    assert checked_columns({"x": np.array([7, 8])}, {}, (5, 2))["x"].tolist() == [8, 7]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, "NoneType"),
        ({}, "lengths"),
        ({"x": np.zeros(0)}, "at least one row"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, "'y': 3"),
        ({"x": np.zeros(3)}, "3 rows for 2 seeds"),
        ({"x": np.zeros((2, 2))}, "(2, 2)"),
        ({"x": 1.0}, "shape ()"),
        ({"x": np.array([None, None])}, "object"),
        ({"x": np.zeros(2), "seed": [0, 2]}, "all seeds of the cell"),
        ({"x": np.zeros(1), "seed": [0]}, "all seeds of the cell"),
        ({"x": np.zeros(2), "seed": [0.0, 1.0]}, "'seed'"),
        ({"eta": np.zeros(2)}, "'eta_found'"),
        ({"cell": np.zeros(2)}, "'cell'"),
        ({"a/b": np.zeros(2)}, "slash"),
    ],
)
def test_bad_columns_are_refused(result, expected):
    with pytest.raises(InputError) as caught:
        checked_columns(result, {"eta": 0.1}, (0, 1))
    assert expected in str(caught.value)


def test_any_changed_byte_or_length_is_noticed(tmp_path):
    """Every byte flipped in one of its bits, every shorter length, some longer ones."""
    columns = {"seed": np.array([1, 2]), "x": np.array([0.1, np.nan]), "file": np.array(["a", "bc"])}
    content = packed(columns, {"key": "k", "seconds": 0.5})
    found, about = unpacked(content)
    assert about == {"key": "k", "seconds": 0.5}
    assert all(found[name].tobytes() == columns[name].tobytes() for name in columns)
    rng = np.random.default_rng(1)
    changed = [
        content[:k] + bytes([content[k] ^ (1 << rng.integers(8))]) + content[k + 1 :] for k in range(len(content))
    ]
    changed += [content[:k] for k in range(len(content))] + [content + b"\0", content + content, b"\0" * len(content)]
    for bad in changed:
        with pytest.raises(CorruptCell):
            unpacked(bad)
    (tmp_path / "cell.npz").write_bytes(content)
    with np.load(tmp_path / "cell.npz", allow_pickle=False) as file:  # it is a plain .npz all the same
        assert file["file"].tolist() == ["a", "bc"]
        assert json.loads(file["about_this_cell"].tobytes())["key"] == "k"


def test_digest_tells_arrays_apart():
    arrays = [np.zeros(4), np.zeros(4, np.float32), np.zeros((2, 2)), np.array([0, 0, 0, 1.0]), np.zeros(8, np.float32)]
    assert len({sweep.digest(array) for array in arrays}) == len(arrays)
    assert sweep.digest(np.zeros(2), np.zeros(2)) != sweep.digest(np.zeros(4))
    assert sweep.digest([1.0, 2.0]) == sweep.digest(np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="objects"):
        sweep.digest(np.array([None]))
