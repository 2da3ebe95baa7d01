"""Data sets, one loader a file; local files and generators only, never a download."""

from sdesgd.data.dataset import Dataset, catalogue, load, names

__all__ = ["Dataset", "catalogue", "load", "names"]
