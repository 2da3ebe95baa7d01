"""More replicas of a run that was made before."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from sdesgd.errors import InputError, shown
from sdesgd.simulation.identity import identity_of
from sdesgd.simulation.plan import Plan
from sdesgd.trajectories.result import Trajectories


def replicas_before(earlier: Any, replicas: Any) -> int:
    """The replicas of an earlier result that needn't be computed; 0 without one.

    Raises:
        InputError: it is no result, it is an interrupted one, or it has more replicas than are wanted.
    """
    if earlier is None:
        return 0
    if not isinstance(earlier, Trajectories):
        raise InputError(f"extend is {shown(earlier)}: pass the Trajectories of an earlier call, with fewer replicas")
    count = len(earlier.diverged)
    if earlier.interrupted:
        raise InputError("extend is an interrupted run: finish it first, with a checkpoint say")
    if isinstance(replicas, int | np.integer) and 0 < replicas < count:
        raise InputError(f"extend has {count} replicas and {replicas} are wanted: ask for more than {count}")
    return count if replicas != count else 0


def check_extends(plan: Plan, earlier: Trajectories) -> None:
    """Refuses to join replicas of two runs.

    Args:
        plan: of the new replicas.
        earlier: the result which they join.

    Raises:
        InputError: the runs differ, by what; the earlier one has been changed, or doesn't say what it is of.
    """
    count, found = len(earlier.diverged), earlier.identity
    if found is None:
        raise InputError("extend doesn't say of which run it is: pass what simulate returned, or a file of that")
    expected = identity_of(plan, count)
    other = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if other:
        raise InputError(
            f"extend is of a run with other {', '.join(other)}: pass what the same call gave with fewer replicas"
        )
    whole, one = len(plan.step), plan.dynamics.init(plan.problem, plan.first_start)
    params = plan.dynamics.params(one)
    wanted = {
        "values": {n: jax.ShapeDtypeStruct((whole, *row.shape), row.dtype) for n, row in plan.rows.items()},
        "final_params": params,
        "accumulated": None if plan.init is None else jax.eval_shape(plan.init, params),
    }
    for name, template in wanted.items():
        if not _fits(getattr(earlier, name), template, count):
            raise InputError(
                f"extend has other {name} than the run: pass what simulate returned; a file is loaded with templates, "
                "Trajectories.load(path, template=…, accumulated=…)"
            )


def joined(earlier: Trajectories, new: Trajectories) -> Trajectories:
    """The replicas of both; of interrupted ones none.

    Args:
        earlier: the first replicas.
        new: the others, of the same run.
    """
    if new.interrupted:
        return dataclasses.replace(earlier, interrupted=True)
    fields = ("values", "final_params", "diverged", "stopped", "accumulated")
    return dataclasses.replace(new, **{name: _after(getattr(earlier, name), getattr(new, name)) for name in fields})


def _after(first: PyTree, second: PyTree) -> PyTree:
    """The rows of two pytrees, those of the first before; what is no array is that of the second."""
    rows = iter([leaf for _, leaf in _arrays(first)])

    def both(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array):
            return jnp.concatenate([jnp.asarray(next(rows)), leaf])
        return np.concatenate([np.asarray(next(rows)), leaf]) if isinstance(leaf, np.ndarray) else leaf

    return jax.tree.map(both, second)


def _fits(found: PyTree, template: PyTree, count: int) -> bool:
    """Whether a pytree has the arrays of the template, with a leading axis."""
    rows = [(path, leaf.shape, leaf.dtype) for path, leaf in _arrays(found)]
    return rows == [(path, (count, *leaf.shape), leaf.dtype) for path, leaf in _arrays(template)]


def _arrays(tree: PyTree) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    kinds = jax.Array | np.ndarray | jax.ShapeDtypeStruct
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves if isinstance(leaf, kinds)]
