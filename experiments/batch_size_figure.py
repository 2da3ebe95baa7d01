"""The figure of batch-size: accuracy against B for each family; below it B_opt against what the family varies, with
the derived line and the band of the fit; then accuracy over (η, B), prior and posterior of the exponents, the key."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from experiments.batch_size_fits import SLOPES
from experiments.batch_size_report import answer, describe
from experiments.batch_size_summary import position

_FIT, _DERIVED, _BEST, _NOISE = "#1f78b4", "black", "0.55", "#d95f02"
_DASHES = (0, (5, 2.5))
_SHOWN = 6.0  # points of accuracy below the worst peak at which the curves are cut off
_X = {
    "rate": ("learning_rate", "learning rate η"),
    "examples": ("num_examples", "training examples N"),
    "momentum": ("momentum", "1/(1−m)"),
}
_SYMBOLS = {"rate": "η", "examples": "N", "momentum": "m"}
_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ"}


def draw(summary: dict) -> Figure:
    """Two panels a family, then the heat map where η is varied, the exponents, the key.

    Args:
        summary: of ``batch_size.compute``.
    """
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
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def members(summary: dict, family: str) -> list[dict]:
    """The series of a family, ascending."""
    found = [series for series in summary["series"] if family in series["families"]]
    return sorted(found, key=lambda series: position(series, family))


# -- accuracy against B ------------------------------------------------------------------------------------


def _limits(shown: list[dict]) -> tuple[float, float]:
    """Percent: every peak in sight with its near sides."""
    means = [[c["mean"] for c in series["cells"] if c["mean"] is not None] for series in shown]
    peaks = [100 * max(values) for values in means if values] or [100.0]
    return min(peaks) - _SHOWN, max(peaks) + 1.0


def draw_curves(axis, summary: dict, family: str) -> None:
    shown = members(summary, family)
    for series, colour in zip(shown, _colours(len(shown)), strict=True):
        cells = [c for c in series["cells"] if c["mean"] is not None]
        B = np.asarray([c["batch_size"] for c in cells])
        mean, low, high = (100 * np.asarray([c[k] for c in cells], float) for k in ("mean", "low", "high"))
        curve = {name: np.asarray(column) for name, column in series["curve"].items()}
        x = curve["batch_sizes"]
        axis.fill_between(x, 100 * curve["low"], 100 * curve["high"], color=colour, alpha=0.25, lw=0)
        axis.plot(x, 100 * curve["median"], color=colour, lw=1.4)
        value = series[_X[family][0]]
        label = f"{_SYMBOLS[family]} = {value:g}"
        bars = np.nan_to_num(np.stack([mean - low, high - mean]))
        axis.errorbar(B, mean, bars, fmt="o", ms=4, lw=1.1, capsize=2, color=colour, label=label)
    axis.set(xlabel="batch size B", ylabel="test accuracy (%)", ylim=_limits(shown))
    axis.set_title(f"Accuracy, {_varied(summary, family)}", loc="left")
    _log_axis(axis.xaxis, axis, "x", [c["batch_size"] for s in shown for c in s["cells"]])
    axis.grid(color="0.93", lw=0.8)
    axis.legend(fontsize=8.5, loc="lower right", frameon=True, framealpha=0.85)


def _varied(summary: dict, family: str) -> str:
    """'η varied at N = 1000, m = 0.9'."""
    config = summary["config"]
    others = [f"{_SYMBOLS[k]} = {config[_X[k][0]]:g}" for k in _X if k != family]
    return f"{_SYMBOLS[family]} varied at {', '.join(others)}"


# -- the best B --------------------------------------------------------------------------------------------


def draw_peaks(axis, summary: dict, family: str) -> None:
    shown = members(summary, family)
    x = np.asarray([position(series, family) for series in shown])
    line = summary["lines"][family]
    axis.fill_between(line["x"], line["low"], line["high"], color=_FIT, alpha=0.18, lw=0)
    axis.plot(line["x"], line["median"], color=_FIT, lw=1.4)
    axis.plot(line["x"], line["derived"], color=_DERIVED, lw=1.8, ls=_DASHES)
    for k, series in enumerate(shown):
        _draw_best(axis, x[k] / 1.05, series)
        _draw_posterior(axis, x[k], series)
        for name, marker in (("simple", "x"), ("noise", "+")):
            found = [p[name] for p in series.get("noise", []) if p[name] is not None]
            axis.plot([x[k] * 1.06] * len(found), found, marker, color=_NOISE, ms=5, lw=0)
    axis.set(xlabel=_X[family][1], ylabel="best batch size B_opt")
    axis.set_title(f"B_opt against {_X[family][1].split()[-1]}", loc="left")
    _log_axis(axis.xaxis, axis, "x", list(x))
    grid = [c["batch_size"] for s in summary["series"] for c in s["cells"]]
    _log_axis(axis.yaxis, axis, "y", grid)
    axis.set_ylim(min(grid) / 1.6, max(grid) * 1.6)
    scales = [p[name] or 0.0 for s in shown for p in s.get("noise", []) for name in ("simple", "noise")]
    if scales and max(scales) > axis.get_ylim()[1]:
        note = f"(noise scales go on above, to {float(f'{max(scales):.2g}'):,.0f})"
        axis.text(0.98, 0.03, note, transform=axis.transAxes, color=_NOISE, fontsize=9, ha="right")
    axis.grid(color="0.93", lw=0.8)


def _draw_best(axis, x: float, series: dict) -> None:
    """Best sampled B with its neighbours; an arrow where there is none."""
    best = series["best"]
    low, high = (best[name] or best["batch_size"] for name in ("low", "high"))
    axis.plot([x, x], [low, high], color=_BEST, lw=1.2, alpha=0.8)
    axis.plot(x, best["batch_size"], "s", ms=6, mfc="white", mec=_BEST)
    for side, factor in (("low", 1 / 1.5), ("high", 1.5)):
        if best["censored"] in (side, "both"):
            tip = best["batch_size"] * factor
            axis.annotate("", (x, tip), (x, best["batch_size"]), arrowprops={"arrowstyle": "->", "color": _BEST})


def _draw_posterior(axis, x: float, series: dict) -> None:
    peak = series["peak"]
    filled = "white" if peak["censored"] else _FIT
    bars = [[peak["median"] - peak["low"]], [peak["high"] - peak["median"]]]
    axis.errorbar([x], [peak["median"]], bars, fmt="o", ms=6, lw=1.6, capsize=3, color=_FIT, mfc=filled, zorder=4)


# -- accuracy over (η, B), exponents, key ------------------------------------------------------------------


def _draw_heat(axis, summary: dict) -> None:
    shown = members(summary, "rate")
    rates = np.asarray([s["learning_rate"] for s in shown])
    sizes = np.asarray(sorted({c["batch_size"] for s in shown for c in s["cells"]}))
    accuracy = np.full((len(sizes), len(rates)), np.nan)
    for k, series in enumerate(shown):
        for c in series["cells"]:
            if c["mean"] is not None:
                accuracy[np.searchsorted(sizes, c["batch_size"]), k] = 100 * c["mean"]
    top = np.nanmax(accuracy)
    norm = Normalize(top - 2 * _SHOWN, top)
    mesh = axis.pcolormesh(_edges(rates), _edges(sizes), accuracy, cmap="viridis", norm=norm, rasterized=True)
    axis.set_facecolor("0.35")
    axis.figure.colorbar(mesh, ax=axis, label="test accuracy (%)", extend="min", pad=0.02)
    config = summary["config"]
    N, m = config["num_examples"], config["momentum"]
    ends = _edges(rates)
    along = np.geomspace(ends[0], ends[-1], 200)
    centre = next(
        (s["best"]["batch_size"] for s in shown if s["learning_rate"] == config["learning_rate"]),
        sizes[len(sizes) // 2],
    )
    through = config["learning_rate"] * (N / centre - 1) / (1 - m)
    for k in (-2, -1, 0, 1, 2):
        g = through * 4.0**k
        B = N / (1 + g * (1 - m) / along)
        axis.plot(along, B, color="white", lw=1.6 if k == 0 else 0.9, ls="-" if k == 0 else _DASHES)
        inside = (sizes[0] < B) & (sizes[-1] > B)
        if inside.any():
            places = np.flatnonzero(inside)
            at = places[-1 - len(places) // 12] if k <= 0 else places[len(places) // 2]
            text = axis.annotate(
                f"g = {g:.3g}", (along[at], B[at]), color="white", fontsize=8.5, ha="right", va="bottom"
            )
            text.set_path_effects([withStroke(linewidth=2, foreground="0.25")])  # white on yellow can't be read
    best = [s["best"]["batch_size"] for s in shown]
    axis.plot(rates, best, "s", ms=7, mfc="none", mec="#ff3b30", mew=1.8)
    axis.set(xlabel="learning rate η", ylabel="batch size B", xlim=_edges(rates)[[0, -1]], ylim=_edges(sizes)[[0, -1]])
    _log_axis(axis.xaxis, axis, "x", list(rates))
    _log_axis(axis.yaxis, axis, "y", list(sizes))
    axis.set_title("Accuracy over (η, B)", loc="left")
    note = f"lines: equal g = η(N/B − 1)/(1−m)\nN = {N}, m = {m:g}; squares: best B; grey: no run trained"
    axis.text(0.98, 0.03, note, transform=axis.transAxes, color="white", fontsize=9, ha="right", va="bottom")


def _edges(centres: np.ndarray) -> np.ndarray:
    """Boundaries of the boxes about these places, on a log axis."""
    logs = np.log(np.asarray(centres, float))
    if len(logs) == 1:
        return np.exp([logs[0] - 0.3, logs[0] + 0.3])
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))


def _draw_slopes(figure: Figure, place, summary: dict) -> None:
    slopes = summary["fit"]["quantities"]
    names = [SLOPES[f] for f in summary["families"] if SLOPES[f] in slopes]
    inner = place.subgridspec(max(1, len(names)), 1, hspace=0.05)
    for k, name in enumerate(names):
        axis = figure.add_subplot(inner[k, 0])
        found = slopes[name]
        axis.fill_between(found["x"], found["prior"], color="0.85", lw=0)
        axis.plot(found["x"], found["prior"], color="0.6", lw=1)
        axis.fill_between(found["x"], found["posterior"], color=_FIT, alpha=0.35, lw=0)
        axis.plot(found["x"], found["posterior"], color=_FIT, lw=1.4)
        axis.axvline(1.0, color=_DERIVED, ls=_DASHES, lw=1.6)
        text = f"{_GREEK[name]} = {found['median']:.2f}\n[{found['low']:.2f}, {found['high']:.2f}]"
        axis.text(0.02, 0.9, text, transform=axis.transAxes, va="top", fontsize=10)
        axis.set(xlim=(found["x"][0], found["x"][-1]), yticks=[], ylim=(0, None))
        if k < len(names) - 1:
            axis.tick_params(labelbottom=False)
        if k:
            axis.set_gid("unlettered")
        else:
            axis.set_title("Exponents: prior (grey) to posterior", loc="left")
        if k == len(names) - 1:
            axis.set_xlabel("exponent in B_opt ∝ η^α N^β (1−m)^−γ;  dashed: derived, 1")


def _draw_key(axis, summary: dict) -> None:
    axis.set_axis_off()
    axis.set_gid("unlettered")
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            color=_FIT,
            lw=1.6,
            label="B_opt: posterior median and 90 % interval (open: at the grid's edge)",
        ),
        Patch(color=_FIT, alpha=0.25, label="power law fitted to all series: 90 % band; same in the curves"),
        Line2D([], [], color=_DERIVED, lw=1.8, ls=_DASHES, label="derived: B = N/(1 + c(1−m)/η), c fitted"),
        Line2D(
            [],
            [],
            marker="s",
            color=_BEST,
            mfc="white",
            lw=1.2,
            label="best sampled B and its neighbours (arrow: none beyond)",
        ),
    ]
    if any("noise" in series for series in summary["series"]):
        labels = {"x": "B_simple = tr C/‖g‖² along such runs", "+": "B_noise = tr(HC)/gᵀHg along such runs"}
        handles += [Line2D([], [], marker=k, color=_NOISE, lw=0, label=text) for k, text in labels.items()]
    axis.legend(handles=handles, loc="upper left", fontsize=9.5, frameon=False)
    axis.text(0.02, 0.42, describe(summary), transform=axis.transAxes, va="top", fontsize=9.5)


def _colours(count: int) -> list:
    return [colormaps["viridis"](x) for x in np.linspace(0.0, 0.88, count)]


def _log_axis(which, axis, name: str, ticks: list[float]) -> None:
    """A log axis with a tick at each of the values."""
    axis.set(**{f"{name}scale": "log"})
    which.set_ticks(sorted(set(ticks)))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())
    which.set_minor_locator(NullLocator())
