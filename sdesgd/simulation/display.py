"""How a run shows that it moves: one bar where stderr is a terminal, a line a minute where it is a file."""

import sys
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sdesgd.in_words import duration

# When the first line is printed, so that a log shows that the run has begun, and the time between two lines.
_FIRST_LINE_SECONDS, _LINE_SECONDS = 10.0, 60.0


class Display:
    """Says "compiling" until steps are taken, then the share that is done and the time left. Without a label: nothing.

    Args:
        label: of the run.
    """

    def __init__(self, label: str):
        self.label, self.total, self.done = label, 0, 0
        self.started = self.moving = time.monotonic()
        self.before = 0  # steps done when they began to be taken
        terminal = sys.stderr.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        shown = bool(label) and terminal
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True)
        self.task = self.bar.add_task(f"{label}: compiling", total=None)
        self.ended = threading.Event()
        self.lines = threading.Thread(target=self._print, daemon=True) if label and not terminal else None

    def __enter__(self) -> "Display":
        self.bar.start()
        if self.lines is not None:
            self.lines.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.bar.stop()
        if self.lines is not None:
            self.lines.join()

    def show(self, done: int, total: int) -> None:
        """Steps that have been taken; at first after what is compiled has been."""
        if not self.total:
            self.moving, self.before = time.monotonic(), done
            self.bar.reset(self.task, description=self.label, total=total, completed=done)
        self.done, self.total = done, total
        self.bar.update(self.task, completed=done)

    def _print(self) -> None:
        wait = _FIRST_LINE_SECONDS
        while not self.ended.wait(wait):
            print(self._line(), file=sys.stderr, flush=True)
            wait = _LINE_SECONDS

    def _line(self) -> str:
        now, done, total = time.monotonic(), self.done, self.total
        if not total:
            return f"{self.label}: compiling for {duration(now - self.started)}"
        text = f"{self.label}: {100 * done / total:.0f} % of {total} steps in {duration(now - self.started)}"
        if done > self.before:
            left = (now - self.moving) * (total - done) / (done - self.before)
            text += f", about {duration(left)} left"
        return text
