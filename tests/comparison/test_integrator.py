"""The check of the SDE's own step: the paths of the SDE arm at h/2, how many of them, and what is made of the error."""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.comparison import integrator, judgement, sentences
from sdesgd.comparison.ensembles import Ensemble
from sdesgd.comparison.result import GapEstimate, WorstGap
from sdesgd.dynamics import HalvedSDE
from sdesgd.trajectories import Trajectories
from tests.comparison.test_judgement import planted
from tests.refusals import refused

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 2))
PROBLEM = sg.Problem(lambda w, e: 0.5 * (e[0] @ w - e[1]) ** 2, np.zeros(2), (X, X @ [1.0, -1.0] + RNG.normal(size=30)))
WEIGHTS = {"w": lambda w: w}


# -- the dynamics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("substeps", [1, 3])
def test_halves_sum_to_the_increments_of_the_pair(substeps):
    """Those that Gaussian SGD and the SDE share, from the same key; and they are independent increments of h/2."""
    many = sg.Problem(lambda w, x: w * x, np.zeros(()), np.ones(40_000))
    sde = sg.SDE(0.1, 4, substeps=substeps)
    pair, halved = sg.Coupled(sg.GaussianSGD(0.1, 4), sde), HalvedSDE(sde)
    key, n = jr.key(2), jnp.asarray(0)
    whole = pair.draw(many, pair.init(many, many.params), key, n).numbers
    parts = np.asarray(halved.draw(many, halved.init(many, many.params), key, n).numbers)
    assert parts.shape == (2 * substeps, 40_000)
    np.testing.assert_allclose(parts.reshape(substeps, 2, -1).sum(axis=1), whole, atol=1e-12)
    covariance = np.cov(parts) * 2 * substeps
    np.testing.assert_allclose(covariance, np.eye(2 * substeps), atol=4.5 * np.sqrt(2 / 40_000))


def test_replicas_at_half_the_step_stay_close_to_those_of_the_pair():
    settings = dict(num_steps=10, replicas=40, key=jr.key(0), save_every=10, observables=WEIGHTS)
    _, sde = sg.simulate_coupled(sg.GaussianSGD(0.1, 4), sg.SDE(0.1, 4), PROBLEM, **settings)
    half = sg.simulate(HalvedSDE(sg.SDE(0.1, 4)), PROBLEM, **settings)
    apart = (sde.values["w"] - half.values["w"])[:, -1]
    assert np.all(apart.std(axis=0) < 0.2 * sde.values["w"][:, -1].std(axis=0))
    other = np.roll(half.values["w"][:, -1], 1, axis=0)
    assert np.all((sde.values["w"][:, -1] - other).std(axis=0) > 0.9 * sde.values["w"][:, -1].std(axis=0))


def test_what_has_no_step_to_halve_is_refused():
    refused(lambda: HalvedSDE(sg.GaussianSGD(0.1, 4)), "coarse is .*: pass the SDE whose step is to be halved")


# -- within compare ----------------------------------------------------------------------------------------


def test_the_error_of_the_step_is_that_of_the_exact_recursions():
    """ℓ_i = ½ (w − x_i)²: E w is multiplied by P(z) a step at h and by P(z/2)² at h/2, P the polynomial of the RK3."""
    x = np.random.default_rng(0).normal(size=16)
    problem, z, start, steps = sg.Problem(lambda w, x: 0.5 * (w - x) ** 2, np.zeros(()), x - x.mean()), 1.4, 20.0, 2
    made = sg.compare(
        problem, sg.SGD(z, 8), num_steps=steps, save_every=steps, key=jr.key(5), params=jnp.asarray(start),
        replicas=200, check_replicas=60, observables=WEIGHTS, progress="",
    )  # fmt: skip
    coarse, fine = ((1 - z + z**2 / 2 - z**3 / 6) for z in (z, z / 2))
    deviation = made.trajectories["SGD"].values["w"][:, -1].std(ddof=1)
    exact, part = start * (coarse**steps - fine ** (2 * steps)) / deviation, made.h_against_half["w"]
    assert part.low[-1] < exact < part.high[-1]
    assert abs(exact) > 2 * (part.high[-1] - part.low[-1]), "power"
    assert made.design.check_replicas == 60


def test_it_costs_two_half_steps_of_the_sde_and_no_more():
    made = sg.compare(
        PROBLEM, sg.SGD(0.1, 3), num_steps=6, save_every=3, key=jr.key(0), replicas=20, observables=WEIGHTS, progress=""
    )
    each = 6 * 2 * 4 * 30 + 3 * 30 * 4 / 3
    assert made.design.check_replicas == 16
    assert made.design.gradients["SDE at h/2"] == pytest.approx(16 * each)


# -- how many ----------------------------------------------------------------------------------------------


def runs(values):
    arrays = {"x": np.asarray(values, float)[:, None] * np.array([0.0, 1.0]) + np.array([1.0, 0.0])}
    return Trajectories(np.arange(2.0), np.arange(2), arrays, None, np.zeros(len(values), bool))


def ensembles(size, spread, first=8, batches=4, batch=12):
    """Pairs whose SDE is a Gaussian, and its replicas at h/2 so far away; row for row."""
    rng = np.random.default_rng(0)
    sde = rng.normal(size=(batches, batch))
    numbers = iter(range(100))
    pairs = Ensemble("pairs", lambda key, n, label: (runs(sde[next(numbers)]),) * 2, jr.key(0), batch, 1.0, keep)
    pairs.grow(batches * batch)
    again = iter(range(100))
    check = Ensemble(
        "check",
        lambda key, n, label: (runs(sde[next(again), :n] - size + spread * rng.normal(size=n)),),
        jr.key(0),
        first,
        1.0,
        keep,
    )
    return pairs, check


def keep(name, compute):
    return compute()


def grown(spread, wanted=None, first=8, width=0.5):
    pairs, check = ensembles(0.1, spread, first)
    sgd = np.random.default_rng(1).normal(size=(400, 2))
    gap = {"x": GapEstimate(*(np.array([np.nan, x]) for x in (1.0, 1.0 - width / 2, 1.0 + width / 2)))}
    worst = {"x": WorstGap(1, 1, 1.0, 0.5, 1.5)}
    integrator.grow(check, pairs, wanted, gap, worst, {"x": sgd}, None, "")
    return check.replicas, integrator.errors(check, pairs, {"x": sgd}, None)["x"]


def test_replicas_are_added_until_the_error_is_known_as_well_as_the_gap():
    few, part = grown(spread=0.1)
    assert few == 8
    assert part.low[1] < 0.1 < part.high[1]
    assert part.high[1] - part.low[1] < 0.5
    more, part = grown(spread=0.4)
    assert 8 < more <= 32
    assert part.high[1] - part.low[1] < 0.6
    assert grown(spread=3.0)[0] == 32, "there is an end"
    assert grown(spread=3.0, wanted=8)[0] == 8, "a number is a number"
    assert grown(spread=0.1, wanted=200, first=12)[0] == 48, "there are no more than the pairs have"


def test_rows_of_several_batches_are_those_of_the_pairs():
    """No spread: each replica at h/2 is its own at h less a constant, which no other row's is."""
    pairs, check = ensembles(0.1, 0.0)
    check.grow(24)
    h, half = integrator.coupled_with(check, pairs.trajectories()[1], pairs.batch)
    np.testing.assert_allclose((h.values["x"] - half.values["x"])[:, 1], 0.1)


# -- what is made of it ------------------------------------------------------------------------------------


def estimate(mean, half):
    return GapEstimate(*(np.array([x]) for x in (mean, mean - half, mean + half)))


@pytest.mark.parametrize(
    ("gap", "error", "stands"),
    [
        ((1.0, 0.5), (0.0, 0.3), True),
        ((1.0, 0.5), (-0.6, 0.3), False),  # what is left, 0.4 ± 0.58, may be nothing
        ((0.3, 0.1), (-0.4, 0.05), False),  # within a margin of 0.5, and yet all of the gap
        ((0.3, 0.1), (0.4, 0.05), True),  # the step hides a part
        ((-1.0, 0.5), (0.2, 0.3), True),
        ((-1.0, 0.5), (1.2, 0.3), False),
        ((1.0, 0.5), (np.nan, np.nan), False),
        ((1.0, np.inf), (0.0, 0.1), False),
    ],
)
def test_a_difference_has_to_stand_at_half_the_step(gap, error, stands):
    assert judgement.outlasts(estimate(*gap), estimate(*error), 0) == stands


def test_the_sum_of_gap_and_error_has_an_interval_that_covers():
    """One-sided ends at 2.5 % each: with a true sum of 0 a difference of either sign stands in 5 % of 2000 draws."""
    rng, n, found = np.random.default_rng(0), 2000, 0
    for gap, error in zip(0.5 + 0.2 * rng.normal(size=n), -0.5 + 0.2 * rng.normal(size=n), strict=True):
        # The sign of the gap is that of its estimate, here nearly always +.
        found += judgement.outlasts(estimate(gap, 1.96 * 0.2), estimate(error, 1.96 * 0.2), 0)
    assert abs(found / n - 0.025) < 4 * np.sqrt(0.025 * 0.975 / n)


def test_the_report_warns_of_a_difference_that_the_step_may_make():
    made = planted(shift_sde=1.0)  # SGD − SDE = −1
    worst = made.worst["loss"].index
    for size, loose in ((0.0, []), (0.45, []), (1.0, ["loss"]), (-0.8, [])):
        error = GapEstimate(*(np.full(3, size + x) for x in (0.0, -0.05, 0.05)))
        told = dataclasses.replace(made, h_against_half={"loss": error})
        assert sentences.unresolved(told) == loose, size
        assert ("not shown to be fine enough" in str(told)) == bool(loose)
    assert made.gap["loss"].mean[worst] < -0.7
    close = planted()  # equivalent: the error has to be within the margin
    for size, loose in ((0.3, []), (0.6, ["loss"]), (-0.6, ["loss"])):
        error = GapEstimate(*(np.full(3, size + x) for x in (0.0, -0.05, 0.05)))
        assert sentences.unresolved(dataclasses.replace(close, h_against_half={"loss": error})) == loose, size
