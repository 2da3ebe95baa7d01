"""What ``simulate`` returns, in memory, as xarray and on disk."""

from sdesgd.trajectories.result import Trajectories, check_names

__all__ = ["Trajectories", "check_names"]
