"""Small data files as a user would have them, written by the tests, and the one check of every refusal."""

import gzip
import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from sdesgd.errors import InputError

# The same examples each time; a test's own number of them.
fuzz = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def images(number, seed=0, num_classes=10):
    """Images of very different brightness, so that where the mean is taken matters; all classes in turn."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(1, 256, (number, 1, 1))
    return rng.integers(0, bright, (number, 28, 28), dtype=np.uint8), np.arange(number, dtype=np.uint8) % num_classes


def write_idx(folder: Path, train=60, test=20, packed=False, names=IDX_NAMES):
    """Writes the four files; returns the four arrays."""
    arrays = (*images(train, 1), *images(test, 2))
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, arrays, strict=True):
        content = idx_bytes(array)
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    return arrays


def cifar_records(number, seed):
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (number, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(number) % 10
    return records


def write_cifar(folder: Path, number=4):
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    parts = [cifar_records(number, seed) for seed in range(6)]
    for name, records in zip(names, parts, strict=True):
        (folder / name).write_bytes(records.tobytes())
    return np.concatenate(parts[:5]), parts[5]


def speech(lengths, columns=40, seed=0, num_classes=1973):
    """utterance → features, utterance → states; each channel with its own level and spread."""
    rng = np.random.default_rng(seed)
    level, spread = rng.normal(0, 50, columns), rng.uniform(0.1, 10, columns)
    features = {f"utt{i}": rng.normal(level, spread, (T, columns)).astype(np.float32) for i, T in enumerate(lengths)}
    return features, {name: rng.integers(0, num_classes, len(x)).astype(np.int32) for name, x in features.items()}


def write_timit(folder: Path, train, test, scp=False, **options):
    """Both parts, each (features, states); scp: with an index each, whose paths are relative."""
    for name, (features, states) in (("train", train), ("test", test)):
        part = folder / name
        part.mkdir(parents=True, exist_ok=True)
        for stem, table, how in (("feats", features, options), ("ali", states, {})):
            index = str(part / f"{stem}.scp") if scp else None
            kaldiio.save_ark(str(part / f"{stem}.ark"), table, scp=index, **how)
            if index:
                Path(index).write_text(Path(index).read_text().replace(f"{part}/", ""))


def refused(function, *words):
    """``function()`` raises InputError, one line that holds every word; returns the message."""
    with pytest.raises(InputError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message


def outcome(function):
    """(what ``function()`` returns, None), or (None, the message of its InputError, one line)."""
    try:
        return function(), None
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    return None, message
