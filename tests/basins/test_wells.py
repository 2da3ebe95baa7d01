"""Basins and cores against scipy's own flow and roots; the tally against a plain recount of saved positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins.finding_wells import wells_of
from sdesgd.basins.tally import Tally
from sdesgd.landscape import Landscape

ASYMMETRIC = toys.potential("asymmetric")
FOUR = toys.potential("four-wells")
FOUR_POINTS = 65


def asymmetric(x):
    return (x**2 - 1) ** 2 / 4 * (1 + 0.6 * x / np.sqrt(1 + x**2)) - x / 30


def four(z):
    x, y = z
    return (x**2 - 1) ** 2 / 4 + x / 30 + (y**2 - 1) ** 2 / 4 - y / 20 + x * y / 40


def four_slope(z):
    x, y = z
    return np.array([x**3 - x + 1 / 30 + y / 40, y**3 - y - 1 / 20 + x / 40])


def slope(x, h=1e-6):
    return (asymmetric(x + h) - asymmetric(x - h)) / (2 * h)


@pytest.fixture(scope="module")
def line():
    return wells_of(ASYMMETRIC)


@pytest.fixture(scope="module")
def plane():
    return wells_of(FOUR, points=FOUR_POINTS)


def test_wells_on_a_line(line):
    """Minima, the ridge and the cores' edges by scipy's roots of the formula; cores at half the lower barrier."""
    left, top, right = (optimize.brentq(slope, *ends) for ends in ((-1.3, -0.7), (-0.2, 0.4), (0.7, 1.3)))
    np.testing.assert_allclose(line.minima[:, 0], [left, right], atol=1e-8)
    np.testing.assert_allclose(line.edges, [[-np.inf, top], [top, np.inf]], atol=1e-8)
    barriers = asymmetric(top) - asymmetric(np.array([left, right]))
    np.testing.assert_allclose(line.barriers, barriers, rtol=1e-9)
    assert abs(barriers[0] / barriers[1] - 1) > 0.2
    for a, bottom in enumerate((left, right)):
        np.testing.assert_allclose(asymmetric(np.asarray(line.core_edges[a])) - asymmetric(bottom), barriers[a] / 2)
        assert line.core_edges[a, 0] < bottom < line.core_edges[a, 1]
    points = np.array([[-9.0], [left], [top - 1e-6], [top + 1e-6], [right], [9.0]])
    assert line.labels(points).tolist() == [0, 0, 0, 1, 1, 1]
    assert line.cores(points).tolist() == [-1, 0, -1, -1, 1, -1]


def test_cores_of_a_temperature_are_lower(line):
    T = 0.05
    wells = wells_of(ASYMMETRIC, temperature=T)
    assert (line.heights > T).all()
    np.testing.assert_allclose(wells.heights, T)
    np.testing.assert_allclose(asymmetric(np.asarray(wells.core_edges)).T - asymmetric(wells.minima[:, 0]), T)
    np.testing.assert_array_equal(wells.edges, line.edges)


def test_wells_are_numbered_as_given(line):
    wells = wells_of(ASYMMETRIC, [[1.0], [-1.0]])
    np.testing.assert_array_equal(wells.minima, line.minima[::-1])
    points = np.linspace(-2, 2, 101)[:, None]
    np.testing.assert_array_equal(wells.labels(points), 1 - line.labels(points))
    cores = line.cores(points)
    np.testing.assert_array_equal(wells.cores(points), np.where(cores < 0, -1, 1 - cores))


def test_wells_in_the_plane(plane):
    """Labels by scipy's own gradient flow, wherever the four nearest points of the grid agree; passes by its roots."""
    rng = np.random.default_rng(0)
    starts = rng.uniform(-2, 2, size=(80, 2))
    spacing = 4 / (FOUR_POINTS - 1)
    around = starts[:, None] + spacing * np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    labels = plane.labels(around.reshape(-1, 2)).reshape(-1, 5)
    clear = (labels == labels[:, :1]).all(axis=1)
    assert clear.sum() > 60
    for start, label in zip(starts[clear], labels[clear, 0], strict=True):
        flow = integrate.solve_ivp(lambda _, z: -four_slope(z), (0, 40), start, rtol=1e-6, atol=1e-8)
        assert np.linalg.norm(flow.y[:, -1] - plane.minima[label]) < 1e-3
    # No label is off by more than a cell: the ridges at x ≈ 0 and y ≈ 0 are those of scipy's saddles.
    passes = {}
    for pair, guess in (((0, 1), (-1, 0)), ((0, 2), (0, -1)), ((1, 3), (0, 1)), ((2, 3), (1, 0))):
        saddle = optimize.root(four_slope, guess).x
        passes[pair] = four(saddle)
        i = np.round((saddle + 2) / spacing).astype(int)
        near = np.asarray(plane.basin_grid)[i[0] - 1 : i[0] + 2, i[1] - 1 : i[1] + 2]
        assert set(near.ravel().tolist()) == set(pair)
    for well in range(4):
        barrier = min(v for pair, v in passes.items() if well in pair) - four(plane.minima[well])
        assert plane.barriers[well] == pytest.approx(barrier, abs=0.002)
        assert plane.heights[well] == pytest.approx(barrier / 2, abs=0.001)
    points = rng.uniform(-2, 2, size=(500, 2))
    points = np.round((points + 2) / spacing) * spacing - 2  # of the grid itself
    inside = np.array([four(z) for z in points]) - [four(m) for m in plane.minima[plane.labels(points)]]
    want = np.where(inside <= plane.heights[plane.labels(points)], plane.labels(points), -1)
    assert (want >= 0).any()
    nearby = points + spacing * rng.uniform(-0.49, 0.49, size=points.shape)  # the nearest point of the grid decides
    np.testing.assert_array_equal(plane.cores(nearby), want)
    np.testing.assert_array_equal(plane.labels(nearby), plane.labels(points))


# -- the tally -----------------------------------------------------------------------------------------------


def recount(path, wells, burn_in):
    """Visits and crossings of one replica, (steps + 1, D), in a loop that knows nothing of JAX."""
    basins, cores = wells.labels(path), wells.cores(path)
    visits, crossings = np.zeros(wells.count, int), np.zeros((wells.count, wells.count), int)
    last = cores[0]
    for n in range(1, len(path)):
        if n > burn_in:
            visits[basins[n]] += 1
        if cores[n] >= 0:
            if last >= 0 and cores[n] != last and n > burn_in:
                crossings[last, cores[n]] += 1
            last = cores[n]
    return visits, crossings


def position(pair):
    return pair[0]


def plain_position(theta):
    return theta


def tilted(potential, T, eta, S):
    return toys.tilted(potential, toys.tilts_of(toys.tilt_variance(T, eta, S) * np.eye(potential.dimension)))


def test_the_tally_counts_what_a_loop_counts(line):
    """Crossings and visits of saved paths, exactly; the path itself is that without the tally.

    Dithering on the ridge is no crossing: basins change more often.
    """
    eta, S, burn_in = 0.3, 2, 100
    dynamics, problem = sg.SGD(eta, S), tilted(ASYMMETRIC, 0.15, eta, S)
    settings = {"num_steps": 600, "replicas": 4, "key": jax.random.key(1), "observables": {"theta": plain_position}}
    run = sg.simulate(dynamics, problem, accumulate=Tally(line, burn_in).accumulate, **settings)
    plain = sg.simulate(dynamics, problem, save_every=600, **settings)
    np.testing.assert_allclose(run.values["theta"][:, -1], plain.values["theta"][:, -1], rtol=1e-9)
    moved = changes = 0
    for r in range(4):
        path = run.values["theta"][r]
        visits, crossings = recount(path, line, burn_in)
        np.testing.assert_array_equal(run.accumulated.visits[r], visits)
        np.testing.assert_array_equal(run.accumulated.crossings[r], crossings)
        assert visits.sum() == 500
        moved += crossings.sum()
        changes += np.count_nonzero(np.diff(line.labels(path[burn_in:])))
    assert moved > 20
    assert changes > 1.5 * moved


@pytest.mark.parametrize(
    ("dynamics", "potential"),
    [(sg.SGD(0.3, 2, momentum=0.5), ASYMMETRIC), (sg.SDE(0.3, 2, momentum=0.5), ASYMMETRIC), (sg.SGD(0.3, 2), FOUR)],
)
def test_the_tally_of_any_dynamics(dynamics, potential, line, plane):
    """Step by step: states with a velocity, and wells in the plane."""
    wells = plane if potential is FOUR else line
    problem = tilted(potential, 0.15, 0.3, 2)
    run = sg.simulate(
        dynamics,
        problem,
        num_steps=1500,
        replicas=1,
        key=jax.random.key(2),
        observables={"theta": plain_position},
        accumulate=Tally(wells).accumulate,
    )
    visits, crossings = recount(run.values["theta"][0], wells, 0)
    np.testing.assert_array_equal(run.accumulated.visits[0], visits)
    np.testing.assert_array_equal(run.accumulated.crossings[0], crossings)
    assert crossings.sum() > 10


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ASYMMETRIC, [[-1.0]]), "aren't among the minima, at 1.011"),
        ((ASYMMETRIC, [[-1.0], [-0.9], [1.0]]), "two of the minima lie in the basin"),
        ((ASYMMETRIC, [[-1.0, 0.0]]), "pass \\(M, 1\\)"),
        ((ASYMMETRIC, None, 0.0), "pass T > 0"),
        ((ASYMMETRIC, None, -1), "pass T > 0"),
        ((ASYMMETRIC, None, None, [(2, -2)]), "low < high"),
        ((Landscape("slope", lambda z: jnp.exp(z[0]), 1), None, None, [(3, 4)]), "no minimum between"),
        ((FOUR, [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]), "a well that isn't among the minima, near"),
        ((FOUR, [[-1.0, -1.0], [-1.0, -0.9]]), "pass one for each basin"),
        ((toys.potential("ring"),), "comes without minima"),
        ((Landscape("cubic", lambda z: jnp.sum(z**4), 3),), "take one or two"),
        ((Landscape("square", lambda z: jnp.sum(z**2), 2), [[0.0, 0.0]]), "pass \\(low, high\\)"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(sg.InputError, match=message):
        wells_of(*arguments, points=33)


def test_cores_must_lie_below_the_barrier():
    with pytest.raises(sg.InputError, match="between 0 and the lowest barrier"):
        wells_of(ASYMMETRIC, core_height=0.25)
