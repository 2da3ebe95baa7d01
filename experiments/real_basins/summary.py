"""What the sources of real-basins say of each other, in plain numbers: shares, arrivals, gaps with intervals."""

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats

from experiments.real_basins.config import Config
from experiments.real_basins.minima import Found
from experiments.real_basins.mixing import letter
from experiments.real_basins.problems import anisotropy
from sdesgd import evidence

ARMS = ("SGD", "SDE", "isotropic")


def summarise(config: Config, found: dict[str, tuple[Found, dict]]) -> dict:
    """Everything that the report and the figure say."""
    problems = {name: _problem(config, *parts) for name, parts in found.items()}
    return {
        "experiment": "real-basins",
        "config": dataclasses.asdict(config),
        "problems": problems,
        "sizes": {"seed": config.seed, "dtype": "float64", "runs": config.runs, "replicas": config.replicas},
    }


def _problem(config: Config, setting: Found, stages: dict) -> dict:
    case, minima, kept = setting.case, setting.minima, setting.kept
    noise = [anisotropy(H, C) for H, C in zip(kept["hessians"].values, kept["covariances"].values, strict=True)]
    basins = [
        {
            "name": letter(k),
            "loss": float(minima.losses[k]),
            "copies": int(minima.multiplicities[k]),
            "hits": int(minima.hits[k]),
            "softest": float(minima.spectra[k, 0]),
            "stiffest": float(minima.spectra[k, -1]),
            "barrier": _plain(np.delete(setting.heights[k], k).min()),
            "noise": noise[k],
        }
        for k in range(len(minima))
    ]
    return {
        "title": case.task.title,
        "num_examples": case.problem.num_examples,
        "dimension": case.landscape.dimension,
        "decay": case.task.decay,
        "basins": basins,
        "barrier": _plain(setting.barrier),
        "steps": config.steps_of(case.name),
        "arrival_time": config.time_of(case.name),
        "occupancy": [_occupancy(config, setting, stages, eta) for eta in config.rates(case.name)],
        "flow": _flow(stages["flow"], len(minima)),
        "arrivals": [_arrival(config, stages, eta, len(minima)) for eta in config.arrival_rates(case.name)],
    }


# -- stationary occupancy ------------------------------------------------------------------------------------


def _occupancy(config: Config, setting: Found, stages: dict, eta: float) -> dict:
    D, M = setting.case.landscape.dimension, len(setting.minima)
    variance = float(stages["SGD", eta].attrs["trace"]) / D
    T = eta * variance / (2 * config.batch_size)
    arms = {arm: _arm(stages[arm, eta]) for arm in ARMS}
    nuts = _nuts(stages["NUTS", eta]) if ("NUTS", eta) in stages else None
    laplace = setting.minima.laplace(T)
    gaps = {}
    if nuts is not None and not nuts["refused"]:
        gaps = {arm: gap(values, nuts, config.margin / 100) for arm, values in arms.items() if not values["refused"]}
    verdicts = {arm: verdict(values, nuts, gaps.get(arm)) for arm, values in arms.items()}
    between = None
    if not arms["SGD"]["refused"] and not arms["SDE"]["refused"]:
        between = gap(arms["SGD"], arms["SDE"], config.margin / 100)
    return {
        "eta": eta,
        "ratio": eta / config.batch_size,
        "variance": variance,
        "temperature": T,
        "barrier_over_temperature": _plain(setting.barrier / T),
        "laplace": laplace.tolist(),
        "arms": arms,
        "nuts": nuts,
        "gaps": gaps,
        "verdicts": verdicts,
        "sgd_less_sde": between,
        "basins": M,
    }


def _arm(data: xr.Dataset) -> dict:
    return {
        "probabilities": [_plain(p) for p in data["probabilities"].values],
        "standard_errors": [_plain(p) for p in data["standard_errors"].values],
        "floor": [_plain(p) for p in data["floor"].values],
        "ess": data["ess"].values.tolist(),
        "changes": data["changes"].values.tolist(),
        "refused": str(data.attrs["refused"]),
        **{key: _plain(data.attrs[key]) for key in ("unknown", "collapsed", "r_hat", "trace", "mean_loss")},
        **{key: int(data.attrs[key]) for key in ("steps", "replicas", "diverged")},
    }


def _nuts(data: xr.Dataset) -> dict:
    return {
        "probabilities": [_plain(p) for p in data["probabilities"].values],
        "standard_errors": [_plain(p) for p in data["standard_errors"].values],
        "refused": str(data.attrs["refused"]),
        **{key: _plain(data.attrs.get(key, math.nan)) for key in ("r_hat", "ess")},
    }


def gap(one: dict, other: dict, margin: float) -> dict:
    """One source's shares less another's, with 95 % intervals, and what may be said of all basins together.

    The kinds are those of ``evidence.decide_differences``.
    """
    p, q = np.array(one["probabilities"]), np.array(other["probabilities"])
    error = np.hypot(one["standard_errors"], other["standard_errors"])
    difference = p - q
    found = evidence.decide_differences(difference, error, margin)
    half = (found.high - found.low) / 2
    return {"kind": found.kind, "difference": difference.tolist(), "half_width": half.tolist(), "worst": found.worst}


def verdict(arm: dict, nuts: dict | None, gap: dict | None) -> str:
    """What an arm says of Gibbs' law: equivalent, different, inconclusive, collapsed, not mixed, or that there is none.

    Without mixing it may differ all the same: where a basin's least share is above the upper end of Gibbs' interval.
    """
    if arm["collapsed"] > 0.01:
        return "collapsed"
    if nuts is None or nuts["refused"]:
        return "no Gibbs"
    if gap is not None:
        return gap["kind"]
    most = numbers(nuts["probabilities"]) + stats.norm.ppf(0.975) * numbers(nuts["standard_errors"])
    return "different" if np.any(numbers(arm["floor"]) > most) else "not mixed"


# -- arrivals --------------------------------------------------------------------------------------------------


def _flow(data: xr.Dataset, count: int) -> dict:
    return frequencies(data["label"].values, count)


def frequencies(label: Int[np.ndarray, " runs"], count: int) -> dict:
    """Shares of the runs that arrive at each minimum, with Clopper–Pearson 95 % intervals; and at none of them."""
    runs = len(label)
    counts = [int((label == k).sum()) for k in range(count)]
    bounds = [proportion(c, runs) for c in counts]
    return {"counts": counts, "unknown": int((label < 0).sum()), "runs": runs, **_columns(bounds)}


def proportion(count: int, total: int) -> tuple[float, float, float]:
    """count/total with its exact (Clopper–Pearson) 95 % interval."""
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    return count / total, float(interval.low), float(interval.high)


def _columns(bounds: list[tuple[float, float, float]]) -> dict:
    shares, low, high = (list(column) for column in zip(*bounds, strict=True))
    return {"shares": shares, "low": low, "high": high}


def _arrival(config: Config, stages: dict, eta: float, count: int) -> dict:
    flow = stages["flow"]["label"].values
    arms = {}
    for arm in ("SGD", "SDE"):
        data = stages[f"arrival-{arm}", eta]
        label = data["label"].values
        arms[arm] = {
            **frequencies(label, count),
            "less_flow": paired(label, flow, count),
            "changed": proportion(int((label != flow).sum()), len(label)),
            "moved_late": proportion(int((label != data["half"].values).sum()), len(label)),
            "steps": int(data.attrs["steps"]),
        }
    sgd, sde = (stages[f"arrival-{arm}", eta]["label"].values for arm in ("SGD", "SDE"))
    return {
        "eta": eta,
        "ratio": eta / config.batch_size,
        "arms": arms,
        "sgd_less_sde": paired(sgd, sde, count),
    }


def paired(label: Int[np.ndarray, " runs"], flow: Int[np.ndarray, " runs"], count: int) -> dict:
    """Share of each basin less gradient flow's from the same starts, with 95 % intervals from the pairs that differ."""
    difference: list[float] = []
    half: list[float] = []
    for k in range(count):
        change = (label == k).astype(float) - (flow == k)
        difference.append(float(change.mean()))
        spread = float(stats.norm.ppf(0.975) * change.std(ddof=1) / math.sqrt(len(change)))
        # Of few pairs that differ the normal interval knows too little: at least what no such pair leaves room for.
        half.append(max(spread, proportion(1, len(change))[2] if change.any() else proportion(0, len(change))[2]))
    return {"difference": difference, "half_width": half}


def _plain(value: Any) -> float | None:
    """JSON has no NaN and no infinity."""
    number = float(value)
    return number if math.isfinite(number) else None


def numbers(values: list[float | None]) -> Float[np.ndarray, " n"]:
    """The same with NaN for None."""
    return np.array([np.nan if value is None else value for value in values])
