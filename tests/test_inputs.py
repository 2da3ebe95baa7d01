"""The guarded entrance: whatever comes in gives the numbers of a float64 reference, or one short line."""

import collections
import math
import os
import warnings

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import sdesgd as sg
from sdesgd import inputs, sizes
from tests.refusals import refused
from tests.users import as_a_user

DRAWS = int(os.environ.get("SDESGD_DRAWS", "100"))
Pair = collections.namedtuple("Pair", ["a", "b"])


class Holder(eqx.Module):
    a: object
    b: object


# -- the property ----------------------------------------------------------------------------------------------

FLOATS = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "bfloat16"]
INTEGERS = ["i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", ">u4", "<u8", ">u8", "?"]
NO_NUMBERS = [
    lambda n: np.array(["a", "b"] * n)[:n],
    lambda n: np.array([b"x"] * n),
    lambda n: np.array(["2020-01-01"] * n, "M8[D]"),
    lambda n: np.ones(n, "m8[s]"),
    lambda n: np.array([object()] * n),
    lambda n: np.array([[1], [1, 2]] * n, dtype=object)[:n],
    lambda n: iter(range(n)),
    lambda n: "text",
    lambda n: np.zeros(n, [("x", "f4")]),
    lambda n: np.ma.array(np.arange(n, dtype=float), mask=[True] + [False] * (n - 1)),
    lambda n: np.full(n, np.nan),
    lambda n: np.full(n, np.inf, "f2"),
    lambda n: np.full(n, 1e300),
    lambda n: 2**40 + np.arange(n),
    lambda n: 1.7e9 + np.arange(n, dtype=float) / 10,
    lambda n: np.full(n, 1 + 2j),
    lambda n: np.zeros((n + 1, 2)),
    lambda n: np.float64(3.0),
    lambda n: [[1.0, 2.0], [3.0]],
]


@st.composite
def arrays(draw, dtypes, lead=None):
    shape = () if lead is None else (lead,)
    shape += tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    kind = draw(st.sampled_from(dtypes))
    dtype = np.dtype(jnp.bfloat16) if kind == "bfloat16" else np.dtype(kind)
    whole = np.array(draw(st.lists(st.integers(0, 100), min_size=1, max_size=8)))
    values = np.resize(whole, shape)
    values = values % 2 if dtype.kind == "b" else values
    array = values.astype(dtype)
    wrap = draw(st.sampled_from(["numpy", "numpy", "jax", "masked", "fortran"]))
    if wrap == "jax" and dtype.isnative:
        return jnp.asarray(array)
    if wrap == "masked":
        return np.ma.array(array, mask=draw(st.booleans()))
    return np.asfortranarray(array) if wrap == "fortran" and array.ndim else array


PARAMETER = st.one_of(
    arrays(FLOATS),
    arrays(FLOATS),
    st.floats(-9, 9),
    st.integers(-5, 5),
    arrays(INTEGERS),
    st.just(None),
    st.just("relu"),
    st.just(jax.nn.relu),
    st.booleans(),
    st.sampled_from([1j, np.array([1j]), np.ma.array([1.0, 2.0], mask=[0, 1]), np.array(["a"]), np.array([np.nan])]),
)


def containers(leaf):
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.dictionaries(st.sampled_from(["w", "b", "a/b", "0"]), inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3),
            st.tuples(inner, inner),
            st.builds(Pair, inner, inner),
            st.builds(Holder, inner, inner),
        ),
        max_leaves=4,
    )


@st.composite
def data(draw):
    n = draw(st.integers(1, 6))
    good = arrays(FLOATS + INTEGERS, n)
    bad = st.sampled_from(NO_NUMBERS).map(lambda make: make(n))
    leaf = st.one_of(good, good, good, st.just(None), bad) if draw(st.integers(0, 2)) == 0 else good
    return draw(containers(leaf))


def loss(params, example):
    """½ Σ (p − s)² over all numbers p that move, s the sum of the example's numbers."""
    s = sum((jnp.sum(x.astype(jnp.result_type(float))) for x in jax.tree.leaves(example)), 0.0)
    return sum((0.5 * jnp.sum((p - s) ** 2) for p in jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array))), 0.0)


def reference(params, data):
    """Loss and gradients by plain NumPy in float64; which numbers move is told here by another walk of the tree."""

    def moving(tree, plain):
        if isinstance(tree, dict):
            return [x for name in sorted(tree) for x in moving(tree[name], True)]
        if isinstance(tree, list | tuple):
            return [x for item in tree for x in moving(item, True)]
        if isinstance(tree, Holder):
            return moving(tree.a, False) + moving(tree.b, False)
        if isinstance(tree, float) and not isinstance(tree, np.floating):
            return [np.asarray(tree)] if plain else []
        if isinstance(tree, np.ndarray | jax.Array | np.generic):
            array = np.asarray(tree)
            return [array.astype(float)] if array.dtype.kind == "f" or array.dtype == jnp.bfloat16 else []
        return []

    leaves = [np.asarray(x) for x in jax.tree.leaves(data)]
    s = sum(x.astype(float).reshape(len(x), -1).sum(1) for x in leaves)
    numbers = moving(params, False)
    value = sum(0.5 * np.mean([np.sum((p - one) ** 2) for one in s]) for p in numbers)
    return value, [p - np.mean(s) for p in numbers]


def hides(leaf):
    """Whether a masked array has a value that nobody is to see."""
    return isinstance(leaf, np.ma.MaskedArray) and np.ma.getmaskarray(leaf).any()


def plain(leaf):
    """Finite floats of an array: nobody has a reason to refuse them as parameters."""
    known = isinstance(leaf, np.ndarray | jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating) and not hides(leaf)
    return known and bool(np.isfinite(np.asarray(leaf, float)).all())


def counted(leaf):
    """Small numbers, of any numeric dtype, along an axis of examples."""
    return isinstance(leaf, np.ndarray | jax.Array) and leaf.dtype.kind in "biuf" and not hides(leaf) and leaf.ndim > 0


@pytest.mark.slow
@settings(max_examples=DRAWS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(params=containers(PARAMETER), data=data(), x64=st.booleans())
def test_every_input_gives_the_numbers_of_a_reference_or_one_line(params, data, x64):
    with as_a_user(x64):
        refusal = ""
        try:
            problem = sg.Problem(loss, params, data)
            value, gradient = float(problem.loss(problem.params)), problem.gradient(problem.params)
        except sg.InputError as error:
            refusal = str(error)
        assert len(refusal) <= 300
        assert "\n" not in refusal
        leaves, examples = jax.tree.leaves(params), jax.tree.leaves(data)
        usual = (
            bool(leaves and examples)
            and all(map(plain, leaves))
            and all(counted(x) and np.abs(x).max() <= 100 for x in examples)
            and len({len(x) for x in examples}) == 1
        )
        assert not (refusal and usual), f"a usual problem was refused: {refusal}"
        if refusal:
            return
        assert not any(map(hides, leaves + examples)), "hidden values were used"
        expected, slopes = reference(params, data)
        narrow = min(jnp.finfo(x.dtype).bits for x in jax.tree.leaves(gradient))
        single = problem.wide == jnp.float32
        scale = abs(expected) + 1 if math.isfinite(expected) else 1  # 1e300 squared overflows in both
        np.testing.assert_allclose(value, expected, rtol=1e-4 if single else 1e-9, atol=1e-4 if single else 1e-9)
        dtypes = [x.dtype for x in jax.tree.leaves(gradient)]
        found = [np.asarray(x, float) for x in jax.tree.leaves(gradient)]
        # A gradient beyond the range of its leaf's dtype is infinite, and says so.
        with np.errstate(over="ignore"):
            slopes = [x.astype(t).astype(float) for x, t in zip(slopes, dtypes, strict=True)]
        assert [x.shape for x in found] == [x.shape for x in slopes]
        for one, other in zip(found, slopes, strict=True):
            tolerance = 1e-2 if narrow < 32 else 1e-4 if single else 1e-9
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * math.sqrt(scale))


# -- members of each kind ------------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ np.ones(3)
LABELS = np.arange(40) % 3
KEY = jr.key(0)


def linear(w, e):
    return (e[0] @ w - e[1]) ** 2


def problem():
    return sg.Problem(linear, np.zeros(3), (X, Y))


def run(dynamics=None, **options):
    p = options.pop("problem", None) or problem()
    settings = dict(num_steps=2, replicas=2, key=KEY, observables={"loss": p.loss}) | options
    return sg.simulate(dynamics or sg.SGD(0.05, 4), p, **settings)


def net(outputs=3):
    return sg.nets.mlp(3, outputs, width=4, key=KEY)


REFUSED = {
    "a rate of one axis": (lambda: sg.SGD(np.array([0.1]), 4), "learning_rate"),
    "a rate of text": (lambda: sg.SGD("0.1", 4), "learning_rate is '0.1'"),
    "a rate of None": (lambda: sg.SDE(None, 4), "learning_rate is None"),
    "a complex rate": (lambda: sg.SGD(0.1j, 4), "learning_rate"),
    "a boolean rate": (lambda: sg.SGD(True, 4), "learning_rate is True"),
    "a rate that is 0 in the dtype": (lambda: run(sg.SGD(1e-320, 4)), "0 in float32"),
    "a rate beyond the dtype": (lambda: run(sg.SDE(1e300, 4)), "inf in float32"),
    "a momentum of None": (lambda: sg.SGD(0.1, 4, momentum=None), "momentum is None"),
    "a momentum of text": (lambda: sg.SGD(0.1, 4, momentum="0.9"), "momentum is '0.9'"),
    "a momentum of NaN": (lambda: sg.SDE(0.1, 4, momentum=math.nan), "momentum is nan"),
    "a momentum of an axis": (lambda: sg.SGD(0.1, 4, momentum=np.array([0.9])), "momentum"),
    "a batch of a fraction": (lambda: sg.SGD(0.1, 4.0), "batch_size is 4.0"),
    "a batch beyond counting": (lambda: sg.SGD(0.1, 10**20), "batch_size is 1.000e"),
    "an order of True": (lambda: sg.SDE(0.1, 4, order=True), "order is True"),
    "a vector schedule": (lambda: run(sg.SGD(lambda n: jnp.array([0.1, 0.2]), 4)), r"gives shape \(2,\)"),
    "a schedule with an if": (lambda: run(sg.SGD(lambda n: 0.1 if n < 9 else 0.01, 4)), "schedule can't be traced"),
    "a schedule by math": (lambda: run(sg.SGD(lambda n: 0.1 * math.cos(n), 4)), "schedule can't be traced"),
    "a schedule from a NumPy table": (lambda: run(sg.SDE(lambda n: np.ones(9)[n], 4)), "schedule can't be traced"),
    "a schedule of None": (lambda: run(sg.SGD(lambda n: None, 4)), "schedule gives"),
    "a complex schedule": (lambda: run(sg.SGD(lambda n: jnp.asarray(0.1j), 4)), "complex"),
    "a negative schedule": (lambda: run(sg.SGD(lambda n: 0.1 - n, 4)), "at step 1"),
    "a table that is too short": (lambda: run(sg.SGD(lambda n: jnp.ones(1)[n], 4)), "beyond the end of its table"),
    "a key of 0": (lambda: run(key=0), "key is 0: pass a key"),
    "a key of None": (lambda: run(key=None), "key is None"),
    "several keys": (lambda: run(key=jr.split(KEY, 3)), r"key has shape \(3,\)"),
    "an observable by float()": (
        lambda: run(observables={"a": lambda w: float(w[0])}),
        "observable 'a' can't be traced",
    ),
    "an observable by NumPy": (lambda: run(observables={"a": lambda w: np.linalg.norm(w)}), "observable 'a' can't"),
    "an observable that is none": (lambda: run(observables={"a": 3.0}), "is 3.0: pass a function"),
    "a list of observables": (lambda: run(observables=[lambda w: w]), "observables is a list"),
    "an observable named 3": (lambda: run(observables={3: lambda w: w}), "3"),
    "an observable without a name": (lambda: run(observables={"": lambda w: w}), "observable"),
    "dynamics and problem exchanged": (
        lambda: sg.simulate(problem(), sg.SGD(0.1, 4), num_steps=1, replicas=1, key=KEY, observables={}),
        r"the order is \(dynamics, problem\)",
    ),
    "too many steps": (lambda: run(num_steps=10**14), "num_steps is 1.000e"),
    "too many replicas": (lambda: run(replicas=2 * 10**9, num_steps=10**6), "GB is all there is"),
    "too large a batch": (lambda: run(sg.SGD(0.1, 2 * 10**9), replicas=4), "GB is all there is"),
    "too fine an SVAG": (lambda: run(sg.SVAG(0.1, 4, 10**9)), "GB is all there is"),
    "a start of NaN": (lambda: run(params=np.array([0, np.nan, 0])), "params has 1 values that are NaN"),
    "a start of another shape": (lambda: run(params=np.zeros(4)), r"params has shape \(4,\)"),
    "a start of another structure": (lambda: run(params={"w": np.zeros(3)}), "another structure"),
    "params of infinity": (lambda: sg.Problem(linear, np.full(3, np.inf), (X, Y)), "params has 3 values"),
    "complex params": (lambda: sg.Problem(lambda w, x: jnp.abs(w - x) ** 2, jnp.array(0j), Y), "is complex"),
    "params of text": (lambda: sg.Problem(linear, "w", (X, Y)), "params holds no numbers"),
    "params of integers": (lambda: sg.Problem(linear, np.zeros(3, int), (X, Y)), "nothing can move"),
    "a loss that isn't finite": (
        lambda: run(problem=sg.Problem(lambda w, e: linear(w, e) + jnp.log(w[0]), np.zeros(3), (X, Y))),
        "the loss is -inf at the start",
    ),
    "a loss with an if": (
        lambda: sg.Problem(lambda w, e: w[0] if w[0] > 0 else w[1], np.zeros(3), (X, Y)),
        "per_example_loss can't be traced",
    ),
    "a loss by NumPy": (lambda: sg.Problem(lambda w, e: np.exp(w[0]), np.zeros(3), (X, Y)), "can't be traced"),
    "a loss of one argument": (lambda: sg.Problem(lambda w: w[0], np.zeros(3), (X, Y)), "can't be traced"),
    "batch norm of equinox": (
        lambda: sg.Problem(
            lambda w, e: eqx.nn.BatchNorm(3, "batch", mode="batch")(e[0] * w, None)[0].sum(), np.zeros(3), (X, Y)
        ),
        "per_example_loss can't be traced",
    ),
    "a unit of a fraction": (lambda: sg.Problem(linear, np.zeros(3), (X, Y), unit_size=2.0), "unit_size is 2.0"),
    "a chunk of True": (lambda: sg.Problem(linear, np.zeros(3), (X, Y), chunk_size=True), "chunk_size is True"),
    "a sparse matrix": (
        lambda: sg.Problem(linear, np.zeros(3), (__import__("scipy.sparse").sparse.csr_matrix(X), Y)),
        "sparse",
    ),
    "a loader": (lambda: sg.Problem(linear, np.zeros(3), iter([])), "holds no numbers"),
    "a list of pairs": (lambda: sg.Problem(linear, np.zeros(3), list(zip(X, Y, strict=True))), "leading axes"),
    "a list of numbers": (lambda: sg.Problem(linear, np.zeros(3), list(np.zeros(2000))), "2000 leaves|leading axes"),
    "labels of one-hot rows": (lambda: sg.nets.finite_sum(net(), X, np.eye(3, dtype=int)[LABELS]), "argmax"),
    "labels of −1": (lambda: sg.nets.finite_sum(net(), X, np.full(40, -1)), "40 labels are no classes"),
    "labels of K": (lambda: sg.nets.finite_sum(net(2), X, LABELS), "no classes of the net, such as 2"),
    "labels of fractions": (lambda: sg.nets.finite_sum(net(), X, LABELS + 0.5), "no class numbers"),
    "labels of text": (lambda: sg.nets.finite_sum(net(), X, np.array(["a", "b"] * 20)), "labels holds no numbers"),
    "too few labels": (lambda: sg.nets.finite_sum(net(), X, LABELS[:39]), "leading axes of data differ"),
    "images not flat": (lambda: sg.nets.finite_sum(net(), np.zeros((40, 3, 1)), LABELS), "the net can't"),
    "scores of −1": (lambda: sg.nets.Evaluation(sg.nets.correct, X, np.full(40, -1)), "no classes"),
    "two rates on one path": (
        lambda: sg.Coupled(sg.GaussianSGD(np.float32(0.1), 2), sg.SDE(jnp.asarray(0.2), 2)),
        "can't share a path",
    ),
    "two schedules on one path": (
        lambda: sg.Coupled(sg.GaussianSGD(lambda n: 0.1 + 0 * n, 2), sg.SDE(lambda n: 0.2 + 0 * n, 2)),
        "can't share a path",
    ),
    "SGD on a Brownian path": (lambda: sg.Coupled(sg.SGD(0.1, 2), sg.SDE(0.1, 2)), "no Brownian path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line(case, monkeypatch):
    monkeypatch.setattr(sizes, "memory", lambda: 16 * 10**9)  # what doesn't fit here may fit another machine
    call, message = REFUSED[case]
    with as_a_user(), pytest.raises(sg.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


ACCEPTED = {
    "labels of shape (N, 1)": lambda: sg.nets.finite_sum(net(), X, LABELS[:, None]),
    "big-endian labels": lambda: sg.nets.finite_sum(net(), X, LABELS.astype(">i4")),
    "labels of whole floats": lambda: sg.nets.finite_sum(net(), X, LABELS.astype(float)),
    "unsigned labels": lambda: sg.nets.finite_sum(net(), X, LABELS.astype("u1")),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_harmless_forms_of_labels_just_work(case):
    wanted = sg.nets.finite_sum(net(), X, LABELS)
    assert float(ACCEPTED[case]().loss(net())) == float(wanted.loss(net()))


def test_boolean_labels_are_the_classes_0_and_1():
    wanted = sg.nets.finite_sum(net(2), X, (LABELS > 0).astype(int)).loss(net(2))
    assert float(sg.nets.finite_sum(net(2), X, LABELS > 0).loss(net(2))) == float(wanted)


def test_legacy_keys_draw_what_their_typed_forms_do():
    legacy, typed = (run(key=key).values["loss"] for key in (jr.PRNGKey(3), jr.wrap_key_data(jr.PRNGKey(3))))
    np.testing.assert_array_equal(legacy, typed)


def test_equal_rates_of_other_types_share_a_path():
    sg.Coupled(sg.GaussianSGD(np.float64(0.1), 2), sg.SDE(0.1, 2))
    one = lambda n: 0.1 / (1 + n)  # noqa: E731
    sg.Coupled(sg.GaussianSGD(one, 2), sg.SDE(lambda n: 0.1 / (1 + n), 2))


@pytest.mark.parametrize("zero", [0.0, np.float64(0.0), jnp.array(0.0)])
def test_numbers_in_plain_containers_move(zero):
    params = {"w": jnp.array(0.0), "b": zero}
    problem = sg.Problem(lambda q, e: (q["w"] * e[0] + q["b"] - e[1]) ** 2, params, (Y, Y + 5))
    assert problem.num_parameters == 2


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"w": jnp.array(0.0), "b": 0}, r"params\['b'\]"),
        ({"w": jnp.array(0.0), "b": np.array(0)}, r"params\['b'\]"),
        ((jnp.array(0.0), [jnp.arange(3)]), r"params\[1\]\[0\]"),
        (Holder(jnp.array(0.0), 0.5), r"params\.b"),
    ],
)
def test_numbers_that_will_not_move_are_named(params, named):
    with pytest.warns(UserWarning, match=named + " will not move"):
        sg.Problem(lambda q, e: jax.tree.leaves(q)[0] * e, params, Y)


def test_settings_of_a_librarys_layers_are_no_parameters():
    """The rate of a dropout layer stays where it is, and that is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers = [eqx.nn.Linear(3, 1, key=KEY), eqx.nn.Dropout(0.5, inference=True)]
        problem = sg.Problem(lambda q, e: jnp.sum(q[1](q[0](e))), layers, X)
    assert problem.num_parameters == 4


def test_tied_matrices_come_apart_with_a_warning():
    shared = jnp.ones((2, 2))
    with pytest.warns(UserWarning, match=r"params\['a'\] and params\['b'\] are one array"):
        sg.Problem(lambda q, e: jnp.sum(q["a"] + q["b"]) * e, {"a": shared, "b": shared}, Y)


def test_arrays_keep_their_values_in_any_byte_order():
    for dtype in ("<f8", ">f8", "<i4", ">i4", ">u2"):
        np.testing.assert_array_equal(inputs.as_array(np.arange(5).astype(dtype), "x"), np.arange(5))


def test_debugging_flags_of_jax_do_not_end_a_run_that_diverges():
    with jax.debug_nans(True), pytest.warns(RuntimeWarning, match="2 of 2 replicas diverged"):
        out = run(sg.SGD(1e6, 4), num_steps=60)
    assert out.diverged.all()


def test_what_a_conversion_would_change_without_a_word_is_refused():
    """Hidden values, and a column that float32 makes one number: by name, since the draws above may let either pass."""
    hidden = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    refused(lambda: sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), hidden), "hides 1 values")
    years = 2e9 + np.linspace(0, 10, 5)
    with jax.enable_x64(False):
        refused(lambda: sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), years), "hardly tells apart")
        rounding = np.array([1.0, 1 + 2e-16, 1.0])  # constant up to the rounding of its own dtype
        sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), rounding)
