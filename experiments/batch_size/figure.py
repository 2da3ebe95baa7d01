"""The figure of batch-size: accuracy against B for each family; below it B_opt against what the family varies, with
the derived line and the band of the fit; then accuracy over (η, B), prior and posterior of the exponents, the key."""

import math

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.batch_size.answer import answer, describe
from experiments.batch_size.config import FAMILIES
from experiments.batch_size.summary import position
from sdesgd.optimal_batch import Band, CurveBand, Peak, SeriesSummary
from sdesgd.plot import accuracy_map
from sdesgd.plot import optimal_batch as plot
from sdesgd.plot.style import settled

_NOISE = "#d95f02"


def draw(dataset: xr.Dataset, summary: dict) -> Figure:
    """Two panels a family, then the heat map where η is varied, the exponents, the key.

    Args:
        summary: of ``batch_size.compute``.
    """
    del dataset
    families = summary["families"]
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
        draw_curves(curves, summary, family)
        draw_peaks(peaks, summary, family)
    bottom = ["heat"] * ("rate" in families) + ["slopes", "key"]
    below = outer[rows - 1].subgridspec(1, len(bottom), width_ratios=[1.0 if x != "slopes" else 0.9 for x in bottom])
    for k, name in enumerate(bottom):
        if name == "slopes":
            _draw_slopes(figure, below[0, k], summary)
        else:
            {"heat": _draw_heat, "key": _draw_key}[name](figure.add_subplot(below[0, k]), summary)
    order = [a for a in figure.axes if a.get_label() != "<colorbar>" and a.get_gid() != "unlettered"]
    for axis in order:
        axis.set_title(f"{next(letters)}  {axis.get_title(loc='left')}", loc="left", fontsize=12, weight="bold")
    figure.suptitle(answer(summary, "\n"), fontsize=13)
    return settled(figure)


def members(summary: dict, family: str) -> list[dict]:
    """The series of a family, ascending."""
    found = [series for series in summary["series"] if family in series["families"]]
    return sorted(found, key=lambda series: position(series, family))


def shown(series: dict) -> SeriesSummary:
    """A series of the summary as the library draws it."""
    cells, best = series["cells"], series["best"]
    mean, low, high = (np.array([math.nan if c[name] is None else c[name] for c in cells], float)
                       for name in ("mean", "low", "high"))  # fmt: skip
    curve = {name: np.asarray(column) for name, column in series["curve"].items()}
    unknown = np.full(len(curve["median"]), np.nan)
    below, above = (math.nan if best[side] is None else best[side] for side in ("low", "high"))
    place = series["learning_rate"], int(series["num_examples"]), series["momentum"]
    sizes, edges = np.array([c["batch_size"] for c in cells]), (best["batch_size"], below, above, best["censored"])
    fitted = Peak(**series["peak"]), CurveBand(**curve, run_low=unknown, run_high=unknown)
    return SeriesSummary(*place, sizes, mean, low, high, *edges, *fitted)


def draw_curves(axis, summary: dict, family: str) -> None:
    """Accuracy against B for the series of a family."""
    plot.draw_curves(axis, [shown(series) for series in members(summary, family)], FAMILIES[family])
    axis.set_title(f"Accuracy, {_varied(summary, family)}", loc="left")


def _varied(summary: dict, family: str) -> str:
    """'η varied at N = 1000, m = 0.9'."""
    config = summary["config"]
    others = [f"{factor.symbol} = {config[factor.option]:g}" for name, factor in FAMILIES.items() if name != family]
    return f"{FAMILIES[family].symbol} varied at {', '.join(others)}"


def draw_peaks(axis, summary: dict, family: str) -> None:
    """B_opt against what a family varies: both laws, and McCandlish's noise scales where they were measured."""
    factor, found, line = FAMILIES[family], members(summary, family), summary["lines"][family]
    x = np.asarray(line["x"])
    plot.draw_law(axis, Band(factor.inverse(x), *(np.asarray(line[k]) for k in ("median", "low", "high"))), factor)
    axis.plot(x, line["derived"], **plot.DERIVED)
    grid = [c["batch_size"] for s in summary["series"] for c in s["cells"]]
    plot.draw_peaks(axis, [shown(series) for series in found], factor, grid)
    for series in found:
        for name, marker in (("simple", "x"), ("noise", "+")):
            scales = [p[name] for p in series.get("noise", []) if p[name] is not None]
            axis.plot([position(series, family) * 1.06] * len(scales), scales, marker, color=_NOISE, ms=5, lw=0)
    axis.set_ylim(min(grid) / 1.6, max(grid) * 1.6)
    axis.set_title(f"B_opt against {factor.grows}", loc="left")
    scales = [p[name] or 0.0 for s in found for p in s.get("noise", []) for name in ("simple", "noise")]
    if scales and max(scales) > axis.get_ylim()[1]:
        note = f"(noise scales go on above, to {float(f'{max(scales):.2g}'):,.0f})"
        axis.text(0.98, 0.03, note, transform=axis.transAxes, color=_NOISE, fontsize=9, ha="right")


def _draw_heat(axis, summary: dict) -> None:
    found = [shown(series) for series in members(summary, "rate")]
    centre = next((s for s in found if s.learning_rate == summary["config"]["learning_rate"]), None)
    accuracy_map.draw_map(axis, found, centre)
    axis.set_title("Accuracy over (η, B)", loc="left")


def _draw_slopes(figure: Figure, place, summary: dict) -> None:
    slopes = summary["fit"]["quantities"]
    factors = [FAMILIES[family] for family in summary["families"] if FAMILIES[family].exponent in slopes]
    inner = place.subgridspec(max(1, len(factors)), 1, hspace=0.05)
    for k, factor in enumerate(factors):
        axis, found = figure.add_subplot(inner[k, 0]), slopes[factor.exponent]
        x, prior, posterior = (np.asarray(found[name]) for name in ("x", "prior", "posterior"))
        plot.draw_exponent(axis, factor, x, prior, posterior, (found["median"], found["low"], found["high"]))
        if k < len(factors) - 1:
            axis.tick_params(labelbottom=False)
        if k:
            axis.set_gid("unlettered")
        else:
            axis.set_title("Exponents: prior (grey) to posterior", loc="left")
        if k == len(factors) - 1:
            axis.set_xlabel("exponent in B_opt ∝ η^α N^β (1−m)^−γ;  dashed: derived, 1")


def _draw_key(axis, summary: dict) -> None:
    axis.set_axis_off()
    axis.set_gid("unlettered")
    handles = plot.key_of_peaks()
    handles.insert(2, Line2D([], [], label="derived: B = N/(1 + c(1−m)/η), c fitted", **plot.DERIVED))
    if any("noise" in series for series in summary["series"]):
        labels = {"x": "B_simple = tr C/‖g‖² along such runs", "+": "B_noise = tr(HC)/gᵀHg along such runs"}
        handles += [Line2D([], [], marker=k, color=_NOISE, lw=0, label=text) for k, text in labels.items()]
    axis.legend(handles=handles, loc="upper left", fontsize=9.5, frameon=False)
    axis.text(0.02, 0.42, describe(summary), transform=axis.transAxes, va="top", fontsize=9.5)
