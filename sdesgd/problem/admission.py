"""What a problem looks at before it takes a loss, a chunk size or other params; by tracing, so nothing is computed."""

import warnings
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.interpreters import partial_eval
from jaxtyping import PyTree

from sdesgd import freshness, inputs, sizes
from sdesgd.errors import InputError, one_line, shown
from sdesgd.problem.precision import widened
from sdesgd.programs import deviates_from_a_mean_of_one

if TYPE_CHECKING:
    from sdesgd.problem.finite_sum import Problem

REMEDY = "make it differentiable JAX code of (params, example), with jax.numpy in place of NumPy, float() and `if`"
_GRADIENT_REMEDY = "use lax.scan for a loop of a fixed number of steps, or give the function a jax.custom_vjp"


def check_loss(problem: "Problem", unit: PyTree, keys: Any) -> None:
    """Traces the loss of one unit, and its gradient.

    Args:
        problem: with all but its chunk size.
        unit: of the data, with a leading axis of 1.
        keys: (1,) of masks, or None.

    Raises:
        InputError: JAX can't trace or differentiate it, or it returns no scalar.

    Warns:
        RuntimeWarning: gradients of all units are equal by construction; a deviation from a mean over one number.
    """
    try:
        with freshness.guarded("per_example_loss", REMEDY):
            program, shape = jax.make_jaxpr(
                lambda unit, keys: problem._losses(problem.params, unit, keys), return_shape=True
            )(unit, keys)
    except InputError as error:
        _refuse_groups_and_batches(problem, error)
        raise
    _check_shape(shape, problem.batched)
    one = jnp.ones(1, problem.wide)
    with freshness.guarded("per_example_loss", _GRADIENT_REMEDY, "can't be differentiated"):
        gradient = jax.make_jaxpr(lambda unit, keys: problem._gradient(problem.params, one, unit, keys))(unit, keys)
    # A batch of one is what a batched loss is traced with, and its mean over that none of an example.
    if not problem.batched and deviates_from_a_mean_of_one(program.jaxpr):
        _warn(
            "per_example_loss subtracts from a number the mean over that number alone, which leaves 0 whatever the "
            "example: for batch norm pass unit_size=S, 2 or more, and a loss of a group of S examples"
        )
    if problem.num_units > 1 and not _used_inputs(gradient):
        _warn(
            f"the gradient of per_example_loss doesn't depend on the example: it is the same for all "
            f"{problem.num_units}, so SGD has no gradient noise (C = 0). Does the loss read its second argument? If "
            "this is meant, pass a single example as data"
        )


def as_chunk_size(problem: "Problem", chunk_size: Any, unit: PyTree, keys: Any) -> int:
    """Units of one backward pass, at most all; None: from the shapes.

    Raises:
        InputError: no positive integer.
    """
    if chunk_size is None:
        per_unit = sizes.activation_bytes(
            lambda p, batch: problem._losses(eqx.combine(p, problem.params), *batch), problem.moving(), (unit, keys)
        )
        chunk_size = sizes.chunk_size(problem.num_units, per_unit)
    if not isinstance(chunk_size, int) or isinstance(chunk_size, bool) or chunk_size < 1:
        raise InputError(f"chunk_size is {shown(chunk_size)}: pass a positive number of units, or None")
    return min(chunk_size, problem.num_units)


def check_alike(own: PyTree, other: PyTree) -> None:
    """Whether the moving leaves of other params can take the place of a problem's own.

    Raises:
        InputError: another structure, shape or dtype; NaN or infinity.
    """
    want, got = (jax.eval_shape(lambda p: p, moving) for moving in (own, other))
    if jax.tree.structure(want) != jax.tree.structure(got):
        raise InputError("params has another structure than the problem's params: start from the same net")
    pairs = zip(jax.tree_util.tree_leaves_with_path(want), jax.tree.leaves(got), strict=True)
    for (path, wanted), given in pairs:
        if (wanted.shape, wanted.dtype) != (given.shape, given.dtype):
            raise InputError(
                f"{inputs.leaf_name('params', path)} has shape {given.shape} and dtype {given.dtype}, the problem's"
                f" has {wanted.shape} and {wanted.dtype}: start from the same net"
            )
    inputs.check_finite(other, "params", "start from finite parameters")


def _warn(text: str) -> None:
    # check_loss, __init__ and two frames of equinox stand between here and the user.
    warnings.warn(text, RuntimeWarning, stacklevel=6)


def _used_inputs(program: Any) -> bool:
    """Whether any output depends on any input: what JAX's own elimination of dead code keeps."""
    _, used = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
    return any(used)


def _refuse_groups_and_batches(problem: "Problem", error: InputError) -> None:
    """A loss that fails for one example may be one of a group or of a batch; then that is the remedy.

    Raises:
        InputError: it is.
    """
    if problem.unit_size > 1 or problem.batched:
        return
    pair = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape[1:]), x.dtype), problem.data)
    keys = (jr.key(0),) if problem.stochastic else ()
    shape: Any = None
    for these in (keys, (jr.split(jr.key(0), 2),))[: 1 + problem.stochastic]:
        try:
            shape = jax.eval_shape(
                lambda pair, *these: problem.per_example_loss(widened(problem.params), pair, *these), pair, *these
            )
            break
        except Exception:  # then the first refusal stands
            continue
    remedies = {
        (): "takes a group: pass unit_size=S, 2 or more, for a loss that couples the examples of a group (batch norm)",
        (2,): "takes a batch: pass batched=True for a loss that maps a batch to a vector of losses",
    }
    remedy = remedies.get(getattr(shape, "shape", None))
    if remedy is not None:
        cause = one_line(f"{type(error.__cause__).__name__}: {error.__cause__}".split("\n")[0], 110)
        raise InputError(f"per_example_loss can't take one example ({cause}), and {remedy}") from error


def _check_shape(shape: Any, batched: bool) -> None:
    got = getattr(shape, "shape", None)
    wanted = (1,)
    if got != wanted and batched:
        raise InputError(
            f"with batched=True the loss must map a batch of B examples to shape (B,), but for B = 1 it gave {got}: "
            "return one loss an example, not their mean"
        )
    if got != wanted:
        raise InputError(
            f"per_example_loss must return a scalar, but it returned shape {got and got[1:]}: reduce it, or pass "
            "batched=True if it maps a batch to a vector of losses"
        )
    if not jnp.issubdtype(shape.dtype, jnp.floating):
        raise InputError(f"per_example_loss returned dtype {shape.dtype}: return a floating-point loss")
