"""The figure of escape-times: mean times on a log axis, and their ratio to Kramers."""

import numpy as np
from matplotlib.figure import Figure

from experiments.escape_times.result import Result

_COLOURS = {"SGD": "black", "SDE": "#1f78b4"}
# Kramers is the leading term for high barriers: from here on it is worth holding anything against.
_HIGH = 5


def draw(result: Result) -> Figure:
    """Two panels.

    Args:
        result: of ``compute``.
    """
    dataset, config = result.data, result.config
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12)  # type: ignore[union-attr]
    left, right = figure.subplots(1, 2)
    x, exact = dataset["curve_ratio"].values, dataset["curve_sde"].values
    kramers = dataset["curve_kramers"].values
    left.plot(x, exact, color=_COLOURS["SDE"], lw=1.6, label="SDE, exact (double integral)")
    left.plot(x, kramers, color="0.5", lw=1.4, ls=(0, (4, 2)), label="Kramers, 2π/√(V″|V″ₛ|) exp(ΔV/T)")
    right.plot(x, exact / kramers, color=_COLOURS["SDE"], lw=1.6)
    kurtosis = dataset["curve_kurtosis"].values
    right.plot(x, exact / kramers * kurtosis, color="#d95f02", lw=1.2, label="SDE · exp(−ηγ₄∫V′³/6T²)")
    right.axhline(1, color="0.5", lw=1.4, ls=(0, (4, 2)))
    ratio = np.array([row.ratio for row in result.rows])
    formula = np.array([row.kramers for row in result.rows])
    sgd = dataset["exact_sgd"].values
    left.plot(ratio, sgd, color=_COLOURS["SGD"], lw=1.3, ls=":", label="SGD, exact (transfer operator)")
    right.plot(ratio, sgd / formula, color=_COLOURS["SGD"], lw=1.3, ls=":")
    for arm, shift, marker in (("SGD", -0.05, "o"), ("SDE", 0.05, "^")):
        found = [row.arms[arm] for row in result.rows]
        mean, error = np.array([one.mean for one in found]), np.array([one.error for one in found])
        style = dict(fmt=marker, color=_COLOURS[arm], ms=5, capsize=2.5, lw=1.2, mfc="white" if arm == "SDE" else None)
        left.errorbar(ratio + shift, mean, 1.96 * error, label=f"{arm}, runs", **style)
        right.errorbar(ratio + shift, mean / formula, 1.96 * error / formula, **style)
    left.set(yscale="log", xlabel="barrier ΔV/T", ylabel="mean time to the other minimum\n(SDE time, η a step)")
    left.legend(frameon=False, fontsize=9)
    right.legend(frameon=False, fontsize=9, loc="upper left")
    right.set(xlabel="barrier ΔV/T", ylabel="mean time ÷ Kramers' time")
    right.axvspan(_HIGH, max(x[-1], _HIGH), color="0.95", zorder=0)
    right.annotate("ΔV/T ≥ 5", (_HIGH, 0), (4, 4), xycoords=("data", "axes fraction"), textcoords="offset points")
    for axis, title in ((left, "A  How long a well holds"), (right, "B  Kramers' formula, put to the test")):
        axis.set_title(title, loc="left", fontsize=11.5, weight="bold")
        axis.grid(color="0.93", lw=0.8)
    figure.suptitle(
        f"{config.potential}, from the deeper minimum; η = {config.learning_rate:g}, S = {config.batch_size}, "
        f"{config.passages} passages a point, bars 95 %",
        fontsize=10.5,
    )
    return figure
