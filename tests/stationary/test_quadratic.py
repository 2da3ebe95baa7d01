"""Stationary covariances against fixed points found another way and against SGD itself, and bad input."""

from typing import Any

import jax.random as jr
import numpy as np
import pytest
import sympy as sp
from scipy import linalg

import sdesgd as sg
from sdesgd import toys

H = np.array([[1.5, 0.4, 0.0], [0.4, 0.7, 0.1], [0.0, 0.1, 2.2]])
C = np.array([[2.0, -0.6, 0.3], [-0.6, 0.5, 0.0], [0.3, 0.0, 1.0]])


def propagated(step, noise, steps=4000):
    sigma = np.zeros_like(noise)
    for _ in range(steps):
        sigma = step @ sigma @ step.T + noise
    return sigma


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_discrete_covariance_is_what_many_steps_lead_to(momentum):
    """The recursion of (θ, u) with u the displacement, in the order u ← m u − η(Hθ + ξ), θ ← θ + u."""
    eta, S, D = 0.3, 5, 3
    friction = np.block([[np.eye(D), np.zeros((D, D))], [-eta * H, momentum * np.eye(D)]])
    move = np.block([[np.eye(D), np.eye(D)], [np.zeros((D, D)), np.eye(D)]])
    kick = np.zeros((2 * D, 2 * D))
    kick[D:, D:] = eta**2 / S * C
    want = propagated(move @ friction, move @ kick @ move.T)[:D, :D]
    np.testing.assert_allclose(sg.stationary.discrete_covariance(H, C, eta, S, momentum), want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_ou_covariance_is_the_limit_of_small_rates(momentum):
    """η → 0 at fixed η/S (fractional S stands for it through C), with momentum at fixed γ = (1−m)/√η."""
    ratio = 0.1
    gaps = []
    for eta in (1e-2, 1e-3):
        m = 0.0 if momentum == 0 else 1 - 0.9 * np.sqrt(eta)
        scaled = C * ratio / eta
        ou = sg.stationary.ou_covariance(H, scaled, eta, 1, m)
        discrete = sg.stationary.discrete_covariance(H, scaled, eta, 1, m)
        gaps.append(np.abs(discrete / ou - 1).max())
    assert gaps[0] < (0.02 if momentum == 0 else 0.3)
    assert gaps[1] < gaps[0] / (8 if momentum == 0 else 2.5)


def test_ou_covariance_by_integration():
    """Γ = ∫ e^{−Ht} (η/S)C e^{−Ht} dt, by the trapezoid rule on matrix exponentials."""
    times = np.linspace(0, 60, 60001)
    step = linalg.expm(-H * times[1])
    current, values = np.eye(3), []
    for _ in times:
        values.append(current @ C @ current.T)
        current = step @ current
    want = 0.2 / 4 * np.trapezoid(values, times, axis=0)
    np.testing.assert_allclose(sg.stationary.ou_covariance(H, C, 0.2, 4), want, rtol=1e-5, atol=1e-8)


def test_momentum_and_commuting_matrices():
    """H and C of one basis: the covariance is that without momentum, divided by 1 − m; not so otherwise."""
    commuting = H @ H + 0.1 * np.eye(3)
    plain = sg.stationary.ou_covariance(H, commuting, 0.2, 4)
    heavy = sg.stationary.ou_covariance(H, commuting, 0.2, 4, 0.5)
    np.testing.assert_allclose(heavy, plain / 0.5, rtol=1e-9, atol=1e-12)
    other = sg.stationary.ou_covariance(H, C, 0.2, 4, 0.5) * 0.5 / sg.stationary.ou_covariance(H, C, 0.2, 4)
    assert np.abs(other - 1).max() > 1e-3


def test_temperature_is_the_variance_of_a_unit_well():
    assert sg.stationary.temperature(3.0, 0.1, 5) == pytest.approx(
        sg.stationary.ou_covariance([[1.0]], [[3.0]], 0.1, 5)[0, 0]
    )
    assert sg.stationary.temperature(3.0, 0.1, 5, 0.9) == pytest.approx(
        sg.stationary.ou_covariance([[1.0]], [[3.0]], 0.1, 5, 0.9)[0, 0]
    )


@pytest.mark.parametrize(
    ("H", "C", "options", "message"),
    [
        ([[1.0, 0.5], [0.0, 1.0]], np.eye(2), {}, "H is not symmetric"),
        ([[1.0, 0.0], [0.0, 0.0]], np.eye(2), {}, "add weight decay"),
        (np.eye(2), np.eye(3), {}, "C has shape"),
        (np.eye(2), -np.eye(2), {}, "a covariance has none"),
        (np.eye(2), [[1.0, np.nan], [np.nan, 1.0]], {}, "NaN or infinite"),
        (np.eye(2), np.eye(2), {"learning_rate": 2.0}, "pass a learning rate below 2"),
        (np.eye(2), np.eye(2), {"learning_rate": 0.0}, "pass η > 0"),
        (np.eye(2), np.eye(2), {"batch_size": 0}, "at least 1"),
        (np.eye(2), np.eye(2), {"momentum": 1.0}, "0 ≤ m < 1"),
    ],
)
def test_bad_input(H, C, options, message):
    with pytest.raises(sg.InputError, match=message):
        sg.stationary.discrete_covariance(H, C, **({"learning_rate": 0.1, "batch_size": 2} | options))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.1, 10, 11), "pass 1 to N"),
        ((-1.0, 10, 2), "pass a positive finite number"),
        ((0.1, 10, 2, "reshuffle"), "noise cancels"),
    ],
)
def test_bad_noise_scales(arguments, message):
    with pytest.raises(sg.InputError, match=message):
        sg.gradient_noise.noise_scale(*arguments)


# -- SGD itself --------------------------------------------------------------------------------------------

CURVATURE = np.array([[1.4, 0.5], [0.5, 0.6]])
NOISE = np.array([[1.0, -0.6], [-0.6, 1.5]])
_u, _v = sp.symbols("u v")
PLANE = toys.from_sympy((1.4 * _u**2 + _u * _v + 0.6 * _v**2) / 2, [_u, _v], [(-3, 3), (-3, 3)])


def place(theta):
    return theta


def simulated(momentum, eta, S, num_steps, save_every):
    """θ (R, T, 2) of 2,000 runs of SGD on tilted copies of a quadratic, past a burn-in of 200 steps."""
    problem = toys.tilted(PLANE, toys.tilts_of(NOISE), params=[0.0, 0.0])
    options: dict[str, Any] = {"num_steps": num_steps, "save_every": save_every, "replicas": 2000, "key": jr.key(3)}
    runs = sg.simulate(sg.SGD(eta, S, momentum=momentum), problem, observables={"theta": place}, **options)
    return runs.values["theta"][:, 200 // save_every :]


def assert_agrees(samples, want, bound):
    """Means over (R, …) replicas within ``bound`` standard errors; returns those."""
    errors = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - want) < bound * errors).all()
    return errors


@pytest.mark.parametrize(("momentum", "eta", "S"), [(0.0, 0.6, 2), (0.9, 1.2, 3)])
def test_discrete_covariance_is_that_of_sgd(momentum, eta, S):
    """Within 3 standard errors, of at most 1 %, where the OU value is off by more than 20 % in the loss."""
    want = sg.stationary.discrete_covariance(CURVATURE, NOISE, eta, S, momentum)
    theta = simulated(momentum, eta, S, 600, 20)
    errors = assert_agrees(np.einsum("rti,rtj->rij", theta, theta) / theta.shape[1], want, 3)
    assert (errors < 0.01 * np.sqrt(np.outer(np.diag(want), np.diag(want)))).all()
    ou = sg.stationary.ou_covariance(CURVATURE, NOISE, eta, S, momentum)
    assert np.trace(CURVATURE @ ou) < 0.8 * np.trace(CURVATURE @ want)


def test_rotation_is_that_of_sgd():
    """½ Σ (θ Δθᵀ − Δθ θᵀ)/η over consecutive steps; the sense is known by more than 20 standard errors."""
    eta, S = 0.7, 2
    theta = simulated(0.0, eta, S, 400, 1)
    now, move = theta[:, :-1], np.diff(theta, axis=1)
    turning = (now[..., 0] * move[..., 1] - now[..., 1] * move[..., 0]).mean(axis=1) / (2 * eta)
    covariance = sg.stationary.discrete_covariance(CURVATURE, NOISE, eta, S)
    want = sg.stationary.rotation(CURVATURE, covariance)
    error = assert_agrees(turning, want[0, 1], 4)
    assert abs(want[0, 1]) > 20 * error
    assert want[1, 0] == -want[0, 1]
    # The OU covariance gives another value at this η.
    other = sg.stationary.rotation(CURVATURE, sg.stationary.ou_covariance(CURVATURE, NOISE, eta, S))
    assert abs(other[0, 1] - want[0, 1]) > 4 * error


def test_rotation_in_the_eigenbasis():
    """Of the OU law: −(η/2S) C_ij (λ_j − λ_i)/(λ_i + λ_j), and 0 where H and C commute."""
    values, axes = np.linalg.eigh(H)
    inner = axes.T @ C @ axes
    want = -0.2 / 8 * inner * (values[None] - values[:, None]) / (values[None] + values[:, None])
    got = sg.stationary.rotation(H, sg.stationary.ou_covariance(H, C, 0.2, 4))
    np.testing.assert_allclose(axes.T @ got @ axes, want, atol=1e-14)
    commuting = sg.stationary.ou_covariance(H, H @ H, 0.2, 4)
    np.testing.assert_allclose(sg.stationary.rotation(H, commuting), np.zeros((3, 3)), atol=1e-14)
    with pytest.raises(sg.InputError, match="covariance is not symmetric"):
        sg.stationary.rotation(np.eye(2), [[1.0, 0.5], [0.0, 1.0]])
