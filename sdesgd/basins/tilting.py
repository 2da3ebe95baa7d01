"""What a user asks about, as a potential with a box and a finite sum whose mean loss it is."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from sdesgd import inputs, toys
from sdesgd.dynamics.protocol import check_sampling, finite_population_factor
from sdesgd.errors import InputError, shown
from sdesgd.landscape import FlatLoss, Landscape, Potential, as_box
from sdesgd.problem import Problem

_DIMENSIONS = 2


class FlatExample(eqx.Module):
    """θ (D,), example ↦ the loss of an example of a problem whose params are a pytree."""

    problem: Problem

    def __call__(self, theta: Float[Array, " D"], example: PyTree) -> Float[Array, ""]:
        _, unravel = ravel_pytree(self.problem.moving())
        return self.problem.per_example_loss(eqx.combine(unravel(theta), self.problem.params), example)


def flat_problem(problem: Problem) -> Problem:
    """The same finite sum in float64, as a function of one vector.

    Raises:
        InputError: units that are groups, masks, losses of whole batches.
    """
    if problem.needs_key or problem.unit_size > 1 or problem.batched:
        raise InputError("the loss draws masks or takes groups or batches: pass one of single examples")
    wide = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, problem)
    return Problem(FlatExample(wide), ravel_pytree(wide.moving())[0], wide.data)


def as_potential(asked: Any, box: Any = None, symbols: Sequence[Any] | None = None) -> Potential:
    """A potential of one or two dimensions that confines, from any form of it.

    Args:
        asked: a ``toys`` potential or its name, a landscape, a sympy expression, a JAX function of a point (D,), or a
            problem in float64.
        box: (low, high) along each axis, or one such pair; default: the potential's own.
        symbols: the coordinates of an expression in order; default: its symbols by name.

    Raises:
        InputError: no such thing; no box; more than two dimensions; V that isn't finite in the box, or is unbounded.
    """
    if box is not None and np.shape(box) == (2,):  # of one axis
        box = [box]
    if isinstance(asked, str):
        asked = toys.potential(asked)
    if isinstance(asked, Potential):
        potential = asked if box is None else dataclasses.replace(asked, box=_sides(box, asked.dimension))
    elif box is None:
        raise InputError("there is no box: pass (low, high) along each axis, as box=[(-2, 2)]")
    elif isinstance(asked, Landscape):
        potential = Potential(asked.name, asked.value, asked.dimension, _sides(box, asked.dimension))
    elif isinstance(asked, Problem):
        dimension = asked.num_parameters
        potential = Potential("the loss", FlatLoss(asked), dimension, _sides(box, dimension))
    elif hasattr(asked, "free_symbols"):
        chosen = sorted(asked.free_symbols, key=str) if symbols is None else list(symbols)
        potential = toys.from_sympy(asked, chosen, box, "V")
    elif callable(asked):
        dimension, value = _axes_of(box), cast(Callable, asked)
        potential = Potential("V", value, dimension, _sides(box, dimension))
    else:
        raise InputError(f"the potential is {shown(asked)}: pass a function of a point (D,), an expression or a name")
    if potential.dimension > _DIMENSIONS:
        raise InputError(f"{potential.name} has {potential.dimension} dimensions: wells are found in one or two")
    toys.check_confining(potential)
    return potential


def _axes_of(box: Any) -> int:
    sides = inputs.as_float64(box, "box", "(low, high) along each axis, as [(-2, 2)]")
    if sides.ndim != 2 or sides.shape[1] != 2:
        raise InputError(f"box has shape {sides.shape}: pass (low, high) along each axis, as [(-2, 2)]")
    return len(sides)


def _sides(box: Any, dimension: int) -> tuple[tuple[float, float], ...]:
    return tuple((float(low), float(high)) for low, high in as_box(box, dimension))


def check_setting(learning_rate: Any, batch_size: Any, momentum: Any, sampling: Any) -> None:
    """Raises InputError unless SGD with these has a stationary law with a temperature."""
    inputs.check_number("learning_rate", learning_rate, "a finite η > 0", lambda x: x > 0)
    inputs.check_positive_integer("batch_size", batch_size)
    inputs.check_number("momentum", momentum, "0 ≤ m < 1", lambda m: 0 <= m < 1)
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's noise cancels, so it has no temperature")


def at_temperature(
    potential: Potential, temperature: float, learning_rate: float, batch_size: int, momentum: float, sampling: str
) -> Problem:
    """The finite sum ℓ_i = V + a_i·θ with C = σ²I and σ² = 2ST(1−m)/(ηf): SGD on it has the temperature T.

    There are 2D different tilts; without replacement each is repeated until N ≥ 2S, so that f > ½.

    Args:
        potential: V.
        temperature: T, in units of V.
        learning_rate: η.
        batch_size: S.
        momentum: m.
        sampling: "replacement" or "no_replacement".

    Raises:
        InputError: T ≤ 0.
    """
    variance = toys.tilt_variance(temperature, learning_rate, batch_size) * (1 - float(momentum))
    tilts = toys.tilts_of(np.eye(potential.dimension))
    if sampling == "no_replacement":
        tilts = np.tile(tilts, (math.ceil(2 * batch_size / len(tilts)), 1))
    factor = finite_population_factor(len(tilts), batch_size, sampling)
    return toys.tilted(potential, math.sqrt(variance / factor) * tilts)


def temperature_at(
    problem: Problem, minima: Any, learning_rate: float, batch_size: int, momentum: float, sampling: str
) -> float:
    """T = ηf Tr C/(2SD(1−m)), the mean over the minima: exp(−L/T) is then right as far as C is σ²I there.

    Args:
        problem: of ``flat_problem``.
        minima: (M, D).
        learning_rate: η.
        batch_size: S.
        momentum: m.
        sampling: "replacement" or "no_replacement".

    Raises:
        InputError: no gradient covariance at any minimum; S ≥ N without replacement.
    """
    points, examples = jnp.asarray(minima), jnp.arange(problem.num_units)
    gradients = np.asarray(jax.vmap(lambda theta: problem.unit_gradients(theta, examples))(points))
    trace = gradients.var(axis=1).sum(axis=1).mean()
    factor = finite_population_factor(problem.num_units, batch_size, sampling)
    temperature = learning_rate * factor * trace / (2 * batch_size * points.shape[1] * (1 - momentum))
    if not temperature > 0:
        raise InputError("the gradient covariance vanishes at the minima, so SGD has no temperature: see Tr C")
    return float(temperature)
