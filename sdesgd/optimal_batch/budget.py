"""How many steps of a sweep fit into a time: a step costs a + b·B, by a pilot at two batch sizes."""

from collections.abc import Sequence

from sdesgd.types import RealScalarLike

FEWEST_STEPS, MOST_STEPS = 500, 20_000
PILOT_SIZES = (4, 64)
# Seconds that don't go into steps: the fit, and the compilations of a batch size in each process.
_FIT_SECONDS, _COMPILE_SECONDS = 45.0, 6.0
_CROWDED = 1.4  # a step beside other processes, over one alone: measured on two cores


def seconds_needed(steps: int, seconds: Sequence[float], sizes: Sequence[int], processes: int) -> float:
    """Of a whole sweep and its fit.

    Args:
        steps: of each run.
        seconds: of a step of all seeds at the two batch sizes of the pilot.
        sizes: B of every point.
        processes: at work.
    """
    slope = max(0.0, (seconds[1] - seconds[0]) / (PILOT_SIZES[1] - PILOT_SIZES[0]))
    constant = max(0.0, seconds[0] - slope * PILOT_SIZES[0])
    each = [constant + slope * size for size in sizes]
    of_steps = steps * max(sum(each) / processes, max(each))  # a point isn't shared
    of_steps *= _CROWDED if processes > 1 else 1.0
    return of_steps + _COMPILE_SECONDS * len(set(sizes)) + _FIT_SECONDS


def steps_that_fit(time_limit: RealScalarLike, seconds: Sequence[float], sizes: Sequence[int], processes: int) -> int:
    """Steps of each run so that ``seconds_needed`` is the limit, in whole hundreds; 0 where none fit.

    Args:
        time_limit: in seconds.
        seconds: as of ``seconds_needed``.
        sizes: as there.
        processes: as there.
    """
    fixed = seconds_needed(0, seconds, sizes, processes)
    each = (seconds_needed(1000, seconds, sizes, processes) - fixed) / 1000
    return max(0, int((time_limit - fixed) / each) // 100 * 100)
