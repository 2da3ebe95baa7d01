"""One line for what users do pass to stationary laws, potentials and landscapes; no NaN that reads well."""

import math
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import toys
from sdesgd.landscape import Landscape, landscape_of
from tests.refusals import refused
from tests.users import unchecked_types

st: Any = sg.stationary
ty: Any = toys
place: Any = Landscape
eye = np.eye(2)
x, y = sp.symbols("x y")
KEY = jr.key(0)
WELL = toys.potential("double-well")
PROBLEM = sg.Problem(lambda w, e: jnp.sum((w - e) ** 2) / 2, jnp.zeros(1), np.array([-1.0, 1.0, 0.5]))
MASKED = np.ma.masked_greater(np.array([[1.0, 0.0], [0.0, 5.0]]), 4)


def value_of(function):
    return Landscape("mine", function, 1)


# -- numbers and matrices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0, "0.1", None, True, np.array([0.1, 0.2]), 1j, KEY])
def test_a_rate_that_is_none(bad):
    laws = (
        lambda: st.ou_covariance(eye, eye, bad, 2),
        lambda: st.discrete_covariance(eye, eye, bad, 2),
        lambda: st.expected_loss(eye, eye, bad, 2),
        lambda: st.transient_loss(eye, eye, bad, 2, 1.0),
        lambda: st.trace_hessian_loss(eye, bad, 2),
        lambda: st.temperature(1.0, bad, 2),
        lambda: st.ito_density(PROBLEM, bad, 1, (-3, 3)),
        lambda: st.finite_step_density(WELL, 0.1, bad),
        lambda: st.regression_covariance(eye, [1.0, 2.0], bad, 1),
        lambda: ty.tilt_variance(0.1, bad, 2),
    )
    for law in laws:
        refused(law, "learning_rate is")


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0, "0.1", None, False, np.array([0.1])])
def test_a_temperature_that_is_none(bad):
    laws = (
        lambda: st.gibbs_density(WELL, bad),
        lambda: st.sample_gibbs(WELL, bad, [[-1.0], [1.0]], barrier=0, key=KEY),
        lambda: st.finite_step_density(WELL, bad, 0.1),
        lambda: ty.tilt_variance(bad, 0.1, 2),
    )
    for law in laws:
        refused(law, "temperature is")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (MASKED, "masked array that hides 1"),
        (eye + 0j, "complex"),
        ([["a", "b"], ["c", "d"]], "holds no numbers"),
        ([[1.0, 0.0], [1.0]], "can't be made an array"),
        (None, "holds no numbers"),
        (eye[0], "has shape"),
        (np.zeros((0, 0)), "has shape"),
        ([[1.0, math.nan], [math.nan, 1.0]], "NaN or infinite"),
        ([[1.0, 0.3], [0.0, 1.0]], "not symmetric"),
        (np.ones((2, 3)), "has shape"),
    ],
)
def test_a_matrix_that_is_none(bad, message):
    for law in (st.ou_covariance, st.discrete_covariance, st.expected_loss):
        refused(lambda law=law: law(bad, eye, 0.1, 2), message)
        refused(lambda law=law: law(eye, bad, 0.1, 2), message)
    refused(lambda: st.rotation(eye, bad), message)
    refused(lambda: st.transient_loss(bad, eye, 0.1, 2, 1.0), message)


@pytest.mark.parametrize("dtype", [">f8", np.float32, jnp.bfloat16, int, np.longdouble])
def test_matrices_of_other_dtypes_work(dtype):
    H = np.array([[2.0, 1.0], [1.0, 3.0]])
    want = st.ou_covariance(H, eye, 0.1, 2)
    with unchecked_types():
        np.testing.assert_array_equal(st.ou_covariance(H.astype(dtype), eye.astype(dtype), 0.1, 2), want)
        np.testing.assert_array_equal(st.ou_covariance(jnp.asarray(H), eye.tolist(), np.float64(0.1), np.int8(2)), want)


def test_without_noise_a_saddle_stays_where_it_is():
    """0 · ∞: what has no noise along the direction of escape doesn't escape."""
    with np.errstate(all="raise", over="ignore"):
        for law in ("ou", "discrete"):
            found = st.transient_loss_of_spectrum([-1.0, 2.0], [0.0, 1.0], 0.1, 2, 1e6, law)
            assert found == pytest.approx(st.transient_loss_of_spectrum([2.0], [1.0], 0.1, 2, 1e6, law))


# -- functions ------------------------------------------------------------------------------------------------


UNTRACEABLE = {
    "float": lambda z: float(z[0]) ** 2,
    "if": lambda z: z[0] ** 2 if z[0] > 0 else z[0] ** 4,
    "NumPy": lambda z: np.linalg.norm(np.asarray(z)) ** 2,
    "a name that is missing": lambda z: missing_name * z[0],  # pyright: ignore
    "an index beyond": lambda z: z[0] ** 2 + z[(0, 1)],
    "a KeyError": lambda z: {}["a"] * z[0],
}
NO_NUMBER = {
    "a vector": lambda z: z**2,
    "an integer": lambda z: jnp.argmax(z),
    "a pair": lambda z: (z[0], z[0]),
    "None": lambda z: None,
    "complex": lambda z: 1j * z[0],
}
USES = {
    "gibbs_density": lambda p: st.gibbs_density(p, 0.1, [(-1, 1)]),
    "sample_gibbs": lambda p: st.sample_gibbs(p, 0.1, [[-1.0], [1.0]], barrier=0, key=KEY),
    "finite_step_density": lambda p: st.finite_step_density(p, 0.1, 0.1, box=[(-1, 1)]),
    "quench": lambda p: sg.basins.quench(p, [[0.5]]),
    "find_minima": lambda p: sg.basins.find_minima(p, [[0.5]]),
    "find_saddles": lambda p: sg.basins.find_saddles(p, [[-1.0], [1.0]]),
    "wells_of": lambda p: sg.basins.wells_of(p, box=[(-1, 1)]),
    "mean_first_passage_time": lambda p: sg.basins.mean_first_passage_time(p, 0.1, -1, 1, (-2.0, 2.0)),
}


@pytest.mark.parametrize("use", USES)
def test_a_value_that_jax_cannot_trace(use):
    for function in UNTRACEABLE.values():
        refused(lambda function=function: USES[use](value_of(function)), "the value of mine can't be traced by JAX")


@pytest.mark.parametrize("use", USES)
def test_a_value_that_is_no_number(use):
    for function in NO_NUMBER.values():
        refused(lambda function=function: USES[use](value_of(function)), "return one real number")


@pytest.mark.parametrize("use", USES)
def test_something_else_than_a_landscape(use):
    for bad in (WELL.value, "double-well", None, PROBLEM):
        refused(lambda bad=bad: USES[use](bad), "landscape is")


def test_derivatives_are_guarded_too():
    bad: Any = value_of(UNTRACEABLE["a KeyError"])
    for method in (bad.gradient, bad.hessian):
        refused(lambda method=method: method(jnp.zeros(1)), "can't be traced")
    refused(lambda: ty.modulated(WELL, UNTRACEABLE["if"], [1.0, -1.0]), "can't be traced")
    refused(lambda: ty.modulated(WELL, lambda z: z * jnp.ones(3), [1.0, -1.0]), "scalar")


# -- NaN ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: st.gibbs_density(value_of(lambda z: jnp.log(z[0])), 0.1, [(-1, 1)]), "not finite everywhere"),
        # V/T is ±∞ everywhere but at one point, and then every comparison with NaN is False.
        (lambda: st.gibbs_density(value_of(lambda z: z[0] ** 2 + 1), 1e-320, [(-1, 1)]), "raise the temperature"),
        (
            lambda: st.finite_step_density(
                value_of(lambda z: jnp.abs(z[0] - 0.5) ** 2.5), 0.02, 0.1, box=[(-1.5, 2.5)], points=4001
            ),
            "derivatives that aren't finite",
        ),
        (
            lambda: st.ito_density(
                sg.Problem(lambda w, e: jnp.sum(jnp.sqrt(w + 0.5)) + jnp.sum((w - e) ** 2), jnp.zeros(1), eye[0]),
                0.1,
                1,
                (-1, 1),
            ),
            "gradient is not finite in the box",
        ),
        (
            lambda: st.transfer_operator(
                sg.Problem(lambda w, e: jnp.sum(jnp.sqrt(w + 0.5)) + jnp.sum((w - e) ** 2), jnp.zeros(1), eye[0]),
                sg.SGD(0.1, 1),
                [(-1, 1)],
                (16,),
            ),
            "gradient is not finite in the box",
        ),
        (lambda: ty.from_sympy(sp.sqrt(x), [x], [(-1, 1)]), "is not finite at"),
        (lambda: ty.from_sympy(sp.log(x), [x], [(-1, 1)]), "is not finite at"),
        (lambda: ty.from_sympy(1 / (x - x + 0 * x) + x**2, [x], [(-1, 1)]), "can't be written in JAX"),
    ],
)
def test_nan_is_refused(call, message):
    refused(call, message)


def test_draws_of_nan_are_in_no_set():
    points = np.zeros((2, 4, 1))
    points[0, 0] = np.nan
    sample = st.GibbsSample(points, np.ones(1), np.full(1, 400.0), 0)
    refused(lambda: sample.probability(lambda z: z[:, 0] > 0), "NaN or infinity")
    good: Any = st.GibbsSample(np.zeros((2, 4, 1)), np.ones(1), np.full(1, 400.0), 0)
    refused(lambda: good.probability(lambda z: z.nothing), "the set can't be evaluated")
    refused(lambda: good.probability(np.zeros(3, bool)), "pass bools")
    refused(st.GibbsSample(points, np.full(1, np.nan), np.full(1, np.nan), 0).check, "haven't mixed")


def test_two_halves_that_no_batch_joins():
    """Closed classes: nothing relaxes, and the sets are never reached."""
    problem = sg.Problem(lambda w, e: jnp.sum(jnp.abs(w)) * 0 + 0 * e, jnp.zeros(1), eye[0])
    operator = st.transfer_operator(problem, sg.SGD(0.1, 1), [(-1, 1)], (16,))
    assert operator.relaxation_steps() == math.inf
    target = operator.points[:, 0] > 0.5
    refused(lambda: operator.first_passage_steps(target), "never reached")
    refused(lambda: operator.committor(target, operator.points[:, 0] < -0.5), "never reached")


# -- the rest of the entrance ---------------------------------------------------------------------------------


def sampled(**changes):
    options = {"temperature": 0.1, "starts": [[-1.0], [1.0]], "barrier": 0, "key": KEY} | changes
    return st.sample_gibbs(WELL, options.pop("temperature"), options.pop("starts"), **options)


GRID = sg.stationary.gibbs_density(WELL, 0.1, points=101)
grid: Any = GRID


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sampled(key=0), "key is 0"),
        (lambda: sampled(key=None), "key is None"),
        (lambda: sampled(key=jr.split(KEY, 2)), "pass one key"),
        (lambda: sampled(starts=[["a"], ["b"]]), "starts holds no numbers"),
        (lambda: sampled(starts=[[math.nan], [1.0]]), "not finite at some start"),
        (lambda: sampled(starts=np.ma.masked_less([[-1.0], [1.0]], 0)), "masked"),
        (lambda: sampled(starts=[1.0, 2.0]), "starts have shape"),
        (lambda: sampled(barrier=math.nan), "barrier is nan"),
        (lambda: sampled(barrier="0"), "barrier is '0'"),
        (lambda: sampled(samples=200.5), "samples is 200.5"),
        (lambda: sampled(warmup=True), "warmup is True"),
        (lambda: st.gibbs_density(WELL, 0.1, [(1, -1)]), "pass \\(low, high\\) with low < high"),
        (lambda: st.gibbs_density(WELL, 0.1, [(-1, math.inf)]), "pass \\(low, high\\) with low < high"),
        (lambda: st.gibbs_density(WELL, 0.1, [(-1, math.nan)]), "pass \\(low, high\\) with low < high"),
        (lambda: st.gibbs_density(WELL, 0.1, "box"), "box holds no numbers"),
        (lambda: st.gibbs_density(WELL, 0.1, 3), "pass \\(low, high\\)"),
        (lambda: st.gibbs_density(WELL, 0.1, points=100.5), "points is 100.5"),
        (lambda: st.gibbs_density(WELL, 0.1, points=10**12), "points is 1.000e\\+12"),
        (lambda: st.gibbs_density(WELL, 0.1, points=[101, 101]), "for each of 1 axes"),
        (lambda: grid.expectation(np.zeros(3)), "have shape"),
        (lambda: grid.expectation(["a"] * 101), "holds no numbers"),
        (lambda: grid.probability(np.zeros(101)), "pass bools"),
        (lambda: grid.by_label(np.zeros(101), 2), "pass integers"),
        (lambda: grid.by_label(np.zeros(101, int), 0), "count is 0"),
        (lambda: st.ito_density(WELL, 0.1, 1, (-1, 1)), "pass a Problem"),
        (lambda: st.ito_density(PROBLEM, 0.1, 1.5, (-1, 1)), "batch_size is 1.5"),
        (lambda: st.ito_density(PROBLEM, 0.1, 1, (1, -1)), "low < high"),
        (lambda: st.transfer_operator(PROBLEM, sg.SGD(lambda n: 0.1, 1), [(-1, 1)], (16,)), "is a schedule"),
        (lambda: st.transfer_operator(PROBLEM, sg.SGD(0.1, 1), [(-1, 1)], (4,)), "at least 8"),
        (lambda: st.transfer_operator(PROBLEM, sg.SGD(0.1, 1), [(-1, 1)], 16.5), "shape is 16.5"),
        (lambda: st.transfer_operator(WELL, sg.SGD(0.1, 1), [(-1, 1)], (16,)), "pass a Problem"),
        (lambda: st.transfer_operator(PROBLEM, PROBLEM, [(-1, 1)], (16,)), "takes SGD or GaussianSGD"),
        (lambda: st.finite_step_density(WELL, 0.1, 0.1, skewness=math.nan), "skewness is nan"),
        (lambda: st.finite_step_density(WELL, 0.1, 0.1, excess_kurtosis="0"), "excess_kurtosis is '0'"),
        (lambda: st.step_shape([math.nan, 1.0], 2), "pass σ² > 0"),
        (lambda: st.step_shape([1.0, -1.0], 1.5), "batch_size is 1.5"),
        (lambda: st.step_shape("tilts", 1), "tilts holds no numbers"),
        (lambda: st.regression_covariance(MASKED, [1.0, 2.0], 0.1, 1), "masked"),
        (lambda: st.regression_covariance(eye, ["a", "b"], 0.1, 1), "targets holds no numbers"),
        (lambda: st.regression_covariance(eye, [1.0, 2.0], 0.1, 1, weight_decay=None), "weight_decay is None"),
        (lambda: st.regression_covariance(eye, [1.0, 2.0], 0.1, 1, momentum="0"), "momentum is '0'"),
        (lambda: st.temperature(math.nan, 0.1, 2), "gradient_variance is nan"),
        (lambda: st.temperature("1", 0.1, 2), "gradient_variance is '1'"),
        (lambda: st.temperature(1.0, 0.1, None), "batch_size is None"),
        (lambda: st.temperature(1.0, 0.1, math.nan), "batch_size is nan"),
        (lambda: st.trace_hessian_loss("H", 0.1, 2), "H holds no numbers"),
        (lambda: st.trace_hessian_loss(math.nan, 0.1, 2), "finite numbers"),
        (lambda: st.transient_loss(eye, eye, 0.1, 2, "1"), "time holds no numbers"),
        (lambda: st.transient_loss(eye, eye, 0.1, 2, math.nan), "time is negative or NaN"),
        # potentials and landscapes
        (lambda: ty.tilted("ring", [[1.0], [-1.0]]), "potential is 'ring'"),
        (lambda: ty.tilted(WELL, [["a"]]), "tilts holds no numbers"),
        (lambda: ty.tilted(WELL, [[math.nan], [1.0]]), "NaN or infinite"),
        (lambda: ty.tilted(WELL, [[1.0], [-1.0]], params="a"), "params holds no numbers"),
        (lambda: ty.tilted(WELL, [[1.0], [-1.0]], params=[math.nan]), "NaN or infinite"),
        (lambda: ty.modulated(WELL, "sin", [1.0, -1.0]), "modulation is 'sin'"),
        (lambda: ty.modulated(WELL, jnp.sum, np.ma.masked_less([1.0, -1.0], 0)), "masked"),
        (lambda: ty.tilts_of(np.ones((2, 2, 2))), "not a symmetric matrix"),
        (lambda: ty.tilts_of("C"), "covariance holds no numbers"),
        (lambda: ty.tilts_of(math.nan), "finite numbers"),
        (lambda: ty.skewed_tilts(math.nan, 4), "variance is nan"),
        (lambda: ty.skewed_tilts("1", 4), "variance is '1'"),
        (lambda: ty.skewed_tilts(1.0, 4.5), "num_examples is 4.5"),
        (lambda: ty.skewed_tilts(1.0, 1), "num_examples is 1"),
        (lambda: ty.tilt_variance(0.1, 0.1, 0), "batch_size is 0"),
        (lambda: ty.from_sympy("x**2", [x], [(-1, 1)]), "pass a sympy expression"),
        (lambda: ty.from_sympy(x**2, ["x"], [(-1, 1)]), "pass a sympy expression"),
        (lambda: ty.from_sympy(x**2, [x], [(1, -1)]), "low < high"),
        (lambda: ty.from_sympy(x**2, [x], ["ab"]), "box"),
        (lambda: ty.from_sympy(x**2, [x], [(-1, 1)], minima=[[math.nan]]), "finite points"),
        (lambda: ty.from_sympy(sp.Function("f")(x) + x**2, [x], [(-1, 1)]), "can't be traced"),
        (lambda: ty.potential(3), "unknown potential"),
        (lambda: ty.Potential("p", lambda z: z[0], 1, ((0, 0),)), "low < high"),
        (lambda: ty.Potential("p", lambda z: z[0], 1, ((0, 1),), ((0.0, 1.0),)), "finite points"),
        (lambda: place("p", 3.0, 1), "value is 3.0"),
        (lambda: place("p", lambda z: z[0], 0), "dimension is 0"),
        (lambda: place("p", lambda z: z[0], 1.0), "dimension is 1.0"),
        (lambda: place(3, lambda z: z[0], 1), "name is 3"),
        (lambda: landscape_of(WELL), "pass a Problem"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_one_line_for_bad_input(call, message):
    refused(call, message)


@pytest.mark.slow
def test_legacy_keys_and_big_endian_starts_work():
    with unchecked_types():
        options = {"samples": 100, "warmup": 50}
        old = sampled(key=jr.PRNGKey(0), starts=np.array([[-1.0], [1.0]], ">f8"), **options)
        new = sampled(**options)
    np.testing.assert_array_equal(old.points, new.points)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_half_precision_is_one_line_or_a_law(dtype):
    """These laws want float64; the transfer operator takes what the problem computes in."""
    problem = sg.Problem(lambda w, e: jnp.sum((w - e) ** 2) / 2, jnp.zeros(1, dtype), np.array([-1.0, 1.0]))
    refused(lambda: st.ito_density(problem, 0.1, 1, (-3, 3)), "pass one float64 parameter")
    refused(lambda: landscape_of(problem), "need float64")
    operator = st.transfer_operator(problem, sg.SGD(0.5, 1), [(-3, 3)], (121,))
    second = float(operator.stationary() @ operator.points[:, 0] ** 2)
    assert second == pytest.approx(0.25 / (1 - 0.25), rel=0.02)
