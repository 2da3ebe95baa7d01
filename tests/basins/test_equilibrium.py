"""Occupancy in one call: against a transfer matrix by hand, quadrature and enumeration; what it refuses, and how."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy as sp
from scipy import optimize

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins import tilting
from tests.refusals import refused

T, ETA = 0.1, 0.2
KEY = jr.key(7)
SETTING = {"temperature": T, "learning_rate": ETA, "batch_size": 1, "key": KEY, "crossings": 4000, "replicas": 512}


def double_well(x):
    return (x[0] ** 2 - 1) ** 2 / 4 + x[0] / 30


def slope(x):
    return x * (x**2 - 1) + 1 / 30


TOP = optimize.brentq(slope, -0.3, 0.3, xtol=1e-14)


def left_share_by_hand(temperature, eta, points=3001):
    """P(θ < TOP) of θ' = θ − η(V′ ± σ), σ² = 2T/η (S = 1), by powers of a matrix with linear interpolation."""
    x = np.linspace(-3, 3, points)
    sigma = np.sqrt(2 * temperature / eta)
    matrix = np.zeros((points, points))
    for sign in (-1, 1):
        position = np.clip((x - eta * (slope(x) + sign * sigma) - x[0]) / (x[1] - x[0]), 0, points - 1.001)
        left = position.astype(int)
        matrix[np.arange(points), left] += (1 - (position - left)) / 2
        matrix[np.arange(points), left + 1] += (position - left) / 2
    for _ in range(14):
        matrix = matrix @ matrix
    law = matrix[points // 2]
    return law[x < TOP].sum() / law.sum()


def gibbs_by_hand(temperature):
    x = np.linspace(-4, 4, 400_001)
    weight = np.exp(-((x**2 - 1) ** 2 / 4 + x / 30) / temperature)
    return weight[x < TOP].sum() / weight.sum()


@pytest.fixture(scope="module")
def answer():
    """JAX set to 32 bits, as it is for users."""
    with jax.enable_x64(False):
        return sg.occupancy(double_well, [(-2, 2)], **SETTING)


@pytest.mark.slow
def test_it_agrees_with_a_transfer_matrix_and_quadrature_by_hand(answer):
    """The matrix's linear interpolation adds spacing²/8 a step to the variance 2Tη, 1e-5 of it."""
    law = left_share_by_hand(T, ETA)
    assert answer.minima[0, 0] == pytest.approx(optimize.brentq(slope, -1.5, -0.5), abs=1e-8)
    assert answer.exact[0] == pytest.approx(law, abs=1e-3)
    assert abs(answer.probabilities[0] - law) < 4 * answer.standard_errors[0]
    assert answer.gibbs[0] == pytest.approx(gibbs_by_hand(T), abs=1e-5)
    assert 0.003 < answer.standard_errors[0] < 0.02
    assert answer.versus_exact.kind != "different"
    assert answer.not_established is None


def test_rates_are_kramers_per_step(answer):
    a, b = (optimize.brentq(slope, *ends) for ends in ((-1.5, -0.5), (0.5, 1.5)))
    for origin, target, start in ((0, 1, a), (1, 0, b)):
        rise = double_well([TOP]) - double_well([start])
        rate = np.sqrt((3 * start**2 - 1) * (1 - 3 * TOP**2)) / (2 * np.pi) * np.exp(-rise / T)
        assert answer.rates[origin, target] == pytest.approx(ETA * rate, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (lambda monkeypatch: wrong_temperature(monkeypatch), "T"),
        (lambda monkeypatch: swapped_wells(monkeypatch), "wells"),
    ],
)
def test_a_planted_error_is_seen(monkeypatch, plant, message):
    """Twice the temperature moves the left share by 11 percentage points at T = 0.05; swapped wells by far more."""
    plant(monkeypatch)
    found = sg.occupancy(double_well, [(-2, 2)], **SETTING | {"temperature": 0.05})
    law = left_share_by_hand(0.05, ETA)
    assert abs(found.probabilities[0] - law) > 6 * found.standard_errors[0], message
    assert found.versus_gibbs.kind == "different"


def wrong_temperature(monkeypatch):
    true = toys.tilt_variance
    monkeypatch.setattr(tilting.toys, "tilt_variance", lambda *setting: 2 * true(*setting))


def swapped_wells(monkeypatch):
    from sdesgd.basins import measured

    true = measured.occupancy_of
    monkeypatch.setattr(
        measured, "occupancy_of", lambda visits, crossings, *a: true(visits[..., ::-1], crossings[..., ::-1, ::-1], *a)
    )


def test_at_low_temperature_laplace_is_gibbs_and_sgd_is_not_established():
    found = sg.occupancy("unequal-width", learning_rate=0.1, batch_size=2, temperature=0.004, key=KEY)
    assert found.not_established is not None
    assert "not mixed" in found.not_established.reason
    assert found.not_established.remedy.endswith("steps per replica")
    assert int("".join(filter(str.isdigit, found.not_established.remedy))) > 1e9
    assert np.isnan(found.probabilities).all()
    np.testing.assert_allclose(found.laplace, found.gibbs, atol=0.01)
    assert found.exact is None
    assert found.verdict == "inconclusive"
    assert "not established" in str(found)
    found.plot()


@pytest.mark.slow
def test_too_few_steps_of_ones_own_are_not_enough():
    found = sg.occupancy(double_well, [(-2, 2)], **SETTING | {"num_steps": 20})
    assert "not mixed" in found.not_established.reason
    assert found.exact[0] == pytest.approx(left_share_by_hand(T, ETA), abs=1e-3)
    assert np.isnan(found.probabilities).all()


def test_a_sympy_expression_and_a_ready_potential_are_the_same_landscape(answer):
    x = sp.Symbol("x")
    V = (x**2 - 1) ** 2 / 4 + x / 30
    found = sg.occupancy(V, (-2, 2), **SETTING | {"num_steps": 20})
    np.testing.assert_allclose(found.exact, answer.exact, atol=1e-6)
    np.testing.assert_allclose(found.gibbs, answer.gibbs, atol=1e-9)


@pytest.mark.slow
def test_four_wells_in_the_plane():
    """Gibbs by a plain sum on a grid with the basins' own labels; SGD against its exact law."""
    found = sg.occupancy("four-wells", **SETTING | {"learning_rate": 0.15})
    assert found.minima.shape == (4, 2)
    for k in range(4):
        assert abs(found.probabilities[k] - found.exact[k]) < 4 * found.standard_errors[k]
    axis = np.linspace(-2.8, 2.8, 701)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    well = lambda z: (z**2 - 1) ** 2 / 4  # noqa: E731
    weight = np.exp(-(well(x) + x / 30 + well(y) - y / 20 + x * y / 40) / T)
    quadrants = [weight[(np.sign(x) == np.sign(a)) & (np.sign(y) == np.sign(b))].sum() for a, b in found.minima]
    # Basins are nearly quadrants: the ridges lie within 0.1 of the axes, where the density is low.
    np.testing.assert_allclose(found.gibbs, np.array(quadrants) / weight.sum(), atol=0.02)


def test_without_replacement_and_with_momentum_the_temperature_is_the_same():
    """One step's covariance is exactly η²fσ²/S, whatever tilts were chosen: 2Tη(1−m)."""
    V = toys.potential("double-well")
    for momentum, sampling, S in ((0.0, "replacement", 3), (0.5, "replacement", 1), (0.8, "no_replacement", 3)):
        problem = tilting.at_temperature(V, T, ETA, S, momentum, sampling)
        tilts = np.asarray(problem.data)[:, 0]
        f = 1.0 if sampling == "replacement" else (len(tilts) - S) / (len(tilts) - 1)
        assert ETA**2 * f * tilts.var() / S == pytest.approx(2 * T * ETA * (1 - momentum))


@pytest.mark.slow
def test_a_problem_has_the_temperature_of_its_data():
    """ℓ_i = V ± 0.9 x: σ² = 0.81, T = ησ²/(2S)."""
    with jax.enable_x64(False):
        problem = sg.Problem(lambda x, b: (x**2 - 1) ** 2 / 4 + x / 30 + b * x, jnp.asarray(1.0), np.array([0.9, -0.9]))
        found = sg.occupancy(problem, [(-2, 2)], learning_rate=0.3, key=KEY, crossings=4000, replicas=512)
    assert found.temperature == pytest.approx(0.3 * 0.81 / 2, rel=1e-6)
    law = left_share_by_hand(found.temperature, 0.3)
    assert found.exact[0] == pytest.approx(law, abs=1e-3)
    assert abs(found.probabilities[0] - law) < 4 * found.standard_errors[0]


def test_it_prints_plots_saves_and_loads(answer, tmp_path):
    answer.save(tmp_path / "o.nc")
    read = sg.Occupancy.load(tmp_path / "o.nc")
    for name in ("probabilities", "standard_errors", "exact", "gibbs", "minima", "rates", "crossings"):
        np.testing.assert_array_equal(getattr(read, name), getattr(answer, name))
    assert str(read) == str(answer)
    lines = str(answer).splitlines()
    assert lines[1].split() == [
        "well",
        "minimum",
        "SGD",
        "±",
        "SE,",
        "%",
        "exact,",
        "%",
        "Gibbs,",
        "%",
        "Laplace,",
        "%",
    ]
    assert len(lines) == 6
    assert len(read.plot().axes) == 3  # the landscape, the densities on it, the shares
    assert dict(answer.to_xarray().sizes) == {"well": 2, "coordinate": 1, "origin": 2, "target": 2}
    axes = sg.plot.occupancy_against_temperature([answer])
    assert "T" in axes.get_xlabel()
    refused(lambda: sg.plot.occupancy_against_temperature([]), "0 results")
    refused(lambda: sg.plot.occupancy_against_temperature([answer], well=2), "well is 2")


def test_one_well_is_no_question():
    found = sg.occupancy("quadratic", temperature=0.1, learning_rate=0.1, key=KEY)
    assert found.probabilities.tolist() == [1.0]
    assert found.gibbs[0] == pytest.approx(1)
    assert "one well" in str(found)
    found.plot()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": None}, "no temperature"),
        ({"temperature": -1.0}, "T > 0"),
        ({"box": None}, "no box"),
        ({"box": [(2, -2)]}, "low < high"),
        ({"learning_rate": 3.0}, "pass a learning rate below"),
        ({"sampling": "reshuffle"}, "reshuffle"),
        ({"momentum": 1.0}, "0 ≤ m < 1"),
        ({"batch_size": 0}, "batch_size"),
        ({"potential": lambda x: -(x[0] ** 2)}, "unbounded below"),
        ({"potential": 3}, "pass a function"),
        ({"least_crossings": 5000}, "exceeds"),
    ],
)
def test_bad_input_gets_one_line(changes, message):
    arguments = {"potential": double_well, "box": [(-2, 2)], **SETTING} | changes
    refused(lambda: sg.occupancy(**arguments), message)
