"""Where gradient flow comes to rest: a stair for each minimum."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.basins.quenching import Quenched


def figure_of(result: "Quenched") -> Figure:
    """V at rest, start by start, the deepest first; starts that reached no minimum are counted in the title.

    Args:
        result: of ``basins.quench``.
    """
    drawn = style.figure(6.0, 4.2)
    axes = drawn.add_subplot()
    losses = np.sort(result.losses[result.converged])
    axes.plot(np.arange(1, len(losses) + 1), losses, "o", color="0.25", markersize=4)
    axes.set(xlabel="starts, by where they came to rest", ylabel="loss V at the minimum reached")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lost = len(result.losses) - len(losses)
    text = f"Gradient flow from {len(result.losses):,} starts: each level is a minimum"
    axes.set_title(text + (f"\n{lost:,} reached none" if lost else ""), fontsize=11)
    if not len(losses):
        axes.text(0.5, 0.5, "no start reached a minimum", transform=axes.transAxes, ha="center")
    return style.settled(drawn)
