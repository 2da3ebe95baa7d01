"""The probability that SGD sits in each basin, from runs that demonstrably mix, with a standard error."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, PyTree
from scipy import linalg

from sdesgd import inputs
from sdesgd.basins.tally import Tally
from sdesgd.basins.time_shares import MeasuredOccupancy
from sdesgd.basins.wells import Wells
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.errors import InputError, shown
from sdesgd.problem import Problem
from sdesgd.simulation.driver import simulate
from sdesgd.types import PRNGKeyArray

_MOST_STEPS = 2**31 - 1  # of the counters
_RELAXATIONS = 3  # of burn-in, at least
_DISAGREEMENT = 4  # standard errors between starts


class NotMixed(InputError):
    """Runs that say nothing of a stationary law.

    Args:
        reason: a phrase, what is wrong.
        remedy: of the message, what to do.
        needs: a noun phrase, what it would take.
    """

    def __init__(self, reason: str, remedy: str, needs: str):
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.needs = reason, needs


def measure_occupancy(
    dynamics: AbstractDynamics,
    problem: Problem,
    wells: Wells,
    *,
    starts: Any,
    num_steps: int,
    burn_in: int,
    replicas: int,
    key: PRNGKeyArray,
    rates: Any = None,
    least_crossings: int = 100,
    progress: str = "",
) -> MeasuredOccupancy:
    """The share of steps that a dynamics spends in each basin at stationarity, or a refusal.

    p_a = (steps that end in basin a)/(all steps),   SE_a = max(2p(1 − p)/√K_a, replica-to-replica SEM)

    Assumptions of the first SE: a well and the rest exchange as a two-state Markov chain. It is the steadier of the two
    where replicas are few; the second sees whatever slows mixing besides.

    Args:
        dynamics: with a constant learning rate. problem: of num_parameters D.
        wells: as of ``wells_of``.
        starts: (starts, D), one row per start; the replicas are split evenly over them. Starts in different wells
            show mixing.
        num_steps: steps that count, of each replica; ``burn_in`` steps go before and don't.
        replicas: in all; rounded up to a multiple of the starts.
        rates: (M, M), row a column b: from well a to b per unit of SDE time without momentum, say ``kramers_rates``;
            with momentum m they are taken 1/(1 − m) times faster. If given, a run that would not mix is refused
            before it begins.
        least_crossings: into and out of each well, over all replicas, below which there is no claim.
        progress: a label for a progress bar.

    Raises:
        InputError: before running: a burn-in of fewer than 3 relaxation times, or fewer crossings expected than least.
            After it: too few crossings counted, starts that disagree by more than 4 standard errors, replicas that
            diverged. A schedule; an interrupted run; sizes out of range.

    Source: claim occupancy-error.
    """
    key = inputs.as_key(key)
    starts = inputs.as_float64(starts, "starts", "(starts, D), one row each")
    _check(dynamics, problem, wells, starts, num_steps, burn_in, replicas, least_crossings)
    each = math.ceil(replicas / len(starts))
    replicas = each * len(starts)
    if each < 2:
        raise InputError(f"{replicas} replicas for {len(starts)} starts: pass at least two a start, for an error bar")
    if rates is not None:
        rates = inputs.as_float64(rates, "rates", "(M, M)") / (
            1 - float(np.asarray(getattr(dynamics, "momentum", 0.0)))
        )
        _check_plan(
            rates, wells, float(np.asarray(dynamics.learning_rate)), num_steps, burn_in, replicas, least_crossings
        )
    flat, unravel = ravel_pytree(problem.moving())
    run = simulate(
        dynamics,
        problem,
        num_steps=burn_in + num_steps,
        replicas=replicas,
        key=key,
        observables={},
        save_every=burn_in + num_steps,
        starts=_repeated(problem, jax.vmap(unravel)(jnp.asarray(starts, flat.dtype)), each),
        accumulate=Tally(wells, burn_in).accumulate,
        progress=progress,
    )
    if run.interrupted:
        raise InputError("the run was interrupted, so nothing is known of its occupancy: run it again")
    if run.diverged.any():
        lost = run.diverged.reshape(len(starts), each).sum(axis=1)
        worst = int(lost.argmax())
        raise NotMixed(
            f"{lost[worst]} of {each} replicas diverged from the start {starts[worst]}",
            "lower the learning_rate",
            "a lower learning rate",
        )
    by_start = lambda x: np.asarray(x, np.int64).reshape(len(starts), each, *x.shape[1:])  # noqa: E731
    counts = run.accumulated
    return occupancy_of(
        by_start(counts.visits), by_start(counts.crossings), least_crossings, rates, dynamics.learning_rate
    )


def _repeated(problem: Problem, starts: PyTree, each: int) -> PyTree:
    """The params of all replicas, those of one start beside each other; starts: the leaves that move."""
    moving = jax.tree.map(lambda x: jnp.repeat(x, each, axis=0), starts)
    replicas = jax.tree.leaves(moving)[0].shape[0]
    others = eqx.filter(problem.params, eqx.is_inexact_array, inverse=True)
    still = jax.tree.map(lambda x: jnp.broadcast_to(x, (replicas, *x.shape)) if eqx.is_array(x) else x, others)
    return eqx.combine(moving, still)


def occupancy_of(
    visits: Int[np.ndarray, "starts each M"],
    crossings: Int[np.ndarray, "starts each M M"],
    least_crossings: int = 100,
    rates: Any = None,
    learning_rate: Any = None,
) -> MeasuredOccupancy:
    """The occupancy from counts, or a refusal; see ``measure_occupancy``.

    Raises:
        InputError: no steps, fewer than two replicas a start, steps that differ between replicas; as there.
    """
    groups, each, M = visits.shape
    steps, replicas = int(visits[0, 0].sum()), groups * each
    if each < 2 or steps < 1 or not (visits.sum(axis=2) == steps).all():
        raise InputError(
            f"{each} replicas a start of {steps} steps: pass two or more a start, for an error bar, of equally many "
            "steps"
        )
    shares = visits / steps
    p = shares.mean(axis=(0, 1))
    by_start = crossings.sum(axis=1)
    total = by_start.sum(axis=0)
    K = total.sum(axis=0) + total.sum(axis=1)
    if M > 1 and K.min() < least_crossings:
        raise _too_few(K, least_crossings, steps, replicas, rates, learning_rate)
    # The spread within starts: what is left of the starts' own bias would else count as noise.
    by_replicas = np.sqrt(shares.var(axis=1, ddof=1).mean(axis=0) / replicas)
    by_crossings = 2 * p * (1 - p) / np.sqrt(np.maximum(K, 1))
    errors = np.maximum(by_crossings, by_replicas)
    worst = 0.0
    if groups > 1 and M > 1:
        of_start = shares.mean(axis=1)
        others = (groups * p - of_start) / (groups - 1)
        scatter = errors * np.sqrt(groups + groups / (groups - 1))  # of a group's share less the others'
        # A well that all replicas share alike has no scatter and no gap.
        apart = np.abs(of_start - others)
        gaps = np.divide(apart, scatter, out=np.where(apart > 0, np.inf, 0.0), where=scatter > 0)
        worst = float(gaps.max())
        if worst > _DISAGREEMENT:
            start, well = np.unravel_index(gaps.argmax(), gaps.shape)
            raise NotMixed(
                f"not mixed: replicas from start {start} spend {of_start[start, well]:.3f} of their steps in well "
                f"{well}, the others {others[start, well]:.3f}, {worst:.1f} standard errors apart",
                "lengthen burn_in and num_steps",
                "a longer burn-in and more steps",
            )
    return MeasuredOccupancy(p, errors, by_crossings, by_replicas, total, steps, replicas, worst)


# -- plans -------------------------------------------------------------------------------------------------


def stationary_of(rates: Any) -> tuple[Float[np.ndarray, " M"], float]:
    """π and the relaxation time 1/|λ₂| of the Markov chain with these rates, per unit of SDE time.

    Raises:
        InputError: not (M, M) rates, finite and not negative; wells that aren't all connected.
    """
    rates = inputs.as_float64(rates, "rates", "(M, M)").copy()
    if rates.ndim != 2 or rates.shape[0] != rates.shape[1] or len(rates) < 2:
        raise InputError(f"rates have shape {rates.shape}: pass (M, M) for M > 1 wells, row a column b from a to b")
    np.fill_diagonal(rates, 0)
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise InputError("rates hold negative values, NaN or infinity: pass escapes per unit of SDE time")
    generator = rates - np.diag(rates.sum(axis=1))
    values = np.sort(np.abs(linalg.eigvals(generator)))
    if not values[1] > 1e-12 * values[-1]:
        raise InputError("some wells can't be reached from others at these rates: give every well a way out and in")
    right = np.zeros(len(rates))
    right[-1] = 1
    pi = np.linalg.solve(np.vstack([generator.T[:-1], np.ones(len(rates))]), right)
    if not pi.min() > 0:
        raise InputError(f"well {int(pi.argmin())} is left and never reached again at these rates: give it a way in")
    return pi, float(1 / values[1])


def crossings_per_time(rates: Any) -> Float[np.ndarray, " M"]:
    """(M,): expected crossings into and out of each well per unit of SDE time at stationarity, 2π_a Σ_b k_ab."""
    rates = inputs.as_float64(rates, "rates", "(M, M)")
    pi, _ = stationary_of(rates)
    return 2 * pi * (np.sum(rates, axis=1) - np.diag(rates))


def steps_needed(rates: Any, learning_rate: float, replicas: int, crossings: int) -> int:
    """Steps of each replica, past the burn-in, for so many expected crossings of the rarest well, over all replicas.

    n = crossings/(η · replicas · min_a 2π_a Σ_b k_ab)

    Args:
        rates: (M, M), row a column b, per unit of SDE time. learning_rate: η, of one step.
        replicas: how many. crossings: K wanted; the standard error of an occupancy p is then 2p(1 − p)/√K.

    Raises:
        InputError: rates as for ``stationary_of``, η ≤ 0, fewer than one replica or crossing.
    """
    _check_rate(learning_rate)
    for name, value in (("replicas", replicas), ("crossings", crossings)):
        inputs.check_number(name, value, "a finite number of at least 1", lambda x: x >= 1)
    return math.ceil(crossings / (learning_rate * replicas * float(crossings_per_time(rates).min())))


def burn_in_needed(rates: Any, learning_rate: float) -> int:
    """Steps in three relaxation times of the chain with these rates: e⁻³ = 5 % of the start's bias is left."""
    _check_rate(learning_rate)
    return math.ceil(_RELAXATIONS * stationary_of(rates)[1] / learning_rate)


def _check_rate(learning_rate: Any) -> None:
    inputs.check_number("learning_rate", learning_rate, "η > 0, of one step", lambda x: x > 0)


def _check_plan(rates, wells, learning_rate, num_steps, burn_in, replicas, least_crossings) -> None:
    if np.shape(rates) != (wells.count, wells.count):
        raise InputError(f"rates have shape {np.shape(rates)} for {wells.count} wells: pass (M, M)")
    needed = burn_in_needed(rates, learning_rate)
    if burn_in < needed:
        raise InputError(
            f"burn_in {burn_in} is less than three relaxation times: {needed - burn_in} more steps are needed, "
            f"{needed} in all; or raise the temperature"
        )
    needed = steps_needed(rates, learning_rate, replicas, least_crossings)
    if num_steps < needed:
        expected = learning_rate * replicas * num_steps * float(crossings_per_time(rates).min())
        raise InputError(
            f"{num_steps} steps of {replicas} replicas would cross about {expected:.2g} times into or out of the "
            f"rarest well, and {least_crossings} are the least: {needed - num_steps} more steps each are needed, "
            f"{needed} in all"
        )


def _too_few(K, least_crossings, steps, replicas, rates, learning_rate) -> NotMixed:
    well, counted = int(K.argmin()), int(K.min())
    text = f"not mixed: {counted} crossings into or out of well {well} in {steps} steps of {replicas} replicas, of at "
    text += f"least {least_crossings}"
    if counted:
        more = math.ceil(steps * (least_crossings / counted - 1))
        return NotMixed(text, f"about {more} more steps each are needed", f"about {more:,} more steps per replica")
    if rates is not None:
        more = max(steps_needed(rates, float(learning_rate), replicas, least_crossings) - steps, steps)
        return NotMixed(text, f"by its rates it takes {more} more steps each", f"about {more:,} more steps per replica")
    more = steps * (least_crossings - 1)
    return NotMixed(
        text,
        f"more than {more} more steps each are needed, or a higher temperature",
        f"more than {more:,} more steps per replica",
    )


def _check(dynamics, problem, wells, starts, num_steps, burn_in, replicas, least_crossings) -> None:
    for name, value, kind in (("dynamics", dynamics, AbstractDynamics), ("problem", problem, Problem)):
        if not isinstance(value, kind):
            raise InputError(f"{name} is {shown(value)}: the order is (dynamics, problem, wells)")
    if not isinstance(wells, Wells):
        raise InputError(f"wells is {shown(wells)}: pass those of wells_of(landscape)")
    if callable(dynamics.learning_rate):
        raise InputError("learning_rate is a schedule, so nothing is stationary: pass a number")
    for name, value in (("num_steps", num_steps), ("replicas", replicas), ("least_crossings", least_crossings)):
        inputs.check_positive_integer(name, value)
    whole = isinstance(burn_in, int | np.integer) and not isinstance(burn_in, bool)
    if not whole or burn_in < 0 or burn_in + num_steps > _MOST_STEPS:
        raise InputError(f"burn_in {burn_in}, num_steps {num_steps}: pass burn_in ≥ 0, and at most 2·10⁹ steps in all")
    if starts.ndim != 2 or starts.shape[1] != problem.num_parameters or not len(starts):
        raise InputError(f"starts have shape {starts.shape}: pass (starts, {problem.num_parameters}), one row each")
    if not np.isfinite(starts).all():
        raise InputError("starts hold NaN or infinity: begin at finite points")
    if wells.count < 2:
        raise InputError("there is one well, and its occupancy is 1: nothing to measure")
