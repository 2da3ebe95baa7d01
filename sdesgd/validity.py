"""The validity card: the few numbers that say whether the SDE can describe SGD here."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray, PyTree

from sdesgd.curvature import top_eigenpairs
from sdesgd.dynamics import batch_units
from sdesgd.errors import InputError
from sdesgd.gradient_covariance import cumulants_of_mean, directional_derivatives, trace_and_norm
from sdesgd.problem import Problem

_DIRECTIONS = ("gradient", "top_hessian")


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
        draws: of masks and groups that were averaged over; 1 where the loss draws nothing.
        standard_errors: of noise_to_signal, trace, gradient_norm_squared, skewness and excess_kurtosis, over the
            draws (jackknife); empty where the loss draws nothing and all is exact.
    """

    stability: float
    top_eigenvalue: float
    eigenvalue_error: float
    noise_to_signal: float
    trace: float
    gradient_norm_squared: float
    skewness: dict[str, float]
    excess_kurtosis: dict[str, float]
    draws: int
    standard_errors: dict[str, Any]


def validity_card(
    problem: Problem,
    learning_rate: float,
    batch_size: int,
    *,
    key: PRNGKeyArray,
    sampling: str = "replacement",
    momentum: float = 0.0,
    params: PyTree = None,
    draws: int = 8,
) -> ValidityCard:
    """Measures the card at θ.

    Where units are drawn (groups of batch norm, dropout masks) g, H and C are those of the expected loss: ‖g‖² is the
    mean of products of gradients of *different* draws, so it is free of a draw's own noise; tr C = E‖∇ℓ_i‖² − ‖g‖² is
    the covariance of one unit over units and draws; H is the mean of the draws' Hessians. Without masks and groups
    all is exact, but for Lanczos.

    Args:
        problem, learning_rate, batch_size, sampling, momentum: as for ``SDE``; one η (of a schedule: the largest).
        key: of Lanczos, masks and groups.
        params: θ; default: the problem's.
        draws: independent draws of masks and groups, at least 3; with masks the skewness and kurtosis are those
            with replacement.

    Raises:
        InputError: fewer than three draws.
    """
    params = problem.params if params is None else params
    units = batch_units(problem, batch_size, sampling)
    key_start, key_draws = jr.split(key)
    keys = None
    if problem.needs_key:
        if draws < 3:
            raise InputError(f"draws is {draws}: an error over draws of masks and groups needs at least 3")
        keys, sampling = jr.split(key_draws, draws), "replacement"
    top = top_eigenpairs(problem, params, key=key_start, mask_key=keys)
    gram, traces, gradient = _gradients(problem, params, keys)
    directions: Any = jax.tree.map(lambda g, v: jnp.stack([g, v[0]]), gradient, top.eigenvectors)
    along = _along(problem, params, directions, keys)
    gram, traces, along = (np.asarray(x, float) for x in (gram, traces, along))
    values, errors = _jackknife(lambda kept: _numbers(gram, traces, along, kept, units, sampling), len(traces))
    eigenvalue = float(top.eigenvalues[0])
    return ValidityCard(
        stability=learning_rate * eigenvalue / (2 * (1 + momentum)),
        top_eigenvalue=eigenvalue,
        eigenvalue_error=float(top.residuals[0]),
        **_named(values),
        draws=len(traces),
        standard_errors=_named(errors) if problem.needs_key else {},
    )


@eqx.filter_jit
def _gradients(problem: Problem, params: PyTree, keys: Key[Array, " draws"] | None):
    """Products of the draws' gradients (K, K), their tr C (K,), their mean."""
    if keys is None:
        trace, norm = trace_and_norm(problem, params)
        return norm[None, None], trace[None], problem.gradient(params)
    gradients = jax.lax.map(lambda one: problem.gradient(params, one), keys)
    traces = jax.lax.map(lambda one: trace_and_norm(problem, params, one)[0], keys)
    flat = [x.reshape(len(keys), -1) for x in jax.tree.leaves(gradients)]
    gram = sum((x @ x.T for x in flat), jnp.zeros((len(keys), len(keys))))
    return gram, traces, jax.tree.map(lambda x: jnp.mean(x, axis=0), gradients)


@eqx.filter_jit
def _along(problem: Problem, params: PyTree, directions: PyTree, keys: Key[Array, " draws"] | None):
    """uᵀ∇ℓ_i, (draws, directions, units)."""
    if keys is None:
        return directional_derivatives(problem, params, directions)[None]
    return jax.lax.map(lambda one: directional_derivatives(problem, params, directions, one), keys)


def _numbers(
    gram: np.ndarray, traces: np.ndarray, along: np.ndarray, kept: np.ndarray, units: int, sampling: str
) -> np.ndarray:
    """Noise to signal, tr C, ‖g‖², and both cumulants along both directions, from the draws that are kept."""
    gram, traces, along = gram[np.ix_(kept, kept)], traces[kept], along[kept]
    if len(kept) == 1:
        norm, trace = gram[0, 0], traces[0]
    else:
        norm = gram[~np.eye(len(kept), dtype=bool)].mean()
        trace = np.mean(traces + np.diag(gram)) - norm
    ratio = trace / (units * norm) if norm > 0 else math.inf
    pooled = np.moveaxis(along, 0, 1).reshape(along.shape[1], -1)
    cumulants = cumulants_of_mean(jnp.asarray(pooled), units, sampling)
    return np.array([ratio, trace, norm, *cumulants.skewness, *cumulants.excess_kurtosis], float)


def _jackknife(estimate: Any, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """The estimate from all draws, and its standard error from leaving out one at a time."""
    everything = np.arange(draws)
    value = estimate(everything)
    if draws == 1:
        return value, np.zeros_like(value)
    without = np.stack([estimate(np.delete(everything, k)) for k in everything])
    with np.errstate(invalid="ignore"):
        return value, np.sqrt((draws - 1) * np.var(without, axis=0))


def _named(values: np.ndarray) -> dict[str, Any]:
    ratio, trace, norm, *cumulants = (float(x) for x in values)
    return {
        "noise_to_signal": ratio,
        "trace": trace,
        "gradient_norm_squared": norm,
        "skewness": dict(zip(_DIRECTIONS, cumulants[:2], strict=True)),
        "excess_kurtosis": dict(zip(_DIRECTIONS, cumulants[2:], strict=True)),
    }
