"""SGD against its SDE: the gap that can be predicted before SGD is run, and the card that says why there is one."""

from sdesgd.comparison.gap import Gap, gap_between, predict_gap, simulate_coupled
from sdesgd.comparison.validity import ValidityCard, validity_card

__all__ = ["Gap", "ValidityCard", "gap_between", "predict_gap", "simulate_coupled", "validity_card"]
