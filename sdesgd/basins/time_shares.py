"""What ``measure_occupancy`` answers with: time shares of the wells, and the crossings they rest on."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from sdesgd import inputs
from sdesgd.results import Result
from sdesgd.results.tables import aligned

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MeasuredOccupancy(Result):
    """Time shares of the basins, after every SGD step past the burn-in, over all replicas.

    Attributes:
        probabilities: (M,), sum 1.
        standard_errors: (M,), the larger of the two below.
        by_crossings: (M,), 2p(1 − p)/√K_a, K_a crossings into and out of core a: a well against all the others.
        by_replicas: (M,), the standard deviation of the replicas' shares over √replicas; within each start's replicas.
        crossings: (M, M), row a column b: from core a to core b.
        steps: counted steps of one replica. replicas: how many there were.
        disagreement_of_starts: the largest difference of a start's share from the others', in its standard errors.
    """

    probabilities: Float[np.ndarray, " M"]
    standard_errors: Float[np.ndarray, " M"]
    by_crossings: Float[np.ndarray, " M"]
    by_replicas: Float[np.ndarray, " M"]
    crossings: Int[np.ndarray, "M M"]
    steps: int
    replicas: int
    disagreement_of_starts: float

    def __str__(self) -> str:
        rows = [("well", "share ± SE, %", "SE by crossings", "SE by replicas", "crossings in and out")]
        moves = self.crossings.sum(axis=0) + self.crossings.sum(axis=1)
        for k, (p, error) in enumerate(zip(self.probabilities, self.standard_errors, strict=True)):
            errors = f"{100 * self.by_crossings[k]:.2g}", f"{100 * self.by_replicas[k]:.2g}"
            rows.append((str(k), f"{100 * p:.2f} ± {100 * error:.2g}", *errors, f"{int(moves[k]):,}"))
        return "\n".join(
            [
                f"Time shares of {len(self.probabilities)} wells, {self.replicas:,} replicas of {self.steps:,} steps",
                *aligned(rows),
                f"Starts disagree by {self.disagreement_of_starts:.1f} standard errors at most.",
            ]
        )

    def plot(self) -> "Figure":
        """The time share of each well with its 95 % interval, and the crossings between wells."""
        from sdesgd.plot import measured_occupancy

        return measured_occupancy.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Shares and standard errors over ``well``, crossings over (``origin``, ``target``)."""
        import xarray as xr

        names = ("probabilities", "standard_errors", "by_crossings", "by_replicas")
        variables: dict[str, Any] = {name: ("well", getattr(self, name)) for name in names}
        about = {name: getattr(self, name) for name in ("steps", "replicas", "disagreement_of_starts")}
        return xr.Dataset(variables | {"crossings": (("origin", "target"), self.crossings)}, attrs=about)

    def interval(self, confidence: float = 0.95) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """(low, high), each (M,): p ± z·standard error, each well with its own confidence."""
        inputs.check_number("confidence", confidence, "a number between 0 and 1", lambda x: 0 < x < 1)
        half = stats.norm.ppf(0.5 + confidence / 2) * self.standard_errors
        return self.probabilities - half, self.probabilities + half
