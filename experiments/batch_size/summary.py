"""What the table of batch-size says: means with errors, best sampled batch sizes, posteriors; plain numbers."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import xarray as xr

from experiments.batch_size import cell as batch_size_cell
from experiments.batch_size import fits as batch_size_fits
from experiments.batch_size.config import FAMILIES, PLACE, Config, families, problem_config, series
from sdesgd import evidence, optimal_batch


def summarise(
    config: Config,
    table: xr.Dataset,
    accuracies: optimal_batch.AccuracyTable,
    noise: xr.Dataset | None,
    posteriors: dict[str, optimal_batch.Posterior],
) -> dict:
    """Everything the figure and the report show.

    Args:
        table: of the sweep. accuracies: the same, checked, bad runs left out. noise: of the sweep of noise scales.
        posteriors: of both laws.
    """
    belongs = {tuple(point[name] for name in PLACE): point["families"] for point in series(config)}
    found = []
    for index, best in enumerate(optimal_batch.best_sampled(accuracies)):
        place = {name: getattr(best.series, name) for name in PLACE}
        rows = table.isel(row=best.series.rows)
        entry: dict[str, Any] = place | {"families": belongs[tuple(place.values())], "cells": _cells(rows)}
        entry["best"] = {
            "batch_size": best.batch_size,
            "low": finite(best.low),
            "high": finite(best.high),
            "censored": best.censored,
        }
        entry |= batch_size_fits.of_series(posteriors["power"], index, [c["batch_size"] for c in entry["cells"]])
        if noise is not None:
            entry["noise"] = _noise(noise, place)
        found.append(entry)
    centre = {name: getattr(config, name) for name in PLACE}
    problem = problem_config(config)
    loaded = batch_size_cell.load(problem).problem
    return {
        "experiment": "batch-size",
        "config": dataclasses.asdict(config),
        "families": families(config),
        "num_test": accuracies.num_test,
        "failures": json.loads(table.attrs["failures"]),
        "lost": json.loads(table.attrs["lost"]),
        "series": found,
        "fit": batch_size_fits.of_law(posteriors["power"]),
        "noise_scale": batch_size_fits.of_law(posteriors["noise_scale"]),
        "check": batch_size_fits.predictive(posteriors["power"], accuracies),
        "lines": {
            family: batch_size_fits.lines(posteriors, family, centre, outer(found, family))
            for family in families(config)
        },
        "sizes": {
            "parameters": loaded.num_parameters,
            "features": loaded.data[0].shape[1],
            "pooling": problem["pooling"],
            "budget_size": config.size,
        },
    }


def bad(rows: xr.Dataset) -> xr.DataArray:
    """Whether a run is left out: it left the finite numbers, or ended with a train loss of log K or more."""
    return rows["diverged"].astype(bool) | rows["failed"].astype(bool)


def position(entry: dict[str, Any], family: str) -> float:
    """Where a series stands on the axis of a family: its η, its N, its 1/(1−m)."""
    factor = FAMILIES[family]
    return factor.transform(entry[factor.option])


def outer(found: list[dict], family: str) -> tuple[float, float]:
    """The ends of a family's axis."""
    places = [position(entry, family) for entry in found if family in entry["families"]]
    return min(places), max(places)


def _cells(rows: xr.Dataset) -> list[dict]:
    """For each B of a series: the mean accuracy of the runs that aren't bad with its 95 % interval, and counts."""
    made = []
    sizes = rows["batch_size"].values
    for B in np.unique(sizes):
        cell = rows.isel(row=np.flatnonzero(sizes == B))
        accuracies = np.where(bad(cell).values, np.nan, cell["accuracy"].values)
        accuracy = evidence.mean(accuracies)
        low, high = accuracy.interval()
        kept = int(np.isfinite(accuracies).sum())
        means = {
            name: _mean(np.where(bad(cell).values, np.nan, cell[name].values))
            for name in ("test_loss", "train_loss", "train_accuracy", "steps")
        }
        counts = {name: int(cell[name].values.sum()) for name in ("diverged", "failed")}
        made.append(
            {"batch_size": int(B), "runs": len(sizes[sizes == B]), "kept": kept, "mean": _mean(accuracies)}
            | {"standard_error": finite(accuracy.standard_error), "low": finite(low), "high": finite(high)}
            | means
            | counts
        )
    return made


def _noise(noise: xr.Dataset, place: dict[str, Any]) -> list[dict]:
    """B_simple and B_noise at each time: ratios of means over runs."""
    here = np.all([np.isclose(noise[name].values, value) for name, value in place.items()], axis=0)
    rows = noise.isel(row=np.flatnonzero(here))
    made = []
    for step in np.unique(rows["step"].values):
        at = rows.isel(row=np.flatnonzero(rows["step"].values == step))
        means = {str(name): float(at[name].values.mean()) for name in at.data_vars}
        simple = means["trace_covariance"] / means["gradient_squared"] if means["gradient_squared"] > 0 else math.nan
        curvature = means["gradient_curvature"]
        curved = means["trace_hessian_covariance"] / curvature if curvature > 0 else math.nan
        made.append({"step": int(step), "batch_size": int(means["batch_size"])})
        made[-1] |= {"simple": finite(simple), "noise": finite(curved) if curved > 0 else None}
    return made


def _mean(values: np.ndarray) -> float | None:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else None


def finite(value: Any) -> float | None:
    """A plain number; None where it isn't finite: JSON has none such."""
    return float(value) if math.isfinite(value) else None
