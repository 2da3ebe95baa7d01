"""Figures of a stationary covariance: ellipses in the plane, and variances along the eigenvectors of H."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

from sdesgd.errors import InputError
from sdesgd.plot import style

if TYPE_CHECKING:
    from sdesgd.stationary.result import StationaryComparison

_HALF = 1.959964
_MASS = 0.95
_RADIUS = float(np.sqrt(-2 * np.log(1 - _MASS)))  # of the ellipse that holds this mass of a Gaussian in the plane
LOOKS = {
    "OU": style.Look("SDE (Ornstein–Uhlenbeck)", style.look("SDE").colour, "--", "D"),
    "discrete": style.Look("SGD's recursion, constant C", "#c9a000", ":", "s"),
    "regression": style.Look("SGD's recursion, C(θ)", style.look("exact").colour, "-", "+"),
}


def ellipse(covariance: Any, centre: Any, axes: Axes, **options: Any) -> Ellipse:
    """The ellipse that holds 95 % of a Gaussian in the plane.

    Args:
        covariance: (2, 2).
        centre: (2,).
        axes: to draw on.
        options: of ``matplotlib.patches.Ellipse``.

    Raises:
        InputError: another shape.
    """
    if np.shape(covariance) != (2, 2):
        raise InputError(f"the covariance has shape {np.shape(covariance)}: an ellipse takes (2, 2)")
    values, vectors = np.linalg.eigh(np.asarray(covariance))
    width, height = 2 * _RADIUS * np.sqrt(np.clip(values, 0, None))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    drawn = Ellipse(tuple(np.asarray(centre, float)), width, height, angle=angle, fill=False, **options)
    axes.add_patch(drawn)
    return drawn


def ellipses(result: "StationaryComparison", axes: Axes | None = None) -> Axes:
    """The measured covariance and that of each theory as 95 % ellipses, with some points of the runs.

    In more than two dimensions in the plane of the two eigenvectors of H with the largest variances.

    Args:
        result: of ``stationary.compare``, of at least two dimensions.
        axes: to draw on; default: those of a new figure.

    Raises:
        InputError: one dimension.
    """
    D = len(result.minimum)
    if D < 2:
        raise InputError("an ellipse takes two dimensions, and there is one: draw variances")
    axes = style.figure(5.0, 4.4).add_subplot() if axes is None else axes
    names = ("θ₁ − θ₁*", "θ₂ − θ₂*")
    plane = np.eye(D)[:, :2]
    if D > 2 and result.theories:
        wide = np.argsort(-result.along(result.reference), kind="stable")[:2]
        plane = result.directions[:, wide]
        names = tuple(f"θ − θ* along the eigenvector of H with λ = {result.eigenvalues[k]:.3g}" for k in wide)
    handles = []
    if len(result.points):
        axes.plot(*(result.points @ plane).T, ".", color="0.75", markersize=2, zorder=1)
        look = style.look("SGD")
        ellipse(plane.T @ result.measured @ plane, result.mean @ plane, axes, edgecolor=look.colour, linewidth=2.6)
        handles.append(look.handle("SGD, measured", linewidth=2.6, marker=""))
    largest = [plane.T @ result.measured @ plane] if len(result.points) else []
    for name, law in result.theories.items():
        look, there = LOOKS[name], plane.T @ law @ plane
        ellipse(there, (0, 0), axes, edgecolor=look.colour, linestyle=look.line, linewidth=1.6)
        handles.append(look.handle(linewidth=1.6, marker=""))
        largest.append(there)
    if largest:
        reach = 1.25 * _RADIUS * np.sqrt(np.max([np.diag(x) for x in largest], axis=0))
        axes.set(xlim=(-reach[0], reach[0]), ylim=(-reach[1], 1.5 * reach[1]))
    axes.set(xlabel=names[0], ylabel=names[1], title="Ellipses that hold 95 % of a Gaussian")
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper left")
    return axes


def variances(result: "StationaryComparison", axes: Axes | None = None) -> Axes:
    """Variances along the eigenvectors of H, divided by those of the SDE: measured with 95 % intervals, and theories.

    Args:
        result: of ``stationary.compare``.
        axes: to draw on; default: those of a new figure.
    """
    axes = style.figure(5.0, 4.4).add_subplot() if axes is None else axes
    where = result.eigenvalues * result.learning_rate
    if not result.theories:
        axes.text(0.5, 0.5, "no stationary law", transform=axes.transAxes, ha="center")
        axes.set(xlabel="ηλ", ylabel="variance ÷ that of the SDE")
        return axes
    unit = result.along("OU")
    for name in result.theories:
        look = LOOKS[name]
        marker = look.marker if len(where) < 20 else ""
        axes.plot(where, result.along(name) / unit, marker=marker, label=look.label, **look.line_options())
    if np.isfinite(result.variances).all():
        look = style.look("SGD")
        half = _HALF * result.variance_errors / unit
        axes.errorbar(
            where, result.variances / unit, half, fmt=look.marker, color=look.colour, capsize=3, zorder=3,
            label="SGD, measured (95 %)",
        )  # fmt: skip
    else:
        axes.text(0.5, 0.03, "SGD: not established", transform=axes.transAxes, fontsize=8, ha="center")
    if where[-1] > 5 * where[0]:
        axes.set_xscale("log")
    axes.set(xlabel="ηλ, curvature along an eigenvector of H × learning rate", ylabel="variance ÷ that of the SDE")
    axes.set_title("Variance along the eigenvectors of H")
    axes.legend(fontsize=8, frameon=False)
    return axes
