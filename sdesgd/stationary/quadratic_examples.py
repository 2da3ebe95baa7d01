"""Whether the examples' losses are quadratic, and then those of what: the case where SGD's exact law is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from sdesgd import freshness
from sdesgd.landscape import flat
from sdesgd.problem import Problem

_MOST_ENTRIES = 5 * 10**7  # of all per-example Hessians together


def structure(problem: Problem, theta: np.ndarray) -> tuple[str, tuple[np.ndarray, np.ndarray, float] | None]:
    """What kind of sum it is, found from per-example gradients and Hessians at three points.

    Args:
        problem: in float64, without masks and groups.
        theta: a minimum, (D,).

    Returns:
        ("constant", None) where all ℓ_i are quadratic with one Hessian, so that C is constant; ("regression", (x, y,
        w)) where ℓ_i = ½(x_i·θ − y_i)² + (w/2)|θ|² up to a constant; else ("other", None).
    """
    D = len(theta)
    if problem.num_units * D * D > _MOST_ENTRIES:
        return "other", None
    rng, scale = np.random.default_rng(0), 1 + np.abs(theta).max()
    gradients, hessians = (np.asarray(a) for a in _per_example(problem, jnp.asarray(theta)))
    size = np.abs(hessians).max()
    for _ in range(2):
        other = np.asarray(_per_example(problem, jnp.asarray(theta + scale * rng.normal(size=D)))[1])
        if not np.abs(other - hessians).max() <= 1e-8 * size:
            return "other", None
    if np.abs(hessians - hessians.mean(axis=0)).max() <= 1e-8 * size:
        return "constant", None
    spectra, vectors = np.linalg.eigh(hessians)
    decay = float(max(spectra[:, 0].mean(), 0)) if D > 1 else 0.0
    if D > 1 and np.abs(spectra[:, :-1] - decay).max() > 1e-8 * size:
        return "other", None
    x = vectors[:, :, -1] * np.sqrt(np.clip(spectra[:, -1:] - decay, 0, None))
    norms = (x**2).sum(axis=1)
    rest = gradients - decay * theta
    residuals = np.divide((x * rest).sum(axis=1), norms, out=np.zeros(len(x)), where=norms > 0)
    if np.abs(rest - residuals[:, None] * x).max() > 1e-7 * np.abs(gradients).max():
        return "other", None
    return "regression", (x, x @ theta - residuals, decay if decay > 1e-12 * size else 0.0)


@freshness.jit
def _per_example(problem: Problem, theta: Float[Array, " D"]) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    _, unravel = ravel_pytree(problem.moving())

    def gradients(point):
        units = problem.unit_gradients(eqx.combine(unravel(point), problem.params), jnp.arange(problem.num_units))
        return jax.vmap(flat)(units)

    return gradients(theta), jax.jacfwd(gradients)(theta)
