"""What SGD's finite step and its non-Gaussian noise do to the Gibbs law, in one dimension, to order η."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import integrate

from sdesgd import freshness, inputs
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, as_landscape
from sdesgd.stationary.density import gibbs_density
from sdesgd.stationary.grid_density import GridDensity
from sdesgd.types import Box, RealScalarLike


def finite_step_density(
    landscape: Landscape,
    temperature: RealScalarLike,
    learning_rate: RealScalarLike,
    *,
    skewness: RealScalarLike = 0.0,
    excess_kurtosis: RealScalarLike = 0.0,
    box: Box | None = None,
    points: int = 4001,
) -> GridDensity:
    """SGD's stationary law p₀(1 + √η u₁ + η u₂) with p₀ ∝ exp(−V/T): why SGD is not where the Gibbs law puts it.

        T u₁′ = c (p₀″/p₀),  c = γ₃(2T)^{3/2}/6
        T p₀ u₂′ = c (p₀u₁)″ − ½(V′²p₀)′ + T²(3 − γ₄)/6 p₀‴

    Skewed noise changes the odds of basins at order √η, by an integral of V′² between them; a finite step and excess
    kurtosis do at order η. The next terms are of order η^{3/2} with skewness, η² without.

    Assumptions: one dimension; the noise of a step, −η(ĝ − g), has the variance 2ηT, skewness γ₃ and excess kurtosis
    γ₄ everywhere (tilted copies); η → 0 at fixed T, γ₃, γ₄. Where the change isn't small against 1 the masses may be
    negative: the expansion is then of no use.

    Args:
        landscape: V, of one dimension.
        temperature: T. learning_rate: η.
        skewness, excess_kurtosis: γ₃, γ₄ of the noise of a *step*, which has the sign opposite to the tilts':
            ``step_shape``.
        box, points: as for ``gibbs_density``.

    Returns:
        The masses of the cells; their sum is 1.

    Raises:
        InputError: as ``gibbs_density``; more than one dimension, η ≤ 0, derivatives of V that aren't finite.

    Source: the claim finite-step-occupancy.
    """
    landscape = as_landscape(landscape)
    if landscape.dimension != 1:
        raise InputError(f"{landscape.name} has {landscape.dimension} dimensions: the expansion takes one")
    inputs.check_number("learning_rate", learning_rate, "η > 0", lambda x: x > 0)
    for name, value in (("skewness", skewness), ("excess_kurtosis", excess_kurtosis)):
        inputs.check_number(name, value, "a finite number, that of a step's noise", lambda x: True)
    gibbs = gibbs_density(landscape, temperature, box, points)
    T, x = float(temperature), gibbs.axes[0]
    g, h, third = _derivatives(landscape, x)
    # p₀″/p₀ and p₀‴/p₀.
    second_ratio = (g / T) ** 2 - h / T
    third_ratio = -((g / T) ** 3) + 3 * g * h / T**2 - third / T
    c = skewness * (2 * T) ** 1.5 / 6
    u1_slope = c / T * second_ratio
    u1 = integrate.cumulative_simpson(u1_slope, x=x, initial=0)
    u1 -= gibbs.masses @ u1
    # (p₀u₁)″/p₀ with u₁″ from the same formula.
    curved = c / T * (2 * g * h / T**2 - third / T) - 2 * g / T * u1_slope + u1 * second_ratio
    u2_slope = (c * curved - g * h + g**3 / (2 * T) + T**2 * (3 - excess_kurtosis) / 6 * third_ratio) / T
    u2 = integrate.cumulative_simpson(u2_slope, x=x, initial=0)
    change = math.sqrt(learning_rate) * u1 + learning_rate * u2
    name = f"Stationary law of SGD to first order in η, on {landscape.name}: T = {T:.4g}, η = {learning_rate:g}"
    return GridDensity(gibbs.axes, gibbs.masses * (1 + change - gibbs.masses @ change), name)


def step_shape(tilts: Any, batch_size: int) -> tuple[float, float]:
    """γ₃ and γ₄ of the noise of an SGD step from batches drawn with replacement: −skewness/√S and kurtosis/S.

    Args:
        tilts: (N,) or (N, 1), the a_i of ℓ_i = V + a_i θ.
        batch_size: S.

    Raises:
        InputError: tilts of several coordinates, not finite or all equal; S < 1.
    """
    a = inputs.as_float64(tilts, "tilts", "(N,) or (N, 1)")
    inputs.check_positive_integer("batch_size", batch_size)
    if a.ndim not in (1, 2) or (a.ndim == 2 and a.shape[1] > 1) or not a.size:
        raise InputError(f"the tilts have shape {a.shape}: pass those of one coordinate, (N,) or (N, 1)")
    a = a.ravel() - a.mean()
    variance = float(np.mean(a**2))
    if not 0 < variance < math.inf:
        raise InputError(f"the tilts have variance {variance}: pass σ² > 0, finite")
    skewness, kurtosis = float(np.mean(a**3)) / variance**1.5, float(np.mean(a**4)) / variance**2 - 3
    return -skewness / math.sqrt(batch_size), kurtosis / batch_size


def _derivatives(landscape: Landscape, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """V′, V″, V‴ at each point."""
    g, h, third = (np.asarray(d, float) for d in _derivatives_at(landscape.value, jnp.asarray(x)))
    if not all(np.isfinite(d).all() for d in (g, h, third)):
        raise InputError(f"{landscape.name} has derivatives that aren't finite in the box: the expansion needs three")
    return g, h, third


@freshness.jit
def _derivatives_at(value: Callable, x: Float[Array, " G"]) -> tuple[Array, Array, Array]:
    slope = jax.grad(lambda s: value(s[None]))
    curvature = jax.grad(slope)
    return jax.vmap(slope)(x), jax.vmap(curvature)(x), jax.vmap(jax.grad(curvature))(x)
