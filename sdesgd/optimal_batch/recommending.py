"""The short question on one's own problem: which batch size for this learning rate, or which rate for this size?"""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sdesgd.dynamics.protocol import check_learning_rate, check_momentum
from sdesgd.errors import InputError
from sdesgd.inputs import as_key, check_number, check_positive_integer
from sdesgd.optimal_batch import training
from sdesgd.optimal_batch.budget import FEWEST_STEPS, MOST_STEPS, PILOT_SIZES, seconds_needed, steps_that_fit
from sdesgd.optimal_batch.cells import Cells
from sdesgd.optimal_batch.fitting import fit
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.prediction import Recommendation
from sdesgd.optimal_batch.report import short
from sdesgd.optimal_batch.table import AccuracyTable
from sdesgd.problem import Problem
from sdesgd.results import NotEstablished, Result
from sdesgd.types import PathLike, PRNGKeyArray, RealScalarLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_PILOT_STEPS = 64
_UNKNOWN = {"low": "smaller", "high": "larger", "both": "smaller or larger"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Advice(Result):
    """The batch size for a learning rate, or the learning rate for a batch size.

    Attributes:
        learning_rate: that was given; None if it is what was asked for.
        batch_size: likewise.
        num_examples: N.
        momentum: m.
        num_steps: of each run; for runs of another length the best may be another.
        answer: median and interval of what was asked for, or why there is none.
        posterior: of the power law, with the table of the runs.
    """

    parts: ClassVar[tuple[type, ...]] = (Recommendation, Posterior, AccuracyTable, Cells)
    learning_rate: float | None
    batch_size: int | None
    num_examples: int
    momentum: float
    num_steps: int
    answer: Recommendation | NotEstablished
    posterior: Posterior

    def __str__(self) -> str:
        place = f"N = {self.num_examples}, m = {self.momentum:g} and {self.num_steps:,} steps"
        if self.batch_size is None:
            text = f"At η = {self.learning_rate:g}, {place}: batch size "
        else:
            text = f"For B = {self.batch_size}, {place}: learning rate "
        if isinstance(self.answer, NotEstablished):
            return f"{text}{self.answer}"
        found = self.answer
        shown = short if self.batch_size is None else lambda value: f"{value:.2g}"
        text += f"{shown(found.median)} ({found.level:.0%} interval {shown(found.low)} to {shown(found.high)})."
        beware = f"\nBeware: {found.extrapolation}." if found.extrapolation else ""
        return f"{text}\nFor runs of another length the best may be another.{beware}"

    def plot(self) -> "Figure":
        """Accuracy against B with the interval of the best B; for a given B, also B_opt against η."""
        from sdesgd.plot.optimal_batch import advice_figure

        return advice_figure(self)

    def to_xarray(self) -> "xr.Dataset":
        """The posterior's dataset, with the answer among its attributes."""
        names = ("learning_rate", "batch_size", "num_examples", "momentum", "num_steps")
        asked = {name: value for name in names if (value := getattr(self, name)) is not None}
        if isinstance(self.answer, NotEstablished):
            found: dict[str, Any] = {"not_established": self.answer.reason}
        else:
            found = dataclasses.asdict(self.answer)
        return self.posterior.to_xarray().assign_attrs(asked | found)


def recommend(
    make_problem: Callable[[int, int], Problem],
    accuracy: Callable[[Any], Any],
    *,
    num_examples: int,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    momentum: RealScalarLike = 0.0,
    batch_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256),
    learning_rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
    num_steps: int | None = None,
    minutes: RealScalarLike = 4.0,
    seeds: int = 5,
    loss_of_guessing: RealScalarLike | None = None,
    num_test: int | None = None,
    folder: PathLike | None = None,
    workers: int = 0,
    level: RealScalarLike = 0.9,
    key: PRNGKeyArray,
    samples: int = 1000,
    warmup: int = 500,
    chains: int = 4,
) -> Advice:
    """Trains over a grid of batch sizes (and, for a given B, of learning rates), fits the power law, and answers.

    Args:
        make_problem: (N, seed) → Problem, as of ``sweep``.
        accuracy: params → test accuracy, as of ``sweep``.
        num_examples: N.
        learning_rate: η, to be given a batch size.
        batch_size: or B, to be given a learning rate.
        momentum: m.
        batch_sizes: that are tried; those above N are left out.
        learning_rates: that are tried for a given B.
        num_steps: of each run; None: as many as fit into ``minutes``, from 500 to 20,000.
        minutes: for all, the fit included; not kept to where ``num_steps`` is given. How many steps fit is timed
            anew at each call: pass ``num_steps`` with ``folder`` where a run is to go on after an interruption.
        seeds: runs at each point.
        loss_of_guessing: as of ``sweep``.
        num_test: as of ``sweep``.
        folder: as of ``sweep``.
        workers: as of ``sweep``.
        level: of the interval.
        key: of ``jax.random.key``, for the fit.
        samples: as of ``fit``.
        warmup: as of ``fit``.
        chains: as of ``fit``.

    Raises:
        InputError: not exactly one of learning_rate and batch_size; too few minutes; see ``sweep`` and ``fit``.
    """
    if (learning_rate is None) == (batch_size is None):
        raise InputError("give one of learning_rate and batch_size: the other is what is recommended")
    if batch_size is not None:
        check_positive_integer("batch_size", batch_size)
    else:
        check_learning_rate(learning_rate)
    check_momentum(momentum)
    check_positive_integer("num_examples", num_examples)
    check_number("minutes", minutes, "the time to spend, such as 4", lambda x: x > 0)
    key = as_key(key)
    grid = {
        "learning_rate": learning_rates if learning_rate is None else learning_rate, "num_examples": num_examples,
        "momentum": momentum, "batch_size": batch_sizes,
    }  # fmt: skip
    points = training.grid_points(grid)
    if len({point["batch_size"] for point in points}) < 3:
        raise InputError(f"fewer than 3 of the batch sizes are at most N = {num_examples}: pass more")
    if num_steps is None:
        processes = max(1, min(workers, os.cpu_count() or 1))
        num_steps = planned_steps(make_problem, points, seeds, 60 * float(minutes), processes)
    check_positive_integer("num_steps", num_steps)
    table = training.sweep(
        make_problem, accuracy, grid, num_steps=num_steps, seeds=seeds, loss_of_guessing=loss_of_guessing,
        num_test=num_test, folder=folder, workers=workers,
    )  # fmt: skip
    posterior = fit(table, key=key, samples=samples, warmup=warmup, chains=chains)
    found = answer_of(posterior, learning_rate, batch_size, num_examples, momentum, level)
    rate = None if learning_rate is None else float(learning_rate)
    return Advice(rate, batch_size, num_examples, float(momentum), num_steps, found, posterior)


def answer_of(
    posterior: Posterior,
    learning_rate: RealScalarLike | None,
    batch_size: int | None,
    num_examples: int,
    momentum: RealScalarLike,
    level: RealScalarLike = 0.9,
) -> Recommendation | NotEstablished:
    """B for the η that was run, or η for a B; or why a posterior doesn't say.

    Args:
        posterior: of ``fit``.
        learning_rate: η of a series of its table, or None.
        batch_size: B, or None.
        num_examples: N.
        momentum: m.
        level: of the interval.
    """
    if trouble := posterior.trouble():
        reason, _, remedy = trouble.rpartition(": ")
        return NotEstablished(reason, remedy)
    if batch_size is not None:
        if "learning_rate" not in posterior.varied:
            return NotEstablished("only one learning rate trained", "other learning_rates")
        try:
            return posterior.recommend_rate(batch_size, num_examples, momentum, level)
        except InputError as error:
            return NotEstablished(str(error).partition(":")[0], "other learning_rates, or a batch size inside the grid")
    place = (float(learning_rate or 0.0), num_examples, float(momentum))
    if place not in [(s.learning_rate, s.num_examples, s.momentum) for s in posterior.table.series]:
        return NotEstablished(f"no batch size trained at η = {place[0]:g}", "a smaller learning_rate")
    peak = posterior.peak(place, level)
    if peak.censored:
        side = _UNKNOWN[peak.censored]
        bound = {"low": f", at most {short(peak.high)}", "high": f", at least {short(peak.low)}"}.get(peak.censored, "")
        return NotEstablished(
            f"no peak inside the grid, B_opt may be {side} than any batch size that trained{bound}",
            f"{side} batch_sizes",
        )
    middle, low, high = (min(max(end, 1.0), float(num_examples)) for end in (peak.median, peak.low, peak.high))
    return Recommendation(middle, low, high, float(level), "")


def planned_steps(
    make_problem: Callable[[int, int], Problem],
    points: list[dict[str, Any]],
    seeds: int,
    time_limit: float,
    processes: int,
) -> int:
    """Times a few steps at two batch sizes, and says how many fit.

    Args:
        make_problem: as of ``recommend``.
        points: of the grid.
        seeds: runs at each point.
        time_limit: in seconds.
        processes: at work.

    Raises:
        InputError: fewer than 500 fit.
    """
    problems = [make_problem(points[0]["num_examples"], seed) for seed in range(seeds)]
    seconds = []
    for size in PILOT_SIZES:
        config = points[0] | {"batch_size": size, "num_steps": _PILOT_STEPS}
        training.trained(problems, config, tuple(range(seeds)))  # compiles
        started = time.perf_counter()
        training.trained(problems, config, tuple(range(seeds)))
        seconds.append((time.perf_counter() - started) / _PILOT_STEPS)
    sizes = [point["batch_size"] for point in points]
    steps = steps_that_fit(time_limit, seconds, sizes, processes)
    if steps < FEWEST_STEPS:
        need = math.ceil(seconds_needed(FEWEST_STEPS, seconds, sizes, processes) / 6) / 10
        raise InputError(
            f"minutes is {time_limit / 60:g}: {FEWEST_STEPS} steps at {len(sizes)} points take about {need:.1f}; pass "
            "more, fewer or smaller batch_sizes, or num_steps"
        )
    return min(steps, MOST_STEPS)
