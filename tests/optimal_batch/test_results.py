"""Tables, posteriors and comparisons of laws as results: printed, drawn, kept in a file."""

import dataclasses
import math

import numpy as np
import pytest

from sdesgd.optimal_batch import AccuracyTable, LawComparison, Posterior, compare_laws
from sdesgd.optimal_batch.factors import EXAMPLES, FACTORS, MOMENTUM, RATE, factor
from sdesgd.optimal_batch.series import along, fitted_summaries, summaries
from tests.optimal_batch.synthetic import Design, Truth, simulate_table
from tests.optimal_batch.test_model import certain
from tests.refusals import refused

DESIGN = Design(
    series=((0.1, 1000, 0.9), (0.2, 1000, 0.9), (0.4, 1000, 0.9), (0.1, 4000, 0.9), (0.1, 1000, 0.5)),
    batches=(2, 8, 32, 128), seeds=3, num_test=2000,
)  # fmt: skip


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """α = 1, β = 0.7, γ = 1.2 to 1e-6, and peaks where the law has them."""
    table = simulate_table(Truth(slopes=(1.0, 0.7, 1.2), tau=0.01), DESIGN, np.random.default_rng(0))[0]
    return certain(table)


def test_factors_and_their_axes():
    assert [one.option for one in FACTORS] == ["learning_rate", "num_examples", "momentum"]
    assert factor("momentum") is MOMENTUM
    for one, value in ((RATE, 0.3), (EXAMPLES, 500), (MOMENTUM, 0.9), (MOMENTUM, 0.0)):
        assert one.inverse(one.transform(value)) == pytest.approx(value)
        assert one.log(value) == pytest.approx(math.log(one.transform(value)))
    assert MOMENTUM.transform(0.75) == 4
    refused(lambda: factor("momenta"), "unknown factor 'momenta': did you mean 'momentum'")


def test_series_that_differ_in_one_factor(posterior):
    """Three of η, two of N, two of m, all through η = 0.1, N = 1000, m = 0.9; each ascending."""
    names = {one.symbol: [posterior.table.series[k].name for k in along(posterior.table, one)] for one in FACTORS}
    assert names == {
        "η": ["η=0.1, N=1000, m=0.9", "η=0.2, N=1000, m=0.9", "η=0.4, N=1000, m=0.9"],
        "N": ["η=0.1, N=1000, m=0.9", "η=0.1, N=4000, m=0.9"],
        "m": ["η=0.1, N=1000, m=0.5", "η=0.1, N=1000, m=0.9"],
    }


def test_what_is_said_of_a_series(posterior):
    """Mean and 95 % interval of three seeds by hand: t of two degrees of freedom is 4.3027."""
    shown = fitted_summaries(posterior)
    table, one = posterior.table, shown[0]
    rows = table.series[0].rows[table.batch_size[table.series[0].rows] == 8]
    values = table.accuracy[rows]
    at = one.batch_sizes.tolist().index(8)
    assert one.mean[at] == pytest.approx(values.mean())
    assert one.high[at] - one.mean[at] == pytest.approx(4.302653 * values.std(ddof=1) / math.sqrt(3), rel=1e-5)
    assert one.peak == posterior.peak(0)
    assert summaries(table)[0].peak is None


def test_a_posterior_prints_its_exponents_its_peaks_and_its_trouble(posterior):
    text = str(posterior)
    assert text.startswith("B_opt grows as η^1.00 · N^0.70 · (1/(1−m))^1.20. 90 % intervals: α [1.00, 1.00]")
    assert "lies in that of α." in text or "lies in none." in text
    assert "Fitted to 5 series of 60 runs." in text
    for series in posterior.table.series:
        assert series.name in text
    assert "array(" not in text
    assert repr(posterior) == text
    bad = dataclasses.replace(posterior, divergences=7)
    assert str(bad).startswith("Not to be used: the chains mixed, but 7 of 1000 trajectories diverged")


def test_a_peak_beyond_the_grid_is_printed_as_a_bound(posterior):
    """All of the posterior at B = 300, above the largest that was sampled, 128."""
    beyond = dataclasses.replace(posterior, batch_opt=np.full_like(posterior.batch_opt, 300.0))
    assert "> 300  may lie above, beyond the sampled batch sizes" in str(beyond)


def test_a_posterior_comes_back_from_its_file(posterior, tmp_path):
    posterior.save(tmp_path / "fit.nc")
    read = Posterior.load(tmp_path / "fit.nc")
    assert str(read) == str(posterior)
    assert read.recommend(0.3, 2000, 0.8) == posterior.recommend(0.3, 2000, 0.8)
    assert read.peak((0.1, 1000, 0.9)) == posterior.peak((0.1, 1000, 0.9))
    np.testing.assert_array_equal(read.batch_opt, posterior.batch_opt)
    np.testing.assert_array_equal(read.table.accuracy, posterior.table.accuracy)
    refused(lambda: AccuracyTable.load(tmp_path / "fit.nc"), "holds a 'Posterior'")


def test_a_table_comes_back_from_its_file_and_its_dataset(posterior, tmp_path):
    table = posterior.table
    table.save(tmp_path / "table.nc")
    for read in (AccuracyTable.load(tmp_path / "table.nc"), AccuracyTable.from_dataset(table.to_xarray())):
        assert str(read) == str(table)
        np.testing.assert_array_equal(read.accuracy, table.accuracy)
        assert read.num_test == 2000
    assert str(table).startswith("60 runs of 5 series (η, N, m), 0 diverged; η 0.1 to 0.4 (3 values), N 1000 to 4000")
    assert "unknown size" in str(dataclasses.replace(table, num_test=None))


def test_the_numbers_of_a_posterior(posterior):
    dataset = posterior.to_xarray()
    np.testing.assert_array_equal(dataset["alpha"], posterior.quantities["alpha"])
    assert dataset["B_opt"].dims == ("chain", "draw", "series")
    at = dataset["R_hat"].sel(quantity="beta")
    assert float(at) == posterior.r_hat["beta"]


def test_the_figure_shows_what_was_found(posterior):
    """A pair of panels for each factor; the lower one's points are the posterior medians, and the line passes through
    them, since τ is 0; titles say what is held fixed."""
    drawn = posterior.plot()
    panels = drawn.axes
    assert [axes.get_xlabel() for axes in panels] == ["batch size B"] * 3 + [one.label for one in FACTORS]
    assert panels[0].get_title(loc="left") == "Accuracy, η varied at N = 1000, m = 0.9"
    assert drawn.get_suptitle().startswith("B_opt grows as η^1.00")
    for one, axes in zip(FACTORS, panels[3:], strict=True):
        members = along(posterior.table, one)
        line = next(entry for entry in axes.get_lines() if len(entry.get_xdata()) > 10)
        for k in members:
            place = one.transform(getattr(posterior.table.series[k], one.option))
            there = np.interp(np.log(place), np.log(line.get_xdata()), np.log(line.get_ydata()))
            assert math.exp(there) == pytest.approx(posterior.peak(k).median, rel=1e-3)
    bad = dataclasses.replace(posterior, divergences=7)
    assert "Not to be used" in bad.plot().get_suptitle()
    assert "<svg" in posterior._repr_html_()


def test_figures_of_a_table_and_of_one_series(posterior):
    table = posterior.table
    assert "Test accuracy of 60 runs" in table.plot().get_suptitle()
    one = simulate_table(Truth(), dataclasses.replace(DESIGN, series=DESIGN.series[:1]), np.random.default_rng(1))[0]
    drawn = certain(one).plot()
    assert len(drawn.axes) == 1
    assert drawn.get_suptitle().startswith("Best batch size: ")


def test_a_comparison_of_laws_prints_draws_and_comes_back(tmp_path):
    density = {"power": np.array([1.0, 2.0, 3.0]), "noise_scale": np.array([0.5, 1.5, 1.0])}
    pareto = {law: np.array([0.1, 0.2, 0.3]) for law in density}
    found = LawComparison(density, pareto, 0, math.nan, 3.0, 1.2, "power", ("a", "b", "c"))
    text = str(found)
    assert "= +3.0 ± 1.2 (standard error over 3 series; largest Pareto k 0.30, 0 refits): the power law" in text
    assert [tick.get_text() for tick in found.plot().axes[0].get_yticklabels()] == ["a", "b", "c"]
    found.save(tmp_path / "laws.nc")
    read = LawComparison.load(tmp_path / "laws.nc")
    assert str(read) == text
    np.testing.assert_array_equal(read.to_xarray()["log_density"].sel(law="power"), density["power"])


def test_laws_fitted_to_equal_tables_are_compared(posterior, tmp_path):
    """A posterior from a file has a table of its own; what is refused is another table."""
    import jax.random as jr

    other = dataclasses.replace(posterior, law="noise_scale", table=dataclasses.replace(posterior.table))
    refused(lambda: compare_laws(posterior, other, key=jr.key(0)), "has 5 series")
    changed = dataclasses.replace(posterior.table, accuracy=posterior.table.accuracy * 0.99)
    another = dataclasses.replace(other, table=changed)
    refused(lambda: compare_laws(posterior, another, key=jr.key(0)), "two tables")
