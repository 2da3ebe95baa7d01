"""Replicas that have stopped are put aside, so that whole blocks of them are skipped.

This happens at steps that are known beforehand, so that which replicas step together never depends on how fast a
machine is or on where a run was interrupted. From one of these steps to the next is a quarter of the way so far: a
replica that stops at step n > 64 costs at most 5n/4 steps, but for those of the last block, and a run of n steps
regroups only some 10 log₁₀ n times.
"""

import jax.numpy as jnp
from jaxtyping import Array, Int

_FIRST = 16  # steps between the first of them: below, a call costs more than what it saves


def around(done: int) -> tuple[int, int]:
    """(the last regrouping up to this step, the next after it).

    Args:
        done: steps taken.
    """
    last = following = 0
    while following <= done:
        last, following = following, following + max(_FIRST, following // 4)
    return last, following


def going_first(stopped: Int[Array, " R"], last: Int[Array, ""]) -> Int[Array, " R"]:
    """The order of the replicas in which those come last that had stopped at a step.

    Args:
        stopped: when each did, −1 for those that go on.
        last: the step.
    """
    return jnp.argsort((stopped >= 0) & (stopped <= last), stable=True)
