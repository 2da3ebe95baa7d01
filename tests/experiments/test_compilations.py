"""The cache of compilations: where it lies, when it is left alone, that it stays within bounds and changes no bit."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from experiments._shared import compilations

TOP = Path(__file__).resolve().parents[2]


def test_it_lies_in_the_cache_folder_of_the_user(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = compilations.use(["sgd-vs-sde"], environment)
    assert folder is not None
    assert folder.parent == tmp_path / "sdesgd" / "xla"
    assert folder.stat().st_mode & 0o077 == 0
    assert environment["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    relative = compilations.place({"XDG_CACHE_HOME": "here"})
    assert relative.parents[2] == Path.home() / ".cache", "a relative XDG_CACHE_HOME doesn't count"


@pytest.mark.parametrize("value", ["0", "off", "OFF", "no"])
def test_a_variable_switches_it_off(value, tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path), compilations.VARIABLE: value}
    assert compilations.use([], environment) is None
    assert "JAX_COMPILATION_CACHE_DIR" not in environment
    assert not list(tmp_path.iterdir())


def test_the_option_switches_it_off_and_ones_own_folder_is_kept(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path), "JAX_COMPILATION_CACHE_DIR": "/elsewhere"}
    assert compilations.use([], environment) is None
    assert environment["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"
    assert compilations.use(["sgd-vs-sde", "--no-compilation-cache"], environment) is None
    assert "JAX_COMPILATION_CACHE_DIR" not in environment


def test_a_place_that_cannot_be_trusted_or_written_is_left_alone(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = compilations.place(environment)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert compilations.use([], environment) is None, "others could put code there"
    shutil.rmtree(tmp_path / "sdesgd")
    (tmp_path / "sdesgd").write_text("a file in its place")
    assert compilations.use([], environment) is None
    assert "JAX_COMPILATION_CACHE_DIR" not in environment


def test_what_was_used_longest_ago_goes(tmp_path):
    for k, size in enumerate((40, 30, 20, 10)):
        (tmp_path / f"jit_{k}-cache").write_bytes(b"x" * size)
        os.utime(tmp_path / f"jit_{k}-cache", (1000 + k, 1000 + k))
    os.utime(tmp_path / "jit_0-cache", (2000, 1000))  # read since
    compilations.cut(tmp_path, 200)
    assert len(list(tmp_path.iterdir())) == 4
    compilations.cut(tmp_path, 65)
    assert {path.name for path in tmp_path.iterdir()} == {"jit_0-cache", "jit_3-cache"}
    compilations.cut(tmp_path / "none", 0)


def test_what_cannot_be_read_is_removed_without_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    folder = compilations.use([], {"XDG_CACHE_HOME": str(tmp_path)})
    (folder / "jit_f-00-cache").write_bytes(b"half")
    (folder / "jit_g-00-cache").write_bytes(b"whole")
    shown = []
    monkeypatch.setattr("builtins.print", lambda *text: shown.append(text))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Error reading persistent compilation cache entry for 'jit_f': zlib.error: -5", stacklevel=1)
    assert {path.name for path in folder.iterdir()} == {"jit_g-00-cache"}


SCRIPT = """
import sys
from experiments._shared import compilations
compilations.use(sys.argv[1:])
import jax, jax.numpy as jnp, numpy as np
loops = jax.jit(lambda x: jax.lax.fori_loop(0, 50, lambda k, x: jnp.tanh(x @ x.T @ x) / (1 + jnp.sum(x**2)), x))
print(np.asarray(loops(jax.random.normal(jax.random.key(0), (40, 40)))).tobytes().hex())
"""


@pytest.mark.slow
def test_numbers_are_the_same_bits_with_and_without_and_a_damaged_file_is_made_anew(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(TOP), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop(compilations.VARIABLE, None)
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

    def run(*arguments):
        command = [sys.executable, "-c", SCRIPT, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=200)
        assert done.stderr == ""
        return done.stdout

    without = run("--no-compilation-cache")
    assert not list(tmp_path.rglob("*-cache"))
    assert run() == without
    kept = {path: path.read_bytes() for path in tmp_path.rglob("jit_*-cache")}
    assert kept
    assert run() == without
    assert {path: path.read_bytes() for path in tmp_path.rglob("jit_*-cache")} == kept
    for path, content in kept.items():
        path.write_bytes(content[: len(content) // 2])
    assert run() == without
    assert {path.name for path in tmp_path.rglob("jit_*-cache")} == {path.name for path in kept}
    assert all(path.stat().st_size > len(content) // 2 for path, content in kept.items())
