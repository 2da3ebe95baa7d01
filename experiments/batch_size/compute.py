"""Test accuracy of SGD against batch size for several η, N and m: the best batch size, and how it scales."""

import json
import pkgutil
from pathlib import Path
from typing import Any

import jax.random as jr
import xarray as xr
from jaxtyping import PRNGKeyArray

from experiments._shared.run_folder import RunFolder, sources_of
from experiments.batch_size import cell as batch_size_cell
from experiments.batch_size import fits
from experiments.batch_size.config import PLACE, Config, cells, check, problem_config
from experiments.batch_size.result import Result
from experiments.batch_size.series import bad
from sdesgd import optimal_batch, sweep
from sdesgd.errors import InputError

_NOISE_SEEDS = 1
_FITS = 2**31  # stream of the chains
# The inference looks at the table afterwards. Its rule for runs that are no better than a guess is applied to them one
# by one, in ``policy``.
_INFERENCE = tuple(
    f"sdesgd.optimal_batch.{found.name}"
    for found in pkgutil.iter_modules(optimal_batch.__path__)
    if found.name != "policy"
)


def compute(config: Config, folder: RunFolder) -> Result:
    """The sweep, cell by cell; the noise scales at the best batch sizes; then the inference."""
    check(config)
    table = swept(config, folder.path, cells(config))
    table, accuracies = judged(table, config.num_test)
    best = optimal_batch.best_sampled(accuracies)
    noise = noise_scales(config, folder.path, best) if config.noise_points else None
    keys = jr.split(jr.fold_in(jr.key(config.seed), _FITS))
    inferred = inference(config, table, accuracies, keys[0])
    comparison = fits.compared(inferred["posteriors"], keys[1]) if config.compare else None
    return Result(config=config, noise=noise, comparison=comparison, **inferred)


def inference(
    config: Config, table: xr.Dataset, accuracies: optimal_batch.AccuracyTable, key: PRNGKeyArray
) -> dict[str, Any]:
    """The fields of the result that a table gives.

    Args:
        config: of the sweep.
        table: a row for each run.
        accuracies: the same, checked, bad runs left out.
        key: of the chains.
    """
    posteriors = fits.infer(accuracies, key)
    found = optimal_batch.predictive_check(posteriors["power"], accuracies)
    problem = batch_size_cell.load(problem_config(config)).problem
    return {
        "data": table,
        "posteriors": posteriors,
        "check": fits.Check({name: float(value) for name, value in found.items()}),
        "sizes_of_problem": {"parameters": problem.num_parameters, "features": problem.data[0].shape[1]},
    }


def judged(table: xr.Dataset, num_test: int) -> tuple[xr.Dataset, optimal_batch.AccuracyTable]:
    """The runs of the series that trained somewhere, and their accuracies.

    A run whose last train loss is log K or more counts as diverged (see ``batch_size_cell.cell``). A series in which
    most runs did so at every B is left out; its name stands in the attribute ``lost``.

    Raises:
        InputError: no series is left.
    """
    runs = optimal_batch.AccuracyTable.from_dataset(table.assign(diverged=bad(table)), num_test)
    rows, lost = optimal_batch.trained_series(runs)
    kept = table.isel(row=rows)
    kept.attrs["lost"] = json.dumps([series.name for series in lost])
    return kept, optimal_batch.rows_of(runs, rows)


def swept(config: Config, folder: Path, plan: tuple[sweep.Cell, ...]) -> xr.Dataset:
    """A row for each run: the cell's η, N, m and B, the seed, what ``batch_size_cell.cell`` returns.

    The cells are kept in one folder beside those of the runs: a run with another η, or after an edit of the inference
    or the figure, computes only what isn't there.
    """
    return _run(config, folder.parent / "sweep", "experiments.batch_size.cell:cell", plan, "batch-size")


def noise_scales(config: Config, folder: Path, best: tuple[optimal_batch.BestSampled, ...]) -> xr.Dataset:
    """Of runs at each series' best sampled batch size: the first seeds' own runs again."""
    plan = []
    for found in best:
        place = {name: getattr(found.series, name) for name in PLACE}
        place |= {"batch_size": found.batch_size, "noise_points": config.noise_points}
        plan.append(sweep.Cell(problem_config(config) | place, range(min(_NOISE_SEEDS, config.seeds))))
    return _run(config, folder.parent / "noise-sweep", "experiments.batch_size.noise:cell", tuple(plan), "noise scales")


def _run(config: Config, folder: Path, function: str, plan: tuple[sweep.Cell, ...], label: str) -> xr.Dataset:
    parts = batch_size_cell.load(plan[0].config)
    inputs = {"data": sweep.digest(*parts.problem.data, *parts.test)}
    module = function.partition(":")[0]
    made = sweep.Sweep(
        function,
        plan,
        code=sources_of(module, "cell", _INFERENCE),
        inputs=inputs,
        shape_key=lambda cell: (cell["batch_size"], cell["num_examples"]),
    )
    done = sweep.run(made, folder, config.workers, config.scheduler or None, retry_failed=True, progress=label)
    if len(done.failures) == len(plan):
        raise InputError(f"every cell of {label} failed, the first: {done.failures[0]}")
    # What is the same for all cells, text among it, stands in the manifest.
    table = done.table.drop_vars([name for name, x in done.table.items() if x.dtype.kind in "UO"])
    return table.assign_attrs(failures=json.dumps([str(failure) for failure in done.failures]))
