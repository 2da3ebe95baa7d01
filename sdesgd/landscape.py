"""A loss as a function of one flat vector: what quenching, saddles, Laplace and Gibbs need to know of it."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from sdesgd.errors import InputError
from sdesgd.problem import Problem


@dataclasses.dataclass(frozen=True)
class Landscape:
    """A loss V: Rᴰ → R.

    Attributes:
        name: in titles and messages.
        value: θ (D,) ↦ V(θ), in JAX; an equinox module may carry its data as arrays.
        dimension: D.
    """

    name: str
    value: Callable[[Float[Array, " D"]], Float[Array, ""]]
    dimension: int

    def gradient(self, theta: Float[Array, " D"]) -> Float[Array, " D"]:
        """∇V(θ)."""
        return jax.grad(self.value)(theta)

    def hessian(self, theta: Float[Array, " D"]) -> Float[Array, "D D"]:
        """∇²V(θ)."""
        return jax.hessian(self.value)(theta)


@dataclasses.dataclass(frozen=True)
class Potential(Landscape):
    """A smooth V: Rᵈ → R that confines: a name, a JAX function and D, and

    Attributes:
        box: (low, high) for each coordinate: where the minima lie and the temperatures of interest reach.
        minima: points from which descent leads to the distinct minima; None if it is for a search to find them.
    """

    box: tuple[tuple[float, float], ...]
    minima: tuple[tuple[float, ...], ...] | None = None


class FlatLoss(eqx.Module):
    """θ (D,) ↦ L(θ) of a problem whose params are a pytree."""

    problem: Problem

    def params(self, theta: Float[Array, " D"]) -> PyTree:
        """The pytree of a flat vector, leaves that don't move included."""
        _, unravel = ravel_pytree(self.problem.moving())
        return eqx.combine(unravel(theta), self.problem.params)

    def __call__(self, theta: Float[Array, " D"]) -> Float[Array, ""]:
        return self.problem.loss(self.params(theta))


def landscape_of(problem: Problem, name: str = "the loss") -> Landscape:
    """The mean loss of a problem as a function of a flat vector.

    Raises:
        InputError: the problem draws masks or groups, or isn't in float64.
    """
    if problem.needs_key:
        raise InputError("the loss draws masks or groups: a landscape is that of a deterministic loss")
    if problem.dtype != jnp.float64:
        raise InputError(
            f"the problem is {problem.dtype}: minima and their spectra need float64; build it within "
            "`with jax.enable_x64(True):`"
        )
    return Landscape(name, FlatLoss(problem), problem.num_parameters)


def flat(params: PyTree) -> Float[Array, " D"]:
    """The moving leaves of params as one vector, in the order of ``FlatLoss``."""
    return ravel_pytree(eqx.filter(params, eqx.is_inexact_array))[0]
