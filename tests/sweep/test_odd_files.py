"""Pipes, devices, folders and garbage in place of a sweep's files: one line, never a hang, and nothing is replaced."""

import os
import stat
import subprocess
import sys
import warnings

import pytest

from sdesgd import sweep
from sdesgd.errors import InputError
from sdesgd.sweep.__main__ import main
from tests.sweep import small_cells
from tests.sweep.folders import cell_files


def pipe(path):
    os.mkfifo(path)


def zeros(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()
    (path / "kept").write_text("kept")


ODD = {"pipe": (pipe, "no regular file"), "zeros": (zeros, "no regular file"), "folder": (folder, "is a folder")}
PLACES = ["cells", "failures", "sweep.json"]


def place_of(base, place):
    key = cell_files(base)[3].stem
    return {"cells": base / "cells" / f"{key}.npz", "failures": base / "failures" / f"{key}.json"}.get(
        place, base / "sweep.json"
    )


@pytest.fixture
def finished(tmp_path):
    sweep.run(small_cells.plan(), tmp_path / "s")
    return tmp_path / "s"


def attempts(base):
    for attempt in (
        lambda: sweep.run(small_cells.plan(), base),
        lambda: sweep.status(base),
        lambda: sweep.table(base),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield attempt


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", ["cells", "sweep.json"])
def test_odd_things_are_named_and_stay(finished, kind, place):
    make, word = ODD[kind]
    path = place_of(finished, place)
    path.unlink()
    make(path)
    before = path.lstat()
    for attempt in attempts(finished):
        with pytest.raises(InputError, match=f"{path.name}.*{word}") as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 300
    assert main([str(finished)]) == 2
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode), "not replaced"
    assert stat.S_ISCHR(os.stat("/dev/zero").st_mode)


@pytest.mark.parametrize("kind", ODD)
def test_odd_things_in_place_of_a_failure(tmp_path, kind):
    """A cell whose failure can't be read is tried again; that it failed can't be kept."""
    base = tmp_path / "s"
    with pytest.warns(RuntimeWarning, match="cells failed"):
        sweep.run(small_cells.plan(function="sometimes"), base)
    path = sorted((base / "failures").iterdir())[0]
    path.unlink()
    ODD[kind][0](path)
    assert sweep.status(base).missing == 1
    with pytest.raises(InputError, match=path.name):
        sweep.run(small_cells.plan(function="sometimes"), base)


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b"", b"\xff\xfe", b"3", b"[]", b"null", b'{"format": 1}', b'{"format": [1]}', b"{" * 9]
)
@pytest.mark.parametrize("place", ["sweep.json", "failures"])
def test_garbage(finished, content, place):
    path = place_of(finished, place)
    path.write_bytes(content)
    if place == "sweep.json":
        with pytest.raises(InputError, match=r"sweep\.json (is damaged|has format)"):
            sweep.status(finished)
    else:
        assert sweep.status(finished).done == 12


def test_a_file_that_would_fill_the_memory_is_not_read(finished):
    for place in PLACES:
        path = place_of(finished, place)
        content = path.read_bytes() if path.exists() else b""
        with path.open("wb") as file:
            file.truncate(1 << 40)  # takes no room on the disk
        if place != "failures":
            for attempt in list(attempts(finished))[place == "sweep.json" :]:  # run writes a damaged manifest anew
                with pytest.raises(InputError, match=f"{path.name} has {1 << 40} bytes"):
                    attempt()
        path.write_bytes(content)


@pytest.mark.slow
def test_a_pipe_among_the_claims(finished):
    os.mkfifo(finished / "claims" / "pipe")
    script = f"from sdesgd import sweep; print(sweep.status({str(finished)!r}).done)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "12", done.stderr


def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        sweep.run(small_cells.plan(count=2), tmp_path / "s")
    finally:
        os.umask(before)
    files = [tmp_path / "s" / "sweep.json", *cell_files(tmp_path / "s")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
