"""Figures of results. ``result.plot()`` draws the whole figure; the functions here draw on axes of one's own.

``style`` holds the colour, line and marker of each kind of run, so that SGD looks the same everywhere.
"""

from sdesgd.plot.basins import landscape, occupancy, occupancy_against_temperature
from sdesgd.plot.paths import trajectories
from sdesgd.plot.stationary import ellipses, variances
from sdesgd.plot.style import Look, figure, look, settled

__all__ = [
    "Look",
    "ellipses",
    "figure",
    "landscape",
    "look",
    "occupancy",
    "occupancy_against_temperature",
    "settled",
    "trajectories",
    "variances",
]
