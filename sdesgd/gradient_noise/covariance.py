"""The covariance C of per-unit gradients: its trace, and the higher cumulants of minibatch noise along directions.

C(θ) = (1/N) Σ (∇ℓ_i − g)(∇ℓ_i − g)ᵀ, the 1/N form. Cov of a minibatch gradient is f C/S.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from sdesgd.curvature import derivatives
from sdesgd.dynamics.protocol import batch_units, check_learning_rate, check_momentum, check_sampling
from sdesgd.errors import InputError
from sdesgd.inputs import check_positive_integer
from sdesgd.problem import Problem
from sdesgd.results.tables import aligned
from sdesgd.types import PRNGKeyArray

# Per-unit gradients held at once: a block of them costs about one backward pass of as many examples.
_BLOCK = 16
# Roundings by which equal numbers may differ after a pass through a net.
_ROUNDINGS = 64


def trace(problem: Problem, params: PyTree, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
    """tr C(θ) = (1/N) Σ ‖∇ℓ_i − g‖², exact; six to seven gradients, O(16 D) memory.

    With batch norm a unit is a group: C is the covariance between the M groups of one random partition P. The
    covariance of a step is the mean of C over partitions plus that of g_P, Cov(group gradient) = E_P C_P + Cov_P g_P.
    With dropout each unit has one mask: E_mask tr C = tr Cov_i(E_mask ∇ℓ_i) + (1 − 1/N) E_i tr Cov_mask ∇ℓ_i.

    Args:
        params: θ.
        key: masks and groups.
    """
    return trace_and_norm(problem, params, key)[0]


def trace_and_norm(
    problem: Problem, params: PyTree, key: PRNGKeyArray | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(tr C, ‖g‖²). Deviations from g are summed, not a difference of large numbers."""
    gradient = problem.gradient(params, key)

    def deviation(unit):
        one = problem.unit_gradients(params, unit[None], key)
        return _squared_norm(jax.tree.map(lambda a, b: _wide(a[0]) - _wide(b), one, gradient))

    block = min(_BLOCK, problem.num_units)
    squares = jax.lax.map(deviation, jnp.arange(problem.num_units), batch_size=block)
    return jnp.mean(squares), _squared_norm(gradient)


def noise_scale(
    learning_rate: float, num_examples: int, batch_size: int, sampling: str = "no_replacement", momentum: float = 0.0
) -> float:
    """Smith and Le's g: with the sum loss and η/N of time a step, the noise is √g F^{1/2} dW.

    g = η(N/B − 1)/(1−m) without replacement, F in its 1/(N−1) form; ηN/(B(1−m)) with replacement, F in its 1/N form.
    Either way (g/N) F = f (η/S) C/(1−m): one process with dθ = −g dt + √(fη/S) R dW.

    Args:
        learning_rate: η. num_examples: N. batch_size: B. momentum: m, for the time scale η/(1−m) of long runs.
        sampling: "replacement" | "no_replacement".

    Raises:
        InputError: a value out of range, B > N without replacement, an unknown or reshuffled sampling.

    Source: Smith & Le 2018; derivations: noise-scale, two-conventions, noise-scale-with-momentum.
    """
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's noise cancels")
    if callable(learning_rate):
        raise InputError("learning_rate is a schedule: the noise scale belongs to one rate, say schedule(n)")
    check_learning_rate(learning_rate)
    check_momentum(momentum)
    check_positive_integer("batch_size", batch_size)
    check_positive_integer("num_examples", num_examples)
    if sampling == "no_replacement" and batch_size > num_examples:
        raise InputError(f"batch_size is {batch_size} of N = {num_examples}: pass 1 to N, or sampling='replacement'")
    ratio = num_examples / batch_size - (sampling == "no_replacement")
    return learning_rate * ratio / (1 - momentum)


class Cumulants(NamedTuple):
    """Of the scalar uᵀ(ĝ − g) for a minibatch gradient ĝ; arrays with the leading axis of the directions.

    variance: uᵀ(f C/S)u; skewness: κ₃/κ₂^{3/2}; excess_kurtosis: κ₄/κ₂²; both 0 for Gaussian noise, and NaN where there
    is no noise or the gradient isn't finite.
    """

    variance: Float[Array, " directions"]
    skewness: Float[Array, " directions"]
    excess_kurtosis: Float[Array, " directions"]

    def __str__(self) -> str:
        rows = [("direction", "variance", "skewness", "kurtosis − 3")]
        for k, numbers in enumerate(zip(*self, strict=True)):
            rows.append((str(k), f"{numbers[0]:.4g}", f"{numbers[1]:+.3g}", f"{numbers[2]:+.3g}"))
        return "\n".join(aligned(rows))


def minibatch_cumulants(
    problem: Problem,
    params: PyTree,
    directions: PyTree,
    batch_size: int,
    sampling: str = "replacement",
    key: PRNGKeyArray | None = None,
) -> Cumulants:
    """Second to fourth cumulants of minibatch noise along directions: one JVP each.

    x_i = uᵀ∇ℓ_i is the derivative of ℓ_i along u. With replacement κ_k of the mean of S draws is κ_k(x)/S^{k−1};
    without, the moments follow from the exact joint moments of a sample from a finite population.

    Args:
        params: θ.
        directions: pytree like the gradient with a leading axis.
        batch_size: S, in examples.
        sampling: "replacement" | "no_replacement".
        key: masks and groups.

    Raises:
        InputError: an unknown or reshuffled sampling, S > N without replacement.
    """
    check_sampling(sampling, ("replacement", "no_replacement"), "an epoch's batches are dependent")
    count = batch_units(problem, batch_size, sampling)
    x = directional_derivatives(problem, params, directions, key)
    return cumulants_of_mean(x, count, sampling)


def directional_derivatives(
    problem: Problem, params: PyTree, directions: PyTree, key: PRNGKeyArray | None = None
) -> Float[Array, "directions units"]:
    """uᵀ∇ℓ_i for each unit i and direction u: one JVP a direction.

    Args:
        params: θ.
        directions: pytree like the gradient with a leading axis.
        key: masks and groups.
    """
    moving, fixed = eqx.partition(params, eqx.is_inexact_array)

    def along(direction):
        losses = lambda x: problem.losses(eqx.combine(x, fixed), key)  # noqa: E731
        return derivatives.derivatives_along(losses, moving, direction)

    return jax.lax.map(along, directions)


def cumulants_of_mean(x: Float[Array, "directions units"], count: int, sampling: str = "replacement") -> Cumulants:
    """Cumulants of the mean of ``count`` draws from each row of x, with or without replacement.

    Args:
        x: populations of numbers.
        count: S, the size of a sample.
        sampling: "replacement" | "no_replacement".
    """
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    m2, m3, m4 = (jnp.mean(centred**k, axis=1) for k in (2, 3, 4))
    variance, *shape = _cumulants_of_mean(m2, m3, m4, x.shape[1], count, sampling)
    # What is left of equal numbers is rounding, and has a shape of its own; a batch of all is no random one.
    noiseless = m2 <= (_ROUNDINGS * jnp.finfo(x.dtype).eps) ** 2 * jnp.mean(x**2, axis=1)
    noiseless |= sampling != "replacement" and count == x.shape[1]
    return Cumulants(variance, *(jnp.where(noiseless, jnp.nan, s) for s in shape))


def _cumulants_of_mean(m2, m3, m4, num_units: int, count: int, sampling: str):
    """From the central moments of the population to variance, skewness, excess kurtosis of the sample mean."""
    N, S = num_units, count
    if sampling == "replacement":
        k2, k3, k4 = m2 / S, m3 / S**2, (m4 - 3 * m2**2) / S**3
    else:
        # E of products over distinct draws, each from Σ x_i = 0; a zero count multiplies where N is too small.
        n1, n2, n3 = max(N - 1, 1), max(N - 2, 1), max(N - 3, 1)
        pairs, triples, quadruples = S * (S - 1), S * (S - 1) * (S - 2), S * (S - 1) * (S - 2) * (S - 3)
        second = S * m2 - pairs * m2 / n1
        third = S * m3 - 3 * pairs * m3 / n1 + triples * 2 * m3 / (n1 * n2)
        fourth = (
            S * m4
            - 4 * pairs * m4 / n1
            + 3 * pairs * (N * m2**2 - m4) / n1
            + 6 * triples * (2 * m4 - N * m2**2) / (n1 * n2)
            + quadruples * (3 * N * m2**2 - 6 * m4) / (n1 * n2 * n3)
        )
        k2, k3, k4 = second / S**2, third / S**3, (fourth - 3 * second**2) / S**4
    return k2, k3 / k2**1.5, k4 / k2**2


def _squared_norm(tree: PyTree) -> Float[Array, ""]:
    return sum((jnp.vdot(x, x) for x in map(_wide, jax.tree.leaves(tree))), jnp.zeros(()))


def _wide(x: Array) -> Array:
    """In float32 at least, so that squares and their sums don't overflow half precision."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
