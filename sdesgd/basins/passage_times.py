"""What ``first_passage`` answers with: measured times from a start to a set."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from sdesgd.results import Result

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PassageTimes(Result):
    """Steps until θ is first in the target *after a step*, passage by passage.

    Attributes:
        steps: (replicas,). censored: (replicas,), whether it was cut at max_steps.
        mean_steps, standard_error_steps: over replicas, in steps.
        mean, standard_error: the same in SDE time, η a step.
    """

    steps: Int[np.ndarray, " replicas"]
    censored: Bool[np.ndarray, " replicas"]
    mean_steps: float
    standard_error_steps: float
    mean: float
    standard_error: float

    @property
    def survival(self) -> tuple[Int[np.ndarray, " replicas"], Float[np.ndarray, " replicas"]]:
        """(steps, ascending; share of the passages that take longer)."""
        ordered = np.sort(self.steps)
        return ordered, 1 - np.arange(1, len(ordered) + 1) / len(ordered)

    def __str__(self) -> str:
        low, middle, high = np.quantile(self.steps, [0.05, 0.5, 0.95])
        return (
            f"First passages, {len(self.steps):,} replicas: {self.mean_steps:.5g} ± {self.standard_error_steps:.2g} "
            f"steps on average (standard error), {self.mean:.5g} ± {self.standard_error:.2g} in SDE time\n"
            f"half of them within {middle:,.0f} steps, 90 % between {low:,.0f} and {high:,.0f}"
        )

    def plot(self) -> "Figure":
        """The share of passages that take longer than n steps, beside the exponential law of the same mean."""
        from sdesgd.plot import passage_times

        return passage_times.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Steps over ``replica``; the means are attributes."""
        import xarray as xr

        names = ("mean_steps", "standard_error_steps", "mean", "standard_error")
        variables = {"steps": ("replica", self.steps), "censored": ("replica", self.censored)}
        return xr.Dataset(variables, attrs={name: getattr(self, name) for name in names})
