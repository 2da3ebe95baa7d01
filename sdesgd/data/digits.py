"""1,797 real 8×8 digits that ship with scikit-learn."""

from pathlib import Path

import numpy as np

from sdesgd.data.loader import Info, Part, Parts, Request, missing_package

INFO = Info(
    name="digits",
    what="handwritten digits, 8×8",
    examples="1,797",
    shape=(8, 8, 1),
    num_classes=10,
    how="install the Python package scikit-learn, which ships it",
)


def missing(folder: Path | None) -> str | None:
    """See ``loader.Loader``."""
    return missing_package("sklearn", "scikit-learn")


def read(request: Request) -> Parts:
    """(1797, 64) inputs in [0, 1], labels 0–9."""
    from sklearn.datasets import load_digits  # slow to import, so not at the top

    inputs, labels = load_digits(return_X_y=True)
    source = "scikit-learn load_digits (UCI optical recognition of handwritten digits)"
    return Parts(Part((np.asarray(inputs) / 16.0).__getitem__, np.asarray(labels)), None, source)
