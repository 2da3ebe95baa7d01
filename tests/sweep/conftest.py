"""The log that cells write, and the table an uninterrupted run makes."""

import pytest

from sdesgd import sweep
from tests.sweep import small_cells


class Log:
    """Which cells were started and ended, as [(event, scale, pid)]."""

    def __init__(self, path):
        self.path = path

    def events(self):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        fields = [line.split() for line in lines]
        return [(event, float(scale), int(pid)) for event, scale, _, pid in fields]

    def count(self, event):
        return sum(found == event for found, _, _ in self.events())


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "cells.log"))
    return Log(tmp_path / "cells.log")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The table of ``small_cells.plan()``, run without interruption."""
    return sweep.run(small_cells.plan(), tmp_path_factory.mktemp("whole") / "sweep").table
