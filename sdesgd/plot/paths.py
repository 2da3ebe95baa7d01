"""Trajectories: observables against time, or paths in the plane over the contours of the loss."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdesgd import evidence
from sdesgd.errors import InputError, require_known
from sdesgd.plot import style
from sdesgd.plot.stationary import LOOKS, ellipse

if TYPE_CHECKING:
    from sdesgd.stationary.result import StationaryComparison
    from sdesgd.trajectories import Trajectories

_HALF = 1.959964
_GRID = 121  # points of the contours along each axis
_CONTOURS = 16


def trajectories(
    result: "Trajectories",
    axes: Axes | None = None,
    *,
    observable: str | None = None,
    loss: Callable | None = None,
    stationary: "StationaryComparison | Mapping[str, Any] | None" = None,
    runs: int = 5,
    label: str = "SGD",
) -> Axes:
    """An observable against time, with its mean, band and some runs; with a loss, the paths of a 2-D observable.

    Args:
        result: of ``simulate``.
        axes: to draw on; default: those of a new figure.
        observable: its name; default: the only one, or the first that is a number (with ``loss``: a pair).
        loss: a JAX function of a point (2,), whose contours are drawn; the observable is then θ, (replicas, times, 2).
        stationary: of ``stationary.compare``, whose ellipses are drawn about its minimum; or a table of name →
            covariance (2, 2), about the mean of the late points. Only with ``loss``.
        runs: single runs shown.
        label: of the runs: "SGD", "Gaussian SGD", "SDE" or another.

    Raises:
        InputError: an unknown observable, or one of another shape.
    """
    name = _chosen(result, observable, 1 if loss is None else 2)
    values = np.asarray(result.values[name], float)
    if runs < 0:
        raise InputError(f"runs is {runs}: pass 0 or more")
    axes = style.figure(5.6, 4.4).add_subplot() if axes is None else axes
    if loss is None:
        if stationary is not None:
            raise InputError("stationary ellipses are drawn over the contours of a loss: pass loss too")
        _against_time(result, name, values, axes, runs, label)
    else:
        _in_the_plane(values, axes, loss, stationary, runs, label)
    return axes


def _chosen(result: "Trajectories", observable: str | None, dimension: int) -> str:
    """A name whose values are (R, T), or (R, T, 2)."""
    shapes = {name: np.shape(array)[2:] for name, array in result.values.items()}
    wanted = () if dimension == 1 else (2,)
    if observable is None:
        fitting = [name for name, shape in shapes.items() if shape == wanted]
        if not fitting:
            what = "a number" if dimension == 1 else "a pair of parameters"
            raise InputError(f"no observable is {what}: there are {', '.join(shapes) or 'none'}; save one")
        return fitting[0]
    require_known("observable", observable, shapes)
    if shapes[observable] != wanted:
        raise InputError(
            f"observable '{observable}' has shape {shapes[observable]} per time: pass one of shape {wanted}"
            + ("; for paths in the plane pass loss" if shapes[observable] == (2,) else "")
        )
    return observable


def _against_time(result: "Trajectories", name: str, values: np.ndarray, axes: Axes, runs: int, label: str) -> None:
    look, estimate = style.look(label), evidence.mean(values)
    middle, error = np.asarray(estimate.mean), np.asarray(estimate.standard_error)
    for run in values[:runs]:
        axes.plot(result.time, run, color=look.colour, linewidth=0.6, alpha=0.45)
    handles = []
    if len(values) > 1:
        low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
        axes.fill_between(result.time, low, high, color=style.SPREAD, alpha=style.BAND, linewidth=0)
        axes.fill_between(
            result.time, middle - _HALF * error, middle + _HALF * error, color=look.colour, alpha=0.3, linewidth=0
        )
        handles += [
            style.band_handle("90 % of the replicas", style.SPREAD, 0.3),
            style.band_handle("95 % interval of the mean", look.colour, 0.3),
        ]
    axes.plot(result.time, middle, linewidth=style.LINE, **look.line_options())
    handles.insert(0, look.handle(f"{look.label}, mean of {len(values)} replicas", marker=""))
    if runs:
        handles.append(look.handle(f"{min(runs, len(values))} single runs", linewidth=0.6, alpha=0.6, marker=""))
    axes.set(xlabel="SDE time Σ η", ylabel=name, xlim=(result.time[0], result.time[-1]))
    axes.legend(handles=handles, fontsize=8, frameon=False)


def _in_the_plane(values: np.ndarray, axes: Axes, loss: Callable, stationary: Any, runs: int, label: str) -> None:
    look, handles = style.look(label), []
    late = values[:, values.shape[1] // 2 :].reshape(-1, 2)
    late = late[np.isfinite(late).all(axis=1)]
    laws, centre = _laws(stationary, late)
    points = [values[:runs].reshape(-1, 2), late]
    for law in laws.values():
        half = 2.6 * np.sqrt(np.diag(law))
        points.append(np.stack([centre - half, centre + half]))
    shown = np.concatenate(points)
    shown = shown[np.isfinite(shown).all(axis=1)]
    if not len(shown):
        raise InputError("no point of the trajectories is finite: all replicas diverged")
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    x, y = (np.linspace(low[d] - margin[d], high[d] + margin[d], _GRID) for d in (0, 1))
    grid = jnp.asarray(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2))
    V = np.asarray(jax.vmap(loss)(grid), float).reshape(_GRID, _GRID)
    # Equal steps of √(V − min) are equally spaced about a quadratic minimum.
    floor = float(V.min())
    levels = floor + (np.linspace(0, math.sqrt(float(V.max()) - floor), _CONTOURS)[1:]) ** 2
    if levels[-1] > floor:
        axes.contour(x, y, V.T, levels=levels, colors="0.75", linewidths=0.6)
    for k, run in enumerate(values[:runs]):
        axes.plot(*run.T, color=look.colour, linewidth=0.7, alpha=0.6)
        axes.plot(*run[0], "o", color=look.colour, markersize=4, label="start" if k == 0 else None)
    if runs:
        handles.append(look.handle(f"{min(runs, len(values))} runs of {look.label}", linewidth=0.8, marker=""))
        handles.append(look.handle("start", linestyle="", marker="o", markersize=4))
    for name, law in laws.items():
        theory = LOOKS.get(name) or style.look(name)
        width = 2.6 if name == "SGD" else 1.6
        ellipse(law, centre, axes, edgecolor=theory.colour, linestyle=theory.line, linewidth=width, zorder=3)
        handles.append(theory.handle(f"{theory.label}, 95 %", marker="", linewidth=width))
    axes.set(xlabel="θ₁", ylabel="θ₂", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.legend(handles=handles, fontsize=8, frameon=True, framealpha=0.85, loc="best")


def _laws(stationary: Any, late: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Covariances by name, the measured first, and their centre."""
    if stationary is None:
        return {}, late.mean(axis=0) if len(late) else np.zeros(2)
    if isinstance(stationary, Mapping):
        return {str(name): np.asarray(law, float) for name, law in stationary.items()}, late.mean(axis=0)
    if len(stationary.minimum) != 2:
        raise InputError(f"the stationary comparison has {len(stationary.minimum)} dimensions: pass one of two")
    measured = {"SGD": stationary.measured} if np.isfinite(stationary.measured).all() else {}
    return measured | stationary.theories, stationary.minimum


def figure_of(result: "Trajectories") -> Figure:
    """One panel for each observable that is a number; where none is, for the first component of each.

    Args:
        result: of ``sg.simulate``.

    Raises:
        InputError: no observable has a component.
    """
    names = [name for name, values in result.values.items() if np.ndim(values) == 2]
    if not names:
        size = len(result.diverged), len(result.time)
        first = {f"{name}[0]": np.reshape(x, (*size, -1))[..., 0] for name, x in result.values.items() if np.size(x)}
        result, names = dataclasses.replace(result, values=first), list(first)
    if not names:
        raise InputError("there is no observable, or none with a component: save one to draw it")
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = style.figure(max(5.0, 4.2 * columns), 0.6 + 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for name, axis in zip(names, axes.flat, strict=False):
        trajectories(result, axis, observable=name, label="mean")
    lost = int(np.sum(result.diverged))
    text = f"{len(result.diverged):,} replicas, {result.step[-1]:,} steps" + (f", {lost:,} diverged" if lost else "")
    figure.suptitle(text + (", interrupted" if result.interrupted else ""), fontsize=11)
    return style.settled(figure)
