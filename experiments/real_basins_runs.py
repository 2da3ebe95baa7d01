"""The runs of real-basins: many starts at once, labels by quenching, NUTS with labels, and what shows mixing."""

import dataclasses
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, UInt
from scipy import stats

import sdesgd as sg
from sdesgd.basins.minima import Minima
from sdesgd.basins.symmetry import UnitSymmetry
from sdesgd.dynamics import AbstractDynamics
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, flat
from sdesgd.stationary.gibbs import GibbsSample, sample_gibbs

UNKNOWN, COLLAPSED = -1, -2
# Frames that collapsed, or are at minima that the search didn't find: beyond this share nothing is claimed.
_MOST_UNKNOWN = 0.01
# A frame so near a fixed set of the symmetry, where weights are of order 1.
_COLLAPSED = 1e-6
# Of the nested R-hat, between the groups of replicas that share a start; of the ESS of each basin's indicator.
_LARGEST_R_HAT, _LEAST_ESS = 1.05, 100
_FEW_VISITS = 10
_CHAINS = 4


# -- starts ------------------------------------------------------------------------------------------------


class FromStarts(AbstractDynamics):
    """The same dynamics, each replica from a start of its own.

    ``simulate`` begins all replicas at one point and gives replica r at step 0 the key fold_in(fold_in(key, r), 0). By
    that key a replica is known, and moved to its own start before its first step.

    Args:
        dynamics: ``SGD``, ``SDE``, …, without momentum.
        starts: (R, D), row r for replica r.
        key: the one given to ``simulate``.
    """

    dynamics: AbstractDynamics
    starts: Float[Array, "R D"]
    names: UInt[Array, "R words"]

    def __init__(self, dynamics: AbstractDynamics, starts: Any, key: PRNGKeyArray):
        self.dynamics, self.starts = dynamics, jnp.asarray(starts)
        keys = jax.vmap(lambda r: jr.fold_in(jr.fold_in(key, r), 0))(jnp.arange(len(self.starts)))
        self.names = jr.key_data(keys)

    @property
    def learning_rate(self) -> Any:
        return self.dynamics.learning_rate

    def init(self, problem: sg.Problem, params: PyTree) -> Any:
        return self.dynamics.init(problem, params)

    def draw(self, problem: sg.Problem, state: Any, key: PRNGKeyArray, n: Int[Array, ""]) -> Any:
        return self.dynamics.draw(problem, state, key, n)

    def advance(self, problem: sg.Problem, state: Any, draw: Any, n: Int[Array, ""]) -> Any:
        return self.dynamics.advance(problem, state, draw, n)

    def units_per_step(self, problem: sg.Problem) -> int:
        return self.dynamics.units_per_step(problem)

    def step(self, problem: sg.Problem, state: Any, key: PRNGKeyArray, n: Int[Array, ""]) -> Any:
        arrays, fixed = eqx.partition(state, eqx.is_array)

        def begin(_):
            mine = jnp.all(self.names == jr.key_data(key), axis=1)
            # A replica that isn't in the table becomes NaN, and so is counted as diverged.
            theta = jnp.where(jnp.any(mine), self.starts[jnp.argmax(mine)], jnp.nan)
            _, unravel = ravel_pytree(problem.moving())
            begun = self.dynamics.init(problem, eqx.combine(unravel(theta), problem.params))
            return eqx.filter(begun, eqx.is_array)

        # n is the same for all replicas, so this is a branch and not a selection.
        arrays = jax.lax.cond(n == 0, begin, lambda old: old, arrays)
        return self.dynamics.step(problem, eqx.combine(arrays, fixed), key, n)


def frames(
    dynamics: AbstractDynamics,
    problem: sg.Problem,
    starts: Float[np.ndarray, "R D"],
    *,
    num_steps: int,
    save_every: int,
    key: PRNGKeyArray,
    progress: str,
) -> Float[np.ndarray, "R F D"]:
    """Flat parameters of each replica, saved along the way; the start isn't among them; NaN after divergence.

    Raises:
        KeyboardInterrupt: the run was cut short.
    """
    run = sg.simulate(
        FromStarts(dynamics, starts, key),
        problem,
        num_steps=num_steps,
        save_every=save_every,
        replicas=len(starts),
        key=key,
        observables={"theta": flat},
        progress=progress,
    )
    if run.interrupted:
        raise KeyboardInterrupt
    return np.asarray(run.values["theta"][:, 1:])


def labels_of(minima: Minima, points: Float[np.ndarray, "R F D"]) -> Int[np.ndarray, "R F"]:
    """The basin of each frame by quenching, modulo the symmetry.

    −1: diverged, or a minimum that isn't among these. −2: collapsed. Where a unit is dead, or two are equal, the
    gradients of all examples lie within that set, so neither drift nor noise leads out: SGD can be drawn to it
    exponentially fast (stochastic collapse; Chen, Kunin, Yamamura & Ganguli 2023), and in L it is a saddle.
    """
    rows = points.reshape(-1, points.shape[-1])
    found, alive = np.full(len(rows), UNKNOWN), np.isfinite(rows).all(axis=1)
    if alive.any():
        found[alive] = minima.assign(rows[alive])
    # A minimum may lie in such a set itself; then a frame beside it is no loss.
    within = np.append(from_fixed_set(minima, minima.points) < _COLLAPSED, False)  # the last for UNKNOWN
    found[(from_fixed_set(minima, rows) < _COLLAPSED) & ~within[found]] = COLLAPSED
    return found.reshape(points.shape[:-1])


def from_fixed_set(minima: Minima, rows: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " K"]:
    """The distance of each point to the nearest set where a unit is zero, or is another one or its mirror image."""
    symmetry = minima.symmetry
    assert isinstance(symmetry, UnitSymmetry)
    units = rows[:, symmetry.units]
    nearest = np.linalg.norm(units, axis=2).min(axis=1)
    for i, j in itertools.combinations(range(units.shape[1]), 2):
        for sign in (1, -1):
            apart = np.linalg.norm(units[:, i] - sign * units[:, j], axis=1) / math.sqrt(2)
            nearest = np.minimum(nearest, apart)
    return nearest


# -- mixing ------------------------------------------------------------------------------------------------


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
    if unknown > _MOST_UNKNOWN:
        return f"{100 * unknown:.2g} % of the frames diverged or are at minima that weren't found: raise --starts"
    if collapsed > _MOST_UNKNOWN:
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
    more = math.ceil(steps * (max(needed) - 1))
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


# -- NUTS ----------------------------------------------------------------------------------------------------


def gibbs_shares(
    landscape: Landscape,
    minima: Minima,
    temperature: float,
    *,
    barrier: float,
    samples: int,
    labelled: int,
    key: PRNGKeyArray,
) -> xr.Dataset:
    """Probabilities of the classes of basins under exp(−L/T): NUTS, with every few draws quenched.

    R-hat and ESS are those of L and of the indicators, which the symmetry leaves alone. Chains needn't visit the copies
    of a minimum, so coordinates need not mix.

    Args:
        barrier: that a chain must climb between classes. samples: draws of each of four chains. labelled: of them.
    """
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    M = len(minima)
    starts = minima.points[np.arange(_CHAINS) % M]
    blank = {"probabilities": ("basin", np.full(M, np.nan)), "standard_errors": ("basin", np.full(M, np.nan))}
    try:
        sample = sample_gibbs(landscape, temperature, starts, barrier=barrier, samples=samples, key=key)
        thin = max(1, samples // labelled)
        points = sample.points[:, thin - 1 :: thin]
        label = labels_of(minima, points)
        losses = np.asarray(jax.lax.map(landscape.value, jnp.asarray(sample.points.reshape(-1, points.shape[-1]))))
        invariant = [losses.reshape(sample.points.shape[:2])]
        indicators = [(label == k).astype(float) for k in range(M)]
        varying = [x for x in indicators if x.any() and not x.all()]
        r_hat = [float(split_gelman_rubin(x)) for x in invariant + varying]
        ess = [float(effective_sample_size(x)) for x in invariant + varying]
        checked = GibbsSample(points, np.array(r_hat), np.array(ess), sample.divergences)
        checked.check()
        if (label < 0).mean() > _MOST_UNKNOWN:
            raise InputError(f"{100 * (label < 0).mean():.2g} % of the draws are at minima that weren't found")
        found = np.array([checked.probability(label == k) for k in range(M)])
    except InputError as refusal:
        return xr.Dataset(blank, attrs={"refused": str(refusal)})
    values = {"probabilities": ("basin", found[:, 0]), "standard_errors": ("basin", found[:, 1])}
    return xr.Dataset(values, attrs={"refused": "", "r_hat": max(r_hat), "ess": min(ess)})
