"""SGD's covariance at a minimum in one call: closed forms, fixed points by hand, what it refuses, errors planted."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import linalg

import sdesgd as sg
from sdesgd import toys
from sdesgd.results import NotEstablished
from sdesgd.stationary import measured as module
from sdesgd.stationary.quadratic_examples import structure
from tests.refusals import refused

pytestmark = pytest.mark.slow

KEY = jr.key(3)
H = np.array([[1.0, 0.2], [0.2, 0.4]])
C = np.array([[0.5, -0.3], [-0.3, 0.8]])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2)) @ np.array([[1.0, 0.4], [0.0, 0.6]])
Y = X @ [1.0, -1.0] + 0.5 * RNG.normal(size=30)
DECAY = 0.1


def quadratic_loss(theta, tilt):
    return 0.5 * theta @ jnp.asarray(H) @ theta + tilt @ theta


def quadratic():
    return sg.Problem(quadratic_loss, jnp.ones(2), toys.tilts_of(C))


def squared_error(theta, example):
    return 0.5 * (jnp.vdot(example[0], theta) - example[1]) ** 2 + DECAY / 2 * jnp.vdot(theta, theta)


def regression():
    return sg.Problem(squared_error, jnp.zeros(2), (X, Y))


def within(answer, law, errors=4):
    return (np.abs(answer.measured - law) < errors * answer.standard_errors).all()


@pytest.fixture(scope="module")
def on_quadratic():
    """JAX set to 32 bits, as it is for users."""
    with jax.enable_x64(False):
        return sg.stationary.compare(quadratic(), sg.SGD(0.6, 2), key=KEY)


@pytest.fixture(scope="module")
def on_regression():
    return sg.stationary.compare(regression(), sg.SGD(0.5, 3, "no_replacement"), key=KEY, replicas=512)


def test_a_quadratic_follows_its_recursion_and_not_the_sde(on_quadratic):
    """Γ = (I − ηH)Γ(I − ηH) + η²C/S, by iteration; in two dimensions no closed form is shorter."""
    gamma, step = np.zeros((2, 2)), np.eye(2) - 0.6 * H
    for _ in range(2000):
        gamma = step @ gamma @ step + 0.36 / 2 * C
    assert within(on_quadratic, gamma)
    np.testing.assert_allclose(on_quadratic.theories["discrete"], gamma, rtol=1e-5)
    np.testing.assert_allclose(on_quadratic.theories["OU"], linalg.solve_continuous_lyapunov(H, 0.3 * C), rtol=1e-5)
    assert on_quadratic.exact == "discrete"
    assert on_quadratic.decisions["discrete"].kind == "equivalent"
    assert on_quadratic.decisions["OU"].kind == "different"
    assert not within(on_quadratic, 1.1 * gamma)  # a covariance off by 10 %
    np.testing.assert_allclose(on_quadratic.minimum, 0, atol=1e-8)


def test_regression_follows_its_own_covariance(on_regression):
    """The fixed point of the second moments over the examples, iterated by hand, with f = (N − S)/(N − 1)."""
    N, S, eta = len(X), 3, 0.5
    hessians = X[:, :, None] * X[:, None, :] + DECAY * np.eye(2)
    mean = hessians.mean(axis=0)
    theta = np.linalg.solve(mean, X.T @ Y / N)
    gradients = X * (X @ theta - Y)[:, None] + DECAY * theta
    f, gamma = (N - S) / (N - 1), np.zeros((2, 2))
    for _ in range(3000):
        spread = np.einsum("nij,jk,nkl->il", hessians, gamma, hessians) / N - mean @ gamma @ mean
        drift = np.eye(2) - eta * mean
        gamma = drift @ gamma @ drift + eta**2 * f / S * (gradients.T @ gradients / N + spread)
    assert on_regression.exact == "regression"
    np.testing.assert_allclose(on_regression.theories["regression"], gamma, rtol=1e-8)
    np.testing.assert_allclose(on_regression.minimum, theta, atol=1e-8)
    noise = eta * f / S * gradients.T @ gradients / N
    np.testing.assert_allclose(on_regression.theories["OU"], linalg.solve_continuous_lyapunov(mean, noise), rtol=1e-8)
    assert within(on_regression, gamma)
    assert on_regression.decisions["OU"].kind == "different"
    assert on_regression.decisions["regression"].kind != "different"


def test_examples_are_recognised():
    kind, (x, y, decay) = structure(regression(), np.array([0.3, -0.2]))
    assert kind == "regression"
    np.testing.assert_allclose(x[:, :, None] * x[:, None, :], X[:, :, None] * X[:, None, :], atol=1e-10)
    np.testing.assert_allclose(x * y[:, None], X * Y[:, None], atol=1e-10)
    assert decay == pytest.approx(DECAY)
    assert structure(quadratic(), np.zeros(2)) == ("constant", None)
    quartic = sg.Problem(lambda t, a: jnp.sum((t - a) ** 4) + jnp.vdot(t, t), jnp.zeros(2), X)
    assert structure(quartic, np.zeros(2)) == ("other", None)
    curved = sg.Problem(lambda t, e: 0.5 * jnp.vdot(e[0], t) ** 2 + e[1] * jnp.sum(t), jnp.zeros(2), (X, Y))
    assert structure(curved, np.zeros(2)) == ("other", None)  # its linear part isn't along x_i


def test_momentum_has_its_own_relaxation_and_covariance():
    """One dimension: the fixed point of the moments of (θ, v), by iteration."""
    eta, m, lam, c = 0.3, 0.8, 0.5, 0.7
    step = np.array([[1 - eta * lam, m], [-eta * lam, m]])
    assert module.relaxation_steps([lam], eta, m) == pytest.approx(-1 / np.log(np.abs(np.linalg.eigvals(step)).max()))
    assert module.relaxation_steps([0.001], 0.01, 0.9) == pytest.approx(0.1 / 1e-5, rel=1e-3)
    Z = np.zeros((2, 2))
    for _ in range(3000):
        Z = step @ Z @ step.T + eta**2 * c * np.ones((2, 2))
    problem = sg.Problem(lambda t, a: lam / 2 * t[0] ** 2 + a * t[0], jnp.ones(1), np.sqrt(c) * np.array([1.0, -1.0]))
    found = sg.stationary.compare(problem, sg.SGD(eta, 1, momentum=m), key=KEY, replicas=512)
    assert within(found, Z[0, 0])
    assert len(found.plot().axes) == 1
    assert found.theories["discrete"][0, 0] == pytest.approx(Z[0, 0])


@pytest.mark.parametrize(
    ("problem", "dynamics", "changes", "reason"),
    [
        (lambda: quadratic(), sg.SGD(2.5, 2), {}, "unstable"),
        (lambda: quadratic(), sg.SGD(1e-5, 2), {}, "not mixed"),
        (lambda: sg.Problem(lambda t, a: (t[0] - a) ** 2, jnp.ones(2), np.array([1.0, -1.0])), sg.SGD(0.1, 1), {},
         "singular|positive definite"),
        (lambda: sg.Problem(lambda t, a: a * t[0] ** 4 - t[0] ** 2, jnp.zeros(1), np.array([0.5, 1.0])),
         sg.SGD(0.1, 1), {}, "positive definite"),
    ],
)  # fmt: skip
def test_what_is_not_stationary_is_data(problem, dynamics, changes, reason):
    found = sg.stationary.compare(problem(), dynamics, key=KEY, replicas=16, **changes)
    assert isinstance(found.not_established, NotEstablished)
    assert any(part in found.not_established.reason for part in reason.split("|"))
    assert np.isnan(found.measured).all()
    assert "not established" in str(found)
    found.plot()
    if reason == "not mixed":
        assert found.not_established.remedy.startswith("about ")
        assert set(found.theories) == {"OU", "discrete"}


def test_errors_of_covariances_are_honest():
    """z-scores of 60 repetitions of white points: their mean square is 1 within 5 of its standard errors."""
    rng, z = np.random.default_rng(1), []
    for _ in range(60):
        _, covariance, _, errors = module.moments(rng.normal(size=(64, 5, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]]))
        z.append((covariance - np.array([[1.0, 0.5], [0.5, 1.25]]))[np.triu_indices(2)] / errors[np.triu_indices(2)])
    assert np.mean(np.square(z)) == pytest.approx(1, abs=5 * np.sqrt(2 / 120))


def test_a_drift_is_seen():
    rng = np.random.default_rng(2)
    still = rng.normal(size=(200, 20, 2))
    assert not module._drifts(still)
    assert module._drifts(still * np.linspace(1, 1.3, 20)[:, None])


def test_it_prints_plots_saves_and_loads(on_regression, tmp_path):
    on_regression.save(tmp_path / "s.nc")
    read = sg.stationary.StationaryComparison.load(tmp_path / "s.nc")
    np.testing.assert_array_equal(read.measured, on_regression.measured)
    assert str(read) == str(on_regression)
    assert len(read.plot().axes) == 2
    assert on_regression.to_xarray().attrs["versus_OU"] == "different"
    assert "differs from the SDE" in str(read)


def test_trajectories_are_drawn_over_time_and_in_the_plane(on_regression):
    problem = regression()
    run = sg.simulate(
        sg.SGD(0.5, 3), problem, num_steps=20, replicas=8, key=KEY,
        observables={"theta": lambda theta: theta, "loss": problem.loss}, params=jnp.array([2.0, 2.0]),
    )  # fmt: skip
    axes = sg.plot.trajectories(run, runs=3)
    assert axes.get_ylabel() == "loss"
    mean = axes.lines[-1].get_ydata()
    np.testing.assert_allclose(mean, run.values["loss"].mean(axis=0))
    plane = sg.plot.trajectories(run, loss=problem.loss, stationary=on_regression, runs=2)
    drawn = [patch for patch in plane.patches if hasattr(patch, "angle")]
    assert len(drawn) == 4
    # Half axes of the 95 % ellipse: √(χ²₂(95 %) × eigenvalues).
    want = 2 * np.sqrt(5.991464547 * np.linalg.eigvalsh(on_regression.measured))
    np.testing.assert_allclose([drawn[0].width, drawn[0].height], want, rtol=1e-6)
    refused(lambda: sg.plot.trajectories(run, observable="los"), "did you mean 'loss'")
    refused(lambda: sg.plot.trajectories(run, observable="theta"), "pass loss")
    refused(lambda: sg.plot.trajectories(run, stationary=on_regression), "pass loss too")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sg.stationary.compare(1, sg.SGD(0.1, 1), key=KEY), "pass a Problem"),
        (lambda: sg.stationary.compare(quadratic(), sg.SDE(0.1, 1), key=KEY), "pass sg.SGD"),
        (lambda: sg.stationary.compare(quadratic(), sg.SGD(0.1, 2, "reshuffle"), key=KEY), "epoch"),
        (lambda: sg.stationary.compare(quadratic(), sg.SGD(lambda n: 0.1, 2), key=KEY), "schedule"),
        (lambda: sg.stationary.compare(quadratic(), sg.SGD(0.1, 2), key=KEY, replicas=3), "at least 16"),
        (lambda: sg.stationary.compare(quadratic(), sg.SGD(0.1, 2), key=KEY, margin=0), "margin"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    refused(call, message)
