"""The figure of sgd-vs-sde: that of the comparison."""

import xarray as xr
from matplotlib.figure import Figure

import sdesgd as sg
from sdesgd.results import file


def draw(dataset: xr.Dataset, summary: dict) -> Figure:
    """The comparison as ``sg.compare`` draws it."""
    del summary
    return file.unpacked(dataset, sg.Comparison, "trajectories.nc").plot()
