"""The bar of a sweep on stderr, where that is a terminal."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sdesgd.in_words import duration

_REFRESH_SECONDS = 0.5


class Display:
    """Cells done, failed, and the time left. Silent unless stderr is a terminal and there is a label."""

    def __init__(self, label: str, total: int):
        note = TextColumn("{task.fields[note]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), note)
        self.shown = bool(label) and sys.stderr.isatty()
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not self.shown, transient=True)
        self.task = self.bar.add_task(label, total=total, note="")
        self.last = 0.0

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, done: int, failed: int, left: Callable[[], float | None]) -> None:
        """``left``: seconds; asked for only when shown."""
        if not self.shown or time.monotonic() - self.last < _REFRESH_SECONDS:
            return
        self.last = time.monotonic()
        notes = [f"{failed} failed"] if failed else []
        notes += [] if (seconds := left()) is None else [f"{duration(seconds)} left"]
        self.bar.update(self.task, completed=done + failed, note=", ".join(notes))
