"""Saddles against scipy's roots of the written-out gradient from a grid of guesses; barriers over all ways."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins.saddles import (
    Saddle,
    barriers,
    critical_points,
    find_saddles,
    highest_on_the_way,
    minimum_energy_path,
)
from sdesgd.landscape import Landscape

FOUR, MUELLER_BROWN, RUGGED = (toys.potential(name) for name in ("four-wells", "mueller-brown", "rugged"))


def four(z):
    x, y = z
    return (x**2 - 1) ** 2 / 4 + x / 30 + (y**2 - 1) ** 2 / 4 - y / 20 + x * y / 40


def four_slope(z):
    x, y = z
    return np.array([x**3 - x + 1 / 30 + y / 40, y**3 - y - 1 / 20 + x / 40])


def mueller_brown(z):
    """The four Gaussians of Müller & Brown 1979 in units of 1/100, and the wall."""
    x, y = z
    total = 0
    for a, b, c, d, x0, y0 in (
        (-200, -1, 0, -10, 1, 0),
        (-100, -1, 0, -10, 0, 0.5),
        (-170, -6.5, 11, -6.5, -0.5, 1.5),
        (15, 0.7, 0.6, 0.7, -1, 1),
    ):
        total += a * np.exp(b * (x - x0) ** 2 + c * (x - x0) * (y - y0) + d * (y - y0) ** 2)
    return total / 100 + (x**2 + (y - 0.5) ** 2) ** 4 / 2000


def mueller_brown_slope(z):
    step = 1e-5
    return np.array([(mueller_brown(z + h) - mueller_brown(z - h)) / (2 * step) for h in step * np.eye(2)])


def curvatures(slope, z):
    step = 1e-5
    columns = [(slope(z + h) - slope(z - h)) / (2 * step) for h in step * np.eye(len(z))]
    return np.linalg.eigvalsh(np.array(columns))


def stationary_points(slope, box, count):
    """(minima, saddles) of all that scipy's root finder reaches from a grid."""
    found = []
    for guess in itertools.product(*(np.linspace(*side, count) for side in box)):
        with np.errstate(over="ignore", invalid="ignore"):
            root = optimize.root(slope, guess, tol=1e-12)
        inside = all(low < x < high for x, (low, high) in zip(root.x, box, strict=True))
        if inside and np.linalg.norm(slope(root.x)) < 1e-7 and all(np.linalg.norm(root.x - z) > 1e-4 for z in found):
            found.append(root.x)
    indices = [int((curvatures(slope, z) < 0).sum()) for z in found]
    return [np.array([z for z, i in zip(found, indices, strict=True) if i == wanted]) for wanted in (0, 1)]


def by_value(points, value):
    return np.array(sorted(points, key=value))


@pytest.fixture(scope="module")
def four_wells():
    minima, saddles = stationary_points(four_slope, FOUR.box, 9)
    return by_value(minima, four), by_value(saddles, four)


@pytest.fixture(scope="module")
def four_saddles(four_wells):
    return find_saddles(FOUR, four_wells[0])


def test_all_passes_of_four_wells(four_wells, four_saddles):
    """Each pass once, with the two minima it joins; diagonal pairs have none of their own."""
    minima, saddles = four_wells
    assert len(minima) == len(saddles) == len(four_saddles) == 4
    np.testing.assert_allclose([s.point for s in four_saddles], saddles, atol=1e-7)
    np.testing.assert_allclose([s.value for s in four_saddles], [four(z) for z in saddles], rtol=1e-9)
    for saddle in four_saddles:
        np.testing.assert_allclose(saddle.spectrum, curvatures(four_slope, saddle.point), atol=1e-4)
        a, b = minima[list(saddle.wells)]
        # The pass lies on the side of the square that the two minima share.
        across = np.abs(a - b).argmax()
        assert np.sign(a[1 - across]) == np.sign(b[1 - across]) == np.sign(saddle.point[1 - across])
        assert np.sign(a[across]) != np.sign(b[across])


def test_barriers_are_the_lowest_over_all_ways(four_wells, four_saddles):
    """Against an enumeration of all simple ways through the graph of passes."""
    minima = four_wells[0]
    found = barriers(FOUR, minima, four_saddles)
    heights = {frozenset(s.wells): s.value for s in four_saddles}
    for a, b in itertools.permutations(range(4), 2):
        lowest = np.inf
        for length in range(3):
            for via in itertools.permutations(set(range(4)) - {a, b}, length):
                way = (a, *via, b)
                lowest = min(lowest, max(heights.get(frozenset(p), np.inf) for p in itertools.pairwise(way)))
        assert found[a, b] == pytest.approx(lowest - four(minima[a]), rel=1e-9)
    assert (np.diag(found) == 0).all()
    direct = {tuple(sorted(s.wells)) for s in four_saddles}
    diagonal = next((a, b) for a, b in itertools.combinations(range(4), 2) if (a, b) not in direct)
    assert np.isfinite(found[diagonal])


def test_the_path_between_neighbours(four_wells):
    """Along the path the gradient has nothing across it; barriers from both ends; the ends are the minima."""
    minima = four_wells[0]
    neighbours = sorted(range(4), key=lambda k: np.linalg.norm(minima[k] - minima[0]))[:2]
    path = minimum_energy_path(FOUR, *minima[neighbours])
    np.testing.assert_allclose(path.points[[0, -1]], minima[neighbours], atol=1e-8)
    assert np.linalg.norm(four_slope(path.saddle)) < 1e-7
    assert len(path.saddles) == 1
    assert path.barrier_from_a == pytest.approx(four(path.saddle) - four(minima[neighbours[0]]))
    assert path.barrier_from_b == pytest.approx(four(path.saddle) - four(minima[neighbours[1]]))
    assert path.values.max() <= four(path.saddle) + 1e-6
    assert path.values.max() == pytest.approx(four(path.saddle), abs=2e-3)
    along = path.points[2:] - path.points[:-2]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    slopes = np.array([four_slope(z) for z in path.points[1:-1]])
    across = slopes - (slopes * along).sum(axis=1, keepdims=True) * along
    assert np.linalg.norm(across, axis=1).max() < 0.02 * np.linalg.norm(slopes, axis=1).max()


def test_a_quick_bound_lies_between_the_pass_and_the_straight_line(four_wells, four_saddles):
    """Between any two wells; between opposite ones the line leads over the summit, and the string goes round it."""
    minima, lowest = four_wells[0], barriers(FOUR, four_wells[0], four_saddles)
    drops = []
    for a, b in itertools.combinations(range(4), 2):
        line = minima[a] + np.linspace(0, 1, 401)[:, None] * (minima[b] - minima[a])
        top = max(four(z) for z in line)
        found = highest_on_the_way(FOUR, minima[a], minima[b], images=41)
        assert lowest[a, b] + four(minima[a]) - 5e-3 < found < top + 1e-9
        drops.append(top - found)
    assert max(drops) > 0.1


@pytest.mark.slow
def test_mueller_brown():
    """Two passes between three minima, as scipy finds them; the way from end to end leads over both."""
    minima, saddles = stationary_points(mueller_brown_slope, MUELLER_BROWN.box, 15)
    minima, saddles = by_value(minima, mueller_brown), by_value(saddles, mueller_brown)
    assert len(minima) == 3
    # Known from the literature without the wall, to the digits given there.
    np.testing.assert_allclose(saddles[:2], [[0.2125, 0.2930], [-0.8220, 0.6245]], atol=2e-3)
    found = find_saddles(MUELLER_BROWN, minima)
    np.testing.assert_allclose([s.point for s in found], saddles[:2], atol=1e-6)
    assert [s.wells for s in found] == [(1, 2), (0, 2)]
    path = minimum_energy_path(MUELLER_BROWN, minima[0], minima[1])
    assert len(path.saddles) == 2
    np.testing.assert_allclose(path.saddle, saddles[1], atol=1e-6)
    want = mueller_brown(saddles[1])
    table = barriers(MUELLER_BROWN, minima, found)
    np.testing.assert_allclose(
        table[[0, 1, 2], [1, 0, 0]], want - np.array([mueller_brown(z) for z in minima]), rtol=1e-6
    )


def rugged(x):
    return x**2 / 20 + np.cos(3 * x) / 5 + np.sin(5 * x) / 10


def test_on_a_line_passes_are_maxima():
    """By numpy on a fine grid; the barrier between the ends is over the highest top of all between."""
    x = np.linspace(-5, 5, 2_000_001)
    V = rugged(x)
    bottoms = x[1:-1][(V[1:-1] < V[:-2]) & (V[1:-1] < V[2:])]
    tops = x[1:-1][(V[1:-1] > V[:-2]) & (V[1:-1] > V[2:])]
    found_bottoms, found_tops = critical_points(RUGGED, -5.0, 5.0)
    np.testing.assert_allclose(found_bottoms, bottoms, atol=1e-5)
    np.testing.assert_allclose(found_tops, tops, atol=1e-5)
    path = minimum_energy_path(RUGGED, found_bottoms[[-1]], found_bottoms[[0]])
    between = tops[(tops > bottoms[0]) & (tops < bottoms[-1])]
    np.testing.assert_allclose(path.saddles[:, 0], between[::-1], atol=1e-5)
    assert path.barrier_from_b == pytest.approx(rugged(between).max() - rugged(bottoms[0]), abs=1e-9)
    assert path.barrier_from_a == pytest.approx(rugged(between).max() - rugged(bottoms[-1]), abs=1e-9)


def test_more_dimensions():
    """Two wells along a bent axis in five dimensions, V = (u² − 1)²/4 + |w − w₀(u)|²: the pass is at u = 0."""

    def value(z):
        return (z[0] ** 2 - 1) ** 2 / 4 + jnp.sum((z[1:] - jnp.arange(1, 5) * (1 - z[0] ** 2) / 4) ** 2)

    ends = np.zeros((2, 5))
    ends[:, 0] = -1, 1
    path = minimum_energy_path(Landscape("bent", value, 5), *ends)
    np.testing.assert_allclose(path.saddle, [0, 0.25, 0.5, 0.75, 1.0], atol=1e-8)
    assert path.barrier_from_a == pytest.approx(0.25)
    assert path.barrier_from_b == pytest.approx(0.25)


def test_a_symmetric_line_over_a_summit():
    """The straight line between opposite wells runs over the summit; the string leaves it for a pass."""

    def value(z):
        return jnp.sum((z**2 - 1) ** 2) / 4

    path = minimum_energy_path(Landscape("square", value, 2), [-1.0, -1.0], [1.0, 1.0])
    assert path.barrier_from_a == pytest.approx(0.25)
    assert sorted(np.abs(path.saddle).round(6)) == [0, 1]
    assert len(path.saddles) == 2


def test_without_passes_a_barrier_is_infinite():
    minima = np.array([[-2.8816], [-1.2700], [0.96356]])
    saddle = Saddle(np.array([-2.2]), 0.53, (0, 1), np.array([-4.0]))
    found = barriers(RUGGED, minima, (saddle,))
    assert np.isinf(found[0, 2])
    assert found[0, 1] == pytest.approx(0.53 - rugged(-2.8816))


@pytest.mark.parametrize(
    ("a", "b", "images", "message"),
    [
        ([0.9], [0.9], 31, "0 apart"),
        ([0.2], [-2.8816082184269326], 31, "pass quenched points"),
        ([0.9635620612095216], [-2.8816082184269326], 3, "at least 5"),
        ([0.5, 0.5], [1.0, 1.0], 31, "pass \\(K, 1\\)"),
    ],
)
def test_bad_input(a, b, images, message):
    with pytest.raises(sg.InputError, match=message):
        minimum_energy_path(RUGGED, a, b, images)


def test_a_minimum_that_is_left_out_is_missed(four_wells):
    """From the diagonal's passes the flow ends at a third minimum."""
    minima = four_wells[0]
    opposite = [0, max(range(4), key=lambda k: np.linalg.norm(minima[k] - minima[0]))]
    with pytest.raises(sg.InputError, match="which isn't among the minima"):
        find_saddles(FOUR, minima[opposite])
