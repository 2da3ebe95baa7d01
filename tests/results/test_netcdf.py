"""NetCDF from anywhere: what sdesgd writes is read; what would read other files or fill the memory is refused."""

import os
import stat
import struct
import zlib

import h5py
import numpy as np
import pytest
import xarray as xr
from h5py import h5d, h5p, h5s, h5t

from sdesgd import files, netcdf
from sdesgd.errors import InputError
from sdesgd.netcdf import read_netcdf, write_netcdf
from tests.memory import peak_memory

NUMBERS = np.arange(6.0).reshape(2, 3)
PLAIN = xr.Dataset(
    {
        "numbers": (("row", "column"), NUMBERS),
        "text": ("row", ["one", "αβγ"]),
        "flags": ("row", [True, False]),
        "nothing": ("none", np.zeros(0)),
        "one": ((), np.float32(0.5)),
        "complex": ("row", [1j, 2.0]),
        "missing": ("column", [np.nan, -0.0, np.inf]),
    },
    {"arm": ("row", ["SGD", "SDE"]), "column": [0.0, 0.1, 0.2]},
    {"card": '{"a": 1}', "several": [1, 2], "words": ["a", "b"]},
)


def refusal(path):
    """The line that refuses a file, without much memory being taken."""
    messages = []

    def read():
        with pytest.raises(InputError) as caught:
            read_netcdf(path)
        messages.append(str(caught.value))

    assert peak_memory(read, calls=1) < 150_000_000
    message = messages[0]
    assert path.name in message
    assert "\n" not in message
    assert len(message) <= 300
    return message


def with_dimension(file, name, dataset_id=None):
    """Makes a dataset of one axis what NetCDF takes for a variable."""
    dataset = file[name] if dataset_id is None else h5py.Dataset(dataset_id)
    scale = file.create_dataset(f"{name}_0", (dataset.shape[0],), "f4")
    scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{dataset.shape[0]:10}")
    dataset.dims[0].attach_scale(scale)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(np.arange(10.0).tobytes())
    return path


def test_what_is_written_is_read(tmp_path):
    write_netcdf(PLAIN, tmp_path / "a.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "a.nc"), PLAIN)
    assert os.listdir(tmp_path) == ["a.nc"]


def test_a_million_replicas_with_one_byte_each(tmp_path):
    """A dimension without numbers of its own declares four bytes an entry, which nobody reads."""
    dataset = xr.Dataset({"dead": ("replica", np.zeros(1_000_000, bool))})
    write_netcdf(dataset, tmp_path / "a.nc")
    assert (tmp_path / "a.nc").stat().st_size < 1_100_000
    xr.testing.assert_identical(read_netcdf(tmp_path / "a.nc"), dataset)


def test_a_file_that_another_program_compressed_is_read(tmp_path):
    dataset = xr.Dataset({"x": ("a", np.zeros(100_000)), "y": ("a", np.arange(100_000) % 7)})
    packed = {"zlib": True, "complevel": 9, "shuffle": True, "fletcher32": True}
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"x": packed, "y": packed})
    assert (tmp_path / "a.nc").stat().st_size < 50_000
    xr.testing.assert_equal(read_netcdf(tmp_path / "a.nc"), dataset)


# -- numbers that lie elsewhere ------------------------------------------------------------------------------


def test_external_storage(tmp_path, secret):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10,), "f8", external=[(str(secret), 0, 80)])
        with_dimension(file, "x")
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset["x"].values.tolist() == list(range(10)), "unchecked, it would be read"
    assert "lie in other files" in refusal(path)


@pytest.mark.parametrize("length", [10, 10**12])
@pytest.mark.parametrize("source", ["file", "pipe", "gone", "itself"])
def test_virtual_data_sets(tmp_path, length, source):
    """8 TB take no room, and opening the pipe would never end."""
    path, other = tmp_path / "a.nc", tmp_path / "other.h5"
    if source == "file":
        with h5py.File(other, "w") as file:
            file["x"] = np.arange(10.0)
    if source == "pipe":
        os.mkfifo(other)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((length,), "f8")
        layout[:10] = h5py.VirtualSource(path if source == "itself" else other, "x", (10,))
        file.create_virtual_dataset("x" if source != "itself" else "y", layout, fillvalue=0)
        if source == "itself":
            file["x"] = np.arange(10.0)
            with_dimension(file, "x")
    assert "lie in other files" in refusal(path)


@pytest.mark.parametrize("link", [h5py.SoftLink("/numbers"), h5py.SoftLink("/gone"), "external", "external pipe"])
def test_links(tmp_path, link):
    path, other = tmp_path / "a.nc", tmp_path / "other.nc"
    write_netcdf(PLAIN, path)
    if str(link).startswith("external"):
        os.mkfifo(other) if "pipe" in link else write_netcdf(PLAIN, other)
        link = h5py.ExternalLink(str(other), "numbers")
    with h5py.File(path, "a") as file:
        file["more"] = link
    assert "'more' is a link to elsewhere" in refusal(path)


def test_groups_and_odd_types(tmp_path):
    for name, make in {
        "group": lambda f: f.create_group("x"),
        "lists": lambda f: f.create_dataset("x", (3,), h5py.vlen_dtype("f8")),
        "records": lambda f: f.create_dataset("x", (3,), np.dtype([("a", "f8"), ("b", "i4")])),
        "references": lambda f: f.create_dataset("x", (3,), h5py.ref_dtype),
        "opaque": lambda f: f.create_dataset("x", (3,), np.dtype("V7")),
    }.items():
        path = tmp_path / f"{name}.nc"
        with h5py.File(path, "w") as file:
            make(file)
        assert "'x'" in refusal(path), name


# -- more than is there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f8", "i1", "S1000", "c16"])
@pytest.mark.parametrize("how", ["contiguous", "chunked", "deflate"])
def test_more_than_the_file_holds(tmp_path, dtype, how):
    """4 GB of fill values, or 8 TB, in a file of some kB."""
    for count in (4 * 10**9 // np.dtype(dtype).itemsize, 10**12):
        path = tmp_path / f"{count}.nc"
        layout = {"contiguous": {}, "chunked": {"chunks": (1000,)}, "deflate": {"chunks": (1000,), "compression": 9}}[
            how
        ]
        with h5py.File(path, "w") as file:
            file.create_dataset("x", (count,), dtype, **layout)
            if how != "contiguous":
                file["x"][:1000] = np.zeros(1000, dtype)
            with_dimension(file, "x")
        assert path.stat().st_size < 10_000_000
        assert f"declares {count * np.dtype(dtype).itemsize:,} bytes" in refusal(path)


def test_a_forged_ratio_of_compression(tmp_path):
    """One stored piece can't stand for more than deflate makes of its bytes."""
    path, count = tmp_path / "a.nc", 1 << 28
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (count,), "f8", chunks=(count,), compression=9)
        file["x"].id.write_direct_chunk((0,), zlib.compress(bytes(1000), 9))
        with_dimension(file, "x")
    assert "declares 2,147,483,648 bytes" in refusal(path)


def test_a_piece_larger_than_its_array(tmp_path):
    """HDF5 reads whole pieces: 800 MB for ten numbers."""
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10,), "f8", chunks=(10**8,), maxshape=(None,), compression=9)
        file["x"][:] = 1
        with_dimension(file, "x")
    assert "in pieces of 800,000,000" in refusal(path)


def test_a_sparse_file_larger_than_memory(tmp_path):
    path, count = tmp_path / "a.nc", 10**12
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        h5d.create(file.id, b"x", h5t.IEEE_F64LE, h5s.create_simple((count,)), plan)
        with_dimension(file, "x")
    with path.open("r+b") as file:
        file.truncate(8 * count + 100_000)
    assert path.stat().st_blocks * 512 < 10_000_000
    message = refusal(path)
    assert "8,000,000,000,000 bytes" in message
    assert "memory" in message


@pytest.mark.parametrize("where", ["variable", "attribute", "attributes"])
def test_text_that_is_the_same_bytes_many_times(tmp_path, where, monkeypatch):
    """Pieces of text of any length point into the file, and all of them may point to one place."""
    monkeypatch.setattr(netcdf, "_TEXT", 1 << 22)
    monkeypatch.setattr(netcdf, "_LISTED", 1 << 27)
    path, long = tmp_path / "a.nc", "x" * (1 << 20)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        if where == "variable":
            file.create_dataset("x", (1000,), text)
            file["x"][:] = ["y" * 40] * 1000
            file["x"][0] = long
            with_dimension(file, "x")
        elif where == "attribute":
            file.attrs.create("many", [long, *["y"] * 63], dtype=text)
        else:
            for k in range(10):
                file.attrs.create(f"one{k}", ["z" * 50_000, long], dtype=text)
    if where != "attributes":  # the first piece for all the others: its length, its heap's address, its number there
        content, count = bytearray(path.read_bytes()), 1000 if where == "variable" else 64
        starts = [k for k in range(0, len(content) - 16 * count, 4) if content[k : k + 4] == b"\0\0\x10\0"]
        pieces = [(k, *struct.unpack("<QI", content[k + 4 : k + 16])) for k in starts]
        (start,) = [k for k, heap, number in pieces if 0 < heap < len(content) and content[heap : heap + 4] == b"GCOL"]
        content[start : start + 16 * count] = content[start : start + 16] * count
        path.write_bytes(content)
    message = refusal(path)
    assert "4,194,304 bytes" in message
    assert "text" in message


def test_a_long_list_of_text_in_an_attribute(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.attrs.create("many", ["y"] * 65, dtype=h5py.string_dtype())
    assert "'many'" in refusal(path)


def test_other_filters(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (100,), "i4", chunks=(100,), scaleoffset=0, data=np.arange(100))
        with_dimension(file, "x")
    assert "packed otherwise" in refusal(path)


# -- odd things in place of files ----------------------------------------------------------------------------


def test_folders_pipes_devices_and_what_is_no_netcdf(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, word in (
        ("pipe", "no regular file"),
        ("zero", "no regular file"),
        ("folder", "folder"),
        ("loop", "loop"),
    ):
        assert word in refusal(tmp_path / name)
    assert "does not exist" in refusal(tmp_path / "gone")
    write_netcdf(PLAIN, tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").read_bytes()
    for k, content in enumerate(
        (b"", b"text", whole[:100], whole[: len(whole) // 2], whole[:-1], b"\x89HDF\r\n\x1a\n" * 99)
    ):
        (tmp_path / f"{k}.nc").write_bytes(content)
        assert "not a readable NetCDF file" in refusal(tmp_path / f"{k}.nc")
    with pytest.raises(InputError, match="null character"):
        read_netcdf("a\0b")


def test_any_flipped_byte_is_read_or_refused_in_one_line(tmp_path):
    write_netcdf(PLAIN[["numbers", "text"]], tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").read_bytes()
    rng, messages = np.random.default_rng(0), []
    for place in rng.integers(0, len(whole), 150):
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.nc").write_bytes(content)
        try:
            read_netcdf(tmp_path / "b.nc")
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert all("\n" not in message and len(message) <= 300 for message in messages)


# -- the writer --------------------------------------------------------------------------------------------


def test_modes_follow_the_umask(tmp_path):
    for mask in (0o022, 0o077, 0o007):
        before = os.umask(mask)
        try:
            write_netcdf(PLAIN, tmp_path / "a.nc")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a.nc").stat().st_mode) == 0o666 & ~mask


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.nc").symlink_to(tmp_path / "real" / "a.nc")
    for _ in range(2):
        write_netcdf(PLAIN, tmp_path / "link.nc")
        assert (tmp_path / "link.nc").is_symlink()
        assert os.listdir(tmp_path / "real") == ["a.nc"]


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    for name, word in (("pipe", "no regular file"), ("null", "no regular file"), ("folder", "folder"), (".", "folder")):
        for attempt in (lambda p: write_netcdf(PLAIN, p), files.check_writable):
            with pytest.raises(InputError, match=word):
                attempt(tmp_path / name)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    for name in ("gone/a.nc", "pipe/a.nc", "x" * 300, "a\0b"):
        for attempt in (lambda p: write_netcdf(PLAIN, p), files.check_writable):
            with pytest.raises(InputError) as caught:
                attempt(tmp_path / name)
            assert len(str(caught.value)) <= 300
    assert sorted(os.listdir(tmp_path)) == ["folder", "null", "pipe"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 120, "𝜃" * 60 + ".nc", "-", " ", "a\nb"])
def test_any_name_that_the_disk_takes(tmp_path, name):
    write_netcdf(PLAIN, tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    xr.testing.assert_identical(read_netcdf(tmp_path / name), PLAIN)


def test_names_that_netcdf_cannot_have_are_one_line(tmp_path):
    for name in ("a/b", "\ud800", "", 3):
        with pytest.raises(InputError, match="can't be written as NetCDF"):
            write_netcdf(xr.Dataset({name: ("x", [1.0])}), tmp_path / "a.nc")
    with pytest.raises(InputError, match="can't be written as NetCDF"):
        write_netcdf(xr.Dataset({"a": ("x", [object()])}), tmp_path / "a.nc")
    assert os.listdir(tmp_path) == []
