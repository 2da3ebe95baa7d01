"""One panel: measured variances with their errors, and the law."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure


def draw(dataset: xr.Dataset, summary: dict) -> Figure:
    """Variance against η.

    Args:
        dataset: of ``compute``.
        summary: of ``compute``.
    """
    del dataset
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    rate, variance, error, law = (
        np.array([row[name] for row in summary["rows"]]) for name in ("learning_rate", "variance", "error", "law")
    )
    axes.plot(rate, law, color="black", lw=1, label="law, η/(2 − η)")
    axes.errorbar(rate, variance, 1.96 * error, fmt="o", capsize=3, label="SGD, 95 % intervals")
    axes.set(xlabel="learning rate η", ylabel="variance of θ", title="SGD about the minimum of a parabola")
    axes.legend()
    return figure
