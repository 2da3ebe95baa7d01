"""The Hessian of a small problem as a matrix."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from sdesgd import freshness
from sdesgd.curvature.hessian import hessian_product
from sdesgd.landscape import flat
from sdesgd.problem import Problem

_BLOCK = 64  # Hessian-vector products at once


@freshness.jit
def hessian_matrix(problem: Problem, params: PyTree) -> Float[Array, "D D"]:
    """H(θ), one Hessian-vector product (forward over reverse) a column; symmetrised against rounding.

    Args:
        problem: the finite sum, without masks and groups.
        params: θ, of the structure of the problem's.

    Returns:
        (D, D), in units of loss by squared parameter; rows in the order of ``landscape.flat``.
    """
    start, unravel = ravel_pytree(problem.moving(params))

    def column(vector):
        return flat(hessian_product(problem, params, unravel(vector)))

    H = jax.lax.map(column, jnp.eye(start.size, dtype=start.dtype), batch_size=_BLOCK)
    return (H + H.T) / 2
