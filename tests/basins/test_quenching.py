"""Quenching: where the gradient flow ends, by maxima in 1-D, by scipy in 2-D, by closed forms in its one step."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import integrate, linalg, optimize

from sdesgd.basins import gradient_flow
from sdesgd.basins.quenching import quench
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape

X, Y = sp.symbols("x y")
RUGGED = X**2 / 20 + sp.cos(3 * X) / 5 + sp.sin(5 * X) / 10  # the ready potential, written again
VALLEY = (1 - X) ** 2 / 2000 + 5 * (Y - X**2) ** 2  # curved, and of curvature 2e-4 along its floor
WELLS = (X**2 - 1) ** 2 / 4 + (Y**2 - 1) ** 2 / 4 + X / 30 - Y / 20 + X * Y / 40


class Polynomial(eqx.Module):
    """Σ c_jk x^j y^k: the coefficients are an array, so that all of them compile once."""

    coefficients: jax.Array

    def __call__(self, theta):
        return jnp.polyval(jax.vmap(jnp.polyval, (0, None))(self.coefficients, theta[1]), theta[0])


def plane(expression):
    """A polynomial of degree up to 4 in each coordinate."""
    coefficients = np.zeros((5, 5))
    for (j, k), c in sp.Poly(expression, X, Y).terms():
        coefficients[4 - j, 4 - k] = c
    return Landscape("the test's", Polynomial(jnp.asarray(coefficients)), 2)


RUGGED_LANDSCAPE = Landscape("rugged", sp.lambdify([[X]], RUGGED, "jax"), 1)
WELLS_LANDSCAPE = plane(WELLS)


def scipy_flow(expression, symbols, start, time):
    """The end of the flow by scipy, with sympy's derivatives in numpy."""
    force = sp.lambdify([list(symbols)], [-sp.diff(expression, s) for s in symbols])
    jacobian = sp.lambdify([list(symbols)], -sp.hessian(expression, symbols))
    solution = integrate.solve_ivp(
        lambda t, z: force(z), (0, time), start, "LSODA", rtol=1e-9, atol=1e-12, jac=lambda t, z: jacobian(z)
    )
    return solution.y[:, -1]


def test_basins_in_one_dimension_end_at_the_maxima():
    """Every start ends at the one minimum between the two maxima around it, as near to a maximum as 1e-7."""
    slope = sp.lambdify(X, sp.diff(RUGGED, X))
    grid = np.linspace(-9, 9, 9001)
    turns = [optimize.brentq(slope, a, b, xtol=1e-15) for a, b in itertools.pairwise(grid) if slope(a) * slope(b) < 0]
    curvature = sp.lambdify(X, sp.diff(RUGGED, X, 2))
    minima, maxima = (np.array([x for x in turns if sign * curvature(x) > 0]) for sign in (1, -1))
    assert len(minima) == len(maxima) + 1 > 8
    beside = np.concatenate([maxima + sign * distance for sign in (-1, 1) for distance in (1e-2, 1e-4, 1e-7)])
    starts = np.concatenate([np.random.default_rng(0).uniform(-7, 7, 500), beside])
    found = quench(RUGGED_LANDSCAPE, starts[:, None]).check()
    np.testing.assert_allclose(found.points[:, 0], minima[np.searchsorted(maxima, starts)], atol=1e-9)
    np.testing.assert_allclose(found.spectra, curvature(found.points), rtol=1e-9)
    np.testing.assert_allclose(found.losses, sp.lambdify(X, RUGGED)(found.points[:, 0]), rtol=1e-12)
    assert found.gradient_norms.max() < 1e-10
    assert np.abs(slope(found.points)).max() < 1e-10
    assert not found.zero_modes.any()


def test_two_dimensions_against_scipy_flow():
    """Forty starts, of which Newton's method from the start would misplace several."""
    starts = np.random.default_rng(3).uniform(-2.5, 2.5, size=(40, 2))
    ends = np.array([scipy_flow(WELLS, [X, Y], s, 30.0) for s in starts])
    np.testing.assert_allclose(quench(WELLS_LANDSCAPE, starts).check().points, ends, atol=1e-5)
    force, hessian = (
        sp.lambdify([[X, Y]], f) for f in ([sp.diff(WELLS, s) for s in (X, Y)], sp.hessian(WELLS, [X, Y]))
    )
    newton = starts.copy()
    for _ in range(50):
        newton = np.array([z - np.linalg.solve(hessian(z), force(z)) for z in newton])
    assert np.sum(np.linalg.norm(newton - ends, axis=1) > 1e-3) > 6


def test_a_curved_flat_valley():
    """From both sides of the valley to its bottom at (1, 1), along a floor of curvature 2e-4."""
    starts = [[-1.5, 2.0], [-1.0, -1.0], [2.0, 0.0], [0.0, 0.0]]
    found = quench(plane(VALLEY), starts).check()
    np.testing.assert_allclose(found.points, 1, atol=1e-9)
    np.testing.assert_allclose(scipy_flow(VALLEY, [X, Y], starts[0], 2e5), 1, atol=1e-6)


def test_a_stiff_valley_from_nearby():
    """The first steps are 2e-16 long, below the rounding of θ: that is no standstill."""
    found = quench(plane(5e4 * X**2 + Y**2 / 200), [[0.0, 2e-8]]).check()
    np.testing.assert_allclose(found.points, 0, atol=1e-12)


def test_starts_at_and_near_saddles():
    """1e-12 beside a saddle, where ‖∇V‖ is below the tolerance, the flow still parts; at the saddle itself, and on its
    stable manifold, it reaches no minimum.
    """
    symmetric = plane((X**2 - 1) ** 2 / 4 + Y**2 / 2 * (1 + X**2))
    starts = [[1e-9, 0.0], [-1e-12, 0.0], [1e-13, 1.0], [0.0, 0.0], [0.0, 1.0], [-1e-25, 0.0]]
    found = quench(symmetric, starts)
    np.testing.assert_array_equal(found.converged, [True, True, True, False, False, True])
    np.testing.assert_allclose(found.points[found.converged, 0], [1, -1, 1, -1], atol=1e-9)
    assert np.isnan(found.points[3:5]).all()
    assert np.isnan(found.losses[3:5]).all()
    with pytest.raises(InputError, match="of 6 starts on the test's, 2 rest on a saddle or a maximum: start beside"):
        found.check()


def test_degenerate_minima_are_reached_and_counted():
    """A ring along its radius; x⁴, whose curvature vanishes only at the minimum; a trough."""
    angle = np.linspace(0.1, 6, 9)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring = quench(plane((X**2 + Y**2 - 1) ** 2 / 4), direction * np.linspace(0.1, 1.9, 9)[:, None]).check()
    np.testing.assert_allclose(ring.points, direction, atol=1e-8)
    np.testing.assert_array_equal(ring.zero_modes, 1)
    for expression, zero_modes in ((X**4 / 4 + Y**2 / 2, 1), (X**4 / 4 + Y**4, 2)):
        quartic = quench(plane(expression), [[1.0, 1.0], [-2.0, 0.5]]).check()
        np.testing.assert_array_equal(quartic.zero_modes, zero_modes)
        assert np.abs(quartic.points).max() < 1e-3
    trough = quench(plane((X + Y) ** 2 / 2), [[1.0, 2.0]]).check()
    np.testing.assert_allclose(trough.points, [[-0.5, 0.5]], atol=1e-12)
    np.testing.assert_array_equal(trough.zero_modes, 1)


def test_no_minimum_is_said():
    found = quench(plane(Y**2 / 2 - X), [[0.0, 1.0], [1.0, 0.0]], max_time=1e6)
    assert not found.converged.any()
    assert "2 still have ‖∇V‖ up to 1 after t =" in found.trouble
    assert "add weight decay" in found.trouble
    large = plane(1e12 * ((X - sp.Rational(1, 10)) ** 4 + X**2 / 3 + Y**2))
    with pytest.raises(InputError, match=r"by rounding: pass a gradient_norm above it"):
        quench(large, [[1.0, 1.0]]).check()
    assert quench(large, [[1.0, 1.0]], gradient_norm=1e-2).converged.all()


def test_a_point_ends_where_it_does_alone():
    starts = np.random.default_rng(1).uniform(-2, 2, size=(130, 2))
    together = quench(WELLS_LANDSCAPE, starts)
    np.testing.assert_allclose(quench(WELLS_LANDSCAPE, starts[100:103]).points, together.points[100:103], atol=1e-12)
    assert quench(WELLS_LANDSCAPE, starts[:0]).points.shape == (0, 2)


# -- the integrator ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 3, 4])
def test_phi_functions(order):
    """φ_k(z) = ∫₀¹ e^{(1−s)z} s^{k−1}/(k−1)! ds, in 40 digits, on both sides of the change of formula."""
    points = np.array([-1e6, -30.0, -1.001, -0.999, -1e-3, 0.0, 1e-9, 0.7, 1.01, 3.0, 39.0])
    found = gradient_flow.phi_functions(jnp.asarray(points))[{1: 0, 3: 1, 4: 2}[order]]
    with mpmath.workdps(40):
        exact = [float(mpmath.hyp1f1(1, order + 1, mpmath.mpf(z)) / mpmath.factorial(order)) for z in points]
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_a_step_is_exact_on_a_quadratic():
    """At any length, along a valley, on a hill and along a flat direction alike: θ' = μ + e^{−hH}(θ − μ)."""
    rng = np.random.default_rng(0)
    turn = linalg.qr(rng.normal(size=(4, 4)))[0]
    H = turn @ np.diag([1e3, 1e-3, -0.7, 0.0]) @ turn.T
    centre, start = rng.normal(size=(2, 4))
    values, vectors = np.linalg.eigh(H)
    for step in (1e-3, 1.0, 5.0):
        theta, error = gradient_flow.exponential_step(
            lambda z: jnp.asarray(H) @ (z - centre),
            jnp.asarray(start),
            jnp.asarray(H @ (start - centre)),
            jnp.asarray(values),
            jnp.asarray(vectors),
            jnp.asarray(step),
        )
        np.testing.assert_allclose(theta, centre + linalg.expm(-step * H) @ (start - centre), rtol=1e-7, atol=1e-7)
        assert np.abs(error).max() < 1e-6


def test_a_step_is_of_order_four_and_its_error_estimate_of_order_three():
    """Against DOP853, over steps that halve: local errors fall as h⁵ and h⁴."""
    value, start = WELLS_LANDSCAPE.value, jnp.asarray([0.4, -1.7])
    slope, hessian = gradient_flow.gradient_and_hessian(value, start)
    values, vectors = jnp.linalg.eigh(hessian)
    force = sp.lambdify([[X, Y]], [-sp.diff(WELLS, s) for s in (X, Y)])
    errors, estimates, steps = [], [], 0.02 / 2.0 ** np.arange(3)
    for step in steps:
        theta, estimate = gradient_flow.exponential_step(
            jax.grad(value), start, slope, values, vectors, jnp.asarray(step)
        )
        exact = integrate.solve_ivp(lambda t, z: force(z), (0, step), start, "DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
        errors.append(np.linalg.norm(theta - exact))
        estimates.append(np.linalg.norm(estimate))
    assert np.diff(np.log(errors)) / np.log(0.5) == pytest.approx(5, abs=0.2)
    assert np.diff(np.log(estimates)) / np.log(0.5) == pytest.approx(4, abs=0.2)


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ([1.0, 2.0], {}, r"points have shape \(2,\): pass \(K, 2\)"),
        (np.zeros((3, 1)), {}, r"points have shape \(3, 1\): pass \(K, 2\)"),
        (np.zeros((3, 2), np.float32), {}, "the points are float32, too coarse"),
        ([[0.0, np.nan]], {}, "not finite at 1 points"),
        ([[0.0, 1e200]], {}, "not finite at 1 points"),
        ([[0.0, 0.0]], {"gradient_norm": 0.0}, "gradient_norm is 0.0: pass a positive"),
        ([[0.0, 0.0]], {"tolerance": -1.0}, "tolerance is -1.0: pass a positive"),
        ([[0.0, 0.0]], {"max_time": float("inf")}, "max_time is inf: pass a positive"),
    ],
)
def test_bad_input(points, options, message):
    with pytest.raises(InputError, match=message):
        quench(WELLS_LANDSCAPE, points, **options)


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(InputError, match="float32 here, too coarse for minima: call within"):
        quench(WELLS_LANDSCAPE, [[0.5, 0.5]])


def test_large_dimensions_are_refused():
    with pytest.raises(InputError, match="has D = 600: the flow needs the whole Hessian"):
        quench(Landscape("a bowl", lambda theta: jnp.sum(theta**2), 600), np.zeros((2, 600)))
