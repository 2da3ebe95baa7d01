"""Statistics for ensembles of replicas: what may be claimed, and how surely.

The rules:

- No Monte Carlo number without its standard error or interval; means are over the replicas finite at
  that time, and say how many there were.
- "The SDE describes SGD" is a claim of equivalence within a margin of the reference's own standard
  deviation: every TOST over the times must pass. A large p-value is never evidence of sameness.
- "Different" needs a p-value corrected over all times and observables (max-|t| or Holm).
- Neither: inconclusive, with the replicas an arm that would decide.
- Rates of divergence are compared between the arms. An order of convergence comes with its interval.

Arrays are (replicas, times); NaN marks a replica that has diverged by then.
"""

from sdesgd.evidence.decisions import verdict
from sdesgd.evidence.equivalence import (
    Equivalence,
    equivalence_test,
    in_reference_deviations,
    paired_equivalence_test,
    replicas_needed,
    replicas_to_detect,
)
from sdesgd.evidence.estimates import (
    Estimate,
    RateDifference,
    difference_p_values,
    mean,
    paired_difference,
    rate_difference,
    unpaired_difference,
)
from sdesgd.evidence.group_sequential import GroupSequential, Look
from sdesgd.evidence.margins import Margin
from sdesgd.evidence.multiplicity import holm, max_t
from sdesgd.evidence.outcome import Verdict
from sdesgd.evidence.simultaneous import simultaneous_level
from sdesgd.evidence.slopes import OrderFit, order_fit
from sdesgd.evidence.spending import nominal_levels, pocock_spending
from sdesgd.evidence.three_valued import Decision, decide, decide_differences
from sdesgd.evidence.two_sample import EnergyTest, energy_test

__all__ = [
    "Decision",
    "EnergyTest",
    "Equivalence",
    "Estimate",
    "GroupSequential",
    "Look",
    "Margin",
    "OrderFit",
    "RateDifference",
    "Verdict",
    "decide",
    "decide_differences",
    "difference_p_values",
    "energy_test",
    "equivalence_test",
    "holm",
    "in_reference_deviations",
    "max_t",
    "mean",
    "nominal_levels",
    "order_fit",
    "paired_difference",
    "paired_equivalence_test",
    "pocock_spending",
    "rate_difference",
    "replicas_needed",
    "replicas_to_detect",
    "simultaneous_level",
    "unpaired_difference",
    "verdict",
]
