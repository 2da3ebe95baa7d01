"""How fast the SDEs approach SGD's own law, on a quadratic with constant covariance: exact moments, no Monte Carlo.

Mean and covariance after a fixed time, by the library's own step (its Jacobians), against the heavy ball's.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.dynamics.protocol import MaskedDraw
from sdesgd.evidence import order_fit

H = np.array([[1.3, 0.2], [0.2, 0.6]])
TILTS = np.array([[1.0, 0.5], [-0.4, 0.3], [-0.6, -0.8]])
START = np.array([1.0, -0.7])


def loss(theta, tilt):
    return 0.5 * theta @ jnp.asarray(H) @ theta + tilt @ theta


PROBLEM = sg.Problem(loss, START, TILTS)


def moments(dynamics, steps):
    """Mean of θ and its covariance ÷ η after some steps from START at rest."""
    has_velocity = dynamics.init(PROBLEM, PROBLEM.params).velocity is not None
    substeps, size = getattr(dynamics, "substeps", 1), 4 if has_velocity else 2

    def step(y, z):
        state = dynamics.init(PROBLEM, PROBLEM.params)._replace(params=y[:2])
        state = state._replace(velocity=y[2:]) if has_velocity else state
        new = dynamics.advance(PROBLEM, state, MaskedDraw(z.reshape(substeps, -1), None), jnp.asarray(0))
        return jnp.concatenate([new.params, new.velocity]) if has_velocity else new.params

    at = jnp.zeros(size), jnp.zeros(substeps * len(TILTS))
    P, B = (np.asarray(jax.jit(jax.jacobian(step, k))(*at)) for k in (0, 1))
    noise = B @ B.T / substeps
    mean, covariance = np.zeros(size), np.zeros((size, size))
    mean[:2] = START
    for _ in range(steps):
        mean, covariance = P @ mean, P @ covariance @ P.T + noise
    return mean[:2], covariance[:2, :2]


def errors(make_sde, make_sgd, rates, time_of):
    out = []
    for eta in rates:
        steps = round(time_of(eta))
        (mean, covariance), (want, want_covariance) = (moments(make(eta), steps) for make in (make_sde, make_sgd))
        relative = np.abs(covariance - want_covariance).max() / np.abs(want_covariance).max()
        out.append((np.abs(mean - want).max(), relative))
    return np.array(out).T


@pytest.mark.slow
@pytest.mark.parametrize(("order", "slope"), [(1, 0.5), (2, 1.0)])
def test_momentum_orders(order, slope):
    """γ = (1−m)/√η fixed, inner time fixed: slope ½ in η for order 1; 1 for order 2, in the covariance too.

    (With order 1's noise and order 2's drift the covariance has slope ½ and a larger error than order 1.)
    """
    rates = np.array([1 / 100, 1 / 400, 1 / 1600, 1 / 6400])
    momentum = lambda eta: 1 - 1.6 * np.sqrt(eta)  # noqa: E731
    both = errors(
        lambda eta: sg.SDE(eta, 1, momentum=momentum(eta), order=order, solver=sg.SmallNoiseRK3()),
        lambda eta: sg.GaussianSGD(eta, 1, momentum=momentum(eta)),
        rates,
        lambda eta: 2 / np.sqrt(eta),
    )
    for found in both:
        fit = order_fit(rates, found)
        assert fit.order == pytest.approx(slope, abs=0.12)
    assert both[1][0] < {1: 0.1, 2: 0.02}[order], "relative error of the covariance at the largest rate"


@pytest.mark.slow
@pytest.mark.parametrize(("order", "slope"), [(1, 1.0), (2, 2.0)])
def test_orders_without_momentum_in_the_mean(order, slope):
    """At fixed time the mean approaches SGD's at the order of the equation."""
    rates = np.array([0.2, 0.1, 0.05, 0.025])
    found, covariance = errors(
        lambda eta: sg.SDE(eta, 1, order=order, substeps=2),
        lambda eta: sg.GaussianSGD(eta, 1),
        rates,
        lambda eta: 2 / eta,
    )
    assert order_fit(rates, found, correction=True).order == pytest.approx(slope, abs=0.1)
    assert covariance[-1] < 0.1


def test_order_2_is_worse_at_stationarity():
    """λ = 1: the variance moves by +ηλ/2 for SGD, by −ηλ/2 for the order-2 equation, relative to ησ²/(2λS)."""
    problem = sg.Problem(lambda x, b: 0.5 * x**2 + b * x, jnp.asarray(1.0), np.array([1.0, -1.0]))
    eta = 0.02

    def variance(dynamics):
        def step(x, z):
            state = dynamics.init(problem, problem.params)._replace(params=x)
            return dynamics.advance(problem, state, MaskedDraw(z.reshape(-1, 2), None), jnp.asarray(0)).params

        P, B = (np.asarray(jax.jacobian(step, k)(jnp.asarray(0.0), jnp.zeros(2))) for k in (0, 1))
        return float(B @ B / (1 - P**2)) / (eta / 2)

    assert variance(sg.GaussianSGD(eta, 1)) - 1 == pytest.approx(eta / 2, rel=0.05)
    assert variance(sg.SDE(eta, 1)) - 1 == pytest.approx(0, abs=1e-3)
    assert variance(sg.SDE(eta, 1, order=2)) - 1 == pytest.approx(-eta / 2, rel=0.05)
