"""Toy potentials: the finite sum has the potential for its mean and the covariance that was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import toys


def gradients(problem, theta):
    return np.asarray(problem.unit_gradients(jnp.asarray(theta), jnp.arange(problem.num_examples)))


def covariance(problem, theta):
    rows = gradients(problem, theta)
    return (rows - rows.mean(axis=0)).T @ (rows - rows.mean(axis=0)) / len(rows)


@pytest.mark.parametrize("theta", [(0.3, -1.1), (1.7, 0.2)])
def test_tilted_copies_have_a_constant_covariance(theta):
    C = np.array([[2.0, -0.6], [-0.6, 0.5]])
    potential = toys.potential("four-wells")
    problem = toys.tilted(potential, toys.tilts_of(C))
    np.testing.assert_allclose(covariance(problem, theta), C, rtol=1e-12)
    assert float(problem.loss(jnp.asarray(theta))) == pytest.approx(float(potential.value(jnp.asarray(theta))))
    np.testing.assert_allclose(
        gradients(problem, theta).mean(axis=0), potential.gradient(jnp.asarray(theta)), rtol=1e-9
    )


def test_skewed_tilts():
    tilts = toys.skewed_tilts(0.7, 5)[:, 0]
    assert tilts.mean() == pytest.approx(0, abs=1e-15)
    assert tilts.var() == pytest.approx(0.7)
    assert np.mean(tilts**3) / 0.7**1.5 == pytest.approx(3 / 2)


def test_modulated_copies_have_a_covariance_that_follows_the_modulation():
    problem = toys.modulated(toys.potential("double-well"), lambda theta: jnp.sin(theta[0]), [1.0, -1.0, 2.0, -2.0])
    assert covariance(problem, [0.4])[0, 0] == pytest.approx(2.5 * np.cos(0.4) ** 2)


def test_tilt_variance_is_that_of_the_temperature():
    variance = toys.tilt_variance(0.3, 0.05, 4)
    assert sg.stationary.temperature(variance, 0.05, 4) == pytest.approx(0.3)


@pytest.mark.parametrize("name", toys.names())
def test_ready_potentials(name):
    """Smooth in their box; the named minima are near true ones, one each, and non-degenerate."""
    potential = toys.potential(name)
    low, high = np.array(potential.box).T
    points = np.random.default_rng(0).uniform(low, high, size=(20, potential.dimension))
    slopes = np.asarray(jax.vmap(potential.gradient)(jnp.asarray(points)))
    assert np.isfinite(slopes).all()
    gradient, hessian, found = jax.jit(potential.gradient), jax.jit(potential.hessian), []
    for start in potential.minima or ():
        x = np.array(start)
        for _ in range(20):
            x = x - np.linalg.solve(hessian(jnp.asarray(x)), gradient(jnp.asarray(x)))
        assert np.abs(np.asarray(gradient(jnp.asarray(x)))).max() < 1e-10
        assert np.linalg.eigvalsh(hessian(jnp.asarray(x)))[0] > 0.1
        assert np.abs(x - start).max() < 0.1
        assert ((low < x) & (x < high)).all()
        found.append(x)
    assert len({tuple(np.round(x, 3)) for x in found}) == len(found)


def test_the_wells_of_unequal_width_are_equally_deep():
    potential = toys.potential("unequal-width")
    values = [float(potential.value(jnp.asarray([x]))) for x in (-1.0, 1.0)]
    curvatures = [float(potential.hessian(jnp.asarray([x]))[0, 0]) for x in (-1.0, 1.0)]
    assert values == pytest.approx([0, 0], abs=1e-15)
    assert curvatures[1] / curvatures[0] > 2


x, y = sp.symbols("x y")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: toys.from_sympy(x**4 + y, [x], [(-1, 1)]), "symbols y that are no coordinates"),
        (lambda: toys.from_sympy(x**3, [x], [(-1, 1)]), "unbounded below"),
        (lambda: toys.from_sympy(-(x**2) + y**2, [x, y], [(-1, 1), (-1, 1)]), "unbounded below"),
        (lambda: toys.from_sympy((x**2 - 1) ** 2 * sp.exp(x), [x], [(-2, 2)]), "unbounded below"),
        (lambda: toys.from_sympy(x**2, [x], [(-1, 1), (0, 1)]), "2 intervals for 1"),
        (lambda: toys.potential("doublewell"), "did you mean 'double-well'"),
        (lambda: toys.tilted(toys.potential("ring"), [[1.0], [-1.0]]), "pass \\(N, 2\\) for ring"),
        (lambda: toys.tilted(toys.potential("double-well"), [[1.0], [-0.5]]), "subtract it"),
        (lambda: toys.modulated(toys.potential("double-well"), jnp.sum, [1.0, 0.0]), "subtract it"),
        (lambda: toys.tilt_variance(0.0, 0.1, 1), "pass T > 0"),
        (lambda: toys.tilts_of([[1.0, 2.0], [2.0, 1.0]]), "a covariance has none"),
        (lambda: toys.skewed_tilts(-1.0, 3), "pass σ² > 0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(sg.InputError, match=message):
        make()
