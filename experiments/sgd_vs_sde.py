"""Does the SDE describe this SGD? SGD, Gaussian SGD, the SDE and SVAG from one start, compared with error bars."""

import dataclasses
import json
import math
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import PyTree
from matplotlib.figure import Figure
from rich.console import Console

import sdesgd as sg
from experiments import run, sgd_vs_sde_figure, sgd_vs_sde_report
from experiments.sgd_vs_sde_problem import Config, build, chosen, implied
from sdesgd import evidence
from sdesgd.errors import InputError
from sdesgd.simulation import replica_blocks


def compute(config: Config, folder: run.RunFolder) -> tuple[xr.Dataset, dict]:
    """Runs the arms, stage by stage, and judges them."""
    # With reshuffling there is no SDE: SGD is compared with the SDE of a subset drawn afresh each step.
    law = "no_replacement" if config.sampling == "reshuffle" else config.sampling
    eta, S, m = config.learning_rate, config.batch_size, config.momentum
    sgd = sg.SGD(eta, S, config.sampling, m)
    gaussian = sg.GaussianSGD(eta, S, law, m)
    sde = sg.SDE(eta, S, law, momentum=m, substeps=config.substeps)
    finer = sg.SDE(eta, S, law, momentum=m, substeps=2 * config.substeps)
    if not 0 < config.margin < math.inf:
        raise InputError(f"margin is {config.margin}: pass a positive number of standard deviations")
    for name, least in (("width", 1), ("depth", 1), ("svag_ell", 0), ("seed", 0)):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    if config.replicas < 2 or config.check_replicas < 2:
        raise InputError(f"replicas are {config.replicas} and {config.check_replicas}: an error bar needs at least 2")
    names = ("net", "sgd", "shared", "svag", "check", "card")
    keys = dict(zip(names, jr.split(jr.key(config.seed), len(names)), strict=True))
    problem, observables = build(config, keys["net"])
    for dynamics in (sgd, gaussian):
        dynamics.init(problem, problem.params)
    arrays = [x for x in jax.tree.leaves((problem.data, observables)) if eqx.is_array(x) and x.ndim]
    folder.expect_inputs(*arrays)
    common: dict[str, Any] = dict(observables=observables, num_steps=config.num_steps, save_every=config.save_every)
    full: dict[str, Any] = dict(common, replicas=config.replicas)

    def card(params: PyTree) -> str:
        measured = sg.validity_card(problem, eta, S, key=keys["card"], sampling=law, momentum=m, params=params)
        # Where a run diverged the card holds NaN or infinity, which JSON doesn't have.
        plain = {k: _finite(v) for k, v in dataclasses.asdict(measured).items()}
        return json.dumps(plain, allow_nan=False)

    def run_sgd() -> xr.Dataset:
        # First, so that a loss that has no card is known before the run.
        attributes = {"card_at_start": card(problem.params)}
        result = sg.simulate(sgd, problem, key=keys["sgd"], progress="SGD", **full)
        if result.interrupted:
            return result.to_xarray()
        last = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, result.final_params)
        attributes["card_at_end"] = card(last)
        return result.to_xarray().assign_attrs(attributes)

    def run_pair(first, second, key, replicas, label) -> xr.Dataset:
        pair = sg.simulate_coupled(first, second, problem, key=key, progress=label, **dict(common, replicas=replicas))
        return xr.concat([t.to_xarray() for t in pair], "arm", combine_attrs="override")

    def run_svag() -> xr.Dataset:
        svag = sg.SVAG(eta, S, config.svag_ell, law)
        return sg.simulate(svag, problem, key=keys["svag"], progress="SVAG", **full).to_xarray()

    arms = {"SGD": folder.stage("sgd", run_sgd)}
    shared = folder.stage(
        "gaussian-sde",
        lambda: run_pair(gaussian, sde, keys["shared"], config.replicas, "Gaussian SGD and SDE"),
    )
    arms |= {"Gaussian SGD": shared.isel(arm=0), "SDE": shared.isel(arm=1)}
    if config.svag_ell and not m:
        arms["SVAG"] = folder.stage("svag", run_svag)
    check = folder.stage(
        "check", lambda: run_pair(sde, finer, keys["check"], config.check_replicas, "SDE, h against h/2")
    )
    dataset = xr.concat(arms.values(), xr.Variable("arm", list(arms)), combine_attrs="drop")
    summary = {
        "experiment": "sgd-vs-sde",
        "config": dataclasses.asdict(config),
        "law_of_the_sde": law,
        "cards": {when: json.loads(arms["SGD"].attrs[f"card_at_{when}"]) for when in ("start", "end")},
        "observables": judge(dataset, check, config),
        "laws_at_the_end": compare_laws(dataset, config),
        "diverged": {name: int(dataset["diverged"].sel(arm=name).sum()) for name in arms},
        "sizes": {
            "num_parameters": problem.num_parameters,
            "num_examples": problem.num_examples,
            "num_units": problem.num_units,
            "dtype": str(problem.dtype),
            "chunk_size": problem.chunk_size,
            "blocks": {
                "SGD": replica_blocks(sgd, problem, config.replicas),
                "Gaussian SGD and SDE": replica_blocks(sg.Coupled(gaussian, sde), problem, config.replicas),
            },
            "seed": config.seed,
        },
    }
    return dataset, summary


def judge(dataset: xr.Dataset, check: xr.Dataset, config: Config) -> dict:
    """For each observable: the verdict on SGD against the SDE, and the gap in its two parts.

    All gaps are in SGD's standard deviations at that time, with 95 % intervals at each time that count the
    uncertainty of the standard deviation too. Only replicas whose parameters left the finite numbers count as
    diverged; an observable that is NaN without that is "not finite".
    """
    arms = {arm: {name: dataset[name].sel(arm=arm).values for name in chosen(config)} for arm in dataset["arm"].values}
    ends = {arm: dataset["diverged"].sel(arm=arm).values.astype(bool) for arm in arms if "diverged" in dataset}

    def verdicts_on(first: str, second: str) -> dict[str, evidence.Verdict]:
        options: dict[str, Any] = dict(margin=config.margin, seed=config.seed)
        diverged = (ends[first], ends[second]) if ends else None
        return evidence.verdict(arms[first], arms[second], diverged=diverged, **options)

    verdicts, against_gaussian = verdicts_on("SGD", "SDE"), verdicts_on("SGD", "Gaussian SGD")
    against_svag = verdicts_on("SVAG", "SDE") if "SVAG" in arms else {}
    judged = {}
    for name in chosen(config):
        sgd, gaussian, sde = (arms[arm][name] for arm in ("SGD", "Gaussian SGD", "SDE"))
        h_against_half = evidence.paired_difference(*(check[name].isel(arm=k).values for k in (0, 1)))
        judged[name] = {
            "sentence": verdicts[name].sentence(),
            "kind": verdicts[name].kind,
            "reason": verdicts[name].reason,
            "not_finite": _not_finite(verdicts[name]),
            "different": bool(verdicts[name].different),
            "worst_time": int(verdicts[name].worst_time),
            "replicas_needed": verdicts[name].replicas_needed,
            "gaussian_kind": against_gaussian[name].kind,
            "svag_kind": against_svag[name].kind if against_svag else None,
            "total": _negative(evidence.equivalence_test(sgd, sde, alpha=0.025)),
            "non_gaussianity": _negative(evidence.equivalence_test(sgd, gaussian, alpha=0.025)),
            "discretisation": _coupled(evidence.paired_difference(gaussian, sde), sgd),
            "h_against_half": _coupled(h_against_half, sgd),
        }
    return judged


def _not_finite(verdict: evidence.Verdict) -> list[int] | None:
    """Replicas of SGD and of the SDE that hold NaN or infinity without having diverged; None if there are none."""
    return None if verdict.not_finite is None else list(verdict.not_finite.replicas)


def compare_laws(dataset: xr.Dataset, config: Config) -> dict:
    """Energy tests of the joint law of all observables at the last time, beyond their means.

    Observables are standardised; replicas that diverged, or whose observables aren't finite, are left out. None where
    no observable varies, so that nothing was tested.
    """

    def last(arm: str) -> np.ndarray:
        columns = [dataset[name].sel(arm=arm).isel(time=-1).values for name in chosen(config)]
        rows = np.stack(columns, axis=1).astype(float)
        return rows[np.isfinite(rows).all(axis=1)]

    found = {}
    for pair in (("SGD", "SDE"), ("SGD", "Gaussian SGD")):
        first, second = (last(arm) for arm in pair)
        if min(len(first), len(second)) > 1:
            test = evidence.energy_test(first, second, seed=config.seed, standardize=True)
            found[" against ".join(pair)] = _finite(float(test.p_value))
    return found


def _negative(test: evidence.Equivalence) -> dict:
    """SGD − other, from a test of other − SGD; the interval's level is 1 − 2·alpha = 95 %."""
    return _interval(-test.standardized, -test.high, -test.low)


def _coupled(difference: evidence.Estimate, sgd: np.ndarray) -> dict:
    """A difference of a coupled pair, which ran independently of SGD, in SGD's standard deviations."""
    return _interval(*evidence.in_reference_deviations(difference, sgd))


def _interval(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict:
    return {"mean": _plain(mean), "low": _plain(low), "high": _plain(high)}


def _finite(value: Any) -> Any:
    """A number, None where it isn't finite; the same for the values of a dictionary."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return value if math.isfinite(value) else None


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(x) if math.isfinite(x) else None for x in np.asarray(values, float)]


def plot(dataset: xr.Dataset, summary: dict) -> Figure:
    """See ``sgd_vs_sde_figure``."""
    return sgd_vs_sde_figure.draw(dataset, summary, chosen(Config(**summary["config"])))


def report(summary: dict, console: Console) -> None:
    """See ``sgd_vs_sde_report``."""
    sgd_vs_sde_report.show(summary, chosen(Config(**summary["config"])), console)


EXPERIMENT = run.Experiment("sgd-vs-sde", Config, compute, plot, report, implied)
