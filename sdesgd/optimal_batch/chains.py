"""Whether chains may be believed, and which complaint there is if not."""

import math
from collections.abc import Mapping

LARGEST_R_HAT, LEAST_ESS = 1.02, 400
# A trajectory in a thousand may leave the energy surface: too few to hide a region.
LARGEST_DIVERGENT_SHARE = 0.001


def mixed(r_hat: Mapping[str, float], ess: Mapping[str, float]) -> bool:
    """Whether every R̂ is at most 1.02 and every effective sample size at least 400."""
    return all(value <= LARGEST_R_HAT for value in r_hat.values()) and all(v >= LEAST_ESS for v in ess.values())


def divergent(divergences: int, total: int) -> bool:
    """Whether more than 0.1 % of the trajectories left the energy surface."""
    return not divergences <= LARGEST_DIVERGENT_SHARE * total


def complaint(
    r_hat: Mapping[str, float], ess: Mapping[str, float], divergences: int, total: int, acceptance: float
) -> str:
    """What is wrong with the draws, and the remedy; "" if nothing is.

    Args:
        r_hat: quantity → split R̂.
        ess: quantity → effective sample size.
        divergences: trajectories that left the energy surface.
        total: draws of all chains.
        acceptance: the rate that NUTS aimed at.
    """
    left = (
        f"{divergences} of {total} trajectories diverged (at most {LARGEST_DIVERGENT_SHARE:.1%}) at an acceptance rate "
        f"of {acceptance:g}"
    )
    if not mixed(r_hat, ess):
        # NaN, which no comparison finds, is the worst there is.
        worst = max(r_hat, key=lambda name: math.inf if math.isnan(r_hat[name]) else r_hat[name])
        least = min(ess, key=lambda name: -math.inf if math.isnan(ess[name]) else ess[name])
        found = []
        if not r_hat[worst] <= LARGEST_R_HAT:
            found.append(f"R-hat {r_hat[worst]:.3f} for {worst} (at most {LARGEST_R_HAT})")
        if not ess[least] >= LEAST_ESS:
            found.append(f"ESS {ess[least]:.0f} for {least} (at least {LEAST_ESS})")
        found += [left] if divergent(divergences, total) else []
        return f"the chains haven't mixed: {', '.join(found)}: raise samples and warmup"
    if divergent(divergences, total):
        return (
            f"the chains mixed, but {left}: they may have missed a narrow region; give each batch size more seeds, or "
            "see whether another key gives the same intervals"
        )
    return ""
