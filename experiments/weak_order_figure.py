"""The figure of weak-order: five log–log panels of errors with fitted lines and bands, and a key."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from experiments.weak_order_report import answer

_ORDER_1, _ORDER_2, _SVAG, _SIDE = "#1f78b4", "#d95f02", "#238b45", "0.5"


@dataclasses.dataclass(frozen=True)
class Panel:
    """Title and axes of a panel; ``variable`` names its abscissa in the dataset, ``prefix`` opens its slopes."""

    variable: str
    title: str
    x_label: str
    y_label: str
    prefix: str = "SGD − SDE"


PANELS = {
    "circle": Panel(
        "eta",
        "A  Fixed time (exact laws)",
        "learning rate η (SDE time a step)",
        "sup-norm weak error of E φ, |φ| ≤ 1",
    ),
    "momentum": Panel(
        "eta",
        "B  With momentum, fixed time (exact moments)",
        "learning rate η (momentum m = 1 − γ√η)",
        "sup-norm error, mean and rel. covariance",
    ),
    "svag": Panel(
        "inverse_ell",
        "C  SVAG(ℓ) at fixed η and time (exact laws)",
        "1/ℓ (ℓ = 1 is SGD itself)",
        "sup-norm weak error of E φ, |φ| ≤ 1",
        "SVAG − SDE",
    ),
    "stationary": Panel(
        "eta",
        "D  At stationarity order 2 is worse (exact)",
        "ηλ (learning rate × curvature)",
        "relative error of the stationary variance",
    ),
    "net": Panel(
        "eta",
        "E  A small net, fixed time (Monte Carlo)",
        "learning rate η (SDE time a step)",
        "sup-norm weak error of the losses (nats)",
        "Gaussian SGD − SDE",
    ),
}


def style(name: str) -> dict:
    """Colour by the equation compared with; hollow markers for Gaussian SGD where SGD is shown too."""
    if name in ("sgd_gaussian", "integrator"):
        return dict(color=_SIDE, marker="x" if name == "integrator" else "+", ms=5, fill=_SIDE)
    colour = _SVAG if name == "svag" else _ORDER_2 if name.endswith("2") else _ORDER_1
    if name.startswith("gaussian"):
        return dict(color=colour, marker="s", ms=8.5, fill="none")
    return dict(color=colour, marker="o", ms=4.5, fill=colour)


def draw(summary: dict) -> Figure:
    """Six panels, the last one the key.

    Args:
        summary: of ``weak_order.compute``.
    """
    figure = Figure(figsize=(14.5, 9.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    axes = figure.subplots(2, 3)
    for axis, panel in zip(axes.flat, PANELS, strict=False):
        _draw_panel(axis, panel, summary)
    _draw_key(axes.flat[5], summary)
    figure.suptitle(answer(summary), fontsize=13.5)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _draw_panel(axis, panel: str, summary: dict) -> None:
    found = {name: m for name, m in summary["comparisons"].items() if m["panel"] == panel}
    for name, measured in found.items():
        _draw_series(axis, measured, style(name))
    about = PANELS[panel]
    axis.set(xscale="log", yscale="log", xlabel=about.x_label, ylabel=about.y_label)
    axis.grid(which="major", color="0.92", lw=0.8)
    _label_ticks(axis, panel, next(iter(found.values()))["x"])
    shown = [(name, m) for name, m in found.items() if style(name)["marker"] == "o"]
    for k, (name, m) in enumerate(reversed(shown)):
        axis.annotate(
            f"{about.prefix}, {m['label']}: {slope_text(m)}, theory {m['expected']:g}",
            (0, 1),
            (0, 5 + 14 * k + (14 if len(shown) == 1 else 0)),
            xycoords="axes fraction",
            textcoords="offset points",
            color=style(name)["color"],
            fontsize=9,
        )
    axis.set_title(about.title, loc="left", fontsize=11.5, weight="bold", pad=37)


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


def _draw_series(axis, measured: dict, look: dict) -> None:
    x = np.asarray(measured["x"], float)
    error = np.asarray([np.nan if e is None else e for e in measured["error"]])
    axis.plot(x, error, look["marker"], color=look["color"], mfc=look["fill"], ms=look["ms"], zorder=3)
    if measured["standard_error"] is not None:
        se = np.asarray([np.nan if e is None else e for e in measured["standard_error"]])
        axis.errorbar(x, error, 1.96 * se, fmt="none", ecolor=look["color"], capsize=3, lw=1.2, zorder=3)
    if measured["band"] is None:
        return
    band = {key: np.asarray(values) for key, values in measured["band"].items()}
    axis.fill_between(band["x"], band["low"], band["high"], color=look["color"], alpha=0.25, lw=0)
    axis.plot(band["x"], band["fitted"], color=look["color"], lw=0.8 if measured["side"] else 1.4)
    if look["marker"] == "o":
        # Theory: with its constant where that is known, else through the fit at its small end.
        constant = measured["constant"] or band["fitted"][0] / band["x"][0] ** measured["expected"]
        theory = constant * band["x"] ** measured["expected"]
        axis.plot(band["x"], theory, color="black", lw=0.8, ls=(0, (5, 3)), zorder=2.5)


def slope_text(measured: dict) -> str:
    """The slope and its interval, with as many digits as the interval warrants."""
    if measured["slope"] is None:
        return "slope not measured"
    digits = 2 if measured["high"] - measured["low"] > 0.02 else 3
    return f"slope {measured['slope']:.{digits}f} [{measured['low']:.{digits}f}, {measured['high']:.{digits}f}]"


def _draw_key(axis, summary: dict) -> None:
    config, sizes, found = summary["config"], summary["sizes"], summary["comparisons"]
    axis.axis("off")
    gaussian = " and ".join(_short(found[f"gaussian_order{order}"]) for order in (1, 2))
    handles = [
        Line2D([], [], color=_ORDER_1, marker="o", ms=4.5, label="against the SDE (order 1)"),
        Line2D([], [], color=_ORDER_2, marker="o", ms=4.5, label="against the order-2 equation"),
        Line2D(
            [], [], color="0.3", marker="s", mfc="none", ms=8.5, ls="none", label=f"A: Gaussian SGD, slopes {gaussian}"
        ),
        Line2D(
            [],
            [],
            color=_SIDE,
            marker="+",
            lw=0.8,
            label=f"A: SGD − Gaussian SGD, slope {_short(found['sgd_gaussian'])}",
        ),
        Line2D(
            [],
            [],
            color=_SIDE,
            marker="x",
            lw=0.8,
            label=f"A: the integrator's own, slope {_short(found['integrator'])}",
        ),
        Line2D([], [], color="black", lw=0.8, ls=(0, (5, 3)), label="theory: its slope (D: its line)"),
        Patch(color="0.5", alpha=0.3, label="95 % band of the fit (exact laws: thinner than the line)"),
    ]
    # Placed above the panel's top, in the room that the other panels use for their slopes.
    axis.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 1.16), frameon=False, fontsize=9.5, borderaxespad=0
    )
    S, T, eta = config["batch_size"], config["time"], config["time"] / config["svag_steps"]
    text = (
        "Slopes [95 % intervals] of a fit c·hᵖ·exp(b·h), h = η, √η (B), 1/ℓ (C);\n"
        "b = 0 for order 2 in E. On exact laws the interval measures the\n"
        "curvature that the fit leaves.\n"
        f"A, C: three losses on a circle, S = {S}, T = {T:g}; C: η = {eta:.3g}.\n"
        "Largest error over all starts and φ = cos kθ, sin kθ, k ≤ 3.\n"
        f"B: a quadratic with constant C, γ = {config['friction']:g}. Largest error over\n"
        "starts in a box and over components.\n"
        "D: constant C. SGD's variance moves by +ηλ/2, order 1's by 0,\n"
        "order 2's by −ηλ/2: SGD is ηλ away from it.\n"
        f"E: {sizes['net_parameters']} weights, digits, S = {config['net_batch_size']}, T = {config['net_time']:g}. "
        "Largest error over\n"
        f"{config['starts']} starts, train and test loss; {config['replicas']} coupled pairs each, bars 95 %."
    )
    axis.text(0, 0.68, text, transform=axis.transAxes, va="top", fontsize=9.2, linespacing=1.4)


def _short(measured: dict) -> str:
    return "–" if measured["slope"] is None else f"{measured['slope']:.2f}"
