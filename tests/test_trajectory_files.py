"""Trajectories.save and load: what was saved comes back, bit for bit, for any names, dtypes and pytrees of params."""

import collections
import os
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import ml_dtypes
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import sdesgd as sg
from sdesgd.trajectories import RESERVED, check_names

DRAWS = int(os.environ.get("ROUND_TRIPS", "120"))
Pair = collections.namedtuple("Pair", "first second")


class Net(eqx.Module):
    """Arrays, a function and text that doesn't change, as nets have."""

    weight: object
    inner: object
    activation: object = jax.nn.relu
    name: str = eqx.field(static=True, default="net")


# -- draws -------------------------------------------------------------------------------------------------

HARD_NAMES = (
    *("w", "w_0", "w_0_", "w_0_0", "w_1", "member", "final_params", "final_params['w']", "%index", "%index_0"),
    *("a/b", "a_b", "a%2fb", "%2f", "/", ".", "..", " ", " w", "w ", "%", "w\0", "\0", "\ud800", "é", "e\u0301", "\n"),
    *(
        "w_bytes",
        "time_value",
        "_nc4_non_coord_w",
        "_NCProperties",
        "phony_dim_0",
        "x" * 300,
        "x" * 299 + "y",
        "𝜃" * 90,
    ),
)
NAMES = st.one_of(
    st.sampled_from(HARD_NAMES), st.text(st.characters(exclude_categories=()), min_size=1, max_size=8)
).filter(lambda name: name not in RESERVED)
DTYPES = [
    np.dtype(kind)
    for kind in (
        *("?", "i1", "<i2", ">i2", "<i4", "<i8", ">i8", "u1", "<u2", "<u4", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8"),
        *(">f8", "<c8", ">c8", "<c16", "g", "<U3", ">U2", "S4", "<M8[ns]", "<m8[s]", "V3"),
        *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4),
    )
]
FOR_JAX = [d for d in DTYPES if d.byteorder != ">" and (d.isbuiltin == 2 or d.kind in "?biufc") and d.char != "g"]


@st.composite
def arrays(draw, first, dtypes=DTYPES, most=2):
    """Any bits of a dtype, NaNs of any payload among them; axes may have length 0."""
    dtype = draw(st.sampled_from(dtypes))
    shape = (*first, *draw(st.lists(st.integers(0, 3), max_size=most)))
    size = int(np.prod(shape)) * dtype.itemsize
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    if dtype.kind == "?" or dtype.kind == "b":
        bits = bits % 2
    if dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        return (bits.view(np.int8) % 7).astype(dtype).reshape(shape)
    if dtype.kind == "U":  # not all numbers are characters
        return np.array([f"{b:x}"[:2] for b in bits[: int(np.prod(shape))]], dtype).reshape(shape)
    return bits.view(dtype).reshape(shape) if size else np.zeros(shape, dtype)


def leaves(replicas):
    key = st.integers(0, 9).map(lambda seed: jr.split(jr.key(seed), replicas))
    return st.one_of(
        arrays((replicas,)),
        arrays((), most=0),
        arrays((replicas,), FOR_JAX).map(jnp.asarray),
        key,
        st.sampled_from([jr.split(jr.key(3, impl="rbg"), replicas), jr.key(5), jnp.tanh, np.float32(2.5), np.int64(7)]),
        st.one_of(
            st.integers(-(2**80), 2**80), st.floats(), st.booleans(), st.complex_numbers(), st.text(), st.binary()
        ),
        st.none(),
    )


def pytrees(replicas):
    def containers(inner):
        return st.one_of(
            st.dictionaries(st.sampled_from(["a/b", "a_b", "a", "b", "", "['a']", "\ud800", "0"]), inner, max_size=4),
            st.dictionaries(st.integers(-3, 3), inner, max_size=3),
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.builds(Pair, inner, inner),
            st.builds(Net, inner, inner),
        )

    return st.recursive(leaves(replicas), containers, max_leaves=6)


@st.composite
def runs(draw):
    replicas, times = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    members = draw(st.sampled_from([(), (2,)]))
    values = draw(st.dictionaries(NAMES, arrays((replicas, times)), max_size=4))
    return sg.Trajectories(
        time=draw(arrays((times,), [np.dtype("f8")], most=0)),
        step=draw(arrays((times,), [np.dtype("i8"), np.dtype("i4")], most=0)),
        values=values,
        final_params=draw(pytrees(replicas)),
        diverged=draw(arrays((replicas, *members), [np.dtype(bool)], most=0)),
        interrupted=draw(st.booleans()),
        blocks=draw(st.tuples(st.integers(1, 99), st.integers(1, 99))),
    )


# -- what equal means --------------------------------------------------------------------------------------


def is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def same(one, other):
    """Equal to the last bit, of one kind and dtype."""
    if is_key(one):
        return is_key(other) and jr.key_impl(one) == jr.key_impl(other) and same(jr.key_data(one), jr.key_data(other))
    if isinstance(one, jax.Array | np.ndarray | np.generic):
        kinds = [jax.Array if isinstance(x, jax.Array) else type(x) for x in (one, other)]
        a, b = np.asarray(one), np.asarray(other)
        return kinds[0] == kinds[1] and (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(one, float | complex):
        return type(one) is type(other) and repr(one) == repr(other)
    return type(one) is type(other) and one == other


def template_of(params, replicas):
    def one(leaf):
        array = isinstance(leaf, jax.Array | np.ndarray)
        return leaf[0] if array and leaf.shape[:1] == (replicas,) else leaf

    return jax.tree.map(one, params)


def saved_and_loaded(run, template=None):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nc"
        run.save(path)
        assert os.listdir(folder) == ["run.nc"]
        return sg.Trajectories.load(path, template)


@settings(
    max_examples=DRAWS,
    deadline=None,
    derandomize=DRAWS < 1000,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
    print_blob=False,
)
@given(runs())
def test_any_run_comes_back(run):
    check_names(run.values)
    flat = run.to_xarray()
    for name, array in run.values.items():
        assert same(flat[name].values, array)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nc"
        run.save(path)
        back = sg.Trajectories.load(path)
        again = sg.Trajectories.load(path, template_of(run.final_params, len(run.diverged)))
        with xr.open_dataset(path, engine="h5netcdf"):
            pass  # any other program can read it too
    for found in (back, again):
        assert list(found.values) == list(run.values)
        for name in ("time", "step", "diverged"):
            assert same(getattr(found, name), getattr(run, name)), name
        for name, array in run.values.items():
            assert same(found.values[name], array), name
        assert (found.interrupted, found.blocks) == (run.interrupted, run.blocks)
    if run.final_params is None:  # no template either
        return
    assert jax.tree.structure(again.final_params) == jax.tree.structure(run.final_params)
    for one, other in zip(jax.tree.leaves(run.final_params), jax.tree.leaves(again.final_params), strict=True):
        assert same(one, other)
    kept = [leaf for leaf in jax.tree.leaves(run.final_params) if not callable(leaf)]
    for one, other in zip(kept, back.final_params.values(), strict=True):
        assert same(np.asarray(one) if isinstance(one, jax.Array) and not is_key(one) else one, other)
