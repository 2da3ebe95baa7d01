"""The short question: which batch size for this learning rate, or which learning rate for this batch size?"""

import math
import os
import time
from typing import Any

import jax.random as jr
import xarray as xr

from experiments._shared.run_folder import RunFolder
from experiments._shared.terminal import errors
from experiments.batch_size import cell as batch_size_cell
from experiments.batch_size import compute as batch_size
from experiments.batch_size import config as batch_size_config
from experiments.batch_size.fits import LEVEL
from experiments.batch_size_recommend.config import SEEDS, Config, check, sweep_config
from experiments.batch_size_recommend.result import Recommended, Result
from sdesgd import optimal_batch
from sdesgd.errors import InputError
from sdesgd.optimal_batch.budget import FEWEST_STEPS, MOST_STEPS, PILOT_SIZES, seconds_needed, steps_that_fit

# -- the plan ----------------------------------------------------------------------------------------------


def plan(config: Config) -> xr.Dataset:
    """Times a chunk of steps at two batch sizes, and chooses as many steps as fit; kept, so that a resumed run goes on.

    Raises:
        InputError: fewer than FEWEST_STEPS fit.
    """
    shared = batch_size_config.cells(sweep_config(config, FEWEST_STEPS))
    seconds = [pilot(dict(shared[0].config) | {"batch_size": size}) for size in PILOT_SIZES]
    sizes = [int(cell.config["batch_size"]) for cell in shared]
    steps = steps_that_fit(60 * config.minutes, seconds, sizes, hands(config))
    if steps < FEWEST_STEPS:
        need = seconds_needed(FEWEST_STEPS, seconds, sizes, hands(config)) / 60
        raise InputError(
            f"minutes is {config.minutes:g}: {FEWEST_STEPS} steps of {len(sizes)} points take about {need:.1f}; pass "
            "more, or fewer or smaller --batch-sizes"
        )
    return xr.Dataset(attrs={"steps": min(steps, MOST_STEPS), "seconds_a_step": seconds, "points": len(sizes)})


def hands(config: Config) -> int:
    """Processes that compute at once."""
    return max(1, min(config.workers, os.cpu_count() or 1))


def pilot(config: dict[str, Any]) -> float:
    """Seconds of one step of all seeds at this batch size, compilation left out."""
    seeds = tuple(range(SEEDS))
    batch_size_cell.cell(config | {"budget_size": 1}, seeds)
    started = time.perf_counter()
    batch_size_cell.cell(config | {"budget_size": FEWEST_STEPS}, seeds)
    return (time.perf_counter() - started) / FEWEST_STEPS


# -- the answer --------------------------------------------------------------------------------------------


def compute(config: Config, folder: RunFolder) -> Result:
    """The plan, the sweep, the fit."""
    check(config)
    chosen = folder.stage("plan", plan, config)
    steps, points = int(chosen.attrs["steps"]), int(chosen.attrs["points"])
    made = sweep_config(config, steps)
    errors.print(
        f"plan for {config.minutes:g} min: {points} points (η, B) of {SEEDS} runs, {steps:,} steps each; then the fit",
        highlight=False,
    )
    table = batch_size.swept(made, folder.path, batch_size_config.cells(made))
    table, accuracies = batch_size.judged(table, config.num_test)
    inferred = batch_size.inference(made, table, accuracies, jr.fold_in(jr.key(config.seed), 2**31))
    found = recommended(config, inferred["posteriors"]["power"])
    more = {"noise": None, "comparison": None, "steps": steps, "recommended": found}
    return Result(config=config, **inferred, **more)


def recommended(config: Config, posterior: optimal_batch.Posterior) -> Recommended:
    """Median and 90 % interval of B for the η that was run, or of η for the given B, by the power law."""
    if config.learning_rate:
        peak = posterior.peak((config.learning_rate, config.num_examples, config.momentum), LEVEL)
        tried = {"low": "smaller", "high": "larger", "both": "smaller or larger"}
        beyond = f"B_opt may well be {tried[peak.censored]} than any B that trained" if peak.censored else ""
        median, low, high = (
            min(max(end, 1.0), float(config.num_examples)) for end in (peak.median, peak.low, peak.high)
        )
        return Recommended(median, low, high, beyond)
    try:
        found = posterior.recommend_rate(config.batch_size, config.num_examples, config.momentum, LEVEL)
    except InputError as error:
        return Recommended(math.nan, math.nan, math.nan, str(error))
    return Recommended(found.median, found.low, found.high, found.extrapolation)
