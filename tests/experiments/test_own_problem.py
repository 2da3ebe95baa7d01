"""``--problem FILE.py:NAME``: a net of one's own runs, its sources are known, and a bad one is refused in a line."""

import itertools
import os

import numpy as np
import pytest

from experiments.__main__ import EXPERIMENTS, main
from experiments._shared.own_problem import load
from sdesgd.errors import InputError

SMALL = ["--batch-size", "2", "--num-steps", "4", "--save-every", "2", "--replicas", "4", "--check-replicas", "2"]
NET = """
import jax.numpy as jnp
import numpy as np
import sdesgd as sg
import {beside}

SCALE = np.array([1.0, 2.0])


def loss(theta, example):
    return jnp.sum((SCALE * theta - {beside}.TIMES * example) ** 2)


def make(num_examples, seed):
    rng = np.random.default_rng(seed)
    return sg.Problem(loss, jnp.zeros(2), rng.normal(size=(min(num_examples, 12), 2)))


def whole():
    return make(6, 0)


problem = make(8, 3)
number = 3
def takes(width): return problem
def returns(): return {{}}
def raises(num_examples): return 1 / 0
"""
_COUNT = itertools.count()


def aged(path, text):
    """Written long ago: what was edited after Python began is refused by the store."""
    path.write_text(text)
    os.utime(path, (1e9, 1e9))


@pytest.fixture
def net(tmp_path):
    """The file; modules of a process have names of their own."""
    k = next(_COUNT)
    aged(tmp_path / f"beside_{k}.py", "TIMES = 3.0\n")
    path = tmp_path / f"my_net_{k}.py"
    aged(path, NET.format(beside=f"beside_{k}"))
    return path


def refusal(capsys, *arguments):
    assert main(["sgd-vs-sde", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.slow
def test_a_net_of_ones_own_runs_and_resumes(net, tmp_path, capsys):
    command = ["sgd-vs-sde", "--problem", f"{net}:make", *SMALL, "--results", str(tmp_path / "r")]
    figure = tmp_path / "gap.svg"
    assert main([*command, "--figure", str(figure)]) == 0
    first = capsys.readouterr()
    assert "kept from an earlier run" not in first.err
    assert f"{net.name}:make" in figure.read_text(), "the title names the problem"
    (run,) = (tmp_path / "r" / "sgd-vs-sde").iterdir()
    assert run.name.startswith(f"{net.stem}-make-n12-eta")
    assert "train_loss" in EXPERIMENTS["sgd-vs-sde"].result.load(run / "result.nc").to_xarray()
    assert main(command) == 0
    assert "kept from an earlier run" in capsys.readouterr().err
    stages = list((tmp_path / "r" / "stages").rglob("*.nc"))
    # What a global holds and what a module beside the file says are part of the key, though neither is an argument.
    import sys

    sys.modules[net.stem].SCALE = np.array([1.0, 3.0])
    load.cache_clear()
    assert main(command) == 0
    assert "kept from an earlier run" not in capsys.readouterr().err
    assert len(list((tmp_path / "r" / "stages").rglob("*.nc"))) == 2 * len(stages)


def test_what_a_function_takes(net):
    made = load(f"{net}:make", 5, 7)
    assert made.problem.num_examples == 5
    np.testing.assert_allclose(made.problem.data, np.random.default_rng(7).normal(size=(5, 2)), rtol=1e-6)
    assert load(f"{net}:whole", 5, 7).problem.num_examples == 6
    assert load(f"{net}:problem", 5, 7).problem.num_examples == 8
    assert set(made.modules) == {net.stem, net.stem.replace("my_net", "beside")}
    assert made.name == f"{net.name}:make"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "pass FILE.py:NAME"),
        ("mak", "did you mean 'make'?"),
        ("number", "is a int: make it an sdesgd.Problem"),
        ("takes", "takes width: make it a function of num_examples and seed"),
        ("returns", "is a dict: make it an sdesgd.Problem"),
        ("raises", "line 27: ZeroDivisionError: division by zero"),
    ],
)
def test_a_bad_name_is_one_line(net, name, message, tmp_path, capsys):
    assert message in refusal(capsys, "--problem", f"{net}:{name}", "--results", tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("none.py", None, "there is no file"),
        ("net.txt", "x = 1", "pass FILE.py:NAME"),
        ("my-net.py", "x = 1", "can't be imported by its name"),
        ("json.py", "x = 1", "has the name of another module"),
        ("with_syntax.py", "x = 1\ny = (\n", "line 2: SyntaxError"),
        ("with_error.py", "x = 1\nimport no_such_module_at_all\n", "line 2: ModuleNotFoundError"),
        ("with_exit.py", "import sys\nsys.exit(3)\n", "line 2: SystemExit"),
        ("with_bytes.py", b"x = '\xff'\n", "SyntaxError"),
    ],
)
def test_a_bad_file_is_one_line(file, text, message, tmp_path, capsys):
    if text is not None:
        (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message in refusal(capsys, "--problem", f"{tmp_path / file}:x", "--results", tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "f2"], "--problem stands in place of --model"),
        (["--data", "digits", "--width", "8"], "--problem stands in place of --data, --width"),
        (["--observables", "test_loss"], "has no test set: leave test_loss out"),
        (["--num-examples", "100"], "num_examples is 100, but"),
        (["--batch-size", "20", "--sampling", "no_replacement"], "20"),
    ],
)
def test_contradictions_are_one_line(net, options, message, tmp_path, capsys):
    assert message in refusal(capsys, "--problem", f"{net}:make", *options, "--results", tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_no_colon_is_one_line(tmp_path, capsys):
    assert "--problem is 'my_net': pass FILE.py:NAME" in refusal(capsys, "--problem", "my_net")


def test_a_name_can_be_asked_for_again(net):
    load(f"{net}:problem", 1, 0)
    with pytest.raises(InputError, match="did you mean"):
        load(f"{net}:problen", 1, 0)
    assert load(f"{net}:problem", 1, 0).problem.num_examples == 8
