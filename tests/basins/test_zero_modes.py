"""Orbits of minima: lengths in closed form, weights against closed forms and trapezium sums of e^{−V/T}."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from sdesgd.basins.quenching import quench
from sdesgd.basins.zero_modes import orbit_laplace_weight, orbit_volume
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape


def rotation(phi, theta, frequencies=(1,)):
    """Planes (0, 1), (2, 3), … turn by φ times their frequency; a last odd coordinate stays."""
    turned = []
    for k, frequency in enumerate(frequencies):
        x, y = theta[2 * k], theta[2 * k + 1]
        c, s = jnp.cos(frequency * phi), jnp.sin(frequency * phi)
        turned += [c * x - s * y, s * x + c * y]
    return jnp.stack([*turned, *theta[2 * len(frequencies) :]])


def ring(theta):
    return (jnp.sum(theta**2) - 1) ** 2 / 4


def coupled(theta):
    """The ring of the claim orbit-volume in three dimensions: r = 1, z = 0, det′H = 5."""
    r2 = theta[0] ** 2 + theta[1] ** 2
    return (r2 - 1) ** 2 / 4 + 1.5 * theta[2] ** 2 + (r2 - 1) * theta[2] / 2


def factors(theta):
    """½(u·v − 1)² + ¼(|u|² + |v|²): two linear units with weight decay ½; minima u = v, |u|² = ½, L = 3/8."""
    u, v = theta[:2], theta[2:]
    return (jnp.vdot(u, v) - 1) ** 2 / 2 + jnp.vdot(theta, theta) / 4


both = functools.partial(rotation, frequencies=(1, 1))


@pytest.mark.parametrize(
    ("frequencies", "theta", "length"),
    [
        ((1,), [3.0, 4.0], 10 * math.pi),
        ((1,), [3.0, 4.0, 7.0], 10 * math.pi),
        ((3,), [3.0, 4.0], 10 * math.pi),  # gone round three times, counted once
        ((-2,), [3.0, 4.0], 10 * math.pi),
        ((1, 2), [1.0, 0.0, 0.0, 2.0], 2 * math.pi * math.sqrt(1 + 4 * 4)),
        ((1, 2), [0.0, 0.0, 0.0, 2.0], 4 * math.pi),
        ((4, 6), [1.0, 0.0, 0.0, 1.0], math.pi * math.sqrt(16 + 36)),
    ],
)
def test_orbit_volume(frequencies, theta, length):
    action = functools.partial(rotation, frequencies=frequencies)
    assert orbit_volume(action, theta) == pytest.approx(length, rel=1e-12)


def test_orbit_volume_is_the_length_of_a_polygon():
    """The trace of a torus knot, by ten thousand chords; the action's own derivative isn't used."""
    action, theta = functools.partial(rotation, frequencies=(2, 3)), np.array([0.7, 0.1, -0.4, 1.2])
    angles = np.linspace(0, 2 * math.pi, 10_001)
    trace = np.array(
        [
            np.cos(2 * angles) * 0.7 - np.sin(2 * angles) * 0.1,
            np.sin(2 * angles) * 0.7 + np.cos(2 * angles) * 0.1,
            np.cos(3 * angles) * -0.4 - np.sin(3 * angles) * 1.2,
            np.sin(3 * angles) * -0.4 + np.cos(3 * angles) * 1.2,
        ]
    ).T
    polygon = np.linalg.norm(np.diff(trace, axis=0), axis=1).sum()
    assert orbit_volume(action, theta) == pytest.approx(polygon, rel=1e-6)


def test_the_ring_against_its_integral():
    """∫e^{−V/T} = π√(πT)(1 + erf(1/(2√T))): Laplace is it to a factor 2/(1 + erf), 1 to 1e-12 at T = 0.01."""
    landscape = Landscape("ring", ring, 2)
    theta = quench(landscape, [[0.3, 1.1]]).check().points[0]
    for temperature in (0.01, 0.1):
        exact = math.pi * math.sqrt(math.pi * temperature) * (1 + special.erf(1 / (2 * math.sqrt(temperature))))
        weight = orbit_laplace_weight(landscape, theta, rotation, temperature)
        assert weight == pytest.approx(exact, rel=1e-11 if temperature == 0.01 else 0.02)


def coupled_on(x, y, z):
    return (x**2 + y**2 - 1) ** 2 / 4 + 1.5 * z**2 + (x**2 + y**2 - 1) * z / 2


def factors_on(a, b, c, d):
    return (a * c + b * d - 1) ** 2 / 2 + (a**2 + b**2 + c**2 + d**2) / 4


def trapezium(value, temperature, reaches, points):
    axes = [np.linspace(-reach, reach, points) for reach in reaches]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    return math.prod(a[1] - a[0] for a in axes) * np.exp(-value(*grid) / temperature).sum()


@pytest.mark.parametrize(
    ("value", "on_grid", "action", "theta", "reaches", "points"),
    [
        (coupled, coupled_on, rotation, [1.0, 0.0, 0.0], (1.9, 1.9, 1.3), (61, 81, 121)),
        (factors, factors_on, both, [0.5, 0.5, 0.5, 0.5], (2.4,) * 4, (25, 35, 47)),
    ],
)
def test_against_a_trapezium_sum(value, on_grid, action, theta, reaches, points):
    """The ratio to the integral is 1 + O(T): it extrapolates to 1; a factor of 2, or D for D − 1, would be seen."""
    landscape, ratios = Landscape("test", value, len(theta)), []
    for temperature, count in zip((1 / 20, 1 / 40, 1 / 80), points, strict=True):
        weight = orbit_laplace_weight(landscape, theta, action, temperature)
        ratios.append(trapezium(on_grid, temperature, reaches, count) / weight)
    assert (ratios[0] - 6 * ratios[1] + 8 * ratios[2]) / 3 == pytest.approx(1, abs=0.01)
    assert abs(ratios[2] - 1) < 0.1


def stretch(phi, theta):
    """Periodic, of period 2π, leaving x·y alone: rescaling made to return; no isometry."""
    factor = jnp.exp(jnp.sin(phi))
    return jnp.stack([theta[0] * factor, theta[1] / factor])


def late(phi, theta):
    return rotation(phi + 0.1, theta)


def uneven(phi, theta):
    return rotation(phi + jnp.sin(phi) / 2, theta)


@pytest.mark.parametrize(
    ("action", "theta", "message"),
    [
        (lambda phi, theta: rotation(phi / 2, theta), [1.0, 0.0], r"action\(2π, θ\) is 2 away.*period of 2π"),
        (lambda phi, theta: theta + phi, [1.0, 0.0], "isn't closed.*isn't compact"),
        (rotation, [0.0, 0.0, 1.0], "leaves θ where it is"),
        (stretch, [1.0, 1.0], "isn't isometric.*add weight decay"),
        (late, [1.0, 0.0], r"action\(2π, θ\) is 0.1 away"),
        (uneven, [1.0, 0.0], "one-parameter group"),
        (rotation, [[1.0, 0.0]], r"shape \(1, 2\): pass one point"),
        (lambda phi, theta: rotation(phi, theta)[:1], [1.0, 0.0], r"shape \(1,\): return a point like θ"),
    ],
)
def test_refused_actions(action, theta, message):
    with pytest.raises(InputError, match=message):
        orbit_volume(action, theta)


def tilted_ring(theta):
    return ring(theta) + theta[0] / 10


def flat_ring(theta):
    return (theta[0] ** 2 + theta[1] ** 2 - 1) ** 2 / 4


@pytest.mark.parametrize(
    ("value", "theta", "temperature", "message"),
    [
        (ring, [1.0, 0.0], 0.0, "temperature is 0.0: pass T > 0"),
        (ring, [1.1, 0.0], 0.1, "so it is no minimum: pass a point of quench"),
        (tilted_ring, [1.0, 0.0], 0.1, "changes by .* under the action"),
        (flat_ring, [1.0, 0.0, 0.0], 0.1, "2 zero modes at θ, but the orbit accounts for 1"),
        (lambda theta: -ring(theta) + theta[2] ** 2, [1.0, 0.0, 0.0], 0.1, "a saddle; quench"),
    ],
)
def test_refused_weights(value, theta, temperature, message):
    with pytest.raises(InputError, match=message):
        orbit_laplace_weight(Landscape("test", value, len(theta)), theta, rotation, temperature)
