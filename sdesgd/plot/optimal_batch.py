"""Figures of the best batch size: accuracy against B, B_opt against η, N and 1/(1−m), the exponents.

``draw_curves``, ``draw_peaks``, ``draw_law`` and ``draw_exponent`` draw on axes of one's own; the others are whole.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from sdesgd.optimal_batch.factors import FACTORS, MOMENTUM, RATE, Factor
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.prediction import Band, Peak, Recommendation
from sdesgd.optimal_batch.recommending import Advice
from sdesgd.optimal_batch.report import headline, peak_in_words
from sdesgd.optimal_batch.series import SeriesSummary, along, fitted_summaries, summaries
from sdesgd.optimal_batch.table import AccuracyTable
from sdesgd.plot.style import BAND, LINE, MARGIN, RUNS, figure, settled
from sdesgd.types import RealScalarLike

FIT, BEST = RUNS["SDE"].colour, "0.55"
DERIVED = {"color": "black", "linestyle": (0, (5, 2.5)), "linewidth": 1.8}
SHOWN = 6.0  # percentage points of accuracy below the worst peak at which the curves are cut off
_REACH = 1.15  # lines go beyond the outer points by this factor


def posterior_figure(posterior: Posterior) -> Figure:
    """Above, accuracy against B for the series that differ in η, in N, in m; below, B_opt against each."""
    shown, trouble = fitted_summaries(posterior), posterior.trouble()
    drawn, below = _panels(posterior.table, shown)
    for factor, axes, members in below:
        draw_law(axes, posterior_line(posterior, members, factor), factor)
    if below:
        below[0][1].legend(handles=_key(), fontsize=8.5, loc="best", framealpha=0.85)
        title = headline(posterior, "\n")
    else:
        mark_peak(drawn.axes[0], shown[0])
        title = f"Best batch size: {' '.join(peak_in_words(posterior.peak(0)))}"
    warning = "\nNot to be used: " + "\n".join(textwrap.wrap(trouble, 100)) if trouble else ""
    drawn.suptitle(title + warning, fontsize=12)
    return settled(drawn)


def table_figure(table: AccuracyTable) -> Figure:
    """As of a posterior, without the fit: mean accuracies, and the best sampled batch sizes with their neighbours."""
    drawn, below = _panels(table, summaries(table))
    if below:
        below[0][1].legend(handles=[_key()[-1]], fontsize=8.5, loc="best", framealpha=0.85)
    drawn.suptitle(
        f"Test accuracy of {len(table.seed)} runs; points: means with 95 % intervals over seeds", fontsize=12
    )
    return settled(drawn)


def _panels(
    table: AccuracyTable, shown: Sequence[SeriesSummary]
) -> tuple[Figure, list[tuple[Factor, Axes, list[SeriesSummary]]]]:
    """The figure, and for each factor that varies its lower axes and the series that are shown there."""
    factors = [factor for factor in FACTORS if len(along(table, factor)) > 1]
    if not factors:
        drawn = figure(7.0, 5.0)
        axes = drawn.subplots()
        draw_curves(axes, shown[:1], RATE)
        axes.set_title(shown[0].name, loc="left", fontsize=10.5)
        return drawn, []
    drawn, below = figure(5.2 * max(len(factors), 1.5), 9.4), []
    axes = drawn.subplots(2, len(factors), squeeze=False)
    for k, factor in enumerate(factors):
        members = [shown[index] for index in along(table, factor)]
        draw_curves(axes[0, k], members, factor)
        others = ", ".join(f"{one.symbol} = {members[0].of(one):g}" for one in FACTORS if one is not factor)
        axes[0, k].set_title(f"Accuracy, {factor.symbol} varied at {others}", loc="left", fontsize=10.5)
        draw_peaks(axes[1, k], members, factor)
        axes[1, k].set_title(f"B_opt against {factor.grows}", loc="left", fontsize=10.5)
        below.append((factor, axes[1, k], members))
    return drawn, below


def posterior_line(posterior: Posterior, shown: Sequence[SeriesSummary], factor: Factor) -> Band:
    """The law's B_opt along a factor, a little beyond the series shown; ``values`` are those of the factor."""
    places = [series.position(factor) for series in shown]
    x = np.geomspace(min(places) / _REACH, max(places) * _REACH, 60)
    x = x[x >= 1] if factor is MOMENTUM else x
    fixed = {other.option: shown[0].of(other) for other in FACTORS if other is not factor}
    return posterior.line(factor.option, factor.inverse(x), **fixed)


def advice_figure(advice: Advice) -> Figure:
    """Accuracy against B; for a given learning rate with the interval of B, else beside it B_opt against η."""
    shown, found = fitted_summaries(advice.posterior), advice.answer
    given_size = advice.batch_size is not None
    drawn = figure(12.5 if given_size else 7.0, 5.2)
    axes = np.atleast_1d(drawn.subplots(1, 2 if given_size else 1))
    draw_curves(axes[0], shown, RATE)
    title = f"N = {advice.num_examples}, m = {advice.momentum:g}, {advice.num_steps:,} steps"
    axes[0].set_title(title, loc="left", fontsize=10.5)
    if given_size:
        draw_peaks(axes[1], shown, RATE)
        draw_law(axes[1], posterior_line(advice.posterior, shown, RATE), RATE)
        axes[1].axhline(advice.batch_size, color="black", lw=1)
    if isinstance(found, Recommendation):
        mark(axes[-1], found.median, found.low, found.high)
    drawn.suptitle(
        "\n".join(line for text in str(advice).split("\n") for line in textwrap.wrap(text, 110 if given_size else 72)),
        fontsize=10.5,
    )
    return settled(drawn)


# -- accuracy against B ------------------------------------------------------------------------------------


def draw_curves(axes: Axes, shown: Sequence[SeriesSummary], factor: Factor) -> None:
    """Mean accuracies with their 95 % intervals, and the posterior of the curve with its band.

    Args:
        axes: to draw on.
        shown: the series, ascending in the factor.
        factor: what the legend names.
    """
    for series, colour in zip(shown, colours(len(shown)), strict=True):
        if series.curve is not None:
            x = series.curve.batch_sizes
            axes.fill_between(x, 100 * series.curve.low, 100 * series.curve.high, color=colour, alpha=0.25, lw=0)
            axes.plot(x, 100 * series.curve.median, color=colour, lw=LINE)
        known = np.isfinite(series.mean)
        mean, low, high = (100 * values[known] for values in (series.mean, series.low, series.high))
        bars = np.nan_to_num(np.stack([mean - low, high - mean]))
        label = f"{factor.symbol} = {series.of(factor):g}"
        axes.errorbar(
            series.batch_sizes[known], mean, bars, fmt="o", ms=4, lw=1.1, capsize=2, color=colour, label=label
        )
    peaks = [100 * np.nanmax(series.mean) for series in shown if np.isfinite(series.mean).any()] or [100.0]
    axes.set(xlabel="batch size B", ylabel="test accuracy (%)", ylim=(min(peaks) - SHOWN, max(peaks) + 1.0))
    log_axis(axes, "x", [B for series in shown for B in series.batch_sizes.tolist()])
    axes.grid(color=MARGIN, lw=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8.5, loc="lower right", frameon=True, framealpha=0.85)


def mark_peak(axes: Axes, series: SeriesSummary) -> None:
    """The interval of B_opt, cut off at the ends of the axis, and its median."""
    if series.peak is not None:
        mark(axes, series.peak.median, series.peak.low, series.peak.high)


def mark(axes: Axes, middle: float, low: float, high: float) -> None:
    """A vertical line and band, cut off at the ends of the axis.

    Args:
        axes: to draw on.
        middle: the line.
        low: the lower end of the band.
        high: the upper end.
    """
    ends = axes.get_xlim()
    axes.axvspan(max(low, ends[0]), min(high, ends[1]), color=FIT, alpha=0.15, lw=0)
    axes.axvline(middle, color=FIT, lw=1.5)
    axes.set_xlim(ends)


# -- the best B --------------------------------------------------------------------------------------------


def draw_peaks(axes: Axes, shown: Sequence[SeriesSummary], factor: Factor, grid: Sequence[RealScalarLike] = ()) -> None:
    """B_opt of each series against a factor: posterior, and best sampled B with its neighbours beside it.

    Args:
        axes: to draw on.
        shown: the series.
        factor: of the x axis.
        grid: batch sizes that the y axis shows; default: those of the series.
    """
    places = [series.position(factor) for series in shown]
    for place, series in zip(places, shown, strict=True):
        _draw_best(axes, place / 1.05, series)
        if series.peak is not None:
            _draw_peak(axes, place, series.peak)
    axes.set(xlabel=factor.label, ylabel="best batch size B_opt")
    sizes = list(grid) or [B for series in shown for B in series.batch_sizes.tolist()]
    log_axis(axes, "x", places)
    log_axis(axes, "y", sizes)
    axes.set_ylim(min(sizes) / 1.6, max(sizes) * 1.6)
    axes.grid(color=MARGIN, lw=0.8)
    axes.set_axisbelow(True)


def draw_law(axes: Axes, line: Band, factor: Factor) -> None:
    """The law's B_opt along a factor, median and band."""
    x = factor.transform(line.values)
    axes.fill_between(x, line.low, line.high, color=FIT, alpha=BAND, lw=0)
    axes.plot(x, line.median, color=FIT, lw=LINE)


def _draw_peak(axes: Axes, place: float, peak: Peak) -> None:
    bars = [[peak.median - peak.low], [peak.high - peak.median]]
    inside = "white" if peak.censored else FIT
    axes.errorbar([place], [peak.median], bars, fmt="o", ms=6, lw=LINE, capsize=3, color=FIT, mfc=inside, zorder=4)


def _draw_best(axes: Axes, place: float, series: SeriesSummary) -> None:
    """Best sampled B with its neighbours; an arrow where there is none."""
    low, high = (series.best if np.isnan(end) else end for end in (series.best_low, series.best_high))
    axes.plot([place, place], [low, high], color=BEST, lw=1.2, alpha=0.8)
    axes.plot(place, series.best, "s", ms=6, mfc="white", mec=BEST)
    for side, factor in (("low", 1 / 1.5), ("high", 1.5)):
        if series.censored in (side, "both"):
            ends = (place, series.best * factor), (place, series.best)
            axes.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": BEST})


def key_of_peaks() -> list[Any]:
    """Entries of a legend for ``draw_peaks`` and ``draw_law``."""
    fit = "B_opt: posterior median and 90 % interval (open: at the grid's edge)"
    best = "best sampled B and its neighbours (arrow: none beyond)"
    return [
        Line2D([], [], marker="o", color=FIT, lw=LINE, label=fit),
        Patch(color=FIT, alpha=0.25, label="law fitted to all series: 90 % band; same in the curves"),
        Line2D([], [], marker="s", color=BEST, mfc="white", lw=1.2, label=best),
    ]


def _key() -> list[Any]:
    return [
        Line2D([], [], marker="o", color=FIT, lw=LINE, label="B_opt, 90 % interval (open: may lie off the grid)"),
        Patch(color=FIT, alpha=0.25, label="fitted law, 90 % band"),
        Line2D([], [], marker="s", color=BEST, mfc="white", lw=1.2, label="best sampled B, its neighbours"),
    ]


# -- exponents ---------------------------------------------------------------------------------------------


def draw_exponent(
    axes: Axes,
    factor: Factor,
    x: Float[np.ndarray, " x"],
    prior: Float[np.ndarray, " x"],
    posterior: Float[np.ndarray, " x"],
    numbers: tuple[float, float, float],
) -> None:
    """Prior and posterior density of an exponent.

    Args:
        axes: to draw on.
        factor: whose exponent.
        x: exponents.
        prior: its density there.
        posterior: the same.
        numbers: posterior median and the ends of its interval.
    """
    axes.fill_between(x, prior, color="0.85", lw=0)
    axes.plot(x, prior, color="0.6", lw=1)
    axes.fill_between(x, posterior, color=FIT, alpha=0.35, lw=0)
    axes.plot(x, posterior, color=FIT, lw=LINE)
    axes.axvline(1.0, **DERIVED)
    text = f"{factor.letter} = {numbers[0]:.2f}\n[{numbers[1]:.2f}, {numbers[2]:.2f}]"
    axes.text(0.02, 0.9, text, transform=axes.transAxes, va="top", fontsize=10)
    axes.set(xlim=(x[0], x[-1]), yticks=[], ylim=(0, None))


# -- axes --------------------------------------------------------------------------------------------------


def colours(count: int) -> list:
    """One for each of so many series, dark to light."""
    return [colormaps["viridis"](x) for x in np.linspace(0.0, 0.88, count)]


def log_axis(axes: Axes, name: str, ticks: Sequence[Any]) -> None:
    """A log axis with a tick at each of the values.

    Args:
        axes: whose.
        name: "x" or "y".
        ticks: values.
    """
    axes.set(**{f"{name}scale": "log"})
    which = getattr(axes, f"{name}axis")
    which.set_ticks(sorted(set(ticks)))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())
    which.set_minor_locator(NullLocator())
