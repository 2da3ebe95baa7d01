"""What a definition uses, on a package written for the purpose: each way to import, each way to be reached."""

import sys

import pytest

from sdesgd.store import imports, reads
from sdesgd.store.imports import used_by

FILES = {
    "__init__.py": """
import importlib
from typing import TYPE_CHECKING
from house.near import passed_on
if TYPE_CHECKING:
    from house import lazy
    from house.deep.inner import lazily

def __getattr__(name):
    return importlib.import_module("house." + name)
""",
    "near.py": "from house.below import base\ndef passed_on(): return base\ndef beside(): pass\n",
    "below.py": "import numpy as np\nbase = np.pi\n",
    "lazy.py": "value = 1\n",
    "deep/__init__.py": "from house.deep.inner import lazily, other\n",
    "deep/inner.py": "import math\ndef lazily(): return math.pi\ndef other(): pass\n",
    "deep/unused.py": "import scipy\n",
    "far.py": "import scipy.stats as s\nchosen = s.norm\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.far import chosen\nx = 1\n",
    "claims.py": "def claim(name): pass\n",
    "claim_a.py": "a = 1\n",
    "claim_b.py": "b = 1\n",
    "loops.py": "from house.loops_back import g\ndef f(): return g\n",
    "loops_back.py": "from house import loops\ndef g(): return loops.f\n",
    "user.py": """
import house
import house as h
from house import near
from house.claims import claim
from house.deep import lazily as renamed
from house.far import chosen

CONSTANT = chosen

def nothing(): return 1
def by_from(): return renamed()
def by_attribute(): return h.passed_on()
def by_plain_import(): return house.lazy.value
def by_package(): return h.deep.other()
def by_constant(): return CONSTANT
def by_helper(): return by_constant()
def by_module(): return near.beside()
def within():
    from house.below import base
    return base
def shadowed(chosen): return chosen
def annotated(x: chosen) -> chosen: return x
def by_text(): return claim("a")
def by_any_text(name): return claim(name)
def by_types_only():
    from house import typed
    return typed.x
def around():
    from house.loops import f
    return f
class Kind:
    def method(self): return renamed()
def makes(): return Kind()
""",
}
CALLS = {("house.claims", "claim"): {"a": "house.claim_a", "b": "house.claim_b"}}


@pytest.fixture(scope="module", autouse=True)
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("path")
    for name, text in FILES.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(folder))
    import house.user  # noqa: F401  # pyright: ignore[reportMissingImports]

    yield
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        del sys.modules[name]
    for cached in (imports.source_of, imports.file_of, imports.is_module, reads._parsed):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("name", "modules", "packages"),
    [
        ("nothing", "", ""),
        ("by_from", "deep.inner", ""),
        ("by_attribute", "near below", "numpy"),
        ("by_plain_import", "lazy", ""),
        ("by_package", "deep.inner", ""),
        ("by_constant", "far", "scipy"),
        ("by_helper", "far", "scipy"),
        ("by_module", "near below", "numpy"),
        ("within", "below", "numpy"),
        ("shadowed", "", ""),
        ("annotated", "", ""),
        ("by_text", "claims claim_a", ""),
        ("by_any_text", "claims claim_a claim_b", ""),
        ("by_types_only", "typed", ""),
        ("around", "loops loops_back", ""),
        ("Kind", "deep.inner", ""),
        ("makes", "deep.inner", ""),
    ],
)
def test_a_definition_uses_what_it_reads_and_no_more(name, modules, packages):
    found = used_by([("house.user", name)], ["house"], CALLS)
    assert found.modules == {"house.user", *(f"house.{module}" for module in modules.split())}
    assert found.packages == set(packages.split())


def test_a_whole_module_uses_all_that_it_imports():
    found = used_by([("house.near", "")], ["house"], CALLS)
    assert found.modules == {"house.near", "house.below"}
    assert used_by([("house.deep", "")], ["house"]).modules == {"house.deep", "house.deep.inner"}


def test_a_stage_of_the_project_uses_its_claims_and_not_the_others():
    """The real thing: a claim is reached by its name, what draws is reached by results, others aren't."""
    import derivations
    import experiments.basin_occupancy.compute

    calls = {("derivations", "claim"): derivations.modules()}
    place = experiments.basin_occupancy.compute.__name__, "theory_curves"
    used = used_by([place], ["sdesgd", "experiments", "derivations"], calls).modules
    claims = {name for name in used if name in derivations.modules().values()}
    assert "derivations.basins.two_basins" in claims
    assert len(claims) < 12
    assert {"sdesgd.basins.minima", "sdesgd.stationary.density"} <= used
    assert not any(name.startswith(("sdesgd.data", "sdesgd.optimal_batch", "sdesgd.comparison")) for name in used)
