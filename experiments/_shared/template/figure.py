"""One panel: measured variances with their errors, and the law."""

import numpy as np
from matplotlib.figure import Figure

from experiments._shared.template.result import Result


def draw(result: Result) -> Figure:
    """Variance against η.

    Args:
        result: of ``compute``.
    """
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    rate = [row.learning_rate for row in result.rows]
    error = np.array([row.error for row in result.rows])
    axes.plot(rate, [row.law for row in result.rows], color="black", lw=1, label="law, η/(2 − η)")
    variance = [row.variance for row in result.rows]
    axes.errorbar(rate, variance, 1.96 * error, fmt="o", capsize=3, label="SGD, 95 % intervals")
    axes.set(xlabel="learning rate η", ylabel="variance of θ", title="SGD about the minimum of a parabola")
    axes.legend()
    return figure
