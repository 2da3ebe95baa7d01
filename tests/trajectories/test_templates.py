"""Templates that give a saved run's params their pytree back, and files that are none, or not ours."""

import os

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray as xr

import sdesgd as sg
from tests.refusals import refused

TREE = {"a": jnp.zeros((2, 3)), "b": [jnp.ones(2, jnp.float32), jr.split(jr.key(0), 2)], "c": 0.5, "d": None}
GOOD = {"a": np.zeros(3), "b": [np.float32(0), jr.key(0)], "c": 0.25, "d": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t["b"], ["params['a']", "params[0]"]),
        (lambda t: {**t, "a": np.zeros(4)}, ["params['a']", "(2, 3)", "(4,)"]),
        (lambda t: {**t, "a": np.zeros((2, 3))}, ["params['a']", "2 replicas"]),
        (lambda t: {**t, "a": jnp.zeros(3, jnp.float32)}, ["params['a']", "float64", "float32"]),
        (lambda t: {**t, "a": jnp.tanh}, ["params['a']"]),
        (lambda t: {**t, "a": "text"}, ["params['a']", "'text'"]),
        (lambda t: {**t, "b": [np.float32(0), np.zeros(2, np.uint32)]}, ["params['b'][1]", "key"]),
        (lambda t: {**t, "b": [np.float32(0), jr.key(0, impl="rbg")]}, ["params['b'][1]"]),
        (lambda t: {**t, "b": [jr.key(0), jr.key(0)]}, ["params['b'][0]"]),
        (lambda t: {**t, "b": [np.float32(0)]}, ["params['b'][1]", "params['c']"]),
        (lambda t: {**t, "c": "text"}, ["params['c']", "0.5"]),
        (lambda t: {k: t[k] for k in "abd"}, ["params['c']", "no such leaf"]),
        (lambda t: {**t, "e": np.zeros(3)}, ["no params['e']"]),
        (lambda t: {**t, "d": 1.0}, ["no params['d']"]),
        (lambda t: {}, ["params['a']", "no such leaf"]),
    ],
)
def test_a_template_that_does_not_fit_names_the_first_leaf(change, told, tmp_path):
    run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {}, TREE, np.zeros(2, bool))
    run.save(tmp_path / "a.nc")
    assert sg.Trajectories.load(tmp_path / "a.nc", GOOD).final_params["c"] == 0.5
    with pytest.raises(sg.InputError) as caught:
        sg.Trajectories.load(tmp_path / "a.nc", change(GOOD))
    message = str(caught.value)
    assert all(word in message for word in [*told, "a.nc"]), message
    assert "\n" not in message
    assert len(message) <= 300


def test_leaves_that_a_file_cannot_hold(tmp_path):
    for leaf in (np.array([None, 1]), np.zeros(2, [("x", "f4")]), np.ma.array([1.0, 2.0], mask=[0, 1])):
        run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {}, {"a": leaf}, np.zeros(2, bool))
        with pytest.raises(sg.InputError, match=r"params\['a'\]"):
            run.save(tmp_path / "a.nc")
    assert os.listdir(tmp_path) == []


# -- files that are none, or not ours ------------------------------------------------------------------------


def test_a_file_of_an_earlier_version(tmp_path):
    """Without an index: variables by name, params by path."""
    table = xr.Dataset(
        {
            "diverged": ("replica", [True, False]),
            "loss": (("replica", "time"), np.ones((2, 3))),
            "final_params['w']": (("replica", "w_0"), np.zeros((2, 3))),
        },
        {"time": np.arange(3.0), "step": ("time", np.arange(3))},
        {"interrupted": 0, "blocks": [1, 2]},
    )
    table.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    back = sg.Trajectories.load(tmp_path / "a.nc")
    assert list(back.values) == ["loss"]
    assert list(back.final_params) == ["['w']"]
    assert back.diverged.tolist() == [True, False]
    assert back.blocks == (1, 2)
    assert sg.Trajectories.load(tmp_path / "a.nc", {"w": np.zeros(3)}).final_params["w"].shape == (2, 3)


def forged(tmp_path, index):
    run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {"x": np.ones((1, 1))}, {}, np.zeros(1, bool))
    run.save(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as dataset:
        table = dataset.load().drop_vars("%index")
    table["%index"] = "index_0", np.frombuffer(index, np.uint8)
    table.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    return tmp_path / "b.nc"


@pytest.mark.parametrize(
    "index",
    [
        b"[", b"[]", b"3", b'{"format": 2}', b'{"format": 1}', b"[" * 100_000, b"\xff",
        b'{"format": 1, "values": [["gone", "x"]], "dtypes": {}, "leaves": []}',
        b'{"format": 1, "values": [["x", "x"]], "dtypes": {"x": {"dtype": "O", "bytes": true}}, "leaves": []}',
        b'{"format": 1, "values": [["x", "x"]], "dtypes": {"x": {"dtype": "i4,O"}}, "leaves": []}',
        b'{"format": 1, "values": [["x", "x"]], "dtypes": {"x": {"dtype": "U999999999", "bytes": true}}, "leaves": []}',
        b'{"format": 1, "values": [["x", "x"]], "dtypes": {"x": {"dtype": "finfo"}}, "leaves": []}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": 0, "path": "", "kind": "eval", "value": "1"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": 0, "path": "", "kind": "int", "value": "x"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": 1e9, "path": 1, "kind": "int", "value": "1"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": 0, "path": "", "kind": "key", "variable": "x",'
        b' "algorithm": "os.system"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": 1000000000000, "path": "1e9", "kind": "int",'
        b' "value": "1"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": Infinity, "path": "1e9", "kind": "int",'
        b' "value": "1"}]}',
        b'{"format": 1, "values": [], "dtypes":{}, "leaves":[{"number": -1, "path": "1e9", "kind": "int",'
        b' "value": "1"}]}',
    ],
)  # fmt: skip
def test_a_forged_index_is_refused_in_one_line(tmp_path, index):
    path = forged(tmp_path, index)
    with pytest.raises(sg.InputError, match=r"b\.nc") as caught:
        sg.Trajectories.load(path, None if b"1e9" not in index else {"a": np.zeros(())})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_a_forged_dtype_of_text_takes_no_memory(tmp_path):
    """It is refused for what it is, before 400 MB are made of one byte."""
    path = forged(
        tmp_path, b'{"format": 1, "values": [], "dtypes": {"diverged": {"dtype": "U100000000"}}, "leaves": []}'
    )
    refused(lambda: sg.Trajectories.load(path), "'U100000000' without bytes")


def test_what_is_no_file_of_trajectories(tmp_path):
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    for name, word in (("a.nc", "holds no trajectories"), ("gone.nc", "does not exist"), (".", "folder")):
        with pytest.raises(sg.InputError, match=word):
            sg.Trajectories.load(tmp_path / name)


@pytest.mark.parametrize("path", [None, 3, b"run.nc", "", "run\0.nc", "\ud800", ["run.nc"], 1.5])
def test_what_is_no_path(path):
    run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {}, {}, np.zeros(1, bool))
    for call in (sg.Trajectories.load, run.save):
        refused(lambda call=call: call(path), "is no path")
