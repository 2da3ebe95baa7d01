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
from sdesgd.trajectories.file import RESERVED
from sdesgd.trajectories.result import check_names

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
        stopped=draw(arrays((replicas,), [np.dtype("i4")], most=0)),
        accumulated=draw(st.one_of(st.none(), pytrees(replicas))),
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


@pytest.mark.slow
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
        templates = (template_of(tree, len(run.diverged)) for tree in (run.final_params, run.accumulated))
        again = sg.Trajectories.load(path, *templates)
        with xr.open_dataset(path, engine="h5netcdf"):
            pass  # any other program can read it too
    for found in (back, again):
        assert list(found.values) == list(run.values)
        for name in ("time", "step", "diverged", "stopped"):
            assert same(getattr(found, name), getattr(run, name)), name
        for name, array in run.values.items():
            assert same(found.values[name], array), name
        assert (found.interrupted, found.blocks) == (run.interrupted, run.blocks)
    for name in ("final_params", "accumulated"):
        tree = getattr(run, name)
        if tree is None:  # no template either
            continue
        assert jax.tree.structure(getattr(again, name)) == jax.tree.structure(tree)
        for one, other in zip(jax.tree.leaves(tree), jax.tree.leaves(getattr(again, name)), strict=True):
            assert same(one, other)
        kept = [leaf for leaf in jax.tree.leaves(tree) if not callable(leaf)]
        for one, other in zip(kept, getattr(back, name).values(), strict=True):
            assert same(np.asarray(one) if isinstance(one, jax.Array) and not is_key(one) else one, other)


# -- names -------------------------------------------------------------------------------------------------


def regression(observables, params=None, **options):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 3))
    params = np.zeros(3) if params is None else params

    def loss(params, example):
        return (example[0] @ jax.tree.leaves(eqx.filter(params, eqx.is_array))[0] - example[1]) ** 2

    problem = sg.Problem(loss, params, (inputs, inputs @ np.ones(3)))
    sizes = {"num_steps": 2, "replicas": 2, "key": jr.key(0), **options}
    return problem, sg.simulate(sg.SGD(0.05, 4), problem, observables=observables, **sizes)


def test_observables_named_like_dimensions_and_odd_ones_run_and_come_back():
    names = ("w", "w_0", "w_0_", "member", "é", "tr C", "%", "..", "final_params", "1")
    _, run = regression({name: (lambda w: w) if k % 2 == 0 else (lambda w: w[0]) for k, name in enumerate(names)})
    back = saved_and_loaded(run)
    assert list(back.values) == list(run.values) == list(names)
    for name in names:
        np.testing.assert_array_equal(back.values[name], run.values[name])
    table = run.to_xarray()
    assert table["w"].dims == ("replica", "time", "w_0__"), "w_0 and w_0_ are observables"
    assert table["w_0_"].dims == ("replica", "time", "w_0__0")
    assert set(names) <= set(table.data_vars)


def test_a_dimension_keeps_its_name_where_nothing_else_bears_it():
    _, run = regression({"w": lambda w: w, "loss": lambda w: w[0]})
    assert run.to_xarray()["w"].dims == ("replica", "time", "w_0")


def test_an_observable_called_member_beside_coupled_runs():
    values = {"member": np.zeros((2, 3, 2)), "x": np.ones((2, 3, 2))}
    run = sg.Trajectories(np.arange(3.0), np.arange(3), values, None, np.zeros((2, 2), bool))
    assert run.to_xarray()["diverged"].dims == ("replica", "member_")
    assert saved_and_loaded(run).diverged.shape == (2, 2)


@pytest.mark.parametrize("name", [None, 3, ("a",), b"loss", 1.5])
def test_names_that_are_no_text(name):
    with pytest.raises(sg.InputError, match="observable") as caught:
        check_names([name])
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("name", [*RESERVED, ""])
def test_names_that_are_refused(name, tmp_path):
    run = sg.Trajectories(np.arange(3.0), np.arange(3), {name: np.zeros((2, 3))}, None, np.zeros(2, bool))
    for attempt in (lambda: check_names([name]), run.to_xarray, lambda: run.save(tmp_path / "a.nc")):
        with pytest.raises(sg.InputError, match="observable") as caught:
            attempt()
        assert len(str(caught.value)) <= 300
    assert os.listdir(tmp_path) == []


def test_all_other_text_is_a_name():
    check_names([*HARD_NAMES, "x" * 100_000, "θ", "LOSS", "times", "steps"])


def test_a_name_of_a_hundred_thousand_characters_and_its_neighbour():
    names = ["x" * 100_000, "x" * 99_999 + "y"]
    values = {name: np.full((1, 1), float(k)) for k, name in enumerate(names)}
    run = sg.Trajectories(
        np.zeros(1), np.zeros(1, int), values, {name: np.ones(1) for name in names}, np.zeros(1, bool)
    )
    back = saved_and_loaded(run, {name: np.ones(()) for name in names})
    assert [float(back.values[name][0, 0]) for name in names] == [0.0, 1.0]
    assert list(back.final_params) == sorted(names)


# -- params ------------------------------------------------------------------------------------------------


def test_leaves_whose_paths_look_alike():
    params = {"a/b": np.ones((2, 3)), "a_b": np.zeros(2), "a": {"b": np.full(2, 3.0), "b_0": np.full((2, 1), 4.0)}}
    run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {}, params, np.zeros(2, bool))
    back = saved_and_loaded(run).final_params
    assert {path: array.shape for path, array in back.items()} == {
        "['a']['b']": (2,), "['a']['b_0']": (2, 1), "['a/b']": (2, 3), "['a_b']": (2,),
    }  # fmt: skip
    assert back["['a/b']"].sum() == 6


def test_keys_of_a_pytree_that_print_alike():
    @jax.tree_util.register_pytree_with_keys_class
    class Twins:
        def __init__(self, *both):
            self.both = both

        def tree_flatten_with_keys(self):
            return [(jax.tree_util.GetAttrKey("x"), leaf) for leaf in self.both], None

        @classmethod
        def tree_unflatten(cls, _, both):
            return cls(*both)

    params = Twins(np.zeros(2), np.ones(2))
    run = sg.Trajectories(np.zeros(1), np.zeros(1, int), {}, params, np.zeros(2, bool))
    assert [a.tolist() for a in saved_and_loaded(run).final_params.values()] == [[0, 0], [1, 1]]
    back = saved_and_loaded(run, Twins(np.zeros(()), np.ones(()))).final_params
    assert [a.tolist() for a in back.both] == [[0, 0], [1, 1]]


def test_a_saved_run_of_a_net_is_started_from_again(tmp_path):
    """The second half of a run from the loaded params, bit for bit as from those in memory."""
    net = eqx.nn.MLP(3, "scalar", 4, 1, key=jr.key(1))

    def loss(net, example):
        return (net(example[0]) - example[1]) ** 2

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 3)).astype(np.float32)
    problem = sg.Problem(loss, net, (inputs, inputs @ np.ones(3, np.float32)))

    def run(params, key):
        sizes = {"num_steps": 3, "replicas": 5, "observables": {"loss": problem.loss}}
        return sg.simulate(sg.SGD(0.05, 4), problem, key=jr.key(key), params=params, **sizes)

    def replica(r, params):
        return jax.tree.map(lambda x: x[r] if eqx.is_array(x) else x, params)

    first = run(None, 0)
    first.save(tmp_path / "run.nc")
    loaded = sg.Trajectories.load(tmp_path / "run.nc", template=net).final_params
    assert loaded.activation is net.activation
    expected = run(replica(3, first.final_params), 1)
    found = run(replica(3, loaded), 1)
    np.testing.assert_array_equal(found.values["loss"], expected.values["loss"])
    assert not np.array_equal(found.values["loss"], run(replica(2, loaded), 1).values["loss"])
