"""The model of a table: a law for B_opt, a curve of accuracy about it, seed noise; priors; all as one NumPyro model.

For the runs r of series s (η, N, m) at batch size B, with y = logit of test accuracy and u = log B − log B_opt,s:

    power:        log B_opt,s = a + α log η + β log N − γ log(1−m) + τ z_s
    noise_scale:  log B_opt,s = log N − log(1 + c (1−m)/η) + τ z_s,   i.e.  η(N/B − 1)/(1−m) = c
    curve:        μ(u) = A_s − D (1 − e^{−d/D}),   d(u) = c_s [(e^{pu} − 1)/p + (e^{−qu} − 1)/q]/(p + q)
    cell:         y_r ~ multivariate t_ν, location μ, scale σ² I + ω² 11ᵀ,  ω = ρ D (1 − e^{−d/D})
    seed noise:   σ² = e^{2(λ_0 + λ_B b + λ·x)} + (κ dμ/du)² + (φ (A_s − μ))² + that of rounding accuracy;
                  b, x: log B and factors, centred

d has its one minimum at u = 0, with curvature c_s; its sides: s = p + q > 0 and p = r s with r = ½ + tanh(lean), so
that either side may rise without bound or level off (p < 0 or q < 0), not both. D is the depth of the floor that
accuracy falls to (chance). ω is the misfit of the curve, shared by the seeds of a cell: no trust far from the peak,
full trust at it. κ, φ: each run has a log B_opt and a height of fall of its own, so that seeds differ most where the
curve is steep or low. The t (a Gaussian whose variance is unknown cell by cell) keeps one outlying run, or a cell of
odd noise, from moving the peak.

A table of one series cannot tell τ from a: there τ = 0, and B_opt has the prior of e^a.

Why the logit: the mean curve can't leave [0, 1]; an error that is halved by halving all its causes moves the same
way at 3 % and at 30 %; σ of the logit is σ_acc/(acc(1−acc)), so noise proportional to the error (at high accuracy) or
to the accuracy (at low) is constant. The log of the error would be as good at high accuracy, but squeezes 0.1…0.5.

A series whose peak lies beyond the grid shows one side of the curve only. There A_s, c_s and B_opt,s trade off
against each other, and the posterior is as wide as their spread between series allows. So that spread is not let go
to zero: A_s has sd 1 (a factor 2.7 in the odds) and log c_s an sd of 0.5 give or take a factor 1.5.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sdesgd.optimal_batch.cells import Cells

# Mean and standard deviation of a Gaussian; of the log where the name says so. Both 0 and 1 lie within 0.7 sd of a
# slope's mean.
PRIORS = {
    "intercept": (0.0, 2.0),  # from the middle of the grid; for noise_scale of log c
    "slope": (0.5, 0.75),  # α, β, γ
    "log_scatter": (-1.6, 1.0),  # τ: 90 % in 0.04…1.05
    "level": (2.0, 1.5),  # A, mean over series: accuracy 0.41…0.99
    "level_spread": (0.0, 1.0),  # A_s about it
    "log_curvature": (-1.6, 1.0),  # c, per (log B)², typical series
    "log_curvature_spread": (-0.7, 0.4),
    "log_sharpness": (0.0, 0.8),  # s = p + q, per log B
    "lean": (0.0, 0.6),  # of the sides: p/s = ½ + tanh(lean)
    "log_depth": (1.4, 0.5),  # D: 90 % in 1.8…9.2
    "log_noise": (-2.3, 1.0),  # λ_0: σ of accuracy 0.9 is 0.9 %, give or take a factor e
    "noise_slope": (0.0, 0.3),  # λ_B and λ
    "log_jitter": (-2.3, 0.7),  # κ, in log B
    "log_unevenness": (-2.3, 0.7),  # φ
    "log_misfit": (-2.3, 0.7),  # ρ
    "log_tails": (2.3, 0.7),  # ν
}
GLOBALS = {
    "intercept": 1, "slope": 3, "log_scatter": 1, "level": 1, "log_curvature": 1, "log_curvature_spread": 1,
    "log_sharpness": 1, "lean": 1, "log_depth": 1, "log_noise": 1, "noise_slope": 4, "log_jitter": 1,
    "log_unevenness": 1, "log_misfit": 1, "log_tails": 1,
}  # fmt: skip

Draw = dict[str, Any]


def law_location(draw: Draw, cells: Cells) -> Float[Array, " s"]:
    """log B_opt of the law, without the scatter between series."""
    intercept = cells.origin + draw["intercept"][..., 0]
    power = intercept + cells.factors @ draw["slope"]
    scale = cells.log_examples - jnp.log(1 + jnp.exp(intercept + cells.log_friction - cells.log_rate))
    return jnp.where(cells.is_power > 0, power, scale)


class CellLaw(NamedTuple):
    """Of cells: how far the mean logit lies below its peak, σ² of a run, ω and ν."""

    below: Array
    variance: Array
    misfit: Array
    tails: Array


def cell_law(draw: Draw, u: Array, curvature: Array, noise: Array) -> CellLaw:
    """The law of cells at u = log B − log B_opt.

    Args:
        u, curvature, noise: that broadcast against each other; noise: σ² of a run at a flat place, ``flat_noise``.
    """
    sharpness, depth = jnp.exp(draw["log_sharpness"]), jnp.exp(draw["log_depth"])
    ratio = 0.5 + jnp.tanh(draw["lean"])
    p, q = ratio * sharpness, (1 - ratio) * sharpness
    d = curvature * (_growth(p, u) + _growth(q, -u)) / sharpness
    left = jnp.exp(-d / depth)
    slope = left * curvature * (jnp.exp(_clipped(p * u)) - jnp.exp(_clipped(-q * u))) / sharpness
    below = depth * (1 - left)
    variance = noise + (jnp.exp(draw["log_jitter"]) * slope) ** 2 + (jnp.exp(draw["log_unevenness"]) * below) ** 2
    return CellLaw(below, variance, jnp.exp(draw["log_misfit"]) * below, jnp.exp(draw["log_tails"]))


def _growth(rate: Array, u: Array) -> Array:
    """(e^{pu} − 1)/p; u at p = 0."""
    small = jnp.abs(rate) < 1e-5
    # exp − 1 is exact enough here, and several times faster than expm1.
    return jnp.where(small, u * (1 + rate * u / 2), (jnp.exp(_clipped(rate * u)) - 1) / jnp.where(small, 1.0, rate))


def _clipped(exponent: Array) -> Array:
    """Keeps gradients finite."""
    return jnp.clip(exponent, -50.0, 50.0)


def series_parameters(draw: Draw, cells: Cells) -> tuple[Array, Array, Array]:
    """log B_opt, A and c of each series."""
    location = law_location(draw, cells) + cells.scatters * jnp.exp(draw["log_scatter"]) * draw["scatter"]
    level = draw["level_of_series"]
    curvature = jnp.exp(draw["log_curvature"] + jnp.exp(draw["log_curvature_spread"]) * draw["curvature_of_series"])
    return location, level, curvature


def flat_noise(draw: Draw, cells: Cells) -> Float[Array, "s g"]:
    """σ² of the logit of one run in each cell, where the curve is flat."""
    slopes = draw["noise_slope"]
    log_sigma = draw["log_noise"] + slopes[0] * (cells.log_batch - cells.centre) + (cells.factors @ slopes[1:])[:, None]
    return jnp.exp(2 * log_sigma) + cells.floor


def log_gamma(x: Array) -> Array:
    """log Γ(x) by Stirling's series after four steps up, within 3e-8 for x > 0: jax's own is slow to compile."""
    z = x + 4
    series = 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)
    return (z - 0.5) * jnp.log(z) - z + 0.9189385332046727 + series - jnp.log(x * (x + 1) * (x + 2) * (x + 3))


def cell_log_density(
    mean: Array, within: Array, count: Array, mu: Array, variance: Array, misfit: Array, tails: Array
) -> Array:
    """log density of the runs of a cell: multivariate t_ν(μ, σ²I + ω²11ᵀ), by its mean and sum of squares; 0 for
    none."""
    of_mean = variance + count * misfit**2
    distance = within / variance + count * (mean - mu) ** 2 / of_mean
    determinant = (count - 1) * jnp.log(variance) + jnp.log(of_mean)
    normaliser = log_gamma((tails + count) / 2) - log_gamma(tails / 2) - count / 2 * jnp.log(jnp.pi * tails)
    return normaliser - determinant / 2 - (tails + count) / 2 * jnp.log(1 + distance / tails)


def log_likelihood(draw: Draw, cells: Cells) -> Float[Array, "s g"]:
    """log density of each cell."""
    location, level, curvature = series_parameters(draw, cells)
    u = cells.log_batch - location[:, None]
    law = cell_law(draw, u, curvature[:, None], flat_noise(draw, cells))
    mu = level[:, None] - law.below
    return cell_log_density(cells.mean, cells.within, cells.count, mu, law.variance, law.misfit, law.tails)


def split(standard: Any) -> Draw:
    """A vector (..., n) of standard normal variables as the model's, on the scale of their priors, but for the
    levels."""
    draw, first = {}, 0
    series = (standard.shape[-1] - sum(GLOBALS.values())) // 2
    for name, size in (GLOBALS | {"scatter": series, "curvature_of_series": series}).items():
        part = standard[..., first : first + size]
        draw[name] = PRIORS[name][0] + PRIORS[name][1] * part if name in PRIORS else part
        first += size
    return draw


def centred(cells: Cells) -> Array:
    """Series whose variable ``scatter`` is log B_opt itself: of a peak that the cells pin down, τ z makes a funnel."""
    return (cells.inside > 0) & (cells.scatters > 0)


def standardised(draw: Draw, cells: Cells) -> Draw:
    """The draw with z for log B_opt where that was the variable."""
    z = (draw["scatter"] - law_location(draw, cells)) / jnp.exp(draw["log_scatter"])
    return draw | {"scatter": jnp.where(centred(cells), z, draw["scatter"])}


def model(cells: Cells) -> None:
    """The NumPyro model: standard normal variables (non-centred), but for the levels and the peaks inside the grid,
    which the data pin down.

    One vector holds them all, as a site for each would compile four times as long.
    """
    import numpyro
    from numpyro.distributions import Normal

    series = cells.mean.shape[0]
    size = sum(GLOBALS.values()) + 2 * series
    draw = split(numpyro.sample("standard", Normal(0, 1).expand([size]).to_event(1)))
    law = Normal(draw["level"][0], PRIORS["level_spread"][1]).expand([series]).to_event(1)
    draw["level_of_series"] = numpyro.sample("level_of_series", law)
    peaks = Normal(law_location(draw, cells), jnp.exp(draw["log_scatter"])).log_prob(draw["scatter"])
    numpyro.factor("peaks", jnp.sum(jnp.where(centred(cells), peaks - Normal(0, 1).log_prob(draw["scatter"]), 0.0)))
    numpyro.factor("cells", log_likelihood(standardised(draw, cells), cells).sum())
