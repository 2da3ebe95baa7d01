"""Settings of the whole suite: float64 available, one compilation cache for all workers.

Monte Carlo comparisons allow 4 to 5 standard errors and have fixed seeds: over the suite's few hundred scalar
comparisons new seeds would fail somewhere in less than about 2 % of runs. Tests of rates (calibration) say their own.
"""

import os
import tempfile
from pathlib import Path

import jax
import pytest

from tests.users import unchecked_types

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "sdesgd-test-compilations"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
os.environ["SDESGD_COMPILATION_CACHE"] = "off"  # of commands in processes of their own: the user's folder is the user's


def pytest_collection_modifyitems(items):
    """Slow tests first, the README's commands before all: two workers end together."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, "readme" not in item.path.parts))


@pytest.fixture(autouse=True, scope="module")
def few_mapped_regions():
    """Each compiled program maps memory, Linux gives a process 65,530 regions, and XLA crashes where none is left."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


@pytest.fixture
def many_repetitions():
    """For tests that repeat the same calls hundreds of times: see ``tests.users.unchecked_types``."""
    with unchecked_types():
        yield
