"""Derivatives of V at points of a path, and the two compiled searches along it: down a string, up to a saddle."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sdesgd import freshness
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, as_landscape

ROUND = 200  # steps of the string between two looks at it
_POLISH = 200


@freshness.jit
def slopes_on_a_line(value: Callable, x: Float[Array, " n"]) -> Float[Array, " n"]:
    """V′ on a line."""
    return jax.vmap(jax.grad(lambda z: value(z[None])))(x)


@freshness.jit
def _jet(value, point):
    return value(point), jax.grad(value)(point), jax.hessian(value)(point)


def jets(landscape: Landscape, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(V (K,), ‖∇V‖ (K,), ∇²V (K, D, D)) of few points: compiled once for any number.

    Raises:
        InputError: the Hessian isn't finite at one.
    """
    landscape = as_landscape(landscape)
    values, slopes, hessians = zip(*(_jet(landscape.value, jnp.asarray(x)) for x in points), strict=True)
    hessians = np.array(hessians)
    rough = ~np.isfinite(hessians).all(axis=(1, 2))
    if rough.any():
        raise InputError(f"the Hessian of {landscape.name} isn't finite at {shown(points[rough][0])}: smooth V there")
    return np.array(values), np.linalg.norm(np.array(slopes), axis=1), hessians


@freshness.jit
def relax(value, string, step, longest):
    """A round of the simplified string method: descend each image, then space them evenly along the string."""
    slopes = jax.vmap(jax.grad(value))

    def respaced(images):
        lengths = jnp.linalg.norm(jnp.diff(images, axis=0), axis=1)
        along = jnp.concatenate([jnp.zeros(1), jnp.cumsum(lengths)])
        even = jnp.linspace(0, along[-1], len(images))
        return jax.vmap(lambda column: jnp.interp(even, along, column), 1, 1)(images)

    def descend(_, images):
        move = -step * slopes(images)
        length = jnp.linalg.norm(move, axis=1, keepdims=True)
        move = move / jnp.maximum(1, length / longest)
        return respaced(images.at[1:-1].add(move[1:-1]))

    string = jax.lax.fori_loop(0, ROUND, descend, respaced(string))
    return string, jax.vmap(value)(string)


@freshness.jit
def to_saddle(value, point, longest):
    """Up along the softest direction and down along the others, by Newton's lengths."""

    def move(_, x):
        values, vectors = jnp.linalg.eigh(jax.hessian(value)(x))
        along = vectors.T @ jax.grad(value)(x)
        curvature = jnp.maximum(jnp.abs(values), 1e-12).at[0].multiply(-1)
        step = -vectors @ (along / curvature)
        return x + step / jnp.maximum(1, jnp.linalg.norm(step) / longest)

    return jax.lax.fori_loop(0, _POLISH, move, point)
