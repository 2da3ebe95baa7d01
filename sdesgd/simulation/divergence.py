"""What is said when replicas diverge or are about to, and debugging flags that must not stop them.

A replica has diverged when ‖θ‖² has left the finite numbers of its dtype: ``segments.all_finite``. One that explodes
gets there, but a short run may end before.
"""

import contextlib
import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PyTree

from sdesgd import freshness
from sdesgd.curvature import hessian as curvature
from sdesgd.errors import InputError, one_line
from sdesgd.gradient_noise.covariance import trace_and_norm
from sdesgd.problem import Problem, widened

# No stable dynamics takes θ this many times further than its own size and all steps of the first one's length.
_EXPLODED = 1e6


def undebugged() -> contextlib.ExitStack:
    """A replica that diverges is no bug to stop at, whatever JAX's debugging flags say."""
    stack = contextlib.ExitStack()
    for flag, switch in (("jax_debug_nans", jax.debug_nans), ("jax_debug_infs", jax.debug_infs)):
        if getattr(jax.config, flag):
            stack.enter_context(switch(False))
    return stack


def warn_diverged(dynamics, problem: Problem, params: PyTree, diverged: np.ndarray) -> None:
    """Says what may have been wrong; whatever can't be measured for it is left out, and never ends the run."""
    text = f"{int(diverged.sum())} of {diverged.size} replicas diverged"
    warnings.warn(text + _likely_cause(dynamics, problem, params), RuntimeWarning, stacklevel=3)


def warn_unstable(
    dynamics, problem: Problem, starts: PyTree, common: PyTree, members: tuple[PyTree, ...], time: float
) -> None:
    """Says that replicas explode, though all their numbers are finite yet.

    Far from the start alone is no sign: a minimum may lie there. Unstable is a replica that is 10⁶ times further from
    its start than ‖θ₀‖ + tG/(1−m), with t the SDE time and G the root mean square of ‖∇ℓ_i(θ₀)‖ (so gradients have
    grown as much), and where the farthest of them has a larger loss than at its start. Costs nothing for a run that
    stays within 10⁶ (1 + ‖θ₀‖).

    Args:
        dynamics: as given, for the message.
        problem: as it is now.
        starts: leaves that are arrays, with a leading axis of 1 or R. common: the other leaves.
        members: for each dynamics that ran together its params at the end, leading axis R.
        time: Σ η.
    """
    moving = problem.moving(starts)
    sizes = np.sqrt(_squares(moving))
    ends = [problem.moving(member) for member in members]
    distances = np.stack([np.sqrt(_squares(jax.tree.map(jnp.subtract, end, moving))) for end in ends])
    if not (distances > _EXPLODED * (1 + sizes)).any():
        return
    member, r = np.unravel_index(np.argmax(distances / (1 + sizes)), distances.shape)
    own = min(r, len(sizes) - 1)
    start = eqx.combine(jax.tree.map(lambda x: x[own], starts), common)
    end = eqx.combine(jax.tree.map(lambda x: x[r], ends[member]), start)
    key = jr.key(0) if problem.needs_key else None
    try:
        before, after, slope = (float(x) for x in _losses_and_slope(problem, start, end, key))
    except (InputError, RuntimeError, MemoryError, ArithmeticError):  # nothing is known then, so nothing is said
        return
    reach = time * slope / (1 - float(getattr(dynamics, "momentum", 0.0)))
    exploded = np.any((distances > _EXPLODED * (1 + sizes)) & (distances > _EXPLODED * (sizes + reach)), axis=0)
    if after <= before or not exploded.any():
        return
    text = (
        f"{int(exploded.sum())} of {exploded.size} replicas are unstable: finite, but up to {distances[member, r]:.2g} "
        f"away from the start, with a loss of {after:.2g} there and {before:.2g} at the start"
    )
    warnings.warn(text + _likely_cause(dynamics, problem, start), RuntimeWarning, stacklevel=3)


@freshness.jit
def _losses_and_slope(problem: Problem, start: PyTree, end: PyTree, key):
    """(L at the start, L at the end, the root mean square of ‖∇ℓ_i‖ at the start)."""
    trace, norm = trace_and_norm(problem, start, key)
    return problem.loss(start, key), problem.loss(end, key), jnp.sqrt(trace + norm)


def _squares(stacked: PyTree) -> Float[Array, " replicas"]:
    """‖θ‖² of each replica."""
    leaves = [x.reshape(len(x), -1) for x in jax.tree.leaves(widened(stacked))]
    return sum((jnp.sum(x**2, axis=1) for x in leaves[1:]), jnp.sum(leaves[0] ** 2, axis=1))


def _likely_cause(dynamics, problem: Problem, params: PyTree) -> str:
    """ηλ_max at the start against 2(1+m), as the end of a sentence."""
    rate, momentum = dynamics.learning_rate, float(getattr(dynamics, "momentum", 0.0))
    stable = 2 * (1 + momentum)
    try:
        top = _top_eigenvalue(problem, params)
    except (InputError, RuntimeError, MemoryError, ArithmeticError) as error:
        return f"; lower the learning_rate (lambda_max is not known: {one_line(str(error), 120)})"
    if not math.isfinite(top):
        return ": the gradient or the Hessian of the loss is not finite at the start, so no learning_rate may help"
    if callable(rate):
        text = f": lambda_max = {top:.3g} at the start, and steps are stable while eta lambda_max < 2(1+m)"
        text += f" = {stable:.3g}"
    else:
        text = f": eta lambda_max = {float(rate) * top:.3g} at the start against 2(1+m) = {stable:.3g}"
    if top > 0:
        text += f"; try a learning_rate below {stable / top:.2g}, or a larger batch_size"
    return text


def _top_eigenvalue(problem: Problem, params: PyTree) -> float:
    key = jr.key(0) if problem.needs_key else None
    return float(curvature.top_eigenpairs(problem, params, key=jr.key(0), mask_key=key).eigenvalues[0])
