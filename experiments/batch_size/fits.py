"""The inference of batch-size as plain numbers: peaks, curves, exponents, the laws' lines, the laws compared."""

from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy import stats

from experiments.batch_size.config import FAMILIES
from sdesgd import optimal_batch
from sdesgd.optimal_batch import AccuracyTable, Posterior

LEVEL = 0.9
_POINTS = 60  # of a curve or a line
MISSED = 0.05  # p-values below this are named
_LEAST_SERIES = 6  # of a comparison by held-out series
_REACH = 1.15  # lines go beyond the outer points by this factor


def infer(accuracies: AccuracyTable, key: PRNGKeyArray) -> dict[str, Posterior]:
    """The posteriors of both laws.

    Args:
        accuracies: the table. key: of the chains.
    """
    keys = jr.split(key, 2)
    laws = ("power", "noise_scale")
    return {law: optimal_batch.fit(accuracies, law, key=k) for law, k in zip(laws, keys, strict=True)}


def of_series(posterior: Posterior, index: int, batch_sizes: list[int]) -> dict[str, Any]:
    """The peak of a series with its interval, and the band of its curve over the sampled batch sizes."""
    peak = posterior.peak(index, LEVEL)
    along = np.geomspace(min(batch_sizes), max(batch_sizes), _POINTS)
    curve = posterior.curve(index, along, LEVEL)
    names = ("batch_sizes", "median", "low", "high")
    return {
        "peak": {name: getattr(peak, name) for name in ("median", "low", "high", "below", "above", "censored")},
        "curve": {name: np.asarray(getattr(curve, name)).tolist() for name in names},
    }


def of_law(posterior: Posterior) -> dict[str, Any]:
    """Every reported quantity with its interval and the prior's, and whether the chains mixed.

    Densities, on one grid for all exponents, are those of the prior and of a Gaussian kernel estimate.
    """
    quantities = {name: _interval(posterior, name) for name in posterior.quantities}
    for name in {factor.exponent for factor in optimal_batch.FACTORS} & set(quantities):
        found = quantities[name]
        mean, sd = (found["prior_low"] + found["prior_high"]) / 2, _deviation(found)
        x = np.linspace(mean - 2 * sd, mean + 2 * sd, 241)
        found["x"] = x.tolist()
        found["prior"] = stats.norm.pdf(x, mean, sd).tolist()
        found["posterior"] = stats.gaussian_kde(posterior.quantities[name].ravel())(x).tolist()
    return {
        "law": posterior.law,
        "quantities": quantities,
        "r_hat": max(posterior.r_hat.values()),
        "ess": min(posterior.ess.values()),
        "divergences": posterior.divergences,
        "trouble": posterior.trouble(),
    }


def _interval(posterior: Posterior, name: str) -> dict[str, Any]:
    low, high = posterior.interval(name, LEVEL)
    prior_low, prior_high = posterior.prior_interval(name, LEVEL)
    return {
        "median": posterior.median(name), "low": low, "high": high, "prior_low": prior_low, "prior_high": prior_high,
    }  # fmt: skip


def _deviation(found: dict[str, float]) -> float:
    return (found["prior_high"] - found["prior_low"]) / 2 / float(stats.norm.ppf(0.5 + LEVEL / 2))


def lines(posteriors: dict[str, Posterior], family: str, centre: dict[str, Any], outer: tuple[float, float]) -> dict:
    """B_opt against what a family varies: the band of the power law, and the median of the noise-scale law.

    Args:
        centre: learning_rate, num_examples, momentum. outer: the smallest and largest η, N or 1/(1−m).

    Returns:
        x: η, N or 1/(1−m); median, low, high: of the power law; derived: of the noise-scale law.
    """
    x = np.geomspace(outer[0] / _REACH, outer[1] * _REACH, _POINTS)
    factor = FAMILIES[family]
    name = factor.option
    if family == "momentum":
        x = x[x >= 1]
    values = factor.inverse(x)
    fixed = {other: value for other, value in centre.items() if other != name}
    power = posteriors["power"].line(name, values, **fixed, level=LEVEL)
    derived = posteriors["noise_scale"].line(name, values, **fixed, level=LEVEL)
    bands = {side: np.asarray(getattr(power, side)).tolist() for side in ("median", "low", "high")}
    return {"x": x.tolist(), **bands, "derived": np.asarray(derived.median).tolist()}


def predictive(posterior: Posterior, accuracies: AccuracyTable) -> dict[str, Any]:
    """p-values of the posterior predictive check, and what they say."""
    found = {name: float(value) for name, value in optimal_batch.predictive_check(posterior, accuracies).items()}
    missed = [f"{name} (p = {value:.2g})" for name, value in found.items() if value < MISSED]
    verdict = f"the model misses: {', '.join(missed)}" if missed else "nothing amiss"
    lowest = min(found, key=found.__getitem__)
    return {"p": found, "text": f"Posterior predictive check: {verdict}; lowest p {found[lowest]:.2g}, of {lowest}."}


def compared(posteriors: dict[str, Posterior], key: PRNGKeyArray) -> dict[str, Any] | None:
    """The two laws' log predictive densities of left-out series; None for a table with too few series."""
    number = len(posteriors["power"].table.series)
    if number < _LEAST_SERIES:
        return None
    found = optimal_batch.compare_laws(posteriors["power"], posteriors["noise_scale"], key=key)
    keep = ("difference", "standard_error", "refits", "verdict")
    return {name: getattr(found, name) for name in keep} | {"text": str(found)}
