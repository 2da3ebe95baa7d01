"""The figure of batch-size recommend: accuracy against B, for a given B also B_opt against η."""

import math

import numpy as np
from matplotlib.figure import Figure

from experiments.batch_size.figure import draw_curves, draw_peaks
from experiments.batch_size_recommend.result import Recommended, Result
from sdesgd.plot import optimal_batch as plots


def draw(result: Result) -> Figure:
    """Accuracy against B; for a given B also B_opt against η.

    Args:
        result: of ``compute``.
    """
    asked = result.config
    figure = Figure(figsize=(8.5 if asked.learning_rate else 14, 5.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 if asked.learning_rate else 2))
    draw_curves(axes[0], result, "rate")
    if asked.learning_rate:
        _mark(axes[0], result.recommended)
        axes[0].set_title(f"η = {asked.learning_rate:g}, N = {asked.num_examples}, m = {asked.momentum:g}", loc="left")
    else:
        draw_peaks(axes[1], result, "rate")
        axes[1].axhline(asked.batch_size, color="black", lw=1)
        _mark(axes[1], result.recommended)
    figure.suptitle(result.answer(), fontsize=10.5)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _mark(axis, found: Recommended) -> None:
    """The recommended value and its interval."""
    if math.isfinite(found.median):
        plots.mark(axis, found.median, found.low if math.isfinite(found.low) else 0.0, found.high)
