"""Explicit stochastic Runge–Kutta schemes as data, and one step of any of them with a single compiled gradient."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


@dataclasses.dataclass(frozen=True)
class Tableau:
    """An explicit scheme for dy = a(y) dt + ε B(y) dW.

    z_i = c_i a(Y_i) h + d_i ε B(Y_i) ΔW,   Y_i = y + Σ_{j<i} A_ij z_j,   y' = y + Σ_i b_i z_i

    Attributes:
        drift: c, one number for each stage.
        diffusion: d, the same.
        points: A, row i with i numbers.
        weights: b.
    """

    drift: tuple[float, ...]
    diffusion: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def drift_share(self) -> float:
        """Σ (b_i c_i)²: what independent draws of a random drift in each stage leave of its variance."""
        return sum((b * c) ** 2 for b, c in zip(self.weights, self.drift, strict=True))

    def of_noise_alone(self) -> list[bool]:
        """Which stages have no drift."""
        return [d != 0 and c == 0 for c, d in zip(self.drift, self.diffusion, strict=True)]

    def with_contrast(self, size: float) -> "Tableau":
        """The scheme with ``size`` (a − a') h added at each stage of noise alone, a' another draw of a random drift.

        The draw a' is of a stage of its own, which follows.
        """
        drift, diffusion, weights, rows, places = [], [], [], [], []
        stages = zip(self.drift, self.diffusion, self.points, self.weights, self.of_noise_alone(), strict=True)
        for c, d, row, b, contrast in stages:
            wide = [0.0] * len(drift)
            for place, a in zip(places, row, strict=True):
                for k in place:
                    wide[k] = a
            places.append(range(len(drift), len(drift) + 1 + contrast))
            rows += [tuple(wide)] + [(*wide, 0.0)] * contrast
            drift += [size, -size] if contrast else [c]
            diffusion += [d, 0.0] if contrast else [d]
            weights += [b] * (1 + contrast)
        return Tableau(tuple(drift), tuple(diffusion), tuple(rows), tuple(weights))


def run(
    tableau: Tableau,
    y: PyTree,
    increment_at: Callable[[PyTree, Any, Any, Any], PyTree],
    keys: Any,
    *,
    unrolled: bool,
) -> PyTree:
    """y' after one step.

    Args:
        tableau: the scheme.
        y: pytree of arrays.
        increment_at: (Y, c, d, key) ↦ c a(Y) h + d ε B(Y) ΔW.
        keys: one for each stage, stacked; or None.
        unrolled: whether each stage is compiled apart, with numbers c and d, which runs faster where a gradient costs
            microseconds. Else all share one ``lax.scan``, so that the gradient is compiled once.
    """
    stages = len(tableau.weights)
    if unrolled:
        done: list[PyTree] = []
        for i in range(stages):
            point = moved(y, zip(tableau.points[i], done, strict=True))
            key = None if keys is None else keys[i]
            done.append(increment_at(point, tableau.drift[i], tableau.diffusion[i], key))
        return moved(y, zip(tableau.weights, done, strict=True))

    def stage(done, now):
        i, c, d, row, key = now
        z = increment_at(_combined(y, row, done), c, d, key)
        return jax.tree.map(lambda rows, new: rows.at[i].set(new.astype(rows.dtype)), done, z), None

    dtype = jnp.result_type(jnp.float32, *jax.tree.leaves(y))
    square = jnp.asarray([(*row, *[0.0] * (stages - len(row))) for row in tableau.points], dtype)
    rows = jnp.arange(stages), jnp.asarray(tableau.drift, dtype), jnp.asarray(tableau.diffusion, dtype), square, keys
    done = jax.tree.map(lambda x: jnp.zeros((stages, *x.shape), x.dtype), y)
    done = jax.lax.scan(stage, done, rows)[0]
    return _combined(y, jnp.asarray(tableau.weights, dtype), done)


def moved(y: PyTree, terms: Any) -> PyTree:
    """y + Σ c_k z_k over pytrees, for pairs (c_k, z_k) of numbers and pytrees."""
    for c, z in terms:
        if not (isinstance(c, float) and c == 0):
            y = jax.tree.map(lambda a, b, c=c: a + c * b, y, z)
    return y


def _combined(y: PyTree, coefficients: Float[Array, " stages"], z: PyTree) -> PyTree:
    """y + Σ c_k z_k for z stacked along a leading axis."""

    def one(a, b):
        return (a + jnp.tensordot(coefficients, b.astype(coefficients.dtype), 1)).astype(a.dtype)

    return jax.tree.map(one, y, z)
