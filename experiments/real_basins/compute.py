"""Which minimum does SGD sit in, and which does it arrive at, on real losses with a few minima?"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

import sdesgd as sg
from experiments._shared.options import Part
from experiments._shared.run_folder import RunFolder
from experiments.real_basins import runs
from experiments.real_basins.config import Config, check, chosen
from experiments.real_basins.minima import Found, search
from experiments.real_basins.mixing import shares_of
from experiments.real_basins.problems import TASKS, build, covariances
from experiments.real_basins.result import ARMS, Result
from experiments.real_basins.verdicts import problem_of


def compute(config: Config, folder: RunFolder) -> Result:
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
            kept = folder.stage(f"{name}-minima", search, case, Part(config, "starts", f"{name}_rates"), keys["search"])
            setting = Found(case, kept)
            stages = {"minima": kept}
            stages |= stationary(config, folder, setting, keys)
            stages |= arrivals(config, folder, setting, keys)
            found[name] = setting, stages
    tables = [_prefixed(name, stages) for name, (_, stages) in found.items()]
    problems = {name: problem_of(config, *parts) for name, parts in found.items()}
    return Result(config, problems, xr.merge(tables, combine_attrs="drop"))


# -- stationary occupancy ------------------------------------------------------------------------------------


def stationary(config: Config, folder: RunFolder, setting: Found, keys: dict[str, PRNGKeyArray]) -> dict:
    """Stage → dataset, for each rate: SGD first, since its tr C sets the others' temperature."""
    stages, name = {}, setting.case.name
    sizes = Part(config, "batch_size", "replicas", "steps", "frames", "burn_in")
    for k, eta in enumerate(config.rates(name)):
        key = {source: jr.fold_in(keys[source], k) for source in (*ARMS, "NUTS")}
        sgd = folder.stage(f"{name}-SGD-{eta:g}", occupancy, sizes, setting, "SGD", eta, key["SGD"])
        variance = float(sgd.attrs["trace"]) / setting.case.landscape.dimension
        stages["SGD", eta] = sgd
        for arm in ARMS[1:]:
            stages[arm, eta] = folder.stage(
                f"{name}-{arm}-{eta:g}", occupancy, sizes, setting, arm, eta, key[arm], variance
            )
        T = eta * variance / (2 * config.batch_size)
        if config.nuts_samples:
            stages["NUTS", eta] = folder.stage(
                f"{name}-NUTS-{eta:g}",
                runs.gibbs_shares,
                setting.case.landscape,
                setting.minima,
                T,
                barrier=setting.barrier,
                key=key["NUTS"],
                samples=config.nuts_samples,
                labelled=config.nuts_labels,
            )
    return stages


def occupancy(
    config: Any, setting: Found, arm: str, learning_rate: float, key: PRNGKeyArray, variance: float | None = None
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


def arrivals(config: Config, folder: RunFolder, setting: Found, keys: dict[str, PRNGKeyArray]) -> dict:
    """Stage → dataset: where gradient flow ends from random nets, and SGD and the SDE from the same after a time."""
    case = setting.case
    starts = case.fresh(jr.split(keys["starts"], config.runs))

    stages: dict = {"flow": folder.stage(f"{case.name}-flow", flow, setting, starts)}
    sizes = Part(config, "batch_size", "arrival_time")
    for k, eta in enumerate(config.arrival_rates(case.name)):
        for arm in ("SGD", "SDE"):
            key = jr.fold_in(keys[f"arrival-{arm}"], k)
            stages[f"arrival-{arm}", eta] = folder.stage(
                f"{case.name}-arrival-{arm}-{eta:g}", arrived, sizes, setting, arm, eta, starts, key
            )
    return stages


def flow(setting: Found, starts: np.ndarray) -> xr.Dataset:
    """Where gradient flow ends."""
    return xr.Dataset({"label": ("run", setting.minima.assign(starts))})


def arrived(
    config: Any, setting: Found, arm: str, learning_rate: float, starts: np.ndarray, key: PRNGKeyArray
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
