"""The inference of batch-size: the laws' quantities with their priors, their lines, and how they compare."""

import dataclasses
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy import stats

from experiments.batch_size.config import FAMILIES
from sdesgd import optimal_batch
from sdesgd.optimal_batch import AccuracyTable, Band, LawComparison, Posterior

LEVEL = 0.9
MISSED = 0.05  # p-values below this are named
_POINTS = 60  # of a line
_LEAST_SERIES = 6  # of a comparison by held-out series
_REACH = 1.15  # lines go beyond the outer points by this factor


@dataclasses.dataclass(frozen=True)
class Check:
    """The posterior predictive check.

    Attributes:
        p: name of a statistic → its p-value.
    """

    p: dict[str, float]

    @property
    def missed(self) -> dict[str, float]:
        """The statistics that the model misses."""
        return {name: value for name, value in self.p.items() if value < MISSED}

    @property
    def text(self) -> str:
        """What the p-values say."""
        missed = ", ".join(f"{name} (p = {value:.2g})" for name, value in self.missed.items())
        verdict = f"the model misses: {missed}" if missed else "nothing amiss"
        lowest = min(self.p, key=self.p.__getitem__)
        return f"Posterior predictive check: {verdict}; lowest p {self.p[lowest]:.2g}, of {lowest}."


def infer(accuracies: AccuracyTable, key: PRNGKeyArray) -> dict[str, Posterior]:
    """The posteriors of both laws.

    Args:
        accuracies: the table.
        key: of the chains.
    """
    keys = jr.split(key, 2)
    laws = ("power", "noise_scale")
    return {law: optimal_batch.fit(accuracies, law, key=k) for law, k in zip(laws, keys, strict=True)}


def law_in_numbers(posterior: Posterior) -> dict[str, Any]:
    """Every reported quantity with its interval and the prior's, and whether the chains mixed."""
    names = ("median", "low", "high", "prior_low", "prior_high")
    quantities = {}
    for name in posterior.quantities:
        ends = posterior.interval(name, LEVEL), posterior.prior_interval(name, LEVEL)
        quantities[name] = dict(zip(names, (posterior.median(name), *ends[0], *ends[1]), strict=True))
    mixing = {"r_hat": max(posterior.r_hat.values()), "ess": min(posterior.ess.values())}
    return {"law": posterior.law, "quantities": quantities, **mixing, "divergences": posterior.divergences} | {
        "trouble": posterior.trouble()
    }


def densities(posterior: Posterior, exponent: str) -> tuple[Float[np.ndarray, " x"], ...]:
    """(x, prior, posterior): densities of an exponent, its posterior's by a Gaussian kernel.

    Args:
        posterior: of the power law.
        exponent: "alpha", "beta" or "gamma".
    """
    low, high = posterior.prior_interval(exponent, LEVEL)
    mean, sd = (low + high) / 2, (high - low) / 2 / float(stats.norm.ppf(0.5 + LEVEL / 2))
    x = np.linspace(mean - 2 * sd, mean + 2 * sd, 241)
    return x, stats.norm.pdf(x, mean, sd), stats.gaussian_kde(posterior.quantities[exponent].ravel())(x)


def line(posterior: Posterior, family: str, centre: dict[str, float], outer: tuple[float, float]) -> Band:
    """B_opt against what a family varies, from a little below the outer points to a little above.

    Args:
        posterior: of a law.
        family: which.
        centre: learning_rate, num_examples, momentum.
        outer: the smallest and largest η, N or 1/(1−m).
    """
    x = np.geomspace(outer[0] / _REACH, outer[1] * _REACH, _POINTS)
    factor = FAMILIES[family]
    values = factor.inverse(x[x >= 1] if family == "momentum" else x)
    fixed = {name: value for name, value in centre.items() if name != factor.option}
    return posterior.line(factor.option, values, **fixed, level=LEVEL)


def compared(posteriors: dict[str, Posterior], key: PRNGKeyArray) -> LawComparison | None:
    """The two laws' log predictive densities of left-out series; None for a table with too few series."""
    if len(posteriors["power"].table.series) < _LEAST_SERIES:
        return None
    return optimal_batch.compare_laws(posteriors["power"], posteriors["noise_scale"], key=key)
