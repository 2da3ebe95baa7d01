"""In what precision a loss is computed, whatever the dtype of the parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def widened(params: PyTree) -> PyTree:
    """The floating leaves in float32 at least: half precision would overflow, round to one side, or stop counting."""
    narrow = lambda x: eqx.is_inexact_array(x) and x.dtype != wide_dtype(x.dtype)  # noqa: E731
    return jax.tree.map(lambda x: x.astype(wide_dtype(x.dtype)) if narrow(x) else x, params)


def wide_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """What to compute and sum with for numbers of a dtype."""
    return jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.floating) else dtype
