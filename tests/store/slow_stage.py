"""A stage that takes a moment, for two processes that want it at once."""

import time

import xarray as xr


def slow(value):
    """Says that it is computed."""
    print("computing", flush=True)
    time.sleep(3)
    return xr.Dataset({"x": float(value)})
