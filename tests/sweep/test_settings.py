"""Values set at run time: cells computed with another value of a global are other cells, and workers must agree."""

import importlib
import os
import subprocess
import sys

import pytest

from sdesgd import sweep
from sdesgd.errors import InputError
from sdesgd.sweep.settings import difference, values_read
from tests.sweep.folders import cell_files, run_silently

HEADER = """
import dataclasses, enum, functools, math, types
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
"""
CELL = """
def cell(config, seeds):
    return {"x": np.array([float(value(config["scale"], seed)) for seed in seeds])}
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """Makes modules of a source, whose names no other test has used."""
    made = []
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def make(source, name=""):
        name = f"{name or 'cells'}_{len(made)}_{tmp_path.name}"
        (folder / f"{name}.py").write_text(HEADER + source)
        os.utime(folder / f"{name}.py", (10**9, 10**9))  # as if it had been there before Python began
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def run(module, folder, code=(), **options):
    plan = sweep.Sweep(f"{module.__name__}:cell", sweep.grid({"scale": [1.0, 2.0]}, seeds=2), code=code)
    return sweep.run(plan, folder, **options)


def numbers(result):
    return result.table["x"].values.tolist()


CHANGES = {
    "number": ("RATE = 1.0\ndef value(a, b): return a * RATE", "m.RATE = 3.0"),
    "text": ("KIND = 'low'\ndef value(a, b): return a * {'low': 1, 'high': 3}[KIND]", "m.KIND = 'high'"),
    "tuple": ("RATES = (0.0, 1.0)\ndef value(a, b): return a * RATES[1]", "m.RATES = (0.0, 3.0)"),
    "None": ("RATE = None\ndef value(a, b): return a * (RATE or 1.0)", "m.RATE = 3.0"),
    "list in place": ("RATES = [1.0]\ndef value(a, b): return a * RATES[0]", "m.RATES[0] = 3.0"),
    "dict in place": ("RATES = {}\ndef value(a, b): return a * RATES.get('r', 1.0)", "m.RATES['r'] = 3.0"),
    "set": ("ON = set()\ndef value(a, b): return a * (3.0 if 'x' in ON else 1.0)", "m.ON.add('x')"),
    "array in place": ("R = np.ones(9)\ndef value(a, b): return a * R[8]", "m.R[8] = 3.0"),
    "array of JAX": ("R = jnp.float32(1)\ndef value(a, b): return a * R", "m.R = m.jnp.float32(3)"),
    "random key": ("K = jax.random.key(0)\ndef value(a, b): return a * jax.random.key_data(K)[1] + a",
                   "m.K = m.jax.random.key(2)"),
    "another function's": ("RATE = 1.0\ndef rate(): return RATE\ndef value(a, b): return a * rate()", "m.RATE = 3.0"),
    "a class's method": (
        "RATE = 1.0\nclass Net:\n    def __call__(self, a): return a * RATE\ndef value(a, b): return Net()(a)",
        "m.RATE = 3.0"),
    "a decorator's": (
        "RATE = 1.0\ndef scaled(f): return functools.wraps(f)(lambda *x: f(*x) * RATE)\n"
        "@scaled\ndef value(a, b): return a", "m.RATE = 3.0"),
    "behind an assignment": (
        "RATE = 1.0\ndef product(c, a, b): return a * RATE\nvalue = functools.partial(product, 0)", "m.RATE = 3.0"),
    "in a comprehension": ("RATES = [1.0]\ndef value(a, b): return sum(a * r for r in RATES)", "m.RATES = [3.0]"),
    "in a nested function": (
        "RATE = 1.0\ndef value(a, b):\n    def inner():\n        return RATE\n    return a * inner()", "m.RATE = 3.0"),
    "as a default": ("RATE = 1.0\ndef value(a, b, *, r=lambda: RATE): return a * r()", "m.RATE = 3.0"),
    "set by a function": (
        "_rate = 1.0\ndef set_rate(r):\n    global _rate\n    _rate = r\ndef value(a, b): return a * _rate",
        "m.set_rate(3.0)"),
    "class attribute": ("class S:\n    rate = 1.0\ndef value(a, b): return a * S.rate", "m.S.rate = 3.0"),
    "of an instance": (
        "class S:\n    def __init__(self): self.rate = 1.0\ns = S()\ndef value(a, b): return a * s.rate",
        "m.s.rate = 3.0"),
    "of a dataclass": (
        "@dataclasses.dataclass\nclass S:\n    rates: dict\ns = S({'r': 1.0})\n"
        "def value(a, b): return a * s.rates['r']", "m.s.rates['r'] = 3.0"),
    "of a namespace": ("s = types.SimpleNamespace(r=1.0)\ndef value(a, b): return a * s.r", "m.s.r = 3.0"),
    "of a function": ("def value(a, b): return a * value.rate\nvalue.rate = 1.0", "m.value.rate = 3.0"),
    "enum": (
        "class K(enum.Enum):\n    LOW = 1.0\n    HIGH = 3.0\nk = K.LOW\ndef value(a, b): return a * k.value",
        "m.k = m.K.HIGH"),
    "function": ("def rate(): return 1.0\ndef value(a, b): return a * rate()", "m.rate = lambda: 3.0"),
    "another module's": ("def sqrt(a): return 1.0\ndef value(a, b): return a * sqrt(9)", "m.sqrt = m.math.sqrt"),
    "closure": (
        "def of(r):\n    def value(a, b): return a * r\n    return value\nvalue = of(1.0)", "m.value = m.of(3.0)"),
    "compiled": ("RATE = 1.0\n@jax.jit\ndef value(a, b): return a * RATE", "m.RATE = 3.0"),
    "compiled, array": ("R = np.ones(1)\n@eqx.filter_jit\ndef value(a, b): return a * R[0]", "m.R[0] = 3.0"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*computed anew:RuntimeWarning")
@pytest.mark.parametrize(("source", "change"), CHANGES.values(), ids=CHANGES)
def test_another_value_makes_other_cells(module, tmp_path, source, change):
    m = module(source + CELL)
    assert numbers(run(m, tmp_path / "s")) == [1, 1, 2, 2]
    assert run(m, tmp_path / "s").computed == 0
    exec(change, {"m": m})
    changed = run(m, tmp_path / "s")
    assert changed.computed == 2
    assert numbers(changed) == [3, 3, 6, 6]
    assert run(m, tmp_path / "s").computed == 0
    assert len(cell_files(tmp_path / "s")) == 4


@pytest.mark.filterwarnings("ignore:.*computed anew:RuntimeWarning")
def test_a_value_that_was_compiled_before_the_first_sweep(module, tmp_path):
    m = module("RATE = 1.0\n@jax.jit\ndef value(a, b): return a * RATE" + CELL)
    assert float(m.value(1.0, 0)) == 1
    m.RATE = 3.0
    assert float(m.value(1.0, 0)) == 1, "JAX alone doesn't see the new value"
    assert numbers(run(m, tmp_path / "s")) == [3, 3, 6, 6]


@pytest.mark.filterwarnings("ignore:.*computed anew:RuntimeWarning")
def test_the_earlier_value_finds_its_cells_again(module, tmp_path):
    m = module("RATE = 1.0\n@jax.jit\ndef value(a, b): return a * RATE" + CELL)
    run(m, tmp_path / "s")
    for rate, computed in ((2.0, 2), (1.0, 0), (2.0, 0), (4.0, 2)):
        m.RATE = rate
        result = run(m, tmp_path / "s")
        assert (result.computed, numbers(result)) == (computed, [rate, rate, 2 * rate, 2 * rate])


@pytest.mark.filterwarnings("ignore:.*computed anew:RuntimeWarning")
@pytest.mark.parametrize("way", ["settings.RATE", "RATE", "first", "second"])
def test_values_of_other_modules_of_the_code(module, tmp_path, way):
    settings = module("RATE = 1.0\ndef first(): return RATE\nsecond = lambda: RATE\n", "settings")
    name = settings.__name__
    imported = {"settings.RATE": f"import {name} as settings", "RATE": f"from {name} import RATE"}
    source = imported.get(way, f"from {name} import {way}") + f"\ndef value(a, b): return a * {way}"
    m = module(source + ("" if way in imported else "()") + CELL)
    code = (name,)
    assert numbers(run(m, tmp_path / "s", code)) == [1, 1, 2, 2]
    (m if way == "RATE" else settings).RATE = 3.0
    assert numbers(run(m, tmp_path / "s", code)) == [3, 3, 6, 6]


def test_the_change_is_told(module, tmp_path):
    m = module("RATE = 1.0\ndef value(a, b): return a * RATE" + CELL)
    run_silently(sweep.Sweep(f"{m.__name__}:cell", sweep.grid({"scale": [1.0, 2.0]}, seeds=2), code=()), tmp_path / "s")
    m.RATE = 3.0
    with pytest.warns(RuntimeWarning, match=rf"{m.__name__}:RATE 1.0 → 3.0; so 2 cells are computed anew"):
        run(m, tmp_path / "s")


@pytest.mark.parametrize(
    "source",
    [
        "CACHE = {}\ndef value(a, b):\n    if a not in CACHE:\n        CACHE[a] = a\n    return CACHE[a]",
        "LOG = []\n@jax.jit\ndef value(a, b):\n    LOG.append(1)\n    return a",
        "count = 0\ndef value(a, b):\n    global count\n    count += 1\n    return a",
        "class Counter:\n    count = 0\ndef value(a, b):\n    Counter.count += 1\n    return a",
        "s = types.SimpleNamespace(count=0)\ndef value(a, b):\n    s.count += 1\n    return a",
        "@functools.cache\ndef twice(a): return a\ndef value(a, b): return twice(a)",
        "SCRATCH = np.zeros(3)\ndef value(a, b):\n    SCRATCH[0] = a\n    return SCRATCH[0]",
        "OTHER = 1.0\ndef unused(): return OTHER\ndef value(a, b):\n    unrelated = 3\n    return a",
    ],
)
def test_what_cells_change_themselves_or_never_read_is_no_setting(module, tmp_path, source):
    m = module("unrelated = 1\n" + source + CELL)
    assert numbers(run(m, tmp_path / "s")) == [1, 1, 2, 2]
    m.unrelated, m.OTHER = 2, 2.0
    again = run_silently(
        sweep.Sweep(f"{m.__name__}:cell", sweep.grid({"scale": [1.0, 2.0]}, seeds=2), code=()), tmp_path / "s"
    )
    assert again.computed == 0


def test_a_cache_that_another_module_fills(module, tmp_path):
    other = module("CACHE = {}\ndef keep(a):\n    CACHE[a] = a\n", "other").__name__
    m = module(f"from {other} import CACHE, keep\ndef value(a, b):\n    keep(a)\n    return CACHE[a]" + CELL)
    assert numbers(run(m, tmp_path / "s", (other,))) == [1, 1, 2, 2]
    assert run(m, tmp_path / "s", (other,)).computed == 0


@pytest.mark.slow
def test_workers_that_see_the_value_of_the_file_refuse(module, tmp_path):
    m = module("RATE = 1.0\ndef rate(): return RATE\ndef value(a, b): return a * rate()" + CELL)
    m.RATE = 3.0
    with pytest.raises(InputError) as caught:
        run(m, tmp_path / "s", workers=1)
    message = str(caught.value)
    assert f"{m.__name__}.RATE is 1.0, and 3.0 where the sweep began" in message
    assert "set it in the file" in message
    assert "\n" not in message
    assert cell_files(tmp_path / "s") == []
    m.RATE = 1.0
    assert numbers(run(m, tmp_path / "s", workers=1)) == [1, 1, 2, 2]


@pytest.mark.slow
def test_values_are_the_same_in_every_process(module, tmp_path):
    """Whatever the order of sets and the addresses of objects."""
    m = module(
        "NAMES = {'a', 'b', 'c', 'd'}\nPICK = lambda x: x in {'a', 'b', 'c'}\nOBJECT = object()\n"
        "R = np.arange(5.0)\nK = jax.random.key(1)\nD = {'b': 1, 'a': (2, 3.5)}\n"
        "def value(a, b): return a, NAMES, PICK, OBJECT, R, K, D" + CELL
    )
    here = values_read(f"{m.__name__}:cell", (m.__name__,))
    assert {key.partition(":")[2] for key in here} == {"NAMES", "PICK", "OBJECT", "R", "K", "D"}
    script = (
        f"import {m.__name__}; from sdesgd.sweep.settings import difference; "
        f"print(difference({here!r}, ({m.__name__!r},)))"
    )
    for seed in "12":
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
        )
        assert done.stdout.strip() == "None", done.stderr
    m.R[3] = 7
    assert difference(here, (m.__name__,)).startswith(f"{m.__name__}.R is float64 of shape (5,), ")


def test_objects_within_themselves_end(module):
    m = module(
        "LOOP = []\nLOOP.append(LOOP)\ns = types.SimpleNamespace()\ns.s = s\ndef value(a, b): return LOOP, s" + CELL
    )
    assert len(values_read(f"{m.__name__}:cell", (m.__name__,))) == 2
