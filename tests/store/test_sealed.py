"""Every byte of a sealed file counts."""

import h5py
import numpy as np
import pytest
import xarray as xr

from sdesgd.files import MissingFile
from sdesgd.netcdf import to_bytes
from sdesgd.store.sealed import Damaged, read_about, read_sealed, write_sealed

ABOUT = {"stage": "one", "seconds": 0.5}


def written(path, content=b"numbers"):
    write_sealed(path, content, ABOUT, "choose another folder")
    return path


def test_what_was_written_comes_back(tmp_path):
    path = written(tmp_path / "a")
    assert read_sealed(path) == (b"numbers", ABOUT)
    assert read_about(path) == ABOUT


@pytest.mark.parametrize("content", [b"", b"\n{}\nsha256 ", bytes(range(256))])
def test_any_content_comes_back(tmp_path, content):
    assert read_sealed(written(tmp_path / "a", content)) == (content, ABOUT)


def test_any_flipped_bit_is_found(tmp_path):
    path = written(tmp_path / "a")
    whole = path.read_bytes()
    for k in range(len(whole)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 1 << (k % 8)]) + whole[k + 1 :])
        with pytest.raises(Damaged, match="is damaged"):
            read_sealed(path)


def test_any_missing_end_is_found(tmp_path):
    path = written(tmp_path / "a")
    whole = path.read_bytes()
    for k in range(len(whole)):
        path.write_bytes(whole[:k])
        with pytest.raises(Damaged, match="is damaged"):
            read_sealed(path)
    path.write_bytes(whole + b"\n")
    with pytest.raises(Damaged, match="is damaged"):
        read_sealed(path)


def test_no_file_and_no_seal(tmp_path):
    with pytest.raises(MissingFile):
        read_sealed(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"numbers")
    with pytest.raises(Damaged):
        read_sealed(tmp_path / "a")
    assert read_about(tmp_path / "a") == {}


def test_other_programs_read_a_sealed_netcdf_file(tmp_path):
    path = tmp_path / "a.nc"
    write_sealed(path, to_bytes(xr.Dataset({"x": ("row", np.arange(3.0))})), ABOUT, "")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"], [0, 1, 2])
    with xr.open_dataset(path) as dataset:
        np.testing.assert_array_equal(dataset["x"], [0, 1, 2])
