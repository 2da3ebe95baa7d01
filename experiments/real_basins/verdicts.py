"""What the sources of real-basins say of each other: shares, arrivals, gaps with intervals."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int
from scipy import stats

from experiments.real_basins.config import Config
from experiments.real_basins.minima import Found
from experiments.real_basins.mixing import Shares, letter
from experiments.real_basins.problems import anisotropy
from experiments.real_basins.result import (
    ARMS,
    Arm,
    Arrival,
    Arrived,
    Basin,
    Frequencies,
    Gibbs,
    Occupancy,
    Paired,
    Problem,
    Proportion,
)
from sdesgd import evidence


def problem_of(config: Config, setting: Found, stages: Mapping[Any, xr.Dataset]) -> Problem:
    """Everything that the report and the figure say of one loss."""
    case, minima, kept = setting.case, setting.minima, setting.kept
    noise = [anisotropy(H, C) for H, C in zip(kept["hessians"].values, kept["covariances"].values, strict=True)]
    basins = tuple(
        Basin(
            name=letter(k),
            loss=float(minima.losses[k]),
            copies=int(minima.multiplicities[k]),
            hits=int(minima.hits[k]),
            softest=float(minima.spectra[k, 0]),
            stiffest=float(minima.spectra[k, -1]),
            barrier=float(np.delete(setting.heights[k], k).min()),
            noise=noise[k],
        )
        for k in range(len(minima))
    )
    return Problem(
        title=case.task.title,
        num_examples=case.problem.num_examples,
        dimension=case.landscape.dimension,
        decay=case.task.decay,
        basins=basins,
        barrier=setting.barrier,
        steps=config.steps_of(case.name),
        arrival_time=config.time_of(case.name),
        occupancy=tuple(_occupancy(config, setting, stages, eta) for eta in config.rates(case.name)),
        flow=frequencies(stages["flow"]["label"].values, len(minima)),
        arrivals=tuple(_arrival(config, stages, eta, len(minima)) for eta in config.arrival_rates(case.name)),
    )


# -- stationary occupancy ------------------------------------------------------------------------------------


def _occupancy(config: Config, setting: Found, stages: Mapping[Any, xr.Dataset], eta: float) -> Occupancy:
    arms = {arm: Arm(**_fields(stages[arm, eta])) for arm in ARMS}
    nuts = Gibbs(**_fields(stages["NUTS", eta])) if ("NUTS", eta) in stages else None
    variance, margin = arms["SGD"].trace / setting.case.landscape.dimension, config.margin / 100
    T = eta * variance / (2 * config.batch_size)
    claimed = {arm: shares for arm, shares in arms.items() if not shares.refused}
    gaps = {}
    if nuts is not None and not nuts.refused:
        gaps = {arm: gap(shares, nuts, margin) for arm, shares in claimed.items()}
    return Occupancy(
        eta=eta,
        ratio=eta / config.batch_size,
        variance=variance,
        temperature=T,
        barrier_over_temperature=setting.barrier / T,
        laplace=setting.minima.laplace(T),
        arms=arms,
        nuts=nuts,
        gaps=gaps,
        verdicts={arm: verdict(shares, nuts, gaps.get(arm)) for arm, shares in arms.items()},
        sgd_less_sde=gap(arms["SGD"], arms["SDE"], margin) if claimed.keys() >= {"SGD", "SDE"} else None,
    )


def _fields(data: xr.Dataset) -> dict[str, Any]:
    """What a stage kept; read from its file it has numpy scalars."""
    arrays = {str(name): values.values for name, values in data.data_vars.items()}
    return arrays | {name: np.asarray(value).item() for name, value in data.attrs.items()}


def gap(one: Shares | Gibbs, other: Shares | Gibbs, margin: float) -> evidence.Decision:
    """One source's shares minus another's, and what may be said of all basins together."""
    error = np.hypot(one.standard_errors, other.standard_errors)
    return evidence.decide_differences(one.probabilities - other.probabilities, error, margin)


def verdict(arm: Shares, nuts: Gibbs | None, gap: evidence.Decision | None) -> str:
    """What an arm says of Gibbs' law: equivalent, different, inconclusive, collapsed, not mixed, or that there is none.

    Without mixing it may differ all the same: where a basin's least share is above the upper end of Gibbs' interval.
    """
    if arm.collapsed > 0.01:
        return "collapsed"
    if nuts is None or nuts.refused:
        return "no Gibbs"
    if gap is not None:
        return gap.kind
    most = nuts.probabilities + stats.norm.ppf(0.975) * nuts.standard_errors
    return "different" if np.any(arm.floor > most) else "not mixed"


# -- arrivals --------------------------------------------------------------------------------------------------


def frequencies(label: Int[np.ndarray, " runs"], count: int) -> Frequencies:
    """Shares of the runs that arrive at each minimum, with Clopper–Pearson 95 % intervals; and at none of them."""
    counts = tuple(int((label == k).sum()) for k in range(count))
    shares, low, high = np.transpose([proportion(c, len(label)) for c in counts])
    return Frequencies(counts, int((label < 0).sum()), len(label), shares, low, high)


def proportion(count: int, total: int) -> Proportion:
    """count/total with its interval."""
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    return Proportion(count / total, float(interval.low), float(interval.high))


def _arrival(config: Config, stages: Mapping[Any, xr.Dataset], eta: float, count: int) -> Arrival:
    flow = stages["flow"]["label"].values
    found = {arm: stages[f"arrival-{arm}", eta] for arm in ("SGD", "SDE")}
    labels = {arm: data["label"].values for arm, data in found.items()}
    arms = {
        arm: Arrived(
            **vars(frequencies(label, count)),
            less_flow=paired(label, flow, count),
            changed=proportion(int((label != flow).sum()), len(label)),
            moved_late=proportion(int((label != found[arm]["half"].values).sum()), len(label)),
            steps=int(found[arm].attrs["steps"]),
        )
        for arm, label in labels.items()
    }
    return Arrival(eta, eta / config.batch_size, arms, paired(labels["SGD"], labels["SDE"], count))


def paired(label: Int[np.ndarray, " runs"], flow: Int[np.ndarray, " runs"], count: int) -> Paired:
    """Share of each basin minus gradient flow's from the same starts, with intervals from the pairs that differ."""
    difference, half = np.zeros(count), np.zeros(count)
    for k in range(count):
        change = (label == k).astype(float) - (flow == k)
        difference[k] = change.mean()
        spread = stats.norm.ppf(0.975) * change.std(ddof=1) / math.sqrt(len(change))
        # Of few pairs that differ the normal interval knows too little: at least what no such pair leaves room for.
        half[k] = max(spread, proportion(int(change.any()), len(change)).high)
    return Paired(difference, half)
