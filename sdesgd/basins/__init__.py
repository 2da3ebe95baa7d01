"""Basins of attraction: which, how often, and what theory says."""

from sdesgd.basins.balance import detailed_balance, rotation
from sdesgd.basins.equilibrium import occupancy
from sdesgd.basins.exact_law import ExactLaw, exact_occupancy
from sdesgd.basins.finding_wells import wells_of
from sdesgd.basins.measured import MeasuredOccupancy, burn_in_needed, measure_occupancy, steps_needed
from sdesgd.basins.minima import Minima, find_minima, minima_of
from sdesgd.basins.passage import (
    PassageTimes,
    first_passage,
    kramers_rate,
    kramers_rates,
    mean_first_passage_time,
)
from sdesgd.basins.passes import Path, Saddle
from sdesgd.basins.quenching import Quenched, quench
from sdesgd.basins.result import Occupancy
from sdesgd.basins.saddles import barriers, find_saddles, minimum_energy_path
from sdesgd.basins.symmetry import NoSymmetry, relu_symmetry, tanh_symmetry, unit_permutations
from sdesgd.basins.tally import Tally
from sdesgd.basins.wells import GridWells, IntervalWells, Wells
from sdesgd.basins.zero_modes import orbit_laplace_weight, orbit_volume

__all__ = [
    "ExactLaw",
    "GridWells",
    "IntervalWells",
    "MeasuredOccupancy",
    "Minima",
    "NoSymmetry",
    "Occupancy",
    "PassageTimes",
    "Path",
    "Quenched",
    "Saddle",
    "Tally",
    "Wells",
    "barriers",
    "burn_in_needed",
    "detailed_balance",
    "exact_occupancy",
    "find_minima",
    "find_saddles",
    "first_passage",
    "kramers_rate",
    "kramers_rates",
    "mean_first_passage_time",
    "measure_occupancy",
    "minima_of",
    "minimum_energy_path",
    "occupancy",
    "orbit_laplace_weight",
    "orbit_volume",
    "quench",
    "relu_symmetry",
    "rotation",
    "steps_needed",
    "tanh_symmetry",
    "unit_permutations",
    "wells_of",
]
