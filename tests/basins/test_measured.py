"""Occupancies against the transfer operator, quadrature and exact Markov chains; intervals that cover; refusals."""

import functools

import jax
import numpy as np
import pytest
from scipy import stats

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins.finding_wells import wells_of
from sdesgd.basins.measured import (
    burn_in_needed,
    crossings_per_time,
    measure_occupancy,
    occupancy_of,
    stationary_of,
    steps_needed,
)
from sdesgd.basins.tally import Tally
from sdesgd.stationary.transfer import transfer_operator

POTENTIAL = toys.potential("asymmetric")
EDGE = 0.10553161683204972  # of the basins, asserted in test_wells


@pytest.fixture(scope="module")
def wells():
    return cached_wells()


def exact(problem, dynamics, points=1401):
    """The right basin's share by the transfer operator, its edge cell split, and the relaxation in steps."""
    operator = transfer_operator(problem, dynamics, ((-2.9, 2.7),), (points,))
    law, x = operator.stationary(), operator.points[:, 0]
    inside = np.clip((x - EDGE) / (x[1] - x[0]) + 0.5, 0, 1)
    return float(law @ inside), operator.relaxation_steps()


def symmetric_problem(T, eta, S):
    return toys.tilted(POTENTIAL, toys.tilts_of(toys.tilt_variance(T, eta, S)))


def quadrature(T):
    x = np.linspace(-3.5, 3.5, 200_001)
    V = (x**2 - 1) ** 2 / 4 * (1 + 0.6 * x / np.sqrt(1 + x**2)) - x / 30
    weight = np.exp(-(V - V.min()) / T)
    return weight[x > EDGE].sum() / weight.sum()


def test_the_interval_covers(wells):
    """200 repetitions of 10 replicas: 95 % intervals hold the transfer operator's value 95 % of the time.

    Within 4 binomial standard errors of 95 % (6.2 points): an interval 2/3 as long would cover 81 %, the binomial error
    of K draws, √(p(1 − p)/K), is as long here (p = 0.59) and its own test follows.
    """
    eta, S, T, repetitions, replicas = 0.4, 2, 0.08, 200, 10
    problem, dynamics = symmetric_problem(T, eta, S), sg.SGD(eta, S)
    p, relaxation = exact(problem, dynamics)
    burn_in, steps = round(6 * relaxation), round(30 * relaxation)
    run = sg.simulate(
        dynamics,
        problem,
        num_steps=burn_in + steps,
        replicas=repetitions * replicas,
        key=jax.random.key(0),
        observables={},
        save_every=burn_in + steps,
        accumulate=Tally(wells, burn_in).accumulate,
    )
    visits, crossings = (np.asarray(x, np.int64) for x in (run.accumulated.visits, run.accumulated.crossings))
    found = [
        occupancy_of(v[None], c[None], least_crossings=1)
        for v, c in zip(
            visits.reshape(repetitions, replicas, 2), crossings.reshape(repetitions, replicas, 2, 2), strict=True
        )
    ]
    intervals = np.array([x.interval(0.95) for x in found])  # (repetitions, low or high, wells)
    covered = (intervals[:, 0, 1] < p) & (p < intervals[:, 1, 1])
    assert abs(covered.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repetitions)
    shares = np.array([x.probabilities[1] for x in found])
    assert abs(shares.mean() - p) < 4.5 * shares.std(ddof=1) / np.sqrt(repetitions)
    # Each of the two standard errors is that of the shares, known to 5 % from 200 of them: within 20 %.
    for errors in ("by_crossings", "by_replicas"):
        assert np.mean([getattr(x, errors)[1] for x in found]) == pytest.approx(shares.std(ddof=1), rel=0.2)


def telegraph(rates, steps, replicas, rng):
    """Visits and crossings of a discrete-time chain with these rates per step; each state is basin and core."""
    M = len(rates)
    law = np.eye(M) + rates - np.diag(rates.sum(axis=1))
    cumulative = law.cumsum(axis=1)
    state = rng.choice(M, size=replicas, p=stationary_of(rates)[0])
    visits, crossings = np.zeros((replicas, M), int), np.zeros((replicas, M, M), int)
    each = np.arange(replicas)
    for _ in range(steps):
        new = (rng.random(replicas)[:, None] > cumulative[state]).sum(axis=1)
        visits[each, new] += 1
        crossings[each, state, new] += new != state
        state = new
    return visits, crossings


@pytest.mark.parametrize("rates", [[[0.0, 0.006], [0.054, 0.0]], [[0, 0.012, 0], [0.036, 0, 0.012], [0, 0.006, 0]]])
def test_standard_errors_of_chains(rates):
    """Exact chains: the spread of p over 300 repetitions is the standard error, also where the wells are three.

    At p = 0.9 the binomial √(p(1 − p)/K) would be 1.7 times 2p(1 − p)/√K. With three wells in a row a well and the
    rest aren't two states, and 2p(1 − p)/√K_a is off (too small for the middle by some 20 %); the replicas' own spread
    isn't, and the larger of the two is reported.
    """
    rates, rng = np.array(rates, float), np.random.default_rng(0)
    pi, _ = stationary_of(rates)
    repetitions, replicas, steps = 300, 20, 1300
    visits, crossings = telegraph(rates, steps, repetitions * replicas, rng)
    M = len(rates)
    found = [
        occupancy_of(v[None], c[None], least_crossings=1)
        for v, c in zip(
            visits.reshape(repetitions, replicas, M), crossings.reshape(repetitions, replicas, M, M), strict=True
        )
    ]
    shares = np.array([x.probabilities for x in found])
    spread = shares.std(axis=0, ddof=1)
    assert (np.abs(shares.mean(axis=0) - pi) < 4.5 * spread / np.sqrt(repetitions)).all()
    by_replicas = np.mean([x.by_replicas for x in found], axis=0)
    np.testing.assert_allclose(by_replicas, spread, rtol=0.15)
    if M == 2:
        np.testing.assert_allclose(np.mean([x.by_crossings for x in found], axis=0), spread, rtol=0.15)
    coverage = np.mean([(x.interval()[0] < pi) & (pi < x.interval()[1]) for x in found], axis=0)
    assert (np.abs(coverage - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repetitions)).all()
    K = np.mean([x.crossings.sum(axis=0) + x.crossings.sum(axis=1) for x in found], axis=0)
    np.testing.assert_allclose(K, crossings_per_time(rates) * steps * replicas, rtol=0.03)


def test_skewed_tilts_at_batches_of_one_move_the_occupancy(wells):
    """SGD and Gaussian SGD each agree with their own transfer operator, and not with the other's, points away."""
    eta, T = 0.3, 0.07
    problem = toys.tilted(POTENTIAL, toys.skewed_tilts(toys.tilt_variance(T, eta, 1), 4))
    found, want = {}, {}
    for name, dynamics in (("sgd", sg.SGD(eta, 1)), ("gaussian", sg.GaussianSGD(eta, 1))):
        want[name], relaxation = exact(problem, dynamics)
        found[name] = measure_occupancy(
            dynamics,
            problem,
            wells,
            starts=wells.minima,
            num_steps=round(14 * relaxation),
            burn_in=round(5 * relaxation),
            replicas=300,
            key=jax.random.key(2),
        )
        error = found[name].standard_errors[1]
        assert error < 0.015
        assert abs(found[name].probabilities[1] - want[name]) < 4 * error
    assert abs(want["sgd"] - want["gaussian"]) > 0.1
    assert found["sgd"].disagreement_of_starts < 4


def test_the_sde_has_the_occupancy_of_the_gibbs_law(wells):
    """By quadrature at η = 0.2, where Gaussian SGD, Euler's scheme, is off by 4.3 points, more than the tolerance."""
    eta, S, T = 0.2, 2, 0.07
    problem = symmetric_problem(T, eta, S)
    off, relaxation = exact(problem, sg.GaussianSGD(eta, S))
    found = measure_occupancy(
        sg.SDE(eta, S),
        problem,
        wells,
        starts=wells.minima,
        num_steps=round(14 * relaxation),
        burn_in=round(4 * relaxation),
        replicas=560,
        key=jax.random.key(3),
    )
    assert abs(found.probabilities[1] - quadrature(T)) < 4 * found.standard_errors[1]
    assert 4 * found.standard_errors[1] < 0.035 < abs(off - quadrature(T))


# -- plans and refusals ---------------------------------------------------------------------------------------

RATES = np.array([[0.0, 0.02], [0.05, 0.0]])


def test_plans_of_two_wells_are_those_of_the_claim():
    """K = 2ηn/(τ_AB + τ_BA) over n steps, relaxation 1/(k_AB + k_BA)."""
    pi, relaxation = stationary_of(RATES)
    np.testing.assert_allclose(pi, [5 / 7, 2 / 7])
    assert relaxation == pytest.approx(1 / 0.07)
    steps = steps_needed(RATES, 0.1, 10, 1000)
    assert 2 * 0.1 * steps * 10 / (1 / 0.02 + 1 / 0.05) == pytest.approx(1000, rel=1e-3)
    assert burn_in_needed(RATES, 0.1) == int(np.ceil(3 / 0.07 / 0.1))


@functools.cache
def cached_wells():
    return wells_of(POTENTIAL)


def run(**changes):
    settings = {
        "starts": np.array([[-1.0], [1.0]]),
        "num_steps": 4000,
        "burn_in": 500,
        "replicas": 20,
        "key": jax.random.key(0),
        **changes,
    }
    dynamics = settings.pop("dynamics", sg.SGD(0.1, 2))
    chosen = settings.pop("wells", None) or cached_wells()
    return measure_occupancy(dynamics, symmetric_problem(0.02, 0.1, 2), chosen, **settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # Three relaxation times are 429 steps; 4000 steps of 20 replicas cross 2·0.1·4000·20/70 = 229 times.
        ({"rates": RATES, "burn_in": 400}, "29 more steps are needed, 429 in all"),
        ({"rates": RATES, "least_crossings": 300}, "about 2.3e\\+02 times .* 1250 more steps each .* 5250 in all"),
        # With momentum ½ time passes twice as fast.
        (
            {"rates": RATES, "burn_in": 200, "dynamics": sg.SGD(0.1, 2, momentum=0.5)},
            "15 more steps are needed, 215 in all",
        ),
        ({"rates": np.array([[0, 1.0], [0, 0]])}, "never reached again"),
        ({"rates": RATES[:1]}, "for 2 wells"),
        ({"rates": np.zeros((2, 2))}, "can't be reached"),
        ({"rates": -RATES}, "negative"),
        ({}, "not mixed: 0 crossings .* at least 100"),
        ({"rates": RATES}, "not mixed: 0 crossings .* by its rates it takes 4000 more steps"),
        ({"replicas": 2}, "at least two a start"),
        ({"starts": np.zeros((2, 2))}, "pass \\(starts, 1\\)"),
        ({"dynamics": sg.SGD(lambda n: 0.1, 2)}, "schedule"),
        ({"burn_in": -1}, "burn_in ≥ 0"),
        ({"num_steps": 2**31}, "at most"),
        ({"wells": wells_of(toys.potential("quadratic"))}, "there is one well"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(sg.InputError, match=message):
        run(**changes)


def test_counts_that_are_too_few_or_disagree_are_refused():
    visits = np.full((2, 10, 2), 500)
    crossings = np.zeros((2, 10, 2, 2), int)
    crossings[:, :, 0, 1] = crossings[:, :, 1, 0] = 2
    with pytest.raises(sg.InputError, match=r"80 crossings .* about 250 more steps each"):
        occupancy_of(visits, crossings, 100)
    assert occupancy_of(visits, crossings, 80).disagreement_of_starts == 0
    apart = visits + np.array([300, -300]) * np.array([1, -1])[:, None, None]
    with pytest.raises(sg.InputError, match=r"not mixed: replicas from start 0 spend 0.800 .* the others 0.200"):
        occupancy_of(apart, crossings, 80)


def test_starts_agree_as_often_as_they_should():
    """The disagreement of two starts is a standard normal in size: its median and 95 % point, over 400 repetitions."""
    visits, crossings = telegraph(np.array([[0.0, 0.02], [0.04, 0.0]]), 1000, 400 * 20, np.random.default_rng(1))
    gaps = np.array(
        [
            occupancy_of(v, c, 1).disagreement_of_starts
            for v, c in zip(visits.reshape(400, 2, 10, 2), crossings.reshape(400, 2, 10, 2, 2), strict=True)
        ]
    )
    assert abs(np.mean(gaps < stats.norm.ppf(0.75)) - 0.5) < 4 * 0.5 / 20
    assert abs(np.mean(gaps < stats.norm.ppf(0.975)) - 0.95) < 4 * 0.22 / 20


def test_a_run_that_diverges_is_refused(wells):
    with pytest.warns(RuntimeWarning, match="diverged"), pytest.raises(sg.InputError, match="diverged from the start"):
        measure_occupancy(
            sg.SGD(1.9, 2),
            toys.tilted(POTENTIAL, [[9.0], [-9.0]]),
            wells,
            starts=np.array([[1.0]]),
            num_steps=100,
            burn_in=0,
            replicas=10,
            key=jax.random.key(0),
        )
