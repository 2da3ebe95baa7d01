"""Compiled programs that are timed in turns, and the rows of ratios that this gives."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

LEARNING_RATE, BATCH_SIZE = 0.05, 32


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: numerator ÷ denominator.
        sizes: of the problem.
        value: as shown, with the spread over the rounds.
        target: as shown, empty where there is none.
        met: None where there is no target, or no measurement.
        times: what was divided, in plain units.
    """

    what: str
    sizes: str
    value: str
    target: str = ""
    met: bool | None = None
    times: str = ""


def in_turns(programs: Sequence[Callable[[int], Any]], rounds: int) -> np.ndarray:
    """(rounds, programs): seconds of each program, run in turns, the order reversed every other round.

    Each program gets the number of the round and runs once beforehand (−1), to compile.
    """
    for program in programs:
        jax.block_until_ready(program(-1))
    seconds = np.zeros((rounds, len(programs)))
    for k in range(rounds):
        turn = list(enumerate(programs))
        for i, program in turn if k % 2 == 0 else reversed(turn):
            start = time.perf_counter()
            jax.block_until_ready(program(k))
            seconds[k, i] = time.perf_counter() - start
    return seconds


def ratio_row(
    what: str,
    sizes: str,
    above: np.ndarray,
    below: np.ndarray,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """The median over rounds of above ÷ below, pairs timed in one turn, and the quartiles over rounds.

    Args:
        what: numerator ÷ denominator.
        sizes: of the problem.
        above, below: (rounds,) seconds of one step each.
        at_most, at_least: the target, if any.
    """
    low, median, high = np.quantile(above / below, [0.25, 0.5, 0.75])
    met, target = None, ""
    if at_most is not None:
        met, target = bool(median <= at_most), f"≤ {at_most:.2f}"
    if at_least is not None:
        met, target = bool(median >= at_least), f"≥ {at_least:.2f}"
    times = f"{_seconds(np.median(above))} / {_seconds(np.median(below))}"
    return Row(what, sizes, f"{median:.2f} ({low:.2f}–{high:.2f})", target, met, times)


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
