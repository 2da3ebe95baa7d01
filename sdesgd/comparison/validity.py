"""The validity card: the few numbers that say whether the SDE can describe SGD here."""

import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PyTree

from sdesgd import freshness, inputs
from sdesgd.comparison.card import DIRECTIONS, ValidityCard
from sdesgd.curvature.hessian import top_eigenpairs
from sdesgd.dynamics.protocol import batch_units, check_sampling
from sdesgd.errors import InputError, shown
from sdesgd.gradient_noise.covariance import cumulants_of_mean, directional_derivatives, trace_and_norm
from sdesgd.problem import Problem
from sdesgd.types import PRNGKeyArray

# Roundings of a unit's gradient: what varies by less has no shape of its own.
_ROUNDINGS = 64


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
    the covariance of one unit over units and draws; H is the mean of the draws' Hessians. Without replacement the u
    units of a batch hang together with a covariance c, so tr Cov ĝ = tr C/u + (1 − 1/u) c, where c follows from the
    spread of the draws' gradients over all N units, tr C/N + (1 − 1/N) c; without masks and groups it is f tr C/u.
    Without these all is exact, but for Lanczos.

    A gradient that isn't finite at θ gives a card of NaN.

    Args:
        problem, learning_rate, batch_size, sampling, momentum: as for ``SDE``; one η (of a schedule: the largest).
        key: of Lanczos, masks and groups.
        params: θ; default: the problem's.
        draws: independent draws of masks and groups, at least 3; with masks the skewness and kurtosis are those
            with replacement.

    Raises:
        InputError: fewer than three draws; a schedule, or a rate or momentum out of range; reshuffled epochs; params of
            another structure or not finite; no key; params of less than 32 bits.

    Warns:
        RuntimeWarning: the gradients of all examples are equal up to rounding, and not 0.
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
    wanted = "a positive finite number" + (", of a schedule the largest" if callable(learning_rate) else "")
    inputs.check_number("learning_rate", learning_rate, wanted, lambda x: x > 0)
    inputs.check_number("momentum", momentum, "a number with 0 <= momentum < 1", lambda x: 0 <= x < 1)
    inputs.check_positive_integer("batch_size", batch_size)
    inputs.check_positive_integer("draws", draws)
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's noise cancels at fixed parameters")
    key = inputs.as_key(key)
    problem = problem.fresh()
    params = problem.params if params is None else problem.like(params)
    units = batch_units(problem, batch_size, sampling)
    key_start, key_draws = jr.split(key)
    keys, of_shape = None, sampling
    if problem.needs_key:
        if draws < 3:
            raise InputError(f"draws is {draws}: an error over draws of masks and groups needs at least 3")
        keys, of_shape = jr.split(key_draws, draws), "replacement"
    top = top_eigenpairs(problem, params, key=key_start, mask_key=keys)
    gram, traces, gradient = _gradients(problem, params, keys)
    directions: Any = jax.tree.map(lambda g, v: jnp.stack([g, v[0]]), gradient, top.eigenvectors)
    along = _along(problem, params, directions, keys)
    gram, traces, along = (np.asarray(x, float) for x in (gram, traces, along))
    eps = float(jnp.finfo(problem.wide).eps)
    size = problem.num_units, units

    def numbers(kept: np.ndarray) -> np.ndarray:
        return _numbers(gram, traces, along, kept, size, (sampling, of_shape), eps)

    values, errors = _jackknife(numbers, len(traces))
    _warn_without_noise(problem, float(values[1]), float(values[2]), eps)
    eigenvalue = float(top.eigenvalues[0])
    return ValidityCard(
        stability=float(learning_rate) * eigenvalue / (2 * (1 + float(momentum))),
        top_eigenvalue=eigenvalue,
        eigenvalue_error=float(top.residuals[0]),
        **_named(values),
        draws=len(traces),
        standard_errors=_named(errors) if problem.needs_key else {},
        learning_rate=float(learning_rate),
        batch_size=int(batch_size),
        momentum=float(momentum),
        sampling=sampling,
    )


def _warn_without_noise(problem: Problem, trace: float, norm: float, eps: float) -> None:
    """Where gradients are equal but not all 0, as at an interpolating minimum; masks differ for one example too."""
    if not problem.needs_key and problem.num_units > 1 and norm > 0 and trace <= (_ROUNDINGS * eps) ** 2 * norm:
        warnings.warn(
            f"the gradients of all {problem.num_units} examples are equal up to rounding (tr C = {trace:.2g}), so SGD "
            "has no gradient noise: do the examples differ, and does the loss read them?",
            RuntimeWarning,
            stacklevel=3,
        )


@freshness.jit
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


@freshness.jit
def _along(problem: Problem, params: PyTree, directions: PyTree, keys: Key[Array, " draws"] | None):
    """uᵀ∇ℓ_i, (draws, directions, units)."""
    if keys is None:
        return directional_derivatives(problem, params, directions)[None]
    return jax.lax.map(lambda one: directional_derivatives(problem, params, directions, one), keys)


def _numbers(
    gram: np.ndarray,
    traces: np.ndarray,
    along: np.ndarray,
    kept: np.ndarray,
    size: tuple[int, int],
    sampling: tuple[str, str],
    eps: float,
) -> np.ndarray:
    """Noise to signal, tr C, ‖g‖², and both cumulants along both directions, from the draws that are kept.

    Args:
        gram: products of the draws' gradients (K, K). traces: their tr C (K,). along: uᵀ∇ℓ_i (K, directions, units).
        kept: indices of draws. size: units of the sum and of a batch. sampling: of the noise, and of its shape.
        eps: of the dtype of sums.
    """
    gram, traces, along = gram[np.ix_(kept, kept)], traces[kept], along[kept]
    (N, u), with_replacement = size, sampling[0] == "replacement"
    if len(kept) == 1:
        norm, trace, spread = gram[0, 0], traces[0], 0.0
    else:
        norm = gram[~np.eye(len(kept), dtype=bool)].mean()
        trace = np.mean(traces + np.diag(gram)) - norm
        spread = np.diag(gram).mean() - norm  # tr Cov g over the draws
    between = 0.0 if with_replacement or N == 1 else (spread - trace / N) / (1 - 1 / N)
    # All units of a sum that draws nothing: no noise, and no rounding of it.
    noise = 0.0 if u == N > 1 and len(kept) == 1 and not with_replacement else trace / u + (1 - 1 / u) * between
    pooled = np.moveaxis(along, 0, 1).reshape(along.shape[1], -1)
    cumulants = cumulants_of_mean(jnp.asarray(pooled), u, sampling[1])
    # A direction across the gradients holds their rounding, whose size is that of a whole gradient.
    with np.errstate(invalid="ignore"):  # of ∞ − ∞: NaN, and no smaller than anything
        # The first direction is the gradient itself, of size ‖g‖, the second a unit vector.
        no_noise = pooled.var(axis=1) <= (_ROUNDINGS * eps) ** 2 * (trace + norm) * np.array([max(norm, 0.0), 1.0])
    shape = [np.where(no_noise, math.nan, x) for x in (cumulants.skewness, cumulants.excess_kurtosis)]
    return np.array([_ratio(noise, norm), trace, norm, *shape[0], *shape[1]], float)


def _ratio(noise: float, norm: float) -> float:
    """noise/norm: ∞ for noise without a gradient, NaN for 0/0 and where either is NaN."""
    if math.isnan(noise) or math.isnan(norm):
        return math.nan
    if norm > 0:
        return float(noise / norm)
    return math.inf if noise > 0 else math.nan


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
        "skewness": dict(zip(DIRECTIONS, cumulants[:2], strict=True)),
        "excess_kurtosis": dict(zip(DIRECTIONS, cumulants[2:], strict=True)),
    }
