"""Which replicas have diverged, and which entries are not finite for another reason: these are two things."""

import numpy as np
from numpy.typing import NDArray

from sdesgd.errors import InputError
from sdesgd.evidence.estimates import RateDifference, rate_difference
from sdesgd.evidence.movement import NotFinite
from sdesgd.types import ArrayLike

Arms = dict[str, tuple[np.ndarray, np.ndarray]]
Lost = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def lost_replicas(arms: Arms, diverged: tuple[ArrayLike, ArrayLike] | None) -> Lost:
    """(replicas,) of each arm: those that have diverged; or, if nobody says so, that end as after a divergence.

    A diverged replica leaves NaN in every observable from then on, so without ``diverged`` those count whose last value
    is not finite in any of them.

    Raises:
        InputError: not one boolean a replica for either arm.
    """
    if diverged is None:
        ends = [[~np.isfinite(pair[side][:, -1].astype(float)) for pair in arms.values()] for side in (0, 1)]
        return np.all(ends[0], axis=0), np.all(ends[1], axis=0)
    if not isinstance(diverged, tuple | list) or len(diverged) != 2:
        raise InputError(
            f"diverged is a {type(diverged).__name__}: pass the pair (reference.diverged, other.diverged) of the "
            "trajectories"
        )
    masks = []
    for side, name in enumerate(("reference", "other")):
        mask, replicas = np.asarray(diverged[side]), len(next(iter(arms.values()))[side])
        if mask.dtype != np.bool_ or mask.shape != (replicas,):
            raise InputError(
                f"diverged of {name} has dtype {mask.dtype} and shape {mask.shape}: pass one boolean a replica, "
                f"({replicas},)"
            )
        masks.append(mask)
    return masks[0], masks[1]


def rates(lost: Lost) -> RateDifference | None:
    """The rates of the two arms and their difference; None when no replica is lost."""
    return rate_difference(*lost) if any(mask.any() for mask in lost) else None


def not_finite(pair: tuple[np.ndarray, np.ndarray], lost: Lost) -> NotFinite | None:
    """What is NaN or infinite in the replicas that are not lost; None when nothing is."""
    bad = [~np.isfinite(arm[~mask].astype(float)) for arm, mask in zip(pair, lost, strict=True)]
    if not any(x.any() for x in bad):
        return None
    replicas, entries = ([int(np.sum(x.any(axis=1))) for x in bad], [int(x.sum()) for x in bad])
    return NotFinite((replicas[0], replicas[1]), (entries[0], entries[1]))
