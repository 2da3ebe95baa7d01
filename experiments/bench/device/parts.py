"""What the parts of ``bench --device`` share: the clock, limits of time, and timing with compilation apart."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

REPEATS = 5
_LEAST_SECONDS = 0.2  # of one repeat: a dispatch and the clock are then nothing


class OutOfTime(KeyboardInterrupt):
    """A part's time is up. ``simulate`` takes it for Ctrl-C, and returns what was saved."""


class Clock:
    """Elapsed time against a budget, and progress lines.

    Args:
        budget: seconds.
        toy: whether sizes are those of a test.
    """

    def __init__(self, budget: float, toy: bool):
        self.began, self.budget, self.toy = time.monotonic(), budget, toy

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def remaining(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - self.elapsed()

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"[{self.elapsed():6.1f} s] {text}", flush=True)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises ``OutOfTime`` after so many seconds, as soon as Python runs again: not within a compilation.

    Only in the main thread of a system with interval timers; elsewhere there is no limit.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTime(f"cut off after {seconds:.0f} s")

    began = time.monotonic()
    before, outer = signal.signal(signal.SIGALRM, stop), signal.getitimer(signal.ITIMER_REAL)[0]
    signal.setitimer(signal.ITIMER_REAL, max(min(seconds, outer or seconds), 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:  # of a limit around this one
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - began), 1e-3))


def quartiles(values: Any) -> dict[str, float]:
    """Median and quartiles of repeats."""
    low, median, high = np.quantile(np.asarray(values, float), [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high)}


def timed(run: Callable[[int], Any], *, least: float = _LEAST_SECONDS, most_count: int = 4096) -> dict[str, Any]:
    """Seconds of one step: median and quartiles over repeats of as many steps as take a while.

    Args:
        run: does so many steps; its result is waited for. It is compiled, and is called twice to warm up.
        least: seconds of one repeat.
        most_count: steps of one repeat.
    """

    def seconds(count: int) -> float:
        start = time.perf_counter()
        jax.block_until_ready(run(count))
        return time.perf_counter() - start

    seconds(1)
    once = seconds(1)
    count = int(np.clip(np.ceil(least / max(once, 1e-7)), 1, most_count))
    if count > 1:  # a single step is mostly dispatch: count anew
        count = int(np.clip(np.ceil(least / max(seconds(count) / count, 1e-7)), 1, most_count))
    repeats = [seconds(count) / count for _ in range(REPEATS)]
    return {**quartiles(repeats), "steps_a_repeat": count, "repeats": REPEATS}


def compiled(function: Callable, *args: Any, precision: str | None = None) -> tuple[Callable, dict[str, Any]]:
    """(the compiled program, seconds of tracing and compiling and the bytes of its temporaries).

    Args:
        function: of ``eqx.filter_jit``.
        args: as it will be called.
        precision: of float32 matrix products; None: as JAX is set.
    """
    start = time.perf_counter()
    with at_precision(precision):
        program = function.lower(*args).compile()  # type: ignore[attr-defined]
    found: dict[str, Any] = {"compile_seconds": time.perf_counter() - start}
    with contextlib.suppress(Exception):  # not every backend tells
        inner = getattr(program, "compiled", program)
        found["temporary_bytes"] = int(inner.memory_analysis().temp_size_in_bytes)
    return program, found


@contextlib.contextmanager
def at_precision(precision: str | None) -> Iterator[None]:
    """float32 matrix products and convolutions that are traced here; "default" or None: as JAX is set."""
    if precision in (None, "default"):
        yield
    else:
        with jax.default_matmul_precision(precision):
            yield


def peak_bytes() -> int | None:
    """The largest memory of the accelerator in use so far, of the whole process; None where it isn't told."""
    stats = jax.devices()[0].memory_stats() or {}
    found = stats.get("peak_bytes_in_use")
    return None if found is None else int(found)
