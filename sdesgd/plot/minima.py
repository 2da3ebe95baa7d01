"""Figures of minima: on their landscape, by depth and hits, and by the spectra of their Hessians."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdesgd.basins.kept_landscape import kept
from sdesgd.basins.result import well_name
from sdesgd.plot import style
from sdesgd.plot.basins import colour_of, contours

if TYPE_CHECKING:
    from sdesgd.basins.minima import Minima

_FEW_NAMES, _MOST_NAMES = 5, 12


def figure_of(result: "Minima") -> Figure:
    """The minima on V, or in more than two dimensions their spectra; beside it how deep they are and how often found.

    Args:
        result: of ``basins.find_minima`` or ``basins.minima_of``.
    """
    drawn = style.figure(10.5, 4.2)
    left, right = drawn.subplots(1, 2)
    (on_landscape if result.landscape.dimension <= 2 else spectra)(result, left)
    depths(result, right)
    count = f"{len(result)} minima" if len(result) > 1 else "One minimum"
    drawn.suptitle(f"{count} of {result.landscape.name}, from {int(result.hits.sum()):,} starts", fontsize=11)
    return style.settled(drawn)


def on_landscape(result: "Minima", axes: Axes | None = None) -> Axes:
    """V in one or two dimensions, with its minima.

    Args:
        result: of ``basins.find_minima``, of at most two dimensions.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(6.0, 4.2).add_subplot() if axes is None else axes
    known = kept(result.landscape, result.points)
    low = float(result.losses.min())
    if len(known.axes) == 1:
        (x,), V = known.axes, known.values
        axes.plot(x, V, color="0.25", linewidth=style.LINE)
        inside = V[(x >= result.points.min()) & (x <= result.points.max())]
        top = float(np.max(inside)) if len(result) > 1 else float(np.quantile(V, 0.6))
        height = low + 1.8 * max(top - low, 1e-12)
        axes.set(xlabel="θ", ylabel="loss V(θ)", ylim=(low - 0.25 * (height - low), height), xlim=(x[0], x[-1]))
        where = np.column_stack([result.points[:, 0], result.losses])
    else:
        # Quadratic spacing: as many lines near the minima as on the slopes.
        spread = float(np.quantile(known.values, 0.7)) - low
        contours(known.axes, known.values, low + spread * np.linspace(0, 1, 15) ** 2, axes)
        where = result.points
    for k, at in enumerate(where):
        axes.plot(*at, "o", color=colour_of(k), markersize=6, zorder=3)
        if k < _MOST_NAMES:
            axes.annotate(well_name(k), at, (0, 8), textcoords="offset points", ha="center", color=colour_of(k),
                          fontweight="bold")  # fmt: skip
    axes.set_title("Where they are", fontsize=10)
    return axes


def spectra(result: "Minima", axes: Axes | None = None) -> Axes:
    """The eigenvalues of the Hessian at each minimum, on a log scale.

    Args:
        result: of ``basins.find_minima``.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(5.0, 4.2).add_subplot() if axes is None else axes
    for k, spectrum in enumerate(result.spectra):
        axes.plot(np.full(len(spectrum), k), spectrum, "_", color=colour_of(k), markersize=14, mew=1.5)
    axes.set_yscale("log")
    _name_classes(result, axes)
    axes.set(ylabel="eigenvalues of the Hessian", title="How sharp they are")
    axes.title.set_fontsize(10)
    return axes


def depths(result: "Minima", axes: Axes | None = None) -> Axes:
    """V at each minimum, with its copies and the starts that came to it.

    Args:
        result: of ``basins.find_minima``.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(5.0, 4.2).add_subplot() if axes is None else axes
    several = bool((result.multiplicities > 1).any())
    for k, loss in enumerate(result.losses):
        axes.plot(k, loss, "o", color=colour_of(k), markersize=8)
        if k < _MOST_NAMES:
            starts = int(result.hits[k])
            text = str(starts) if len(result) > _FEW_NAMES else f"{starts} start{'' if starts == 1 else 's'}"
            text += f"\n{int(result.multiplicities[k])} copies" if several else ""
            axes.annotate(text, (k, loss), (0, 9), textcoords="offset points", ha="center", fontsize=8)
    _name_classes(result, axes)
    spread = float(np.ptp(result.losses)) or max(abs(float(result.losses[0])), 1.0)
    low, high = float(result.losses.min()), float(result.losses.max())
    axes.set(ylabel="loss V at the minimum", ylim=(low - 0.15 * spread, high + 0.3 * spread))
    axes.set_title("How deep they are (numbers: starts that came there)", fontsize=10)
    return axes


def _name_classes(result: "Minima", axes: Axes) -> None:
    count = len(result)
    ticks = range(count) if count <= _MOST_NAMES else range(0, count, -(-count // _MOST_NAMES))
    axes.set_xticks(list(ticks), [well_name(k) for k in ticks])
    axes.set(xlabel="minimum, the deepest first", xlim=(-0.6, count - 0.4))
