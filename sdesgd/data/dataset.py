"""The common shape of a data set, the registry of loaders, the held-out split."""

import importlib
from typing import NamedTuple

import numpy as np

from sdesgd.errors import InputError, require_known

# name → module under sdesgd.data with ``read() -> (inputs (N, features) in [0, 1], labels (N,), source)``
_LOADERS = {"digits": "digits", "mnist5k": "mnist5k"}


class Dataset(NamedTuple):
    """A training part and a held-out part of one data set, standardised by the training part.

    inputs: (N, features) float32, labels: (N,) int32; the same for test_; num_classes; source: where it is from.
    """

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    source: str


def names() -> list[str]:
    """The data sets that ``load`` knows."""
    return sorted(_LOADERS)


def load(name: str, num_examples: int, num_test: int | None = None, seed: int = 0) -> Dataset:
    """A random subset for training and a disjoint one held out.

    Pixels are centred by the mean and divided by the standard deviation of all training pixels together (two
    numbers, fitted on the training part alone), so constant pixels stay constant.

    Args:
        name: see ``names``.
        num_examples: N of the training part.
        num_test: of the held-out part; default: what is left, at most 1,000.
        seed: of the subset.

    Raises:
        InputError: an unknown name (the nearest is named), more examples than there are.
    """
    module = _LOADERS[require_known("data set", name, _LOADERS)]
    inputs, labels, source = importlib.import_module(f"sdesgd.data.{module}").read()
    total = len(labels)
    if num_test is None:
        num_test = max(0, min(1000, total - num_examples))
    if num_examples < 1 or num_test < 1 or num_examples + num_test > total:
        raise InputError(
            f"{name} has {total} examples, {num_examples} for training and {num_test} held out were asked for: "
            f"choose at least 1 of each and at most {total} together"
        )
    order = np.random.default_rng(seed).permutation(total)
    train, test = order[:num_examples], order[num_examples : num_examples + num_test]
    centre, spread = inputs[train].mean(), inputs[train].std()
    scaled = ((inputs - centre) / (spread if spread > 0 else 1.0)).astype(np.float32)
    labels = labels.astype(np.int32)
    return Dataset(scaled[train], labels[train], scaled[test], labels[test], int(labels.max()) + 1, source)
