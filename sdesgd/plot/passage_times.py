"""First-passage times: how many passages take longer than n steps."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.basins.passage_times import PassageTimes

_HALF = 1.959964


def figure_of(result: "PassageTimes") -> Figure:
    """The survival function on a log scale: the exponential law, of a passage without memory, is a straight line.

    Args:
        result: of ``basins.first_passage``.
    """
    drawn = style.figure(6.4, 4.2)
    axes = drawn.add_subplot()
    steps, share = result.survival
    count, look = len(steps), style.look("SGD")
    # Wilson's interval, which is no wider than it must be at the ends.
    scale = 1 + _HALF**2 / count
    centre = (share + _HALF**2 / (2 * count)) / scale
    half = _HALF * np.sqrt(share * (1 - share) / count + _HALF**2 / (4 * count**2)) / scale
    axes.fill_between(steps, centre - half, centre + half, step="post", color=look.colour, alpha=style.BAND, lw=0,
                      label="pointwise 95 % intervals")  # fmt: skip
    axes.step(np.concatenate([[0], steps]), np.concatenate([[1.0], share]), where="post", color=look.colour,
              linewidth=style.LINE, label="measured")  # fmt: skip
    n = np.linspace(0, steps[-1], 200)
    axes.plot(n, np.exp(-n / result.mean_steps), label="exponential law of this mean",
              **style.look("theory").line_options())  # fmt: skip
    axes.set_yscale("log")
    axes.set(xlabel="SGD steps n", ylabel="share of passages that take longer than n", ylim=(0.5 / count, 1.5),
             xlim=(0, 1.02 * steps[-1]))  # fmt: skip
    mean = f"mean {result.mean_steps:.4g} ± {result.standard_error_steps:.2g} steps (standard error)"
    axes.set_title(f"First passages of {count:,} replicas: {mean}", fontsize=11)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    return style.settled(drawn)
