"""Time shares of wells with their errors, and the crossings that they rest on."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style
from sdesgd.plot.basins import colour_of

if TYPE_CHECKING:
    from sdesgd.basins.measured import MeasuredOccupancy

_MOST_NUMBERS = 12  # wells up to which crossings are written into their squares


def figure_of(result: "MeasuredOccupancy") -> Figure:
    """Shares with 95 % intervals, and the table of crossings.

    Args:
        result: of ``basins.measure_occupancy``.
    """
    drawn = style.figure(9.0, 4.0)
    left, right = drawn.subplots(1, 2, width_ratios=[1.3, 1])
    wells = np.arange(len(result.probabilities))
    low, high = result.interval()
    left.bar(wells, 100 * result.probabilities, color=[colour_of(k) for k in range(len(wells))], alpha=0.4)
    left.errorbar(wells, 100 * result.probabilities, 50 * (high - low), fmt="none", ecolor="black", capsize=4)
    left.set_xticks(wells)
    left.set(xlabel="well", ylabel="share of the steps, % (95 % intervals)", ylim=(0, None))
    right.imshow(np.log1p(result.crossings), cmap="Greys", vmin=0, vmax=2 * np.log1p(max(result.crossings.max(), 1)))
    for (a, b), count in np.ndenumerate(result.crossings if len(wells) <= _MOST_NUMBERS else np.zeros((0, 0))):
        right.text(b, a, f"{int(count):,}" if a != b else "–", ha="center", va="center", fontsize=9)
    right.set_xticks(wells)
    right.set_yticks(wells)
    right.set(xlabel="to core", ylabel="from core")
    right.set_title("crossings, all replicas", fontsize=10)
    drawn.suptitle(
        f"Where the dynamics spends its steps: {result.replicas:,} replicas of {result.steps:,} steps", fontsize=11
    )
    return style.settled(drawn)
