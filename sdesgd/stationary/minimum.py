"""The minimum that a problem of up to some thousands of parameters descends to, to rounding error."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree
from scipy import linalg, optimize

from sdesgd import freshness
from sdesgd.curvature.dense import hessian_matrix
from sdesgd.errors import InputError
from sdesgd.landscape import flat
from sdesgd.problem import Problem

# A minimum is one where the gradient is rounding error: its part of L − L* is ‖g‖²/2λ.
GRADIENT_NORM = 1e-9
_NEWTON_STEPS = 12


class Minimum(NamedTuple):
    """A minimum of a problem's loss.

    Attributes:
        theta: θ*, (D,), in the order of ``landscape.flat``.
        loss: L(θ*).
        gradient: (D,), rounding error.
        hessian: H(θ*), (D, D).
    """

    theta: Float[np.ndarray, " D"]
    loss: float
    gradient: Float[np.ndarray, " D"]
    hessian: Float[np.ndarray, "D D"]


class NoMinimum(InputError):
    """Descent did not end at a non-degenerate minimum."""


def descended(problem: Problem, title: str = "the loss") -> Minimum:
    """The minimum below the problem's params: L-BFGS, then Newton with the dense Hessian until ‖g‖ < 1e-9.

    Args:
        problem: in float64, without masks and groups.
        title: for messages.

    Raises:
        NoMinimum: Newton doesn't converge, or descent stops where H isn't positive definite.
    """

    def value_and_gradient(theta):
        value, gradient = _value_and_gradient(problem, jnp.asarray(theta))
        return float(value), np.asarray(gradient)

    options = {"maxiter": 20_000, "maxfun": 40_000, "maxcor": 20, "ftol": 0.0, "gtol": 1e-6}
    start = np.asarray(flat(problem.params))
    theta = optimize.minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
    for _ in range(_NEWTON_STEPS):
        value, gradient = value_and_gradient(theta)
        H = np.asarray(hessian_matrix(problem, unflat(problem, theta)))
        try:
            factor = linalg.cho_factor(H)
        except (linalg.LinAlgError, ValueError):  # not positive definite, or not finite
            raise NoMinimum(
                f"{title}: descent stopped where H isn't positive definite, at no minimum: pass another seed or more "
                "weight decay"
            ) from None
        if np.linalg.norm(gradient) < GRADIENT_NORM:
            return Minimum(theta, value, gradient, H)
        theta = theta - linalg.cho_solve(factor, gradient)
    raise NoMinimum(
        f"{title}: no minimum to ‖g‖ < {GRADIENT_NORM:g} was found (‖g‖ = {np.linalg.norm(gradient):.2g}): pass "
        "another seed or more weight decay"
    )


def unflat(problem: Problem, theta: Any) -> PyTree:
    """The params of a flat vector, in the order of ``landscape.flat``.

    Args:
        problem: whose params they are.
        theta: (D,).
    """
    return eqx.combine(ravel_pytree(problem.moving())[1](jnp.asarray(theta)), problem.params)


@freshness.jit
def _value_and_gradient(problem: Problem, theta: Float[Array, " D"]) -> tuple[Array, Array]:
    params = unflat(problem, theta)
    return problem.loss(params), flat(problem.gradient(params))
