"""Densities on a grid against closed forms and adaptive quadrature, SGD's exact law, and a simulated SDE."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy as sp
from scipy import integrate

import sdesgd as sg
from sdesgd import toys
from sdesgd.landscape import Landscape, landscape_of
from sdesgd.stationary import gibbs_density, ito_density, transfer_operator

u, v, w = sp.symbols("u v w")
WELLS = toys.potential("double-well")


# -- Gibbs -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("D", [1, 2, 3])
def test_gibbs_moments_on_a_quadratic(D):
    """p ∝ exp(−θᵀHθ/2T) has covariance T H⁻¹."""
    H = np.array([[1.0, 0.3, 0.1], [0.3, 2.0, -0.4], [0.1, -0.4, 1.5]])[:D, :D]
    x = sp.Matrix([u, v, w][:D])
    landscape = toys.from_sympy(sp.expand((x.T * sp.Matrix(H) * x)[0] / 2), list(x), [(-2.2, 2.2)] * D)
    density = gibbs_density(landscape, 0.1)
    assert density.masses.sum() == pytest.approx(1)
    products = density.points[:, :, None] * density.points[:, None]
    got = [[density.expectation(products[:, i, j]) for j in range(D)] for i in range(D)]
    np.testing.assert_allclose(got, 0.1 * np.linalg.inv(H), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("T", [0.03, 0.1, 0.4])
def test_gibbs_occupancy(T):
    """Each well's share, by adaptive quadrature; at T = 0.4 the ready box is too small and is widened."""
    potential = toys.potential("asymmetric")
    weight = lambda x: np.exp(-float(potential.value(np.array([x]))) / T)  # noqa: E731
    ends, top = (-3.5, 3.5), 0.0
    left, right = (
        integrate.quad(weight, a, b, limit=200, epsabs=0, epsrel=1e-10)[0] for a, b in ((ends[0], top), (top, ends[1]))
    )
    density = gibbs_density(potential, T)
    x = density.points[:, 0]
    want = right / (left + right)
    assert density.probability(x > top) == pytest.approx(want, abs=1e-4)
    shares = density.by_label(np.where(x > 1.5, -1, (x > top).astype(int)), 2)
    assert shares[0] == pytest.approx(1 - want, abs=1e-4)
    assert shares.sum() == pytest.approx(1 - density.probability(x > 1.5), abs=1e-12)
    assert density.densities[len(x) // 2] == pytest.approx(weight(x[len(x) // 2]) / (left + right), rel=1e-4)
    assert (T < 0.3) == (density.axes[0][0] >= -2.6)


def test_gibbs_of_a_problem():
    """The landscape of a finite sum: its params are any pytree; its box is the caller's."""
    params = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    problem = sg.Problem(lambda p, y: 0.5 * ((p["a"] - y) ** 2 + 3 * p["b"] ** 2), params, np.array([-1.0, 1.0]))
    density = gibbs_density(landscape_of(problem), 0.1, box=[(-2, 2), (-1.5, 1.5)], points=(201, 151))
    assert density.masses.shape == (201, 151)
    second = [density.expectation(x**2) for x in density.points.T]
    np.testing.assert_allclose(second, [0.1, 0.1 / 3], rtol=1e-7)


# -- Itô ---------------------------------------------------------------------------------------------------

# ½(xθ − y)² with x = 1, 2 and residuals ±: at the minimum 0 the cross term vanishes, C = c₀ + c₁θ².
DESIGN = np.array([[1.0, 0.7], [1.0, -0.7], [2.0, 0.5], [2.0, -0.5]])


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement"])
def test_ito_density_of_a_regression(sampling):
    """p ∝ (1 + c₁θ²/c₀)^{−1−λS/(ηfc₁)}, and E θ² = ηfc₀/(2λS − ηfc₁)."""
    eta, S = 0.2, 3
    f = 1.0 if sampling == "replacement" else 1 / 3
    problem = sg.Problem(lambda p, e: 0.5 * (e[0] * p - e[1]) ** 2, jnp.asarray(0.0), DESIGN)
    squares, pushes = DESIGN[:, 0] ** 2, DESIGN[:, 0] * DESIGN[:, 1]
    lam, c1, c0 = squares.mean(), squares.var(), np.mean(pushes**2)
    density = ito_density(problem, eta, S, (-6, 6), 8001, sampling)
    x = density.points[:, 0]
    assert density.expectation(x**2) == pytest.approx(eta * f * c0 / (2 * lam * S - eta * f * c1), rel=1e-6)
    power = lambda t: (1 + c1 * t**2 / c0) ** (-1 - lam * S / (eta * f * c1))  # noqa: E731
    total = integrate.quad(power, -50, 50, points=[0], limit=200)[0]
    np.testing.assert_allclose(density.densities, power(x) / total, rtol=1e-6, atol=1e-12)


def phi(theta):
    """φ′ = 1 + 0.4 tanh θ is never 0; it is larger on the right."""
    return theta[0] + 0.4 * jnp.log(jnp.cosh(theta[0]))


def modulated(T, eta, S):
    """The symmetric double well with C = (2ST/η) φ′²: at fixed T, η/S times C doesn't depend on η."""
    root = np.sqrt(toys.tilt_variance(T, eta, S))
    return toys.modulated(WELLS, phi, [root, -root], params=[0.0])


def analytic(T, power):
    """p ∝ C^{−power} exp(−∫ V′/(T φ′²)): power 1 for Itô, ½ for Stratonovich; adaptive quadrature, (p(x), P(x > 0))."""
    slope = lambda x: (1 + 0.4 * np.tanh(x)) ** 2  # noqa: E731
    x = np.linspace(-2.6, 2.3, 4901)
    steps = [integrate.quad(lambda t: t * (t**2 - 1) / slope(t) / T, a, b)[0] for a, b in itertools.pairwise(x)]
    weights = slope(x) ** -power * np.exp(-np.concatenate([[0], np.cumsum(steps)]))
    return x, weights / weights.sum(), weights[x > 0].sum() / weights.sum()


def test_state_dependent_noise_by_the_exact_law_of_sgd():
    """At fixed T the law of SGD, without Monte Carlo, tends to the Itô density linearly in η; no Gibbs law is near.

    V is even, so every Gibbs law, the one of the mean temperature too, has half of its mass on the right.
    """
    T, S = 0.1, 2
    x, want, on_the_right = analytic(T, 1)
    density = ito_density(modulated(T, 0.1, S), 0.1, S, (-2.6, 2.3))
    grid = density.points[:, 0]
    np.testing.assert_allclose(density.densities, np.interp(grid, x, want) / (x[1] - x[0]), rtol=1e-4, atol=1e-5)
    assert density.probability(grid > 0) == pytest.approx(on_the_right, abs=2e-4)
    gibbs = gibbs_density(WELLS, T)
    assert gibbs.probability(gibbs.points[:, 0] > 0) == pytest.approx(0.5, abs=1e-4)
    smooth = want @ np.tanh(4 * x)  # the probability on the right less that on the left, without a sharp edge
    gaps, spread = [], []
    for eta in (0.04, 0.02, 0.01):
        operator = transfer_operator(modulated(T, eta, S), sg.SGD(eta, S), ((-2.6, 2.3),), (700,))
        law, at = operator.stationary(), operator.points[:, 0]
        gaps.append(law @ np.tanh(4 * at) - smooth)
        ito = np.interp(at, x, want)
        spread.append(0.5 * np.abs(law - ito / ito.sum()).sum())
    assert on_the_right < 0.1
    assert abs(law[at > 0].sum() - on_the_right) < 0.001
    # Half of η, half of the gap and of the distance in total variation: nothing is left of them at η = 0.
    for distances in (gaps, spread):
        np.testing.assert_allclose(np.divide(distances[:-1], distances[1:]), 2, rtol=0.1)
    assert spread[-1] < 0.01


@jax.jit
def right(theta):
    return jnp.where(theta[0] > 0, 1.0, 0.0)


@pytest.mark.slow
def test_state_dependent_noise_by_the_sde():
    """sg.SDE's share of time on the right within 4 standard errors of Itô's, which Gibbs and Stratonovich miss by 10.

    Steps of η/4: with noise of a fixed size the integrator is off by O(h), a tenth of the standard error here. The
    first 50 units of time, 7 relaxation times, are dropped.
    """
    T, eta, S = 0.2, 0.05, 2
    options: dict[str, Any] = {"num_steps": 2400, "save_every": 100, "replicas": 600, "key": jr.key(5)}
    dynamics = sg.SDE(eta, S, substeps=4)
    runs = sg.simulate(dynamics, modulated(T, eta, S), observables={"right": right}, **options)
    share = runs.values["right"][:, 11:].mean(axis=1)
    error = share.std(ddof=1) / np.sqrt(len(share))
    want, stratonovich = analytic(T, 1)[2], analytic(T, 0.5)[2]
    assert abs(share.mean() - want) < 4 * error
    assert min(abs(want - 0.5), abs(want - stratonovich)) > 10 * error


# -- refusals ----------------------------------------------------------------------------------------------

FLAT = Landscape("flat", lambda x: 0.0 * x[0], 1)
STEEP = Landscape("steep", lambda x: -x[0], 1)
BROKEN = Landscape("broken", lambda x: jnp.log(x[0]), 1)
FOUR = Landscape("four", lambda x: jnp.vdot(x, x), 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((WELLS, 0.0), "pass T > 0"),
        ((WELLS, float("nan")), "pass T > 0"),
        ((FOUR, 1.0), "sample with sample_gibbs"),
        ((FLAT, 1.0), "has no box"),
        ((FLAT, 1.0, [(-1, 1)]), "pass a larger box"),
        ((STEEP, 0.1, [(-9, 9)]), "can't be normalised"),
        ((BROKEN, 1.0, [(-1, 1)]), "not finite everywhere"),
        ((WELLS, 0.1, [(2, -2)]), "low < high"),
        ((WELLS, 0.1, [(-2, 2), (-2, 2)]), "along each of 1 axes"),
        ((WELLS, 0.1, [(-1.3, 2)]), "pass a larger box"),
        ((WELLS, 0.1, None, 5), "at least 9"),
        ((WELLS, 0.1, None, (50, 50)), "at least 9, or as many"),
        ((WELLS, 1e-4, None, 41), "too coarse"),
    ],
)
def test_bad_gibbs_input(arguments, message):
    with pytest.raises(sg.InputError, match=message):
        gibbs_density(*arguments)


def test_a_landscape_without_a_floor_is_refused_after_widening():
    box = ((-1.0, 1.0),)
    with pytest.raises(sg.InputError, match="can't be normalised"):
        gibbs_density(toys.Potential("slope", STEEP.value, 1, box), 0.1)


GOOD: dict[str, Any] = {
    "problem": modulated(0.1, 0.1, 2),
    "learning_rate": 0.1,
    "batch_size": 2,
    "box": (-2.6, 2.3),
}
ODD = toys.modulated(WELLS, lambda theta: theta[0] ** 2, [1.0, -1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": ODD}, "C vanishes near θ = "),
        ({"problem": ODD, "box": (-2.5, 2.6), "points": 501}, "C vanishes near θ = "),
        ({"problem": toys.tilted(toys.potential("ring"), np.zeros((2, 2)), [1.0, 0.0])}, "pass one float64 parameter"),
        ({"problem": sg.Problem(lambda p, e: p**2, jnp.zeros((), "float32"), np.ones(2))}, "1 parameters of float32"),
        ({"problem": sg.Problem(lambda p, e, k: p**2, jnp.zeros(()), np.ones(2), stochastic=True)}, "draws masks"),
        ({"learning_rate": 0.0}, "pass η > 0"),
        ({"batch_size": 0}, "at least 1"),
        ({"sampling": "reshuffle"}, "noise cancels"),
        ({"sampling": "no_replacement"}, "no noise"),
        ({"box": (-1.2, 1.2)}, "pass a larger box"),
        ({"points": 5}, "at least 9"),
    ],
)
def test_bad_ito_input(change, message):
    with pytest.raises(sg.InputError, match=message):
        ito_density(**(GOOD | change))


def test_grid_functions_check_their_arguments():
    density = gibbs_density(WELLS, 0.1, points=401)
    for call, message in (
        (lambda: density.expectation(np.ones(3)), "one for each of the 401"),
        (lambda: density.probability(np.ones(401)), "pass bools"),
        (lambda: density.by_label(np.full(401, 2), 2), "for count 2"),
    ):
        with pytest.raises(sg.InputError, match=message):
            call()


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(sg.InputError, match="enable_x64"):
        gibbs_density(WELLS, 0.1)
