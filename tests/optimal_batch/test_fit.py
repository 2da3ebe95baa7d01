"""Recovery of a known truth by the fit: slopes, peaks, peaks beyond the grid, other curves, outliers; the two laws
compared.

All fits have one shape, eight lanes, so that one compilation serves the file.
"""

import dataclasses
import functools
import math
from typing import Any

import jax.random as jr
import numpy as np
import pytest
from scipy import special

from sdesgd.errors import InputError
from sdesgd.optimal_batch import AccuracyTable, compare_laws, comparison, fit, predictive_check
from sdesgd.optimal_batch.cells import of_series
from tests.optimal_batch import calibration
from tests.optimal_batch.synthetic import Design, Truth, simulate_table

pytestmark = pytest.mark.slow

DESIGN = Design(
    series=tuple([(eta, 1000, 0.9) for eta in (0.02, 0.1, 0.5)] + [(0.1, N, 0.9) for N in (300, 3000, 10000)]
                 + [(0.1, 1000, m) for m in (0.0, 0.6)]),
    batches=(2, 8, 32, 128, 512),
    seeds=3,
    num_test=5000,
)  # fmt: skip
LANES: dict[str, Any] = {"warmup": 250, "samples": 250}
TRUTH = Truth(slopes=(1.0, 0.5, 1.0), tau=0.15, levels=2.2, curvatures=0.25, noise=0.08)


@functools.cache
def fitted(kind):
    """Posterior, table and the true log B_opt in the order of the table's series."""
    truth = {
        "plain": TRUTH,
        # Gaussian bumps, a curve that the model doesn't have.
        "bumpy": dataclasses.replace(TRUTH, slopes=(0.0, 1.0, 0.3), curve="gaussian"),
        # Peaks at the lower edge and below it, far below for some.
        "low": dataclasses.replace(TRUTH, intercept=-2.5),
    }[kind]
    table, location = simulate_table(truth, DESIGN, np.random.default_rng(5))
    at = dict(zip(DESIGN.series, location, strict=True))
    order = np.array([at[s.learning_rate, s.num_examples, s.momentum] for s in table.series])
    return fit(table, key=jr.key(3), chains=8, **LANES), table, order


@pytest.mark.parametrize(("kind", "slopes"), [("plain", (1.0, 0.5, 1.0)), ("bumpy", (0.0, 1.0, 0.3))])
def test_slopes_and_peaks_are_recovered(kind, slopes):
    """Within 3.3 posterior sd, and sharper than the prior by a factor that leaves 0, ½ and 1 apart."""
    posterior, _, location = fitted(kind)
    # Half the draws that ``check`` wants, and τ mixes slowest; one chain in another mode gives R-hat 3.
    assert max(value for name, value in posterior.r_hat.items() if name != "tau") < 1.08
    assert min(value for name, value in posterior.ess.items() if name != "tau") > 100
    assert posterior.r_hat["tau"] < 1.2
    for name, true in zip(("alpha", "beta", "gamma"), slopes, strict=True):
        low, high = posterior.interval(name, 0.999)
        assert low < true < high
        assert posterior.quantities[name].std() < 0.2
    found = np.log(posterior.batch_opt).reshape(-1, len(location))
    pull = (found.mean(0) - location) / found.std(0)
    assert np.abs(pull).max() < 4
    inside = (location > math.log(2)) & (location < math.log(512))
    assert (found.std(0)[inside] < 0.4).all()


def test_peaks_beyond_the_grid_are_bounds():
    """Where all batch sizes lie above the peak: wide below, nothing above, the truth held, flagged as censored."""
    posterior, _, location = fitted("low")
    out = np.flatnonzero(location < math.log(2) - 0.7)
    assert len(out) >= 2
    for s in out:
        peak = posterior.peak(int(s), level=0.99)
        assert peak.censored == "low"
        assert peak.low < math.exp(location[s]) < peak.high
        inside = [posterior.peak(int(i)) for i in np.flatnonzero(location > math.log(5))]
        assert math.log(peak.high / peak.low) > 2 * min(math.log(p.high / p.low) for p in inside)
    assert posterior.peak(int(np.argmax(location))).censored == ""


def test_one_series_has_a_peak_and_no_scatter():
    """A single η, N and m: B_opt within 3.3 posterior sd, sharper than the prior by far; the chains mix."""
    design = Design(series=((0.1, 1000, 0.9),), batches=(1, 4, 16, 64, 256), seeds=5)
    truth = dataclasses.replace(TRUTH, intercept=0.7)
    table, location = simulate_table(truth, design, np.random.default_rng(11))
    posterior = fit(table, key=jr.key(1), chains=4, **LANES)
    assert {"tau", "alpha", "beta", "gamma"}.isdisjoint(posterior.quantities)
    assert max(posterior.r_hat.values()) < 1.05
    found = np.log(posterior.batch_opt[..., 0])
    assert abs(found.mean() - location[0]) < 3.3 * found.std()
    assert found.std() < 0.5
    again = posterior.recommend(0.1, 1000, 0.9)
    assert again.median == pytest.approx(posterior.peak(0).median, rel=1e-6)


def test_predictive_check_passes_the_model_and_catches_a_second_peak():
    """A table of the model's own kind passes; one whose curves dip at B = 32 by 0.5 in the logit shows in the shape."""
    posterior, table, _ = fitted("plain")
    passed = predictive_check(posterior, table)
    assert all(0.02 < p < 0.98 for p in passed.values()), passed
    odds = table.accuracy / (1 - table.accuracy) * np.where(table.batch_size == 32, math.exp(-0.5), 1.0)
    dipped = dataclasses.replace(table, accuracy=odds / (1 + odds))
    caught = predictive_check(posterior, dipped)
    assert min(caught["shape"], caught["neighbours"], caught["worst cell"]) < 0.01
    with pytest.raises(InputError, match="other series"):
        predictive_check(posterior, fit_less(table))


def fit_less(table: AccuracyTable, rate: float = 0.5) -> AccuracyTable:
    keep = table.learning_rate != rate
    columns = {f.name: getattr(table, f.name)[keep] for f in dataclasses.fields(table) if f.name != "num_test"}
    return AccuracyTable(**columns, num_test=table.num_test)


def test_the_right_law_wins_or_at_least_does_not_lose(monkeypatch):
    """True slopes −½, where the one-parameter law has 1: it loses. On a table of its own it does
    not: it has no slopes to learn. No refits, to save their time: weights alone."""
    monkeypatch.setattr(comparison, "_largest_k", lambda draws: math.inf)
    verdicts, differences = [], []
    own = Truth(law="noise_scale", intercept=-0.3, tau=0.15, curvatures=0.25, noise=0.08)
    for truth in (dataclasses.replace(TRUTH, slopes=(-0.5, -0.5, -0.5), tau=0.1), own):
        table, _ = simulate_table(truth, DESIGN, np.random.default_rng(7))
        power, scale = (fit(table, law, key=jr.key(5), chains=8, **LANES) for law in ("power", "noise_scale"))
        power, scale = (mixed(posterior) for posterior in (power, scale))
        found = compare_laws(power, scale, key=jr.key(6), draws=100)
        assert found.difference == pytest.approx(sum(found.density["power"] - found.density["noise_scale"]))
        verdicts.append(found.verdict)
        differences.append(found.difference)
    assert verdicts[0] == "power"
    assert verdicts[1] != "power"
    assert differences[1] < 0


def mixed(posterior):
    """With the ESS of a longer run, so that the verdict is not withheld."""
    return dataclasses.replace(
        posterior, ess=dict.fromkeys(posterior.ess, 1e4), r_hat=dict.fromkeys(posterior.ess, 1.0)
    )


def test_the_density_of_a_left_out_series_is_that_of_a_fit_without_it(monkeypatch):
    """Weights alone against fits that never saw the series: within 0.8 nats. With the series itself it is 1.3 to 2.4
    more, so that weights left out or turned about would show."""
    monkeypatch.setattr(comparison, "_largest_k", lambda draws: math.inf)
    posterior, _, _ = fitted("plain")
    out = [1, 2, 5, 6]
    left_out = [comparison._without(posterior.cells, s) for s in out]  # of two chains each: eight lanes again
    draws, r_hat = comparison._refitted(left_out, jr.key(6), LANES["samples"], LANES["warmup"])
    assert r_hat < 1.1
    exact = [mean_density(d, posterior, s) for d, s in zip(draws, out, strict=True)]
    scale = dataclasses.replace(posterior, law="noise_scale")  # its numbers don't matter here
    found = compare_laws(posterior, scale, key=jr.key(6), draws=300)
    assert found.refits == 0
    np.testing.assert_allclose(found.density["power"][out], exact, atol=0.8)
    whole = {name: values.reshape(-1, values.shape[-1]) for name, values in posterior.draws.items()}
    assert all(mean_density(whole, posterior, s) - value > 1.0 for s, value in zip(out, exact, strict=True))


def mean_density(draws, posterior, series):
    """log of the mean over 300 draws of p(runs of the series | globals)."""
    chosen = np.linspace(0, len(draws["slope"]) - 1, 300).astype(int)
    one = of_series(posterior.cells, series)
    each = comparison.densities({name: values[chosen] for name, values in draws.items()}, one)[:, 0]
    return special.logsumexp(each) - math.log(300)


def test_comparison_refuses_few_series_and_other_laws():
    posterior, _, _ = fitted("plain")
    few = dataclasses.replace(posterior, table=fit_less(posterior.table, 0.1))
    with pytest.raises(InputError, match="6 or more"):
        compare_laws(few, dataclasses.replace(few, law="noise_scale"), key=jr.key(0))
    with pytest.raises(InputError, match="was given as noise_scale"):
        compare_laws(posterior, posterior, key=jr.key(0))


def test_intervals_hold_the_truth_at_their_rate():
    """16 tables from the prior, 48 slopes and 128 peaks: how many central 50 % and 90 % intervals hold the truth.

    Expected 24, 43.2 and 64, 115.2; the bounds are 4 binomial standard errors at 50 %, 3 (slopes) and 3.6 (peaks) at
    90 %. The peaks of one table err together, so that theirs are tighter than they look. Intervals that are 30 % too
    narrow hold 75 % instead of 90: 96 of the peaks. The long run is in ``calibration``.
    """
    records = []
    for first in range(0, 16, 4):
        records += calibration.calibrate("prior", range(first, first + 4), DESIGN, chains=2, **LANES)
    slopes, peaks = (
        np.array([record[name]["held"] for record in records for name in names])
        for names in (("alpha", "beta", "gamma"), [f"B_opt[{s}]" for s in range(len(DESIGN.series))])
    )
    outside = np.mean([record["outside"] for record in records])
    assert 0.1 < outside < 0.6
    assert abs(slopes[:, 0].sum() - 24) <= 14
    assert slopes[:, 1].sum() >= 37
    assert abs(peaks[:, 0].sum() - 64) <= 23
    assert peaks[:, 1].sum() >= 103
