"""What is said when replicas diverge, and debugging flags that must not stop them."""

import contextlib
import math
import warnings

import jax
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from sdesgd.curvature import hessian as curvature
from sdesgd.errors import InputError, one_line
from sdesgd.problem import Problem


def undebugged() -> contextlib.ExitStack:
    """A replica that diverges is no bug to stop at, whatever JAX's debugging flags say."""
    stack = contextlib.ExitStack()
    for flag, switch in (("jax_debug_nans", jax.debug_nans), ("jax_debug_infs", jax.debug_infs)):
        if getattr(jax.config, flag):
            stack.enter_context(switch(False))
    return stack


def warn_diverged(dynamics, problem: Problem, params: PyTree, diverged: np.ndarray) -> None:
    """Says what may have been wrong; whatever can't be measured for it is left out, and never ends the run."""
    rate, momentum = dynamics.learning_rate, float(getattr(dynamics, "momentum", 0.0))
    text = f"{int(diverged.sum())} of {diverged.size} replicas diverged"
    stable = 2 * (1 + momentum)
    try:
        top = _top_eigenvalue(problem, params)
    except (InputError, RuntimeError, MemoryError, ArithmeticError) as error:
        text += f"; lower the learning_rate (lambda_max is not known: {one_line(str(error), 120)})"
    else:
        if not math.isfinite(top):
            text += ": the gradient or the Hessian of the loss is not finite at the start, so no learning_rate may help"
        elif callable(rate):
            text += f": lambda_max = {top:.3g} at the start, and steps are stable while eta lambda_max < 2(1+m)"
            text += f" = {stable:.3g}"
        else:
            text += f": eta lambda_max = {float(rate) * top:.3g} at the start against 2(1+m) = {stable:.3g}"
        if math.isfinite(top) and top > 0:
            text += f"; try a learning_rate below {stable / top:.2g}, or a larger batch_size"
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _top_eigenvalue(problem: Problem, params: PyTree) -> float:
    key = jr.key(0) if problem.needs_key else None
    return float(curvature.top_eigenpairs(problem, params, key=jr.key(0), mask_key=key).eigenvalues[0])
