"""The question in one call: how often is SGD in each well of a landscape?"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sdesgd import evidence, inputs
from sdesgd.basins import tilting
from sdesgd.basins.exact_law import ExactLaw, density_occupancy, exact_occupancy
from sdesgd.basins.finding_wells import wells_of
from sdesgd.basins.gradient_flow import values_at
from sdesgd.basins.measured import NotMixed, burn_in_needed, measure_occupancy, steps_needed
from sdesgd.basins.minima import Minima, minima_of
from sdesgd.basins.passage import kramers_rates
from sdesgd.basins.passes import Saddle
from sdesgd.basins.result import Occupancy, WellsOnGrid
from sdesgd.basins.saddles import find_saddles
from sdesgd.basins.wells import Wells
from sdesgd.dynamics.sgd import SGD
from sdesgd.errors import InputError
from sdesgd.landscape import Potential
from sdesgd.problem import Problem
from sdesgd.results import NotEstablished
from sdesgd.stationary.density import gibbs_density
from sdesgd.stationary.grid_density import GridDensity
from sdesgd.types import PRNGKeyArray, RealScalarLike

_SHOWN = {1: 801, 2: 121}  # points of the figure's grid along each axis
_QUADRATURE = {1: (20_001, 400_001), 2: (801, 2001)}  # points of the Gibbs law's grid, usually and at most
_WITHIN_WELL = 5  # relaxation times within a well that the burn-in lasts, at least
# Escapes per step below which an eigenvalue of the transfer operator is 1 to rounding error.
_SLOWEST = 1e-11


class _Theory(NamedTuple):
    potential: Potential
    problem: Problem
    temperature: float
    minima: Minima
    saddles: tuple[Saddle, ...]
    wells: Wells
    per_time: np.ndarray  # Kramers' rates per unit of SDE time, without momentum
    gibbs: GridDensity


class _Plan(NamedTuple):
    burn_in: int
    num_steps: int
    refused: NotEstablished | None


def occupancy(
    potential: Any,
    box: Any = None,
    *,
    learning_rate: RealScalarLike,
    batch_size: int = 1,
    key: PRNGKeyArray,
    temperature: RealScalarLike | None = None,
    momentum: RealScalarLike = 0.0,
    sampling: str = "replacement",
    replicas: int = 1024,
    num_steps: int | None = None,
    most_steps: int = 100_000,
    crossings: int = 10_000,
    least_crossings: int = 400,
    margin: RealScalarLike = 0.02,
    symbols: Sequence[Any] | None = None,
    progress: str = "",
) -> Occupancy:
    """How often SGD is in each well of a landscape at stationarity: measured, by its exact law, by Gibbs and Laplace.

        p_a = lim (1/n) #{k ≤ n : θ_k in basin a},     Gibbs: p_a ∝ ∫_a e^{−V/T} dθ

    Minima, basins, saddles and Kramers' rates are found first. The rates say how many steps the runs need to forget
    their starts (four relaxation times) and to cross often enough; where that is more than allowed nothing is run,
    and ``not_established`` says how many steps it would take. Computes in 64 bits, whatever JAX is set to.

    Assumptions: for a potential with a temperature the examples are its tilted copies, ℓ_i = V + a_i·θ with C = σ²I,
    σ² = 2ST(1−m)/(ηf), so that the SDE's stationary law is exp(−V/T). A problem of your own has the C(θ) that its data
    give; T is then ηf Tr C/(2SD(1−m)) at its minima, and Gibbs, Laplace and Kramers hold only as far as C = σ²I.

    Args:
        potential: V as a JAX function of a point (D,), D = 1 or 2; or a ``toys`` potential or its name, a
            ``Landscape``, a sympy expression, or a ``Problem`` with one or two parameters.
        box: (low, high) along each axis, where the wells lie; default: the potential's own.
        learning_rate: η, a constant.
        batch_size: S.
        key: of ``jax.random.key``.
        temperature: T, in units of V; for a ``Problem`` leave it out.
        momentum: m, heavy ball; there is no exact law with momentum.
        sampling: "replacement" or "no_replacement".
        replicas: independent runs; rounded up to a multiple of the wells, in which they start.
        num_steps: steps of each replica that count; default: as many as ``crossings`` take.
        most_steps: that a replica may take in all, where ``num_steps`` is left out.
        crossings: wanted into and out of the rarest well, over all replicas; the standard error of an occupancy p is
            about 2p(1−p)/√crossings.
        least_crossings: below which nothing is claimed.
        margin: of equivalence, in probability.
        symbols: the coordinates of a sympy expression, in order.
        progress: a label for a progress bar.

    Raises:
        InputError: bad input: no minimum in the box, a degenerate minimum, V unbounded below, an unstable η, T ≤ 0,
            a temperature for a ``Problem`` or none for a potential, sizes out of range.

    Source: claims ``two-basins``, ``kramers-rate``, ``occupancy-error``, ``finite-step-occupancy``.
    """
    key = inputs.as_key(key)
    tilting.check_setting(learning_rate, batch_size, momentum, sampling)
    _check_sizes(replicas, num_steps, most_steps, crossings, least_crossings)
    inputs.check_number("margin", margin, "a probability between 0 and 1", lambda x: 0 < x < 1)
    eta, m = float(learning_rate), float(momentum)
    dynamics = SGD(eta, int(batch_size), sampling, momentum=m)
    with jax.enable_x64(True):
        theory = _theory(potential, box, symbols, temperature, (eta, int(batch_size), m, sampling))
        M = theory.wells.count
        rates = theory.per_time / (1 - m)
        exact, missing = _exact(theory, dynamics, rates * eta)
        replicas = M * math.ceil(replicas / M)
        plan = _plan(theory, rates, eta, m, replicas, num_steps, most_steps, crossings, least_crossings)
        nothing = np.full(M, np.nan)
        shares, errors, counted, refused = nothing, nothing, np.zeros((M, M), np.int64), plan.refused
        if M == 1:
            shares, errors = np.ones(1), np.zeros(1)
        elif refused is None:
            try:
                run = measure_occupancy(
                    dynamics,
                    theory.problem,
                    theory.wells,
                    starts=theory.minima.points,
                    num_steps=plan.num_steps,
                    burn_in=plan.burn_in,
                    replicas=replicas,
                    key=key,
                    rates=theory.per_time,
                    least_crossings=least_crossings,
                    progress=progress,
                )
                shares, errors, counted = run.probabilities, run.standard_errors, run.crossings
            except NotMixed as refusal:
                refused = NotEstablished(refusal.reason, refusal.needs)
        grid = _on_grid(theory, exact)
        gibbs, laplace = density_occupancy(theory.gibbs, theory.wells), theory.minima.laplace(theory.temperature)
    law = None if exact is None else exact.occupancy
    measured = refused is None and M > 1
    return Occupancy(
        name=theory.potential.name,
        learning_rate=eta,
        batch_size=int(batch_size),
        momentum=m,
        sampling=sampling,
        temperature=theory.temperature,
        minima=theory.minima.points,
        losses=theory.minima.losses,
        saddles=theory.saddles,
        rates=rates * eta,
        gibbs=gibbs,
        laplace=laplace,
        exact=law,
        exact_missing=missing,
        probabilities=shares,
        standard_errors=errors,
        crossings=counted,
        burn_in=plan.burn_in,
        num_steps=plan.num_steps,
        replicas=replicas,
        not_established=refused,
        versus_exact=_decision(shares, errors, law, margin) if measured and law is not None else None,
        versus_gibbs=_decision(shares, errors, gibbs, margin) if measured else None,
        grid=grid,
    )


def _check_sizes(replicas, num_steps, most_steps, crossings, least_crossings) -> None:
    sizes = {"most_steps": most_steps, "crossings": crossings, "least_crossings": least_crossings}
    if num_steps is not None:
        sizes["num_steps"] = num_steps
    for name, value in sizes.items():
        inputs.check_positive_integer(name, value)
    inputs.check_positive_integer("replicas", replicas)
    if least_crossings > crossings:
        raise InputError(f"least_crossings {least_crossings} exceeds crossings {crossings}: lower it, or raise these")


# -- theory ------------------------------------------------------------------------------------------------


def _theory(asked: Any, box: Any, symbols: Any, temperature: Any, setting: tuple) -> _Theory:
    eta, S, m, sampling = setting
    if isinstance(asked, Problem) and temperature is not None:
        raise InputError("a Problem has the temperature that its data give: leave temperature out, or pass its loss")
    if isinstance(asked, Problem):
        asked = tilting.flat_problem(asked)
    elif temperature is None:
        raise InputError("there is no temperature: pass temperature=T > 0, or a Problem, whose data give it")
    else:
        inputs.check_number("temperature", temperature, "T > 0; at T = 0 SGD is gradient descent", lambda x: x > 0)
    potential = tilting.as_potential(asked, box, symbols)
    minima = minima_of(potential)
    steepest = float(minima.spectra.max())
    if eta * steepest >= 2 * (1 + m):
        raise InputError(
            f"η λ_max = {eta * steepest:.3g} is not below 2(1+m) = {2 * (1 + m):g} at the sharpest minimum, so SGD "
            f"leaves it: pass a learning rate below {2 * (1 + m) / steepest:.3g}"
        )
    if temperature is None:
        problem, T = asked, tilting.temperature_at(asked, minima.points, eta, S, m, sampling)
    else:
        T = float(temperature)
        problem = tilting.at_temperature(potential, T, eta, S, m, sampling)
    single = len(minima) == 1
    saddles = () if single else find_saddles(potential, minima)
    rates = np.zeros((1, 1)) if single else np.asarray(kramers_rates(potential, minima, saddles, T))
    wells = wells_of(potential, minima.points, T)
    usual, most = _QUADRATURE[potential.dimension]
    width = max(high - low for low, high in potential.box)
    points = int(np.clip(6 * width / math.sqrt(T / steepest), usual, most))
    return _Theory(potential, problem, T, minima, saddles, wells, rates, gibbs_density(potential, T, points=points))


def _exact(theory: _Theory, dynamics: SGD, per_step: np.ndarray) -> tuple[ExactLaw | None, NotEstablished | None]:
    """SGD's own stationary law, or why there is none."""
    if dynamics.momentum:
        return None, NotEstablished("with momentum the state is larger than θ", "momentum 0")
    if theory.wells.count > 1 and per_step.sum(axis=1).min() < _SLOWEST:
        return None, NotEstablished("some well is left too rarely for double precision", "a higher temperature")
    box = [(axis[0], axis[-1]) for axis in theory.gibbs.axes]
    try:
        law = exact_occupancy(theory.potential, theory.problem, dynamics, theory.wells, theory.temperature, box)
    except InputError as refusal:
        return None, NotEstablished(str(refusal))
    return law, None


def _plan(
    theory: _Theory,
    rates: np.ndarray,
    eta: float,
    momentum: float,
    replicas: int,
    num_steps: int | None,
    most_steps: int,
    crossings: int,
    least_crossings: int,
) -> _Plan:
    """Burn-in and steps by Kramers' rates, or how many it would take; rates: per unit of SDE time."""
    if theory.wells.count == 1:
        return _Plan(0, 0, None)
    try:
        burn_in = math.ceil(4 * burn_in_needed(rates, eta) / 3)
        least, wanted = (steps_needed(rates, eta, replicas, count) for count in (least_crossings, crossings))
    except (InputError, OverflowError):
        reason = "not mixed: by Kramers' rates some well is never left or never reached"
        return _Plan(0, 0, NotEstablished(reason, "a higher temperature"))
    burn_in = max(burn_in, math.ceil(_WITHIN_WELL * (1 - momentum) / (eta * float(theory.minima.spectra.min()))))
    enough = least if num_steps is None else num_steps
    limit = most_steps if num_steps is None else max(most_steps, burn_in + num_steps)
    if enough < least or burn_in + enough > limit:
        total = burn_in + least
        allowed = most_steps if num_steps is None else num_steps
        reason = (
            f"not mixed: by Kramers' rates it takes {burn_in:,} steps to forget the starts and {least:,} to cross "
            f"{least_crossings} times, and {allowed:,} are allowed"
        )
        return _Plan(burn_in, 0, NotEstablished(reason, f"about {total:,} steps per replica"))
    return _Plan(burn_in, num_steps or min(wanted, most_steps - burn_in), None)


def _decision(shares: np.ndarray, errors: np.ndarray, law: np.ndarray, margin: RealScalarLike) -> evidence.Decision:
    """All wells but one of two, since probabilities sum to 1."""
    kept = slice(0, 1) if len(law) == 2 else slice(None)
    return evidence.decide_differences((shares - law)[kept], errors[kept], margin)


def _on_grid(theory: _Theory, exact: ExactLaw | None) -> WellsOnGrid:
    """What a figure shows, on a grid coarse enough to be kept."""
    potential, D = theory.potential, theory.potential.dimension
    axes = tuple(np.linspace(low, high, _SHOWN[D]) for low, high in potential.box)
    points = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    shape = tuple(len(axis) for axis in axes)
    values = np.asarray(values_at(potential.fresh().value, jnp.asarray(points))).reshape(shape)
    gibbs = _interpolated(theory.gibbs.axes, theory.gibbs.densities, points).reshape(shape)
    own = None
    if exact is not None:
        sides = tuple(np.unique(exact.points[:, d]) for d in range(D))
        own = _interpolated(sides, exact.density.reshape([len(side) for side in sides]), points).reshape(shape)
    return WellsOnGrid(axes, values, theory.wells.labels(points).reshape(shape), gibbs, own)


def _interpolated(axes: Any, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    from scipy import interpolate

    return interpolate.RegularGridInterpolator(axes, values, bounds_error=False, fill_value=0.0)(points)
