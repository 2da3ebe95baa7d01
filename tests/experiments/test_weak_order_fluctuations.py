"""What weak-order says of gradient flow and of variances: brute force, closed forms, and slips that means can't see."""

import dataclasses
import itertools
import math

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import sdesgd as sg
from experiments.weak_order import compute as weak_order
from experiments.weak_order import laws
from experiments.weak_order.config import Config
from experiments.weak_order.result import Result
from experiments.weak_order.slopes import COMPARISONS, measure

pytestmark = pytest.mark.slow

CONFIG = Config(steps="12,24,48,96", ells="1,4,16,64", batch_size=2)
CIRCLE = laws.Circle()


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def slopes_of(theta):
    """(3, ...): ℓ_i' on the circle, written out."""
    a, b, c = np.array(laws.COEFFICIENTS).T.reshape(3, 3, *[1] * np.ndim(theta))
    return -a * np.sin(theta) + b * np.cos(theta) - 2 * c * np.sin(2 * theta)


def observed(theta):
    """(..., 6), in the order of ``Circle.observables``."""
    return np.stack([f(k * theta) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=-1)


def flow(time):
    """Where gradient flow takes every start of the grid."""
    return solve_ivp(lambda t, x: -slopes_of(x).mean(0), (0, time), CIRCLE.grid, rtol=1e-11, atol=1e-12).y[:, -1]


def enumerated(eta, steps):
    """(E φ, E φ²), (points, 6) each, of SGD with S = 2, over all sequences of batches."""
    batches = list(itertools.product(range(3), repeat=2))
    sums, count = [0.0, 0.0], 0
    for sequence in itertools.product(batches, repeat=steps):
        theta = CIRCLE.grid
        for batch in sequence:
            theta = theta - eta * slopes_of(theta)[list(batch)].mean(0)
        sums = [sums[0] + observed(theta), sums[1] + observed(theta) ** 2]
        count += 1
    return sums[0] / count, sums[1] / count


def judged(found, name):
    dim = found[name].dims[0]
    return measure(COMPARISONS[name], found[dim].values, found[name].values, None)


# -- the new lines, against others -----------------------------------------------------------------------


def test_the_equation_without_noise_is_gradient_flow():
    law = CIRCLE.semigroup(sg.SDE(0.3, 2), 0.6, noise=False)
    np.testing.assert_allclose(law @ CIRCLE.observables, observed(flow(0.6)), atol=1e-9)


def test_distances_from_gradient_flow_by_all_sequences_of_batches():
    """Three steps of SGD: the mean's distance, and a variance that is missed whole."""
    eta, steps = 0.2, 3
    mean, square = enumerated(eta, steps)
    operator, law = CIRCLE.sgd(sg.SGD(eta, 2)), CIRCLE.semigroup(sg.SDE(eta, 2), eta * steps, noise=False)
    want = np.abs(mean - observed(flow(eta * steps))).max()
    assert CIRCLE.weak_error(operator, steps, law) == pytest.approx(want, abs=1e-9)
    np.testing.assert_allclose(CIRCLE.variances(np.linalg.matrix_power(operator, steps)), square - mean**2, atol=1e-11)
    assert CIRCLE.variance_error(operator, steps, law) == pytest.approx(1, abs=1e-8)


def test_the_error_of_the_variance_in_closed_form():
    """Losses cos(θ − 2πi/3): g = 0 and C = ½ everywhere. The SDE spreads as the heat kernel; a step of SGD is one of
    nine rotations about a start."""
    angles = 2 * np.pi * np.arange(3) / 3
    circle = laws.Circle(tuple((math.cos(a), math.sin(a), 0.0) for a in angles), 191)
    eta, S, x, k = 0.3, 2, circle.grid[:, None], np.array([1, 1, 2, 2, 3, 3])
    spread = eta * eta / (4 * S)  # ½ σ² t for one step
    sign = np.array([1, -1] * 3)
    mean = circle.observables * np.exp(-(k**2) * spread)
    sde = (1 + sign * np.cos(2 * k * x) * np.exp(-4 * k**2 * spread)) / 2 - mean**2
    kicks = [-np.sin(x[:, 0] - a) for a in angles]
    ends = [observed(x[:, 0] - eta * (kicks[i] + kicks[j]) / 2) for i in range(3) for j in range(3)]
    own = np.mean(np.square(ends), axis=0) - np.mean(ends, axis=0) ** 2
    want = np.abs(own - sde).max() / own.max()
    found = circle.variance_error(circle.sgd(sg.SGD(eta, S)), 1, circle.semigroup(sg.SDE(eta, S), eta))
    assert found == pytest.approx(want, rel=1e-8)
    assert 0.001 < want < 0.5


@pytest.mark.parametrize("eta", [0.1, 0.05, 0.025])
def test_a_second_moment_on_the_parabola_in_closed_form(eta):
    """L = θ²/2, C = 1, S = 1, from θ = 1, at t = 1: E θ² of SGD is nearer to the SDE's than to gradient flow's, by the
    same order."""
    problem, steps = laws.quadratic(((1.0,),), ((1.0,), (-1.0,))), round(1 / eta)
    P, Q = laws.iterate(*laws.recursion(problem, sg.SGD(eta, 1)), steps)
    A, B = laws.flow(*laws.linear_equation(problem, sg.SDE(eta, 1)), 1.0)
    sgd, sde, still = P[0, 0] ** 2 + Q[0, 0], A[0, 0] ** 2 + B[0, 0], A[0, 0] ** 2
    shrink = (1 - eta) ** (2 * steps)
    assert sgd == pytest.approx(shrink + eta * (1 - shrink) / (2 - eta), rel=1e-12)
    assert sde == pytest.approx(math.exp(-2) + eta * (1 - math.exp(-2)) / 2, rel=1e-12)
    by_hand = {0.1: (-0.0108, 0.0325), 0.05: (-0.0061, 0.0155), 0.025: (-0.0032, 0.0076)}[eta]
    assert (sgd - sde, sgd - still) == pytest.approx(by_hand, abs=6e-5)
    # What the noise term is good for: the variance, to a relative 0.6565 η (½ from the step, the rest from the drift).
    assert B[0, 0] / Q[0, 0] == pytest.approx(1 - (0.5 + math.exp(-2) / (1 - math.exp(-2))) * eta, abs=0.7 * eta**2)


def test_svag_tends_to_the_sde_and_not_to_gradient_flow():
    found = weak_order.svag_errors(CONFIG, CIRCLE)
    eta = CONFIG.time / CONFIG.svag_steps
    sde, still = (CIRCLE.semigroup(sg.SDE(eta, 2), CONFIG.time, noise=noise) for noise in (True, False))
    limit = np.abs((sde - still) @ CIRCLE.observables).max()
    assert found["svag_flow"].values[-1] == pytest.approx(limit, rel=0.02)
    assert found["svag"].values[-1] < 0.05 * limit


# -- what the slopes can and can't see --------------------------------------------------------------------


def test_means_are_no_evidence_for_the_noise_term_and_variances_are():
    """With half the noise, or none, the slope of the means is 1 all the same; that of the variances isn't."""

    def halved(eta, batch_size, order=1):
        return sg.SDE(eta, 2 * batch_size, order=order)

    wrong, right = (weak_order.circle_errors(CONFIG, CIRCLE, make) for make in (halved, sg.SDE))
    assert judged(wrong, "sgd_order1").status == judged(right, "sgd_order1").status == "met"
    assert judged(right, "sgd_flow").status == "met"
    wrong, right = (weak_order.variance_errors(CONFIG, CIRCLE, make) for make in (halved, sg.SDE))
    assert judged(right, "variance_order1").status == judged(right, "variance_order2").status == "met"
    for order in (1, 2):
        found = judged(wrong, f"variance_order{order}")
        assert found.status == "NOT met"
        assert found.slope == pytest.approx(0, abs=0.1)
        assert found.error[-1] == pytest.approx(0.5, abs=0.05)


def test_at_fixed_momentum_both_orders_are_of_order_one():
    """√η and η hold at fixed (1−m)/√η; at fixed m the inertia dies out in a fixed number of steps."""
    problem, counts, m = laws.quadratic(), np.array([40, 80, 160, 320]), 0.5
    found = {1: [], 2: []}
    for n in counts:
        eta = 1.0 / n
        sgd = laws.iterate(*laws.recursion(problem, sg.SGD(eta, 1, momentum=m)), n)
        for order in found:
            sde = sg.SDE(eta, 1, momentum=m, order=order)
            law = laws.flow(*laws.linear_equation(problem, sde), n * math.sqrt(eta))
            found[order].append(laws.moment_error(law, sgd, 2)[0])
    for order, errors in found.items():
        fit = measure(dataclasses.replace(COMPARISONS["sgd_order1"], power=1.0), 1 / counts, np.array(errors), None)
        assert fit.slope == pytest.approx(1, abs=0.1), order
        assert fit.status == "met"
    assert found[2][-1] < found[1][-1]


def test_the_report_says_both():
    """The answer names gradient flow and what it lacks only where every slope is as expected."""
    x = np.array([0.1, 0.2, 0.4, 0.8])
    met = {name: measure(each, x, x**each.expected, None) for name, each in COMPARISONS.items()}
    text = Result(CONFIG, met, xr.Dataset()).answer("\n")
    assert text.count("\n") == 2
    assert "from gradient flow too" in text
    assert "fixed (1−m)/√η" in text
    off = {"sgd_flow": measure(COMPARISONS["sgd_flow"], x, x**0.5, None)}
    text = Result(CONFIG, met | off, xr.Dataset()).answer()
    assert "sgd flow NOT met" in text
    assert "too" not in text
