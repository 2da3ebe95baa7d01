"""One look for all figures: the colour, line, marker and name of each kind of run, and of each part of a gap."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch


@dataclasses.dataclass(frozen=True)
class Look:
    """How a run or a law is drawn, everywhere.

    Attributes:
        label: in legends.
        colour: of lines, markers and bands.
        line: of matplotlib's line styles.
        marker: of points.
    """

    label: str
    colour: str
    line: str = "-"
    marker: str = "o"

    def line_options(self) -> dict[str, Any]:
        """Options of ``Axes.plot`` for a curve."""
        return {"color": self.colour, "linestyle": self.line}

    def handle(self, label: str = "", **options: Any) -> Line2D:
        """The entry of a legend."""
        return Line2D([], [], label=label or self.label, **(self.line_options() | options))


RUNS: Mapping[str, Look] = {
    "SGD": Look("SGD", "black", "-", "o"),
    "Gaussian SGD": Look("Gaussian SGD", "#d95f02", "--", "s"),
    "SDE": Look("SDE", "#1f78b4", "-", "D"),
    "SVAG": Look("SVAG", "#33a02c", ":", "^"),
}
LAWS: Mapping[str, Look] = {
    "Gibbs": Look("Gibbs law exp(−L/T)", "0.45", "-.", "x"),
    "exact": Look("exact law", "#b2182b", "-", "+"),
    "Laplace": Look("Laplace approximation", "#762a83", ":", "v"),
    "Kramers": Look("Kramers' rates", "#762a83", ":", "v"),
    "theory": Look("theory", "#b2182b", "--", ""),
}
PARTS: Mapping[str, Look] = {
    "gap": Look("SGD − SDE", "#b2182b"),
    "non_gaussian": Look("SGD − Gaussian SGD: non-Gaussian noise", "#c9a000"),
    "discretisation": Look("Gaussian SGD − SDE: predicted from finite η, no SGD run", "#6a3d9a"),
}
BASINS = ("#8c510a", "#01665e", "#c51b7d", "#4d9221", "#7570b3", "#666666", "#e6ab02", "#a6761d")

MARGIN, SPREAD = "0.93", "0.65"
BAND = 0.18  # opacity of a band
LINE = 1.6  # width of a curve


def look(name: str) -> Look:
    """How the run or the law of this name is drawn; grey and by its name where it has no look of its own."""
    return RUNS.get(name) or LAWS.get(name) or PARTS.get(name) or Look(name, "0.35")


def band_handle(label: str, colour: str = "0.6", alpha: float = 0.3) -> Patch:
    """The entry of a legend for a band."""
    return Patch(color=colour, alpha=alpha, label=label)


def figure(width: float, height: float) -> Figure:
    """An empty figure with a layout that makes room for what is outside the axes.

    Args:
        width: in inches.
        height: in inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def settled(drawn: Figure) -> Figure:
    """The same figure with its layout fixed, which else moves a little at each drawing: equal data give equal files."""
    drawn.draw_without_rendering()
    drawn.set_layout_engine("none")
    return drawn
