"""Panels of basin-occupancy's figure that show θ itself: the landscape with densities or paths, and a run that hops."""

import numpy as np

from experiments.basin_occupancy.result import Basin, Result

COLOURS = {
    "SGD": "black",
    "Gaussian SGD": "#d95f02",
    "SDE": "#1f78b4",
    "NUTS": "#33a02c",
    "laplace": "#762a83",
    "corrected": "#c2a5cf",
}
_BASINS = ("#8c510a", "#01665e", "#c51b7d", "#4d9221", "#7570b3", "#666666", "#e6ab02", "#a6761d")


def title(axis, text: str) -> None:
    """A panel's title."""
    axis.set_title(text, loc="left", fontsize=11.5, weight="bold")


def line_landscape(axis, result: Result) -> None:
    """V, and the stationary density: samples, exact, theory."""
    data, basins = result.data, result.basins
    theta, V = data["x"].values, data["V"].values
    density, reference = data["density_SGD"].values, data["density_reference"].values
    low, high = _span(theta, density, basins)
    shown = (theta >= low) & (theta <= high)
    axis.hist(
        data["samples"].values[:, 0],
        bins=np.linspace(low, high, 90),
        density=True,
        color="0.8",
        lw=0,
        label="SGD, samples",
    )
    axis.plot(theta[shown], density[shown], color=COLOURS["SGD"], lw=1.6, label="SGD, exact")
    axis.plot(theta[shown], reference[shown], color=COLOURS["SDE"], lw=1.6, label=result.law)
    if result.law != "Gibbs":
        axis.plot(theta[shown], data["density_gibbs"].values[shown], color="0.5", ls="--", lw=1.4, label="Gibbs")
    top = 1.5 * max(density.max(), reference.max())
    axis.set(xlim=(low, high), ylim=(0, top), xlabel="θ", ylabel="stationary density")
    beside = axis.twinx()
    beside.plot(theta[shown], V[shown], color=_BASINS[0], lw=1.2, ls=(0, (4, 2)))
    losses = [b.loss for b in basins]
    tops = [s.value for s in result.saddles]
    spread = max(tops) - min(losses)
    beside.set_ylim(min(losses) - 1.5 * spread, max(tops) + 0.6 * spread)
    beside.set_ylabel("loss V(θ), dashed", color=_BASINS[0])
    for basin in basins:
        beside.annotate(
            basin.name,
            (basin.minimum[0], basin.loss),
            (0, -5),
            textcoords="offset points",
            ha="center",
            va="top",
            weight="bold",
            color=_BASINS[0],
        )
    axis.legend(loc="upper center", frameon=False, fontsize=8.5, ncols=4, handlelength=1.2, columnspacing=1)
    title(axis, f"A  Where SGD is (T = {result.shown_temperature:g})")


def _span(theta: np.ndarray, density: np.ndarray, basins: tuple[Basin, ...]) -> tuple[float, float]:
    seen = theta[density > 2e-3 * density.max()]
    places = [b.minimum[0] for b in basins]
    return min(seen[0], *places) - 0.1, max(seen[-1], *places) + 0.1


def plane_landscape(axis, result: Result) -> None:
    """Contours of V with short paths of SGD from each well."""
    data = result.data
    x, y, V = (data[name].values for name in ("x", "y", "V"))
    lowest, highest = V.min(), max(s.value for s in result.saddles)
    levels = np.linspace(lowest, highest + 1.2 * (highest - lowest), 23)
    axis.contourf(x, y, np.minimum(V, levels[-1]).T, levels, cmap="Greys_r", alpha=0.75)
    axis.contour(x, y, V.T, levels[::2], colors="white", linewidths=0.5)
    for k, path in enumerate(data["paths"].values):
        axis.plot(*path.T, color=_BASINS[k % len(_BASINS)], lw=0.7)
    for k, basin in enumerate(result.basins):
        axis.plot(*basin.minimum, "o", ms=13, mfc="white", mec=_BASINS[k % len(_BASINS)], mew=1.5, zorder=4)
        at = dict(ha="center", va="center_baseline", zorder=5)
        axis.text(*basin.minimum, basin.name, weight="bold", fontsize=9, **at)
    for saddle in result.saddles:
        axis.plot(*saddle.point, "x", color="#b2182b", ms=7, mew=2, zorder=4)
    axis.set(xlabel="θ₁", ylabel="θ₂", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    steps = data.sizes["short_step"] - 1
    title(axis, f"A  Loss, passes (×), {steps} steps of SGD (T = {result.shown_temperature:g})")


def hops(axis, result: Result) -> None:
    """A run that hops: θ against steps, or in the plane the core that it is in."""
    data, basins = result.data, result.basins
    steps, core = data["path_step"].values, data["path_core"].values
    if result.dimension == 1:
        for k, (low, high) in enumerate(result.cores):
            axis.axhspan(low, high, color=_BASINS[0], alpha=0.2, lw=0)
            axis.annotate(
                basins[k].name,
                (1, basins[k].minimum[0]),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                weight="bold",
                color=_BASINS[0],
            )
        axis.plot(steps, data["path"].values[:, 0], color="black", lw=0.5, rasterized=True)
        axis.set_ylabel("θ (shaded: cores)")
    else:
        known = np.where(core < 0, np.nan, core)
        for k in range(len(basins)):
            inside = known == k
            look = dict(color=_BASINS[k % len(_BASINS)], ms=16, mew=0.7, rasterized=True)
            axis.plot(steps[inside], known[inside], "|", **look)
        axis.plot(steps, _last(known), color="black", lw=0.8, drawstyle="steps-post")
        axis.set_yticks(range(len(basins)), [b.name for b in basins])
        axis.set_ylabel("core visited (line: the last one)")
        axis.set_ylim(len(basins) - 0.5, -0.5)
    axis.set(xlabel="SGD step", xlim=(steps[0], steps[-1]))
    visited = core[core >= 0]
    title(axis, f"D  One run of SGD: {int((np.diff(visited) != 0).sum())} hops")


def _last(core: np.ndarray) -> np.ndarray:
    """The last core visited, at each step."""
    index = np.maximum.accumulate(np.where(np.isfinite(core), np.arange(len(core)), 0))
    return core[index]
