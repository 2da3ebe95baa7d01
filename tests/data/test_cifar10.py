"""CIFAR-10's binary version: the right array or a refusal that names the file and the byte counts."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdesgd as sg
from tests.data.written import cifar_records, fuzz, refused, write_cifar
from tests.memory import peak_memory

FUZZ = settings(fuzz, max_examples=40)
NAMES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]


def load(folder, num_examples=20, num_test=4):
    return sg.data.load("cifar10", num_examples, num_test, data_dir=folder)


def as_tuples(records):
    """(pixels in the order height, width, colour, label), by explicit loops over the file's layout."""
    found = set()
    for record in records:
        flat = [record[1 + 1024 * c + 32 * h + w] for h in range(32) for w in range(32) for c in range(3)]
        found.add((bytes(flat), int(record[0])))
    return found


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-bin"])
def test_both_folders_are_read(tmp_path, inner):
    train, test = write_cifar(tmp_path / inner)
    dataset = load(tmp_path)
    assert dataset.shape == (32, 32, 3)
    mean, spread = train[:, 1:].mean(), train[:, 1:].std()
    for inputs, labels, records in (
        (dataset.inputs, dataset.labels, train),
        (dataset.test_inputs, dataset.test_labels, test),
    ):
        pixels = np.rint(inputs.astype(float) * spread + mean).astype(np.uint8)
        assert {(row.tobytes(), int(label)) for row, label in zip(pixels, labels, strict=True)} == as_tuples(records)


@FUZZ
@given(which=st.sampled_from(NAMES), change=st.integers(-4 * 3073, 2 * 3073))
def test_cut_or_lengthened(tmp_path, which, change):
    write_cifar(tmp_path)
    path = tmp_path / which
    size = 4 * 3073 + change
    path.write_bytes((path.read_bytes() + cifar_records(2, 9).tobytes())[:size])
    if size and size % 3073 == 0:
        expected = (20, 4 + change // 3073) if which == NAMES[-1] else (20 + change // 3073, 4)
        found = load(tmp_path, *expected)
        assert (len(found.labels), len(found.test_labels)) == expected
    else:
        refused(lambda: load(tmp_path), path, f"{size} bytes", 3073)


@FUZZ
@given(which=st.sampled_from(NAMES), record=st.integers(0, 3), label=st.integers(10, 255))
def test_labels_out_of_range(tmp_path, which, record, label):
    write_cifar(tmp_path)
    content = bytearray((tmp_path / which).read_bytes())
    content[3073 * record] = label
    (tmp_path / which).write_bytes(content)
    refused(lambda: load(tmp_path), tmp_path / which, f"label {label} in record {record}")


@pytest.mark.parametrize("which", NAMES)
def test_each_file_may_be_missing_a_folder_or_a_pipe(tmp_path, which):
    write_cifar(tmp_path)
    path = tmp_path / which
    path.unlink()
    refused(lambda: load(tmp_path), which, tmp_path)
    path.mkdir()
    refused(lambda: load(tmp_path), path, "folder")
    path.rmdir()
    os.mkfifo(path)
    refused(lambda: load(tmp_path), path, "regular file")


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-py"])
def test_the_pickled_version_is_refused_unopened(tmp_path, inner):
    (tmp_path / inner).mkdir(exist_ok=True)
    os.mkfifo(tmp_path / inner / "data_batch_1")  # opening it would hang
    refused(lambda: load(tmp_path), tmp_path, "pickle", "cifar-10-binary.tar.gz")


@pytest.mark.parametrize("records", [10_001, 340_000])
def test_a_file_larger_than_the_official_one_is_not_read(tmp_path, records):
    """340,000 records of a sparse file, 1.04 GB, take no room on the disk."""
    write_cifar(tmp_path)
    for name in NAMES:
        with (tmp_path / name).open("wb") as file:
            file.truncate(3073 * records)
    refusal = lambda: refused(lambda: load(tmp_path), tmp_path / NAMES[0], 3073 * records, 3073 * 10_000)  # noqa: E731
    assert peak_memory(refusal) < 2_000_000


def test_a_file_of_the_official_size_is_read(tmp_path):
    write_cifar(tmp_path)
    (tmp_path / NAMES[2]).write_bytes(cifar_records(10_000, 5).tobytes())
    assert len(load(tmp_path, 10_016, 4).labels) == 10_016
