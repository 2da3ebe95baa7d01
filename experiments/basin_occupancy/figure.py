"""The figure of basin-occupancy: the landscape, occupancy against T, the gap to Gibbs, hops, η → 0, Laplace's error."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from experiments.basin_occupancy.panels import COLOURS, hops, line_landscape, plane_landscape, title
from experiments.basin_occupancy.result import Result

_MARKERS = {"SGD": "o", "Gaussian SGD": "s", "SDE": "^", "NUTS": "D"}
# Sources stand a little beside each other, so that their bars can be told apart.
_SHIFTS = {"SGD": 0.985, "Gaussian SGD": 0.995, "SDE": 1.005, "NUTS": 1.015}
_MOST_LABELLED = 5


def draw(result: Result) -> Figure:
    """Six panels.

    Args:
        result: of ``compute``.
    """
    figure = Figure(figsize=(15, 9.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    axes = figure.subplots(2, 3).ravel()
    (line_landscape if result.dimension == 1 else plane_landscape)(axes[0], result)
    _occupancies(axes[1], result)
    _gaps(axes[2], result)
    hops(axes[3], result)
    _small_steps(axes[4], result)
    _laplace_errors(axes[5], result)
    figure.suptitle(f"{result.answer()}\n{result.settings()}", fontsize=13)
    figure.legend(handles=_key(result), loc="outside lower center", ncols=6, frameon=False, fontsize=9.5)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


# -- against the temperature ---------------------------------------------------------------------------------


def _occupancies(axis, result: Result) -> None:
    data, names = result.data, [b.name for b in result.basins]
    shown = [result.shown_basin] if len(names) == 2 else range(len(names))
    for k in shown:
        _curves(axis, result, lambda values, curve, k=k: 100 * values[:, k])
        _points(axis, result.data, k, lambda p, k=k: 100 * p)
        last = 100 * data["reference"].values[-1, k]
        if len(names) > 2 and (last > 3 or k < _MOST_LABELLED):
            axis.annotate(
                names[k],
                (data["curve_T"].values[-1], last),
                (5, 0),
                textcoords="offset points",
                va="center",
                weight="bold",
            )
    label = f"occupancy of {names[shown[0]]} (%)" if len(names) == 2 else "occupancy of each basin (%)"
    _temperature_axis(axis, result, label)
    values = [data[v].values[..., list(shown)].ravel() for v in ("reference", "probabilities")]
    values = 100 * np.concatenate(values)
    values = values[np.isfinite(values)]
    margin = 0.12 * np.ptp(values) + 3
    axis.set_ylim(max(values.min() - margin, -1), min(values.max() + margin, 101))
    title(axis, "B  Occupancy against temperature")


def _gaps(axis, result: Result) -> None:
    k, law, data, margin = result.shown_basin, result.law, result.data, result.config.margin
    T, grid, reference = data["T"].values, data["curve_T"].values, data["reference"].values[:, k]

    def gap(values: np.ndarray, at: np.ndarray) -> np.ndarray:
        return 100 * (values[:, k] - np.interp(np.log(at), np.log(grid), reference))

    axis.axhspan(-margin, margin, color="0.92", zorder=0)
    _curves(axis, result, gap)
    _points(axis, result.data, k, lambda p: 100 * p - 100 * np.interp(np.log(T), np.log(grid), reference))
    name = result.basins[k].name
    _temperature_axis(axis, result, f"occupancy of {name} minus {law} (percentage points)")
    # NUTS samples Gibbs: where that is not the law it would be far away.
    arms = data if law == "Gibbs" else data.isel(source=slice(0, 3))
    arms = arms[["probabilities", "standard_errors"]].transpose("source", "T", "basin")
    centres = np.stack([gap(p, T) for p in arms["probabilities"].values])
    errors = 196 * np.nan_to_num(arms["standard_errors"].values[:, :, k])
    low = min(np.nanmin(centres - errors), -1.6 * margin)
    high = max(np.nanmax(centres + errors), 1.6 * margin)
    axis.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    title(axis, f"C  The gap to {law} (grey: ±{margin:g})")


def _curves(axis, result: Result, value: Any) -> None:
    """Exact laws and theory; ``value`` takes (points, basins) and where they are."""
    data = result.data
    grid, exact = data["curve_T"].values, data["exact_T"].values
    for name, ls in (("laplace", (0, (5, 2))), ("corrected", (0, (1, 1)))):
        if name in data:
            axis.plot(grid, value(data[name].values, grid), color=COLOURS[name], ls=ls, lw=1.5)
    if result.law != "Gibbs":
        axis.plot(grid, value(data["gibbs"].values, grid), color="0.5", ls="--", lw=1.5)
    axis.plot(grid, value(data["reference"].values, grid), color=COLOURS["SDE"], lw=1.5)
    for arm in ("Gaussian SGD", "SGD"):
        if f"exact_{arm}" in data:
            axis.plot(exact, value(data[f"exact_{arm}"].values, exact), color=COLOURS[arm], lw=1.3)


def _points(axis, data: xr.Dataset, basin: int, value: Any) -> None:
    T = data["T"].values
    for source in data["source"].values:
        measured = data.isel(basin=basin).sel(source=source)
        p, error = measured["probabilities"].values, 196 * measured["standard_errors"].values
        if np.isfinite(p).any():
            axis.errorbar(
                T * _SHIFTS[source],
                value(p),
                error,
                fmt=_MARKERS[source],
                color=COLOURS[source],
                mfc="white" if source != "SGD" else COLOURS[source],
                ms=5,
                lw=1.2,
                capsize=2.5,
                zorder=4,
            )


def _temperature_axis(axis, result: Result, label: str) -> None:
    T = [row.temperature for row in result.temperatures]
    axis.set(xscale="log", xlabel="temperature T = ησ²/(2S)", ylabel=label)
    axis.set_xlim(0.75 * T[0], 1.16 * T[-1])
    axis.set_xticks(T, [f"{t:g}" for t in T])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    axis.grid(axis="y", color="0.93", lw=0.8)
    for row in result.temperatures:
        if row.refused:
            axis.axvline(row.temperature, color="0.75", lw=7, alpha=0.5, zorder=0)
            axis.annotate(
                "refused: would not mix",
                (row.temperature, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=7.5,
                color="0.35",
            )


# -- small steps, Laplace ------------------------------------------------------------------------------


def _small_steps(axis, result: Result) -> None:
    name = result.basins[result.shown_basin].name
    for k, (arm, found) in enumerate(result.powers.arms.items()):
        eta, gap = found.etas, 100 * found.gaps
        up = gap > 0
        fill = COLOURS[arm]
        axis.plot(eta[up], gap[up], _MARKERS[arm], color=fill, ms=5.5)
        axis.plot(eta[~up], -gap[~up], _MARKERS[arm], color=fill, mfc="white", ms=5.5)
        if found.fit is not None:
            x = np.geomspace(eta[0], eta[found.fit.count - 1], 30)
            fitted, low, high = (100 * curve for curve in found.fit.band(x**found.expected))
            axis.fill_between(x, low, high, color=fill, alpha=0.25, lw=0)
            axis.plot(x, fitted, color=fill, lw=1.2)
        place = dict(transform=axis.transAxes, va="top", fontsize=9.5)
        axis.text(0.03, 0.96 - 0.07 * k, f"{arm}: {found}", color=fill, **place)
    law = result.law
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate η (T and S fixed)",
        ylabel=f"|exact occupancy of {name} minus {law}| (percentage points)",
    )
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * (high / low) ** 0.22)
    axis.grid(which="major", color="0.93", lw=0.8)
    axis.axvline(result.learning_rate, color="0.6", ls=":", lw=1)
    axis.annotate(
        "runs",
        (result.learning_rate, 0.02),
        (-3, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color="0.4",
    )
    title(axis, f"E  SGD → {law} as η → 0 (T = {result.powers.temperature:g})")


def _laplace_errors(axis, result: Result) -> None:
    data = result.data
    grid, exact = data["curve_T"].values, data["reference"].values
    for name, marker, power in (("laplace", "o", 1), ("corrected", "v", 2)):
        if name not in data:
            continue
        values = data[name].values
        odds = (values[:, 1:] / values[:, :1]) / (exact[:, 1:] / exact[:, :1])
        error = 100 * np.abs(np.log(odds)).max(axis=1)
        axis.plot(grid, error, marker + "-", color=COLOURS[name], ms=4, lw=1.3)
        guide = error[0] * (grid / grid[0]) ** power
        axis.plot(grid, guide, color="black", ls=(0, (5, 3)), lw=0.8)
        text = "∝ T²" if power == 2 else "∝ T"
        axis.annotate(text, (grid[2], guide[2]), (4, -11), textcoords="offset points", fontsize=9)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="temperature T",
        ylabel=f"error of the log-odds against {result.law} (%)",
    )
    ticks = [m * 10.0**k for k in range(-6, 4) for m in (1, 2, 5)]
    ticks = [t for t in ticks if 0.99 * grid[0] < t < 1.01 * grid[-1]]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    axis.grid(which="major", color="0.93", lw=0.8)
    title(axis, "F  Laplace's error shrinks with T")


def _key(result: Result) -> list:
    law = result.law

    def both(source: str, label: str, line: bool = True) -> Line2D:
        return Line2D(
            [],
            [],
            color=COLOURS[source],
            marker=_MARKERS[source],
            mfc="white" if source != "SGD" else COLOURS[source],
            ms=5,
            ls="-" if line else "none",
            label=label,
        )

    in_plane = result.dimension == 2
    handles = [
        both("SGD", "SGD: runs (95 %), and its exact law"),
        both("Gaussian SGD", "Gaussian SGD" if in_plane else "Gaussian SGD, and its exact law", not in_plane),
        both("SDE", f"SDE: runs, and {law} by quadrature"),
        both("NUTS", "NUTS on Gibbs" + ("" if result.config.nuts_samples else " (left out)"), False),
        Line2D([], [], color=COLOURS["laplace"], ls=(0, (5, 2)), label="Laplace (derived)"),
    ]
    if result.law == "Gibbs":
        colour, text = COLOURS["corrected"], "Laplace, next order (derived)"
        handles.append(Line2D([], [], color=colour, ls=(0, (1, 1)), label=text))
    else:
        handles.append(Line2D([], [], color="0.5", ls="--", label="Gibbs, as if C were constant: wrong here"))
    return handles
