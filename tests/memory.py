"""How much memory a call takes."""

import tracemalloc
from collections.abc import Callable
from typing import Any


def peak_memory(call: Callable[[], Any], calls: int = 3) -> int:
    """Bytes that ``call()`` holds at most; the least of several, as a first call imports and other threads allocate."""
    peaks = []
    for _ in range(calls):
        tracemalloc.start()
        try:
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
