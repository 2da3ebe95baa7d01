"""The library against the derived formulas: they know nothing of each other and must agree."""

import diffrax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from derivations import claim
from sdesgd.dynamics.protocol import finite_population_factor
from tests import exact
from tests.dynamics.test_solvers import SLOPES, gbm_problem
from tests.exact import RescaledSDE

H = np.array([[1.5, 0.4], [0.4, 0.7]])
C = np.array([[2.0, -0.6], [-0.6, 0.5]])


def derived(name, **values):
    """The formula of a claim at named arguments."""
    found = claim(name)
    by_name = {str(a): values[str(a).replace("lambda", "lam")] for a in found.arguments}
    return np.asarray(found.function("numpy")(*by_name.values()), float)


@pytest.mark.parametrize(("N", "S"), [(50, 7), (5, 5), (8, 1)])
def test_noise_scale_and_finite_population_factor(N, S):
    g = sg.gradient_noise.noise_scale(0.3, N, S)
    assert g == pytest.approx(float(derived("noise-scale", eta=0.3, N=N, S=S)), rel=1e-12)
    f = finite_population_factor(N, S, "no_replacement")
    assert f / S == pytest.approx(float(derived("covariance-without-replacement", N=N, S=S, C=1.0)), rel=1e-12)
    assert finite_population_factor(N, S, "replacement") / S == float(
        derived("covariance-with-replacement", S=S, C=1.0)
    )
    # One process: (g/N) F = f (η/S) C with F = C N/(N−1).
    assert g / N * N / (N - 1) == pytest.approx(f * 0.3 / S, rel=1e-12)


def test_weights_of_gaussian_sgd():
    """Their covariance, from the library's own step on linear losses, whose gradients are unit vectors."""
    N, S = 4, 2
    problem = sg.Problem(lambda theta, x: theta @ x, np.zeros(N), np.eye(N))
    for sampling, row in (("replacement", 0), ("no_replacement", 1)):
        dynamics = sg.GaussianSGD(1.0, S, sampling)
        nodes, probabilities = exact.gauss_hermite(N, 2)
        state = dynamics.init(problem, problem.params)
        steps = -np.asarray(exact.advance_all(dynamics, problem, state, nodes[:, None, :]).params)
        mean, covariance = exact.moments(steps, probabilities)
        variance, shared = derived("finite-sum-weights", N=N, S=S)[row]
        np.testing.assert_allclose(mean, 1 / N, rtol=1e-12)
        np.testing.assert_allclose(np.diag(covariance), variance, rtol=1e-10)
        np.testing.assert_allclose(covariance[~np.eye(N, dtype=bool)], shared, rtol=1e-10)


def test_svag_coefficients():
    """From the library's own step: a batch of −1 and one of +1 give the difference of the coefficients."""
    ell = 7
    high, low = derived("svag-coefficients", ell=ell).ravel()
    problem = sg.Problem(lambda theta, x: theta * x, jnp.asarray(0.0), np.array([0.0, 1.0]))
    dynamics = sg.SVAG(1.0, 1, ell)
    state = dynamics.init(problem, problem.params)
    draws = np.zeros((2, ell, 2, 1), int)
    draws[0, 0, 0], draws[1, 0, 1] = 1, 1  # the first or the second batch of the first inner step is example 1
    moved = -ell * np.asarray(exact.advance_all(dynamics, problem, state, draws).params)
    np.testing.assert_allclose(moved, [high, low], rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_stationary_covariances(momentum):
    """In the eigenbasis of H, entry by entry; H and C do not commute."""
    eta, S = 0.2, 4
    values, vectors = np.linalg.eigh(H)
    rotated = vectors.T @ C @ vectors
    found = vectors.T @ sg.stationary.discrete_covariance(H, C, eta, S, momentum) @ vectors
    names = {"lam_i": values[:, None], "lam_j": values[None, :], "C_ij": rotated, "eta": eta, "S": S}
    np.testing.assert_allclose(found, derived("discrete-covariance", **names, m=momentum), rtol=1e-10)
    if not momentum:
        found = vectors.T @ sg.stationary.ou_covariance(H, C, eta, S) @ vectors
        np.testing.assert_allclose(found, derived("lyapunov-covariance", **names), rtol=1e-10)
    loss = 0.5 * np.trace(H @ sg.stationary.discrete_covariance(H, C, eta, S, momentum))
    each = derived("expected-loss-discrete", lam_i=values, C_ii=np.diag(rotated), eta=eta, S=S, m=momentum)
    assert loss == pytest.approx(each.sum(), rel=1e-10)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_variance_of_the_heavy_ball(momentum):
    eta, S, lam, c = 0.3, 2, 1.7, 0.9
    found = sg.stationary.discrete_covariance([[lam]], [[c]], eta, S, momentum)[0, 0]
    want = float(derived("heavy-ball-variance", eta=eta, S=S, lam=lam, c=c, m=momentum))
    assert found == pytest.approx(want, rel=1e-12)
    # And the ensemble of the library's own SGD, started at rest in the minimum, tilts of variance c.
    problem = sg.Problem(
        lambda theta, a: 0.5 * lam * theta**2 + a * theta, jnp.asarray(0.0), np.sqrt(c) * np.array([-1.0, 1.0])
    )
    replicas = 3000
    out = sg.simulate(
        sg.SGD(eta, S, momentum=momentum),
        problem,
        num_steps=120,
        save_every=120,
        replicas=replicas,
        key=jr.key(3),
        observables={"square": lambda theta: theta**2},
    )
    last = np.asarray(out.values["square"])[:, -1]
    assert abs(last.mean() - want) < 4.5 * last.std(ddof=1) / np.sqrt(replicas)


def test_gbm_moments_and_the_one_step_errors_of_the_rk3():
    """One step of the solver on geometric Brownian motion, over Gauss-Hermite nodes: short of the exact moments by the
    derived leading errors, up to higher orders; Euler's step is off by other amounts."""
    problem, eta, S = gbm_problem(), 0.4, 1
    a, s = SLOPES.mean(), SLOPES.std()
    epsilon = np.sqrt(eta / S)
    nodes, probabilities = exact.gauss_hermite(len(SLOPES), 8)
    for h in (0.02, 0.01):
        exact_mean, exact_second, _ = derived("gbm-moments", t=h, a=a, s=epsilon * s, x_0=1.0).ravel()
        errors = {}
        for solver in (sg.SmallNoiseRK3(), diffrax.Euler()):
            dynamics = RescaledSDE(eta, S, h, solver)
            state = dynamics.init(problem, problem.params)
            theta = np.asarray(exact.advance_all(dynamics, problem, state, nodes[:, None, :]).params)
            errors[type(solver).__name__] = exact_mean - probabilities @ theta, exact_second - probabilities @ theta**2
        want_mean, want_second = derived("rk3-small-noise-moments", h=h, varepsilon=epsilon, a=a, s=s).ravel()
        assert errors["SmallNoiseRK3"][0] == pytest.approx(want_mean, rel=a * h)
        assert errors["SmallNoiseRK3"][1] == pytest.approx(want_second, rel=8 * a * h)
        assert abs(errors["Euler"][0]) > 100 * want_mean
