"""The figure of real-basins: a row for each problem: its minima, where SGD sits, where it arrives."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from experiments.real_basins.result import Arm, Problem, Result

COLOURS = ("#1f78b4", "#d95f02", "#238b45", "#7b3294", "#a6761d", "#666666", "#e7298a", "#000000")
_MARKERS = {"SGD": "o", "SDE": "^", "isotropic": "s", "NUTS": "D"}
# Sources stand a little beside each other, so that their bars can be told apart.
_SHIFTS = {"SGD": 0.93, "SDE": 0.975, "isotropic": 1.025, "NUTS": 1.07}


def draw(result: Result) -> Figure:
    """Three panels for each problem.

    Args:
        result: of ``compute``.
    """
    problems = result.problems
    figure = Figure(figsize=(15, 1.9 + 4.1 * len(problems)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    axes = figure.subplots(len(problems), 3, squeeze=False, width_ratios=[1, 1.25, 1])
    for row, (name, problem) in zip(axes, problems.items(), strict=True):
        _minima(row[0], result.data, name, problem)
        _occupancy(row[1], problem)
        _arrivals(row[2], problem)
    figure.suptitle(result.answer("\n"), fontsize=13)
    figure.legend(handles=_key(), loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


# -- the minima ----------------------------------------------------------------------------------------------


def _minima(axis, data: xr.Dataset, name: str, problem: Problem) -> None:
    inputs, targets = (data[f"{name}_minima_{v}"].values for v in ("inputs", "targets"))
    grid, outputs = (data[f"{name}_minima_{v}"].values for v in ("grid", "outputs"))
    (_curves if inputs.shape[1] == 1 else _boundaries)(axis, inputs, targets, grid, outputs)
    handles = [
        Line2D([], [], color=COLOURS[k % 8], lw=2, label=f"{b.name}: L = {b.loss:.4f}, {b.copies} copies")
        for k, b in enumerate(problem.basins)
    ]
    axis.legend(handles=handles, fontsize=8.5, loc="upper left", framealpha=0.85, handlelength=1.2, borderpad=0.3)
    title = f"{problem.title}: {len(handles)} minima"
    axis.set_title(title, loc="left", fontsize=11, weight="bold")


def _curves(axis, inputs, targets, grid, outputs) -> None:
    axis.plot(inputs[:, 0], targets, ".", color="0.65", ms=5)
    for k, row in enumerate(outputs):
        axis.plot(grid[:, 0], row, color=COLOURS[k % 8], lw=2)
    low, high = targets.min(), targets.max()
    axis.set(xlabel="input x", ylabel="target y, net f(x)", ylim=(low - 0.1, high + 0.45 * (high - low)))


def _boundaries(axis, inputs, targets, grid, outputs) -> None:
    """Where each net says ½."""
    for sign, colour, marker in ((1, "0.35", "+"), (-1, "0.7", ".")):
        rows = inputs[targets == sign]
        axis.plot(rows[:, 0], rows[:, 1], marker, color=colour, ms=5)
    n = round(len(grid) ** 0.5)
    x, y = grid[:, 0].reshape(n, n), grid[:, 1].reshape(n, n)
    for k, row in enumerate(outputs):
        axis.contour(x, y, row.reshape(n, n), levels=[0], colors=[COLOURS[k % 8]], linewidths=2)
    high, low = inputs[:, 1].max(), inputs[:, 1].min()
    axis.set(xlabel="first principal component", ylabel="second", ylim=(low - 0.2, high + 0.4 * (high - low)))
    axis.annotate("+ prime, · not; lines: p = ½", (0.99, 0.01), xycoords="axes fraction", ha="right", fontsize=8)


# -- shares ------------------------------------------------------------------------------------------------


def _occupancy(axis, problem: Problem) -> None:
    rows = problem.occupancy
    ratio = np.array([row.ratio for row in rows])
    for k in range(len(problem.basins)):
        colour = COLOURS[k % 8]
        laplace = np.array([row.laplace[k] for row in rows])
        axis.plot(ratio, 100 * laplace, color=colour, ls=(0, (2, 2)), lw=1.1)
        nuts = np.array([np.nan if row.nuts is None else row.nuts.probabilities[k] for row in rows])
        axis.plot(ratio, 100 * nuts, color=colour, lw=1.6)
        for arm in ("SGD", "SDE", "isotropic"):
            for row in rows:
                _point(axis, row.ratio, row.arms[arm], k, arm, colour)
    for arm in ("SGD", "SDE"):
        for row in rows:
            if row.arms[arm].collapsed:
                x, share = row.ratio * _SHIFTS[arm], 100 * row.arms[arm].collapsed
                axis.plot(x, share, "X", color="black", ms=7, mfc="black" if arm == "SGD" else "white", zorder=5)
    _axis(axis, ratio, "share of the time (%)")
    axis.set_title("Stationary occupancy: where SGD sits", loc="left", fontsize=11, weight="bold")


def _point(axis, x: float, values: Arm, k: int, arm: str, colour: str) -> None:
    p, error = values.probabilities[k], values.standard_errors[k]
    style: dict[str, Any] = dict(fmt=_MARKERS[arm], color=colour, ms=6, lw=1.2, capsize=2.5, zorder=4)
    style["mfc"] = colour if arm == "SGD" else "white"
    if values.refused:
        style |= dict(alpha=0.25, ms=4)
    bar = None if np.isnan(error) else 196 * error
    floor = values.floor[k]
    if values.collapsed > 0.01:
        return  # the black crosses say it
    if floor > 0.5:  # not mixed, but the least share says something
        style |= dict(alpha=1, ms=6)
        p, bar = floor, [[0], [100 * (1 - floor)]]
    axis.errorbar(x * _SHIFTS[arm], 100 * p, bar, **style)


def _arrivals(axis, problem: Problem) -> None:
    rows = problem.arrivals
    ratio = np.array([row.ratio for row in rows])
    for k in range(len(problem.basins)):
        colour = COLOURS[k % 8]
        axis.axhline(100 * problem.flow.shares[k], color=colour, lw=1.6)
        for arm, shift in (("SGD", 0.97), ("SDE", 1.03)):
            found = [row.arms[arm] for row in rows]
            shares, low, high = 100 * np.transpose([(each.shares[k], each.low[k], each.high[k]) for each in found])
            axis.errorbar(
                ratio * shift,
                shares,
                [shares - low, high - shares],
                fmt=_MARKERS[arm],
                color=colour,
                mfc=colour if arm == "SGD" else "white",
                ms=6,
                lw=1.2,
                capsize=2.5,
                zorder=4,
            )
    _axis(axis, ratio, "share of the runs (%)")
    axis.set_title("Arrival frequency from random nets", loc="left", fontsize=11, weight="bold")


def _axis(axis, ratio: np.ndarray, label: str) -> None:
    axis.set(xscale="log", xlabel="η/S", ylabel=label, ylim=(-3, 103))
    axis.set_xlim(ratio.min() / 1.35, ratio.max() * 1.35)
    axis.set_xticks(ratio, [f"{x:g}" for x in ratio])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    axis.grid(axis="y", color="0.93", lw=0.8)


def _key() -> list:
    points = [
        ("SGD", "SGD, minibatch noise C(θ)"),
        ("SDE", "its SDE, the same C(θ)"),
        ("isotropic", "SGD, isotropic noise of the same tr C"),
    ]
    handles: list[Any] = [
        Line2D([], [], color="0.3", marker=_MARKERS[arm], mfc="0.3" if arm == "SGD" else "white", ls="none", label=text)
        for arm, text in points
    ]
    return [
        *handles,
        Line2D([], [], color="0.3", lw=1.6, label="Gibbs exp(−L/T) by NUTS; right: gradient flow, the same starts"),
        Line2D([], [], color="0.3", ls=(0, (2, 2)), lw=1.1, label="Laplace: copies · exp(−L/T)/√det H"),
        Line2D([], [], color="black", marker="X", ls="none", label="collapsed: a unit died (share of the time)"),
        Patch(color="0.3", alpha=0.25, label="faint: not mixed, no claim; bars: 95 % intervals"),
    ]
