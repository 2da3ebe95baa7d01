"""SGD against its SDE as pictures: each observable with bands, and under it the gap in its parts."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdesgd import evidence
from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.comparison.result import Comparison

_SAMPLING = {"replacement": "with replacement", "no_replacement": "without replacement", "reshuffle": "reshuffled"}
_TITLES = {"equivalent": "equivalent", "different": "DIFFERENT", "inconclusive": "inconclusive"}


def figure_of(result: "Comparison") -> Figure:
    """Rows of two or three observables, each above its gap.

    Args:
        result: of ``sg.compare``.
    """
    names, setting = list(result.labels), result.setting
    columns = 2 if len(names) in (2, 4) else min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = style.figure(max(7.0, 4.33 * columns), 1.3 + 4.9 * rows)
    axes = figure.subplots(2 * rows, columns, height_ratios=[1, 1.1] * rows, sharex=True, squeeze=False)
    for k in range(rows * columns):
        above, below = axes[2 * (k // columns), k % columns], axes[2 * (k // columns) + 1, k % columns]
        if k >= len(names):
            above.remove()
            below.remove()
            continue
        observable(result, names[k], above)
        gap(result, names[k], below)
        if k >= len(names) - columns:
            step = "" if setting.scheduled else f" (one SGD step = {setting.learning_rate})"
            below.set_xlabel(f"SDE time t = {'Σ η_k' if setting.scheduled else 'k η'}{step}")
            below.tick_params(labelbottom=True)
    steps = axes[0, 0].secondary_xaxis("top", functions=_steps(result))
    steps.set_xlabel("SGD step k")
    figure.suptitle(title(result), fontsize=12)
    figure.legend(handles=_handles(result), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return style.settled(figure)


def title(result: "Comparison") -> str:
    """The question, the answer, and what was compared.

    Args:
        result: of ``sg.compare``.
    """
    setting, sizes = result.setting, result.design.replicas
    momentum = f", m = {setting.momentum:g}" if setting.momentum else ""
    pairs = f"{sizes['SGD']} replicas of SGD, {sizes['SDE']} of Gaussian SGD and of the SDE"
    return (
        f"Does the SDE describe SGD? {result.answer}\n"
        f"{setting.title}, {setting.num_parameters:,} parameters, N = {setting.num_examples:,}, "
        f"η = {setting.learning_rate}, S = {setting.batch_size}{momentum}, {_SAMPLING[setting.sampling]}\n{pairs}"
    )


def comparison(result: "Comparison", axes: tuple[Axes, Axes], name: str) -> tuple[Axes, Axes]:
    """One observable on axes of one's own: its means above, the gap below.

    Args:
        result: of ``sg.compare``.
        axes: the upper and the lower.
        name: of the observable.
    """
    return observable(result, name, axes[0]), gap(result, name, axes[1])


def observable(result: "Comparison", name: str, axis: Axes) -> Axes:
    """Means of all arms with pointwise 95 % bands, and SGD's spread.

    Args:
        result: of ``sg.compare``.
        name: of the observable.
        axis: to draw on.
    """
    for arm, run in result.trajectories.items():
        look, estimate = style.look(arm), evidence.mean(run.values[name])
        low, high = (np.asarray(x) for x in estimate.interval())
        mean = np.asarray(estimate.mean)
        axis.plot(result.time, mean, lw=style.LINE, **look.line_options())
        axis.fill_between(result.time, low, high, color=look.colour, alpha=style.BAND, lw=0)
        if arm == "SGD":
            spread = np.asarray(estimate.standard_error) * np.sqrt(np.asarray(estimate.count))
            for sign in (-1, 1):
                axis.plot(result.time, mean + sign * spread, color=style.SPREAD, lw=0.8, zorder=0)
    axis.set_ylabel(result.labels[name])
    return axis


def gap(result: "Comparison", name: str, axis: Axes) -> Axes:
    """SGD − SDE and its two parts in SGD's standard deviations, with the margin.

    Args:
        result: of ``sg.compare``.
        name: of the observable.
        axis: to draw on.
    """
    margin, verdict, worst = result.design.margins[name], result.verdicts[name], result.worst.get(name)
    parts = {part: getattr(result, part)[name] for part in style.PARTS}
    bounds = np.concatenate([np.concatenate([part.low, part.high]) for part in parts.values()])
    size = margin.size if margin.unit == "deviation" else 0.0
    largest = max(1.3 * size, 1.08 * float(np.max(np.abs(bounds[np.isfinite(bounds)]), initial=0.0)), 1e-3)
    if size:
        axis.axhspan(-size, size, color=style.MARGIN, zorder=0)
    axis.axhline(0, color="0.5", lw=0.8)
    for part, estimate in parts.items():
        colour = style.PARTS[part].colour
        low, high = (np.clip(x, -2 * largest, 2 * largest) for x in (estimate.low, estimate.high))
        axis.fill_between(result.time, low, high, color=colour, alpha=0.2, lw=0)
        axis.plot(result.time, estimate.mean, color=colour, lw=1.5)
    axis.set_ylim(-largest, largest)
    axis.set_ylabel("SGD − SDE (SDs of SGD)")
    number = ""
    if worst is not None and math.isfinite(worst.mean) and math.isfinite(worst.low + worst.high):
        number = f", {worst.mean:+.2f} [{worst.low:+.2f}, {worst.high:+.2f}] SD at step {worst.step}"
    axis.set_title(f"{verdict.reason or _TITLES[verdict.kind]}{number}", fontsize=9, loc="left", pad=3, weight="bold")
    return axis


def _steps(result: "Comparison") -> tuple[Any, Any]:
    """Time to steps and back, beyond the ends too; a schedule that rests has no steps to tell apart."""
    time, step = np.asarray(result.time, float), np.asarray(result.step, float)
    moving = np.concatenate([[True], np.diff(time) > 0])
    time, step = time[moving], step[moving]
    if len(time) < 2:
        return (lambda t: t), (lambda n: n)

    def extended(x: Any, xs: np.ndarray, ys: np.ndarray) -> Any:
        x = np.asarray(x, float)
        slopes = [(ys[k] - ys[j]) / (xs[k] - xs[j]) for k, j in ((1, 0), (-1, -2))]
        below, above = ys[0] + slopes[0] * (x - xs[0]), ys[-1] + slopes[1] * (x - xs[-1])
        return np.where(x < xs[0], below, np.where(x > xs[-1], above, np.interp(x, xs, ys)))

    return (lambda t: extended(t, time, step)), (lambda n: extended(n, step, time))


def _handles(result: "Comparison") -> list:
    setting = result.setting
    names = {arm: f"SVAG (ℓ = {setting.svag})" if arm == "SVAG" else arm for arm in result.trajectories}
    arms = [style.look(arm).handle(name) for arm, name in names.items()]
    parts = [look.handle() for look in style.PARTS.values()]
    parts[0].set_label("SGD − SDE (two independent ensembles)")
    if setting.sampling == "reshuffle":
        parts[1].set_label("SGD − Gaussian SGD: reshuffling and non-Gaussian noise")
    margins = {str(m) for m in result.design.margins.values() if m.unit == "deviation"}
    extra = [
        style.RUNS["SGD"].handle("SGD mean ± 1 SD (one run)", color=style.SPREAD, lw=0.8),
        style.band_handle("coloured bands: pointwise 95 % intervals"),
        style.band_handle("[ , ]: 95 % interval for all steps at once", "white", 0.0),
    ]
    if len(margins) == 1:
        extra.append(style.band_handle(f"equivalence margin ±{margins.pop()}", style.MARGIN, 1.0))
    return [*arms, *extra, *parts]
