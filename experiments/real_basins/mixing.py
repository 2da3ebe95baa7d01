"""From labels of frames to shares of basins, or to why none is claimed: R-hat, effective samples, least shares."""

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy import stats

# Labels of frames at no known minimum, and of collapsed ones.
UNKNOWN, COLLAPSED = -1, -2
# The share of either beyond which nothing is claimed.
MOST_UNKNOWN = 0.01
# Of the nested R-hat, between the groups of replicas that share a start; of the ESS of each basin's indicator.
_LARGEST_R_HAT, _LEAST_ESS = 1.05, 100
_FEW_VISITS = 10
_FAR_LONGER = 100


def label_changes(labels: Int[np.ndarray, "R F"], count: int) -> Int[np.ndarray, "M M"]:
    """How often a replica is in basin b one frame after basin a, row a column b ≠ a."""
    found = np.zeros((count, count), int)
    before, after = labels[:, :-1].ravel(), labels[:, 1:].ravel()
    moved = (before >= 0) & (after >= 0) & (before != after)
    np.add.at(found, (before[moved], after[moved]), 1)
    return found


def nested_r_hat(values: Float[np.ndarray, "starts each F"]) -> float:
    """√(1 + B/W), B the variance between the means of groups that share a start, W that within groups.

    For many short chains, as R-hat is for few long ones. 1 where nothing varies at all.

    Source: Margossian, Hoffman, Sountsov et al. 2024, Bayesian Analysis (nested R-hat).
    """
    chains = values.mean(axis=2)
    between = chains.mean(axis=1).var(ddof=1)
    within = chains.var(axis=1, ddof=1).mean() + values.var(axis=2, ddof=1).mean()
    return 1.0 if between == 0 else math.inf if within == 0 else math.sqrt(1 + between / within)


@dataclasses.dataclass(frozen=True)
class Shares:
    """Time shares of the basins.

    Attributes:
        probabilities: (M,), of the frames with a known label; standard_errors: (M,), NaN if refused.
        changes: (M, M), from one frame to the next. ess: (M,), of the indicators; 0 where one never changes.
        unknown, collapsed: shares of the frames at no known minimum, see ``labels_of``.
        r_hat: the largest nested R-hat of an indicator.
        refused: why nothing may be claimed; "" if it may.
        floor: (M,), 95 % lower bound of the share of a basin that all starts end in, see ``least_share``; else NaN.
    """

    probabilities: Float[np.ndarray, " M"]
    standard_errors: Float[np.ndarray, " M"]
    changes: Int[np.ndarray, "M M"]
    ess: Float[np.ndarray, " M"]
    unknown: float
    collapsed: float
    r_hat: float
    refused: str
    floor: Float[np.ndarray, " M"]

    def to_xarray(self, **attributes: Any) -> xr.Dataset:
        """The same as a dataset."""
        values: dict[str, Any] = {
            name: ("basin", getattr(self, name)) for name in ("probabilities", "standard_errors", "ess", "floor")
        }
        values["changes"] = (("origin", "target"), self.changes)
        about = {name: getattr(self, name) for name in ("unknown", "collapsed", "r_hat", "refused")}
        return xr.Dataset(values, attrs=about | attributes)


def shares_of(labels: Int[np.ndarray, "starts each F"], count: int, burn_in: int, save_every: int) -> Shares:
    """Shares from the labels of frames, and whether they may be called an occupancy.

    Frames lie far apart, so mixing is judged on them: nested R-hat between the starts ≤ 1.05 and an effective sample
    size ≥ 100 of each basin's indicator. SE = max(√(p(1−p)/ESS), replica-to-replica SEM). A basin seen in fewer than
    ten frames has no ESS worth the name: R-hat says that replicas which began there left within the burn-in of b
    frames, and with no visit in n frames p ≤ 3b/n at 95 %, so 1.96 SE is at least that.

    Args:
        labels: row k of the first axis: replicas that began in basin k; a frame is ``save_every`` steps.
        burn_in: frames left out.
    """
    from numpyro.diagnostics import effective_sample_size

    late = labels[..., burn_in:]
    F = late.shape[2]
    rows = late.reshape(-1, F)
    unknown, collapsed = float((late == UNKNOWN).mean()), float((late == COLLAPSED).mean())
    changes = label_changes(rows, count)
    inside = (late[..., None] == np.arange(count)).astype(float)
    p = inside.mean(axis=(0, 1, 2)) / max(1 - unknown - collapsed, 1e-300)
    r_hat = max(nested_r_hat(inside[..., k]) for k in range(count))
    varies = [(0 < inside[..., k].mean() < 1) for k in range(count)]
    flat = inside.reshape(len(rows), F, count)
    ess = np.array([float(effective_sample_size(flat[..., k])) if varies[k] else 0.0 for k in range(count)])
    within = flat.mean(axis=1).reshape(*labels.shape[:2], count).var(axis=1, ddof=1).mean(axis=0)
    errors = np.maximum(np.sqrt(np.clip(p * (1 - p), 0, None) / np.maximum(ess, 1)), np.sqrt(within / len(rows)))
    rare = inside.sum(axis=(0, 1, 2)) < _FEW_VISITS
    errors[rare] = np.maximum(errors[rare], 3 * max(burn_in, 1) / (1.96 * len(rows) * F))
    why = _refusal(unknown, collapsed, r_hat, ess, rare, F * save_every)
    floor = np.full(count, np.nan)
    if why:
        errors = np.full(count, np.nan)
        if (labels >= 0).all():
            floor[p.argmax()] = least_share(labels, int(p.argmax()))
    return Shares(p, errors, changes, ess, unknown, collapsed, r_hat, why, floor)


def _refusal(
    unknown: float,
    collapsed: float,
    r_hat: float,
    ess: Float[np.ndarray, " M"],
    rare: Bool[np.ndarray, " M"],
    steps: int,
) -> str:
    if unknown > MOST_UNKNOWN:
        return f"{100 * unknown:.2g} % of the frames diverged or are at minima that weren't found: raise --starts"
    if collapsed > MOST_UNKNOWN:
        return (
            f"{100 * collapsed:.2g} % of the frames collapsed: a unit died, or two became one, where SGD's noise "
            "leaves it; no law on the minima is stationary; lower η or add weight decay"
        )
    if (~rare).sum() < 2:
        return "not mixed: all frames but a few are in one basin; only a least share can be given"
    worst = int(np.where(rare, math.inf, ess).argmin())
    needed = [1.0]
    if ess[worst] < _LEAST_ESS:
        reason = f"ESS {ess[worst]:.0f} of basin {letter(worst)}, at least {_LEAST_ESS}"
        needed.append(_LEAST_ESS / max(ess[worst], 1.0))
    if r_hat > _LARGEST_R_HAT:
        reason = f"nested R-hat {r_hat:.3f} between starts, at most {_LARGEST_R_HAT}"
        needed.append((r_hat**2 - 1) / (_LARGEST_R_HAT**2 - 1))
    if len(needed) == 1:
        return ""
    # Where no replica ever left the basin of its start R-hat is infinite: then only that it takes far longer is known.
    more = math.ceil(steps * min(max(needed) - 1, _FAR_LONGER))
    return f"not mixed: {reason}: at least some {more:,} more steps each, or a larger η"


def letter(basin: int) -> str:
    """A basin's name: A for the deepest."""
    return chr(ord("A") + basin)


def least_share(labels: Int[np.ndarray, "starts each F"], basin: int) -> float:
    """A 95 % lower bound of a basin's stationary share where others lead into it and little leads out.

    By renewal (1 − π)/π = P(a frame in it is followed by one outside) · E[frames until it is back]. The first factor
    by its Clopper–Pearson bound; the second by the slowest start's mean time of first arrival, exponential, from
    arrivals and exposure; 0.025 for each factor, split over the starts. NaN where a start has no arrival.

    Assumptions: labels of frames are a Markov chain, and each of its states is a start.
    """
    count = len(labels)
    rows = labels.reshape(-1, labels.shape[-1])
    stays, leaves = rows[:, :-1] == basin, rows[:, 1:] != basin
    exits, exposure = int((stays & leaves).sum()), int(stays.sum())
    if exposure == 0 or exits == exposure:
        return math.nan
    leaving = float(stats.beta.ppf(0.975, exits + 1, exposure - exits))
    slowest = 1.0
    for start in range(count):
        if start != basin:
            there = labels[start] == basin
            arrived = there.any(axis=1)
            waited = np.where(arrived, there.argmax(axis=1) + 1, labels.shape[-1]).sum()
            if not arrived.any():
                return math.nan
            rate = stats.chi2.ppf(0.025 / max(1, count - 1), 2 * arrived.sum()) / (2 * waited)
            slowest = max(slowest, 1 / rate)
    return 1 / (1 + leaving * slowest)
