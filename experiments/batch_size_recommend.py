"""The short question: which batch size for this learning rate, or which learning rate for this batch size?"""

import dataclasses
import math
import os
import time
from typing import Any

import jax.random as jr
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from experiments import (
    batch_size,
    batch_size_cell,
    batch_size_config,
    batch_size_figure,
    batch_size_fits,
    batch_size_report,
    batch_size_summary,
    run,
)
from experiments.run import option
from sdesgd import optimal_batch
from sdesgd.dynamics.protocol import check_learning_rate, check_momentum
from sdesgd.errors import InputError
from sdesgd.inputs import check_positive_integer
from sdesgd.optimal_batch.budget import FEWEST_STEPS, MOST_STEPS, PILOT_SIZES, seconds_needed, steps_that_fit
from sdesgd.plot import optimal_batch as plots

SEEDS = 5


@dataclasses.dataclass(frozen=True)
class Config:
    """The batch size that suits a learning rate, or the learning rate that suits a batch size, in minutes."""

    model: str = option("mlp", "mlp | logistic.")
    data: str = option("mnist5k", "Data set; `python -m experiments data` lists them.")
    data_dir: str = option("", "Folder of the data set's files; empty: where the system keeps them.")
    learning_rate: float = option(0.0, "η, to be given a batch size.")
    batch_size: int = option(0, "Or B, to be given a learning rate.")
    minutes: float = option(4.0, "Time to spend.")
    num_examples: int = option(4000, "Training examples N.")
    num_test: int = option(1000, "Test examples.")
    momentum: float = option(0.9, "m.")
    width: int = option(200, "ReLU units of a hidden layer.")
    depth: int = option(1, "Hidden layers of the mlp.")
    pooling: int = option(0, "Images are averaged over blocks of so many pixels each way; 0: 2, or 1 for no image.")
    batch_sizes: str = option("1,2,4,8,16,32,64,128,256", "B that are tried.")
    learning_rates: str = option("0.01,0.03,0.1,0.3", "η that are tried for a given B.")
    workers: int = option(2, "Processes of the sweep; 0: this one.")
    seed: int = option(0, "Seed of the data chosen, the nets and the batches.")

    def label(self) -> str:
        """A readable name of the run."""
        given = f"b{self.batch_size}" if self.batch_size else f"eta{self.learning_rate:g}"
        return f"{self.model}-{self.data}-n{self.num_examples}-{given}-{self.minutes:g}min"


def check(config: Config) -> None:
    """Raises InputError unless exactly one of η and B is given, and for values out of range."""
    if bool(config.learning_rate) == bool(config.batch_size):
        raise InputError("give one of --learning-rate and --batch-size: the other is what is recommended")
    if config.batch_size:
        check_positive_integer("batch_size", config.batch_size)
    else:
        check_learning_rate(config.learning_rate)
    check_momentum(config.momentum)
    if not (math.isfinite(config.minutes) and config.minutes > 0):
        raise InputError(f"minutes is {config.minutes:g}: pass the time to spend, say 4")
    batch_size_config.check(sweep_config(config, FEWEST_STEPS))


def sweep_config(config: Config, steps: int) -> batch_size_config.Config:
    """The sweep: the series of the given η, or those of several."""
    rates = batch_size_config.numbers("learning_rates", config.learning_rates)
    same = ("model", "data", "data_dir", "num_examples", "num_test", "momentum", "width", "depth", "pooling", "seed")
    return batch_size_config.Config(
        **{name: getattr(config, name) for name in same},
        families="rate",
        learning_rates=f"{config.learning_rate!r}" if config.learning_rate else config.learning_rates,
        learning_rate=config.learning_rate or rates[len(rates) // 2],
        batch_sizes=config.batch_sizes,
        seeds=SEEDS,
        budget_size=steps,
        noise_points=0,
        workers=config.workers,
    )


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


def compute(config: Config, folder: run.RunFolder) -> tuple[xr.Dataset, dict]:
    """The plan, the sweep, the fit."""
    check(config)
    chosen = folder.stage("plan", lambda: plan(config))
    steps, points = int(chosen.attrs["steps"]), int(chosen.attrs["points"])
    made = sweep_config(config, steps)
    run.errors.print(
        f"plan for {config.minutes:g} min: {points} points (η, B) of {SEEDS} runs, {steps:,} steps each; then the fit",
        highlight=False,
    )
    table = batch_size.swept(made, folder.path, batch_size_config.cells(made))
    table, accuracies = batch_size.judged(table, config.num_test)
    posteriors = batch_size_fits.infer(accuracies, jr.fold_in(jr.key(config.seed), 2**31))
    summary = batch_size_summary.summarise(made, table, accuracies, None, posteriors)
    summary |= {"experiment": "batch-size-recommend", "asked": dataclasses.asdict(config), "steps": steps}
    return table, summary | {"recommended": recommended(config, posteriors["power"])}


def recommended(config: Config, posterior: optimal_batch.Posterior) -> dict[str, Any]:
    """Median and 90 % interval of B for the η that was run, or of η for the given B, by the power law.

    Returns:
        median, low, high: None where an end isn't finite. beyond: in what this lies outside of what was tried; or "".
    """
    level = batch_size_fits.LEVEL
    if config.learning_rate:
        peak = posterior.peak((config.learning_rate, config.num_examples, config.momentum), level)
        tried = {"low": "smaller", "high": "larger", "both": "smaller or larger"}
        beyond = f"B_opt may well be {tried[peak.censored]} than any B that trained" if peak.censored else ""
        ends = {name: getattr(peak, name) for name in ("median", "low", "high")}
        return {name: min(max(end, 1.0), float(config.num_examples)) for name, end in ends.items()} | {"beyond": beyond}
    try:
        found = posterior.recommend_rate(config.batch_size, config.num_examples, config.momentum, level)
    except InputError as error:
        return {"median": None, "low": None, "high": None, "beyond": str(error)}
    ends = {name: batch_size_summary.finite(getattr(found, name)) for name in ("median", "low", "high")}
    return ends | {"beyond": found.extrapolation}


def plot(dataset: xr.Dataset, summary: dict) -> Figure:
    """Accuracy against B; for a given B also B_opt against η."""
    del dataset
    asked = summary["asked"]
    figure = Figure(figsize=(8.5 if asked["learning_rate"] else 14, 5.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 if asked["learning_rate"] else 2))
    batch_size_figure.draw_curves(axes[0], summary, "rate")
    if asked["learning_rate"]:
        _mark(axes[0], summary["recommended"])
        axes[0].set_title(
            f"η = {asked['learning_rate']:g}, N = {asked['num_examples']}, m = {asked['momentum']:g}", loc="left"
        )
    else:
        batch_size_figure.draw_peaks(axes[1], summary, "rate")
        axes[1].axhline(asked["batch_size"], color="black", lw=1)
        _mark(axes[1], summary["recommended"])
    figure.suptitle(answer(summary), fontsize=10.5)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _mark(axis, found: dict) -> None:
    """The recommended value and its interval."""
    if found["median"] is not None:
        low, high = (math.inf if found[side] is None else found[side] for side in ("low", "high"))
        plots.mark(axis, found["median"], low if math.isfinite(low) else 0.0, high)


def answer(summary: dict) -> str:
    """The recommendation in a sentence or two."""
    asked, found = summary["asked"], summary["recommended"]
    low, high = ("∞" if found[side] is None else f"{found[side]:.3g}" for side in ("low", "high"))
    interval = "no answer" if found["median"] is None else f"{found['median']:.3g} (90 % interval {low} to {high})"
    place = f"N = {asked['num_examples']}, m = {asked['momentum']:g} and {summary['steps']:,} steps"
    if asked["learning_rate"]:
        text = f"At η = {asked['learning_rate']:g}, {place}: batch size {interval}."
    else:
        text = f"For B = {asked['batch_size']}, {place}: learning rate {interval}."
    text += "\nFor runs of another length the best may be another."
    beware = [found["beyond"]] if found["beyond"] else []
    if summary["fit"]["trouble"]:
        beware.append(f"don't rely on the interval, {summary['fit']['trouble']}")
    return "\nBeware: ".join([text, *(f"{reason}." for reason in beware)])


def report(summary: dict, console: Console) -> None:
    """The sentence, then the accuracies behind it."""
    console.print(f"\n[bold]{answer(summary)}[/bold]\n", highlight=False)
    batch_size_report.show_series(summary, console)
    for line in [*batch_size_report.sentences(summary), *batch_size_report.warnings(summary)]:
        console.print(line, highlight=False)


EXPERIMENT = run.Experiment("batch-size-recommend", Config, compute, plot, report)
