"""What `import sdesgd` gives, and what it leaves until it is needed."""

import importlib.metadata
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sdesgd as sg

SUBPACKAGES = [module.name for module in pkgutil.iter_modules(sg.__path__) if module.ispkg and module.name != "inputs"]


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_heavy_is_imported_when_it_is_used():
    """scipy.stats, pandas and xarray cost as much as JAX; an array made at import would start the device."""
    heavy = ["pandas", "xarray", "scipy.stats", "sklearn", "sympy", "numpyro", "matplotlib", "h5py"]
    code = (
        f"import sys, sdesgd; print([m for m in {heavy} if m in sys.modules]); "
        "from jax._src import xla_bridge; print(bool(xla_bridge._backends)); "
        "sdesgd.simulate; print('xarray' in sys.modules)"
    )
    assert in_a_fresh_process(code).splitlines() == ["[]", "False", "True"]


@pytest.mark.parametrize("name", [*sg.__all__, *SUBPACKAGES])
def test_every_public_name_is_there_at_once(name):
    assert name in dir(sg)
    assert getattr(sg, name) is not None


def test_subpackages_are_reached_as_attributes_of_a_bare_import():
    names = [*SUBPACKAGES, "toys", "observables"]
    code = f"import sdesgd as sg; print(*[getattr(sg, name).__name__ for name in {names}])"
    assert in_a_fresh_process(code).split() == [f"sdesgd.{name}" for name in names]


@pytest.mark.parametrize(
    ("old", "new"), [("models", "nets"), ("layers", "nets"), ("gradient_covariance", "gradient_noise")]
)
def test_names_of_before_still_lead_there_and_say_where(old, new):
    with pytest.warns(DeprecationWarning, match=f"sdesgd.{old} is now sdesgd.{new}"):
        assert getattr(sg, old) is getattr(sg, new)


def test_an_unknown_name_is_refused_as_in_any_module():
    with pytest.raises(AttributeError, match="no attribute 'simulte'"):
        sg.simulte  # noqa: B018


def test_version_and_types():
    assert sg.__version__ == importlib.metadata.version("sdesgd")
    assert (Path(sg.__file__).parent / "py.typed").exists()
