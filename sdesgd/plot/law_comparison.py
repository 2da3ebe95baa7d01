"""The figure of two laws compared: by how much each predicts each left-out series better."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from sdesgd.optimal_batch.comparison import LawComparison
from sdesgd.plot.optimal_batch import FIT
from sdesgd.plot.style import figure, settled


def comparison_figure(comparison: LawComparison) -> Figure:
    """Log predictive density of each left-out series: power law minus one-parameter law."""
    each = comparison.density["power"] - comparison.density["noise_scale"]
    drawn = figure(7.5, 1.6 + 0.28 * len(each))
    axes = drawn.subplots()
    places = np.arange(len(each))
    axes.barh(places, each, color=FIT, alpha=0.6)
    axes.axvline(0.0, color="black", lw=1)
    axes.set_yticks(places, comparison.series or [str(k) for k in places])
    axes.invert_yaxis()
    axes.set_ylabel("series left out")
    axes.set_xlabel(
        "log predictive density, power law − one-parameter law (nats); right: the power law predicts better"
    )
    drawn.suptitle("\n".join(textwrap.wrap(str(comparison), 100)), fontsize=10)
    return settled(drawn)
