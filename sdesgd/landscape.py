"""A loss as a function of one flat vector: what quenching, saddles, Laplace and Gibbs need to know of it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from sdesgd import freshness, inputs
from sdesgd.errors import InputError, shown
from sdesgd.problem import Problem

_REMEDY = "write it with jax.numpy, for one point of shape (D,), without float() and `if` on it"


@dataclasses.dataclass(frozen=True)
class Landscape:
    """A loss V: Rᴰ → R.

    What ``value`` reads from outside (a global, a closure, an attribute, an array changed in place) is seen as it is at
    each call of the library; the same program compiles nothing.

    Attributes:
        name: in titles and messages.
        value: θ (D,) ↦ V(θ), in JAX; an equinox module may carry its data as arrays.
        dimension: D.

    Raises:
        InputError: a name that is no string, a value that is no function, a dimension below 1.
    """

    name: str
    value: Callable[[Float[Array, " D"]], Float[Array, ""]]
    dimension: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"name is {shown(self.name)}: pass a string")
        if not callable(self.value):
            raise InputError(f"value is {shown(self.value)}: pass a function of a point (D,), in JAX")
        inputs.check_positive_integer("dimension", self.dimension)

    def fresh(self) -> "Landscape":
        """The landscape with its value as it is now; see ``freshness``.

        Raises:
            InputError: a value that JAX can't trace, or that isn't one real number.
        """
        if isinstance(self.value, freshness.Fresh):
            return self
        theta = jax.ShapeDtypeStruct((self.dimension,), jnp.result_type(float))
        known, shape = freshness.traced(self.value, theta, what=f"the value of {self.name}", remedy=_REMEDY)
        if getattr(shape, "shape", None) != () or not jnp.issubdtype(shape.dtype, jnp.floating):
            got = f"shape {shape.shape} and dtype {shape.dtype}" if hasattr(shape, "dtype") else type(shape).__name__
            raise InputError(f"the value of {self.name} at one point has {got}: return one real number")
        return dataclasses.replace(self, value=known)

    def gradient(self, theta: Float[Array, " D"]) -> Float[Array, " D"]:
        """∇V(θ)."""
        with freshness.guarded(f"the gradient of {self.name}", _REMEDY):
            return jax.grad(self.value)(theta)

    def hessian(self, theta: Float[Array, " D"]) -> Float[Array, "D D"]:
        """∇²V(θ)."""
        with freshness.guarded(f"the Hessian of {self.name}", _REMEDY):
            return jax.hessian(self.value)(theta)


def as_landscape(landscape: Any) -> Landscape:
    """The landscape as it is now.

    Raises:
        InputError: not a landscape, or one whose value can't be traced.
    """
    if not isinstance(landscape, Landscape):
        remedy = "landscape_of(problem)" if isinstance(landscape, Problem) else "a Landscape or a toys.Potential"
        raise InputError(f"landscape is {shown(landscape)}: pass {remedy}")
    return landscape.fresh()


def as_box(box: Any, dimension: int) -> np.ndarray:
    """The box as an array (D, 2).

    Raises:
        InputError: not finite (low, high) with low < high for each of the D coordinates.
    """
    wanted = f"(low, high) with low < high along each of {dimension} axes"
    sides = inputs.as_float64(box, "box", wanted)
    if sides.shape != (dimension, 2) or not np.isfinite(sides).all() or not (sides[:, 0] < sides[:, 1]).all():
        raise InputError(f"box {shown(box, 120)}: pass {wanted}")
    return sides


@dataclasses.dataclass(frozen=True)
class Potential(Landscape):
    """A smooth V: Rᵈ → R that confines.

    Attributes:
        name, value, dimension: as of a Landscape.
        box: (low, high) for each coordinate: where the minima lie and the temperatures of interest reach.
        minima: points from which descent leads to the distinct minima; None if it is for a search to find them.
    """

    box: tuple[tuple[float, float], ...]
    minima: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        as_box(self.box, self.dimension)
        if self.minima is not None and len(self.minima):
            points = inputs.as_float64(self.minima, "minima", f"(M, {self.dimension})")
            if points.ndim != 2 or points.shape[1] != self.dimension or not np.isfinite(points).all():
                raise InputError(f"minima have shape {points.shape}: pass finite points (M, {self.dimension})")


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
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
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
