"""Densities on grids: a curve on a line, a map in the plane, marginals in more dimensions."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.basins.exact_law import ExactLaw
    from sdesgd.stationary.grid_density import GridDensity


def exact_law(result: "ExactLaw") -> Figure:
    """The density of the stationary law of a dynamics, the occupancies of its wells in the title.

    Args:
        result: of ``basins.exact_occupancy``.
    """
    shape = [len(axis) for axis in result.axes]
    shares = ", ".join(f"{100 * p:.1f} %" for p in result.occupancy[:6]) + (", …" if len(result.occupancy) > 6 else "")
    title = f"Exact stationary law of the dynamics at this η\nwells: {shares} of the time"
    return _figure(result.axes, result.density.reshape(shape), title, "exact")


def grid_density(result: "GridDensity") -> Figure:
    """The density on its grid.

    Args:
        result: of ``stationary.gibbs_density``, ``ito_density`` or ``finite_step_density``.
    """
    return _figure(result.axes, result.densities, result.name, "Gibbs")


def _figure(axes: tuple[np.ndarray, ...], density: np.ndarray, title: str, look: str) -> Figure:
    drawn = style.figure(6.0 if len(axes) < 3 else 3.2 * len(axes), 4.4)
    if len(axes) == 2:
        _plane(axes, density, drawn.add_subplot())
    else:
        panels = drawn.subplots(1, len(axes), squeeze=False)[0]
        for k, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            marginal = density
            for other in reversed([j for j in range(len(axes)) if j != k]):
                marginal = np.trapezoid(marginal, axes[other], axis=other)
            _line(axis, marginal, "θ" if len(axes) == 1 else f"θ{chr(0x2081 + k)}", panel, look)
    drawn.suptitle(title, fontsize=11)
    return style.settled(drawn)


def _line(x: np.ndarray, density: np.ndarray, name: str, axes: Axes, look: str) -> None:
    drawn = style.look(look)
    axes.plot(x, density, color=drawn.colour, linewidth=style.LINE)
    axes.fill_between(x, 0, density, color=drawn.colour, alpha=style.BAND, linewidth=0)
    axes.set(xlabel=name, ylabel=f"probability density, per unit of {name}", ylim=(0, None), xlim=_shown(x, density))


def _plane(grid: tuple[np.ndarray, ...], density: np.ndarray, axes: Axes) -> None:
    x, y = grid
    mesh = axes.pcolormesh(x, y, density.T, cmap="Greys", vmin=0, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.set_label("probability density, per unit of θ₁ and of θ₂")
    axes.set(xlabel="θ₁", ylabel="θ₂", xlim=_shown(x, density.sum(axis=1)), ylim=_shown(y, density.sum(axis=0)))


def _shown(x: np.ndarray, density: np.ndarray) -> tuple[float, float]:
    """The part of an axis where there is something to see."""
    seen = np.flatnonzero(density > 1e-4 * density.max())
    margin = 0.05 * (x[seen[-1]] - x[seen[0]])
    return max(float(x[0]), float(x[seen[0]] - margin)), min(float(x[-1]), float(x[seen[-1]] + margin))
