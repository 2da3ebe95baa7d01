"""The gradient covariance of a small problem as a matrix."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from sdesgd import freshness
from sdesgd.landscape import flat
from sdesgd.problem import Problem


@freshness.jit
def covariance_matrix(problem: Problem, params: PyTree) -> Float[Array, "D D"]:
    """C(θ) = (1/N) Σ (∇ℓ_i − g)(∇ℓ_i − g)ᵀ, from the N×D per-example gradients.

    Args:
        problem: the finite sum, without masks and groups.
        params: θ, of the structure of the problem's.

    Returns:
        (D, D); rows in the order of ``landscape.flat``.
    """
    gradients = problem.unit_gradients(params, jnp.arange(problem.num_units))
    rows = jax.vmap(flat)(gradients)
    rows = rows - rows.mean(axis=0)
    return rows.T @ rows / problem.num_units
