"""What results print and draw, against numbers worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sdesgd import basins, evidence, stationary, toys
from sdesgd.basins.kept_landscape import KeptLandscape, kept
from sdesgd.landscape import Landscape
from tests.results.made import grid_wells, passages


def lopsided(theta):
    """Another function of each coordinate: a grid that is transposed gives other values."""
    return theta[0] ** 2 + jnp.sin(3 * theta[1]) + theta[1] ** 4


def test_a_file_keeps_the_landscape_on_a_grid_around_the_minima():
    """V at the points of the grid by NumPy, first coordinate first; the grid holds the minima with room around them."""
    minima = np.array([[0.0, -0.5], [1.0, 0.5]])
    known = kept(Landscape("lopsided", lopsided, 2), minima)
    x, y = np.meshgrid(*known.axes, indexing="ij")
    np.testing.assert_allclose(known.values, x**2 + np.sin(3 * y) + y**4, rtol=1e-12)
    for k, axis in enumerate(known.axes):
        assert axis[0] < minima[:, k].min() - 0.3
        assert axis[-1] > minima[:, k].max() + 0.3
    assert kept(known, minima) is known
    assert kept(Landscape("deep", lambda w: jnp.sum(w**2), 5), np.zeros((1, 5))).axes == ()


def test_a_potential_is_kept_on_its_box():
    known = kept(toys.potential("double-well"), np.array([[-1.0], [1.0]]))
    (low, high) = toys.potential("double-well").box[0]
    assert (known.axes[0][0], known.axes[0][-1]) == (low, high)
    assert isinstance(dataclasses.replace(known), KeptLandscape)


def test_minima_in_many_dimensions_show_their_spectra():
    bowl = Landscape("bowl", lambda w: jnp.sum(jnp.arange(1.0, 6.0) * w**2) / 2, 5)
    minima = basins.find_minima(bowl, np.ones((25, 5)))
    left, right = minima.plot().axes
    drawn = np.concatenate([line.get_ydata() for line in left.get_lines()])
    np.testing.assert_allclose(np.sort(drawn), np.arange(1.0, 6.0), rtol=1e-8)
    assert [text.get_text() for text in right.texts] == ["25 starts"]
    assert "0 found just once: one more start finds a new one with a chance of about 0." in str(minima)
    few = dataclasses.replace(minima, hits=np.array([3]))
    assert "Nothing says that these are all: they come from 3 starts" in str(few)


def test_the_survival_function_counts_passages_that_take_longer():
    times = dataclasses.replace(passages(), steps=np.array([4, 1, 3, 2]), censored=np.zeros(4, bool), mean_steps=2.5)
    steps, share = times.survival
    np.testing.assert_array_equal(steps, [1, 2, 3, 4])
    np.testing.assert_allclose(share, [0.75, 0.5, 0.25, 0.0])
    measured, theory = times.plot().axes[0].get_lines()
    np.testing.assert_allclose(measured.get_ydata(), [1, 0.75, 0.5, 0.25, 0])
    n = theory.get_xdata()
    np.testing.assert_allclose(theory.get_ydata(), np.exp(-n / 2.5))


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement"])
def test_a_law_of_regression_stands_beside_the_ou_variance(sampling):
    """In one dimension Γ = η f C/(2 S H), with f = (N − S)/(N − 1) without replacement."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 1)), rng.normal(size=9)
    law = stationary.regression_covariance(x, y, 0.2, 3, sampling=sampling)
    eigenvalues, exact, ou = law.along_hessian()
    H = float(np.mean(x**2))
    C = float(np.mean((x[:, 0] * (x[:, 0] * law.minimum[0] - y)) ** 2))
    f = 6 / 8 if sampling == "no_replacement" else 1.0
    np.testing.assert_allclose([*eigenvalues, *ou, *exact], [H, 0.2 * f * C / (2 * 3 * H), law.covariance[0, 0]])
    ratio = law.plot().axes[1].get_lines()[1].get_ydata()
    np.testing.assert_allclose(ratio, exact / ou)


def test_a_density_prints_its_moments_and_draws_its_marginals():
    """exp(−(x − s)²/2s²) along each axis, with another s each on one grid: means and deviations s, marginals of area 1.

    On grids in units of s the marginals would all look alike, and one along a wrong axis would pass.
    """
    axes = (np.linspace(-10, 14, 97),) * 3
    grid = np.meshgrid(*axes, indexing="ij")
    weights = np.exp(-sum((x - s) ** 2 / (2 * s**2) for x, s in zip(grid, (1.0, 2.0, 0.5), strict=True)))
    density = stationary.GridDensity(axes, weights / weights.sum())
    rows = [line.split()[:3] for line in str(density).splitlines()[2:]]
    found = [[float(x) for x in row[1:]] for row in rows]
    np.testing.assert_allclose(found, [[1, 1], [2, 2], [0.5, 0.5]], rtol=1e-4)
    for s, panel in zip((1.0, 2.0, 0.5), density.plot().axes, strict=True):
        x, p = panel.get_lines()[0].get_data()
        assert np.trapezoid(p, x) == pytest.approx(1, rel=1e-6)
        np.testing.assert_allclose(p, np.exp(-((x - s) ** 2) / (2 * s**2)) / (s * np.sqrt(2 * np.pi)), atol=1e-6)


def test_a_fitted_order_keeps_its_points_in_the_order_of_the_steps():
    fit = evidence.order_fit([0.4, 0.1, 0.2], [0.16, 0.01, 0.04], [0.01, 0.001, 0.002])
    dataset = fit.to_xarray()
    np.testing.assert_allclose(dataset["step_size"], [0.1, 0.2, 0.4])
    np.testing.assert_allclose(dataset["errors"], [0.01, 0.04, 0.16])
    np.testing.assert_allclose(dataset["standard_errors"], [0.001, 0.002, 0.01])
    np.testing.assert_allclose(dataset["fitted"], [0.01, 0.04, 0.16], rtol=1e-9)
    assert "p = 2.000" in str(fit)


def test_wells_come_back_in_double_precision_where_jax_is_set_to_single(tmp_path):
    grid_wells().save(tmp_path / "w.nc")
    with jax.enable_x64(False):
        read = basins.GridWells.load(tmp_path / "w.nc")
    assert read.spacing.dtype == np.float64
    assert read.basin_grid.dtype == np.int32


def test_draws_that_mix_say_so_and_others_say_why_not():
    points = np.random.default_rng(0).normal(size=(2, 100, 2))
    good = stationary.GibbsSample(points, np.full(2, 1.01), np.full(2, 500.0), 0)
    assert good.trouble == ""
    assert "The chains mix." in str(good)
    assert "agree" in good.plot().get_suptitle()
    for bad in (
        dataclasses.replace(good, r_hat=np.array([1.0, 1.03])),
        dataclasses.replace(good, ess=np.array([500.0, 399.0])),
        dataclasses.replace(good, divergences=1),
        dataclasses.replace(good, r_hat=np.array([np.nan, 1.0])),
    ):
        assert "The chains haven't mixed: R-hat" in str(bad)
        assert "have not mixed" in bad.plot().get_suptitle()
