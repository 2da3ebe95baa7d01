"""The validity card: the few numbers that say whether the SDE can describe SGD here."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray, PyTree

from sdesgd.curvature import top_eigenpairs
from sdesgd.dynamics import batch_units
from sdesgd.gradient_covariance import minibatch_cumulants, trace_and_norm
from sdesgd.problem import Problem


@dataclasses.dataclass(frozen=True)
class ValidityCard:
    """At one θ. All are pure numbers, but for the traces.

    Attributes:
        stability: ηλ_max/(2(1+m)): steps are stable on a quadratic below 1; the SDE needs it ≪ 1.
        top_eigenvalue, eigenvalue_error: λ_max of H by Lanczos and its residual bound.
        noise_to_signal: tr C/(S‖g‖²), S in units of the sum: minibatch noise against the gradient, in squares.
        trace: tr C. gradient_norm_squared: ‖g‖².
        skewness, excess_kurtosis: of the minibatch gradient along g and along the top Hessian direction; 0 for
            Gaussian noise, which is what the SDE assumes.
    """

    stability: float
    top_eigenvalue: float
    eigenvalue_error: float
    noise_to_signal: float
    trace: float
    gradient_norm_squared: float
    skewness: dict[str, float]
    excess_kurtosis: dict[str, float]


def validity_card(
    problem: Problem,
    learning_rate: float,
    batch_size: int,
    *,
    key: PRNGKeyArray,
    sampling: str = "replacement",
    momentum: float = 0.0,
    params: PyTree = None,
) -> ValidityCard:
    """Measures the card at θ; deterministic but for the start vector of Lanczos, masks and groups.

    Args:
        problem, learning_rate, batch_size, sampling, momentum: as for ``SDE``; one η (of a schedule: the largest).
        key: of Lanczos, masks and groups.
        params: θ; default: the problem's.
    """
    params = problem.params if params is None else params
    units = batch_units(problem, batch_size, sampling)
    key_start, key_masks = jr.split(key)
    mask_key = key_masks if problem.needs_key else None
    top = top_eigenpairs(problem, params, key=key_start, mask_key=mask_key)
    trace, norm_squared = (float(x) for x in trace_and_norm(problem, params, mask_key))
    gradient = problem.gradient(params, mask_key)
    directions: Any = jax.tree.map(lambda g, v: jnp.stack([g, v[0]]), gradient, top.eigenvectors)
    cumulants = minibatch_cumulants(problem, params, directions, batch_size, sampling, mask_key)
    names = ("gradient", "top_hessian")
    eigenvalue = float(top.eigenvalues[0])
    return ValidityCard(
        stability=learning_rate * eigenvalue / (2 * (1 + momentum)),
        top_eigenvalue=eigenvalue,
        eigenvalue_error=float(top.residuals[0]),
        noise_to_signal=trace / (units * norm_squared) if norm_squared > 0 else math.inf,
        trace=trace,
        gradient_norm_squared=norm_squared,
        skewness=dict(zip(names, map(float, cumulants.skewness), strict=True)),
        excess_kurtosis=dict(zip(names, map(float, cumulants.excess_kurtosis), strict=True)),
    )
