"""E(L) − L* of SGD and of its SDE against η/S, on four problems, beside (η/4S)Tr H, (η/4S)Tr C and the exact value."""

import dataclasses
import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PyTree

import sdesgd as sg
from experiments._shared.options import Part
from experiments._shared.run_folder import RunFolder
from experiments.stationary_loss import laws, problems
from experiments.stationary_loss.config import ARMS, Config, check, chosen, plan, points, saved_steps
from experiments.stationary_loss.problems import Case
from experiments.stationary_loss.result import ArmMean, Course, Result
from experiments.stationary_loss.theory import solver_steps, theory
from sdesgd import evidence
from sdesgd.stationary import trace_covariance_loss

# All that changes a run, whatever other problems are chosen.
OF_THE_RUNS = (
    *("preset", "learning_rates", "batch_size", "divide", "momentum", "replicas", "sde_replicas", "num_steps"),
    *("burn_in", "num_examples", "width", "logistic_decay", "net_decay", "seed"),
)
_COURSE, _COURSE_SAVES, _COURSE_PARTS = 10, 120, 14  # the net's course in time: ten times as long as its other runs


class ExcessLoss(eqx.Module):
    """params ↦ L − L*."""

    problem: sg.Problem
    floor: float

    def __call__(self, params: PyTree) -> Float[Array, ""]:
        return self.problem.loss(params) - self.floor


@functools.cache
def cases_of(config: Any, group: str) -> list[Case]:
    """The cases of a group, each with its minimum.

    A stage is known by the options and not by the minimum, which may differ in the last bits between machines.
    """
    return problems.build(
        group,
        num_examples=config.num_examples,
        width=config.width,
        logistic_decay=config.logistic_decay,
        net_decay=config.net_decay,
        seed=config.seed,
    )


def _case(config: Any, group: str, name: str) -> Case:
    return next(case for case in cases_of(config, group) if case.name == name)


# -- the runs ----------------------------------------------------------------------------------------------


def simulate_arm(config: Any, group: str, name: str, arm: str) -> xr.Dataset:
    """All points of one arm on one case: each replica's mean after the burn-in, and the course of the mean."""
    case = _case(config, group, name)
    sizes, names = plan(config, case.group), points(config, case, arm)
    window, along, diverged, saved = [], [], [], []
    for k, (rate, S) in enumerate(names):
        dynamics: Any = sg.SGD(rate, S, momentum=config.momentum)
        if arm == "SDE":
            n, _ = solver_steps(config, case, rate, S)
            dynamics = sg.SDE(rate, S, momentum=config.momentum, substeps=n)
        steps = saved_steps(rate, sizes.time, sizes.saves)
        key = jr.fold_in(stream(config, case), 1000 * ARMS.index(arm) + k)
        label = f"{case.name}, {arm}, η = {rate:.3g}"
        made = _simulate(case, dynamics, steps, sizes.replicas[arm], key, label)
        if made.interrupted:
            return xr.Dataset(attrs={"interrupted": 1})
        excess = made.values["excess"][:, 1:]
        window.append(excess[:, steps > config.burn_in * steps[-1]].mean(axis=1))
        along.append(evidence.mean(excess))
        saved.append(steps)
        diverged.append(int(made.diverged.sum()))
    name = f"{case.name}_{arm}"
    over = f"{name}_point", f"{case.name}_save"
    variables = {
        f"{name}_window": ((over[0], f"{name}_replica"), np.asarray(window)),
        f"{name}_step": (over, np.asarray(saved)),
        f"{name}_mean": (over, np.asarray([a.mean for a in along])),
        f"{name}_standard_error": (over, np.asarray([a.standard_error for a in along])),
        f"{name}_diverged": (over[0], np.asarray(diverged)),
        f"{name}_learning_rate": (over[0], np.asarray([rate for rate, _ in names])),
        f"{name}_batch_size": (over[0], np.asarray([S for _, S in names])),
    }
    return xr.Dataset(variables)


def simulate_course(config: Any, group: str, name: str) -> xr.Dataset:
    """SGD for a long time at one of the smaller rates: the mean excess loss against time."""
    case = _case(config, group, name)
    sizes = plan(config, case.group)
    rate, replicas = sizes.rates[min(1, len(sizes.rates) - 1)], max(2, sizes.replicas["SGD"] // 3)
    steps = saved_steps(rate, _COURSE * sizes.time, min(_COURSE_SAVES, round(_COURSE * sizes.time / rate)))
    key, label = jr.fold_in(stream(config, case), 9999), f"{case.name}, SGD, a long run"
    dynamics = sg.SGD(rate, sizes.batch_size, momentum=config.momentum)
    made = _simulate(case, dynamics, steps, replicas, key, label)
    if made.interrupted:
        return xr.Dataset(attrs={"interrupted": 1})
    excess, edges = made.values["excess"][:, 1:], course_edges(len(steps))
    parts = [evidence.mean(excess[:, a:b].mean(axis=1)) for a, b in itertools.pairwise(edges)]
    columns = {"mean": [p.mean for p in parts], "standard_error": [p.standard_error for p in parts]}
    variables = {f"course_{name}": ("course_part", np.asarray(column)) for name, column in columns.items()}
    variables["course_step"] = ("course_save", steps)
    return xr.Dataset(variables, attrs={"course_replicas": replicas, "course_learning_rate": rate})


def course_edges(saves: int) -> list[int]:
    """Parts of a long run, longer and longer: means are over the saves from one edge to the next."""
    return sorted({round(edge) - 1 for edge in np.geomspace(1, saves + 1, _COURSE_PARTS)})


def stream(config: Any, case: Case) -> Array:
    """The key of a case, the same whatever other problems are chosen."""
    return jr.fold_in(jr.key(config.seed), 1 + problems.ORDER.index(case.name))


def _simulate(case: Case, dynamics: Any, steps: np.ndarray, replicas: int, key: Array, label: str) -> sg.Trajectories:
    return sg.simulate(
        dynamics,
        case.problem,
        num_steps=int(steps[-1]),
        save_every=int(steps[0]),
        replicas=replicas,
        key=key,
        observables={"excess": ExcessLoss(case.problem, case.floor)},
        params=case.start,
        progress=label,
    )


def compute(config: Config, folder: RunFolder) -> Result:
    """The minima, then every arm of every case as a stage, in float64; then theory beside measurement."""
    check(config)
    with jax.enable_x64(True):
        sizes = Part(config, *OF_THE_RUNS)
        cases = [case for group in chosen(config) for case in cases_of(sizes, group)]
        found = {case.name: theory(config, case) for case in cases}  # refuses rates before anything is run
        stages: list[xr.Dataset] = []
        for case in cases:
            where = sizes, case.group, case.name
            made = {arm: folder.stage(f"{case.name}-{arm}", simulate_arm, *where, arm) for arm in ARMS}
            stages += made.values()
            measured = itertools.zip_longest(*(means(made[arm], f"{case.name}_{arm}") for arm in ARMS))
            points = tuple(
                dataclasses.replace(point, SGD=sgd, SDE=sde)
                for point, (sgd, sde) in zip(found[case.name].points, measured, strict=True)
            )
            along = None
            if case.group == "net":
                stages.append(folder.stage("net-course", simulate_course, *where))
                along = course(config, case, stages[-1])
            found[case.name] = dataclasses.replace(found[case.name], points=points, course=along)
    return Result(config, found, xr.merge(stages, combine_attrs="drop"))


# -- the numbers --------------------------------------------------------------------------------


def means(dataset: xr.Dataset, name: str) -> list[ArmMean]:
    """An arm's means with their errors; ``name`` is CASE_ARM."""
    found = []
    for window, diverged in zip(dataset[f"{name}_window"].values, dataset[f"{name}_diverged"].values, strict=True):
        estimate = evidence.mean(window)
        numbers = map(float, (estimate.mean, estimate.standard_error, *estimate.interval()))
        found.append(ArmMean(*numbers, replicas=int(estimate.count), diverged=int(diverged)))
    return found


def course(config: Config, case: Case, dataset: xr.Dataset) -> Course:
    """The long run beside the formulas."""
    values, noise = case.spectrum
    S, m, rate = plan(config, case.group).batch_size, config.momentum, float(dataset.attrs["course_learning_rate"])
    steps = dataset["course_step"].values
    parts = itertools.pairwise(course_edges(len(steps)))
    slow = 2 * values * rate * steps[-1] / (1 - m) < 1
    return Course(
        learning_rate=rate,
        batch_size=S,
        replicas=int(dataset.attrs["course_replicas"]),
        time=np.array([rate * float(np.exp(np.log(steps[a:b]).mean())) for a, b in parts]),
        mean=dataset["course_mean"].values,
        standard_error=dataset["course_standard_error"].values,
        curve_time=rate * steps,
        discrete=laws.loss_along(values, noise, rate, S, m, steps, "discrete"),
        ou=laws.loss_along(values, noise, rate, S, m, steps, "ou"),
        trace_covariance=trace_covariance_loss(case.covariance, rate, S, m),
        unrelaxed=int(slow.sum()),
        unrelaxed_share=float(noise[slow].sum() / noise.sum()),
    )
