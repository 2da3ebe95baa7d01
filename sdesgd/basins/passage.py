"""How long SGD takes from one well to another: Kramers' rates, the exact mean time on a line, and measured times."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree
from scipy import integrate, interpolate

from sdesgd import freshness, inputs
from sdesgd.basins.jets import jets
from sdesgd.basins.minima import check_temperature
from sdesgd.basins.passage_times import PassageTimes
from sdesgd.basins.quenching import check_points, in_float64
from sdesgd.basins.saddles import Saddle, check_saddles
from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape
from sdesgd.problem import Problem
from sdesgd.simulation import simulate
from sdesgd.stationary.quadratic import as_symmetric
from sdesgd.types import PRNGKeyArray, RealScalarLike

_POINTS = 20_001  # of the quadrature, before the start and after it


# -- theory ------------------------------------------------------------------------------------------------


def kramers_rate(hessian_min: Any, hessian_saddle: Any, barrier: RealScalarLike, temperature: RealScalarLike) -> float:
    """k = |λ_s|/(2π) √(det H/|det H_s|) e^{−ΔV/T}: escapes over one saddle per unit of SDE time, an η a step.

    On a line √(V″|V″_s|)/(2π) e^{−ΔV/T}. It is the rate of going to the next well; the top itself is reached twice as
    often. Relative error O(T).

    Assumptions: constant isotropic C, T = ησ²/(2S) small against the barrier; minimum and saddle non-degenerate; no
    momentum; the law of the SDE. The excess kurtosis γ₄ of SGD's steps shifts the logarithm of the time by about
    −ηγ₄∫V′³/(6T²), from the minimum to the saddle: see ``stationary.finite_step_density``.

    Args:
        hessian_min, hessian_saddle: (D, D), or numbers for D = 1. barrier: ΔV > 0. temperature: T.

    Raises:
        InputError: not a minimum, not a saddle of index 1, a barrier or a temperature that isn't positive.

    Source: claims kramers-rate and detailed-balance.
    """
    low, high = (_spectrum("hessian_min", hessian_min), _spectrum("hessian_saddle", hessian_saddle))
    check_temperature(temperature)
    if low.shape != high.shape or not low[0] > 0:
        raise InputError(
            f"hessian_min has eigenvalues {low}: pass that of a non-degenerate minimum, as large as the other"
        )
    if not high[0] < 0 or (high[1:] <= 0).any():
        raise InputError(f"hessian_saddle has eigenvalues {high}: pass that of a saddle with one negative")
    wanted = "V at the saddle less V at the minimum, which is positive"
    inputs.check_number("barrier", barrier, wanted, lambda x: x > 0)
    prefactor = abs(high[0]) / (2 * math.pi) * math.sqrt(np.prod(low) / abs(np.prod(high)))
    return float(prefactor * math.exp(-float(barrier) / float(temperature)))


def _spectrum(name: str, hessian: Any) -> Float[np.ndarray, " D"]:
    return np.linalg.eigvalsh(
        as_symmetric(name, np.atleast_2d(inputs.as_float64(hessian, name, "(D, D), or a number")))
    )


def kramers_rates(
    landscape: Landscape, minima: Any, saddles: Sequence[Saddle], temperature: RealScalarLike
) -> Float[np.ndarray, "M M"]:
    """(M, M), row a column b: Kramers' rate from well a to b per unit of SDE time, summed over the passes between them.

    Args:
        landscape: V. minima: (M, D), or an object with ``points``. saddles: of ``find_saddles``. temperature: T.

    Raises:
        InputError: as ``kramers_rate``; minima that stand for several copies; saddles of other minima.
    """
    landscape = in_float64(landscape)
    if np.any(np.asarray(getattr(minima, "multiplicities", 1)) > 1):
        raise InputError(
            "minima stand for symmetric copies, each with passes of its own: pass all the copies as points"
        )
    points = check_points(landscape, getattr(minima, "points", minima))
    values, _, hessians = jets(landscape, points)
    saddles = check_saddles(saddles, len(points))
    rates = np.zeros((len(points), len(points)))
    for saddle in saddles:
        for a, b in (saddle.wells, saddle.wells[::-1]):
            barrier = saddle.value - float(values[a])
            rates[a, b] += kramers_rate(hessians[a], np.diag(saddle.spectrum), barrier, temperature)
    return rates


def mean_first_passage_time(
    landscape: Landscape | tuple[Any, Any],
    temperature: RealScalarLike,
    start: RealScalarLike,
    target: RealScalarLike,
    box: tuple[RealScalarLike, RealScalarLike] | None = None,
) -> float:
    """τ = (1/T) ∫_start^target dy e^{V(y)/T} ∫_wall^y dz e^{−V(z)/T}, in SDE time, for dθ = −V′ dt + √(2T) dW.

    Exact on a line, whichever side the target is on. A reflecting wall stands at the far edge of the box, which doesn't
    matter where e^{−V/T} has died out before it.

    Args:
        landscape: V with D = 1; or a pair of arrays (x, V(x)), x ascending, interpolated by cubic splines.
        temperature: T. start, target: θ, in the box.
        box: (low, high); default: the landscape's own, twice as wide; the arrays' range.

    Raises:
        InputError: another dimension, no box, T ≤ 0, points outside the box, V over more than 600 T.

    Source: claim mean-first-passage-time; Gardiner 2009.
    """
    check_temperature(temperature)
    value, box = _on_a_line(landscape, box)
    low, high = box
    for name, point in (("start", start), ("target", target)):
        inputs.check_number(name, point, "a finite θ in the box", lambda x: True)
    start, target = float(start), float(target)
    if not (low <= start <= high and low <= target <= high and start != target):
        raise InputError(f"start {start} and target {target}: pass two different points between {low:g} and {high:g}")
    wall = low if start < target else high
    # u: distance from the wall, upwards in either case, with the start a point of the grid.
    near, far = abs(start - wall), abs(target - wall)
    u = np.unique(np.concatenate([np.linspace(0, near, _POINTS), np.linspace(near, far, _POINTS)]))
    V = value(wall + math.copysign(1, target - start) * u) / float(temperature)
    if not np.isfinite(V).all():
        raise InputError(
            f"V/T is not finite at {(~np.isfinite(V)).sum()} points of the box ({low:g}, {high:g}): choose another"
        )
    V, ahead = V - V.min(), u >= near
    if V[ahead].max() > 600:
        raise InputError(
            f"between start and target V is up to {V[ahead].max():.0f} T above its lowest point, and e^(V/T) overflows "
            "above 600 T: raise the temperature, or move the start and the target"
        )
    inner = integrate.cumulative_simpson(np.exp(-V), x=u, initial=0)
    return float(integrate.simpson(np.exp(V[ahead]) * inner[ahead], x=u[ahead]) / temperature)


def _on_a_line(landscape, box) -> tuple[Callable, tuple[float, float]]:
    if isinstance(landscape, Landscape):
        if landscape.dimension != 1:
            raise InputError(f"{landscape.name} has {landscape.dimension} dimensions: this time is for one")
        if box is None:
            low, high = getattr(landscape, "box", ((0, 0),))[0]
            box = (low - (high - low) / 2, high + (high - low) / 2)
        sides = _interval(box, "(low, high) with low < high, beyond which V/T is large")
        with jax.enable_x64(True):
            known = landscape.fresh().value
        return lambda x: _in_float64(known, x), sides
    if not isinstance(landscape, tuple | list) or len(landscape) != 2:
        raise InputError(f"landscape is {shown(landscape)}: pass a Landscape of one dimension, or arrays (x, V(x))")
    x, V = (inputs.as_float64(a, name, "(n,)") for a, name in zip(landscape, ("x", "V"), strict=True))
    if x.ndim != 1 or x.shape != V.shape or len(x) < 4 or not (np.diff(x) > 0).all() or not np.isfinite(V).all():
        raise InputError(f"arrays of shapes {x.shape} and {V.shape}: pass x, ascending, and finite V(x), of one length")
    box = (float(x[0]), float(x[-1])) if box is None else _interval(box, "(low, high) within the arrays' range")
    if not x[0] <= box[0] < box[1] <= x[-1]:
        raise InputError(f"box {box}: pass one within the arrays' range, {x[0]:g} to {x[-1]:g}")
    return interpolate.CubicSpline(x, V), box


def _interval(box: Any, wanted: str) -> tuple[float, float]:
    sides = inputs.as_float64(box, "box", wanted)
    if sides.shape != (2,) or not np.isfinite(sides).all() or not sides[0] < sides[1]:
        raise InputError(f"box {shown(box)}: pass {wanted}")
    return float(sides[0]), float(sides[1])


def _in_float64(value: Callable, x: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(_on_line(value, jnp.asarray(x)), float)


@freshness.jit
def _on_line(value: Callable, x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jax.vmap(lambda z: value(z[None]))(x)


# -- measurement -------------------------------------------------------------------------------------------


def first_passage(
    dynamics: AbstractDynamics,
    problem: Problem,
    start: Any,
    target: Callable[[Float[Array, " D"]], Any],
    *,
    replicas: int,
    max_steps: int,
    key: PRNGKeyArray,
) -> PassageTimes:
    """Measured first-passage times from a start to a set, one for each replica, in steps and in SDE time.

    θ is looked at after whole steps. For SGD that is its passage, and its exact mean is
    ``TransferOperator.first_passage_steps``. For the SDE it is late: a target at b acts as one 0.58√(2Tη) further on
    (Siegmund 1985). Compare with ``mean_first_passage_time`` only for a target beyond the barrier, at the other minimum
    say, where a shift by that changes the mean time by a share of order e^{−ΔV/T}.

    Passage j draws at its step n from ``fold_in(fold_in(key, j), n)``, whatever runs beside it.

    Args:
        dynamics: with a constant learning rate. problem: of D parameters.
        start: (D,), with zero velocity if there is momentum. target: θ (D,) ↦ bool, in JAX; the same program again
            compiles nothing.
        replicas: passages. max_steps: of each; allow some 15 mean times for a thousand.

    Raises:
        InputError: passages that take longer than max_steps (their number, and how many steps would do), a start
            inside the target or not finite, a run that diverges, a schedule, a target that JAX can't trace or that
            isn't one bool, no key.
    """
    for name, value, kind in (("dynamics", dynamics, AbstractDynamics), ("problem", problem, Problem)):
        if not isinstance(value, kind):
            raise InputError(f"{name} is {shown(value)}: the order is (dynamics, problem, start, target)")
    rate = dynamics.learning_rate
    if callable(rate):
        raise InputError("learning_rate is a schedule, so the time depends on when one starts: pass a number")
    inputs.check_positive_integer("replicas", replicas)
    inputs.check_positive_integer("max_steps", max_steps)
    key = inputs.as_key(key)
    if replicas < 2 or max_steps > 2**31 - 2:
        raise InputError(f"replicas {replicas}, max_steps {max_steps}: pass at least 2 and at most 2·10⁹")
    rate = float(np.asarray(rate))
    problem = problem.fresh()
    flat, unravel = ravel_pytree(problem.moving())
    start = jnp.asarray(inputs.as_float64(start, "start", f"{flat.shape}"), flat.dtype)
    if start.shape != flat.shape or not bool(jnp.isfinite(start).all()):
        raise InputError(f"start has shape {start.shape}, {shown(np.asarray(start))}: pass finite numbers {flat.shape}")
    target = _fresh_target(target, start)
    if bool(target(start)):
        raise InputError(f"the start {start} lies in the target: start outside")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*replicas diverged", category=RuntimeWarning)
        run = simulate(
            dynamics,
            problem,
            num_steps=int(max_steps),
            replicas=int(replicas),
            key=key,
            observables={},
            save_every=int(max_steps),
            params=eqx.combine(unravel(start), problem.params),
            until=_Reached(target),
        )
    if run.interrupted:
        raise KeyboardInterrupt
    if run.diverged.any():
        raise InputError("a run diverged on its way to the target: lower the learning_rate")
    stopped = np.asarray(run.stopped)
    return _summary(np.where(stopped < 0, max_steps, stopped), stopped < 0, int(max_steps), rate)


class _Reached(eqx.Module):
    """Whether the parameters that move are in the target."""

    target: freshness.Fresh

    def __call__(self, params: PyTree) -> Array:
        return jnp.asarray(self.target(ravel_pytree(eqx.filter(params, eqx.is_inexact_array))[0]), bool)


def _fresh_target(target: Any, start: Array) -> freshness.Fresh:
    """The target as it is now."""
    if not callable(target):
        raise InputError(f"target is {shown(target)}: pass a function of θ (D,) to a bool, in JAX")
    known, shape = freshness.traced(target, start, what="the target")
    if getattr(shape, "shape", None) != () or shape.dtype != bool:
        got = f"shape {shape.shape} and dtype {shape.dtype}" if hasattr(shape, "dtype") else type(shape).__name__
        raise InputError(f"target(θ) has {got}: return one bool, as θ[0] > 1")
    return known


def _summary(steps: np.ndarray, censored: np.ndarray, max_steps: int, learning_rate: float) -> PassageTimes:
    if censored.any():
        # Late passages are exponential: their mean from all the time spent, their longest a logarithm of it.
        done = len(steps) - int(censored.sum())
        mean = steps.sum() / max(done, 1)
        would = math.ceil(mean * (math.log(len(steps)) + 3))
        raise InputError(
            f"{int(censored.sum())} of {len(steps)} passages took longer than max_steps = {max_steps}, so their mean "
            f"is not known: about {max(would, 2 * max_steps)} steps would do{'' if done else ', at the very least'}"
        )
    mean, error = float(steps.mean()), float(steps.std(ddof=1) / math.sqrt(len(steps)))
    return PassageTimes(steps, censored, mean, error, mean * learning_rate, error * learning_rate)
