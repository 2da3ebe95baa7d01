"""The folder of a sweep: damage, forgery, a full disk, claims; and what status says of it."""

import errno
import io
import os
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from sdesgd import InputError, sweep
from sdesgd.store import claims
from sdesgd.sweep import display, store
from sdesgd.sweep.__main__ import main
from sdesgd.sweep.columns import packed, unpacked
from sdesgd.sweep.summary import seconds_left
from tests.sweep import small_cells
from tests.sweep.folders import cell_files, leftovers, run_silently


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("damage", ["cut", "empty", "byte", "another cell"])
def test_a_damaged_cell_is_computed_again(tmp_path, log, whole, damage):
    folder = tmp_path / "s"
    sweep.run(small_cells.plan(), folder)
    victim, other = cell_files(folder)[:2]
    content = victim.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "empty": b"",
        "byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "another cell": other.read_bytes(),
    }
    victim.write_bytes(damaged[damage])
    with pytest.warns(RuntimeWarning, match=f"{victim.name} is damaged"):
        assert sweep.status(folder).missing == 1
    with pytest.warns(RuntimeWarning, match=f"{victim.name} is damaged") as caught:
        result = sweep.run(small_cells.plan(), folder)
    assert len(caught) == 1
    assert (result.computed, log.count("start")) == (1, 13)
    assert result.table.identical(whole)
    assert sweep.table(folder).identical(whole)


@pytest.mark.parametrize("forgery", ["pickle", "no array", "no seed", "another dtype"])
def test_a_forged_cell_is_damaged_and_nothing_in_it_runs(tmp_path, monkeypatch, whole, forgery):
    """With a right checksum, as anybody can write who can write to the folder."""
    folder = tmp_path / "s"
    sweep.run(small_cells.plan(), folder)
    victim = cell_files(folder)[3]
    columns, about = unpacked(victim.read_bytes())
    trap = tmp_path / "sprung"
    genuine = np.lib.format.write_array

    def forged(file, array, **_):
        if forgery == "no array":
            file.write(b"no array")
        else:
            sprung = forgery == "pickle" and array.dtype == np.float32
            genuine(file, np.array([Trap(trap)] * 2) if sprung else array, allow_pickle=True)

    monkeypatch.setattr(np.lib.format, "write_array", forged)
    columns = {
        "pickle": columns,
        "no array": columns,
        "no seed": {"end": columns["end"]},
        "another dtype": {**columns, "seed": columns["seed"] + 0.5},
    }[forgery]
    victim.write_bytes(packed(columns, about))
    monkeypatch.undo()
    with pytest.warns(RuntimeWarning, match=f"{victim.name} is damaged"):
        assert sweep.status(folder).missing == 1
    assert not trap.exists()
    with pytest.warns(RuntimeWarning, match=f"{victim.name} is damaged"):
        assert sweep.run(small_cells.plan(), folder).table.identical(whole)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_loses_nothing_else(tmp_path, log, monkeypatch, whole, where):
    genuine, calls = getattr(os, where), []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > 6:  # the manifest and five cells
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return genuine(*arguments)

    monkeypatch.setattr(os, where, full)
    folder = tmp_path / "s"
    with pytest.raises(InputError, match=r"No space left on device; free space.*finished are kept") as caught:
        sweep.run(small_cells.plan(), folder)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert len(cell_files(folder)) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none is damaged
        assert sweep.status(folder) == sweep.Status(5, 0, 7, (), sweep.status(folder).seconds_left)
    result = sweep.run(small_cells.plan(), folder)
    assert result.computed == 7
    assert result.table.identical(whole)
    assert leftovers(folder) == []


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, whole):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "s"):
        with pytest.raises(InputError, match=r"can't write .*file.*choose another folder"):
            sweep.run(small_cells.plan(), folder)
    sweep.run(small_cells.plan(), tmp_path / "s")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}

    def read_only(*_, **__):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(store, "write", read_only)
    monkeypatch.setattr(pathlib.Path, "mkdir", read_only)
    assert run_silently(small_cells.plan(), tmp_path / "s").table.identical(whole)  # finished: nothing to write
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")} == before
    with pytest.raises(InputError, match="Read-only file system"):
        sweep.run(small_cells.plan(), tmp_path / "t")


def test_status_and_table_of_nothing(tmp_path):
    for read in (sweep.status, sweep.table):
        with pytest.raises(InputError, match="no sweep can be read"):
            read(tmp_path)
    sweep.run(small_cells.plan(), tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(InputError, match="is damaged: run the sweep again"):
        sweep.status(tmp_path)
    assert run_silently(small_cells.plan(), tmp_path).computed == 0
    assert sweep.status(tmp_path).done == 12


def test_status_counts_what_others_run(tmp_path, monkeypatch):
    plan = small_cells.plan()
    sweep.run(plan, tmp_path)
    running, missing = cell_files(tmp_path)[:2]
    other = claims.Claims(tmp_path / "claims")
    assert other.take(running.stem)
    running.unlink()
    missing.unlink()
    found = sweep.status(tmp_path)
    assert (found.done, found.failures, found.running, found.missing) == (10, (), 1, 1)
    assert found.total == 12
    assert np.isfinite(found.seconds_left)
    other.give_back_all()
    assert (sweep.status(tmp_path).running, sweep.status(tmp_path).missing) == (0, 2)


def test_status_on_the_command_line(tmp_path, capsys):
    plan = small_cells.plan(count=4, function="sometimes")
    with pytest.warns(RuntimeWarning, match="1 of 4 cells failed"):
        sweep.run(plan, tmp_path)
    assert main([str(tmp_path)]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == "3 of 4 cells done, 1 failed, 0 running, 0 missing"
    assert "ValueError: scale 0.75 is too large" in second
    assert rest == []
    assert main([str(tmp_path / "nowhere")]) == 2
    assert main([]) == 2
    assert "no sweep can be read" in capsys.readouterr().err


def test_time_left_is_by_shape():
    seconds, groups = [1.0, 3.0, None, None, 10.0, None, None], [0, 0, 0, 0, 1, 1, 2]
    overall = (1 + 3 + 10) / 3
    assert seconds_left(seconds, groups, [2, 3, 5, 6], 1) == pytest.approx(2 * 2 + 10 + overall)
    assert seconds_left(seconds, groups, [2, 3, 5, 6], 2) == pytest.approx((2 * 2 + 10 + overall) / 2)
    assert seconds_left([None], [0], [0], 1) is None
    assert seconds_left([1.0], [0], [], 1) == 0


def test_the_bar(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(display, "_REFRESH_SECONDS", 0.0)
    sweep.run(small_cells.plan(seconds=0.05), tmp_path / "s", progress="walks")
    shown = sys.stderr.getvalue()
    assert "walks" in shown
    assert re.search(r"1?\d/12 \d s left", re.sub(r"\x1b\[[0-9;]*m", "", shown))
    monkeypatch.setattr(sys, "stderr", Terminal())
    sweep.run(small_cells.plan(seconds=0.05), tmp_path / "t", progress="")
    assert sys.stderr.getvalue() == ""
    assert [display.duration(seconds) for seconds in (8.4, 200.0, 7500.0)] == ["8 s", "3 min 20 s", "2 h 5 min"]


def test_claims(tmp_path):
    one, two = claims.Claims(tmp_path), claims.Claims(tmp_path)
    assert one.take("a")
    assert not two.take("a")
    assert claims.claimed(tmp_path) == {"a"}
    one.give_back("a")
    assert list(tmp_path.iterdir()) == []
    assert two.take("a")
    assert two.take("b")
    assert not one.take("b")
    two.give_back_all()
    assert claims.claimed(tmp_path) == set()
    assert one.take("a")


def test_a_claim_that_was_given_back_meanwhile_is_no_claim(tmp_path, monkeypatch):
    """Between opening a file and locking it its holder may have finished: the lock is then of a file that is gone."""
    one, two = claims.Claims(tmp_path), claims.Claims(tmp_path)
    assert one.take("a")
    genuine = claims._lock

    def late(handle, shared):
        one.give_back("a")
        monkeypatch.setattr(claims, "_lock", genuine)
        return genuine(handle, shared)

    monkeypatch.setattr(claims, "_lock", late)
    assert not two.take("a")
    assert two.take("a")
    assert not claims.Claims(tmp_path).take("a")


def test_claims_of_the_dead_are_free(tmp_path):
    script = "import pathlib, runpy, sys; made = runpy.run_path(sys.argv[1])['Claims'](pathlib.Path(sys.argv[2]))"
    script += "; print(made.take('a'), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, claims.__file__, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout.readline() == "True\n"
        assert claims.claimed(tmp_path) == {"a"}
        assert not claims.Claims(tmp_path).take("a")
        other.kill()
    assert claims.claimed(tmp_path) == set()
    assert claims.Claims(tmp_path).take("a")


@pytest.mark.parametrize("missing", ["module", "on this disk"])
def test_without_locks_every_claim_is_granted(tmp_path, monkeypatch, whole, missing):
    class Unlockable:
        LOCK_EX, LOCK_SH, LOCK_NB = 2, 1, 4

        def flock(self, *_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(claims, "fcntl", None if missing == "module" else Unlockable())
    one, two = claims.Claims(tmp_path), claims.Claims(tmp_path)
    assert one.take("a")
    assert two.take("a")
    assert claims.claimed(tmp_path) == set()
    one.give_back("a")
    two.give_back("a")
    assert sweep.run(small_cells.plan(), tmp_path / "s").table.identical(whole)
