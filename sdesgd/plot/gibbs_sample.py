"""Draws from the Gibbs law: marginals of each coordinate, chain by chain."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.stationary.gibbs_sample import GibbsSample

_MOST, _BINS, _MOST_CHAINS = 4, 40, 12


def figure_of(result: "GibbsSample") -> Figure:
    """A histogram of each of the first coordinates: all draws filled, and each chain as a line.

    Args:
        result: of ``stationary.sample_gibbs``.
    """
    chains, n, D = result.points.shape
    shown = min(D, _MOST)
    drawn = style.figure(1.2 + 3.4 * shown, 3.8)
    look = style.look("Gibbs")
    for k, axes in enumerate(drawn.subplots(1, shown, squeeze=False)[0]):
        draws = result.points[..., k]
        finite = draws[np.isfinite(draws)]
        edges = np.histogram_bin_edges(finite, _BINS)
        axes.hist(finite, edges, density=True, color=look.colour, alpha=0.3, label="all chains")
        for chain in range(min(chains, _MOST_CHAINS)):
            of_chain = draws[chain][np.isfinite(draws[chain])]
            axes.hist(of_chain, edges, density=True, histtype="step", lw=0.9, color=style.BASINS[chain % 8],
                      label="each chain" if chain == 0 else None)  # fmt: skip
        name = "θ" if D == 1 else f"θ{chr(0x2081 + k)}"
        axes.set(xlabel=name, ylabel=f"probability density, per unit of {name}" if k == 0 else "")
        if len(result.r_hat) == D:
            axes.set_title(f"R-hat {result.r_hat[k]:.3f}, ESS {result.ess[k]:,.0f}", fontsize=10)
    drawn.axes[0].legend(fontsize=8, frameon=False)
    mixed = "have not mixed" if result.trouble else "agree"
    text = f"Draws from exp(−V/T): {chains} chains of {n:,} {mixed}"
    drawn.suptitle(text + (f" ({shown} of {D} coordinates)" if shown < D else ""), fontsize=11)
    return style.settled(drawn)
