"""The figure of sgd-vs-sde: each observable with bands, and under it the gap in SGD's standard deviations."""

import math

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.sgd_vs_sde_problem import Config, describe
from experiments.sgd_vs_sde_report import answer
from sdesgd import evidence

_COLOURS = {"SGD": "black", "Gaussian SGD": "#d95f02", "SDE": "#1f78b4", "SVAG": "#33a02c"}
_STYLES = {"SGD": "-", "Gaussian SGD": "--", "SDE": "-", "SVAG": ":"}
_PARTS = {
    "total": ("SGD − SDE (two independent ensembles)", "#b2182b"),
    "non_gaussianity": ("SGD − Gaussian SGD: non-Gaussian noise", "#c9a000"),
    "discretisation": ("Gaussian SGD − SDE: predicted from finite η, no SGD run", "#6a3d9a"),
}
_SAMPLING = {"replacement": "with replacement", "no_replacement": "without replacement", "reshuffle": "reshuffled"}
_TITLES = {"equivalent": "equivalent", "different": "DIFFERENT", "inconclusive": "inconclusive"}


def draw(dataset: xr.Dataset, summary: dict, labels: dict[str, str]) -> Figure:
    """Two rows of three observables, each above its gap.

    Args:
        dataset: observables over (arm, replica, time).
        summary: what ``judge`` found.
        labels: observable → axis label with units.
    """
    config, names = summary["config"], list(labels)
    columns, rows = min(3, len(names)), math.ceil(len(names) / 3)
    figure = Figure(figsize=(max(7.0, 4.33 * columns), 1.2 + 4.9 * rows), layout="constrained")
    axes = figure.subplots(2 * rows, columns, height_ratios=[1, 1.1] * rows, sharex=True, squeeze=False)
    time = dataset["time"].values
    for k in range(rows * columns):
        above, below = axes[2 * (k // columns), k % columns], axes[2 * (k // columns) + 1, k % columns]
        if k >= len(names):
            above.remove()
            below.remove()
            continue
        _draw_observable(above, dataset, names[k], labels[names[k]])
        _draw_gap(below, time, summary["observables"][names[k]], config["margin"])
        if k >= len(names) - columns:
            below.set_xlabel(f"SDE time t = k η (one SGD step = {config['learning_rate']:g})")
            below.tick_params(labelbottom=True)
    rate = config["learning_rate"]
    steps = axes[0, 0].secondary_xaxis("top", functions=(lambda t: t / rate, lambda n: n * rate))
    steps.set_xlabel("SGD step k")
    momentum = f", m = {config['momentum']:g}" if config["momentum"] else ""
    sizes = summary["sizes"]
    figure.suptitle(
        f"Does the SDE describe SGD? {answer(summary)}\n"
        f"{describe(Config(**config))}, {sizes['num_parameters']:,} parameters, on {config['data']}\n"
        f"N = {config['num_examples']}, η = {config['learning_rate']:g}, S = {config['batch_size']}{momentum}, "
        f"{_SAMPLING[config['sampling']]}, {config['replicas']} replicas an arm",
        fontsize=12,
    )
    figure.legend(handles=_handles(dataset, config), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    # The layout moves a little with each drawing: settle it, so that equal data give equal files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _draw_observable(axis, dataset: xr.Dataset, name: str, label: str) -> None:
    time = dataset["time"].values
    for arm in dataset["arm"].values:
        values = dataset[name].sel(arm=arm).values
        estimate = evidence.mean(values)
        low, high = estimate.interval()
        axis.plot(time, estimate.mean, _STYLES[arm], color=_COLOURS[arm], lw=1.6)
        axis.fill_between(time, low, high, color=_COLOURS[arm], alpha=0.18, lw=0)
        if arm == "SGD":
            spread = estimate.standard_error * np.sqrt(estimate.count)
            for sign in (-1, 1):
                axis.plot(time, estimate.mean + sign * spread, color="0.65", lw=0.8, zorder=0)
    axis.set_ylabel(label)


def _draw_gap(axis, time: np.ndarray, judged: dict, margin: float) -> None:
    axis.axhspan(-margin, margin, color="0.93", zorder=0)
    axis.axhline(0, color="0.5", lw=0.8)
    for part, (_, colour) in _PARTS.items():
        mean, low, high = (np.asarray(judged[part][key], float) for key in ("mean", "low", "high"))
        axis.fill_between(time, low, high, color=colour, alpha=0.2, lw=0)
        axis.plot(time, mean, color=colour, lw=1.5)
    axis.set_ylim(*_gap_limits(judged, margin))
    axis.set_ylabel("SGD − SDE (SDs of SGD)")
    worst = judged["worst_time"]
    mean, low, high = (judged["total"][key][worst] for key in ("mean", "low", "high"))
    number = "" if None in (mean, low, high) else f", {mean:+.2f} ± {(high - low) / 2:.2f} SD at t = {time[worst]:.3g}"
    title = judged.get("reason") or _TITLES[judged["kind"]]
    axis.set_title(f"{title}{number}", fontsize=10, loc="left", pad=3, weight="bold")


def _gap_limits(judged: dict, margin: float) -> tuple[float, float]:
    bounds = [np.asarray(judged[part][key], float) for part in _PARTS for key in ("low", "high")]
    largest = max(1.3 * margin, 1.08 * float(np.nanmax(np.abs(np.concatenate(bounds)), initial=0.0)))
    return -largest, largest


def _handles(dataset: xr.Dataset, config: dict) -> list:
    arms = []
    for arm in dataset["arm"].values:
        label = f"SVAG (ℓ = {config['svag_ell']})" if arm == "SVAG" else arm
        arms.append(Line2D([], [], color=_COLOURS[arm], ls=_STYLES[arm], label=label))
    parts = [Line2D([], [], color=colour, label=label) for label, colour in _PARTS.values()]
    if config["sampling"] == "reshuffle":
        parts[1].set_label("SGD − Gaussian SGD: reshuffling and non-Gaussian noise")
    extra = [
        Line2D([], [], color="0.65", lw=0.8, label="SGD mean ± 1 SD (one run)"),
        Patch(color="0.6", alpha=0.3, label="coloured bands: pointwise 95 % intervals"),
        Patch(color="0.93", label=f"equivalence margin ±{config['margin']:g} SD"),
    ]
    return [*arms, *extra, *parts]
