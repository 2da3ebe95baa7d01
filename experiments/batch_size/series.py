"""The series of a table, one η, N and m each: accuracies against the batch size, the best one, noise scales."""

import dataclasses
import math

import numpy as np
import xarray as xr

from experiments.batch_size.config import FAMILIES, PLACE
from sdesgd import evidence
from sdesgd.optimal_batch import Peak, SeriesSummary

_AVERAGED = ("accuracy", "test_loss", "train_loss", "train_accuracy", "steps")


@dataclasses.dataclass(frozen=True)
class Cell:
    """The runs of a series at one batch size. Means are over the runs that are kept, NaN where there are none.

    Attributes:
        batch_size: B.
        runs: all of them.
        kept: those that neither diverged nor failed.
        mean: test accuracy.
        standard_error: of the mean.
        low, high: its 95 % interval.
        test_loss, train_loss, train_accuracy, steps: means.
        diverged: runs that left the finite numbers.
        failed: runs that ended with a train loss of log K or more.
    """

    batch_size: int
    runs: int
    kept: int
    mean: float
    standard_error: float
    low: float
    high: float
    test_loss: float
    train_loss: float
    train_accuracy: float
    steps: float
    diverged: int
    failed: int


@dataclasses.dataclass(frozen=True)
class NoiseScale:
    """McCandlish's noise scales at one time of a run at the best batch size, ratios of means over runs.

    Attributes:
        step: the time.
        batch_size: of the run.
        simple: B_simple = tr C/‖g‖²; NaN where it can't be told.
        noise: B_noise = tr(HC)/gᵀHg; the same.
    """

    step: int
    batch_size: int
    simple: float
    noise: float


@dataclasses.dataclass(frozen=True)
class Series:
    """One η, N and m.

    Attributes:
        fitted: best sampled batch size, posterior of its peak and of its curve.
        families: to which it belongs.
        cells: one for each batch size, ascending.
        noise: noise scales along a run at the best batch size; none where they weren't measured.
    """

    fitted: SeriesSummary
    families: tuple[str, ...]
    cells: tuple[Cell, ...]
    noise: tuple[NoiseScale, ...]

    @property
    def peak(self) -> Peak:
        """The posterior of B_opt."""
        if self.fitted.peak is None:
            raise TypeError("a series without a fit")
        return self.fitted.peak

    def position(self, family: str) -> float:
        """Where it stands on the axis of a family: its η, its N, its 1/(1−m)."""
        return self.fitted.position(FAMILIES[family])

    def summary(self) -> dict:
        """As JSON has it, before numbers that aren't finite are dealt with."""
        fitted = self.fitted
        told = {name: getattr(fitted, name) for name in PLACE} | {"families": self.families, "cells": self.cells}
        ends = {"low": fitted.best_low, "high": fitted.best_high, "censored": fitted.censored}
        curve = {name: getattr(fitted.curve, name) for name in ("batch_sizes", "median", "low", "high")}
        told |= {"best": {"batch_size": fitted.best, **ends}, "peak": self.peak, "curve": curve}
        return told | ({"noise": self.noise} if self.noise else {})


def bad(rows: xr.Dataset) -> xr.DataArray:
    """Whether a run is left out: it left the finite numbers, or ended with a train loss of log K or more."""
    return rows["diverged"].astype(bool) | rows["failed"].astype(bool)


def cells_of(rows: xr.Dataset) -> tuple[Cell, ...]:
    """For each batch size of a series: the mean accuracy of the runs that aren't bad, and counts.

    Args:
        rows: of the table, those of the series.
    """
    made, sizes = [], rows["batch_size"].values
    for B in np.unique(sizes):
        cell = rows.isel(row=np.flatnonzero(sizes == B))
        kept = {name: np.where(bad(cell).values, np.nan, cell[name].values) for name in _AVERAGED}
        accuracy = evidence.mean(kept["accuracy"])
        low, high = accuracy.interval()
        made.append(
            Cell(
                batch_size=int(B),
                runs=cell.sizes["row"],
                kept=int(np.isfinite(kept["accuracy"]).sum()),
                mean=_mean(kept.pop("accuracy")),
                standard_error=float(accuracy.standard_error),
                low=float(low),
                high=float(high),
                diverged=int(cell["diverged"].values.sum()),
                failed=int(cell["failed"].values.sum()),
                **{name: _mean(values) for name, values in kept.items()},
            )
        )
    return tuple(made)


def noise_scales_of(noise: xr.Dataset, place: dict[str, float]) -> tuple[NoiseScale, ...]:
    """B_simple and B_noise at each time: ratios of means over runs.

    Args:
        noise: of the sweep of noise scales.
        place: learning_rate, num_examples and momentum of the series.
    """
    here = np.all([np.isclose(noise[name].values, value) for name, value in place.items()], axis=0)
    rows = noise.isel(row=np.flatnonzero(here))
    made = []
    for step in np.unique(rows["step"].values):
        at = rows.isel(row=np.flatnonzero(rows["step"].values == step))
        means = {str(name): float(at[name].values.mean()) for name in at.data_vars}
        simple = _ratio(means["trace_covariance"], means["gradient_squared"])
        curved = _ratio(means["trace_hessian_covariance"], means["gradient_curvature"])
        made.append(NoiseScale(int(step), int(means["batch_size"]), simple, curved if curved > 0 else math.nan))
    return tuple(made)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _mean(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan
