"""Synthetic accuracy tables with a known truth, in plain numpy: nothing of the package but the table's class."""

import dataclasses

import numpy as np

from sdesgd.optimal_batch import AccuracyTable

# Log-normal and normal priors as documented in the package, written down anew: (mean, sd).
PRIOR = {
    "intercept": (0.0, 2.0), "slope": (0.5, 0.75), "log_tau": (-1.6, 1.0), "level": (2.0, 1.5),
    "log_curvature": (-1.6, 1.0), "log_curvature_spread": (-0.7, 0.4), "log_sharpness": (0.0, 0.8),
    "lean": (0.0, 0.6), "log_depth": (1.4, 0.5), "log_jitter": (-2.3, 0.7), "log_unevenness": (-2.3, 0.7),
    "log_noise": (-2.3, 1.0), "noise_slope": (0.0, 0.3), "log_misfit": (-2.3, 0.7), "log_nu": (2.3, 0.7),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Design:
    """Series (η, N, m), batch sizes and seeds of a table."""

    series: tuple = tuple(
        [(eta, 1000, 0.9) for eta in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)]
        + [(0.05, N, 0.9) for N in (500, 2000, 4000, 8000)]
        + [(0.05, 1000, m) for m in (0.0, 0.5, 0.8, 0.95)]
    )
    batches: tuple = (1, 3, 10, 30, 100, 300, 1000)
    seeds: int = 5
    num_test: int = 10**6


@dataclasses.dataclass
class Truth:
    """The parameters that made a table; ``noise_slopes`` are per log B, log η, log N, −log(1−m)."""

    intercept: float = 0.0
    slopes: tuple = (1.0, 1.0, 1.0)
    tau: float = 0.2
    levels: float | np.ndarray = 2.2
    curvatures: float | np.ndarray = 0.2
    sharpness: float = 0.8
    lean: float = 0.0
    depth: float = 4.0
    noise: float = 0.1
    noise_slopes: tuple = (0.0, 0.0, 0.0, 0.0)
    jitter: float = 0.0
    unevenness: float = 0.0
    misfit: float = 0.0
    nu: float = np.inf
    law: str = "power"
    curve: str = "own"


def from_prior(design: Design, rng: np.random.Generator) -> Truth:
    def draw(name, size=None):
        return rng.normal(*PRIOR[name], size)

    n = len(design.series)
    spread = np.exp(draw("log_curvature_spread"))
    return Truth(
        intercept=draw("intercept"),
        slopes=tuple(np.asarray(draw("slope", 3))),
        tau=np.exp(draw("log_tau")),
        levels=draw("level") + rng.normal(size=n),
        curvatures=np.exp(draw("log_curvature") + spread * rng.normal(size=n)),
        sharpness=np.exp(draw("log_sharpness")),
        lean=draw("lean"),
        depth=np.exp(draw("log_depth")),
        noise=np.exp(draw("log_noise")),
        noise_slopes=tuple(np.asarray(draw("noise_slope", 4))),
        jitter=np.exp(draw("log_jitter")),
        unevenness=np.exp(draw("log_unevenness")),
        misfit=np.exp(draw("log_misfit")),
        nu=np.exp(draw("log_nu")),
    )


def factors(design: Design) -> np.ndarray:
    eta, N, m = np.array(design.series).T
    return np.stack([np.log(eta), np.log(N), -np.log(1 - m)], axis=1)


def law_location(truth: Truth, design: Design) -> np.ndarray:
    """log B_opt of the law; the intercept counts from the grid's middle at the mean factors."""
    x, middle = factors(design), np.mean(np.log(design.batches))
    if truth.law == "power":
        return middle + truth.intercept + (x - x.mean(0)) @ np.array(truth.slopes)
    eta, N, m = np.array(design.series).T
    c = np.exp(truth.intercept) * np.exp(x[:, 0].mean() + x[:, 2].mean()) * (np.exp(x[:, 1].mean() - middle) - 1)
    return np.log(N / (1 + c * (1 - m) / eta))


def drop(truth: Truth, curvature: float, u: float) -> float:
    """How far the logit falls below its peak."""
    if curve_shape := {
        "gaussian": lambda: truth.depth * (1 - np.exp(-curvature * u**2 / 2 / truth.depth)),
        "piecewise": lambda: curvature * 2 * abs(u) * (1.0 if u > 0 else 0.6),
        "plateau": lambda: curvature * 2 * max(0.0, abs(u) - 0.7),
    }.get(truth.curve):
        return curve_shape()
    p = truth.sharpness * (0.5 + np.tanh(truth.lean))
    q = truth.sharpness - p
    d = curvature * (np.expm1(p * u) / p + np.expm1(-q * u) / q) / (p + q)
    return -truth.depth * np.expm1(-d / truth.depth)


def run_variance(truth: Truth, noise: float, curvature: float, u: float) -> float:
    """σ² of one run: flat noise, a log B_opt and a fall of its own; the slope by a central difference."""
    slope = (drop(truth, curvature, u + 1e-5) - drop(truth, curvature, u - 1e-5)) / 2e-5
    return noise**2 + (truth.jitter * slope) ** 2 + (truth.unevenness * drop(truth, curvature, u)) ** 2


def simulate_table(truth: Truth, design: Design, rng: np.random.Generator) -> tuple[AccuracyTable, np.ndarray]:
    """A table and log B_opt of its series, in the order of the design."""
    n, x = len(design.series), factors(design)
    x = x - x.mean(0)
    location = law_location(truth, design) + truth.tau * rng.normal(size=n)
    levels, curvatures = np.broadcast_to(truth.levels, n), np.broadcast_to(truth.curvatures, n)
    rows = []
    for s, (eta, N, m) in enumerate(design.series):
        for B in design.batches:
            u = np.log(B) - location[s]
            below = drop(truth, curvatures[s], u)
            b = np.log(B) - np.mean(np.log(design.batches))
            flat = truth.noise * np.exp(np.dot(truth.noise_slopes, [b, *x[s]]))
            sigma = np.sqrt(run_variance(truth, flat, curvatures[s], u))
            scale = 1.0 if np.isinf(truth.nu) else np.sqrt(truth.nu / rng.chisquare(truth.nu))
            shared = truth.misfit * below * rng.normal()
            y = levels[s] - below + scale * (shared + sigma * rng.normal(size=design.seeds))
            accuracy = np.round(design.num_test / (1 + np.exp(-y))) / design.num_test
            rows += [(eta, N, m, B, seed, acc) for seed, acc in enumerate(accuracy)]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    columns += [np.zeros(len(rows), bool), design.num_test]
    return AccuracyTable(*columns), location
