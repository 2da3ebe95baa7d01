"""Which law predicts series that it hasn't seen: expected log predictive density, one series left out."""

import dataclasses
import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float
from scipy.special import logsumexp

from sdesgd.errors import InputError, shown
from sdesgd.extras import require
from sdesgd.inputs import as_key, check_positive_integer
from sdesgd.optimal_batch.cells import Cells, of_series
from sdesgd.optimal_batch.model import PRIORS, Draw, cell_law, cell_log_density, flat_noise, law_location
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.sampling import sample_posterior
from sdesgd.optimal_batch.table import COLUMNS, AccuracyTable
from sdesgd.results import Result
from sdesgd.types import PRNGKeyArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_LEAST_SERIES = 6
_LARGEST_R_HAT = 1.1
_CHAINS = 2  # of a fit without one series
# Trapezoidal nodes: of log B_opt about the law, in units of τ, and about the series' best cell; in standard deviations
# of log c, and of the level about its Gaussian guess.
_LAW, _NEAR = np.linspace(-6.0, 6.0, 49), np.linspace(-1.5, 1.5, 61)
_CURVATURE, _LEVEL = np.linspace(-3.5, 3.5, 21), np.linspace(-6.0, 6.0, 13)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LawComparison(Result):
    """How well each law predicts series that it hasn't seen.

    Attributes:
        density: log predictive density of each series' runs given all others, {law: (series,)}.
        pareto_k: k̂ of the importance weights, {law: (series,)}; where it is too large the density is from a fit of
            its own.
        refits: how many were fitted so. r_hat: the worst of their slopes and intercepts; NaN without any.
        difference: Σ over series of power − noise_scale.
        standard_error: of the difference, paired over series: √(series) × their standard deviation.
        verdict: "power", "noise_scale", or "undecided": |difference| < 2 standard errors, or chains that didn't mix.
        series: names of the series.
    """

    density: dict[str, Float[np.ndarray, " s"]]
    pareto_k: dict[str, Float[np.ndarray, " s"]]
    refits: int
    r_hat: float
    difference: float
    standard_error: float
    verdict: str
    series: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = {"power": "the power law predicts better", "noise_scale": "the one-parameter law predicts better"}
        verdict = named.get(self.verdict, "undecided, within two standard errors")
        if self.r_hat > _LARGEST_R_HAT:
            verdict = f"undecided, fits without a series haven't mixed (R-hat {self.r_hat:.2f})"
        largest = max(float(k.max()) for k in self.pareto_k.values())
        return (
            f"Left-out series, log predictive density: power law − one-parameter law = {self.difference:+.1f} ± "
            f"{self.standard_error:.1f} (standard error over {len(self.density['power'])} series; largest Pareto k "
            f"{largest:.2f}, {self.refits} refits): {verdict}."
        )

    def plot(self) -> "Figure":
        """By how much each law predicts each series better."""
        from sdesgd.plot.law_comparison import comparison_figure

        return comparison_figure(self)

    def to_xarray(self) -> "xr.Dataset":
        """Log predictive densities and k̂, (law, series)."""
        import xarray as xr

        numbers = {"log_density": self.density, "pareto_k": self.pareto_k}
        about = {name: getattr(self, name) for name in ("difference", "standard_error", "refits", "r_hat", "verdict")}
        return xr.Dataset(
            {name: (("law", "series"), np.stack(list(values.values()))) for name, values in numbers.items()},
            coords={"law": list(self.density)} | ({"series": list(self.series)} if self.series else {}),
            attrs=about,
        )


def compare_laws(
    power: Posterior,
    noise_scale: Posterior,
    *,
    key: PRNGKeyArray,
    draws: int = 300,
    samples: int = 400,
    warmup: int = 400,
) -> LawComparison:
    """Σ_s log p(runs of series s | all other series) of both laws, and the difference with its standard error.

    A left-out series' own z, A and c are integrated over their laws between series, by quadrature; what the others say
    of the globals comes from the fits to all series, reweighted by 1/p(runs of s | globals), Pareto-smoothed. Where the
    weights are too uneven for that (k̂ > min(1 − 1/log₁₀ draws, 0.7)), the law is fitted anew without the series.

    Assumes that series are independent given the law; with fewer than about 20 the standard error is itself rough,
    and the sum over few series leans on their being alike.

    Args:
        power, noise_scale: fits of the two laws to one table of at least six series.
        key: of ``jax.random.key``, for the new fits. draws: how many of each posterior enter.
        samples, warmup: of the new fits, two chains each.

    Raises:
        InputError: other laws, two tables, too few series.

    Source: Vehtari, Gelman & Gabry 2017, Statistics and Computing 27 (section 2; the standard error, eq. 23-24);
    Vehtari et al. 2024, JMLR 25 (k̂).
    """
    require("arviz_stats", "numpyro")
    from arviz_stats.base.array import array_stats

    for name, value in (("draws", draws), ("samples", samples), ("warmup", warmup)):
        check_positive_integer(name, value)
    key = as_key(key)
    fits = {"power": power, "noise_scale": noise_scale}
    for law, fit in fits.items():
        if not isinstance(fit, Posterior):
            raise InputError(f'{law} is {shown(fit)}: pass a Posterior, as of fit(table, "{law}")')
        if fit.law != law:
            raise InputError(f"the fit of the law '{fit.law}' was given as {law}: pass fit(table, \"{law}\")")
    if not _same(power.table, noise_scale.table):
        raise InputError("the laws were fitted to two tables: fit both to one")
    number = len(power.table.series)
    if number < _LEAST_SERIES:
        raise InputError(
            f"the table has {number} series: comparing laws by left-out series needs {_LEAST_SERIES} or more"
        )
    density, pareto_k, again = {}, {}, []
    for law, fit in fits.items():
        total = fit.batch_opt.shape[0] * fit.batch_opt.shape[1]
        chosen = np.linspace(0, total - 1, min(draws, total)).astype(int)
        each = densities({name: v.reshape(total, -1)[chosen] for name, v in fit.draws.items()}, fit.cells)
        # psislw takes the log likelihood, and weights by its inverse.
        weights, pareto_k[law] = (np.asarray(x) for x in array_stats.psislw(each.T, axis=-1))
        density[law] = logsumexp(weights + each.T, axis=-1)
        again += [(law, s) for s in range(number) if not pareto_k[law][s] <= _largest_k(len(chosen))]
    r_hat = math.nan
    if again:
        left_out = [_without(fits[law].cells, s) for law, s in again]
        found, r_hat = _refitted(left_out, key, samples, warmup)
        for (law, s), globals_ in zip(again, found, strict=True):
            total = globals_["slope"].shape[0]
            chosen = np.linspace(0, total - 1, min(draws, total)).astype(int)
            each = densities({name: v[chosen] for name, v in globals_.items()}, of_series(fits[law].cells, s))[:, 0]
            density[law][s] = np.logaddexp.reduce(each) - math.log(len(each))
    paired = density["power"] - density["noise_scale"]
    difference, error = float(paired.sum()), float(math.sqrt(number) * paired.std(ddof=1))
    mixed = (not again or r_hat <= _LARGEST_R_HAT) and not any(fit.trouble() for fit in fits.values())
    # Two laws that predict alike, to the last bit, differ by 0 ± 0.
    clear = abs(difference) >= 2 * error and difference != 0 and mixed
    verdict = ("power" if difference > 0 else "noise_scale") if clear else "undecided"
    names = tuple(series.name for series in power.table.series)
    return LawComparison(density, pareto_k, len(again), r_hat, difference, error, verdict, names)


def _same(one: AccuracyTable, other: AccuracyTable) -> bool:
    """Whether two tables hold the same runs; a fit that was loaded from a file has a table of its own."""
    if one is other:
        return True
    pairs = [(getattr(one, name), getattr(other, name)) for name in COLUMNS]
    return one.num_test == other.num_test and all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)


def _largest_k(draws: int) -> float:
    """Up to which k̂ that many draws give a reliable estimate."""
    return min(1 - 1 / math.log10(draws), 0.7)


def _without(cells: Cells, series: int) -> Cells:
    """The cells of all other series: what isn't counted must not reach the likelihood by its sum of squares either."""
    seen = np.arange(len(cells.count)) != series
    count, within = (np.where(seen[:, None], values, 0.0) for values in (cells.count, cells.within))
    return cells._replace(count=count, within=within, inside=np.where(seen, cells.inside, 0.0))


def _refitted(left_out: list[Cells], key: PRNGKeyArray, samples: int, warmup: int) -> tuple[list[Draw], float]:
    """The draws (draws, size) of each fit, and the worst R̂."""
    from numpyro.diagnostics import split_gelman_rubin

    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf, float) for leaf in leaves]), *left_out)
        keys = jr.split(key, len(left_out))
        drawn, _, _ = sample_posterior(stacked, keys, chains=_CHAINS, warmup=warmup, samples=samples)
    watched = np.concatenate([drawn["slope"], drawn["intercept"], drawn["log_scatter"]], axis=-1)
    r_hat = float(max(np.max(split_gelman_rubin(fit)) for fit in watched))
    flat = [{name: v[k].reshape(-1, v.shape[-1]) for name, v in drawn.items()} for k in range(len(left_out))]
    return flat, r_hat


def densities(draws: Draw, cells: Cells) -> Float[np.ndarray, "draws s"]:
    """log p(runs of a series | globals), its own z, A and c integrated out."""
    with jax.enable_x64(True):
        data = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (draws, cells))
        return np.asarray(_densities(*data))


@jax.jit
def _densities(draws: Draw, cells: Cells) -> Float[Array, "draws s"]:
    return jax.lax.map(lambda draw: _of_series(draw, cells), draws)


def _of_series(draw: Draw, cells: Cells) -> Float[Array, " s"]:
    location = law_location(draw, cells)
    variance = flat_noise(draw, cells)
    rows = (location, variance, cells.log_batch, cells.mean, cells.within, cells.count)
    return jax.lax.map(lambda row: _integral(draw, *row), rows)


def _integral(
    draw: Draw, location: Array, variance: Array, log_batch: Array, mean: Array, within: Array, count: Array
) -> Array:
    """log ∫ p(cells | b, c, A) dP(b, c, A), b = log B_opt: a product grid of b and log c, and of A about its weighted
    mean there."""
    tau = jnp.exp(draw["log_scatter"])
    best = log_batch[jnp.argmax(jnp.where(count > 0, mean, -jnp.inf))]
    place = jnp.sort(jnp.concatenate([location + tau * _LAW, best + _NEAR]))
    gap = jnp.diff(place)
    width_of_place = (jnp.append(gap, 0.0) + jnp.insert(gap, 0, 0.0)) / 2
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
    z = (place - location) / tau
    weight_of_place = jnp.log(jnp.maximum(width_of_place / tau, 1e-300)) - 0.5 * z**2
    normal = weight_of_place[:, None, None] - 0.5 * _CURVATURE[None, :, None] ** 2 - math.log(2 * math.pi)
    steps = (_CURVATURE[1] - _CURVATURE[0]) * (_LEVEL[1] - _LEVEL[0])
    return jax.nn.logsumexp(cells + prior + normal + jnp.log(width)[..., None]) + math.log(steps)
