"""Half-precision parameters, mixed dtypes, and inputs of any dtype: sums are in float32 at least."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from tests.users import as_a_user

RNG = np.random.default_rng(0)
KEY = jr.key(0)
HALVES = [jnp.float16, jnp.bfloat16]


def halved(net, dtype):
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_array(x) else x, net)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, "bfloat16", bool])
@pytest.mark.parametrize("score", [sg.nets.correct, sg.nets.cross_entropy])
def test_an_evaluation_is_that_of_the_same_numbers_in_float32(dtype, score):
    """0 … 255 are numbers of every dtype here, so nothing but the sum can differ."""
    x, y = RNG.integers(0, 2 if dtype is bool else 256, (1000, 16)), RNG.integers(0, 3, 1000)
    net = sg.nets.mlp(16, 3, width=4, key=KEY)
    given = jnp.asarray(x, jnp.bfloat16) if dtype == "bfloat16" else x.astype(dtype)
    with as_a_user():
        wanted, found = (sg.nets.Evaluation(score, z, y)(net) for z in (x.astype(np.float32), given))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.dtype.itemsize >= 4


@pytest.mark.parametrize("dtype", HALVES)
def test_a_score_in_half_precision_is_summed_in_float32(dtype):
    """70,000 scores of 3: float16 ends at 65,504, and bfloat16 would add parts of 5,000 to 8 bits."""
    score = lambda outputs, labels: jnp.full(len(labels), 3, dtype)  # noqa: E731
    mean = sg.nets.Evaluation(score, np.zeros((70_000, 2)), np.zeros(70_000, int))(sg.nets.mlp(2, 2, width=2, key=KEY))
    assert float(mean) == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("dtype", HALVES)
def test_the_mean_loss_of_many_examples_neither_overflows_nor_stops_counting(dtype):
    """All weights 0: the loss of 10 classes is log 10 at any N; in float16 the sum of 30,000 would be infinite."""
    net = halved(jax.tree.map(lambda x: 0 * x if eqx.is_array(x) else x, sg.nets.mlp(4, 10, width=4, key=KEY)), dtype)
    problem = sg.nets.finite_sum(net, np.zeros((30_000, 4)), np.arange(30_000) % 10)
    assert float(problem.loss(net)) == pytest.approx(math.log(10), rel=1e-5)
    accuracy = sg.nets.Evaluation(sg.nets.correct, np.zeros((30_000, 4), np.float16), np.zeros(30_000, int))
    assert float(accuracy(net)) == 1


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("chunk", [None, 7, 1000])
def test_a_gradient_is_rounded_once_whatever_the_chunks(dtype, chunk):
    """∇ of mean (w − x)² at w = 0 is −2 x̄; 20,000 examples in any chunks, to the dtype's own rounding."""
    x = 2 + RNG.normal(size=20_000).astype(np.float32)
    problem = sg.Problem(
        lambda w, x: jnp.mean((w * jnp.ones(50, w.dtype) - x) ** 2), jnp.zeros((), dtype), x, chunk_size=chunk
    )
    gradient = problem.gradient(problem.params)
    assert gradient.dtype == dtype
    assert float(gradient) == pytest.approx(-2 * x.mean(dtype=np.float64), rel=float(jnp.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", HALVES)
def test_trace_of_the_covariance_in_half_precision(dtype):
    """C of ½ (w − x)² is Var x; squares of 300 overflow float16 without float32."""
    x = 300 * np.sign(np.arange(1000) % 2 - 0.5)
    problem = sg.Problem(lambda w, x: 0.5 * (w - x) ** 2, jnp.zeros((), dtype), x)
    assert float(sg.gradient_noise.trace(problem, problem.params)) == pytest.approx(90_000, rel=1e-5)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    "dynamics",
    [
        sg.SGD(0.25, 4, momentum=0.5),
        sg.GaussianSGD(0.25, 4, momentum=0.5),
        sg.SVAG(0.25, 4, 2),
        sg.SDE(0.25, 4),
        sg.SDE(0.25, 4, order=2, substeps=2),
        sg.SDE(0.25, 4, momentum=0.5),
        sg.SDE(0.25, 4, order=2, momentum=0.5),
    ],
    ids=lambda d: f"{type(d).__name__}-{getattr(d, 'order', 1)}-{getattr(d, 'momentum', 0)}",
)
def test_every_dynamics_keeps_the_dtype_and_stays_within_its_rounding(dtype, dynamics):
    """The same draws in float32 and in half precision: apart by roundings of the 8 steps, not more."""
    x = RNG.normal(size=16).astype(np.float32)
    runs = {}
    for kind in (jnp.float32, dtype):
        with jax.enable_x64(False):
            problem = sg.Problem(lambda w, x: 0.5 * jnp.sum((w - x) ** 2), jnp.ones(2, kind), x)
            runs[kind] = sg.simulate(
                dynamics, problem, num_steps=8, replicas=16, key=KEY, observables={"w": lambda w: w}, save_every=8
            )
        assert runs[kind].final_params.dtype == kind
    gap = np.abs(runs[dtype].values["w"] - runs[jnp.float32].values["w"])
    assert gap.max() < 8 * float(jnp.finfo(dtype).eps)
    assert gap.max() > 0


def test_leaves_of_two_dtypes_keep_theirs():
    """Bias and weight follow the recursion of least squares in float32, each rounded to its own dtype."""
    X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=8)
    loss = lambda q, e: 0.5 * (e[0] @ q["w"] + q["b"] - e[1]) ** 2  # noqa: E731
    params = {"w": jnp.zeros(3, jnp.bfloat16), "b": jnp.zeros((), jnp.float32)}
    dynamics = sg.SGD(0.1, 8, "no_replacement", momentum=0.5)
    with jax.enable_x64(False):
        problem = sg.Problem(loss, params, (X, Y))
        run = sg.simulate(dynamics, problem, num_steps=6, replicas=2, key=KEY, observables={"b": lambda q: q["b"]})
    assert run.final_params["w"].dtype == jnp.bfloat16
    assert run.final_params["b"].dtype == jnp.float32
    w, b, vw, vb = np.zeros(3), 0.0, np.zeros(3), 0.0
    for _ in range(6):
        error = X @ w + b - Y
        vw, vb = 0.5 * vw - 0.1 * X.T @ error / 8, 0.5 * vb - 0.1 * error.mean()
        w, b = np.asarray(jnp.asarray(w + vw, jnp.bfloat16), float), b + vb
    np.testing.assert_allclose(run.values["b"][:, -1], b, rtol=2e-2)


def test_a_problem_of_64_bits_in_32_is_refused_in_one_line():
    with jax.enable_x64(True):
        problem = sg.Problem(lambda w, x: (w - x) ** 2, np.zeros(()), np.arange(4.0))
    with jax.enable_x64(False), pytest.raises(sg.InputError, match="float64 and JAX is set to 32 bits"):
        sg.simulate(sg.SGD(0.1, 2), problem, num_steps=1, replicas=1, key=KEY, observables={})


def test_lanczos_refuses_half_precision_in_one_line():
    problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(3, jnp.float16), np.arange(4.0))
    with pytest.raises(sg.InputError, match="params are float16: Lanczos needs"):
        sg.curvature.top_eigenpairs(problem, problem.params, key=KEY)
