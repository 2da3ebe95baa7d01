"""Posterior predictive checks: would the fitted model make a table like this one?"""

import numpy as np
from jaxtyping import Float

from sdesgd.errors import InputError, shown
from sdesgd.evidence.samples import check_seed
from sdesgd.optimal_batch.cells import make_cells
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.prediction import cell_laws
from sdesgd.optimal_batch.table import AccuracyTable

_DRAWS = 500
# Places relative to the peak, in log B: far and near on either side.
_EDGES = np.array([-3.0, -1.5, -0.5, 0.5, 1.5, 3.0])


def predictive_check(posterior: Posterior, table: AccuracyTable, *, seed: int = 0) -> dict[str, float]:
    """Bayesian p-values P(T(y_rep, θ) ≥ T(y, θ)) of four discrepancies; below 0.05 the model misses that feature.

    With r the residual of a cell's mean over its scale √(ω² + σ²/n):

        worst cell:    max |r|, an outlying cell
        shape:         Σ over bins of u = log B/B_opt of n_bin · (mean r)², a curve of another shape
        neighbours:    mean r of neighbouring batch sizes multiplied, residuals that hang together along a curve
        seed noise:    Σ over the same bins of n_bin · (mean of log(s²/σ²) less its overall mean)², noise that depends
        on u otherwise

    NaN where there is nothing to check: no two neighbouring cells, no cell with two runs that differ, or a residual
    that isn't finite.

    The data serve twice, for the fit and for the check, so that the p-values gather about ½: a small one counts for
    more than it says, a middling one proves little.

    Args:
        posterior: of ``fit``. table: the one that was fitted, or another of the same series and batch sizes.
        seed: of the replicated tables.

    Raises:
        InputError: a table of other series or batch sizes, a seed below 0.

    Source: Gelman, Meng & Stern 1996, Statistica Sinica 6.
    """
    if not isinstance(posterior, Posterior) or not isinstance(table, AccuracyTable):
        raise InputError(f"the arguments are {shown(posterior)}, {shown(table)}: pass a Posterior and an AccuracyTable")
    check_seed(seed)
    cells = make_cells(table, posterior.law)
    same = [(s.learning_rate, s.num_examples, s.momentum) for s in table.series] == [
        (s.learning_rate, s.num_examples, s.momentum) for s in posterior.table.series
    ]
    if not same or not np.array_equal(cells.log_batch, posterior.cells.log_batch):
        raise InputError("the table has other series or batch sizes than the fit: pass the fitted one, or one like it")
    total = posterior.batch_opt.shape[0] * posterior.batch_opt.shape[1]
    chosen = np.linspace(0, total - 1, min(_DRAWS, total)).astype(int)
    draws = {n: v.reshape(total, v.shape[-1])[chosen][None] for n, v in posterior.draws.items()}
    u, mu, law = cell_laws(draws, cells)
    tails = law.tails[..., None]
    rng, seen = np.random.default_rng(seed), cells.count > 0
    count = np.where(seen, cells.count, 1.0)
    scale = np.sqrt(law.misfit**2 + law.variance / count)
    spread = np.maximum(cells.count - 1, 0)
    widening = tails / rng.chisquare(np.broadcast_to(tails, mu.shape))
    residual = (cells.mean - mu) / scale
    replicated = np.sqrt(widening) * rng.standard_normal(mu.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.log(np.maximum(cells.within, 1e-300) / (np.maximum(spread, 1) * law.variance))
        noise_replicated = np.log(widening * rng.chisquare(np.maximum(spread, 1), mu.shape) / np.maximum(spread, 1))
    bins = np.digitize(u, _EDGES)
    # A cell with equal accuracies in all runs has no logarithm of its variance.
    several = seen & (spread > 0) & (cells.within > 0)
    pairs = (
        (residual, replicated, lambda r: np.max(np.where(seen, np.abs(r), 0.0), axis=(1, 2))),
        (residual, replicated, lambda r: _binned(r, bins, seen)),
        (residual, replicated, lambda r: _neighbours(r, seen)),
        (_centred(noise, several), _centred(noise_replicated, several), lambda r: _binned(r, bins, several)),
    )
    names = ("worst cell", "shape", "neighbours", "seed noise")
    return {name: _p_value(T(obs), T(rep)) for name, (obs, rep, T) in zip(names, pairs, strict=True)}


def _p_value(observed: Float[np.ndarray, " d"], replicated: Float[np.ndarray, " d"]) -> float:
    """The share of draws in which the replicated discrepancy is the larger; NaN if one isn't a number."""
    unknown = np.isnan(observed).any() or np.isnan(replicated).any()
    return float("nan") if unknown else float(np.mean(replicated >= observed))


def _binned(residual: Float[np.ndarray, "d s g"], bins: np.ndarray, seen: np.ndarray) -> Float[np.ndarray, " d"]:
    total = np.zeros(len(residual)) if seen.any() else np.full(len(residual), np.nan)
    for place in range(len(_EDGES) + 1):
        here = seen & (bins == place)
        number = here.sum(axis=(1, 2))
        total += np.where(here, residual, 0.0).sum(axis=(1, 2)) ** 2 / np.maximum(number, 1)
    return total


def _neighbours(residual: Float[np.ndarray, "d s g"], seen: np.ndarray) -> Float[np.ndarray, " d"]:
    both = seen[:, 1:] & seen[:, :-1]
    with np.errstate(invalid="ignore"):  # 0/0 without neighbours: NaN
        return np.where(both, residual[..., 1:] * residual[..., :-1], 0.0).sum(axis=(1, 2)) / np.float64(both.sum())


def _centred(noise: Float[np.ndarray, "d s g"], several: np.ndarray) -> Float[np.ndarray, "d s g"]:
    mean = np.where(several, noise, 0.0).sum(axis=(1, 2)) / max(several.sum(), 1)
    return np.where(several, noise - mean[:, None, None], 0.0)
