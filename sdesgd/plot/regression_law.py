"""The exact stationary variances of SGD on linear regression, beside those of the SDE."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.stationary.regression_law import RegressionLaw


def figure_of(result: "RegressionLaw") -> Figure:
    """Variance along each eigenvector of H, and below its ratio to the SDE's.

    Args:
        result: of ``stationary.regression_covariance``.
    """
    eigenvalues, exact, law = result.along_hessian()
    drawn = style.figure(6.4, 5.2)
    above, below = drawn.subplots(2, 1, sharex=True, height_ratios=[1.6, 1])
    where = eigenvalues * result.learning_rate
    for values, name, label in ((law, "SDE", "SDE (Ornstein–Uhlenbeck), constant C"), (exact, "SGD", "SGD, exact")):
        look = style.look(name)
        above.plot(where, values, marker=look.marker, label=label, **look.line_options() | {"linestyle": ":"})
    spread = np.concatenate([law, exact])
    above.set(ylabel="variance, units of θ²", yscale="log" if spread.max() > 5 * spread.min() > 0 else "linear")
    above.legend(fontsize=8, frameon=False)
    below.axhline(1, color=style.look("SDE").colour, linewidth=1.2)
    with np.errstate(divide="ignore", invalid="ignore"):
        below.plot(where, exact / law, "o:", color=style.look("SGD").colour)
    below.set(xlabel="ηλ, curvature along an eigenvector of H × learning rate", ylabel="SGD ÷ SDE")
    if where[-1] > 5 * where[0]:
        below.set_xscale("log")
    drawn.suptitle(f"Stationary variance of SGD on linear regression\n{result.setting()}", fontsize=11)
    return style.settled(drawn)
