"""IDX files: the right array or a refusal that names the file and the byte counts."""

import gzip
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdesgd as sg
from sdesgd.data import fashion_mnist, idx
from tests.data.written import IDX_NAMES, fuzz, idx_bytes, images, outcome, refused, write_idx
from tests.memory import peak_memory

FUZZ = settings(fuzz, max_examples=60)
ARRAY = images(3)[0]
PLAIN = idx_bytes(ARRAY)
PACKED = gzip.compress(PLAIN, mtime=0)


def written(tmp_path, content, name="some-images"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_every_usual_spelling_is_read(tmp_path, packed, dot):
    names = [name.replace("-idx", f"{dot}idx") for name in IDX_NAMES]
    pictures, labels, test_pictures, test_labels = write_idx(tmp_path, packed=packed, names=names)
    dataset = sg.data.load("mnist", 60, 20, data_dir=tmp_path)
    assert dataset.shape == (28, 28, 1)
    assert dataset.num_classes == 10
    mean, spread = pictures.mean(), pictures.std()
    for inputs, got, all_pictures, all_labels in (
        (dataset.inputs, dataset.labels, pictures, labels),
        (dataset.test_inputs, dataset.test_labels, test_pictures, test_labels),
    ):
        expected = {
            (row.tobytes(), int(label)) for row, label in zip(all_pictures.reshape(-1, 784), all_labels, strict=True)
        }
        pixels = np.rint(inputs.astype(float) * spread + mean).astype(np.uint8)
        assert {(row.tobytes(), int(label)) for row, label in zip(pixels, got, strict=True)} == expected


def test_a_gzip_without_its_ending_and_a_plain_file_with_one_are_told_by_content(tmp_path):
    np.testing.assert_array_equal(idx.read(written(tmp_path, PACKED, "plain-name"), 3), ARRAY)
    np.testing.assert_array_equal(idx.read(written(tmp_path, PLAIN, "name.gz"), 3), ARRAY)


def test_a_symlink_is_followed_and_a_folder_of_the_same_name_passed_over(tmp_path):
    write_idx(tmp_path / "real")
    folder = tmp_path / "linked"
    (folder / IDX_NAMES[0]).mkdir(parents=True)
    for name in IDX_NAMES:
        (folder / name.replace("-idx", ".idx")).symlink_to(tmp_path / "real" / name)
    assert len(sg.data.load("mnist", 30, 10, data_dir=folder).labels) == 30


@FUZZ
@given(cut=st.integers(0, len(PLAIN) - 1))
def test_plain_cut_anywhere(tmp_path, cut):
    path = written(tmp_path, PLAIN[:cut])
    refused(lambda: idx.read(path, 3), path, f"{cut} bytes", 16 if cut < 16 else len(PLAIN))


@FUZZ
@given(cut=st.integers(0, len(PACKED) - 1))
def test_gzip_cut_anywhere(tmp_path, cut):
    path = written(tmp_path, PACKED[:cut])
    refused(lambda: idx.read(path, 3), path, f"{cut} bytes")


@FUZZ
@given(more=st.binary(min_size=1, max_size=2000), packed=st.booleans())
def test_oversized(tmp_path, more, packed):
    content = PLAIN + more
    path = written(tmp_path, gzip.compress(content) if packed else content)
    said = "holds more" if packed else f"{len(content)} bytes"
    refused(lambda: idx.read(path, 3), path, said, len(PLAIN))


@FUZZ
@given(more=st.binary(min_size=1, max_size=50))
def test_anything_after_a_gzip(tmp_path, more):
    path = written(tmp_path, PACKED + more)
    array, message = outcome(lambda: idx.read(path, 3))
    if more.strip(b"\0"):
        assert message is not None
        assert str(path) in message
        assert f"{len(PACKED + more)} bytes" in message
    else:  # gzip allows padding with zeros
        np.testing.assert_array_equal(array, ARRAY)


@FUZZ
@given(position=st.integers(0, 15), value=st.integers(0, 255))
def test_any_header_byte(tmp_path, position, value):
    content = bytearray(PLAIN)
    content[position] = value
    path = written(tmp_path, bytes(content))
    if content == PLAIN:
        np.testing.assert_array_equal(idx.read(path, 3), ARRAY)
    else:
        refused(lambda: idx.read(path, 3), path, len(PLAIN))


@FUZZ
@given(position=st.integers(0, len(PACKED) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_gzip(tmp_path, position, bit):
    content = bytearray(PACKED)
    content[position] ^= 1 << bit
    path = written(tmp_path, bytes(content))
    array, message = outcome(lambda: idx.read(path, 3))
    if message is None:  # the time stamp and such may change
        np.testing.assert_array_equal(array, ARRAY)
    else:
        assert str(path) in message
        assert f"{len(PACKED)} bytes" in message


@FUZZ
@given(content=st.binary(max_size=200), packed=st.booleans())
def test_anything_else(tmp_path, content, packed):
    path = written(tmp_path, gzip.compress(content) if packed else content)
    refused(lambda: idx.read(path, 3), path, path.stat().st_size)


def peak_of_refusal(path, *words):
    return peak_memory(lambda: refused(lambda: idx.read(path, 3), path, *words))


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    bomb = gzip.compress(PLAIN[:4] + struct.pack(">3i", 1, 28, 28) + bytes(50_000_000), 1)
    assert peak_of_refusal(written(tmp_path, bomb), 16 + 784, f"{len(bomb)} bytes") < 2_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_header_promises_is_not_allocated(tmp_path, packed):
    content = PLAIN[:4] + struct.pack(">3i", 1_000_000, 28, 28) + b"0123456789"
    path = written(tmp_path, gzip.compress(content) if packed else content)
    assert peak_of_refusal(path, 16 + 784_000_000, 26) < 2_000_000


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_an_honest_gzip_of_more_than_the_set_has_is_not_unpacked(tmp_path, which):
    """1,000,000 images, 784 MB of zeros in 0.8 MB: the header is right, and nothing is cut short."""
    write_idx(tmp_path)
    shape = (1_000_000, 28, 28) if which in (0, 2) else (1_000_000,)
    path = tmp_path / IDX_NAMES[which]
    with gzip.open(path, "wb", 1) as file:
        file.write(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}i", *shape))
        for _ in range(28 * 28 if len(shape) == 3 else 1):
            file.write(bytes(1_000_000))
    wanted = 60_000 * 784 if which == 0 else "10000" if which > 1 else 60_000
    assert peak_memory(lambda: refused(lambda: load(tmp_path), path, "1000000", wanted)) < 3_000_000


def test_a_gzip_far_larger_than_its_array_is_not_unpacked(tmp_path):
    """A header's name of any length, or any number of empty members, come before the first byte."""
    for start in (b"\x1f\x8b\x08\x08" + bytes(6), b""):
        filling = b"x" * 3_000_000 if start else gzip.compress(b"", mtime=0) * 150_000
        path = written(tmp_path, start + filling + (b"\0" if start else b"") + PACKED)
        refused(lambda path=path: idx.read(path, 3, len(PLAIN)), path, path.stat().st_size, len(PLAIN))


@pytest.mark.parametrize("dims", [(2**31 - 1, 2**31 - 1, 2**31 - 1), (0, 28, 28), (-1, 28, 28), (-3, -28, 28)])
def test_implausible_dimensions(tmp_path, dims):
    path = written(tmp_path, PLAIN[:4] + struct.pack(">3i", *dims) + PLAIN[16:])
    refused(lambda: idx.read(path, 3), path, f"{len(PLAIN)} bytes", *dims)


def test_wrong_magic_says_both(tmp_path):
    refused(lambda: idx.read(written(tmp_path, PLAIN), 1), "0x00000803", "0x00000801")


def load(folder):
    return sg.data.load("mnist", 10, 5, data_dir=folder)


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_each_file_may_be_missing_empty_or_no_file(tmp_path, which):
    write_idx(tmp_path)
    path = tmp_path / IDX_NAMES[which]
    path.unlink()
    refused(lambda: load(tmp_path), "mnist", tmp_path, IDX_NAMES[which], "--data-dir")
    path.write_bytes(b"")
    refused(lambda: load(tmp_path), path, "0 bytes")
    path.unlink()
    path.mkdir()
    refused(lambda: load(tmp_path), path, "folder")
    path.rmdir()
    os.mkfifo(path)
    refused(lambda: load(tmp_path), path, "regular file")


def test_labels_out_of_range_and_other_numbers_or_sizes_of_images(tmp_path):
    write_idx(tmp_path)
    labels = tmp_path / IDX_NAMES[1]
    right = labels.read_bytes()
    for value in (10, 255):
        labels.write_bytes(right[:-1] + bytes([value]))
        refused(lambda: load(tmp_path), labels, f"label {value} at position 59")
    labels.write_bytes(idx_bytes(np.zeros(59, np.uint8)))
    refused(lambda: load(tmp_path), labels, "60 images", "59 labels")
    pictures = tmp_path / IDX_NAMES[0]
    pictures.write_bytes(idx_bytes(np.zeros((60, 14, 56), np.uint8)))
    refused(lambda: load(tmp_path), pictures, "14×56", "28×28")


def test_unreadable_and_absent_folders(tmp_path, monkeypatch):
    refused(lambda: load(tmp_path / "nowhere"), tmp_path / "nowhere", "not a folder")
    refused(lambda: sg.data.load("mnist", 10, 5), "--data-dir")
    write_idx(tmp_path)

    def forbidden(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", forbidden)
    refused(lambda: load(tmp_path), tmp_path / IDX_NAMES[0], "Permission denied")


@pytest.mark.skipif(fashion_mnist.missing(fashion_mnist.INFO.default_folder) is not None, reason="not installed here")
def test_the_real_fashion_mnist():
    dataset = sg.data.load("fashion_mnist", 1000, seed=1, balanced=True)
    assert dataset.inputs.shape == (1000, 784)
    assert dataset.inputs.dtype == np.float32
    assert len(dataset.test_labels) == 1000
    assert np.bincount(dataset.labels).tolist() == [100] * 10
    with gzip.open(fashion_mnist.INFO.default_folder / f"{IDX_NAMES[3]}.gz") as file:
        all_labels = np.frombuffer(file.read()[8:], np.uint8)
    assert np.bincount(all_labels).tolist() == [1000] * 10
    # Trousers (1) are a bright column; the mean of a class predicts the held-out ones.
    means = np.stack([dataset.inputs[dataset.labels == k].mean(axis=0) for k in range(10)])
    scores = dataset.test_inputs @ means.T - 0.5 * (means**2).sum(axis=1)
    assert (scores.argmax(axis=1) == dataset.test_labels).mean() > 0.6
