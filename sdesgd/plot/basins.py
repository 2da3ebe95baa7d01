"""Figures of an occupancy: the landscape and its wells, the shares beside their laws, and the shares against T."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from sdesgd.errors import InputError
from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.basins.result import Occupancy

_HALF = 1.959964
_CONTOURS = 14


def landscape(result: "Occupancy", axes: Axes | None = None) -> Axes:
    """V with its wells, minima and saddles; on a line with the densities of the Gibbs law and of SGD's exact law.

    Args:
        result: of ``sdesgd.occupancy``.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(6.0, 4.2).add_subplot() if axes is None else axes
    if result.minima.shape[1] == 1:
        _line(result, axes)
    else:
        _plane(result, axes)
    return axes


def _line(result: "Occupancy", axes: Axes) -> None:
    (x,), V = result.grid.axes, result.grid.values
    top = max([*(s.value for s in result.saddles), float(result.losses.max())])
    depth = top - float(result.losses.min())
    height = top + 0.8 * depth if result.saddles else float(np.quantile(V, 0.8))
    shown = np.flatnonzero(height >= V)
    kept = slice(max(shown[0] - 1, 0), shown[-1] + 2)
    x, V, labels = x[kept], V[kept], result.grid.labels[kept]
    axes.plot(x, V, color="0.25", linewidth=style.LINE)
    floor = float(result.losses.min()) - 0.9 * (height - float(result.losses.min()))
    for k, name in enumerate(result.names):
        colour = colour_of(k)
        axes.fill_between(x, V, floor, where=labels == k, color=colour, alpha=0.13, linewidth=0)
        axes.plot(*result.minima[k], result.losses[k], "o", color=colour, markersize=6, zorder=3)
        axes.annotate(name, (result.minima[k, 0], result.losses[k]), (0, 9), textcoords="offset points",
                      ha="center", color=colour, fontweight="bold")  # fmt: skip
    for saddle in result.saddles:
        axes.plot(saddle.point[0], saddle.value, "x", color="0.25", markersize=7, zorder=3)
    axes.set(xlabel="θ", ylabel="loss V(θ)", ylim=(floor, height), xlim=(x[0], x[-1]))
    density = axes.twinx()
    laws = {"Gibbs": result.grid.gibbs[kept]}
    if result.grid.exact is not None:
        laws["exact"] = result.grid.exact[kept]
    handles = []
    for name, p in laws.items():
        look = style.look(name)
        density.plot(x, p, linewidth=1.3, **look.line_options())
        handles.append(look.handle("exp(−V/T), density" if name == "Gibbs" else "SGD's exact law, density"))
    density.set(ylim=(0, 2.4 * max(float(p.max()) for p in laws.values())), yticks=[])
    density.legend(handles=handles, loc="upper center", fontsize=8, frameon=False)


def _plane(result: "Occupancy", axes: Axes) -> None:
    (x, y), V, labels = result.grid.axes, result.grid.values, result.grid.labels
    low = float(result.losses.min())
    top = max([*(s.value for s in result.saddles), float(result.losses.max())])
    levels = np.linspace(low, low + 2.2 * (top - low if top > low else float(np.ptp(V)) / 2), _CONTOURS)
    count = len(result.minima)
    colours = ListedColormap([colour_of(k) for k in range(count)])
    axes.pcolormesh(x, y, labels.T, cmap=colours, vmin=-0.5, vmax=count - 0.5, alpha=0.16, linewidth=0, rasterized=True)
    contours((x, y), V, levels, axes)
    for k, name in enumerate(result.names):
        axes.plot(*result.minima[k], "o", color=colour_of(k), markersize=6)
        axes.annotate(name, result.minima[k], (5, 5), textcoords="offset points", color=colour_of(k), fontweight="bold")
    if result.saddles:
        axes.plot(*np.array([s.point for s in result.saddles]).T, "x", color="0.2", markersize=7, label="saddle")
        axes.legend(loc="upper right", fontsize=8, frameon=False)


def contours(grid: tuple[np.ndarray, ...], values: np.ndarray, levels: np.ndarray, axes: Axes) -> None:
    """Lines of equal V in the plane.

    Args:
        grid: coordinates along each of the two axes.
        values: V, (n, n).
        levels: of the lines.
        axes: to draw on.
    """
    x, y = grid
    axes.contour(x, y, values.T, levels=levels, colors="0.45", linewidths=0.6, linestyles="solid")
    axes.set(xlabel="θ₁", ylabel="θ₂", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def occupancy(result: "Occupancy", axes: Axes | None = None) -> Axes:
    """The share of each well: SGD with 95 % intervals, its exact law, Gibbs and Laplace.

    Args:
        result: of ``sdesgd.occupancy``.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(5.0, 4.2).add_subplot() if axes is None else axes
    wells = np.arange(len(result.minima))
    laws = [("exact", result.exact, 0.0), ("Gibbs", result.gibbs, 0.13), ("Laplace", result.laplace, 0.26)]
    handles = []
    if np.isfinite(result.probabilities).all():
        look = style.look("SGD")
        half = _HALF * result.standard_errors
        handles.append(
            axes.errorbar(
                wells - 0.15,
                100 * result.probabilities,
                100 * half,
                fmt=look.marker,
                color=look.colour,
                capsize=3,
                label="SGD, measured (95 %)",
            )
        )
    for name, law, shift in laws:
        if law is not None:
            look = style.look(name)
            (drawn,) = axes.plot(
                wells + shift, 100 * law, look.marker, color=look.colour, label=look.label, markersize=8, mew=2
            )
            handles.append(drawn)
    for k in range(len(wells)):
        axes.axvspan(k - 0.4, k + 0.5, color=colour_of(k), alpha=0.1, linewidth=0)
    axes.set_xticks(wells, result.names)
    values = [result.gibbs, result.laplace, result.probabilities[np.isfinite(result.probabilities)]]
    top = 100 * max(float(v.max()) for v in values if len(v))
    axes.set(xlabel="well, the deepest first", ylabel="share of the time, %", ylim=(0, 1.3 * top))
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper right")
    if result.not_established is not None:
        axes.text(0.03, 0.03, "SGD: not mixed in the steps allowed", transform=axes.transAxes, fontsize=8)
    return axes


def occupancy_against_temperature(results: Sequence["Occupancy"], axes: Axes | None = None, well: int = 0) -> Axes:
    """The share of one well against T: SGD with 95 % intervals at each, its exact law, Gibbs and Laplace.

    Args:
        results: of ``sdesgd.occupancy`` at several temperatures, of one potential.
        axes: to draw on; default: those of a new figure.
        well: 0, the deepest, to M − 1.

    Raises:
        InputError: no results; results of different wells; a well there isn't.
    """
    ordered = sorted(results, key=lambda result: result.temperature)
    if not ordered:
        raise InputError("there are 0 results: pass those of occupancy at several temperatures")
    first = ordered[0]
    if any(r.minima.shape != first.minima.shape or not np.allclose(r.minima, first.minima, atol=1e-6) for r in ordered):
        raise InputError("the results have different minima: pass those of one potential")
    if not 0 <= well < len(first.minima):
        raise InputError(f"well is {well}: pass 0 to {len(first.minima) - 1}")
    axes = style.figure(5.6, 4.2).add_subplot() if axes is None else axes
    T = np.array([result.temperature for result in ordered])
    for name, laws in (
        ("Gibbs", [r.gibbs for r in ordered]),
        ("Laplace", [r.laplace for r in ordered]),
        ("exact", [r.exact for r in ordered]),
    ):
        known = np.array([np.nan if law is None else law[well] for law in laws])
        look = style.look(name)
        if np.isfinite(known).any():
            axes.plot(T, 100 * known, marker=look.marker, label=look.label, **look.line_options())
    look = style.look("SGD")
    share = np.array([result.probabilities[well] for result in ordered])
    half = _HALF * np.array([result.standard_errors[well] for result in ordered])
    axes.errorbar(
        T, 100 * share, 100 * half, fmt=look.marker, color=look.colour, capsize=3, label="SGD, measured (95 %)"
    )
    for temperature in T[~np.isfinite(share)]:
        axes.axvline(temperature, color="0.7", linewidth=0.8, linestyle=":")
    if not np.isfinite(share).all():
        axes.plot([], [], ":", color="0.7", label="SGD does not mix in the steps allowed")
    axes.set(
        xlabel="temperature T = ησ²/(2S), in units of V",
        ylabel=f"share of the time in well {first.names[well]}, %",
        title=f"{first.name}: η = {first.learning_rate:g}, S = {first.batch_size}",
    )
    axes.legend(fontsize=8, frameon=False)
    return axes


def colour_of(k: int) -> str:
    """The colour of the k-th well.

    Args:
        k: 0, the deepest, and so on.
    """
    return style.BASINS[k % len(style.BASINS)]
