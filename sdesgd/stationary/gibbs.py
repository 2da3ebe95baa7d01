"""The Gibbs law exp(−V/T) by sampling: the No-U-Turn sampler of numpyro, where the barriers let it mix."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float

from sdesgd import freshness, inputs
from sdesgd.errors import InputError
from sdesgd.extras import require
from sdesgd.landscape import Landscape, as_landscape
from sdesgd.stationary.density import require_float64
from sdesgd.stationary.gibbs_sample import GibbsSample
from sdesgd.types import PRNGKeyArray, RealScalarLike

# A draw crosses a barrier ΔV if its fresh momentum has the energy: about 2 % of draws at 4T, 0.2 % at 6T.
_LARGEST_BARRIER = 4
# Short steps: at numpyro's 0.8 a per cent of the trajectories diverge on the steep sides of a double well.
_ACCEPTANCE = 0.98


def sample_gibbs(
    landscape: Landscape,
    temperature: RealScalarLike,
    starts: Any,
    *,
    barrier: RealScalarLike,
    samples: int = 2000,
    warmup: int = 1000,
    key: PRNGKeyArray,
) -> GibbsSample:
    """Draws from p ∝ exp(−V/T) by NUTS, in any dimension; for barriers of at most 4T.

    A chain crosses a barrier only if a fresh momentum has the energy for it, so across 3T some 40,000 draws have an
    ESS of a few hundred: few chains and many samples, and ``check`` before use. A new temperature doesn't recompile.

    Args:
        landscape: V. temperature: T.
        starts: (chains, D), at least two, in different basins.
        barrier: the highest that a chain must climb between the basins, above the minimum below it, in units of V;
            0 for a single basin.
        samples, warmup: draws of a chain, kept and for adaptation.
        key: of ``jax.random.key``.

    Raises:
        InputError: T ≤ 0; barrier/T > 4; starts of another shape or where V isn't finite; float32; no key; a V that JAX
            can't trace.

    Source: Hoffman & Gelman 2014 (numpyro's NUTS); R̂ and ESS as in numpyro.diagnostics.
    """
    require("numpyro")
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    require_float64()
    landscape = as_landscape(landscape)
    begin = _checked(landscape, temperature, starts, barrier)
    inputs.check_positive_integer("samples", samples)
    inputs.check_positive_integer("warmup", warmup)
    key = inputs.as_key(key)
    if samples < 100:
        raise InputError(f"samples is {samples}: R-hat and ESS need at least 100 a chain")
    keys = jr.split(key, len(begin))
    points, diverging = _chains(landscape.value, jnp.asarray(float(temperature)), begin, keys, warmup, samples)
    points = np.asarray(points)
    return GibbsSample(
        points,
        np.asarray(split_gelman_rubin(points), float),
        np.asarray(effective_sample_size(points), float),
        int(np.asarray(diverging).sum()),
    )


@freshness.jit
def _chains(
    value: Callable, temperature: Array, starts: Array, keys: Array, warmup: int, samples: int
) -> tuple[Float[Array, "chains n D"], Bool[Array, "chains n"]]:
    """NUTS's own kernel in one scan: ``numpyro.infer.MCMC`` would compile anew, some ten seconds, for every T."""
    from numpyro.infer import NUTS

    def chain(start, key):
        potential = lambda theta: value(theta) / temperature  # noqa: E731
        kernel = NUTS(potential_fn=potential, target_accept_prob=_ACCEPTANCE)
        first = kernel.init(key, warmup, start, (), {})

        def draw(state, _):
            state = kernel.sample(state, (), {})
            return state, (state.z, state.diverging)

        _, (points, diverging) = jax.lax.scan(draw, first, None, length=warmup + samples)
        return points[warmup:], diverging[warmup:]

    return jax.vmap(chain)(starts, keys)


def _checked(
    landscape: Landscape, temperature: RealScalarLike, starts: Any, barrier: RealScalarLike
) -> Float[Array, "chains D"]:
    inputs.check_number("temperature", temperature, "T > 0; at T = 0 the law is a point", lambda x: x > 0)
    wanted = "the highest pass above the minimum below it, 0 for one basin"
    inputs.check_number("barrier", barrier, wanted, lambda x: x >= 0)
    if barrier > _LARGEST_BARRIER * temperature * (1 + 1e-9):
        other = "use gibbs_density, or " if landscape.dimension <= 3 else ""
        raise InputError(
            f"the barrier {barrier:.4g} is {barrier / temperature:.3g} T at T = {temperature:.4g}, and NUTS doesn't "
            f"mix across more than {_LARGEST_BARRIER} T: {other}choose T ≥ {barrier / _LARGEST_BARRIER:.4g}"
        )
    begin = jnp.asarray(inputs.as_float64(starts, "starts", f"(chains, {landscape.dimension})"))
    if begin.ndim != 2 or begin.shape[1] != landscape.dimension or len(begin) < 2:
        raise InputError(f"starts have shape {begin.shape}: pass (chains, {landscape.dimension}), at least two chains")
    if not bool(jnp.isfinite(begin).all() & jnp.isfinite(jax.vmap(landscape.value)(begin)).all()):
        raise InputError(f"{landscape.name} is not finite at some start: begin where it is")
    return begin
