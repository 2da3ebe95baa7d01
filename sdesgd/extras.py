"""Packages that only some questions need, each behind an extra of the installation."""

import importlib.util

from sdesgd.errors import InputError

# Module → the extra of pyproject.toml that installs it.
EXTRAS = {
    "mlxtend": "data",
    "sklearn": "data",
    "mnist1d": "data",
    "kaldiio": "data",
    "dask": "cluster",
    "distributed": "cluster",
    "numpyro": "inference",
    "arviz_stats": "inference",
}


def require(*modules: str) -> None:
    """Checks that modules can be imported, before anything is computed that needs them.

    Args:
        modules: top-level names, of ``EXTRAS``.

    Raises:
        InputError: one isn't installed; names the extra that brings it.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{module} is not installed: pip install 'sdesgd[{EXTRAS[module]}]'")
