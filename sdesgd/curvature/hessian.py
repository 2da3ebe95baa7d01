"""The Hessian of the mean loss as an operator."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree
from matfree import decomp

from sdesgd import freshness, inputs
from sdesgd.curvature import derivatives
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.types import PRNGKeyArray

_MOST = 10  # eigenvalues that are printed


class Eigenpairs(NamedTuple):
    """Largest eigenvalues first. An exact eigenvalue lies within ``residual`` of each value.

    eigenvalues: (k,); eigenvectors: pytree like the moving params, leading axis k, unit norm; residuals: (k,),
    ‖Hv − λv‖.
    """

    eigenvalues: Float[Array, " k"]
    eigenvectors: PyTree
    residuals: Float[Array, " k"]

    def __str__(self) -> str:
        values = [f"{x:.6g} ± {r:.0e}" for x, r in zip(self.eigenvalues[:_MOST], self.residuals[:_MOST], strict=True)]
        more = f" (the first {_MOST} of {len(self.eigenvalues)})" if len(self.eigenvalues) > _MOST else ""
        return f"largest eigenvalues of H with their residual bounds: {', '.join(values)}{more}"


def hessian_product(
    problem: Problem, params: PyTree, vector: PyTree, key: Key[Array, "*draws"] | None = None
) -> PyTree:
    """H(θ) v, one Hessian-vector product, about three gradients; see ``derivatives.hessian_product``.

    Args:
        params: θ.
        vector: v, a pytree like the gradient.
        key: masks and groups; several, (K,), for the mean of the Hessians they give.
    """
    moving, fixed = eqx.partition(params, eqx.is_inexact_array)

    def product(one):
        return derivatives.hessian_product(lambda x: problem.gradient(eqx.combine(x, fixed), one), moving, vector)[1]

    if key is None or not key.shape:
        return product(key)
    zeros = jax.tree.map(jnp.zeros_like, vector)
    total, _ = jax.lax.scan(lambda sum_, one: (jax.tree.map(jnp.add, sum_, product(one)), None), zeros, key)
    return jax.tree.map(lambda x: x / key.shape[0], total)


def top_eigenpairs(
    problem: Problem,
    params: PyTree,
    *,
    key: PRNGKeyArray,
    num: int = 1,
    num_matvecs: int = 30,
    mask_key: Key[Array, "*draws"] | None = None,
) -> Eigenpairs:
    """The largest (most positive) eigenvalues of H(θ) with their vectors, by matfree's Lanczos.

    An eigenvalue counts once however often it occurs; where there are fewer than ``num``, the rest are NaN.

    Args:
        params: θ.
        key: of the random start vector.
        num: how many pairs.
        num_matvecs: Lanczos steps, at most D.
        mask_key: masks and groups of the loss; several, (K,), for those of the mean Hessian.

    Raises:
        InputError: num larger than the Krylov space, params of less than 32 bits, a loss that can't be differentiated
            twice, no key.
    """
    key = inputs.as_key(key)
    if mask_key is not None and not inputs.is_key(mask_key):
        mask_key = inputs.as_key(mask_key, "mask_key")
    inputs.check_positive_integer("num", num)
    inputs.check_positive_integer("num_matvecs", num_matvecs)
    params = problem.like(params)
    steps = min(num_matvecs, problem.num_parameters)
    if not 1 <= num <= steps:
        raise InputError(f"num is {num}: pass 1 to {steps} eigenpairs, or raise num_matvecs")
    narrow = {str(x.dtype) for x in jax.tree.leaves(problem.moving(params)) if x.dtype.itemsize < 4}
    if narrow:
        raise InputError(f"params are {', '.join(sorted(narrow))}: Lanczos needs float32 or float64; cast them")
    return _top_eigenpairs(problem, params, key, num, steps, mask_key)


@freshness.jit
def _top_eigenpairs(problem, params, key, num: int, steps: int, mask_key) -> Eigenpairs:
    flat, unravel = ravel_pytree(problem.moving(params))

    def product(v):
        return ravel_pytree(hessian_product(problem, params, unravel(v), mask_key))[0]

    start = jr.normal(key, flat.shape, flat.dtype)
    basis, (diagonal, off_diagonal), *_ = decomp.tridiag_sym(steps, materialize=False, custom_vjp=False)(product, start)
    # Where the Krylov space closes early (few distinct eigenvalues), what Lanczos goes on to write is rounding noise:
    # cut it off there, at an off-diagonal of √eps, and rank the rest last.
    scale = jnp.abs(diagonal[0]) + (jnp.abs(off_diagonal[0]) if steps > 1 else 0)
    good = jnp.cumprod(jnp.concatenate([jnp.ones(1), off_diagonal > jnp.sqrt(jnp.finfo(flat.dtype).eps) * scale])) > 0
    diagonal, off_diagonal = jnp.where(good, diagonal, 0), jnp.where(good[1:], off_diagonal, 0)
    bound = 1 + jnp.max(jnp.abs(diagonal)) + 2 * jnp.max(jnp.abs(off_diagonal), initial=0.0)
    matrix = jnp.diag(jnp.where(good, diagonal, -bound)) + jnp.diag(off_diagonal, 1) + jnp.diag(off_diagonal, -1)
    values, rotation = jnp.linalg.eigh(matrix)
    vectors = rotation.T @ jnp.where(good[:, None], jnp.asarray(basis), 0)
    order = jnp.argsort(-values)[:num]
    values, vectors = values[order], vectors[order]
    values = jnp.where(jnp.arange(num) < jnp.sum(good), values, jnp.nan)
    residuals = jax.lax.map(lambda pair: jnp.linalg.norm(product(pair[1]) - pair[0] * pair[1]), (values, vectors))
    return Eigenpairs(values, jax.vmap(unravel)(vectors), residuals)
