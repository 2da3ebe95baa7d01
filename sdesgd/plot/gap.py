"""The predicted gap between Gaussian SGD and the SDE, as a picture."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.comparison.gap import Gap

_HALF = 1.959964


def figure_of(result: "Gap") -> Figure:
    """One panel for each observable that is a number; of vectors, the first component.

    Args:
        result: of ``sg.predict_gap``.
    """
    names = list(result.mean)
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = style.figure(max(5.0, 4.2 * columns), 0.6 + 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
    colour = style.PARTS["discretisation"].colour
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for name, axis in zip(names, axes.flat, strict=False):
        size = len(result.time), -1
        mean, error = (
            np.asarray(part[name], float).reshape(size)[:, 0] for part in (result.mean, result.standard_error)
        )
        axis.axhline(0, color="0.5", lw=0.8)
        axis.fill_between(result.time, mean - _HALF * error, mean + _HALF * error, color=colour, alpha=style.BAND, lw=0)
        axis.plot(result.time, mean, color=colour, lw=style.LINE)
        axis.set_ylabel(f"Gaussian SGD − SDE, {name}")
        axis.set_xlabel("SDE time t")
    figure.suptitle(
        f"Gap predicted from finite η, {len(result.diverged)} coupled pairs\nbands: pointwise 95 % intervals",
        fontsize=11,
    )
    return style.settled(figure)
