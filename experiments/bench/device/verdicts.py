"""F2 and C1 at full size against their SDEs, for as many steps as the time allows, with verdicts."""

import time
from collections.abc import Mapping
from typing import Any

import jax.random as jr
import numpy as np

import sdesgd as sg
from experiments.bench.device.parts import Clock, OutOfTime, at_most, at_precision, peak_bytes
from experiments.bench.device.speed import LEARNING_RATE
from sdesgd import evidence

MARGIN = 0.5
LABELS = {
    "train_loss": "train loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "distance_squared": "‖θ−θ₀‖²",
}
_MOST_STEPS, _LEAST_STEPS, _FEWEST = 40, 5, 16


def plan(seconds: float, pair_seconds: float | None, replicas: int, toy: bool) -> tuple[int, int, int]:
    """(replicas, steps, steps between saves) that fit.

    Fewer replicas only where not even a handful of steps would fit: 73 an arm give a power of 0.8 at the margin.

    Args:
        seconds: that there are, compilation included.
        pair_seconds: of one step of one coupled pair; None: unknown.
        replicas: wanted.
        toy: a test's two steps.
    """
    if toy:
        return replicas, 2, 1
    # A third is left for compiling and for a time that was guessed too low.
    fitting = int(0.66 * seconds / (pair_seconds or 0.5))  # replica-steps
    if fitting < replicas * _LEAST_STEPS:
        replicas = max(min(_FEWEST, replicas), fitting // _LEAST_STEPS)
    steps = int(np.clip(fitting // replicas, _LEAST_STEPS, _MOST_STEPS))
    every = max(1, steps // 8)
    return replicas, steps - steps % every, every


def compare(
    problem: sg.Problem,
    observables: Any,
    *,
    seconds: float,
    pair_seconds: float | None,
    replicas: int,
    precision: str,
    clock: Clock,
    result: dict[str, Any],
) -> None:
    """Fills ``result`` with the verdict on each observable, and the gap between SGD and SDE in its coupled part.

    Args:
        problem, observables: of the net.
        seconds: that this may take; the run of the pair is then cut off, and what was saved by then is judged.
        pair_seconds: of one step of one coupled pair, measured; None: unknown.
        replicas: independent runs an arm.
        precision: of float32 matrix products.
        clock: for the progress.
        result: is filled as things are known.
    """
    end = clock.elapsed() + seconds
    replicas, num_steps, every = plan(seconds, pair_seconds, replicas, clock.toy)
    S = problem.unit_size
    sizes = {"num_parameters": problem.num_parameters, "num_examples": problem.num_examples, "batch_size": S}
    settings = {"replicas": replicas, "steps_planned": num_steps, "save_every": every, "precision": precision}
    result.update(sizes | settings | {"learning_rate": LEARNING_RATE, "margin": MARGIN})
    clock.say(f"{replicas} replicas for {num_steps} steps planned, in {seconds:.0f} s")
    common: dict[str, Any] = {
        "num_steps": num_steps,
        "save_every": every,
        "replicas": replicas,
        "observables": observables,
    }
    sgd, gaussian, sde = sg.SGD(LEARNING_RATE, S), sg.GaussianSGD(LEARNING_RATE, S), sg.SDE(LEARNING_RATE, S)
    with at_precision(precision):
        start = time.perf_counter()
        with at_most(0.4 * seconds):
            reference = sg.simulate(sgd, problem, key=jr.key(20), **common)
        result["sgd_seconds"] = time.perf_counter() - start
        clock.say(f"SGD: {result['sgd_seconds']:.1f} s with compilation")
        start = time.perf_counter()
        with at_most(end - clock.elapsed()):
            pair = sg.simulate_coupled(gaussian, sde, problem, key=jr.key(21), **common)
        result["pair_seconds"] = time.perf_counter() - start
    saves = min(len(reference.time), len(pair[0].time))
    cut = reference.interrupted or pair[0].interrupted
    result.update(cut_off=cut, steps=int(pair[0].step[saves - 1]), peak_bytes=peak_bytes())
    clock.say(
        f"Gaussian SGD and SDE: {result['steps']} steps in {result['pair_seconds']:.1f} s with compilation"
        + (", cut off at the time limit" if cut else "")
    )
    if saves < 2:
        raise OutOfTime("no step of all replicas was finished in the time there was: nothing to judge")
    arms = dict(zip(("SGD", "Gaussian SGD", "SDE"), (reference, *pair), strict=True))
    result["step"] = [int(n) for n in reference.step[:saves]]
    result["diverged"] = {name: int(arm.diverged.sum()) for name, arm in arms.items()}
    result["observables"] = judged(
        {name: {k: v[:, :saves] for k, v in arm.values.items()} for name, arm in arms.items()},
        {name: arm.diverged for name, arm in arms.items()},
    )
    for name, found in result["observables"].items():
        clock.say(f"{LABELS[name]}: {found['sentence']}")


def judged(values: Mapping[str, Mapping[str, np.ndarray]], diverged: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The verdict on each observable, and the gap in SGD's standard deviations with 95 % intervals.

    Args:
        values: arm → observable → (replicas, times).
        diverged: arm → (replicas,).
    """
    ends = diverged["SGD"], diverged["SDE"]
    verdicts = evidence.verdict(values["SGD"], values["SDE"], margin=MARGIN, diverged=ends)
    found = {}
    for name, verdict in verdicts.items():
        sgd, gaussian, sde = (values[arm][name] for arm in ("SGD", "Gaussian SGD", "SDE"))
        total = evidence.equivalence_test(sgd, sde, alpha=0.025)  # SDE − SGD
        coupled = evidence.in_reference_deviations(evidence.paired_difference(gaussian, sde), sgd)
        found[name] = {
            "kind": verdict.kind,
            "reason": verdict.reason,
            "sentence": verdict.sentence(),
            "worst_time": int(verdict.worst_time),
            "replicas_needed": verdict.replicas_needed,
            "sgd_mean": _plain(evidence.mean(sgd).mean),
            "sgd_minus_sde": _curves(-total.standardized, -total.high, -total.low),
            "gaussian_minus_sde": _curves(*coupled),
        }
    return found


def _curves(mean: Any, low: Any, high: Any) -> dict[str, list[float | None]]:
    return {"mean": _plain(mean), "low": _plain(low), "high": _plain(high)}


def _plain(values: Any) -> list[float | None]:
    """Numbers for JSON, which has no NaN and no infinity."""
    return [float(x) if np.isfinite(x) else None for x in np.asarray(values, float)]
