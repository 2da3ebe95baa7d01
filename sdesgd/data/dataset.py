"""The common shape of a data set, the registry of loaders, the held-out split, standardisation, label noise."""

import numbers
import operator
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sdesgd.data import cifar10, digits, fashion_mnist, frames, mnist, mnist1d, mnist5k, timit
from sdesgd.data.loader import Info, Loader, Part, Parts, Request
from sdesgd.errors import InputError, require_known, shown

_MODULES: tuple[Loader, ...] = (digits, mnist5k, mnist1d, fashion_mnist, mnist, cifar10, timit, frames)
_LOADERS = {module.INFO.name: module for module in _MODULES}
_DEFAULT_TEST = 1000
_LARGEST = 1 << 32  # bytes of all inputs that are asked for


class Dataset(NamedTuple):
    """A training part and a held-out part of one data set, standardised by the training part.

    inputs: (N, features) float32, flat in the row-major order of ``shape``, labels: (N,) int32; the same for test_;
    num_classes: the data set's own; source: where it is from; shape: of one example, (height, width, colours) for
    images.
    """

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    source: str
    shape: tuple[int, ...]


def names() -> list[str]:
    """The data sets that ``load`` knows."""
    return sorted(_LOADERS)


def catalogue(data_dir: Path | str | None = None) -> list[tuple[Info, str | None]]:
    """Every data set, and what is missing here to load it (None: nothing); looks at names, reads no data.

    Args:
        data_dir: a folder to look into, besides a data set's default folder.
    """
    found = []
    for module in _MODULES:
        info = module.INFO
        folders = [None if data_dir is None else Path(data_dir), info.default_folder]
        missing = [module.missing(folder) for folder in folders if folder is not None] or [module.missing(None)]
        found.append((info, None if None in missing else missing[0]))
    return found


def load(
    name: Any,  # untyped, as anything comes in and is refused in one line; what each has to be stands below
    num_examples: Any,
    num_test: Any = None,
    seed: Any = 0,
    *,
    data_dir: Any = None,
    label_noise: Any = 0.0,
    balanced: Any = False,
) -> Dataset:
    """A random subset for training and a disjoint one held out.

    x ← (x − m) / s. For images and mnist1d m and s are the mean and standard deviation of all training inputs
    together (two numbers), so constant pixels stay constant; for timit and frames, whose filter-bank channels differ
    in level and scale, each of the 360 features has its own m and s, with s = 1 for a constant one. Both are fitted on
    the chosen training part alone. Held-out examples come from the set's own test part where it has one (fashion_mnist,
    mnist, cifar10, timit; frames generates one), else from what training leaves over.

    Label noise as in Zhang et al. (2017), "Understanding deep learning requires rethinking generalization": with
    probability p, independently, a training label is replaced by a class drawn uniformly from all K, the right one
    included, so that a fraction p (1 − 1/K) is wrong on average. Inputs, subset and held-out labels don't depend on p.

    Args:
        name: one of ``names``, a text.
        num_examples: N of the training part, a whole number.
        num_test: of the held-out part; default: what there is, at most 1,000.
        seed: of the subset, of the label noise, and of what generated sets generate; a whole number below 2³².
        data_dir: folder of the files, a text or a path, for the sets that are read from files; never downloaded.
        label_noise: p, in [0, 1).
        balanced: whether to take as many training examples of each class present, up to one; the extra ones go to the
            classes with most examples.

    Raises:
        InputError: an unknown name (the nearest is named), files missing or not what they should be, more examples
            than there are or than 4 GiB hold, too few of a class, p or the seed out of range, a number that isn't
            whole.
    """
    module = _LOADERS[require_known("data set", name, _LOADERS)]
    info = module.INFO
    num_examples, seed = _whole("num_examples", num_examples), _whole("seed", seed)
    num_test = None if num_test is None else _whole("num_test", num_test)
    wanted_test = _DEFAULT_TEST if num_test is None else num_test
    _check(info, num_examples, wanted_test, seed, label_noise, balanced)
    folder = _folder(module, data_dir)
    parts = module.read(Request(num_examples, wanted_test, seed, balanced, folder))
    train, test = _choose(parts, info, num_examples, num_test, np.random.default_rng(seed), balanced)
    held_out = parts.test or parts.train
    inputs, test_inputs = _standardised(info, parts.train.rows(train), held_out.rows(test))
    labels = _corrupted(parts.train.labels[train].astype(np.int32), info.num_classes, label_noise, seed)
    test_labels = held_out.labels[test].astype(np.int32)
    return Dataset(inputs, labels, test_inputs, test_labels, info.num_classes, parts.source, info.shape)


def _check(info: Info, num_examples: int, num_test: int, seed: int, label_noise: Any, balanced: Any) -> None:
    """What can be refused before anything is read."""
    for what, number in (("training", num_examples), ("held-out", num_test)):
        if number < 1:
            raise InputError(f"{number} {what} examples of {info.name} were asked for: choose at least 1")
    size = 4 * info.num_features * (num_examples + num_test)
    if size > _LARGEST:
        raise InputError(
            f"{num_examples} training and {num_test} held-out examples of {info.name} were asked for, {size} bytes: "
            f"choose at most {_LARGEST // (4 * info.num_features)} together, at {4 * info.num_features} bytes each"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {shown(seed)}: pass a whole number from 0 to {2**32 - 1}")
    if not isinstance(label_noise, numbers.Real) or isinstance(label_noise, bool) or not 0 <= float(label_noise) < 1:
        raise InputError(f"label noise is {shown(label_noise)}: pass a probability of at least 0 and below 1")
    if not isinstance(balanced, bool | np.bool_):
        raise InputError(f"balanced is {shown(balanced)}: pass True or False")
    if balanced and num_examples < info.num_classes:
        raise InputError(
            f"{info.name} has {info.num_classes} classes, {num_examples} balanced examples were asked for: choose at "
            f"least {info.num_classes}, or leave balancing out"
        )


def _whole(name: str, value: Any) -> int:
    """A whole number as Python's: one of NumPy's or an array of no axes will do.

    Raises:
        InputError: anything else, say 30.0, True or "30".
    """
    try:
        if isinstance(value, bool) or np.asarray(value).dtype.kind == "b":
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {shown(value)}: pass a whole number") from None


def _folder(module: Loader, data_dir: Any) -> Path | None:
    info = module.INFO
    if data_dir is not None and not isinstance(data_dir, str | os.PathLike):
        raise InputError(f"data_dir is {shown(data_dir)}: pass the folder of the files")
    if data_dir is not None and not info.reads_folder:
        raise InputError(f"{info.name} reads no folder of files, {data_dir} was passed: leave --data-dir out")
    folder = info.default_folder if data_dir is None else Path(data_dir)
    missing = module.missing(folder)
    if missing:
        raise InputError(f"{info.name} can't be read: {missing}; {info.how}")
    return folder


def _choose(
    parts: Parts, info: Info, num_examples: int, num_test: int | None, rng: np.random.Generator, balanced: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training part, and of the held-out part within the test part or else within the training part."""
    total, own = len(parts.train.labels), parts.test is not None
    left = len(parts.test.labels) if parts.test is not None else total - num_examples
    asked = max(1, min(_DEFAULT_TEST, left)) if num_test is None else num_test
    if num_examples > total or asked > left:
        there = f"{total} training and {left} held-out examples" if own else f"{total} examples"
        most = f"{total} and {left}" if own else f"{total} together"
        raise InputError(
            f"{info.name} has {there}, {num_examples} for training and {asked} held out were asked for: choose at "
            f"least 1 of each and at most {most}"
        )
    order = rng.permutation(total)
    if balanced:
        order = _balanced_first(order, parts.train, info, num_examples)
    test = rng.permutation(left) if own else order[num_examples:]
    return order[:num_examples], test[:asked]


def _balanced_first(order: np.ndarray, train: Part, info: Info, num_examples: int) -> np.ndarray:
    """The same indices with a balanced choice moved to the front, otherwise in the order they had."""
    available = np.bincount(train.labels, minlength=info.num_classes)
    present = np.flatnonzero(available)
    each, extra = divmod(num_examples, len(present))
    quota = np.where(available > 0, each, 0)
    quota[present[np.argsort(-available[present], kind="stable")[:extra]]] += 1
    short = np.flatnonzero(available < quota)
    if len(short):
        raise InputError(
            f"{info.name} has {available[short[0]]} examples of class {short[0]}, balancing {num_examples} over "
            f"{len(present)} classes takes {quota[short[0]]}: choose fewer, or leave balancing out"
        )
    labels = train.labels[order]
    by_class = np.argsort(labels, kind="stable")
    place = np.empty_like(order)  # of an example among those of its class
    place[by_class] = np.arange(len(order)) - np.repeat(np.cumsum(available) - available, available)
    first = place < quota[labels]
    return np.concatenate([order[first], order[~first]])


def _standardised(info: Info, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts by the mean and spread of the first, in float32; overwrites them."""
    if train.dtype == np.uint8:
        train, test = train.astype(np.float32) / 255, test.astype(np.float32) / 255
    axis = 0 if info.per_feature else None
    centre, spread = _moments_by_feature(train) if info.per_feature else (train.mean(), train.std())
    low, high = train.min(axis=axis), train.max(axis=axis)
    # Of equal numbers the computed spread may be 1e-17 instead of 0.
    centre, spread = np.where(low == high, low, centre), np.where(low == high, 1, spread)
    centre, spread = centre.astype(train.dtype), spread.astype(train.dtype)
    for part in (train, test):  # in place: all of CIFAR-10 takes 0.6 GB
        part -= centre
        part /= spread
    return train.astype(np.float32, copy=False), test.astype(np.float32, copy=False)


def _moments_by_feature(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Sums down a column run in plain order, so many rows need float64; in blocks, so as not to copy all of them to it.
    blocks = [rows[start : start + 4096] for start in range(0, len(rows), 4096)]
    centre = np.sum([block.sum(axis=0, dtype=np.float64) for block in blocks], axis=0) / len(rows)
    return centre, np.sqrt(np.sum([((block - centre) ** 2).sum(axis=0) for block in blocks], axis=0) / len(rows))


def _corrupted(labels: np.ndarray, num_classes: int, probability: float, seed: int) -> np.ndarray:
    # A stream of its own ([seed, 0] would be that of seed): the same examples, and more of them hit, as p grows.
    rng = np.random.default_rng([seed, 1])
    hit = rng.random(len(labels)) < probability
    drawn = rng.integers(0, num_classes, len(labels), dtype=np.int32)
    return np.where(hit, drawn, labels)
