"""A table of one's own problem: SGD at every (η, N, m, B) of a grid, a replica for each seed, kept in a folder."""

import json
import pkgutil
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd
from sdesgd import freshness, programs
from sdesgd import sweep as sweeps
from sdesgd.dynamics import SGD
from sdesgd.errors import InputError, one_line, shown
from sdesgd.inputs import check_number, check_positive_integer
from sdesgd.observables import Loss
from sdesgd.optimal_batch import given
from sdesgd.optimal_batch.factors import FACTORS
from sdesgd.optimal_batch.policy import no_better_than_guessing, rows_of, trained_series
from sdesgd.optimal_batch.table import ACCEPTED, AccuracyTable
from sdesgd.problem import Problem
from sdesgd.types import PathLike, RealScalarLike

_AXES = (*(factor.option for factor in FACTORS), "batch_size")
# What a run of SGD may depend on: all of the package but the inference, which looks at the table afterwards.
_CODE = (
    *(f"sdesgd.{found.name}" for found in pkgutil.iter_modules(sdesgd.__path__) if found.name != "optimal_batch"),
    "sdesgd.optimal_batch.policy",
)


def sweep(
    make_problem: Callable[[int, int], Problem],
    accuracy: Callable[[Any], Any],
    grid: Mapping[str, Any],
    *,
    num_steps: int | Callable[[int, int], int],
    seeds: int | Iterable[int] = 5,
    loss_of_guessing: RealScalarLike | None = None,
    num_test: int | None = None,
    folder: PathLike | None = None,
    workers: int = 0,
    progress: str = "",
) -> AccuracyTable:
    """Trains with SGD at every point of a grid, and keeps the test accuracies.

    A run that leaves the finite numbers counts as diverged; so does one that ends with at least the train loss of a
    guess, where that is given. A series that trained at no batch size is left out, with a warning.

    Args:
        make_problem: (N, seed) → the problem of N training examples with params to start from; called once for each. A
            smaller N should take the first examples of a larger one. Seeds that share their data are trained at once.
        accuracy: params → test accuracy in [0, 1], or a mapping with "test" and perhaps "train".
        grid: learning_rate, batch_size, num_examples and, unless it is 0, momentum: a number or a list each. Every
            combination with B ≤ N is run.
        num_steps: of SGD with replacement, or a function of (N, B), such as ``lambda N, B: 30 * N // B`` for 30 epochs.
        seeds: how many runs at each point, or which; two at least, without repeats there is no error bar.
        loss_of_guessing: ``guessing_loss(K)`` for K classes.
        num_test: size of the test set; None: unknown, see ``AccuracyTable``.
        folder: where runs are kept one point at a time; the same call goes on after an interruption, and a larger grid
            computes what isn't there. None: nothing is kept.
        workers: processes; both functions then have to be at the top of a module that can be imported.
        progress: label of a progress bar; empty: none.

    Raises:
        InputError: a grid out of range; a function that fails at every point; nothing that trained.

    Warns:
        RuntimeWarning: series that trained at no batch size; points that failed.
    """
    points, chosen = grid_points(grid), _seeds(seeds)
    if loss_of_guessing is not None:
        check_number("loss_of_guessing", loss_of_guessing, "a loss in nats, such as guessing_loss(10)", lambda x: x > 0)
    names = {"make_problem": given.name_of(make_problem), "measured": given.name_of(accuracy)}
    for name, label in zip(("make_problem", "accuracy"), names.values(), strict=True):
        if workers and not given.is_importable(label):
            raise InputError(
                f"workers is {workers}, but other processes can't import {name}: define it at the top of a module, or "
                "pass workers=0"
            )
    made = {N: _digest(make_problem, accuracy, N, chosen) for N in sorted({p["num_examples"] for p in points})}
    cells = []
    for point in points:
        steps = num_steps(point["num_examples"], point["batch_size"]) if callable(num_steps) else num_steps
        check_positive_integer("num_steps", steps)
        more = {"num_steps": int(steps), "loss_of_guessing": loss_of_guessing, "problem": made[point["num_examples"]]}
        cells.append(sweeps.Cell(point | more | names, chosen))
    plan = sweeps.Sweep(
        f"{__name__}:cell", cells, code=_CODE, shape_key=lambda cell: (cell["num_examples"], cell["batch_size"])
    )
    with tempfile.TemporaryDirectory() as scratch:
        done = sweeps.run(plan, scratch if folder is None else folder, workers, retry_failed=True, progress=progress)
    if len(done.failures) == len(cells):
        raise InputError(f"every point of the grid failed, the first: {one_line(str(done.failures[0]), 200)}")
    table = done.table.assign(diverged=done.table["diverged"] | done.table["failed"])
    columns = {name: table[name].values for name in (*_AXES, "seed", "accuracy", "diverged")}
    runs = AccuracyTable(**columns, num_test=num_test)
    rows, lost = trained_series(runs)
    if lost:
        warnings.warn(
            f"{len(lost)} series are left out, most runs broke down at every batch size: {lost[0].name} and "
            f"{len(lost) - 1} more",
            RuntimeWarning,
            stacklevel=2,
        )
    return rows_of(runs, rows)


def grid_points(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the axes with B ≤ N, the large batches first: they take longest.

    Args:
        grid: as of ``sweep``.

    Raises:
        InputError: an unknown or missing axis, values out of range, a value twice, no point.
    """
    if not isinstance(grid, Mapping):
        raise InputError(f"grid is a {type(grid).__name__}: pass a dict of {', '.join(_AXES)}")
    odd = [name for name in grid if name not in _AXES]
    missing = [name for name in _AXES if name not in grid and name != "momentum"]
    if odd or missing:
        what = f"grid has {shown(odd[0])}" if odd else f"grid lacks {missing[0]}"
        raise InputError(f"{what}: pass a dict of {', '.join(_AXES)}")
    axes = {}
    for name in _AXES:
        values = np.atleast_1d(np.asarray(grid.get(name, 0.0)))
        accepts, what = ACCEPTED[name]
        whole = name in ("num_examples", "batch_size")
        what = f"a whole number {what}" if whole else f"a number {what}"
        if values.dtype.kind not in "iuf" or values.ndim != 1 or not len(values):
            raise InputError(f"grid['{name}'] is {shown(grid[name])}: pass {what}, or a list of them")
        bad = ~accepts(values) | ~np.isfinite(values) | (whole & (np.rint(values) != values))
        if bad.any() or len(np.unique(values)) < len(values):
            reason = f"holds {values[bad][0]:g}" if bad.any() else "holds a value twice"
            raise InputError(f"grid['{name}'] {reason}: pass {what}, or a list of them, each once")
        axes[name] = [int(value) if whole else float(value) for value in values]
    cells = sweeps.grid(axes, 1)
    points = [dict(cell.config) for cell in cells if cell.config["batch_size"] <= cell.config["num_examples"]]
    if not points:
        raise InputError(f"every batch size is above every N, {max(axes['num_examples'])}: pass smaller ones")
    return sorted(points, key=lambda point: -point["batch_size"])


def cell(config: Mapping[str, Any], seeds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Trains a replica for each seed at one (η, N, m, B).

    Args:
        config: of a cell of ``sweep``.
        seeds: one run each.

    Returns:
        accuracy, train_accuracy (NaN where it isn't told), train_loss; steps; diverged; failed: finite, but no better
        than a guess.
    """
    make_problem, accuracy = (given.function_of(config[name]) for name in ("make_problem", "measured"))
    problems = [_problem(make_problem, config["num_examples"], seed) for seed in seeds]
    params, losses, diverged = trained(problems, config, seeds)
    scores = [
        _scores(accuracy, one) if not bad else (np.nan, np.nan) for one, bad in zip(params, diverged, strict=True)
    ]
    test, train = np.array(scores, float).T
    diverged = diverged | ~np.isfinite(losses) | ~np.isfinite(test)
    guess = config["loss_of_guessing"]
    failed = ~diverged & (no_better_than_guessing(losses, guess) if guess is not None else False)
    return {
        "accuracy": np.where(diverged, np.nan, test), "train_accuracy": train, "train_loss": losses,
        "diverged": diverged, "failed": failed, "steps": np.full(len(seeds), config["num_steps"]),
    }  # fmt: skip


def trained(
    problems: list[Problem], config: Mapping[str, Any], seeds: tuple[int, ...]
) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """(params, train loss and divergence of each run): one simulation where the problems differ in their start alone.

    Args:
        problems: one for each seed.
        config: learning_rate, momentum, batch_size, num_steps.
        seeds: of the draws of batches.
    """
    from sdesgd.simulation import simulate

    dynamics = SGD(config["learning_rate"], config["batch_size"], momentum=config["momentum"])
    place = json.dumps(sorted((name, config[name]) for name in (*_AXES, "num_steps")))
    key = jr.fold_in(jr.key(0), zlib.crc32(place.encode()))

    def run(problem: Problem, key: Any, starts: list[Any]) -> Any:
        arrays = [eqx.partition(start, eqx.is_array) for start in starts]
        stacked = eqx.combine(jax.tree.map(lambda *x: jnp.stack(x), *[a for a, _ in arrays]), arrays[0][1])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*replicas diverged", category=RuntimeWarning)
            return simulate(
                dynamics, problem, num_steps=config["num_steps"], replicas=len(starts), key=key, starts=stacked,
                observables={"loss": Loss(problem, jr.key(0) if problem.needs_key else None)},
                save_every=config["num_steps"],
            )  # fmt: skip

    if len({_law(problem) for problem in problems}) == 1:
        runs = [run(problems[0], jr.fold_in(key, seeds[0]), [problem.params for problem in problems])]
    else:
        runs = [run(problem, jr.fold_in(key, s), [problem.params]) for problem, s in zip(problems, seeds, strict=True)]
    if any(one.interrupted for one in runs):
        raise KeyboardInterrupt
    params = []
    for one in runs:
        for r in range(len(one.diverged)):
            take = lambda x, r=r: x[r] if eqx.is_array(x) or isinstance(x, np.ndarray) else x  # noqa: E731
            params.append(jax.tree.map(take, one.final_params))
    losses = np.concatenate([np.asarray(one.values["loss"], float)[:, -1] for one in runs])
    return params, losses, np.concatenate([np.asarray(one.diverged, bool) for one in runs])


def _problem(make_problem: Callable, N: int, seed: int) -> Problem:
    problem = make_problem(N, seed)
    if not isinstance(problem, Problem):
        raise InputError(f"make_problem({N}, {seed}) gives {shown(problem)}: return a Problem of N examples")
    if problem.num_examples != N:
        raise InputError(
            f"make_problem({N}, {seed}) gives a problem of {problem.num_examples} examples: return one of the {N} that "
            "are asked for"
        )
    return problem


def _scores(accuracy: Callable, params: Any) -> tuple[float, float]:
    """(test, train) accuracy of one run."""
    found = accuracy(params)
    both: Any = (found.get("test"), found.get("train", np.nan)) if isinstance(found, Mapping) else (found, np.nan)
    try:
        test, train = (float(value) for value in both)
    except (TypeError, ValueError):
        raise InputError(
            f"accuracy(params) gives {shown(found)}: return a number, or a mapping with 'test' and perhaps 'train'"
        ) from None
    if not (0 <= test <= 1 or np.isnan(test)):
        raise InputError(f"accuracy(params) gives {test:g}: return the share that is classified correctly, in [0, 1]")
    return test, train


def _law(problem: Problem) -> str:
    """What tells problems apart, whatever their start."""
    return freshness.digest_of(freshness.replaced(problem.fresh(), params=None))


def _digest(make_problem: Callable, accuracy: Callable, N: int, seeds: tuple[int, ...]) -> str:
    """What the runs of one N depend on: data, loss and starts of all seeds, and what is measured."""
    problems = [_problem(make_problem, N, seed) for seed in seeds]
    measured = _scores(accuracy, problems[0].params)
    each = [freshness.digest_of((problem.fresh(), problem.params)) for problem in problems]
    return programs.digest(*each, accuracy, measured)


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        check_positive_integer("seeds", seeds)
        seeds = range(seeds)
    found = sweeps.Cell({}, seeds).seeds
    if len(found) < 2:
        raise InputError(f"seeds is {shown(list(found))}: pass two at least, without repeats there is no error bar")
    return found
