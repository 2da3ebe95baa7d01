"""The Hessian of the mean loss as an operator."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from matfree import decomp, eig

from sdesgd.errors import InputError
from sdesgd.problem import Problem


class Eigenpairs(NamedTuple):
    """Largest eigenvalues first. An exact eigenvalue lies within ``residual`` of each value.

    eigenvalues: (k,); eigenvectors: pytree like the moving params, leading axis k, unit norm; residuals: (k,),
    ‖Hv − λv‖.
    """

    eigenvalues: Float[Array, " k"]
    eigenvectors: PyTree
    residuals: Float[Array, " k"]


def hessian_product(problem: Problem, params: PyTree, vector: PyTree, key: PRNGKeyArray | None = None) -> PyTree:
    """H(θ) v, one Hessian-vector product (forward over reverse), about three gradients.

    Args:
        params: θ.
        vector: v, a pytree like the gradient.
        key: masks and groups.
    """
    moving, fixed = eqx.partition(params, eqx.is_inexact_array)
    return jax.jvp(lambda x: problem.gradient(eqx.combine(x, fixed), key), (moving,), (vector,))[1]


def top_eigenpairs(
    problem: Problem,
    params: PyTree,
    *,
    key: PRNGKeyArray,
    num: int = 1,
    num_matvecs: int = 30,
    mask_key: PRNGKeyArray | None = None,
) -> Eigenpairs:
    """The largest (most positive) eigenvalues of H(θ) with their vectors, by matfree's Lanczos.

    Args:
        params: θ.
        key: of the random start vector.
        num: how many pairs.
        num_matvecs: Lanczos steps, at most D.
        mask_key: masks and groups of the loss.

    Raises:
        InputError: num larger than the Krylov space.
    """
    steps = min(num_matvecs, problem.num_parameters)
    if not 1 <= num <= steps:
        raise InputError(f"num is {num}: pass 1 to {steps} eigenpairs, or raise num_matvecs")
    if problem.dtype not in (jnp.float32, jnp.float64):
        raise InputError(f"params are {problem.dtype}: Lanczos needs float32 or float64; cast them")
    return _top_eigenpairs(problem, params, key, num, steps, mask_key)


@eqx.filter_jit
def _top_eigenpairs(problem, params, key, num: int, steps: int, mask_key) -> Eigenpairs:
    flat, unravel = ravel_pytree(problem.moving(params))

    def product(v):
        return ravel_pytree(hessian_product(problem, params, unravel(v), mask_key))[0]

    start = jr.normal(key, flat.shape, flat.dtype)
    values, vectors = eig.eigh_partial(decomp.tridiag_sym(steps, custom_vjp=False))(product, start)
    order = jnp.argsort(-values)[:num]
    values, vectors = values[order], vectors[order]
    residuals = jax.lax.map(lambda pair: jnp.linalg.norm(product(pair[1]) - pair[0] * pair[1]), (values, vectors))
    return Eigenpairs(values, jax.vmap(unravel)(vectors), residuals)
