"""What a landscape, a target, an action or wells read from outside is seen at the next call, and compiles only then."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import basins, stationary, toys
from sdesgd.basins.wells import Wells
from sdesgd.landscape import Landscape, landscape_of
from tests.compilations import compilations

centre = 0.0
table = np.array([0.0])


class Box:
    """An object with an attribute."""

    at = 0.0


box = Box()


def by_global(z):
    return jnp.sum((z - centre) ** 2) / 2 + 0.1 * jnp.sum(z**4)


def by_array(z):
    return jnp.sum((z - table[0]) ** 2) / 2 + 0.1 * jnp.sum(z**4)


def by_attribute(z):
    return jnp.sum((z - box.at) ** 2) / 2 + 0.1 * jnp.sum(z**4)


def set_global(value):
    global centre
    centre = value


WAYS = {
    "a global": (by_global, set_global),
    "an array changed in place": (by_array, lambda value: table.__setitem__(0, value)),
    "an attribute": (by_attribute, lambda value: setattr(box, "at", value)),
}


@pytest.fixture(autouse=True)
def _back_to_zero():
    for _, change in WAYS.values():
        change(0.0)
    yield
    for _, change in WAYS.values():
        change(0.0)


def minimum(c):
    """Of ½(z − c)² + z⁴/10, by numpy: 0.4 z³ + z − c = 0."""
    roots = np.roots([0.4, 0.0, 1.0, -c])
    return float(roots[np.abs(roots.imag) < 1e-9].real[0])


def potential(value):
    return toys.Potential("well", value, 1, ((-6.0, 6.0),), ((0.0,),))


def passage_time(c, temperature, start, target):
    """The double integral by the trapezoidal rule."""
    x = np.linspace(-6, target, 20_001)
    V = ((x - c) ** 2 / 2 + 0.1 * x**4) / temperature
    inner = np.concatenate([[0], np.cumsum((np.exp(-V[1:]) + np.exp(-V[:-1])) / 2 * np.diff(x))])
    ahead = x >= start
    return float(np.trapezoid(np.exp(V[ahead]) * inner[ahead], x[ahead]) / temperature)


CALLS: dict[str, Any] = {
    "quench": (lambda p: basins.quench(p, [[0.5]]).points[0, 0], minimum, 1e-9),
    "find_minima": (lambda p: basins.find_minima(p, [[0.5], [-0.3]]).points[0, 0], minimum, 1e-9),
    "wells_of": (lambda p: basins.wells_of(p).minima[0, 0], minimum, 1e-9),
    "gibbs_density": (
        lambda p: (lambda d: d.expectation(d.points[:, 0]))(stationary.gibbs_density(p, 1e-3, points=2001)),
        minimum,
        2e-3,
    ),
    "sample_gibbs": (
        lambda p: float(
            stationary.sample_gibbs(
                p, 1e-4, [[0.5], [0.0]], barrier=0, samples=200, warmup=300, key=jr.key(0)
            ).points.mean()
        ),
        minimum,
        0.01,
    ),
    "finite_step_density": (
        lambda p: (lambda d: d.expectation(d.points[:, 0]))(stationary.finite_step_density(p, 1e-3, 1e-3)),
        minimum,
        2e-3,
    ),
    "mean_first_passage_time": (
        lambda p: basins.mean_first_passage_time(p, 0.5, -1.0, 0.5),
        lambda c: passage_time(c, 0.5, -1.0, 0.5),
        2e-3,
    ),
}


def ring_weight(p):
    """The landscape's value at the centre is added to a ring's."""
    ring = Landscape("ring", lambda z: (jnp.vdot(z, z) - 1) ** 2 / 4 + p.value(jnp.zeros(1)), 2)
    return basins.orbit_laplace_weight(ring, [1.0, 0.0], rotated, 1.0)


def rotated(angle, z):
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([c * z[0] - s * z[1], s * z[0] + c * z[1]])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_another_value_is_seen_and_the_same_one_compiles_nothing(call, way):
    value, change = WAYS[way]
    found, expected, tolerance = CALLS[call]
    assert found(potential(value)) == pytest.approx(expected(0.0), abs=tolerance)
    with compilations() as count:
        found(potential(value))
    assert count == []
    change(1.5)
    assert found(potential(value)) == pytest.approx(expected(1.5), abs=tolerance)
    assert abs(expected(1.5) - expected(0.0)) > 10 * tolerance


def test_a_recreated_lambda_compiles_nothing():
    def make():
        return potential(lambda z: jnp.sum((z - 0.25) ** 2) + jnp.sum(z**4))

    basins.quench(make(), [[0.5]])
    with compilations() as count:
        basins.quench(make(), [[0.5]])
    assert count == []


def test_an_orbit_and_its_action():
    first = math.log(ring_weight(potential(by_global)))
    set_global(1.0)
    assert math.log(ring_weight(potential(by_global))) == pytest.approx(first - 0.5)

    def turned(angle, z):
        return rotated((1 + round(centre)) * angle, z)

    assert basins.orbit_volume(turned, [1.0, 0.0]) == pytest.approx(2 * math.pi)
    with compilations() as count:
        basins.orbit_volume(turned, [1.0, 0.0])
    assert count == []
    set_global(0.0)
    with compilations() as count:
        assert basins.orbit_volume(turned, [1.0, 0.0]) == pytest.approx(2 * math.pi)
    assert count, "it is another program"


def test_minima_assign_points_by_the_landscape_of_the_call():
    """Minima keep the landscape as it was given, not as it was."""
    set_global(0.0)

    def double(z):
        return jnp.sum((z**2 - 1) ** 2) / 4 + centre * jnp.sum(z)

    found = basins.find_minima(Landscape("double", double, 1), [[-0.9], [0.9]])
    assert set(found.assign([[0.1], [-0.1]])) == {0, 1}
    set_global(1.0)  # one minimum is left, and it is none of the old ones
    assert set(found.assign([[0.1], [-0.1]])) == {-1}


def test_saddles_and_barriers():
    def double(z):
        return (1 + centre) * jnp.sum((z**2 - 1) ** 2) / 4

    landscape = Landscape("double", double, 1)
    assert basins.find_saddles(landscape, [[-1.0], [1.0]])[0].value == pytest.approx(0.25)
    with compilations() as count:
        basins.find_saddles(landscape, [[-1.0], [1.0]])
    assert count == []
    set_global(1.0)
    assert basins.find_saddles(landscape, [[-1.0], [1.0]])[0].value == pytest.approx(0.5)
    assert basins.barriers(landscape, [[-1.0], [1.0]])[0, 1] == pytest.approx(0.5)


def test_the_landscape_of_a_problem():
    problem = sg.Problem(lambda w, x: (1 + centre) * jnp.sum((w - x) ** 2), jnp.zeros(1), np.ones((4, 1)))
    landscape = landscape_of(problem)
    assert basins.quench(landscape, [[0.0]]).spectra[0, 0] == pytest.approx(2.0)
    set_global(2.0)
    assert basins.quench(landscape, [[0.0]]).spectra[0, 0] == pytest.approx(6.0)


def test_a_toy_of_sympy():
    x, a = sp.symbols("x a")
    shift = {"a": 0.5}

    def made():
        return toys.from_sympy((x - a).subs(a, shift["a"]) ** 2, [x], [(-3, 3)])

    assert basins.quench(made(), [[0.0]]).points[0, 0] == pytest.approx(0.5)
    shift["a"] = -1.0
    assert basins.quench(made(), [[0.0]]).points[0, 0] == pytest.approx(-1.0)


def tilted_well():
    return toys.tilted(toys.potential("double-well"), toys.tilts_of(20.0))


def test_a_target_that_reads_a_global():
    problem = tilted_well()

    def target(z):
        return z[0] > centre

    def mean():
        run = basins.first_passage(
            sg.SGD(0.02, 1), problem, [-1.0], target, replicas=64, max_steps=100_000, key=jr.key(0)
        )
        return run.mean_steps

    near = mean()
    with compilations() as count:
        assert mean() == near
    assert count == []
    set_global(1.0)
    assert mean() > 1.1 * near


def test_a_loss_that_first_passage_reads():
    problem = sg.Problem(lambda w, x: jnp.sum(w) * (-1.0 - centre) + 0 * x, jnp.zeros(1), np.ones(4))

    def steps():
        run = basins.first_passage(
            sg.SGD(0.1, 2), problem, [0.0], lambda z: z[0] > 0.95, replicas=2, max_steps=100, key=jr.key(0)
        )
        return run.mean_steps

    assert steps() == 10
    set_global(1.0)
    assert steps() == 5


class HalfLines(Wells):
    """Two wells whose border a global holds."""

    minima: np.ndarray
    barriers: np.ndarray
    heights: np.ndarray

    def basin(self, theta):
        return (theta[0] > centre).astype(int)

    def core(self, theta):
        return jnp.where(jnp.abs(theta[0] - centre) > 0.2, self.basin(theta), -1)


def test_occupancy_by_wells_that_read_a_global_and_a_loss_that_does():
    wells = HalfLines(np.array([[-1.0], [1.0]]), np.ones(2), np.ones(2))
    tilts = toys.tilts_of(20.0)

    def measured():
        problem = sg.Problem(
            lambda w, a: jnp.sum((w**2 - 1) ** 2) / 4 + jnp.vdot(a, w) + box.at * jnp.sum(w), jnp.array([-1.0]), tilts
        )
        options: dict = dict(starts=[[-1.0], [1.0]], num_steps=4000, burn_in=400, replicas=16, key=jr.key(0))
        return basins.measure_occupancy(sg.SGD(0.05, 1), problem, wells, **options)

    even = measured()
    assert even.probabilities[0] == pytest.approx(0.5, abs=5 * even.standard_errors[0])
    with compilations() as count:
        measured()
    assert count == []
    set_global(0.8)
    assert measured().probabilities[0] > even.probabilities[0] + 0.1
    set_global(0.0)
    box.at = 0.3
    assert measured().probabilities[0] > even.probabilities[0] + 0.1


def test_labels_of_wells_that_read_a_global():
    wells = HalfLines(np.array([[-1.0], [1.0]]), np.ones(2), np.ones(2))
    assert wells.labels(np.array([[0.5]]))[0] == 1
    set_global(0.7)
    assert wells.labels(np.array([[0.5]]))[0] == 0
    assert wells.cores(np.array([[0.6]]))[0] == -1


def test_the_laws_of_a_problem_that_reads_a_global():
    """The transfer operator and Itô's density, whose examples' curvature changes with the global."""
    x = np.array([-1.0, 1.0, 0.5, -0.5])
    problem = sg.Problem(lambda w, x: (1 + centre) * jnp.sum((w - x) ** 2) / 2, jnp.zeros(1), x)

    def laws():
        operator = stationary.transfer_operator(problem, sg.SGD(0.1, 2), [(-4, 4)], (401,))
        law = operator.stationary()
        density = stationary.ito_density(problem, 0.1, 2, (-4, 4))
        second = density.points[:, 0] ** 2
        return float(law @ operator.points[:, 0] ** 2), density.expectation(second)

    for value in (0.0, 1.0):
        set_global(value)
        curvature, C = 1 + value, (1 + value) ** 2 * x.var()
        exact, ito = laws()
        H = np.array([[curvature]])
        assert exact == pytest.approx(stationary.discrete_covariance(H, [[C]], 0.1, 2)[0, 0], rel=1e-3)
        assert ito == pytest.approx(stationary.ou_covariance(H, [[C]], 0.1, 2)[0, 0], rel=1e-3)


class Carried(eqx.Module):
    """A landscape that carries its data: these are inputs, not constants."""

    at: jnp.ndarray

    def __call__(self, z):
        return jnp.sum((z - self.at) ** 2)


def test_carried_arrays_compile_nothing():
    basins.quench(Landscape("carried", Carried(jnp.array([0.5])), 1), [[0.0]])
    with compilations() as count:
        found = basins.quench(Landscape("carried", Carried(jnp.array([-2.0])), 1), [[0.0]]).points[0, 0]
    assert count == []
    assert found == pytest.approx(-2.0)


@jax.jit
def compiled_ring(z):
    return (jnp.vdot(z, z) - 1) ** 2 / 4 + centre


def test_an_orbit_of_a_landscape_of_its_own_jit():
    """V is called as it is too, not only within compiled functions: a rise by 1 costs a factor 1/e at T = 1."""

    def weight():
        return basins.orbit_laplace_weight(Landscape("ring", compiled_ring, 2), [1.0, 0.0], rotated, 1.0)

    first = weight()
    set_global(1.0)
    assert math.log(weight() / first) == pytest.approx(-1)
