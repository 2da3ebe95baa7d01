"""1,797 real 8×8 digits that ship with scikit-learn."""

import numpy as np


def read() -> tuple[np.ndarray, np.ndarray, str]:
    """(1797, 64) inputs in [0, 1], labels 0–9."""
    from sklearn.datasets import load_digits  # slow to import, so not at the top

    bunch = load_digits()
    return bunch.data / 16.0, bunch.target, "scikit-learn load_digits (UCI optical recognition of handwritten digits)"
