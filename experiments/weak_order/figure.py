"""The figure of weak-order: five log–log panels of errors with fitted lines and bands, and a key."""

import dataclasses
import functools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from experiments.weak_order.result import Result
from experiments.weak_order.slopes import WITHOUT_NOISE, Measured

_ORDER_1, _ORDER_2, _SVAG, _FLOW, _SIDE = "#1f78b4", "#d95f02", "#238b45", "#ae017e", "0.5"
_THEORY = (0, (5, 3))
_MAIN = "o", "D"  # markers of the series whose slopes stand above their panel


@dataclasses.dataclass(frozen=True)
class Panel:
    """Title and axes of a panel; ``prefix`` opens its slopes."""

    title: str
    x_label: str
    y_label: str
    prefix: str = "SGD − "


PANELS = {
    "circle": Panel(
        "A  Means at fixed time (exact laws)",
        "learning rate η (SDE time per step)",
        "sup-norm weak error of E φ, |φ| ≤ 1",
    ),
    "variance": Panel(
        "B  Fluctuations at fixed time (exact laws)",
        "learning rate η (SDE time per step)",
        "relative error of Var φ",
    ),
    "stationary": Panel(
        "C  Stationary variance of a parabola (exact)",
        "ηλ (learning rate × curvature)",
        "relative error of the variance",
    ),
    "momentum": Panel(
        "D  Heavy ball at fixed (1−m)/√η (exact)",
        "learning rate η (momentum m = 1 − γ√η)",
        "error of mean and rel. error of covariance",
    ),
    "svag": Panel(
        "E  SVAG(ℓ) at fixed η and time (exact laws)",
        "1/ℓ (ℓ = 1 is SGD itself)",
        "sup-norm weak error of E φ, |φ| ≤ 1",
        "SVAG − ",
    ),
    "net": Panel(
        "F  Means of a small net (Monte Carlo)",
        "learning rate η (SDE time per step)",
        "sup-norm weak error of the losses (nats)",
        "Gaussian SGD − ",
    ),
}


_NAMES = {"order 1": "SDE", "order 2": "order-2 equation"}


def style(name: str) -> dict:
    """Colour by the equation compared with; hollow markers for what is drawn beside SGD without momentum."""
    if name in ("sgd_gaussian", "integrator"):
        return dict(color=_SIDE, marker="x" if name == "integrator" else "+", ms=5, fill=_SIDE)
    if name.endswith("flow"):
        return dict(color=_FLOW, marker="D", ms=4, fill=_FLOW)
    colour = _SVAG if name == "svag" else _ORDER_2 if name.endswith("2") else _ORDER_1
    if name.startswith("gaussian"):
        return dict(color=colour, marker="s", ms=8.5, fill="none")
    if name.startswith("stationary_momentum"):
        # Both lie on one line: the larger marker is drawn round the smaller.
        return dict(color=colour, marker="s", ms=9 if name.endswith("1") else 5, fill="none")
    return dict(color=colour, marker="o", ms=4.5, fill=colour)


def draw(result: Result) -> Figure:
    """Six panels, and the key below them.

    Args:
        result: of ``compute``.
    """
    figure = Figure(figsize=(14.5, 12.9), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 0.7))
    for place, panel in enumerate(PANELS):
        _draw_panel(figure.add_subplot(grid[place // 3, place % 3]), panel, result)
    _draw_key(figure.add_subplot(grid[2, :]), result)
    figure.suptitle(result.answer("\n"), fontsize=13.5)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _draw_panel(axis, panel: str, result: Result) -> None:
    found = {name: m for name, m in result.comparisons.items() if m.panel == panel}
    for name, measured in found.items():
        _draw_series(axis, measured, style(name))
    lines = [(name, _slope_line(panel, m)) for name, m in found.items() if style(name)["marker"] in _MAIN]
    if panel in WITHOUT_NOISE:
        name, words = WITHOUT_NOISE[panel]
        still, look = result.without_noise[panel], style(name)
        axis.plot(still.x, still.error, "-D", color=look["color"], ms=look["ms"], lw=1)
        lines.append((name, f"{PANELS[panel].prefix}{words}: stays at {still.error[still.x.argmin()]:.2g}"))
    about = PANELS[panel]
    axis.set(xscale="log", yscale="log", xlabel=about.x_label, ylabel=about.y_label)
    axis.grid(which="major", color="0.92", lw=0.8)
    _label_ticks(axis, panel, next(iter(found.values())).x.tolist())
    for k, (name, line) in enumerate(lines):
        axis.annotate(
            line,
            (0, 1),
            (0, 5 + 14 * (len(lines) - 1 - k)),
            xycoords="axes fraction",
            textcoords="offset points",
            color=style(name)["color"],
            fontsize=9.5,
        ).set_in_layout(False)
    axis.set_title(about.title, loc="left", fontsize=11.5, weight="bold", pad=51)


def _slope_line(panel: str, measured: Measured) -> str:
    other = _NAMES.get(measured.label, measured.label)
    return f"{PANELS[panel].prefix}{other}: {slope_text(measured)}, theory {measured.expected:g}"


def _label_ticks(axis, panel: str, x: list[float]) -> None:
    """Plain numbers where the points span too little for powers of ten: 1, 2, 5, 10, …; for SVAG, each 1/ℓ."""
    if panel == "svag" and len(x) < 8:
        ticks, labels = x, [f"1/{1 / t:.0f}" if t < 1 else "1" for t in x]
    elif max(x) < 50 * min(x):
        ticks = [m * 10.0**k for k in range(-8, 2) for m in (1, 2, 5)]
        ticks = [t for t in ticks if 0.99 * min(x) <= t <= 1.1 * max(x)]
        labels = [f"{t:g}" for t in ticks]
    else:
        return
    axis.set_xticks(ticks, labels)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()


def _draw_series(axis, measured: Measured, look: dict) -> None:
    x, error, colour = measured.x, measured.error, look["color"]
    axis.plot(x, error, look["marker"], color=colour, mfc=look["fill"], ms=look["ms"], zorder=3)
    if measured.standard_error is not None:
        axis.errorbar(x, error, 1.96 * measured.standard_error, fmt="none", ecolor=colour, capsize=3, lw=1.2, zorder=3)
    if measured.fit is None:
        return
    x = np.geomspace(x.min() / 1.15, x.max() * 1.15, 60)
    fitted, low, high = measured.fit.band(x**measured.power)
    axis.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
    axis.plot(x, fitted, color=colour, lw=0.8 if measured.side else 1.4)
    if look["marker"] in _MAIN:
        # Theory: with its constant where that is known, else through the fit at its small end.
        constant = measured.constant or fitted[0] / x[0] ** measured.expected
        axis.plot(x, constant * x**measured.expected, color="black", lw=0.8, ls=_THEORY, zorder=2.5)


def slope_text(measured: Measured) -> str:
    """The slope and its interval, with as many digits as the interval warrants."""
    if measured.fit is None:
        return "slope not measured"
    digits = 2 if measured.high - measured.low > 0.02 else 3
    return f"slope {measured.slope:.{digits}f} [{measured.low:.{digits}f}, {measured.high:.{digits}f}]"


def _draw_key(axis, result: Result) -> None:
    config, found = result.config, result.comparisons
    axis.axis("off")
    gaussian = " and ".join(_short(found[f"gaussian_order{order}"]) for order in (1, 2))
    line = functools.partial(Line2D, [], [])
    square = functools.partial(line, color="0.3", marker="s", mfc="none", ls="none")
    side = functools.partial(line, color=_SIDE, lw=0.8)
    handles = [
        line(color=_ORDER_1, marker="o", ms=4.5, label="against the SDE (order 1)"),
        line(color=_ORDER_2, marker="o", ms=4.5, label="against the order-2 equation"),
        line(color=_FLOW, marker="D", ms=4, label="against gradient flow, the equation without its noise"),
        square(ms=8.5, label=f"A: Gaussian SGD, slopes {gaussian}"),
        square(ms=6, label="C: heavy ball, m = 0.9, on which both orders agree"),
        side(marker="+", label=f"A: SGD − Gaussian SGD, slope {_short(found['sgd_gaussian'])}"),
        side(marker="x", label=f"A: the integrator's own, slope {_short(found['integrator'])}"),
        line(color="black", lw=0.8, ls=_THEORY, label="theory: its slope (C: its line)"),
        Patch(color="0.5", alpha=0.3, label="95 % band of the fit (exact laws: thinner than the line)"),
    ]
    axis.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=10, borderaxespad=0)
    S, T, eta = config.batch_size, config.time, config.time / config.svag_steps
    text = (
        f"A, B, E: three losses on a circle, S = {S}, T = {T:g}; E: η = {eta:.3g}. A, E: largest error over all starts "
        "and φ = cos kθ, sin kθ, k ≤ 3. B: that of Var φ, relative to the largest\n"
        "Var φ. Means hardly see the noise term, which moves them by O(η) as the finite step does; variances are its "
        "own work.\n"
        "C: constant C. Without momentum SGD moves the variance by +ηλ/2, order 1 by 0, order 2 by −ηλ/2. This is no "
        "rule for stationarity: with momentum both orders are equally\n"
        "far, and order 2 gets the odds of basins right to O(η), which order 1 does not.\n"
        f"D: a quadratic with constant C, γ = (1−m)/√η = {config.friction:g}. Largest error over starts in a box "
        "and over components, of the covariance relative. At fixed m both orders are O(η).\n"
        f"F: {result.sizes()['net_parameters']} weights, digits, S = {config.net_batch_size}, T = {config.net_time:g}. "
        f"Largest error over {config.starts} starts, train and test loss; {config.replicas} coupled pairs each, "
        "bars 95 %.\n"
        "Slopes [95 % intervals] of a fit c·hᵖ·exp(b·h), h = η, √η (D), 1/ℓ (E); b = 0 for order 2 in F. On exact laws "
        "the interval measures the curvature that the fit leaves."
    )
    axis.text(0, 0.68, text, transform=axis.transAxes, va="top", fontsize=10, linespacing=1.5).set_in_layout(False)


def _short(measured: Measured) -> str:
    return "–" if measured.fit is None else f"{measured.slope:.2f}"
