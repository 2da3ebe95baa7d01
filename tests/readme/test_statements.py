"""Sentences of the README and of docstrings that no stored run holds: each by an exact law of its own."""

import jax
import numpy as np
import pytest
import sympy
from scipy import optimize, stats

import sdesgd as sg
from sdesgd import toys


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def value(x):
    """The README's tilted double well, written out."""
    return (x**2 - 1) ** 2 / 4 + x / 30


def slope(x):
    return x**3 - x + 1 / 30


# -- the odds of basins: order 1, order 2, and Gaussian SGD as it steps -------------------------------------


TOP = float(optimize.brentq(slope, -0.5, 0.5))


def left(density, x, cut=TOP):
    """P(x < cut), of masses on an equidistant grid."""
    return np.interp(cut, x, np.cumsum(density) - density / 2) / density.sum()


def gaussian_sgd(eta, T, points=601, cut=TOP):
    """P(left) of θ ← θ − ηL' + N(0, 2Tη): with C = σ² constant, T = ησ²/(2S). The kernel row by row, by hand."""
    x = np.linspace(-2.4, 2.4, points)
    kernel = stats.norm.pdf(x[None, :], (x - eta * slope(x))[:, None], np.sqrt(2 * T * eta))
    kernel /= kernel.sum(axis=1, keepdims=True)
    density = np.full(points, 1 / points)
    for _ in range(18):  # P, P², P⁴, … until the law is stationary
        kernel = kernel @ kernel
    return left(density @ kernel, x, cut)


def equation(eta, T, order, points=40_001, cut=TOP):
    """P(left) of the order's own stationary law exp(−V/T): V = L, or L + (η/4)L'²."""
    x = np.linspace(-2.4, 2.4, points)
    return left(np.exp(-(value(x) + (order - 1) * eta / 4 * slope(x) ** 2) / T), x, cut)


def log_odds(p):
    return np.log(p / (1 - p))


def test_order_two_has_the_odds_of_basins_to_order_eta_and_order_one_has_not():
    T, error = 0.1, {1: [], 2: []}
    for eta in (0.1, 0.05, 0.025):
        own = log_odds(gaussian_sgd(eta, T))
        for order in error:
            error[order].append(abs(log_odds(equation(eta, T, order)) - own))
    ratios = {order: np.array(e[:-1]) / np.array(e[1:]) for order, e in error.items()}
    np.testing.assert_allclose(ratios[1], 2, atol=0.5)
    assert (ratios[2] > 3).all()
    assert (np.array(error[2]) < np.array(error[1])).all()
    # P(x < 0), by others: 0.6417, 0.6426, 0.6439.
    found = gaussian_sgd(0.1, T, cut=0), equation(0.1, T, 2, cut=0), equation(0.1, T, 1, cut=0)
    assert found == pytest.approx((0.6417, 0.6426, 0.6439), abs=3e-4)


def test_a_wrong_sign_of_the_correction_would_be_seen():
    T, eta = 0.1, 0.05
    x = np.linspace(-2.4, 2.4, 40_001)
    wrong = left(np.exp(-(value(x) - eta / 4 * slope(x) ** 2) / T), x)
    own = log_odds(gaussian_sgd(eta, T))
    assert abs(log_odds(wrong) - own) > abs(log_odds(equation(eta, T, 1)) - own)


@pytest.mark.parametrize(("T", "gaussian", "sde"), [(0.1, 0.0058, 0.0036), (0.056, 0.0160, 0.0143)])
def test_for_rare_events_gaussian_sgd_may_be_farther_from_sgd_than_the_sde(T, gaussian, sde):
    """Its own part and the finite step's have opposite signs here; values by others."""
    x, eta, S = sympy.Symbol("x"), 0.1, 2
    well = toys.from_sympy((x**2 - 1) ** 2 / 4 + x / 30, [x], [(-2, 2)], "tilted", minima=[[-1], [1]])
    problem = toys.tilted(well, toys.tilts_of(toys.tilt_variance(T, eta, S)))
    found = {}
    for dynamics in (sg.SGD(eta, S), sg.GaussianSGD(eta, S)):
        operator = sg.stationary.transfer_operator(problem, dynamics, well.box, (600,))
        density = np.asarray(operator.stationary())
        found[type(dynamics).__name__] = left(density, np.asarray(operator.points)[:, 0], cut=0)
    assert found["GaussianSGD"] == pytest.approx(gaussian_sgd(eta, T, cut=0), abs=1e-5)
    of_gaussian, of_sde = (abs(found["SGD"] - p) for p in (found["GaussianSGD"], equation(eta, T, 1, cut=0)))
    assert of_gaussian > of_sde
    assert (of_gaussian, of_sde) == pytest.approx((gaussian, sde), abs=4e-4)
