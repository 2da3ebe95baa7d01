"""Full disks and limits on file sizes while a file of any kind is written: one line, nothing half written, and on."""

import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections import deque
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli
from sdesgd import files, sweep
from sdesgd.sweep import store
from tests.experiments import toy_experiment
from tests.experiments.toy_experiment import COMPUTED, FILES, before_writing, contents, known_as, stage_files
from tests.limits import file_size_limit, may_mount, mounted
from tests.sweep import small_cells
from tests.sweep.folders import cell_files

TOP = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
SGD_VS_SDE = [
    *("sgd-vs-sde", "--data", "digits", "--num-examples", "24", "--num-test", "20", "--width", "3", "--num-steps", "4"),
    *("--save-every", "2", "--replicas", "6", "--check-replicas", "2", "--svag-ell", "0"),
]


@pytest.fixture
def disk(tmp_path, request):
    """A disk of its own, of some kB. Whoever may not mount one has the limits on file sizes below for every file."""
    if not may_mount():
        pytest.skip("mounting a small disk needs CAP_SYS_ADMIN, which root has outside of containers")
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(place, getattr(request, "param", 2000)):
        yield place


def fill(disk, left=0):
    """Fills a disk but for so many pages."""
    with open(disk / "ballast", "ab", buffering=0) as file:
        with pytest.raises(OSError, match="No space left on device"):
            deque(map(file.write, itertools.repeat(bytes(4096))), 0)
        file.truncate(os.fstat(file.fileno()).st_size - 4096 * left)


def whole_files(folder):
    """What is there, the ballast left out; nothing may be half written."""
    found = contents(folder)
    assert not [name for name in found if name.endswith((".partial", ".tmp", "~")) or Path(name).name.startswith(".")]
    return {name: content for name, content in found.items() if name != "ballast"}


def one_line(capsys, *words):
    """The last of what was said on stderr, stages that were kept before left out."""
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("stage '")]
    assert len(lines) == 1, lines
    assert all(word in lines[0] for word in words), lines
    assert len(lines[0]) <= 320
    return lines[0]


def test_a_deep_folder_does_not_hide_the_reason():
    """Found where a run's long name lay in a long temporary folder: the reason was what the message lost."""
    deep = Path("/", *("a-long-name-of-a-folder",) * 20, "summary.json")
    for number, reason in ((errno.EFBIG, "File too large"), (errno.ENOSPC, "No space left on device")):
        message = str(files.cannot_write(deep, OSError(number, os.strerror(number))))
        assert reason in message
        assert message.startswith("can't write /a-long-name")
        assert message.endswith("choose another folder")
        assert "summary.json" in message


# -- an experiment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 2])
@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_while_a_run_writes(disk, tmp_path, capsys, name, left):
    command = ["--results", disk / "runs", "--figure", disk / "copy.svg"]
    with before_writing(name, lambda: fill(disk, left)):
        status = toy_experiment.main(*command)
    assert status == 2
    message = one_line(capsys, "error: can't write", "No space left on device")
    assert name.removesuffix(".nc") in message
    before = whole_files(disk)
    assert name not in set(map(known_as, before))
    (disk / "ballast").unlink()
    kept = stage_files(disk / "runs")
    COMPUTED.clear()
    assert toy_experiment.main(*command) == 0
    assert [stage for stage in ("one", "two") if stage not in kept] == COMPUTED
    after = whole_files(disk)
    assert all(after[path] == content for path, content in before.items()), "what was there is as it was"
    assert toy_experiment.main("--results", tmp_path / "other" / "runs", "--figure", tmp_path / "other.svg") == 0
    whole = whole_files(tmp_path / "other").items()
    other = {path: c for path, c in whole if not path.endswith(("manifest.json", "report.html"))}  # which hold times
    for path, content in other.items():  # a stage says when it was made
        end = content.rfind(b"\n{") if "stages/" in path else len(content)
        assert after[path][:end] == content[:end], "the numbers are those of an unhindered run"
    assert after["copy.svg"] == (tmp_path / "other.svg").read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_no_space_where_no_disk_can_be_mounted(tmp_path, capsys, monkeypatch, name):
    """The same error from the system call, so that no machine goes without: nothing half written, and on."""
    command = ["--results", tmp_path / "runs", "--figure", tmp_path / "copy.svg"]

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, before_writing(name, lambda: patch.setattr(os, "fsync", full)):
        assert toy_experiment.main(*command) == 2
    message = one_line(capsys, "error: can't write", "No space left on device")
    assert name.removesuffix(".nc") in message
    assert name not in set(map(known_as, whole_files(tmp_path)))
    assert toy_experiment.main(*command) == 0
    assert set(map(known_as, whole_files(tmp_path))) == set(FILES)


def test_an_earlier_file_survives_its_successor(disk, capsys):
    """--figure over an older figure, and a run drawn again where there is no room."""
    command = ["--results", disk / "runs", "--figure", disk / "copy.svg"]
    assert toy_experiment.main(*command) == 0
    (run,) = (disk / "runs" / "toy").iterdir()
    before = whole_files(disk)
    fill(disk)
    capsys.readouterr()
    for arguments in (command, ["--from", run], ["--from", run, "--figure", disk / "copy.svg"]):
        assert toy_experiment.main(*arguments) == 2
        one_line(capsys, "error: can't write", "No space left on device")
        assert whole_files(disk) == before


@pytest.mark.slow
def test_a_limit_on_file_sizes_while_a_run_writes(tmp_path):
    """As of ulimit -f, in a process of its own: HDF5 used to end it with a segmentation fault."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "Python asks for an error instead of the signal"
    command = [sys.executable, "-m", "tests.experiments.toy_experiment", str(tmp_path / "r"), "40"]
    done = subprocess.run(command, cwd=TOP, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [case["file"] for case in found] == list(FILES)
    for number, case in enumerate(found):
        assert case["status"] == 2, case
        lines = case["told"].strip().splitlines()
        assert len(lines) == 1, case
        assert "can't write" in lines[0]
        assert "(ulimit -f)" in lines[0]
        assert set(map(known_as, case["left"])) == set(FILES[:number]), case
        assert case["again"] == 0
        assert case["computed"] == ["one", "two"][min(number, 2) :]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The command has run once, so its programs needn't be compiled where files are limited."""
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*SGD_VS_SDE, "--results", str(tmp_path_factory.mktemp("compiled"))]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("disk", [16, 60, 76, 100], indirect=True)
def test_the_command_on_a_small_disk(disk, capsys):
    """A stage's NetCDF is what doesn't fit; earlier ones stay and are used where there is room."""
    command = [*SGD_VS_SDE, "--results", str(disk / "runs")]
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, command) == 2
        one_line(capsys, "error: can't write", "No space left on device")
        before = whole_files(disk)
        subprocess.run(["mount", "-o", "remount,size=9000k", str(disk)], check=True)
        assert cli.main(EXPERIMENTS, command) == 0
    stages = [path for path in before if "stages/" in path and path.endswith(".nc")]
    assert capsys.readouterr().err.count("kept from an earlier run") == len(stages)
    after = whole_files(disk)
    assert all(after[path] == content for path, content in before.items())


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("limit", [8, 40])
def test_the_command_under_ulimit(tmp_path, capsys, limit):
    jax.config.update("jax_enable_compilation_cache", False)  # its files are limited too
    try:
        with file_size_limit(1024 * limit), jax.enable_x64(False):
            assert cli.main(EXPERIMENTS, [*SGD_VS_SDE, "--results", str(tmp_path / "r")]) == 2
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    one_line(capsys, "error: can't write", "File too large")
    whole_files(tmp_path)


def test_a_report_to_a_full_disk(tmp_path):
    """The run is kept; only what was to be printed is lost."""
    script = toy_experiment.script(tmp_path)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=TOP,
            env=ENVIRONMENT,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert len([path for path in whole_files(tmp_path) if path.endswith("summary.json")]) == 1


def test_a_report_to_a_reader_that_has_gone(tmp_path):
    script = toy_experiment.script(tmp_path)
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$0" | true; exit "${{PIPESTATUS[0]}}"', script],
        capture_output=True, cwd=TOP, env=ENVIRONMENT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ""


# -- the library -------------------------------------------------------------------------------------------


def trajectories():
    values = {"x": np.random.default_rng(0).normal(size=(20, 30, 10))}
    params = {"w": jnp.ones((20, 300))}
    return sg.Trajectories(np.arange(30.0), np.arange(30), values, params, np.zeros(20, bool))


@pytest.mark.parametrize("left", [0, 1, 5, 12])
def test_a_full_disk_while_trajectories_are_saved(disk, left):
    result = trajectories()
    result.save(disk / "old.nc")
    before = contents(disk)
    fill(disk, left)
    for name in ("new.nc", "old.nc"):
        with pytest.raises(
            sg.InputError, match=rf"can't write .*{name}: No space left on device; free space"
        ) as caught:
            result.save(disk / name)
        assert "\n" not in str(caught.value)
    assert whole_files(disk) == before
    (disk / "ballast").unlink()
    result.save(disk / "new.nc")
    np.testing.assert_array_equal(sg.Trajectories.load(disk / "new.nc").values["x"], result.values["x"])


def test_a_limit_on_file_sizes_while_trajectories_are_saved(tmp_path):
    result = trajectories()
    result.save(tmp_path / "old.nc")
    before = contents(tmp_path)
    with (
        file_size_limit(10_000),
        pytest.raises(sg.InputError, match=r"File too large for this process's limit \(ulimit -f\)"),
    ):
        result.save(tmp_path / "old.nc")
    assert contents(tmp_path) == before


def hindered(monkeypatch, act, when):
    """Calls ``act`` before the write of the first file of the store that fits ``when``."""
    genuine, done = store.write, []

    def write(path, *rest):
        if when(Path(path)) and not done:
            done.append(path)
            act()
        return genuine(path, *rest)

    monkeypatch.setattr(store, "write", write)


KINDS = {
    "manifest": ("ends", lambda path: path.name == "sweep.json", 0),
    "cell": ("ends", lambda path: path.suffix == ".npz" and len(list(path.parent.iterdir())) == 5, 5),
    "failure": ("sometimes", lambda path: path.parent.name == "failures", 7),
}


@pytest.mark.parametrize("how", ["disk", "limit"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep(disk, monkeypatch, kind, how):
    function, when, kept = KINDS[kind]
    plan, folder = small_cells.plan(function=function), disk / "sweep"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if how == "disk":
        hindered(monkeypatch, lambda: fill(disk), when)
    else:
        hindered(monkeypatch, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard)), when)
    try:
        with pytest.raises(sg.InputError, match=r"can't write .*cells that are finished are kept") as caught:
            sweep.run(plan, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ("No space left" if how == "disk" else "(ulimit -f)") in str(caught.value)
    assert "\n" not in str(caught.value)
    before = whole_files(disk)
    assert len(cell_files(folder)) == kept
    (disk / "ballast").unlink(missing_ok=True)
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error" if function == "ends" else "ignore")
        result = sweep.run(plan, folder)
    assert len(cell_files(folder)) == (12 if function == "ends" else 7)
    assert len(result.failures) == 12 - len(cell_files(folder))
    after = whole_files(disk)
    assert all(after[path] == content for path, content in before.items())


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "close"])
def test_wherever_the_error_comes(tmp_path, monkeypatch, where):
    """Of a network's disk it may come as late as when the file is closed."""
    path = tmp_path / "a"
    files.write(path, b"old")

    def full(*_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    if where in ("fsync", "replace"):
        monkeypatch.setattr(os, where, full)
    else:
        genuine = open

        class File:
            def __init__(self, *arguments):
                self.file = genuine(*arguments)

            def __getattr__(self, name):
                return full if name == where else getattr(self.file, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()
                if where == "close":
                    full()

        monkeypatch.setattr("builtins.open", File)
    with pytest.raises(sg.InputError, match="Disk quota exceeded"):
        files.write(path, b"new")
    monkeypatch.undo()
    assert contents(tmp_path) == {"a": b"old"}
