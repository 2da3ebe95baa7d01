"""An order of convergence: errors against step sizes on log axes, with the fitted power."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.evidence.slopes import OrderFit

_HALF = 1.959964


def figure_of(result: "OrderFit") -> Figure:
    """The points with 95 % intervals, the fit with its pointwise band, and the order in the title.

    Args:
        result: of ``evidence.order_fit``.
    """
    drawn = style.figure(5.6, 4.4)
    axes = drawn.add_subplot()
    h, errors = result.step_sizes, np.abs(result.errors)
    steps = np.geomspace(h.min() / 1.15, h.max() * 1.15, 100)
    fitted, low, high = result.band(steps)
    look = style.look("theory")
    axes.fill_between(steps, low, high, color=look.colour, alpha=style.BAND, lw=0)
    axes.plot(steps, fitted, color=look.colour, label=f"fit, pointwise {100 * result.confidence:g}% band")
    half = None if result.standard_errors is None else _HALF * result.standard_errors
    if half is not None:
        half = np.stack([np.minimum(half, 0.999 * errors), half])
    label = "errors" if half is None else "errors, 95% intervals"
    axes.errorbar(h, errors, half, fmt="o", color="black", capsize=3, label=label, zorder=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlabel="step size h", ylabel="|error|")
    order = f"p = {result.order:.2f} ({100 * result.confidence:g}% interval {result.low:.2f} to {result.high:.2f})"
    axes.set_title(f"|error| ∝ h^p with {order}", fontsize=11)
    axes.legend(fontsize=8, frameon=False)
    return style.settled(drawn)
