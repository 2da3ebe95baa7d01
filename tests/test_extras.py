"""A package that isn't there is one line that names the extra, and the extras are those of pyproject.toml."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import extras, optimal_batch, sweep
from sdesgd.data.loader import missing_package
from tests.sweep import small_cells

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
NAMES = {"sklearn": "scikit-learn", "arviz_stats": "arviz-stats"}


def packages(requirements):
    return {re.match(r"[\w-]+", line)[0] for line in requirements}


def test_every_module_is_in_its_extra_and_not_in_the_core():
    optional = PROJECT["optional-dependencies"]
    for module, extra in extras.EXTRAS.items():
        name = NAMES.get(module, module)
        assert name in packages(optional[extra])
        assert name not in packages(PROJECT["dependencies"])
    assert {x for extra in ("data", "cluster", "inference") for x in packages(optional[extra])} == {
        NAMES.get(module, module) for module in extras.EXTRAS
    }
    assert optional["all"] == ["sdesgd[inference,data,cluster]"]


def table():
    B = np.repeat([1, 2, 4, 8], 3)
    columns = {"learning_rate": 0.1, "num_examples": 100, "momentum": 0.0, "diverged": False}
    columns = {name: np.full(12, value) for name, value in columns.items()}
    columns |= {"batch_size": B, "seed": np.tile([0, 1, 2], 4), "accuracy": 0.7 - 0.01 * (np.log2(B) - 1) ** 2}
    return optimal_batch.AccuracyTable(**columns, num_test=500)


CALLS = {
    "numpyro": lambda folder: optimal_batch.fit(table(), key=jr.key(0)),
    "distributed": lambda folder: sweep.run(small_cells.plan(count=2), folder, workers=1),
}


@pytest.mark.parametrize("module", CALLS)
def test_a_missing_package_is_one_line(module, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else found(name, *rest))
    extra = extras.EXTRAS[module]
    with pytest.raises(sg.InputError, match=rf"^{module} is not installed: pip install 'sdesgd\[{extra}\]'$"):
        CALLS[module](tmp_path)
    assert "sdesgd[data]" in (missing_package("no_such_package", "it") or "")


@pytest.mark.slow
def test_the_core_imports_without_the_extras():
    """In a process in which none of them can be imported: every subpackage, and a comparison."""
    script = f"""
import sys
from importlib.machinery import PathFinder
class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in {sorted(extras.EXTRAS)!r}
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
import jax.numpy as jnp, jax.random as jr, numpy as np
import sdesgd as sg
for name in sg.__all__:
    getattr(sg, name)
problem = sg.Problem(lambda w, x: (w - x) ** 2, jnp.zeros(()), np.arange(4.0))
print(sg.compare(problem, sg.SGD(0.05, 2), num_steps=4, replicas=8, key=jr.key(0)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
