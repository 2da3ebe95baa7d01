"""What SGD's finite step and its non-Gaussian noise do to the Gibbs law, in one dimension, to order η."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from sdesgd.errors import InputError
from sdesgd.landscape import Landscape
from sdesgd.stationary.density import GridDensity, gibbs_density


def finite_step_density(
    landscape: Landscape,
    temperature: float | int,
    learning_rate: float | int,
    *,
    skewness: float | int = 0.0,
    excess_kurtosis: float | int = 0.0,
    box: Sequence[tuple[float | int, float | int]] | None = None,
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
        InputError: as ``gibbs_density``; more than one dimension, η ≤ 0.

    Source: the claim finite-step-occupancy.
    """
    if landscape.dimension != 1:
        raise InputError(f"{landscape.name} has {landscape.dimension} dimensions: the expansion takes one")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate is {learning_rate}: pass η > 0")
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
    return GridDensity(gibbs.axes, gibbs.masses * (1 + change - gibbs.masses @ change))


def step_shape(tilts: np.ndarray, batch_size: int) -> tuple[float, float]:
    """γ₃ and γ₄ of the noise of an SGD step from batches drawn with replacement: −skewness/√S and kurtosis/S.

    Args:
        tilts: (N,) or (N, 1), the a_i of ℓ_i = V + a_i θ.
        batch_size: S.
    """
    a = np.asarray(tilts, float)
    if a.ndim == 2 and a.shape[1] > 1:
        raise InputError(f"the tilts have shape {a.shape}: pass those of one coordinate, (N,) or (N, 1)")
    a = a.ravel() - a.mean()
    variance = float(np.mean(a**2))
    if variance <= 0 or batch_size < 1:
        raise InputError(f"the tilts have variance {variance}, batch_size is {batch_size}: pass σ² > 0 and S ≥ 1")
    skewness, kurtosis = float(np.mean(a**3)) / variance**1.5, float(np.mean(a**4)) / variance**2 - 3
    return -skewness / math.sqrt(batch_size), kurtosis / batch_size


def _derivatives(landscape: Landscape, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """V′, V″, V‴ at each point."""
    slope = jax.grad(lambda s: landscape.value(s[None]))
    orders = [slope, jax.grad(slope), jax.grad(jax.grad(slope))]
    g, h, third = (np.asarray(jax.jit(jax.vmap(f))(jnp.asarray(x)), float) for f in orders)
    return g, h, third
