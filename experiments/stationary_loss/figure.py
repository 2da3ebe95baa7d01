"""The figure of stationary-loss. For each problem the mean excess loss against η/S, in units of η/4S so that a trace is
a level line, and below it the ratio to the value of Tr C; then the net's course in time, and the key."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from experiments.stationary_loss.result import CaseResult, Course, Point, Result

_HESSIAN, _COVARIANCE, _EXACT = "#c0261f", "#1f78b4", "black"
_DASHES, _DOTS = (0, (6, 3)), (0, (1, 1.2))
_TITLES = {
    "quadratic": "Quadratic: one H, three C",
    "regression": "Linear regression, diabetes",
    "logistic": "Logistic regression, digits",
    "net": "Tanh net, mnist5k, before it is stationary",
}
_NAMES = {"quadratic-equal": "C = H", "quadratic-commuting": "C commutes", "quadratic-crossed": "C doesn't commute"}
_SHORT = {"quadratic-equal": "C = H", "quadratic-commuting": "commutes", "quadratic-crossed": "doesn't commute"}


def draw(result: Result) -> Figure:
    """One panel with a strip of ratios for each problem, the net's course, the key.

    Args:
        result: of ``compute``.
    """
    groups: dict[str, dict[str, CaseResult]] = {}
    for name, case in result.cases.items():
        groups.setdefault(case.group, {})[name] = case
    nets = [(case, case.course) for case in result.cases.values() if case.course]
    count = len(groups) + len(nets) + 1
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.9 * columns, 0.9 + 5.3 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08, hspace=0.03)  # type: ignore[union-attr]
    grid = figure.add_gridspec(rows, columns)
    places = iter(grid[r, c] for r in range(rows) for c in range(columns))
    letters = iter("ABCDEF")
    for group, cases in groups.items():
        inner = next(places).subgridspec(2, 1, height_ratios=[1.3, 1], hspace=0.04)
        above = figure.add_subplot(inner[0])
        below = figure.add_subplot(inner[1], sharex=above)
        above.set_title(f"{next(letters)}  {_TITLES[group]}", loc="left", fontsize=12, weight="bold")
        _draw_traces(above, cases, result.config.momentum)
        _draw_ratios(below, cases, result.config.momentum)
    for case, course in nets:
        axis = figure.add_subplot(next(places))
        axis.set_title(f"{next(letters)}  The same net in time", loc="left", fontsize=12, weight="bold")
        _draw_course(axis, case, course)
    _draw_key(figure.add_subplot(next(places)), result, groups)
    figure.suptitle(result.answer("\n" if columns > 1 else " "), fontsize=13)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _draw_traces(axis, cases: dict[str, CaseResult], momentum: float) -> None:
    for k, (name, case) in enumerate(cases.items()):
        curve, x, unit = case.curve, case.curve.noise, case.curve.noise / 4
        axis.axhline(case.trace_covariance, color=_COVARIANCE, lw=1.8, zorder=1)
        if k == 0:  # one H for all
            axis.axhline(case.trace_hessian, color=_HESSIAN, ls=_DASHES, lw=2.2, zorder=2)
        axis.plot(x, curve.sgd_law / unit, color=_EXACT, lw=1.3)
        axis.plot(x, curve.sde_law / unit, color=_COVARIANCE, lw=1.3, ls=_DOTS)
        _draw_points(axis, case, lambda point: point.noise / 4)
        _label_traces(axis, name, case, lone=len(cases) == 1)
    axis.set(xscale="log", yscale="log", ylabel="(E(L) − L*) ÷ " + _scale(momentum))
    low, high = axis.get_ylim()
    low, high = low / 1.35, high * 1.35  # room for the names of the lines
    axis.set_ylim(low, high)
    ticks = [m * 10.0**k for k in range(-6, 8) for m in (1, 2, 5)]
    axis.set_yticks([t for t in ticks if low <= t <= high])
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(which="major", axis="x", color="0.93", lw=0.8)
    axis.tick_params(labelbottom=False)


def _label_traces(axis, name: str, case: CaseResult, lone: bool) -> None:
    """Level lines named where they are, at the left: Tr C below its line, Tr H above."""
    H, C = case.trace_hessian, case.trace_covariance
    decay = f", {case.trace_decay:.2g} by weight decay" if case.trace_decay else ""
    if lone:
        below = -24 if name == "net" else -10  # the SDE's points lie just below the line of a net that still relaxes
        texts = [(C, below, f"Tr C = {C:#.3g}", _COVARIANCE), (H, 10, f"Tr H = {H:#.3g}{decay}", _HESSIAN)]
    elif abs(H / C - 1) < 1e-9:
        texts = [(C, -10, f"{_NAMES.get(name, name)}: Tr C = Tr H = {C:#.3g}", _HESSIAN)]
    else:
        texts = [(C, -10, f"{_NAMES.get(name, name)}: Tr C = {C:#.3g}", _COVARIANCE)]
    for level, shift, text, colour in texts:
        axis.annotate(
            text, (0, level), (6, shift), xycoords=axis.get_yaxis_transform(), textcoords="offset points",
            color=colour, fontsize=11, va="center",
        )  # fmt: skip


def _draw_ratios(axis, cases: dict[str, CaseResult], momentum: float) -> None:
    reach = np.asarray([point.noise for case in cases.values() for point in case.points])
    for name, case in cases.items():
        curve, x, unit = case.curve, case.curve.noise, case.curve.trace_covariance
        axis.plot(x, curve.sgd_law / unit, color=_EXACT, lw=1.3)
        axis.plot(x, curve.sde_law / unit, color=_COVARIANCE, lw=1.3, ls=_DOTS)
        _draw_points(axis, case, lambda point: point.trace_covariance)
        if len(cases) > 1:
            axis.annotate(
                _SHORT.get(name, name), (x[-1], curve.sgd_law[-1] / unit[-1]), (8, 0), va="center",
                textcoords="offset points", fontsize=9.5,
            )  # fmt: skip
    if len(cases) > 1:  # room for the names of the curves
        axis.set_xlim(0.85 * reach.min(), 3.5 * reach.max())
    axis.axhline(1, color=_COVARIANCE, lw=1.8, zorder=1)
    axis.set(xscale="log", ylabel=f"÷ {_scale(momentum)} Tr C", xlabel="η/(S(1−m))" if momentum else "η/S")
    axis.grid(which="major", color="0.93", lw=0.8)
    _label_ticks(axis, reach)


def _draw_points(axis, case: CaseResult, unit: Callable[[Point], float]) -> None:
    """SGD and the SDE with 95 % intervals; ``unit`` of a point is the divisor."""
    for point in case.points:
        for arm, colour, marker in (("SDE", _COVARIANCE, "s"), ("SGD", _EXACT, "o")):
            found = point.arms().get(arm)
            if not found or not found.is_measured():
                continue
            mean, low, high = (value / unit(point) for value in (found.mean, found.low, found.high))
            look = dict(
                color=colour, marker=marker, ms=6 if arm == "SDE" else 5, mfc="white" if arm == "SDE" else colour
            )
            if case.is_divided(point):
                look |= dict(marker="D", mfc="white")
            axis.errorbar(point.noise, mean, [[mean - low], [high - mean]], capsize=2.5, lw=1.2, ls="none", **look)


def _label_ticks(axis, x: np.ndarray) -> None:
    ticks = [m * 10.0**k for k in range(-8, 3) for m in (1, 2, 5)]
    ticks = [t for t in ticks if 0.8 * x.min() <= t <= 1.25 * x.max()]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()


def _scale(momentum: float) -> str:
    return "η/(4S(1−m))" if momentum else "(η/4S)"


def _draw_course(axis, case: CaseResult, course: Course) -> None:
    """The long run in units of the stationary value of Tr C."""
    unit, t, mean, error = course.trace_covariance, course.time, course.mean, course.standard_error
    axis.axhline(1, color=_COVARIANCE, lw=1.8, zorder=1)
    axis.plot(course.curve_time, course.discrete / unit, color=_EXACT, lw=1.3)
    axis.plot(course.curve_time, course.ou / unit, color=_COVARIANCE, lw=1.3, ls=_DOTS)
    axis.errorbar(t, mean / unit, 1.96 * error / unit, color=_EXACT, marker="o", ms=5, capsize=2.5, lw=1.2, ls="none")
    axis.set(xscale="log", xlabel="SDE time t = kη since the minimum", ylabel="(E(L) − L*) ÷ (η/4S) Tr C")
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.grid(which="major", color="0.93", lw=0.8)
    axis.annotate(
        f"η = {course.learning_rate:g}, S = {course.batch_size}. Tr H would be at {case.trace_ratio():.3g}.\n"
        f"At the end {course.unrelaxed} of {case.num_parameters} directions\nhave not relaxed (2λt < 1);\n"
        f"they hold {100 * course.unrelaxed_share:.1f} % of Tr C.",
        (0.97, 0.05), xycoords="axes fraction", ha="right", fontsize=10.5, linespacing=1.4,
    )  # fmt: skip


def _draw_key(axis, result: Result, groups: dict[str, dict[str, CaseResult]]) -> None:
    axis.axis("off")
    S = _scale(result.config.momentum)
    exact = [letter for letter, group in zip("ABCD", groups, strict=False) if next(iter(groups[group].values())).exact]
    known = f"exact in {', '.join(exact)}; else" if exact else "taken"
    handles = [
        Line2D([], [], color=_HESSIAN, ls=_DASHES, lw=2.2, label=f"{S} Tr H: needs Tr C = Tr H"),
        Line2D([], [], color=_COVARIANCE, lw=1.8, label=f"{S} Tr C: constant C, η → 0, stationary"),
        Line2D([], [], color=_EXACT, lw=1.3, label=f"law of SGD at this η: {known}\nfor constant H and C"),
        Line2D([], [], color=_COVARIANCE, ls=_DOTS, lw=1.3, label="law of the SDE, likewise"),
        Line2D([], [], color=_EXACT, marker="o", ms=5, ls="none", label="SGD, measured (bars 95 %)"),
        Line2D([], [], color=_COVARIANCE, marker="s", mfc="white", ls="none", label="SDE, measured (bars 95 %)"),
    ]
    divide = result.config.divide
    if divide > 1:
        label = f"SGD with η and S both ÷ {divide}: the same η/S,\nno longer the same loss"
        handles.append(Line2D([], [], color=_EXACT, marker="D", mfc="white", ms=5, ls="none", label=label))
    axis.legend(handles=handles, loc="upper left", frameon=False, fontsize=10.5, borderaxespad=0, labelspacing=0.7)
