"""Accuracy over learning rate and batch size, with the lines on which SGD's noise scale is the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke

from sdesgd.optimal_batch.factors import EXAMPLES, MOMENTUM
from sdesgd.optimal_batch.series import SeriesSummary
from sdesgd.plot.optimal_batch import DERIVED, SHOWN, log_axis


def draw_map(axes: Axes, shown: Sequence[SeriesSummary], centre: SeriesSummary | None = None) -> None:
    """Accuracy over (η, B) with the lines of equal noise scale g = η(N/B − 1)/(1−m) through it.

    Args:
        axes: to draw on.
        shown: series of one N and m, ascending in η.
        centre: the series through whose best B the solid line goes; default: the middle one.
    """
    centre = centre or shown[len(shown) // 2]
    rates = np.array([series.learning_rate for series in shown])
    sizes = np.array(sorted({B for series in shown for B in series.batch_sizes.tolist()}))
    accuracy = np.full((len(sizes), len(rates)), np.nan)
    for k, series in enumerate(shown):
        accuracy[np.searchsorted(sizes, series.batch_sizes), k] = 100 * series.mean
    top = np.nanmax(accuracy)
    norm = Normalize(top - 2 * SHOWN, top)
    mesh = axes.pcolormesh(_edges(rates), _edges(sizes), accuracy, cmap="viridis", norm=norm, rasterized=True)
    axes.set_facecolor("0.35")
    axes.get_figure(root=True).colorbar(mesh, ax=axes, label="test accuracy (%)", extend="min", pad=0.02)  # type: ignore[union-attr]
    N, m = centre.of(EXAMPLES), centre.of(MOMENTUM)
    ends = _edges(rates)
    rate = np.geomspace(ends[0], ends[-1], 200)
    through = centre.learning_rate * (N / centre.best - 1) / (1 - m)
    for k in (-2, -1, 0, 1, 2):
        _draw_scale(axes, rate, through * 4.0**k, (N, m), (sizes[0], sizes[-1]), k)
    axes.plot(rates, [series.best for series in shown], "s", ms=7, mfc="none", mec="#ff3b30", mew=1.8)
    axes.set(xlabel="learning rate η", ylabel="batch size B", xlim=_edges(rates)[[0, -1]], ylim=_edges(sizes)[[0, -1]])
    log_axis(axes, "x", list(rates))
    log_axis(axes, "y", list(sizes))
    note = f"lines: equal g = η(N/B − 1)/(1−m)\nN = {N:g}, m = {m:g}; squares: best B; grey: no run trained"
    axes.text(0.98, 0.03, note, transform=axes.transAxes, color="white", fontsize=9, ha="right", va="bottom")


def _draw_scale(axes: Axes, rate: np.ndarray, g: float, place: tuple, sizes: tuple, k: int) -> None:
    """B at which the noise scale is g, along η."""
    N, m = place
    B = N / (1 + g * (1 - m) / rate)
    axes.plot(rate, B, color="white", lw=1.6 if k == 0 else 0.9, ls="-" if k == 0 else DERIVED["linestyle"])
    places = np.flatnonzero((sizes[0] < B) & (sizes[1] > B))
    if len(places):
        at = places[-1 - len(places) // 12] if k <= 0 else places[len(places) // 2]
        text = axes.annotate(f"g = {g:.3g}", (rate[at], B[at]), color="white", fontsize=8.5, ha="right", va="bottom")
        text.set_path_effects([withStroke(linewidth=2, foreground="0.25")])  # white on yellow can't be read


def _edges(centres: Any) -> np.ndarray:
    """Boundaries of the boxes about these places, on a log axis."""
    logs = np.log(np.asarray(centres, float))
    if len(logs) == 1:
        return np.exp([logs[0] - 0.3, logs[0] + 0.3])
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))
