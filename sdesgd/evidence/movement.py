"""Whether there is anything to compare: an ensemble that didn't move is no evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from sdesgd.evidence.samples import as_two_arms, extremes, resolution, still, within_rounding
from sdesgd.types import ArrayLike

# Below this chance equal rows are one run; from this number of rows on, all different, in any order.
_CHANCE, _MANY = 1e-6, 8

NOTHING_MOVED, NO_NOISE, SAME_NUMBERS, NOT_FINITE = "nothing moved", "no noise", "same numbers", "not finite"


@dataclass(frozen=True)
class NotFinite:
    """Entries of one observable that are NaN or infinite in replicas that have not diverged: (reference, other)."""

    replicas: tuple[int, int]
    entries: tuple[int, int]


def why_nothing_is_compared(reference: ArrayLike, other: ArrayLike) -> str | None:
    """Why two arms (replicas, times) say nothing about one another, if so.

    "nothing moved": all finite values of both arms are one constant, up to rounding. "no noise": at each time all
    replicas of both arms agree, so they follow one path and there is no standard deviation for a margin. Two programs
    that follow one path come apart by rounding as they go, so the arms may differ by the square root of what their
    dtype resolves, relative to the largest value on the path; a larger difference is one.
    """
    if not (still(reference).all() and still(other).all()):
        return None
    arms = as_two_arms(reference, other)
    relative, absolute = resolution(reference, other)
    lowest, highest = extremes(*arms)
    largest = float(np.maximum(np.abs(lowest), np.abs(highest)).max())
    if not np.all(highest - lowest <= max(math.sqrt(relative) * largest, absolute)):
        return None
    constant = [within_rounding(x.min(), x.max(), relative, absolute) for x in (lowest, highest)]
    return NOTHING_MOVED if all(constant) else NO_NOISE


def one_path(reference: ArrayLike, other: ArrayLike) -> str | None:
    """The arm whose replicas agree at every time while those of the other arm don't: "reference", "other" or None."""
    agree = [bool(still(arm).all()) for arm in (reference, other)]
    return None if agree[0] == agree[1] else "reference" if agree[0] else "other"


def are_the_same_numbers(pairs: Sequence[tuple[ArrayLike, ArrayLike]]) -> bool:
    """Whether two arms vary and yet hold the same numbers, replica by replica: one run passed twice.

    In another order too where all replicas differ; accuracies of small test sets and indicators of basins repeat, and
    two independent arms then hold equal numbers of each value by chance.

    Args:
        pairs: (reference, other) of each observable, (replicas, times) each.
    """
    if any(np.shape(one) != np.shape(two) for one, two in pairs):
        return False
    arms = [np.concatenate([np.asarray(pair[k], np.float64) for pair in pairs], axis=1) for k in (0, 1)]
    varies = np.concatenate([np.isfinite(one).any(axis=0) & ~still(one) for one, _ in pairs])
    # NaN of a diverged replica sorts last.
    one, two = (np.where(np.isnan(arm), np.inf, arm)[:, varies] for arm in arms)
    if not varies.any() or not np.array_equal(np.sort(one[:, 0]), np.sort(two[:, 0])):
        return False
    _, counts = np.unique(one, axis=0, return_counts=True)
    if np.array_equal(one, two):
        # Of all orders of these rows, the share that looks like this one.
        return bool(special.gammaln(counts + 1).sum() - special.gammaln(len(one) + 1) < math.log(_CHANCE))
    if len(counts) < len(one):
        return False
    return len(one) >= _MANY and np.array_equal(one[np.lexsort(one.T[::-1])], two[np.lexsort(two.T[::-1])])
