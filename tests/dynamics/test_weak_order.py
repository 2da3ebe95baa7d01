"""Weak orders on exact laws: a problem on the circle, all starts and several observables, no Monte Carlo.

Two losses ℓ_i(θ) = a_i cos θ + b_i sin θ + c_i cos 2θ. A scheme's law is its Markov operator on trigonometric
polynomials (the library's own step at quadrature nodes); the SDE's is the exponential of its generator. Errors are
in the sup-norm over starts and observables.
"""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import binom

import sdesgd as sg
from sdesgd.evidence import order_fit
from tests import exact
from tests.exact import RescaledSDE

COEFFICIENTS = np.array([[1.0, 0.4, 0.3], [0.5, -0.7, -0.2]])
POINTS = 127  # resolves what is left of the observables after T; 63 don't: the RK3's errors are that small
GRID = 2 * np.pi * np.arange(POINTS) / POINTS
MODES = np.fft.fftfreq(POINTS, 1 / POINTS)
TO_MODES = np.exp(-1j * np.outer(MODES, GRID)) / POINTS
OBSERVABLES = np.stack([f(k * GRID) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=1)


def loss(theta, coefficients):
    a, b, c = coefficients
    return a * jnp.cos(theta) + b * jnp.sin(theta) + c * jnp.cos(2 * theta)


def slopes(theta):
    """∇ℓ_i on the grid, by hand: (points, 2)."""
    basis = np.stack([-np.sin(theta), np.cos(theta), -2 * np.sin(2 * theta)], axis=-1)
    return basis @ COEFFICIENTS.T


def sde_law(epsilon_squared, T):
    """e^{T𝓛} on grid values, 𝓛 = −g ∂ + ½ε²C ∂²: C = ((ℓ₁' − ℓ₂')/2)² for N = 2."""
    x = slopes(GRID)
    first = (np.exp(1j * np.outer(GRID, MODES)) * (1j * MODES)) @ TO_MODES
    second = (np.exp(1j * np.outer(GRID, MODES)) * (-(MODES**2))) @ TO_MODES
    generator = -x.mean(axis=1)[:, None] * first + 0.5 * epsilon_squared * x.var(axis=1)[:, None] * second
    return expm(T * generator.real)


def one_step_law(dynamics, numbers, weights):
    """The Markov operator of the library's step on grid values."""
    problem = sg.Problem(loss, jnp.asarray(0.0), COEFFICIENTS)

    def move(theta):
        state = dynamics.init(problem, problem.params)._replace(params=theta)
        return exact.advance_all(dynamics, problem, state, numbers).params

    moved = np.asarray(jax.vmap(move)(jnp.asarray(GRID)))
    kernel = np.einsum("q,jqk->jk", weights, np.exp(1j * moved[:, :, None] * MODES))
    return (kernel @ TO_MODES).real


def gaussian_law(dynamics):
    """R dW depends on the difference of the two increments alone: one-dimensional quadrature."""
    nodes, weights = exact.gauss_hermite(1, 40)
    numbers = nodes[:, None, :] * np.array([1.0, -1.0]) / math.sqrt(2)
    return one_step_law(dynamics, numbers, weights)


def sgd_law(rate):
    """With two examples a batch is the number of times the first was drawn: binomial."""
    first = np.arange(S + 1)
    batches = (np.arange(S)[None, :] >= first[:, None]).astype(int)
    return one_step_law(sg.SGD(rate, S), batches, binom.pmf(first, S, 0.5))


def weak_error(operator, steps, law):
    return np.abs(np.linalg.matrix_power(operator, steps) @ OBSERVABLES - law @ OBSERVABLES).max()


T, S = 1.6, 16


def test_euler_has_weak_order_one_at_a_fixed_sde():
    eta = 0.4
    law, steps = sde_law(eta / S, T), np.array([16, 32, 64, 128])
    errors = [weak_error(gaussian_law(RescaledSDE(eta, S, T / n, diffrax.Euler())), n, law) for n in steps]
    fit = order_fit(T / steps, errors, correction=True)
    assert fit.low < 1 < fit.high
    assert fit.high - fit.low < 0.1


def test_rk3_has_order_three_in_the_small_noise_sense():
    """h = η at fixed S, so ε² = η/S: each of h³, ε²h², ε⁴h is O(η³)."""
    steps = np.array([8, 16, 32, 64])
    errors = [weak_error(gaussian_law(sg.SDE(T / n, S)), n, sde_law(T / n / S, T)) for n in steps]
    fit = order_fit(T / steps, errors, correction=True)
    assert fit.low < 3 < fit.high
    assert fit.high - fit.low < 0.6


def test_rk3_at_a_fixed_sde_has_order_one_with_a_constant_of_epsilon_to_the_fourth():
    """The price of one noise stage: ε⁴h remains as h → 0. (A short time: the expansion in ε asks that noise blown
    up by unstable directions stay small.)"""
    steps, horizon, errors = np.array([64, 128]), 0.4, {}
    for eta in (0.8, 0.4):
        law = sde_law(eta / S, horizon)
        operators = [gaussian_law(RescaledSDE(eta, S, horizon / n, sg.SmallNoiseRK3())) for n in steps]
        errors[eta] = [weak_error(p, n, law) for p, n in zip(operators, steps, strict=True)]
        assert math.log2(errors[eta][0] / errors[eta][1]) == pytest.approx(1, abs=0.05)
    assert errors[0.8][1] / errors[0.4][1] == pytest.approx(4, rel=0.15)


def test_at_h_equal_eta_the_rk3_resolves_the_gap_and_euler_is_the_gap():
    """The default integrator's error is far below what it measures: SGD by enumeration against the SDE."""
    eta, n = 0.1, 16
    law = sde_law(eta / S, T)
    gap = weak_error(sgd_law(eta), n, law)
    assert weak_error(gaussian_law(sg.SDE(eta, S)), n, law) < gap / 50
    gaussian = weak_error(gaussian_law(sg.GaussianSGD(eta, S)), n, law)
    euler = weak_error(gaussian_law(sg.SDE(eta, S, solver=diffrax.Euler())), n, law)
    assert gaussian == pytest.approx(euler, rel=1e-9)
    assert 0.5 < gaussian / gap < 2


@pytest.mark.parametrize("law_of_step", [sgd_law, lambda rate: gaussian_law(sg.GaussianSGD(rate, S))])
def test_sgd_and_gaussian_sgd_approach_the_sde_at_order_one(law_of_step):
    steps = np.array([8, 16, 32, 64])
    errors = [weak_error(law_of_step(T / n), n, sde_law(T / n / S, T)) for n in steps]
    fit = order_fit(T / steps, errors, correction=True)
    assert fit.low < 1 < fit.high
    assert fit.high - fit.low < 0.3
