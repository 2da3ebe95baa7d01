"""One form of interruption: Ctrl-C, and SIGTERM, which batch systems send."""

import signal
import threading
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""

    status = 143


class Interruptions:
    """Within a ``with`` block of the main thread SIGINT and SIGTERM raise KeyboardInterrupt, and are remembered.

    A process that ignores a signal keeps ignoring it, and one that handles SIGTERM itself keeps its handler. Python
    raises wherever the main thread is, and drops what is raised in a callback of the garbage collector; JAX has one.
    So whoever loops asks ``check`` too. Blocks may be nested: an inner one knows what was dropped before it began.

    Attributes:
        seen: the kind of the first interruption since the outermost block began, or None.
    """

    def __init__(self):
        self.seen: type[KeyboardInterrupt] | None = None
        self._before: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status that says what ended the program: 143 after SIGTERM, else 130."""
        return exit_status(self.seen or KeyboardInterrupt)

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was one since the outermost block began."""
        if self.seen is not None:
            raise self.seen

    def __enter__(self) -> "Interruptions":
        if threading.current_thread() is threading.main_thread():
            for number, handle in ((signal.SIGINT, self._interrupt), (signal.SIGTERM, self._terminate)):
                before = signal.getsignal(number)
                outer = _block_of(before)
                if outer is not None:
                    self.seen = self.seen or outer.seen
                if outer or (callable(before) if number == signal.SIGINT else before == signal.SIG_DFL):
                    self._before[number] = before
                    signal.signal(number, handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _interrupt(self, number: int, frame: Any) -> None:
        self.seen = self.seen or KeyboardInterrupt
        self._before[number](number, frame)

    def _terminate(self, number: int, frame: Any) -> None:
        self.seen = self.seen or Terminated
        if callable(self._before[number]):
            self._before[number](number, frame)
        raise Terminated


def check_interruptions() -> None:
    """Raises KeyboardInterrupt if there was one in the block that is open; outside of any block nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        block = _block_of(signal.getsignal(number))
        if block is not None:
            block.check()


def exit_status(kind: type[BaseException]) -> int:
    """Of a program that ends with this interruption."""
    return Terminated.status if issubclass(kind, Terminated) else 130


def _block_of(handler: Any) -> Interruptions | None:
    """The block whose handler this is."""
    owner = getattr(handler, "__self__", None)
    return owner if isinstance(owner, Interruptions) else None
