"""The figure of batch-size: accuracy against B for each family; below it B_opt against what the family varies, with
the derived line and the band of the fit; then accuracy over (η, B), prior and posterior of the exponents, the key."""

import math

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.batch_size.config import FAMILIES
from experiments.batch_size.fits import densities
from experiments.batch_size.result import Result
from sdesgd.plot import accuracy_map
from sdesgd.plot import optimal_batch as plot
from sdesgd.plot.style import settled

_NOISE = "#d95f02"


def draw(result: Result) -> Figure:
    """Two panels a family, then the heat map where η is varied, the exponents, the key.

    Args:
        result: of ``compute``.
    """
    families = result.families
    wide = len(families) == 1
    rows = (1 if wide else 2) + 1
    figure = Figure(figsize=(15.5, 0.9 + 4.6 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, hspace=0.04, wspace=0.03)  # type: ignore[union-attr]
    outer = figure.add_gridspec(rows, 1)
    above = outer[: rows - 1].subgridspec(1 if wide else 2, 2 if wide else len(families))
    letters = iter("ABCDEFGHIJ")
    for k, family in enumerate(families):
        curves = figure.add_subplot(above[0, k])
        peaks = figure.add_subplot(above[0, 1] if wide else above[1, k])
        draw_curves(curves, result, family)
        draw_peaks(peaks, result, family)
    bottom = ["heat"] * ("rate" in families) + ["slopes", "key"]
    below = outer[rows - 1].subgridspec(1, len(bottom), width_ratios=[1.0 if x != "slopes" else 0.9 for x in bottom])
    for k, name in enumerate(bottom):
        if name == "slopes":
            _draw_slopes(figure, below[0, k], result)
        else:
            {"heat": _draw_heat, "key": _draw_key}[name](figure.add_subplot(below[0, k]), result)
    order = [a for a in figure.axes if a.get_label() != "<colorbar>" and a.get_gid() != "unlettered"]
    for axis in order:
        axis.set_title(f"{next(letters)}  {axis.get_title(loc='left')}", loc="left", fontsize=12, weight="bold")
    figure.suptitle(result.answer("\n"), fontsize=13)
    return settled(figure)


def draw_curves(axis, result: Result, family: str) -> None:
    """Accuracy against B for the series of a family."""
    plot.draw_curves(axis, [one.fitted for one in result.members(family)], FAMILIES[family])
    axis.set_title(f"Accuracy, {_varied(result, family)}", loc="left")


def _varied(result: Result, family: str) -> str:
    """'η varied at N = 1000, m = 0.9'."""
    others = [
        f"{factor.symbol} = {getattr(result.sweep, factor.option):g}"
        for name, factor in FAMILIES.items()
        if name != family
    ]
    return f"{FAMILIES[family].symbol} varied at {', '.join(others)}"


def draw_peaks(axis, result: Result, family: str) -> None:
    """B_opt against what a family varies: both laws, and McCandlish's noise scales where they were measured."""
    factor, found, derived = FAMILIES[family], result.members(family), result.line("noise_scale", family)
    plot.draw_law(axis, result.line("power", family), factor)
    axis.plot(factor.transform(derived.values), derived.median, **plot.DERIVED)
    grid = [cell.batch_size for one in result.series for cell in one.cells]
    plot.draw_peaks(axis, [one.fitted for one in found], factor, grid)
    for one in found:
        for name, marker in (("simple", "x"), ("noise", "+")):
            scales = [getattr(scale, name) for scale in one.noise]
            axis.plot([one.position(family) * 1.06] * len(scales), scales, marker, color=_NOISE, ms=5, lw=0)
    axis.set_ylim(min(grid) / 1.6, max(grid) * 1.6)
    axis.set_title(f"B_opt against {factor.grows}", loc="left")
    scales = [scale for one in found for at in one.noise for scale in (at.simple, at.noise) if math.isfinite(scale)]
    if scales and max(scales) > axis.get_ylim()[1]:
        note = f"(noise scales go on above, to {float(f'{max(scales):.2g}'):,.0f})"
        axis.text(0.98, 0.03, note, transform=axis.transAxes, color=_NOISE, fontsize=9, ha="right")


def _draw_heat(axis, result: Result) -> None:
    found = [one.fitted for one in result.members("rate")]
    centre = next((s for s in found if s.learning_rate == result.sweep.learning_rate), None)
    accuracy_map.draw_map(axis, found, centre)
    axis.set_title("Accuracy over (η, B)", loc="left")


def _draw_slopes(figure: Figure, place, result: Result) -> None:
    found = result.exponents()
    inner = place.subgridspec(max(1, len(found)), 1, hspace=0.05)
    for k, (factor, interval) in enumerate(found):
        axis = figure.add_subplot(inner[k, 0])
        x, prior, posterior = densities(result.posteriors["power"], factor.exponent)
        plot.draw_exponent(axis, factor, x, prior, posterior, interval)
        if k < len(found) - 1:
            axis.tick_params(labelbottom=False)
        if k:
            axis.set_gid("unlettered")
        else:
            axis.set_title("Exponents: prior (grey) to posterior", loc="left")
        if k == len(found) - 1:
            axis.set_xlabel("exponent in B_opt ∝ η^α N^β (1−m)^−γ;  dashed: derived, 1")


def _draw_key(axis, result: Result) -> None:
    axis.set_axis_off()
    axis.set_gid("unlettered")
    handles = plot.key_of_peaks()
    handles.insert(2, Line2D([], [], label="derived: B = N/(1 + c(1−m)/η), c fitted", **plot.DERIVED))
    if any(one.noise for one in result.series):
        labels = {"x": "B_simple = tr C/‖g‖² along such runs", "+": "B_noise = tr(HC)/gᵀHg along such runs"}
        handles += [Line2D([], [], marker=k, color=_NOISE, lw=0, label=text) for k, text in labels.items()]
    axis.legend(handles=handles, loc="upper left", fontsize=9.5, frameon=False)
    axis.text(0.02, 0.42, _describe(result), transform=axis.transAxes, va="top", fontsize=9.5)


def _describe(result: Result) -> str:
    """The setting and what the fit misses, in lines."""
    lines = [*result.setting(), "points: mean accuracy with its 95 % interval over runs"]
    missed = [f"{name}, p = {p:.2g}" for name, p in result.check.missed.items()]
    return "\n".join([*lines, *([f"posterior predictive check, missed: {'; '.join(missed)}"] if missed else [])])
