"""Which law predicts series that it hasn't seen: expected log predictive density by cross-validation over series."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from sdesgd.dynamics import check_positive_integer
from sdesgd.errors import InputError
from sdesgd.optimal_batch.cells import LAWS, Cells, make_cells
from sdesgd.optimal_batch.model import PRIORS, Draw, cell_law, cell_log_density, flat_noise, law_location
from sdesgd.optimal_batch.sampling import sample_posterior
from sdesgd.optimal_batch.table import AccuracyTable

_LEAST_SERIES = 6
# Trapezoidal nodes in standard deviations: of z, of log c, of the level about its Gaussian guess. Spacings up to one
# posterior standard deviation leave errors below 1e-8.
_SCATTER, _CURVATURE, _LEVEL = np.linspace(-4.5, 4.5, 61), np.linspace(-3.5, 3.5, 21), np.linspace(-9.0, 9.0, 21)


@dataclasses.dataclass(frozen=True, eq=False)
class LawComparison:
    """How well each law predicts held-out series.

    Attributes:
        density: log predictive density of each series' runs, {law: (series,)}, from a fit without its fold.
        folds: the fold of each series. difference: Σ over series of power − noise_scale.
        standard_error: of the difference, paired over series: √(series) × their standard deviation.
        r_hat: the worst of the slopes and intercepts over all fits.
        verdict: "power", "noise_scale", or "undecided" when |difference| < 2 standard errors.
    """

    density: dict[str, Float[np.ndarray, " s"]]
    folds: Int[np.ndarray, " s"]
    difference: float
    standard_error: float
    r_hat: float
    verdict: str


def compare_laws(
    table: AccuracyTable,
    key: PRNGKeyArray,
    *,
    folds: int = 5,
    samples: int = 300,
    warmup: int = 500,
    chains: int = 2,
    draws: int = 100,
) -> LawComparison:
    """Σ_s log p(runs of series s | the other folds' series) of both laws, and the difference with its standard error.

    A held-out series' own z, A and c are integrated over their laws between series, by quadrature; only the globals
    come from the fit. Folds are dealt along the order of (N, m, η), so each holds out series from all over the design.

    Assumes that series are independent given the law; with fewer than about 20 the standard error is itself rough,
    and the sum over few series leans on their being alike.

    Args:
        table: of at least six series. key: of ``jax.random.key``. folds: 2 to the number of series.
        samples, warmup, chains: of each of the 2·folds fits, which run in one call. draws: how many enter the average.

    Raises:
        InputError: too few series or folds.

    Source: Vehtari, Gelman & Gabry 2017, Statistics and Computing 27 (section 2; the standard error, eq. 23-24).
    """
    from numpyro.diagnostics import split_gelman_rubin

    number = len(table.series)
    for name, value in (
        ("folds", folds),
        ("samples", samples),
        ("warmup", warmup),
        ("chains", chains),
        ("draws", draws),
    ):
        check_positive_integer(name, value)
    if number < _LEAST_SERIES:
        raise InputError(
            f"the table has {number} series: comparing laws by held-out series needs {_LEAST_SERIES} or more"
        )
    if not 2 <= folds <= number or draws > samples * chains:
        raise InputError(f"folds={folds}, draws={draws}: pass 2 to {number} folds and at most {samples * chains} draws")
    fold_of = np.empty(number, int)
    order, rng_key = np.arange(number), jr.fold_in(key, 0)
    for block in range(0, number, folds):
        dealt = np.asarray(jr.permutation(jr.fold_in(rng_key, block), folds))
        fold_of[order[block : block + folds]] = dealt[: len(order[block : block + folds])]
    with jax.enable_x64(True):
        whole = {law: jax.tree.map(lambda leaf: jnp.asarray(leaf, float), make_cells(table, law)) for law in LAWS}
        hidden = [
            cells._replace(count=jnp.where(jnp.asarray(fold_of == fold)[:, None], 0.0, cells.count))
            # What isn't counted must not reach the likelihood by its sum of squares either.
            ._replace(within=jnp.where(jnp.asarray(fold_of == fold)[:, None], 0.0, cells.within))
            for cells in whole.values()
            for fold in range(folds)
        ]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *hidden)
        keys = jr.split(jr.fold_in(key, 1), len(hidden))
        drawn, _, _ = sample_posterior(stacked, keys, chains=chains, warmup=warmup, samples=samples)
        watched = np.concatenate([drawn["slope"], drawn["intercept"], drawn["log_scatter"]], axis=-1)
        r_hat = float(max(np.max(split_gelman_rubin(fit)) for fit in watched))
        chosen = np.linspace(0, samples * chains - 1, draws).astype(int)
        density = {}
        for place, (law, cells) in enumerate(whole.items()):
            density[law] = np.empty(number)
            for fold in range(folds):
                globals_ = {
                    name: jnp.asarray(values[place * folds + fold].reshape(samples * chains, -1)[chosen])
                    for name, values in drawn.items()
                }
                held = np.asarray(_densities(globals_, cells))
                density[law][fold_of == fold] = held[fold_of == fold]
    paired = density["power"] - density["noise_scale"]
    difference, error = float(paired.sum()), float(math.sqrt(number) * paired.std(ddof=1))
    verdict = "undecided" if abs(difference) < 2 * error else "power" if difference > 0 else "noise_scale"
    return LawComparison(density, fold_of, difference, error, r_hat, verdict)


@jax.jit
def _densities(draws: Draw, cells: Cells) -> Float[Array, " s"]:
    """log of the mean over draws of p(runs of a series | globals), for each series."""
    each = jax.lax.map(lambda draw: _of_series(draw, cells), draws)
    return logsumexp(each, axis=0) - math.log(each.shape[0])


def _of_series(draw: Draw, cells: Cells) -> Float[Array, " s"]:
    location = law_location(draw, cells)
    variance = flat_noise(draw, cells)
    rows = (location, variance, cells.log_batch, cells.mean, cells.within, cells.count)
    return jax.lax.map(lambda row: _integral(draw, *row), rows)


def _integral(
    draw: Draw, location: Array, variance: Array, log_batch: Array, mean: Array, within: Array, count: Array
) -> Array:
    """log ∫ p(cells | z, c, A) dP(z, c, A): a product grid of z and log c, and of A about its weighted mean there."""
    place = location + jnp.exp(draw["log_scatter"]) * _SCATTER
    curvature = jnp.exp(draw["log_curvature"] + jnp.exp(draw["log_curvature_spread"]) * _CURVATURE)
    below, variance, misfit, tails = cell_law(draw, log_batch - place[:, None, None], curvature[:, None], variance)
    spread = PRIORS["level_spread"][1]
    weight = count / (variance + count * misfit**2)
    precision = weight.sum(-1) + 1 / spread**2
    guess = ((weight * (mean + below)).sum(-1) + draw["level"] / spread**2) / precision
    width = 1 / jnp.sqrt(precision)
    level = guess[..., None] + width[..., None] * _LEVEL
    cells = cell_log_density(
        mean, within, count, level[..., None] - below[..., None, :], variance[..., None, :], misfit[..., None, :], tails
    ).sum(-1)
    prior = -0.5 * ((level - draw["level"]) / spread) ** 2 - 0.5 * math.log(2 * math.pi) - math.log(spread)
    normal = -0.5 * _SCATTER[:, None, None] ** 2 - 0.5 * _CURVATURE[None, :, None] ** 2 - math.log(2 * math.pi)
    steps = (_SCATTER[1] - _SCATTER[0]) * (_CURVATURE[1] - _CURVATURE[0]) * (_LEVEL[1] - _LEVEL[0])
    return logsumexp(cells + prior + normal + jnp.log(width)[..., None]) + math.log(steps)
