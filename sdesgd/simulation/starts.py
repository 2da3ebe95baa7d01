"""Where the replicas of a run begin, all at one point or each at its own, and from which keys they draw."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key, PRNGKeyArray, PyTree

from sdesgd import inputs
from sdesgd.errors import InputError
from sdesgd.problem import Problem


def starts_of(problem: Problem, replicas: int, params: PyTree, starts: PyTree) -> tuple[PyTree, PyTree]:
    """(arrays with a leading axis, the other leaves); the axis is 1 for a common start, else ``replicas``.

    Args:
        problem: whose params say what a start is.
        replicas: R.
        params: the common start; None: the problem's.
        starts: one for each replica, or None.

    Raises:
        InputError: both; another structure, shape or dtype than the problem's params; NaN or infinity.
    """
    if starts is None:
        common = problem.params if params is None else problem.like(params)
        arrays, others = eqx.partition(common, eqx.is_array)
        return jax.tree.map(lambda x: x[None], arrays), others
    if params is not None:
        raise InputError("both params and starts are given: pass params for a common start, or starts, not both")
    starts = inputs.as_params(starts, warn=False)
    (wanted, others), given = eqx.partition(problem.params, eqx.is_array), eqx.filter(starts, eqx.is_array)
    if jax.tree.structure(wanted) != jax.tree.structure(given):
        raise InputError("starts has another structure than the problem's params: stack params of the same net")
    pairs = zip(jax.tree_util.tree_leaves_with_path(given), jax.tree.leaves(wanted), strict=True)
    for (path, array), one in pairs:
        if array.shape != (replicas, *one.shape) or array.dtype != one.dtype:
            raise InputError(
                f"{inputs.leaf_name('starts', path)} has shape {array.shape} and dtype {array.dtype}: pass "
                f"{(replicas, *one.shape)} and {one.dtype}, the leading axis for the replicas"
            )
    inputs.check_finite(problem.moving(given), "starts", "start from finite parameters")
    return given, others


def checked_key(key: Any, replicas: int) -> PRNGKeyArray | Key[Array, " R"]:
    """The key, or the keys, as a typed array.

    Args:
        key: one, or one for each replica.
        replicas: R.

    Raises:
        InputError: neither.
    """
    if not (inputs.is_key(key) and key.shape):
        return inputs.as_key(key)
    if key.shape != (replicas,):
        raise InputError(f"key has shape {key.shape} for {replicas} replicas: pass one key, or one for each")
    return key


def replica_keys(key: PRNGKeyArray | Key[Array, " R"], replicas: int, first: int) -> Key[Array, " new"]:
    """The keys of the replicas first, …, R−1, each the same whatever R is.

    Args:
        key: one, or one for each replica.
        replicas: R.
        first: those before it are left out.
    """
    return key[first:] if key.shape else jax.vmap(jr.fold_in, (None, 0))(key, jnp.arange(first, replicas))
