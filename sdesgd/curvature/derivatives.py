"""Derivatives along a direction of any loss that JAX can differentiate, with forward mode or without."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, PyTree

from sdesgd.freshness import guarded
from sdesgd.programs import programs_within

# What JAX leaves in a program where a ``custom_vjp`` met forward mode: it raises only when it is compiled.
_NO_FORWARD_MODE = "custom_lin"


def hessian_product(gradient: Callable[[PyTree], PyTree], x: PyTree, v: PyTree) -> tuple[PyTree, PyTree]:
    """(∇L(x), H(x) v) for a gradient field, forward over reverse.

    H is symmetric, so H v = vᵀ H is a product in reverse mode as well: that is what is used where the gradient has no
    forward mode (a ``custom_vjp``).

    Args:
        gradient: ∇L, or a multiple of it, to pytrees like x.
        x: pytree of arrays.
        v: pytree like x; cast to its dtypes.

    Raises:
        InputError: the gradient can be differentiated in neither mode (a neural ODE with diffrax's default adjoint).
    """
    forward = _forward(gradient, x, _cast(v, x))
    if forward is not None:
        return forward
    remedy = "it has no second derivative that JAX can take; with diffrax, pass adjoint=DirectAdjoint()"
    with guarded("the gradient of the loss", remedy, "can't be differentiated"):
        value, transposed = jax.vjp(gradient, x)
        return value, transposed(_cast(v, value))[0]


def derivatives_along(losses: Callable[[PyTree], Array], x: PyTree, v: PyTree) -> Array:
    """d/dt losses(x + t v) at t = 0, one number a loss.

    The Jacobian-vector product; without forward mode, row after row of the Jacobian by reverse mode.

    Args:
        losses: to (N,).
        x: pytree of arrays.
        v: pytree like x; cast to its dtypes.

    Raises:
        InputError: the losses can't be differentiated.
    """
    v = _cast(v, x)
    forward = _forward(losses, x, v)
    if forward is not None:
        return forward[1]
    with guarded("the loss", "it must have a derivative that JAX can take", "can't be differentiated"):
        values, transposed = jax.vjp(losses, x)

        def row(n: Array) -> Array:
            one = jnp.zeros_like(values).at[n].set(1)
            pairs = zip(jax.tree.leaves(transposed(one)[0]), jax.tree.leaves(v), strict=True)
            return sum((jnp.vdot(a, b) for a, b in pairs), jnp.zeros((), values.dtype))

        return jax.lax.map(row, jnp.arange(values.shape[0]))


def _forward(function: Callable, x: PyTree, v: PyTree) -> tuple[Any, Any] | None:
    """(f(x), Df(x) v) in forward mode; None where there is none."""
    try:
        product = lambda x, v: jax.jvp(function, (x,), (v,))  # noqa: E731
        program, shape = jax.make_jaxpr(product, return_shape=True)(x, v)
    except (TypeError, ValueError, NotImplementedError, RuntimeError):
        return None  # what is wrong with the loss itself comes again in reverse mode
    if any(e.primitive.name == _NO_FORWARD_MODE for inner in programs_within(program.jaxpr) for e in inner.eqns):
        return None
    flat = core.jaxpr_as_fun(program)(*jax.tree.leaves((x, v)))
    return jax.tree.unflatten(jax.tree.structure(shape), flat)


def _cast(v: PyTree, like: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), v, like)
