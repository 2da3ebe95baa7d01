"""From a table of test accuracies: where the best batch size lies, and how it scales with η, N and 1/(1−m)."""

from sdesgd.optimal_batch.best import BestSampled, best_sampled
from sdesgd.optimal_batch.comparison import LawComparison, compare_laws
from sdesgd.optimal_batch.factors import FACTORS, Factor
from sdesgd.optimal_batch.fitting import fit
from sdesgd.optimal_batch.policy import (
    LARGEST_DIVERGED_SHARE,
    guessing_loss,
    no_better_than_guessing,
    rows_of,
    trained_series,
)
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.prediction import Band, CurveBand, Peak, Recommendation
from sdesgd.optimal_batch.predictive import predictive_check
from sdesgd.optimal_batch.reading import from_frame, read_csv
from sdesgd.optimal_batch.recommending import Advice, recommend
from sdesgd.optimal_batch.series import SeriesSummary, fitted_summaries, summaries
from sdesgd.optimal_batch.table import AccuracyTable, Series
from sdesgd.optimal_batch.training import sweep

__all__ = [
    "FACTORS",
    "LARGEST_DIVERGED_SHARE",
    "AccuracyTable",
    "Advice",
    "Band",
    "BestSampled",
    "CurveBand",
    "Factor",
    "LawComparison",
    "Peak",
    "Posterior",
    "Recommendation",
    "Series",
    "SeriesSummary",
    "best_sampled",
    "compare_laws",
    "fit",
    "fitted_summaries",
    "from_frame",
    "guessing_loss",
    "no_better_than_guessing",
    "predictive_check",
    "read_csv",
    "recommend",
    "rows_of",
    "summaries",
    "sweep",
    "trained_series",
]
