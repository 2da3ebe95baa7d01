"""The model's density against scipy and plain numpy; the laws' defining identities; what a known posterior predicts."""

import dataclasses
import math
import re
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import potential_energy
from scipy import special, stats

from sdesgd.errors import InputError
from sdesgd.optimal_batch import Posterior, fitting, model
from sdesgd.optimal_batch.cells import make_cells
from sdesgd.optimal_batch.comparison import _integral
from tests.optimal_batch import synthetic
from tests.optimal_batch.synthetic import PRIOR, Design, Truth, simulate_table

DESIGN = Design(
    series=((0.1, 500, 0.0), (0.1, 2000, 0.9), (0.3, 500, 0.9)), batches=(1, 8, 64, 500), seeds=3, num_test=2000
)
SLOPES = (1.0, 0.7, 1.2)


@pytest.fixture(scope="module")
def table():
    return simulate_table(Truth(slopes=SLOPES), DESIGN, np.random.default_rng(0))[0]


def energy(cells, point):
    """−log density of the NumPyro model in double precision."""
    with jax.enable_x64(True):
        data, at = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (cells, point))
        return float(potential_energy(model.model, (data,), {}, at))


def test_log_gamma():
    x = np.geomspace(1e-3, 1e3, 200)
    with jax.enable_x64(True):
        np.testing.assert_allclose(model.log_gamma(jnp.asarray(x)), special.gammaln(x), atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("law", ["power", "noise_scale"])
def test_density_against_scipy(table, law):
    """−log p(θ, y) at random θ, from scipy's normal and multivariate t on the single runs, up to rounding's floor."""
    rng = np.random.default_rng(1)
    cells = make_cells(table, law)
    series, n = len(table.series), 20 + 2 * 3
    standard, levels = 0.7 * rng.normal(size=n), rng.normal(2, 0.5, 3)
    found = energy(cells, {"standard": standard, "level_of_series": levels})

    names = ("intercept", "slope", "log_tau", "level", "log_curvature", "log_curvature_spread", "log_sharpness",
             "lean", "log_depth", "log_noise", "noise_slope", "log_jitter", "log_unevenness", "log_misfit",
             "log_nu")  # fmt: skip
    sizes = {"slope": 3, "noise_slope": 4}
    draw, at = {}, 0
    for name in names:
        mean, sd = PRIOR[name]
        draw[name] = mean + sd * standard[at : at + sizes.get(name, 1)]
        at += sizes.get(name, 1)
    scatter, curvature = standard[at : at + 3], standard[at + 3 : at + 6]
    truth = Truth(
        intercept=draw["intercept"][0], slopes=tuple(draw["slope"]), lean=draw["lean"][0], law=law,
        sharpness=math.exp(draw["log_sharpness"][0]), depth=math.exp(draw["log_depth"][0]),
        jitter=math.exp(draw["log_jitter"][0]), unevenness=math.exp(draw["log_unevenness"][0]),
    )  # fmt: skip
    design = Design(tuple((s.learning_rate, s.num_examples, s.momentum) for s in table.series), DESIGN.batches)
    law_location, tau = synthetic.law_location(truth, design), math.exp(draw["log_tau"][0])
    # A peak inside the grid is a variable itself, one at its edge is law + τ z.
    y = special.logit((table.accuracy * 2000 + 0.5) / 2001)
    means = np.array([[y[s.rows][table.batch_size[s.rows] == B].mean() for B in DESIGN.batches] for s in table.series])
    inside = (means.argmax(axis=1) > 0) & (means.argmax(axis=1) < 3)
    assert 0 < inside.sum() < 3
    location = np.where(inside, scatter, law_location + tau * scatter)
    curvature = np.exp(draw["log_curvature"] + np.exp(draw["log_curvature_spread"]) * curvature)
    log_p = stats.norm.logpdf(standard).sum() - stats.norm.logpdf(scatter[inside]).sum()
    log_p += stats.norm.logpdf(location, law_location, tau)[inside].sum()
    log_p += stats.norm.logpdf(levels, draw["level"][0], 1.0).sum()
    x = synthetic.factors(design)
    for s in range(series):
        for B in DESIGN.batches:
            rows = table.series[s].rows[table.batch_size[table.series[s].rows] == B]
            y = special.logit((table.accuracy[rows] * 2000 + 0.5) / 2001)
            u = math.log(B) - location[s]
            below = synthetic.drop(truth, curvature[s], u)
            b = math.log(B) - np.mean(np.log(DESIGN.batches))
            p = special.expit(y.mean())
            flat = math.exp(draw["log_noise"][0] + draw["noise_slope"] @ [b, *(x[s] - x.mean(0))])
            variance = synthetic.run_variance(truth, flat, curvature[s], u)
            variance += (1 / (2000 * math.sqrt(12) * p * (1 - p))) ** 2
            shape = variance * np.eye(3) + (math.exp(draw["log_misfit"][0]) * below) ** 2
            nu: Any = math.exp(draw["log_nu"][0])
            log_p += stats.multivariate_t.logpdf(y, np.full(3, levels[s] - below), shape, df=nu)
    assert found == pytest.approx(-log_p, rel=1e-7)


def test_hidden_cells_leave_no_trace(table):
    """A held-out series contributes exactly nothing, whatever stands in its cells."""
    cells = make_cells(table, "power")
    hide = np.arange(3)[:, None] == 1
    hidden = cells._replace(count=np.where(hide, 0, cells.count), within=np.where(hide, 0, cells.within))
    changed = hidden._replace(mean=np.where(hide, 5.0, cells.mean))
    point = {"standard": np.random.default_rng(2).normal(size=26), "level_of_series": np.full(3, 2.0)}
    one, two, all_ = (energy(c, point) for c in (hidden, changed, cells))
    assert one == two != all_


def test_mostly_diverged_cells_are_left_out(table):
    diverged = table.diverged.copy()
    rows = table.series[0].rows
    first, second = (rows[table.batch_size[rows] == B] for B in (1, 8))
    diverged[first[:2]], diverged[second[:1]] = True, True
    cells = make_cells(
        type(table)(**{f: getattr(table, f) for f in table.__dataclass_fields__} | {"diverged": diverged}), "power"
    )
    assert list(cells.count[0]) == [0, 2, 3, 3]


def certain(table, law="power", tau=1e-9, **values):
    """A posterior that is sure of its globals: 2 chains of 500 equal draws (with the scatter's z)."""
    cells, series = make_cells(table, law), len(table.series)
    defaults = {
        "intercept": 0.0, "slope": SLOPES, "log_scatter": math.log(tau), "level": 2.2, "log_curvature": math.log(0.2),
        "log_curvature_spread": -20.0, "log_sharpness": math.log(0.8), "lean": 0.0, "log_depth": math.log(4.0),
        "log_noise": math.log(0.1), "noise_slope": 0.0, "log_jitter": -20.0, "log_unevenness": -20.0,
        "log_misfit": -20.0, "log_tails": 12.0,
    }  # fmt: skip
    jitter = 1e-6 * np.random.default_rng(0).normal(size=(2, 500, 1))
    draws = {name: jitter + np.broadcast_to((defaults | values)[name], (size,)) for name, size in model.GLOBALS.items()}
    draws |= {"scatter": np.zeros((2, 500, series)), "curvature_of_series": np.zeros((2, 500, series))}
    draws["level_of_series"] = np.full((2, 500, series), 2.2) + jitter
    return Posterior.from_draws(table, law, cells, draws, 0)


def test_line_and_recommendation_of_a_power_law(table):
    """B ∝ η^1.0 N^0.7 (1−m)^−1.2, with the scatter τ in the recommendation and not in the line."""
    posterior = certain(table, tau=0.3)
    line = posterior.line("learning_rate", [0.1, 0.2], num_examples=500, momentum=0.9)
    assert line.median[1] / line.median[0] == pytest.approx(2.0, rel=1e-4)
    assert line.high == pytest.approx(line.low, rel=1e-4)
    line = posterior.line("num_examples", [500, 1000], learning_rate=0.1, momentum=0.9)
    assert line.median[1] / line.median[0] == pytest.approx(2**0.7, rel=1e-4)
    line = posterior.line("momentum", [0.0, 0.9], learning_rate=0.1, num_examples=500)
    assert line.median[1] / line.median[0] == pytest.approx(10**1.2, rel=1e-4)
    middle = math.exp(np.mean(np.log(DESIGN.batches)))
    eta, N, m = (np.exp(np.mean(np.log(column))) for column in (np.array(DESIGN.series) * [1, 1, -1] + [0, 0, 1]).T)
    found = posterior.recommend(eta, N, 1 - m, level=0.9)
    assert found.extrapolation == ""
    # 1000 draws of z: the median's error is 1.25·0.3/√1000, an end's 2.1·0.3/√1000.
    assert math.log(found.median / middle) == pytest.approx(0.0, abs=0.05)
    assert math.log(found.high / found.median) == pytest.approx(1.645 * 0.3, abs=0.09)
    back = posterior.recommend_rate(2 * found.median, N, 1 - m, level=0.9)
    assert back.median / eta == pytest.approx(2.0, rel=0.02)
    assert math.log(back.high / back.low) == pytest.approx(2 * 1.645 * 0.3, abs=0.15)


def test_line_of_the_noise_scale_law(table):
    """η(N/B − 1)/(1−m) = c at every point, up to B near N."""
    posterior = certain(table, "noise_scale")
    c = posterior.median("c")
    for eta, N, m in ((0.1, 500, 0.9), (5.0, 500, 0.9), (0.1, 2000, 0.0)):
        B = posterior.line("learning_rate", [eta], num_examples=N, momentum=m).median[0]
        assert eta * (N / B - 1) / (1 - m) == pytest.approx(c, rel=1e-4)
    assert math.log(c) == pytest.approx(float(make_cells(table, "noise_scale").origin), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [((0.1, 500, 0.5), ""), ((0.5, 500, 0.5), "η=0.5"), ((0.1, 4000, 0.5), "N=4e"), ((0.1, 500, 0.99), "m=0.99")],
)
def test_extrapolation_is_said(table, arguments, reason):
    assert reason in (found := certain(table).recommend(*arguments)).extrapolation
    assert bool(found.extrapolation) == bool(reason)


def test_a_recommendation_never_exceeds_the_examples(table):
    found = certain(table).recommend(30.0, 500, 0.9)
    assert found.median == found.high == 500
    assert "exceeds N=500" in found.extrapolation


def test_curve(table):
    """The mean curve, the peak and a run's interval of a certain posterior, from the formulae."""
    posterior = certain(table)
    peak = posterior.peak(1)
    truth = Truth(slopes=SLOPES)
    band = posterior.curve(1, [peak.median, 5 * peak.median, peak.median / 30])
    expected = [2.2 - synthetic.drop(truth, 0.2, u) for u in (0.0, math.log(5), -math.log(30))]
    np.testing.assert_allclose(band.median, special.expit(expected), rtol=1e-4)
    ends = special.expit(np.array(expected) + 1.645 * 0.1)
    np.testing.assert_allclose(band.run_high - band.median, ends - band.median, rtol=0.2)
    assert (band.high - band.low < 1e-4).all()


def test_intervals_are_quantiles_of_the_draws(table):
    """1000 Gaussian draws of α with sd 0.2: the ends of 50 and 90 % at 0.674 and 1.645 sd, in α and in the line.

    An end's Monte Carlo error is at most 2.1 · 0.2/√1000 = 0.013; 30 % too narrow moves it by 0.04 and 0.10.
    """
    posterior = certain(table)
    values = 1.0 + 0.2 * np.random.default_rng(7).normal(size=(2, 500))
    posterior.quantities["alpha"][:] = values
    posterior.draws["slope"][..., 0] = values
    for level, sds in ((0.5, 0.674), (0.9, 1.645)):
        assert posterior.interval("alpha", level) == pytest.approx((1 - 0.2 * sds, 1 + 0.2 * sds), abs=0.03)
        # Off the mean of log η by 1, the line moves with α.
        eta = math.exp(1 + np.mean(np.log([s.learning_rate for s in table.series])))
        line = posterior.line("learning_rate", [eta], num_examples=500, momentum=0.0, level=level)
        assert math.log(line.high[0] / line.low[0]) == pytest.approx(0.4 * sds, abs=0.04)


def test_names_and_priors(table):
    posterior = certain(table)
    assert posterior.prior_interval("alpha") == pytest.approx((0.5 - 1.645 * 0.75, 0.5 + 1.645 * 0.75), abs=1e-3)
    assert posterior.prior_interval("tau") == pytest.approx((math.exp(-1.6 - 1.645), math.exp(-1.6 + 1.645)), rel=1e-3)
    low, high = posterior.interval("beta")
    assert low <= 0.7 <= high
    assert posterior.index(table.series[2]) == posterior.index((0.1, 2000, 0.9)) == 2
    with pytest.raises(InputError, match="no parameter of this law"):
        certain(table, "noise_scale").interval("alpha")


def test_factors_that_do_not_vary_are_left_out():
    """η alone varies: β and γ are no quantities, and asking says why."""
    design = Design(series=tuple((eta, 1000, 0.9) for eta in (0.05, 0.1, 0.2)), batches=DESIGN.batches, seeds=3)
    only_eta, _ = simulate_table(Truth(), design, np.random.default_rng(6))
    posterior = certain(only_eta)
    assert posterior.varied == ("learning_rate",)
    assert {"beta", "gamma"}.isdisjoint(posterior.quantities)
    assert posterior.median("alpha") == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(InputError, match="beta is not identified: num_examples has one value"):
        posterior.interval("beta")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.interval("alhpa"), "did you mean 'alpha'"),
        (lambda p: p.interval("alpha", 1.5), "level"),
        (lambda p: p.peak(3), "series is 3"),
        (lambda p: p.peak((0.7, 500, 0.9)), "no series"),
        (lambda p: p.curve(0, [0.0]), "batch_sizes is"),
        (lambda p: p.line("eta", [0.1]), "unknown factor"),
        (lambda p: p.line("momentum", [0.1], momentum=0.9), "both the axis and fixed"),
        (lambda p: p.line("momentum", [1.0]), "momentum is"),
        (lambda p: p.recommend(-0.1, 500, 0.9), "learning_rate is"),
        (lambda p: p.recommend_rate(0, 500, 0.9), "batch_size is 0"),
        (lambda p: p.recommend_rate(1e9, 500, 0.9), "no learning rate within"),
        (lambda p: p.check(), "haven't mixed"),
    ],
)
def test_refusals(table, call, message):
    posterior = certain(table)
    posterior.r_hat["alpha"] = 1.03
    with pytest.raises(InputError, match=message) as caught:
        call(posterior)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("tau", "offset"), [(0.4, 1.2), (2.0, 3.0), (0.06, 0.4)])
def test_integral_over_a_series_own_parameters(table, tau, offset):
    """log p(series | globals) against scipy's multivariate t summed over a fine grid of z and A; c nearly fixed."""
    cells = make_cells(table, "power")
    draw = {
        name: values[0, 0] for name, values in certain(table, tau=tau, log_misfit=-2.0, log_tails=2.0).draws.items()
    }
    location = float(cells.centre) + offset
    with jax.enable_x64(True):
        one = {name: jnp.asarray(values) for name, values in draw.items()}
        row = (jnp.asarray(leaf[1]) for leaf in (cells.log_batch, cells.mean, cells.within, cells.count))
        found = float(_integral(one, jnp.asarray(location), jnp.full(4, 0.01), *row))

    truth, nu = Truth(depth=4.0), cast(Any, math.exp(2.0))
    z, level = np.linspace(-8.0, 8.0, 201), np.linspace(1.0, 4.0, 241)
    log_p = stats.norm.logpdf(z)[:, None] + stats.norm.logpdf(level, 2.2, 1.0)
    for g in range(4):
        # Any three runs with this mean and sum of squares have the same density.
        y = cells.mean[1, g] + math.sqrt(cells.within[1, g] / 2) * np.array([1, -1, 0])
        for i, value in enumerate(z):
            below = synthetic.drop(truth, 0.2, cells.log_batch[1, g] - location - tau * value)
            shape: Any = 0.01 * np.eye(3) + (math.exp(-2.0) * below) ** 2
            law = stats.multivariate_t(np.zeros(3), shape, df=nu)
            log_p[i] += law.logpdf(y - level[:, None] + below)
    expected = special.logsumexp(log_p) + math.log((z[1] - z[0]) * (level[1] - level[0]))
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"divergences": 1}, ""),  # of 1000 draws
        ({"divergences": 2}, "the chains mixed, but 2 of 1000 trajectories diverged"),
        ({"r_hat": 1.021}, "the chains haven't mixed: R-hat 1.021 for tau [(]at most 1.02[)]: raise"),
        ({"ess": 399.0}, "the chains haven't mixed: ESS 399 for tau [(]at least 400[)]: raise"),
        ({"r_hat": math.nan}, "the chains haven't mixed: R-hat nan for tau"),
        ({"ess": math.nan}, "the chains haven't mixed: ESS nan for tau"),
        ({"r_hat": 3.0, "divergences": 80}, "haven't mixed: R-hat 3.000 for tau .*, 80 of 1000 trajectories diverged"),
    ],
)
def test_trouble_says_which_it_is(table, changes, expected):
    """A handful of divergences in chains that mixed is another complaint than chains that disagree."""
    posterior = certain(table)
    good = {"r_hat": dict.fromkeys(posterior.r_hat, 1.0), "ess": dict.fromkeys(posterior.ess, 1e3)}
    for name in ("r_hat", "ess"):
        good[name] |= {"tau": changes[name]} if name in changes else {}
    found = dataclasses.replace(posterior, **good, divergences=changes.get("divergences", 0))
    if not expected:
        assert found.trouble() == ""
    assert re.search(expected, found.trouble())
    assert len(found.trouble()) <= 300


def test_a_fit_with_divergences_is_made_again_with_smaller_steps(table, monkeypatch):
    """9, 3, then none of 1000 diverge: the third fit is the answer. Where they never end, the best of those that mixed
    is it, and says so; where all is well at once, there is one fit."""
    posterior = certain(table)

    def fitted(divergences, far_apart=()):
        tried, left = [], list(divergences)

        def sample(batch, keys, *, chains, warmup, samples, acceptance):
            diverging = np.arange(chains * samples).reshape(1, chains, samples) < left.pop(0)
            apart = np.arange(chains)[:, None, None] * (acceptance in far_apart)
            rng = np.random.default_rng(0)
            jitter = 1 + apart + 0.01 * rng.normal(size=(chains, samples, 1))
            draws = {name: jitter * np.ones((chains, samples, v.shape[-1])) for name, v in posterior.draws.items()}
            tried.append(acceptance)
            return {name: values[None] for name, values in draws.items()}, diverging, None

        monkeypatch.setattr(fitting, "sample_posterior", sample)
        return fitting.fit(table, key=jax.random.key(0), chains=2, samples=500), tried

    found, tried = fitted([9, 3, 0])
    assert (found.acceptance, tried) == (0.998, [0.95, 0.99, 0.998])
    assert found.trouble() == ""
    found, tried = fitted([0])
    assert (found.acceptance, tried) == (0.95, [0.95])
    found, _ = fitted([9, 3, 5])
    assert (found.acceptance, found.divergences) == (0.99, 3)
    assert found.trouble().startswith("the chains mixed, but 3 of 1000 trajectories diverged")
    found, _ = fitted([9, 3, 5], far_apart=(0.99,))
    assert found.acceptance == 0.998
    found, _ = fitted([9, 0], far_apart=(0.99,))  # smaller steps ended divergences, and mixing
    assert (found.acceptance, found.divergences) == (0.95, 9)
    found, tried = fitted([0], far_apart=(0.95,))
    assert tried == [0.95]
    assert found.trouble().startswith("the chains haven't mixed: R-hat")
