"""Stationary densities on a grid: the Gibbs law by quadrature, and the Itô law of one parameter with its own C(θ)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from scipy import integrate

from sdesgd import freshness, inputs
from sdesgd.dynamics.protocol import check_sampling, finite_population_factor
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, as_box, as_landscape
from sdesgd.problem import Problem
from sdesgd.stationary.grid_density import Axes, GridDensity, cell_volumes, grid_points
from sdesgd.stationary.quadratic import check_rates
from sdesgd.types import Box, RealScalarLike

# Points along each axis, by dimension.
_POINTS = {1: 20_001, 2: 801, 3: 121}
# The outer part of the box, at each end of each axis, that must hold next to no mass, and how little.
_EDGE, _EDGE_MASS = 0.01, 1e-6
# A box that isn't the user's own is widened by 15 % at each end, at most so often (12-fold in all).
_WIDENINGS = 10
_BLOCK = 4096
_MOST_POINTS = 10**8


def gibbs_density(
    landscape: Landscape,
    temperature: RealScalarLike,
    box: Box | None = None,
    points: int | Sequence[int] | None = None,
) -> GridDensity:
    """p ∝ exp(−V/T) by quadrature on a grid: the SDE's stationary law for C = (2ST/η) I.

    Args:
        landscape: V, of at most three dimensions.
        temperature: T, in units of V.
        box: (low, high) along each axis; default: that of a ``toys.Potential``, widened until its edges
            hold next to no mass.
        points: along each axis, or a number for each; default 20,001, 801 or 121 in one, two or three dimensions.

    Raises:
        InputError: T ≤ 0, more than three dimensions, no box, a box or a grid that is too small: more than 1e−6 of
            the mass within its outer hundredths, or a sum that changes by 1e−3 on every second point.
    """
    require_float64()
    landscape = as_landscape(landscape)
    inputs.check_number("temperature", temperature, "T > 0; at T = 0 the law is a point", lambda x: x > 0)
    temperature = float(temperature)
    D = landscape.dimension
    if D not in _POINTS:
        raise InputError(f"{landscape.name} has {D} dimensions: quadrature takes at most 3; sample with sample_gibbs")
    given, box = box, getattr(landscape, "box", None) if box is None else box
    if box is None:
        raise InputError(f"{landscape.name} has no box: pass (low, high) along each of its {D} axes")
    counts = _POINTS[D] if points is None else points
    axes, log_density = _gibbs_exponent(landscape, temperature, box, counts)
    for _ in range(_WIDENINGS if given is None else 0):
        if _edge_mass(axes, log_density)[0] <= _EDGE_MASS:
            break
        box = [(low - 0.15 * (high - low), high + 0.15 * (high - low)) for low, high in box]
        axes, log_density = _gibbs_exponent(landscape, temperature, box, counts)
    return _normalised(axes, log_density, f"Gibbs law exp(−V/T) of {landscape.name} at T = {temperature:.4g}")


def ito_density(
    problem: Problem,
    learning_rate: RealScalarLike,
    batch_size: int,
    box: tuple[RealScalarLike, RealScalarLike] | Box,
    points: int = 4001,
    sampling: str = "replacement",
) -> GridDensity:
    """p(θ) ∝ C(θ)⁻¹ exp(−(2S/(ηf)) ∫ L′/C dθ), the stationary law of dθ = −L′ dt + √(fηC/S) dW, in Itô's sense.

    L′ and C = Var_i ℓ_i′ (the 1/N form) are those of the problem's own examples. SGD tends to this law as η → 0 with
    (η/S) C fixed, and not to exp(−L/T) with any T, unless C is constant.

    Assumptions: one parameter, C > 0 in the whole box, no momentum.

    Args:
        problem: with one moving number, without masks and groups, in float64.
        learning_rate: η. batch_size: S.
        box: (low, high), or ((low, high),).
        points: of the grid.
        sampling: "replacement" (f = 1) or "no_replacement" (f = (N−S)/(N−1)).

    Raises:
        InputError: another problem, C = 0 somewhere (the process can't cross), S = N without replacement, a box or a
            grid that is too small (see ``gibbs_density``).

    Source: claim ``ito-stationary-density``.
    """
    require_float64()
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
    problem = problem.fresh()
    check_rates(learning_rate, batch_size)
    inputs.check_positive_integer("batch_size", batch_size)
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's noise cancels at fixed θ")
    if problem.needs_key or problem.num_parameters != 1 or problem.dtype != jnp.float64:
        raise InputError(
            f"the problem has {problem.num_parameters} parameters of {problem.dtype}"
            f"{' and draws masks or groups' if problem.needs_key else ''}: pass one float64 parameter and neither"
        )
    sides = inputs.as_float64(box, "box", "(low, high)")
    axes = _axes(sides[None] if sides.ndim == 1 else sides, points, 1)
    per_example = np.asarray(_unit_slopes(problem, jnp.asarray(axes[0])), float)
    if not np.isfinite(per_example).all():
        raise InputError(f"some example's gradient is not finite in the box {shown(box)}: choose another box")
    slope = per_example.mean(axis=1)
    deviations = per_example - slope[:, None]
    variance = (deviations**2).mean(axis=1)
    _check_noise(axes[0], deviations, variance)
    f = finite_population_factor(problem.num_units, batch_size, sampling)
    if f <= 0:
        raise InputError(f"batch_size {batch_size} without replacement is all {problem.num_units} examples: no noise")
    exponent = integrate.cumulative_simpson(slope / variance, x=axes[0], initial=0)
    name = f"Stationary law of the SDE (Itô) with its own C(θ), η = {learning_rate:g}, S = {batch_size}"
    return _normalised(axes, -2 * batch_size / (learning_rate * f) * exponent - np.log(variance), name)


def require_float64() -> None:
    """Raises InputError unless jax computes in float64 here."""
    if jnp.result_type(float) != jnp.float64:
        raise InputError("jax computes in float32 here: call within `with jax.enable_x64(True):`")


@freshness.jit
def _values(value: Callable, points: Float[Array, "G D"]) -> Float[Array, " G"]:
    return jax.lax.map(value, points, batch_size=_BLOCK)


@freshness.jit
def _unit_slopes(problem: Problem, points: Float[Array, " G"]) -> Float[Array, "G N"]:
    """ℓ_i′ at each point."""
    _, unravel = ravel_pytree(problem.moving())
    examples = jnp.arange(problem.num_units)

    def at(point):
        params = eqx.combine(unravel(point[None]), problem.params)
        return jax.tree.leaves(problem.unit_gradients(params, examples))[0].reshape(-1)

    return jax.lax.map(at, points, batch_size=256)


def _gibbs_exponent(
    landscape: Landscape, temperature: RealScalarLike, box: Box, points: Any
) -> tuple[Axes, np.ndarray]:
    """The axes of the grid, and −V/T on it."""
    axes = _axes(box, points, landscape.dimension)
    values = np.asarray(_values(landscape.value, jnp.asarray(grid_points(axes))))
    if not np.isfinite(values).all():
        raise InputError(f"{landscape.name} is not finite everywhere in the box {shown(box, 120)}: choose another box")
    with np.errstate(over="ignore"):  # T so small that V/T is infinite: refused with the grid
        return axes, -values.reshape([len(axis) for axis in axes]) / temperature


def _axes(box: Any, points: Any, D: int) -> Axes:
    sides = as_box(box, D)
    counts = [points] * D if np.ndim(points) == 0 else list(points)
    if len(counts) != D:
        raise InputError(f"points {shown(points)}: pass at least 9, or as many for each of {D} axes")
    for n in counts:
        inputs.check_positive_integer("points", n, _MOST_POINTS)
    if min(counts) < 9 or math.prod(counts) > _MOST_POINTS:
        raise InputError(f"points {shown(points)}: pass at least 9 for each of {D} axes, and at most 10⁸ in all")
    return tuple(np.linspace(low, high, n) for (low, high), n in zip(sides, counts, strict=True))


def _edge_mass(axes: Axes, log_density: np.ndarray) -> tuple[float, int]:
    """The mass in the outer hundredths of an axis, and the axis where it is the largest."""
    with np.errstate(invalid="ignore"):
        weights = np.exp(log_density - log_density.max()) * cell_volumes(axes)
    edges = []
    for d, axis in enumerate(axes):
        depth = max(1, math.ceil(_EDGE * len(axis)))
        outer = [*range(depth), *range(len(axis) - depth, len(axis))]
        edges.append(float(weights.take(outer, axis=d).sum() / weights.sum()))
    return max(edges), int(np.argmax(edges))


def _normalised(axes: Axes, log_density: np.ndarray, name: str) -> GridDensity:
    edges, d = _edge_mass(axes, log_density)
    if math.isnan(edges):
        raise InputError("the density over- or underflows everywhere on the grid: raise the temperature")
    if edges > _EDGE_MASS:
        raise InputError(
            f"{edges:.2g} of the mass lies within the outer hundredths of axis {d}, ({axes[d][0]:g}, {axes[d][-1]:g}): "
            "pass a larger box; if that doesn't help, the density can't be normalised"
        )
    weights = np.exp(log_density - log_density.max()) * cell_volumes(axes)
    total = weights.sum()
    every_second = weights[(slice(None, None, 2),) * len(axes)].sum() * 2 ** len(axes)
    if not abs(every_second / total - 1) <= 1e-3:
        raise InputError(
            f"the grid of {' × '.join(str(len(axis)) for axis in axes)} is too coarse for the density (every second "
            f"point gives {every_second / total:.4g} of the sum): pass more points"
        )
    return GridDensity(axes, weights / total, name)


def _check_noise(theta: np.ndarray, deviations: Float[np.ndarray, "G N"], variance: Float[np.ndarray, " G"]) -> None:
    """C > 0 at and between the points: where it vanishes between two, all deviations change sign."""
    least = int(variance.argmin())
    if variance[least] <= 1e-12 * variance.max():
        where = theta[least]
    else:
        turned = np.flatnonzero((deviations[1:] * deviations[:-1]).sum(axis=1) <= 0)
        if not turned.size:
            return
        where = theta[turned[0]]
    raise InputError(
        f"C vanishes near θ = {where:.4g}, which the SDE can't cross, so its stationary law isn't unique: choose a box "
        "on one side, or add constant noise"
    )
