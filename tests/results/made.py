"""One small example of every kind of result, most of them by hand: what is tested is the kind, not the numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy import sparse

import sdesgd as sg
from sdesgd import basins, evidence, optimal_batch, stationary, toys
from sdesgd.basins.result import WellsOnGrid
from sdesgd.results import NotEstablished, Result
from tests.comparison.test_judgement import planted
from tests.optimal_batch.synthetic import Design, Truth, simulate_table
from tests.optimal_batch.test_model import certain

RNG = np.random.default_rng(0)
PROBLEM = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(2), np.random.default_rng(0).normal(size=(8, 2)))
COMMON = dict(num_steps=4, replicas=5, key=jr.key(0), observables={"loss": PROBLEM.loss, "w": lambda w: w})
LINE = np.linspace(-2, 2, 41)
POINTS = np.array([[-1.0], [1.0]])


def card() -> sg.ValidityCard:
    """One that holds, comes close, fails and isn't defined, with errors over draws."""
    shape = {"skewness": {"gradient": 1.7, "top_hessian": -0.01}}
    shape |= {"excess_kurtosis": {"gradient": 0.4, "top_hessian": np.nan}}
    errors = {"skewness": {"gradient": 0.2, "top_hessian": 0.03}, "noise_to_signal": 0.1, "trace": 0.2}
    errors |= {"gradient_norm_squared": 0.1, "excess_kurtosis": {"gradient": 0.1, "top_hessian": 0.0}}
    return sg.ValidityCard(0.02, 4.0, 1e-6, 3.0, 2.0, 0.1, **shape, draws=8, standard_errors=errors, learning_rate=0.01,
                           batch_size=16, momentum=0.0, sampling="no_replacement")  # fmt: skip


def occupancy() -> sg.Occupancy:
    V = (LINE**2 - 1) ** 2 / 4
    law = np.exp(-V / 0.1) / np.exp(-V / 0.1).sum()
    decision = evidence.decide_differences([0.02, -0.02], [0.01, 0.01], 0.1)
    return sg.Occupancy(
        name="double-well", learning_rate=0.1, batch_size=4, momentum=0.0, sampling="replacement", temperature=0.1,
        minima=POINTS, losses=np.zeros(2), saddles=(basins.Saddle(np.zeros(1), 0.25, (0, 1), np.array([-1.0])),),
        rates=np.full((2, 2), 0.01), gibbs=np.full(2, 0.5), laplace=np.full(2, 0.5), exact=np.array([0.52, 0.48]),
        exact_missing=None, probabilities=np.array([0.52, 0.48]), standard_errors=np.full(2, 0.01),
        crossings=np.array([[0, 60], [61, 0]]), burn_in=100, num_steps=1000, replicas=16, not_established=None,
        versus_exact=decision, versus_gibbs=decision,
        grid=WellsOnGrid((LINE,), V, (LINE >= 0).astype(int), law, law),
    )  # fmt: skip


def stationary_comparison() -> stationary.StationaryComparison:
    H, C = np.diag([1.0, 2.0]), np.eye(2)
    ou = stationary.ou_covariance(H, C, 0.1, 2)
    decision = evidence.decide_differences([0.0, 0.01], [0.01, 0.01], 0.1)
    return stationary.StationaryComparison(
        learning_rate=0.1, batch_size=2, momentum=0.0, sampling="replacement", minimum=np.zeros(2), hessian=H,
        gradient_covariance=C, eigenvalues=np.array([1.0, 2.0]), directions=np.eye(2), theories={"OU": ou},
        exact=None, measured=1.02 * ou, standard_errors=0.01 * np.abs(ou), variances=1.02 * np.diag(ou),
        variance_errors=0.01 * np.diag(ou), mean=np.zeros(2), mean_errors=np.full(2, 1e-3),
        points=RNG.normal(size=(20, 2)), decisions={"OU": decision}, margin=0.1, relaxation_steps=10.0, burn_in=100,
        num_steps=1000, replicas=16, not_established=None,
    )  # fmt: skip


def table() -> optimal_batch.AccuracyTable:
    design = Design(series=((0.1, 1000, 0.9), (0.2, 1000, 0.9)), batches=(2, 8, 32, 128), seeds=3, num_test=2000)
    return simulate_table(Truth(slopes=(1.0, 0.7, 1.2), tau=0.01), design, np.random.default_rng(0))[0]


def grid_wells() -> basins.GridWells:
    x, _ = np.meshgrid(LINE, LINE, indexing="ij")
    labels = (x >= 0).astype(np.int32)
    cores = np.where(np.abs(np.abs(x) - 1) < 0.3, labels, -1).astype(np.int32)
    arrays = (jnp.asarray(a) for a in (np.full(2, -2.0), np.full(2, 0.1), labels, cores))
    return basins.GridWells(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.full(2, 0.25), np.full(2, 0.1), *arrays)


def interval_wells() -> basins.IntervalWells:
    edges, cores = np.array([[-np.inf, 0.0], [0.0, np.inf]]), np.array([[-1.3, -0.6], [0.6, 1.3]])
    heights = np.full(2, 0.25), np.full(2, 0.1)
    return basins.IntervalWells(POINTS, *heights, jnp.asarray(edges), jnp.asarray(cores))


def path() -> basins.Path:
    x = np.linspace(-1, 1, 21)[:, None]
    return basins.Path(x, (x[:, 0] ** 2 - 1) ** 2 / 4, np.zeros(1), np.zeros((1, 1)), 0.25, 0.25)


def quenched() -> basins.Quenched:
    points = np.array([[-1.0], [1.0], [np.nan]])
    losses = np.array([0.0, 0.1, np.nan])
    return basins.Quenched(points, losses, np.full(3, 1e-12), 2 + 0 * points, np.zeros(3, int), np.isfinite(losses),
                           "of 3 starts on double-well, 1 rests on a saddle")  # fmt: skip


def density() -> stationary.GridDensity:
    masses = np.exp(-(LINE[:, None] ** 2 + 2 * LINE**2))
    return stationary.GridDensity((LINE, LINE), masses / masses.sum(), "Gibbs law of a quadratic")


def exact_law() -> basins.ExactLaw:
    law = np.exp(-((LINE**2 - 1) ** 2) / 0.2)
    return basins.ExactLaw(np.array([0.5, 0.5]), LINE[:, None], law / (law.sum() * (LINE[1] - LINE[0])))


def passages() -> basins.PassageTimes:
    steps = RNG.geometric(0.01, 50)
    error = float(steps.std(ddof=1) / np.sqrt(50))
    mean = float(steps.mean())
    return basins.PassageTimes(steps, np.zeros(50, bool), mean, error, 0.1 * mean, 0.1 * error)


def advice() -> optimal_batch.Advice:
    posterior = certain(table())
    return optimal_batch.Advice(0.1, None, 1000, 0.9, 500, posterior.recommend(0.1, 1000, 0.9), posterior)


def laws() -> optimal_batch.LawComparison:
    density = {"power": np.array([1.0, 2.0]), "noise_scale": np.array([0.5, 2.1])}
    k = {name: np.full(2, 0.1) for name in density}
    return optimal_batch.LawComparison(density, k, 0, np.nan, 0.4, 0.6, "undecided", ("a", "b"))


MADE: dict[type[Result], Callable[[], Any]] = {
    sg.Trajectories: lambda: sg.simulate(sg.SGD(0.1, 2), PROBLEM, **COMMON),
    sg.Gap: lambda: sg.predict_gap(PROBLEM, 0.1, 2, **COMMON),
    sg.Comparison: lambda: dataclasses.replace(
        planted(), cards={"start": card()}, not_established={"card at the end": NotEstablished("it diverged")}
    ),
    sg.ValidityCard: card,
    sg.Occupancy: occupancy,
    stationary.StationaryComparison: stationary_comparison,
    optimal_batch.AccuracyTable: table,
    optimal_batch.Posterior: lambda: certain(table()),
    optimal_batch.Advice: advice,
    optimal_batch.LawComparison: laws,
    basins.Minima: lambda: basins.minima_of(toys.potential("double-well")),
    basins.IntervalWells: interval_wells,
    basins.GridWells: grid_wells,
    basins.Path: path,
    basins.Quenched: quenched,
    basins.ExactLaw: exact_law,
    basins.PassageTimes: passages,
    basins.MeasuredOccupancy: lambda: basins.MeasuredOccupancy(
        *(np.array(x) for x in ([0.5, 0.5], [0.02, 0.02], [0.01, 0.01], [0.02, 0.02], [[0, 9], [8, 0]])), 1000, 4, 1.2
    ),
    stationary.GridDensity: density,
    stationary.GibbsSample: lambda: stationary.GibbsSample(
        RNG.normal(size=(2, 200, 5)), np.full(5, 1.001), np.full(5, 390.0), 0
    ),
    stationary.RegressionLaw: lambda: stationary.regression_covariance(
        RNG.normal(size=(20, 3)), RNG.normal(size=20), 0.1, 2, sampling="no_replacement"
    ),
    evidence.OrderFit: lambda: evidence.order_fit([0.1, 0.2, 0.4], [0.011, 0.04, 0.17], [0.001, 0.002, 0.01]),
}

# Types that a result is made of, or that others are asked with: one line, and no arrays.
SMALL: dict[str, Callable[[], Any]] = {
    "Saddle": lambda: basins.Saddle(np.arange(9.0), 0.25, (0, 1), np.linspace(-1, 1, 9)),
    "Estimate": lambda: evidence.mean(RNG.normal(size=(9, 50))),
    "RateDifference": lambda: evidence.rate_difference([True, False], [False, False]),
    "Equivalence": lambda: evidence.equivalence_test(RNG.normal(size=(9, 50)), RNG.normal(size=(9, 50))),
    "EnergyTest": lambda: evidence.energy_test(RNG.normal(size=(5, 2)), RNG.normal(size=(5, 2)), seed=0),
    "Verdict": lambda: evidence.verdict(RNG.normal(size=(9, 50)), RNG.normal(size=(9, 50)), seed=0),
    "Decision": lambda: evidence.decide_differences(RNG.normal(size=50), np.full(50, 0.1), 0.5),
    "GapEstimate": lambda: planted().gap["loss"],
    "BestSampled": lambda: optimal_batch.best_sampled(table())[0],
    "SeriesSummary": lambda: optimal_batch.fitted_summaries(certain(table()))[0],
    "Series": lambda: table().series[0],
    "Band": lambda: certain(table()).line("learning_rate", [0.1, 0.2], num_examples=1000, momentum=0.9),
    "CurveBand": lambda: certain(table()).curve(0, np.array([2.0, 8.0, 32.0])),
    "Peak": lambda: certain(table()).peak(0),
    "Recommendation": lambda: certain(table()).recommend(0.1, 1000, 0.9),
    "Condition": lambda: card().conditions[0],
    "Eigenpairs": lambda: sg.curvature.Eigenpairs(jnp.ones(40), jnp.ones((40, 9)), jnp.zeros(40)),
    "TransferOperator": lambda: stationary.TransferOperator(
        sparse.csr_array(np.eye(41)), LINE[:, None], (41,), np.zeros(41)
    ),
}
