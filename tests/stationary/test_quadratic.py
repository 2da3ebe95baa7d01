"""Stationary covariances against fixed points found another way, and bad input."""

import numpy as np
import pytest
from scipy import linalg

import sdesgd as sg

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
    [((0.1, 10, 11), "pass 1 to N"), ((-1.0, 10, 2), "pass η > 0"), ((0.1, 10, 2, "reshuffle"), "noise cancels")],
)
def test_bad_noise_scales(arguments, message):
    with pytest.raises(sg.InputError, match=message):
        sg.gradient_covariance.noise_scale(*arguments)
