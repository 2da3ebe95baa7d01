"""Real data, one loader a file; local files only, never a download."""

from sdesgd.data.dataset import Dataset, load, names

__all__ = ["Dataset", "load", "names"]
