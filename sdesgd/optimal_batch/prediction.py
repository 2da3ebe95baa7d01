"""What the draws say of B_opt and of accuracy, at the table's series and at others."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import expit

from sdesgd.errors import InputError, shown
from sdesgd.evidence.samples import check_probability
from sdesgd.inputs import as_float64, check_number
from sdesgd.optimal_batch.cells import Cells, of_series
from sdesgd.optimal_batch.factors import FACTORS
from sdesgd.optimal_batch.model import CellLaw, Draw, cell_law, flat_noise, series_parameters
from sdesgd.optimal_batch.table import AccuracyTable
from sdesgd.types import RealScalarLike

Draws = dict[str, Float[np.ndarray, "chains n _"]]
# A peak with more posterior than this beyond the grid is a bound.
LARGEST_SHARE_BEYOND = 0.05
_SEARCH = 1000.0  # η is sought within this factor of the table's
_SEED = 20180214  # of the scatter of series not seen: fixed, so that a posterior gives one answer


@dataclasses.dataclass(frozen=True)
class Peak:
    """B_opt of a series: posterior median and interval, and the share of the posterior outside the grid.

    ``censored`` is "low", "high" or "both" if more than 5 % lies below, above, or on either side of the batch sizes
    that
    were sampled: then only the other end of the interval is a finding, the rest is prior and law.
    """

    median: float
    low: float
    high: float
    below: float
    above: float
    censored: str

    def __str__(self) -> str:
        bound = {"": "", "low": ", a bound from above", "high": ", a bound from below", "both": ", open at both ends"}
        return f"B_opt = {self.median:.3g} [{self.low:.3g}, {self.high:.3g}]{bound[self.censored]}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Band:
    """Posterior median and interval of B_opt at each value of a factor."""

    values: Float[np.ndarray, " v"]
    median: Float[np.ndarray, " v"]
    low: Float[np.ndarray, " v"]
    high: Float[np.ndarray, " v"]

    def __repr__(self) -> str:
        ends = [f"{self.median[k]:.3g} [{self.low[k]:.3g}, {self.high[k]:.3g}]" for k in (0, -1)]
        return f"B_opt from {ends[0]} at {self.values[0]:g} to {ends[1]} at {self.values[-1]:g}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CurveBand:
    """Accuracy against B: median and interval of the mean curve, and interval of one more run in a new cell."""

    batch_sizes: Float[np.ndarray, " b"]
    median: Float[np.ndarray, " b"]
    low: Float[np.ndarray, " b"]
    high: Float[np.ndarray, " b"]
    run_low: Float[np.ndarray, " b"]
    run_high: Float[np.ndarray, " b"]

    def __repr__(self) -> str:
        k = int(np.argmax(self.median))
        best = f"{self.median[k]:.4g} [{self.low[k]:.4g}, {self.high[k]:.4g}]"
        return f"accuracy at {len(self.batch_sizes)} batch sizes, the highest {best} at B = {self.batch_sizes[k]:g}"


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A batch size or a learning rate: posterior median and interval; ``extrapolation`` says in what, or is ""."""

    median: float
    low: float
    high: float
    level: float
    extrapolation: str

    def __str__(self) -> str:
        text = f"{self.median:.3g} ({self.level:.0%} interval {self.low:.3g} to {self.high:.3g})"
        return text + (f"; {self.extrapolation}" if self.extrapolation else "")


def quantiles(values: np.ndarray, level: RealScalarLike) -> tuple[float, float, float]:
    """Median, low and high end of the central interval."""
    check_probability(level, "level")
    middle, low, high = np.quantile(values, [0.5, 0.5 - level / 2, 0.5 + level / 2])
    return float(middle), float(low), float(high)


def law_at(
    draws: Draws, cells: Cells, table: AccuracyTable, factors: Float[np.ndarray, "v 3"]
) -> Float[np.ndarray, "draws v"]:
    """log B_opt of the law at rows of (log η, log N, −log(1−m)), without scatter, for all draws."""
    intercept = draws["intercept"].reshape(-1, 1) + float(cells.origin)
    if cells.is_power:
        return intercept + draws["slope"].reshape(-1, 3) @ (factors - table.factors.mean(axis=0)).T
    return factors[:, 1] - np.logaddexp(0.0, intercept - factors[:, 2] - factors[:, 0])


def locations(draws: Draws, cells: Cells) -> Float[np.ndarray, "chains n series"]:
    """log B_opt of each series of the table."""
    intercept = draws["intercept"] + float(cells.origin)
    if cells.is_power:
        law = intercept + draws["slope"] @ cells.factors.T
    else:
        law = cells.log_examples - np.logaddexp(0.0, intercept + cells.log_friction - cells.log_rate)
    return law + float(cells.scatters) * np.exp(draws["log_scatter"]) * draws["scatter"]


def factors_of(learning_rate: Any, num_examples: Any, momentum: Any) -> Float[np.ndarray, "v 3"]:
    """Rows of log η, log N and −log(1−m).

    Raises:
        InputError: η or N not positive, m outside [0, 1).
    """
    accepted = (
        ("learning_rate", learning_rate, lambda x: x > 0, "η > 0"),
        ("num_examples", num_examples, lambda x: x >= 1, "N ≥ 1"),
        ("momentum", momentum, lambda x: (x >= 0) & (x < 1), "m in [0, 1)"),
    )
    columns = []
    for name, given, good, what in accepted:
        values = np.atleast_1d(as_float64(given, name))
        if values.ndim != 1 or not values.size or not (good(values) & np.isfinite(values)).all():
            raise InputError(f"{name} is {shown(values)}: pass {what}, a number or a vector")
        columns.append(values)
    try:
        eta, examples, m = np.broadcast_arrays(*columns)
    except ValueError:
        raise InputError("learning_rate, num_examples and momentum have lengths that differ: pass one vector") from None
    return np.stack([np.log(eta), np.log(examples), -np.log1p(-m)], axis=1)


def peak(batch_opt: np.ndarray, sampled: np.ndarray, level: RealScalarLike) -> Peak:
    """The posterior of one series' B_opt against the batch sizes that it was sampled at."""
    middle, low, high = quantiles(batch_opt, level)
    below = float(np.mean(batch_opt < sampled.min())) if sampled.size else 1.0
    above = float(np.mean(batch_opt > sampled.max())) if sampled.size else 1.0
    if np.isnan(batch_opt).any():  # a NaN is on no side of the grid
        below = above = math.nan
    out = (below > LARGEST_SHARE_BEYOND, above > LARGEST_SHARE_BEYOND)
    return Peak(middle, low, high, below, above, {(1, 1): "both", (1, 0): "low", (0, 1): "high"}.get(out, ""))


def band(values: np.ndarray, location: Float[np.ndarray, "draws v"], level: RealScalarLike) -> Band:
    """Quantiles over draws of exp(location)."""
    middle, low, high = np.exp(np.quantile(location, [0.5, 0.5 - level / 2, 0.5 + level / 2], axis=0))
    return Band(values, middle, low, high)


def cell_laws(draws: Draws, cells: Cells) -> tuple[np.ndarray, np.ndarray, CellLaw]:
    """u = log B − log B_opt, μ and the law of every cell, (draws, series, places) each, in double precision."""
    flat = {name: values.reshape(-1, values.shape[-1]) for name, values in draws.items()}
    with jax.enable_x64(True):
        data = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (flat, cells))
        return jax.tree.map(np.asarray, _cell_laws(*data))


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None))
def _cell_laws(draw: Draw, cells: Cells) -> tuple[Array, Array, CellLaw]:
    location, level, curvature = series_parameters(draw, cells)
    u = cells.log_batch - location[:, None]
    law = cell_law(draw, u, curvature[:, None], flat_noise(draw, cells))
    return u, level[:, None] - law.below, law


def curve(draws: Draws, cells: Cells, index: int, batch: Float[np.ndarray, " b"], level: RealScalarLike) -> CurveBand:
    """Bands of accuracy of series ``index``."""
    there = of_series(cells, index)._replace(log_batch=np.log(batch)[None], floor=np.zeros((1, len(batch))))
    own = {name: draws[name][..., [index]] for name in ("scatter", "curvature_of_series", "level_of_series")}
    _, mu, law = cell_laws(draws | own, there)
    mean = mu[:, 0]
    rng = np.random.default_rng(_SEED)
    tails = np.broadcast_to(law.tails, mean.shape)
    spread = np.hypot(np.sqrt(law.variance[:, 0]), law.misfit[:, 0])
    run = mean + np.sqrt(tails / rng.chisquare(tails)) * spread * rng.standard_normal(mean.shape)
    ends = [0.5 - level / 2, 0.5 + level / 2]
    middle, low, high = expit(np.quantile(mean, [0.5, *ends], axis=0))
    run_low, run_high = expit(np.quantile(run, ends, axis=0))
    return CurveBand(batch, middle, low, high, run_low, run_high)


def recommend_batch(
    draws: Draws, cells: Cells, table: AccuracyTable, eta: Any, examples: Any, momentum: Any, level: RealScalarLike
) -> Recommendation:
    """Quantiles of log B_opt + τ z of a new series, held in [1, N]."""
    _check_scalars(learning_rate=eta, num_examples=examples, momentum=momentum)
    eta, examples, momentum = float(eta), float(examples), float(momentum)
    factors = factors_of(eta, examples, momentum)
    middle, low, high = np.exp(quantiles(_new_series(draws, cells, table, factors), level))
    outside = _outside(table, factors[0])
    grid = np.exp(cells.log_batch[cells.count > 0])
    if not grid.min() <= middle <= grid.max():
        outside.append(f"B={middle:.3g} is beyond the sampled {grid.min():g}…{grid.max():g}")
    if middle > examples:
        outside.append(f"the law's B={middle:.3g} exceeds N={examples:g}")
    middle, low, high = (float(np.clip(value, 1.0, examples)) for value in (middle, low, high))
    return Recommendation(middle, low, high, float(level), "; ".join(outside))


def recommend_rate(
    draws: Draws, cells: Cells, table: AccuracyTable, batch: Any, examples: Any, momentum: Any, level: RealScalarLike
) -> Recommendation:
    """The η whose new series has B_opt = B in the median, and those whose interval holds B."""
    _check_scalars(batch_size=batch, num_examples=examples, momentum=momentum)
    batch, examples, momentum = float(batch), float(examples), float(momentum)
    edges = math.log(table.learning_rate.min() / _SEARCH), math.log(table.learning_rate.max() * _SEARCH)
    grid = np.linspace(*edges, 801)
    location = _new_series(draws, cells, table, factors_of(np.exp(grid), examples, momentum))
    middle, low, high = np.quantile(location, [0.5, 0.5 - level / 2, 0.5 + level / 2], axis=0)
    gap = middle - math.log(batch)
    crossings = np.flatnonzero(gap[:-1] * gap[1:] <= 0)
    if not len(crossings):
        raise InputError(
            f"no learning rate within a factor {_SEARCH:g} of the table's has its best batch size at {batch:g}: "
            "B_opt hardly depends on η here, or B is out of reach; recommend B for your η instead"
        )
    at = crossings[0]
    root = grid[at] - gap[at] * (grid[at + 1] - grid[at]) / (gap[at + 1] - gap[at] or 1.0)
    holds = np.flatnonzero((low <= math.log(batch)) & (math.log(batch) <= high))
    first, last = (holds[0], holds[-1]) if len(holds) else (at, at + 1)
    outside = _outside(table, np.array([root, *factors_of(1.0, examples, momentum)[0, 1:]]))
    sampled = np.exp(cells.log_batch[cells.count > 0])
    if not sampled.min() <= batch <= sampled.max():
        outside.append(f"B={batch:g} is beyond the sampled {sampled.min():g}…{sampled.max():g}")
    return Recommendation(
        math.exp(root),
        0.0 if first == 0 else math.exp(grid[first]),
        math.inf if last == len(grid) - 1 else math.exp(grid[last]),
        float(level),
        "; ".join(outside),
    )


def _check_scalars(**values: Any) -> None:
    accepted = {
        "learning_rate": ("η > 0", lambda x: x > 0),
        "batch_size": ("B > 0", lambda x: x > 0),
        "num_examples": ("N ≥ 1", lambda x: x >= 1),
        "momentum": ("m in [0, 1)", lambda x: 0 <= x < 1),
    }
    for name, value in values.items():
        check_number(name, value, *accepted[name])


def _new_series(draws: Draws, cells: Cells, table: AccuracyTable, factors: np.ndarray) -> Float[np.ndarray, "draws v"]:
    tau = np.exp(draws["log_scatter"]).reshape(-1, 1)
    scatter = tau * np.random.default_rng(_SEED).standard_normal(tau.shape)
    if not cells.scatters:  # τ is the prior's, and the one series itself has none
        scatter = scatter * (np.abs(factors - table.factors) > 1e-9).any(axis=1)
    return law_at(draws, cells, table, factors) + scatter


def _outside(table: AccuracyTable, factors: Float[np.ndarray, " 3"]) -> list[str]:
    """The factors that lie beyond the table's range, as text."""
    known, found = table.factors, []
    for j, factor in enumerate(FACTORS):
        low, high = known[:, j].min(), known[:, j].max()
        if not low - 1e-9 <= factors[j] <= high + 1e-9:
            low, value, high = (factor.inverse(math.exp(v)) for v in (low, factors[j], high))
            found.append(f"{factor.symbol}={value:.3g} is beyond the table's {low:.3g}…{high:.3g}")
    return found
