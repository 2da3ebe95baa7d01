"""How a long run is cut into compiled calls."""

import math
import time

from sdesgd.simulation.regrouping import around

# The time that one compiled call should take: long enough to drown the dispatch (1 ms), short enough to answer Ctrl-C
# and to move the progress bar.
_SEGMENT_SECONDS = 0.25


class Clock:
    """Plans segments: (saves, steps a save). Several saves, or a part of the way to the next one.

    Args:
        num_steps: of the run.
        save_every: steps between saves.
        capacity: saves of one segment.
        regrouping: whether replicas are regrouped on the way; then no segment goes beyond the step of the next time.
    """

    def __init__(self, num_steps: int, save_every: int, capacity: int, regrouping: bool = False):
        self.num_steps, self.save_every, self.capacity, self.regrouping = num_steps, save_every, capacity, regrouping
        self.done, self.calls, self.budget = 0, 0, 1
        self.started = time.perf_counter()

    def plan(self) -> tuple[int, int]:
        self.started = time.perf_counter()
        to_save, most = self.save_every - self.done % self.save_every, self.budget
        if self.regrouping:
            most = min(most, around(self.done)[1] - self.done)
        if to_save == self.save_every and most >= self.save_every:
            remaining = (self.num_steps - self.done) // self.save_every
            return min(self.capacity, remaining, most // self.save_every), self.save_every
        return 1, min(to_save, most)

    def advance(self, saves: int, steps: int) -> None:
        """Counts the segment, and sizes the next by its speed."""
        seconds = time.perf_counter() - self.started
        self.done += saves * steps
        self.calls += 1
        if self.calls > 1:  # the first call may have compiled
            wanted = _SEGMENT_SECONDS / max(seconds, 1e-6) * saves * steps
            self.budget = max(1, min(8 * self.budget, math.ceil(wanted)))
