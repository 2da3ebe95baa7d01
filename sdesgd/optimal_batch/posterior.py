"""The posterior of a law for B_opt: its numbers with intervals, whether the chains mixed, and what it predicts."""

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.stats import norm
from typing_extensions import TypeAliasType

from sdesgd.errors import InputError, require_known, shown
from sdesgd.evidence.samples import check_probability
from sdesgd.inputs import as_float64
from sdesgd.optimal_batch import chains, prediction
from sdesgd.optimal_batch.cells import Cells
from sdesgd.optimal_batch.factors import FACTORS, factor
from sdesgd.optimal_batch.model import PRIORS
from sdesgd.optimal_batch.prediction import Band, CurveBand, Peak, Recommendation, quantiles
from sdesgd.optimal_batch.report import posterior_dataset, posterior_report
from sdesgd.optimal_batch.sampling import ACCEPTANCES
from sdesgd.optimal_batch.table import AccuracyTable, Series
from sdesgd.results import Result
from sdesgd.types import ArrayLike, RealScalarLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Reported name: variable of the model, its place, and whether the model has its logarithm.
_SOURCES = {
    **{one.exponent: ("slope", place, False) for place, one in enumerate(FACTORS)},
    "tau": ("log_scatter", 0, True),
    "intercept": ("intercept", 0, False), "c": ("intercept", 0, True), "curvature": ("log_curvature", 0, True),
    "sharpness": ("log_sharpness", 0, True), "lean": ("lean", 0, False), "depth": ("log_depth", 0, True),
    "noise": ("log_noise", 0, True), "jitter": ("log_jitter", 0, True),
    "unevenness": ("log_unevenness", 0, True), "misfit": ("log_misfit", 0, True),
    "tails": ("log_tails", 0, True),
}  # fmt: skip

# A series of the table: itself, its (η, N, m), or its place.
SeriesLike = TypeAliasType("SeriesLike", Series | tuple | int)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior(Result):
    """Draws of a law's parameters and of B_opt of each series, with what it takes to believe them.

    Attributes:
        table: the data. law: "power" or "noise_scale". cells: the arrays the model saw.
        varied: those of learning_rate, num_examples and momentum whose slopes the table can tell; others are left out.
        draws: the model's variables, {name: (chains, n, size)}; log scales as in ``PRIORS``.
        quantities: reported numbers, {name: (chains, n)}: alpha, beta, gamma (of varied factors; power law) or c
            (noise_scale); tau; intercept = log B_opt at the mean of log η, log N, log(1−m), less the middle of the
            grid (power);
            and of the curve and noise: curvature, sharpness, lean, depth, noise, jitter, unevenness, misfit, tails.
        batch_opt: B_opt of each series, (chains, n, series).
        r_hat, ess: split R̂ and effective sample size, {name: value}; of "B_opt" the worst over series.
        divergences: trajectories that left the energy surface.
        acceptance: the rate that NUTS aimed at; ``fit`` raises it while trajectories diverge.
    """

    parts: ClassVar[tuple[type, ...]] = (AccuracyTable, Cells)
    table: AccuracyTable
    law: str
    cells: Cells
    varied: tuple[str, ...]
    draws: dict[str, Float[np.ndarray, "chains n _"]]
    quantities: dict[str, Float[np.ndarray, "chains n"]]
    batch_opt: Float[np.ndarray, "chains n series"]
    r_hat: dict[str, float]
    ess: dict[str, float]
    divergences: int
    acceptance: float = ACCEPTANCES[0]

    @classmethod
    def from_draws(
        cls,
        table: AccuracyTable,
        law: str,
        cells: Cells,
        draws: dict[str, Float[np.ndarray, "chains n _"]],
        divergences: int,
        acceptance: float = ACCEPTANCES[0],
    ) -> "Posterior":
        """Names the quantities of a set of draws, and computes R̂ and ESS."""
        from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

        left_out = {one.exponent for one in FACTORS if one.option not in table.varied or law != "power"}
        left_out |= {"c"} if law == "power" else {"intercept"}
        left_out |= set() if cells.scatters else {"tau"}
        quantities = {}
        for name, (variable, place, is_log) in _SOURCES.items():
            if name not in left_out:
                values = draws[variable][..., place] + (float(cells.origin) if name == "c" else 0.0)
                quantities[name] = np.exp(values) if is_log else values
        location = prediction.locations(draws, cells)
        r_hat = {name: float(split_gelman_rubin(values)) for name, values in quantities.items()}
        ess = {name: float(effective_sample_size(values)) for name, values in quantities.items()}
        r_hat["B_opt"] = float(np.max(split_gelman_rubin(location)))
        ess["B_opt"] = float(np.min(effective_sample_size(location)))
        named = cells, table.varied, draws, quantities, np.exp(location)
        return cls(table, law, *named, r_hat, ess, divergences, acceptance)

    def __str__(self) -> str:
        return posterior_report(self)

    def plot(self) -> "Figure":
        """Accuracy against B with its bands, and B_opt against each of η, N and 1/(1−m) that varies."""
        from sdesgd.plot.optimal_batch import posterior_figure

        return posterior_figure(self)

    def to_xarray(self) -> "xr.Dataset":
        """Draws of ``quantities``, (chain, draw), and of B_opt, (chain, draw, series); R̂ and ESS."""
        return posterior_dataset(self)

    @property
    def mixed(self) -> bool:
        """Whether the chains agree and hold enough independent draws: R̂ ≤ 1.02 and ESS ≥ 400 for every quantity."""
        return chains.mixed(self.r_hat, self.ess)

    @property
    def divergent(self) -> bool:
        """Whether more than 0.1 % of the trajectories left the energy surface."""
        return chains.divergent(self.divergences, self.num_draws)

    @property
    def num_draws(self) -> int:
        """Draws of all chains."""
        return self.batch_opt.shape[0] * self.batch_opt.shape[1]

    def trouble(self) -> str:
        """Why the draws should not be used, in a line; "" if nothing is wrong: R̂ ≤ 1.02, ESS ≥ 400, divergences ≤
        0.1 %. It says which of the three."""
        return chains.complaint(self.r_hat, self.ess, self.divergences, self.num_draws, self.acceptance)

    def check(self) -> None:
        """Raises InputError with ``trouble()`` unless that is empty."""
        if trouble := self.trouble():
            raise InputError(trouble)

    def interval(self, name: str, level: RealScalarLike = 0.9) -> tuple[float, float]:
        """The central interval of a quantity that holds the share ``level`` of the posterior.

        Raises:
            InputError: not one of ``quantities`` (a slope whose factor doesn't vary is none); level not in (0, 1).
        """
        return quantiles(self._quantity(name), level)[1:]

    def median(self, name: str) -> float:
        """The posterior median of a quantity."""
        return quantiles(self._quantity(name), 0.5)[0]

    def prior_interval(self, name: str, level: RealScalarLike = 0.9) -> tuple[float, float]:
        """The same interval before the data."""
        self._quantity(name)
        check_probability(level, "level")
        variable, _, is_log = _SOURCES[name]
        mean, deviation = PRIORS[variable]
        mean += float(self.cells.origin) if name == "c" else 0.0
        ends = [float(norm.ppf(q, mean, deviation)) for q in (0.5 - level / 2, 0.5 + level / 2)]
        low, high = map(math.exp, ends) if is_log else ends
        return low, high

    def peak(self, series: SeriesLike, level: RealScalarLike = 0.9) -> Peak:
        """B_opt of a series of the table, and whether the grid holds it.

        Args:
            series: one of ``table.series``, its place among them, or (η, N, m).
        """
        check_probability(level, "level")
        index = self.index(series)
        sampled = np.exp(self.cells.log_batch[index][self.cells.count[index] > 0])
        return prediction.peak(self.batch_opt[..., index], sampled, level)

    def curve(self, series: SeriesLike, batch_sizes: ArrayLike, level: RealScalarLike = 0.9) -> CurveBand:
        """Accuracy against B: bands of the mean curve, and of one more run that doesn't diverge.

        Args:
            series: as for ``peak``. batch_sizes: B > 0, (b,).
        """
        check_probability(level, "level")
        batch = positive("batch_sizes", batch_sizes)
        return prediction.curve(self.draws, self.cells, self.index(series), batch, level)

    def line(
        self,
        name: str,
        values: ArrayLike,
        *,
        learning_rate: RealScalarLike | None = None,
        num_examples: RealScalarLike | None = None,
        momentum: RealScalarLike | None = None,
        level: RealScalarLike = 0.9,
    ) -> Band:
        """The law's B_opt against one factor, the others fixed: without the scatter τ between series.

        Args:
            name: "learning_rate", "num_examples" or "momentum". values: of that factor, (v,).
            learning_rate, num_examples, momentum: the fixed ones; by default the table's most common.

        Raises:
            InputError: an unknown name, or one given as fixed too; values out of range.
        """
        factor(name)
        check_probability(level, "level")
        fixed = {"learning_rate": learning_rate, "num_examples": num_examples, "momentum": momentum}
        if fixed[name] is not None:
            raise InputError(f"{name} is both the axis and fixed at {fixed[name]}: fix the other two")
        chosen = {n: self._commonest(n) if value is None else value for n, value in fixed.items()} | {name: values}
        factors = prediction.factors_of(chosen["learning_rate"], chosen["num_examples"], chosen["momentum"])
        location = prediction.law_at(self.draws, self.cells, self.table, factors)
        return prediction.band(np.atleast_1d(as_float64(values, name)), location, level)

    def recommend(
        self,
        learning_rate: RealScalarLike,
        num_examples: RealScalarLike,
        momentum: RealScalarLike,
        level: RealScalarLike = 0.9,
    ) -> Recommendation:
        """B_opt of a series that wasn't run, the scatter τ between series included; held between 1 and N."""
        check_probability(level, "level")
        return prediction.recommend_batch(
            self.draws, self.cells, self.table, learning_rate, num_examples, momentum, level
        )

    def recommend_rate(
        self,
        batch_size: RealScalarLike,
        num_examples: RealScalarLike,
        momentum: RealScalarLike,
        level: RealScalarLike = 0.9,
    ) -> Recommendation:
        """The η at which a batch size is the best: where the median of ``recommend`` is B; low and high enclose the η's
        whose interval holds B (Fieller's inversion), 0 or ∞ where they never leave it.

        Raises:
            InputError: η doesn't vary (power law); no η within a factor 1000 of the table's makes this B the median.
        """
        check_probability(level, "level")
        if self.law == "power" and "learning_rate" not in self.varied:
            raise InputError("learning_rate has one value in the table: sweep several to learn how B_opt depends on it")
        return prediction.recommend_rate(self.draws, self.cells, self.table, batch_size, num_examples, momentum, level)

    def index(self, series: SeriesLike) -> int:
        """The place of a series in ``table.series``."""
        known = self.table.series
        if isinstance(series, (int, np.integer)):
            if isinstance(series, bool) or not 0 <= series < len(known):
                raise InputError(f"series is {series}: pass 0 to {len(known) - 1}")
            return int(series)
        if isinstance(series, Series):
            series = (series.learning_rate, series.num_examples, series.momentum)
        keys = [(s.learning_rate, s.num_examples, s.momentum) for s in known]
        if not isinstance(series, tuple | list) or tuple(series) not in keys:
            raise InputError(
                f"no series {shown(series)} in the table: pass (η, N, m), one of {shown([s.name for s in known], 120)}"
            )
        return keys.index(tuple(series))

    def _quantity(self, name: str) -> Float[np.ndarray, "chains n"]:
        for one in FACTORS:
            if name == one.exponent and name not in self.quantities:
                why = (
                    "is no parameter of this law"
                    if self.law != "power"
                    else f"is not identified: {one.option} has one value"
                )
                raise InputError(f"{name} {why}: choose among {', '.join(self.quantities)}")
        return self.quantities[require_known("quantity", name, self.quantities)]

    def _commonest(self, name: str) -> float:
        values, counts = np.unique([getattr(series, name) for series in self.table.series], return_counts=True)
        return float(values[np.argmax(counts)])


def positive(name: str, values: ArrayLike) -> Float[np.ndarray, " b"]:
    """A vector of positive numbers, or InputError."""
    array = np.atleast_1d(as_float64(values, name, "positive numbers, (b,)"))
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array > 0)).all():
        raise InputError(f"{name} is {np.asarray(values)!s:.60}: pass positive numbers, (b,)")
    return array
