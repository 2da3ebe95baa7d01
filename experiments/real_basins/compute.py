"""Which minimum does SGD sit in, and which does it arrive at, on real losses with a few minima?"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray
from matplotlib.figure import Figure
from rich.console import Console

import sdesgd as sg
from experiments._shared import cli as run
from experiments.real_basins import figure as real_basins_figure
from experiments.real_basins import report as real_basins_report
from experiments.real_basins import runs
from experiments.real_basins.config import Config, check, chosen, implied
from experiments.real_basins.minima import Found, search
from experiments.real_basins.mixing import shares_of
from experiments.real_basins.problems import TASKS, build, covariances
from experiments.real_basins.summary import summarise

ARMS = ("SGD", "SDE", "isotropic")


def compute(config: Config, folder: run.RunFolder) -> tuple[xr.Dataset, dict]:
    """All runs, stage by stage, in float64; then what they say of each other."""
    check(config)
    found = {}
    with jax.enable_x64(True):
        for name in chosen(config):
            # Every problem has streams of its own: leaving one out doesn't change the other's numbers.
            key = jr.fold_in(jr.key(config.seed), list(TASKS).index(name))
            names = ("search", *ARMS, "NUTS", "starts", "arrival-SGD", "arrival-SDE")
            keys: dict[str, Any] = dict(zip(names, jr.split(key, len(names)), strict=True))
            case = build(name)
            kept = folder.stage(f"{name}-minima", lambda case=case, k=keys["search"]: search(case, config, k))
            setting = Found(case, kept)
            stages = {"minima": kept}
            stages |= stationary(config, folder, setting, keys)
            stages |= arrivals(config, folder, setting, keys)
            found[name] = setting, stages
    tables = [_prefixed(name, stages) for name, (_, stages) in found.items()]
    dataset = xr.merge(tables, combine_attrs="drop")
    return dataset, summarise(config, found)


# -- stationary occupancy ------------------------------------------------------------------------------------


def stationary(config: Config, folder: run.RunFolder, setting: Found, keys: dict[str, PRNGKeyArray]) -> dict:
    """Stage → dataset, for each rate: SGD first, since its tr C sets the others' temperature."""
    stages, name = {}, setting.case.name
    for k, eta in enumerate(config.rates(name)):
        key = {source: jr.fold_in(keys[source], k) for source in (*ARMS, "NUTS")}
        sgd = folder.stage(f"{name}-SGD-{eta:g}", lambda e=eta, q=key: occupancy(config, setting, "SGD", e, q["SGD"]))
        variance = float(sgd.attrs["trace"]) / setting.case.landscape.dimension
        stages["SGD", eta] = sgd
        for arm in ARMS[1:]:

            def measure(arm=arm, e=eta, q=key[arm], v=variance) -> xr.Dataset:
                return occupancy(config, setting, arm, e, q, v)

            stages[arm, eta] = folder.stage(f"{name}-{arm}-{eta:g}", measure)
        T = eta * variance / (2 * config.batch_size)
        if config.nuts_samples:

            def nuts(T=T, q=key["NUTS"]) -> xr.Dataset:
                sizes = {"samples": config.nuts_samples, "labelled": config.nuts_labels}
                options: dict[str, Any] = {"barrier": setting.barrier, "key": q, **sizes}
                return runs.gibbs_shares(setting.case.landscape, setting.minima, T, **options)

            stages["NUTS", eta] = folder.stage(f"{name}-NUTS-{eta:g}", nuts)
    return stages


def occupancy(
    config: Config, setting: Found, arm: str, learning_rate: float, key: PRNGKeyArray, variance: float | None = None
) -> xr.Dataset:
    """Time shares of the basins in runs of one arm, a group of replicas from each minimum; tr C along the way.

    Args:
        arm: SGD | SDE | isotropic (SGD on the mean loss with C = σ²I).
        variance: σ², for the isotropic arm.
    """
    case, M, F = setting.case, len(setting.minima), config.frames
    each = -(-config.replicas // M)
    save_every = config.steps_of(case.name) // F
    dynamics = (sg.SDE if arm == "SDE" else sg.SGD)(learning_rate, config.batch_size)
    problem = case.isotropic(variance) if arm == "isotropic" and variance is not None else case.problem
    points = runs.frames(
        dynamics,
        problem,
        np.repeat(setting.minima.points, each, axis=0),
        num_steps=F * save_every,
        save_every=save_every,
        key=key,
        progress=f"{case.name}, {arm}, η = {learning_rate:g}",
    )
    labels = runs.labels_of(setting.minima, points)
    shares = shares_of(labels.reshape(M, each, -1), M, config.burn_in_frames, save_every)
    points = points[:, config.burn_in_frames :]
    rows = points.reshape(-1, points.shape[-1])
    rows = rows[np.isfinite(rows).all(axis=1)]
    C = covariances(case, rows[:: max(1, len(rows) // 400)])
    losses = np.asarray(jax.lax.map(case.landscape.value, jnp.asarray(rows)))
    return shares.to_xarray(
        trace=float(np.trace(C, axis1=1, axis2=2).mean()),
        mean_loss=float(losses.mean()),
        steps=F * save_every,
        replicas=M * each,
        diverged=int(np.isnan(points[:, -1]).any(axis=1).sum()),
    )


# -- arrivals --------------------------------------------------------------------------------------------------


def arrivals(config: Config, folder: run.RunFolder, setting: Found, keys: dict[str, PRNGKeyArray]) -> dict:
    """Stage → dataset: where gradient flow ends from random nets, and SGD and the SDE from the same after a time."""
    case = setting.case
    starts = case.fresh(jr.split(keys["starts"], config.runs))

    def flow() -> xr.Dataset:
        label = setting.minima.assign(starts)
        return xr.Dataset({"label": ("run", label)})

    stages: dict = {"flow": folder.stage(f"{case.name}-flow", flow)}
    for k, eta in enumerate(config.arrival_rates(case.name)):
        for arm in ("SGD", "SDE"):
            key = jr.fold_in(keys[f"arrival-{arm}"], k)

            def arrive(arm=arm, eta=eta, key=key) -> xr.Dataset:
                return arrived(config, setting, arm, eta, starts, key)

            stages[f"arrival-{arm}", eta] = folder.stage(f"{case.name}-arrival-{arm}-{eta:g}", arrive)
    return stages


def arrived(
    config: Config, setting: Found, arm: str, learning_rate: float, starts: np.ndarray, key: PRNGKeyArray
) -> xr.Dataset:
    """The basin of each run at half of the time and at its end, in SDE time the same for all rates."""
    case = setting.case
    half = max(1, round(config.time_of(case.name) / learning_rate / 2))
    points = runs.frames(
        (sg.SDE if arm == "SDE" else sg.SGD)(learning_rate, config.batch_size),
        case.problem,
        starts,
        num_steps=2 * half,
        save_every=half,
        key=key,
        progress=f"{case.name}, arrival of {arm}, η = {learning_rate:g}",
    )
    labels = runs.labels_of(setting.minima, points)
    return xr.Dataset({"half": ("run", labels[:, 0]), "label": ("run", labels[:, 1])}, attrs={"steps": 2 * half})


def _prefixed(name: str, stages: dict) -> xr.Dataset:
    """All of a problem's numbers in one dataset."""
    parts = []
    for stage, data in stages.items():
        words = [str(word) for word in (stage if isinstance(stage, tuple) else (stage,))]
        prefix = "_".join([name, *words]).replace("-", "_")
        parts.append(data.drop_attrs().rename({v: f"{prefix}_{v}" for v in [*data.variables, *data.dims]}))
    merged: Any = xr.merge(parts)
    return merged


def plot(dataset: xr.Dataset, summary: dict) -> Figure:
    """See ``real_basins_figure``."""
    return real_basins_figure.draw(dataset, summary)


def report(summary: dict, console: Console) -> None:
    """See ``real_basins_report``."""
    real_basins_report.show(summary, console)


EXPERIMENT = run.Experiment("real-basins", Config, compute, plot, report, implied)
