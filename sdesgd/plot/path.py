"""V along a path between two minima."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style
from sdesgd.plot.basins import colour_of

if TYPE_CHECKING:
    from sdesgd.basins.passes import Path


def figure_of(result: "Path") -> Figure:
    """V against the way along the path, its passes, and how high the highest is above each end.

    Args:
        result: of ``basins.minimum_energy_path``.
    """
    drawn = style.figure(6.4, 4.2)
    axes = drawn.add_subplot()
    way, V = result.lengths, result.values
    top = float(V[0] + result.barrier_from_a)
    axes.plot(way, V, color="0.25", linewidth=style.LINE, marker=".", markersize=3)
    axes.axhline(top, color="0.6", linewidth=0.8, linestyle=":")
    depth = top - float(V.min())
    for k, (name, barrier) in enumerate((("a", result.barrier_from_a), ("b", result.barrier_from_b))):
        at, shift = (0.0, 0.03) if name == "a" else (way[-1], -0.03)
        axes.plot(at, V[-k], "o", color=colour_of(k), markersize=7, zorder=3)
        axes.annotate("", (at + shift * way[-1], top), (at + shift * way[-1], top - barrier),
                      arrowprops={"arrowstyle": "<->", "color": colour_of(k)})  # fmt: skip
        axes.text(at + 1.5 * shift * way[-1], top - 0.5 * barrier, f"{barrier:.4g} above {name}", va="center",
                  ha="left" if name == "a" else "right", color=colour_of(k))  # fmt: skip
    for saddle in result.saddles:
        nearest = int(np.linalg.norm(result.points - saddle, axis=1).argmin())
        height = top if np.array_equal(saddle, result.saddle) else V[nearest]
        axes.plot(way[nearest], height, "x", color="0.2", markersize=8, mew=2, zorder=3)
    axes.set(
        xlabel="way along the path from a to b, in units of θ",
        ylabel="loss V",
        ylim=(float(V.min()) - 0.1 * depth, top + 0.15 * depth),
    )
    passes = "one pass" if len(result.saddles) == 1 else f"{len(result.saddles)} passes"
    axes.set_title(f"Path of least loss from a to b: {passes} (×)", fontsize=11)
    return style.settled(drawn)
