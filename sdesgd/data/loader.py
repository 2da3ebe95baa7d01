"""What every loader module offers: ``INFO``, ``missing(folder)`` and ``read(request)``."""

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of a data set before anything is read.

    Args:
        name: as in ``load``.
        what: one line.
        examples: how many, in words: training + held out where the set has its own test part.
        shape: natural shape of one example; its product is the number of features.
        num_classes: of the labels 0 … num_classes − 1.
        how: one line, how to get it.
        per_feature: standardise each feature by itself, not all by the same two numbers.
        reads_folder: needs files in a folder.
        default_folder: where they are looked for if no folder is passed.
    """

    name: str
    what: str
    examples: str
    shape: tuple[int, ...]
    num_classes: int
    how: str
    per_feature: bool = False
    reads_folder: bool = False
    default_folder: Path | None = None

    @property
    def num_features(self) -> int:
        """Of one flat example."""
        return int(np.prod(self.shape))


class Request(NamedTuple):
    """What ``load`` was asked for; generators make at least that much, readers of files read what is there.

    num_examples, num_test: of the training and the held-out part; seed; balanced: see ``load``; folder: of the files.
    """

    num_examples: int
    num_test: int
    seed: int
    balanced: bool
    folder: Path | None


class Part(NamedTuple):
    """Examples to choose from.

    rows: indices (n,) → a new array (n, features) of bytes or floats, so that only what is chosen is ever expanded;
    labels: (N,) integers.
    """

    rows: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray


class Parts(NamedTuple):
    """train; test: None where the set has no test part of its own; source: where it is from."""

    train: Part
    test: Part | None
    source: str


@runtime_checkable
class Loader(Protocol):
    """A module with these three names."""

    INFO: Info

    def missing(self, folder: Path | None) -> str | None:
        """What ``read`` would miss, by names alone, nothing is read; None if all is there."""
        ...

    def read(self, request: Request) -> Parts:
        """The examples.

        Raises:
            InputError: a file is not what it should be.
        """
        ...


def missing_package(module: str, package: str) -> str | None:
    """``missing`` of a loader that needs a Python package."""
    there = importlib.util.find_spec(module) is not None
    return None if there else f"the Python package {package} is not installed: pip install 'sdesgd[data]'"
