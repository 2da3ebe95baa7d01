"""When a stage is used again: what is in its key, what isn't, and what happens to a damaged file."""

import dataclasses
import functools
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from sdesgd import toys
from sdesgd.store import environment, imports, reads, sources, stages
from sdesgd.store.stages import Stages

TOP = Path(__file__).resolve().parents[2]
SOURCE = """
import numpy as np
import xarray as xr
from rooms import below, drawn

COMPUTED = []

def numbers(value, scale=1.0):
    COMPUTED.append(value)
    return xr.Dataset({"x": ("row", np.full(3, below.FACTOR * scale))})

def others(value):
    COMPUTED.append(value)
    return xr.Dataset({"x": ("row", np.zeros(3))})

def drawing():
    return drawn.COLOUR
"""


@dataclasses.dataclass(frozen=True)
class Options:
    size: int = 3
    workers: int = dataclasses.field(default=1, metadata={"hashed": False})


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """A package of its own, which a test may edit: ``write`` a module, then import all anew."""
    home = tmp_path / "path" / "rooms"
    home.mkdir(parents=True)
    monkeypatch.syspath_prepend(home.parent)
    # Python takes a compiled file for that of a source of the same second and length.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name=None, text=""):
        if name is not None:
            (home / f"{name}.py").write_text(text)
        for module in [m for m in sys.modules if m.partition(".")[0] == "rooms"]:
            del sys.modules[module]
        importlib.invalidate_caches()
        sources._first_seen.clear()
        for cached in (imports.source_of, imports.file_of, imports.is_module, reads._parsed):
            cached.cache_clear()
        return importlib.import_module("rooms.compute")

    for name, text in {"__init__": "", "below": "FACTOR = 2.0\n", "drawn": "COLOUR = 'red'\n"}.items():
        (home / f"{name}.py").write_text(text)
    monkeypatch.setattr(sources, "_BEGAN", float("inf"))  # what a test edits was imported after the edit
    write("compute", SOURCE)
    yield types.SimpleNamespace(write=write, module=lambda: importlib.import_module("rooms.compute"))
    write_back = [m for m in sys.modules if m.partition(".")[0] == "rooms"]
    for module in write_back:
        del sys.modules[module]


@pytest.fixture
def kept(tmp_path):
    """Stages in a new process, as it were: what they say, and the files."""
    said = []
    make = functools.partial(Stages, tmp_path / "stages", ("rooms", "sdesgd", "tests"), said.append)
    return types.SimpleNamespace(
        make=make, said=said, files=lambda: sorted((tmp_path / "stages").glob("*.nc")), folder=tmp_path / "stages"
    )


def test_a_stage_is_computed_once(rooms, kept):
    first = kept.make().keep("one", rooms.module().numbers, 1, scale=0.5)
    again = kept.make().keep("one", rooms.module().numbers, 1, scale=0.5)
    xr.testing.assert_identical(first, again)
    assert rooms.module().COMPUTED == [1]
    assert kept.said == ["stage 'one': kept from an earlier run"]
    assert len(kept.files()) == 1


def test_another_argument_is_another_stage_and_the_first_stays(rooms, kept):
    for value in (1, 1.0, True, "1", 2, 1):
        kept.make().keep("one", rooms.module().numbers, value)
    assert rooms.module().COMPUTED == [1, 1.0, True, "1", 2]
    assert len(kept.files()) == 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(3), np.arange(3.0)),
        (np.array([1.0, 2.0]), np.array([1.0, np.nextafter(2.0, 3)])),
        (jax.random.key(0), jax.random.key(1)),
        ({"a": 1}, {"a": 2}),
        (Options(3), Options(4)),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (toys.tilts_of(np.eye(1)), toys.tilts_of(2 * np.eye(1))),
        (toys.potential("asymmetric"), toys.potential("double-well")),
        (xr.Dataset({"a": ("x", [1.0])}), xr.Dataset({"a": ("x", [2.0])})),
        (xr.Dataset({"a": ("x", [1.0])}), xr.Dataset({"a": ("x", [1.0])}, attrs={"k": 1})),
        (jnp.sin, jnp.cos),
        (np.sin, np.cos),
    ],
)
def test_equal_arguments_are_one_stage_and_different_ones_two(rooms, kept, one, other):
    known = [kept.make().known(rooms.module().numbers, (value,)).key for value in (one, one, other)]
    assert known[0] == known[1] != known[2]


def test_options_that_change_no_number_enter_no_key(rooms, kept):
    keys = {kept.make().known(rooms.module().numbers, (Options(3, workers),)).key for workers in (1, 2)}
    assert len(keys) == 1


def test_what_can_not_be_told_is_refused(rooms, kept):
    with pytest.raises(TypeError, match="can't be told in full"):
        kept.make().keep("one", rooms.module().numbers, object())


def test_an_edit_computes_the_stages_that_use_it_and_says_why(rooms, kept):
    for name in ("numbers", "others"):
        kept.make().keep(name, getattr(rooms.module(), name), 1)
    module = rooms.write("below", "FACTOR = 3.0\n")
    found = kept.make().keep("numbers", module.numbers, 1)
    kept.make().keep("others", module.others, 1)
    assert found["x"].values[0] == 3
    assert module.COMPUTED == [1]
    assert kept.said[0].startswith(
        "stage 'numbers': computed anew, since the earlier run of equal options: rooms.below"
    )
    assert kept.said[1] == "stage 'others': kept from an earlier run"


def test_going_back_to_the_earlier_source_finds_the_earlier_stage(rooms, kept):
    kept.make().keep("one", rooms.module().numbers, 1)
    kept.make().keep("one", rooms.write("below", "FACTOR = 3.0\n").numbers, 1)
    module = rooms.write("below", "FACTOR = 2.0\n")
    assert kept.make().keep("one", module.numbers, 1)["x"].values[0] == 2
    assert module.COMPUTED == []


def test_an_edit_of_what_draws_computes_nothing(rooms, kept):
    kept.make().keep("one", rooms.module().numbers, 1)
    module = rooms.write("drawn", "COLOUR = 'blue'\n")
    kept.make().keep("one", module.numbers, 1)
    assert module.COMPUTED == []
    known = kept.make().known(module.drawing)
    assert "rooms.drawn" in known.code
    assert "rooms.drawn" not in kept.make(never=("rooms.drawn",)).known(module.drawing).code


def test_versions_of_the_packages_used_and_precision_enter_the_key(rooms, kept, monkeypatch):
    known = kept.make().known(rooms.module().numbers)
    assert {"numpy", "xarray", "python"} == set(known.versions)
    with jax.enable_x64(not jax.config.read("jax_enable_x64")):
        assert kept.make().known(rooms.module().numbers).key != known.key
    monkeypatch.setattr(stages.importlib.metadata, "version", lambda name: "99")
    assert kept.make().known(rooms.module().numbers).key != known.key


def test_another_number_of_cores_is_said_and_used(rooms, kept, monkeypatch):
    kept.make().keep("one", rooms.module().numbers, 1)
    here = environment.cores()
    monkeypatch.setattr(environment, "cores", lambda: 64)
    kept.make().keep("one", rooms.module().numbers, 1)
    assert rooms.module().COMPUTED == [1]
    assert f"on another machine (cores {here} → 64)" in kept.said[0]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95, 0.999])
def test_a_flipped_bit_computes_that_stage_again(rooms, kept, part):
    for name in ("one", "two"):
        kept.make().keep(name, rooms.module().numbers, name)
    path = next(path for path in kept.files() if path.name.startswith("one"))
    whole = bytearray(path.read_bytes())
    whole[int(part * len(whole))] ^= 4
    path.write_bytes(bytes(whole))
    for name in ("one", "two"):
        assert kept.make().keep(name, rooms.module().numbers, name)["x"].values[0] == 2
    assert rooms.module().COMPUTED == ["one", "two", "one"]
    assert str(path) in kept.said[0]
    assert "is damaged" in kept.said[0]


def test_another_stages_file_under_this_name_is_not_used(rooms, kept):
    kept.make().keep("one", rooms.module().numbers, 1)
    kept.make().keep("two", rooms.module().numbers, 2, scale=5.0)
    one, two = kept.files()
    one.write_bytes(two.read_bytes())
    assert kept.make().keep("one", rooms.module().numbers, 1)["x"].values[0] == 2
    assert "another stage" in kept.said[0]


def test_an_interrupted_stage_is_kept_apart(rooms, kept):
    module = rooms.write("compute", SOURCE + "\ndef cut():\n    return xr.Dataset(attrs={'interrupted': 1})\n")
    assert kept.make().keep("one", module.cut).attrs["interrupted"]
    assert [path.name.endswith(".partial.nc") for path in kept.files()] == [True]


@pytest.mark.slow
def test_two_processes_compute_a_stage_once(tmp_path):
    script = (
        "import sys, time, xarray as xr\n"
        "from tests.store import slow_stage\n"
        "from sdesgd.store.stages import Stages\n"
        f"kept = Stages({str(tmp_path / 'stages')!r}, ('tests',), lambda line: print(line, flush=True))\n"
        "print(float(kept.keep('one', slow_stage.slow, 1)['x']), flush=True)\n"
    )
    environment_ = {**os.environ, "PYTHONPATH": str(TOP)}
    options = {"cwd": TOP, "env": environment_, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", script], **options) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    out = "".join(text for text, _ in said)
    assert out.count("computing") == 1
    assert out.count("1.0\n") == 2
    assert len(list((tmp_path / "stages").glob("*.nc"))) == 1
    assert not list((tmp_path / "stages" / "claims").iterdir())
