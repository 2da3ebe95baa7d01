"""1,797 real 8×8 digits that ship with scikit-learn."""

import numpy as np


def read() -> tuple[np.ndarray, np.ndarray, str]:
    """(1797, 64) inputs in [0, 1], labels 0–9."""
    from sklearn.datasets import load_digits  # slow to import, so not at the top

    inputs, labels = load_digits(return_X_y=True)
    source = "scikit-learn load_digits (UCI optical recognition of handwritten digits)"
    return np.asarray(inputs) / 16.0, np.asarray(labels), source
