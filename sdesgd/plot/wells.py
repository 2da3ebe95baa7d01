"""Figures of wells: their basins, their cores, and the passes between them."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from sdesgd.errors import InputError
from sdesgd.plot import style
from sdesgd.plot.basins import colour_of

if TYPE_CHECKING:
    from sdesgd.basins.wells import GridWells, IntervalWells, Wells

_FEW_NAMES = 4


def figure_of(result: "Wells") -> Figure:
    """Each basin in its colour, its core darker.

    Args:
        result: of ``basins.wells_of``.

    Raises:
        InputError: wells of another class, of which nothing is known that could be drawn.
    """
    from sdesgd.basins.wells import GridWells, IntervalWells

    drawn = style.figure(6.4, 4.4)
    axes = drawn.add_subplot()
    if isinstance(result, IntervalWells):
        _line(result, axes)
    elif isinstance(result, GridWells):
        _plane(result, axes)
    else:
        raise InputError(f"{type(result).__name__} says at points which well they are in, and has no grid to draw")
    names = f"{result.count} wells" if result.count > 1 else "One well"
    axes.set_title(f"{names}: basins (light) and their cores (dark)", fontsize=11)
    return style.settled(drawn)


def _line(result: "IntervalWells", axes) -> None:
    """Boxes over θ, as high above the minimum as the pass and the core are."""
    edges, cores = np.asarray(result.edges), np.asarray(result.core_edges)
    known = np.concatenate([result.minima[:, 0], edges[np.isfinite(edges)], cores[np.isfinite(cores)]])
    margin = 0.35 * (float(np.ptp(known)) or 1.0)
    low, high = float(known.min()) - margin, float(known.max()) + margin
    finite = result.barriers[np.isfinite(result.barriers)]
    reached = result.heights[np.isfinite(result.heights)]
    top = float(np.max(np.concatenate([finite, reached]), initial=0.0)) or 1.0
    edges, cores = np.clip(edges, low, high), np.clip(cores, low, high)
    for k in range(result.count):
        colour, barrier = colour_of(k), min(float(result.barriers[k]), 1.2 * top)
        axes.bar(edges[k, 0], barrier, np.ptp(edges[k]), align="edge", color=colour, alpha=0.22, linewidth=0)
        axes.bar(cores[k, 0], min(float(result.heights[k]), 1.2 * top), np.ptp(cores[k]), align="edge", color=colour,
                 alpha=0.6, linewidth=0)  # fmt: skip
        axes.plot(result.minima[k, 0], 0, "o", color=colour, markersize=6, clip_on=False, zorder=3)
        out = f"pass at {result.barriers[k]:.3g}" if np.isfinite(result.barriers[k]) else "no pass"
        text = f"well {k}\n{out}" if result.count <= _FEW_NAMES else str(k)
        axes.annotate(text, (np.clip(result.minima[k, 0], low, high), barrier), (0, 4), textcoords="offset points",
                      ha="center", fontsize=9, color=colour)  # fmt: skip
    axes.set(xlabel="θ", ylabel="height above the minimum, V − V(minimum)", xlim=(low, high), ylim=(0, 1.4 * top))


def _plane(result: "GridWells", axes) -> None:
    basins, cores = np.asarray(result.basin_grid), np.asarray(result.core_grid)
    low, spacing = np.asarray(result.low), np.asarray(result.spacing)
    x, y = (low[k] + spacing[k] * np.arange(basins.shape[k]) for k in (0, 1))
    colours = ListedColormap([colour_of(k) for k in range(result.count)])
    for grid, strength in ((basins, 0.2), (np.ma.masked_less(cores, 0), 0.55)):
        axes.pcolormesh(x, y, grid.T, cmap=colours, vmin=-0.5, vmax=result.count - 0.5, alpha=strength, linewidth=0,
                        rasterized=True)  # fmt: skip
    for k, point in enumerate(result.minima):
        text = f"well {k}" + (f", pass at {result.barriers[k]:.3g}" if np.isfinite(result.barriers[k]) else "")
        axes.plot(*point, "o", color="black", markersize=4)
        axes.annotate(text, point, (0, 7), textcoords="offset points", ha="center", fontsize=9)
    axes.set(xlabel="θ₁", ylabel="θ₂", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
