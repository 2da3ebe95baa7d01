"""What tests look for in the folder of a sweep."""

import warnings

from sdesgd import sweep


def cell_files(folder):
    return sorted((folder / "cells").iterdir())


def leftovers(folder):
    """Files that only a process at work needs."""
    return [path for path in folder.rglob("*") if path.suffix == ".partial" or path.parent.name == "claims"]


def run_silently(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sweep.run(*arguments, **options)
