"""SGD against its SDE: ``compare``, the gap that can be predicted before SGD is run, and the card that says why."""

from sdesgd.comparison.card import Condition, ValidityCard
from sdesgd.comparison.gap import Gap, gap_between, predict_gap, simulate_coupled
from sdesgd.comparison.protocol import compare
from sdesgd.comparison.result import Comparison, Design, GapEstimate, Setting, WorstGap
from sdesgd.comparison.validity import validity_card

__all__ = [
    "Comparison",
    "Condition",
    "Design",
    "Gap",
    "GapEstimate",
    "Setting",
    "ValidityCard",
    "WorstGap",
    "compare",
    "gap_between",
    "predict_gap",
    "simulate_coupled",
    "validity_card",
]
