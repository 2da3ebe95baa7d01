"""What ``occupancy`` answers with: how often SGD is in each well, beside its exact law, Gibbs and Laplace."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from sdesgd import inputs
from sdesgd.basins.passes import Saddle
from sdesgd.errors import InputError
from sdesgd.evidence.three_valued import Decision
from sdesgd.results import NotEstablished, Result
from sdesgd.results.tables import aligned, point

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_HALF = 1.959964  # of a 95 % interval, in standard errors


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WellsOnGrid:
    """The landscape, its wells and its laws on a grid, for figures.

    Attributes:
        axes: coordinates along each axis, (n,) each.
        values: V, of the shape of the grid.
        labels: of the basins, of the same shape.
        gibbs: density of the Gibbs law per unit volume, of the same shape.
        exact: density of SGD's exact law, or None.
    """

    axes: tuple[np.ndarray, ...]
    values: np.ndarray
    labels: np.ndarray
    gibbs: np.ndarray
    exact: np.ndarray | None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Occupancy(Result):
    """The probability that SGD is in each well at stationarity, measured and by theory. Wells: the deepest first.

    Attributes:
        name: of the potential.
        learning_rate: η.
        batch_size: S.
        momentum: m.
        sampling: of the batches.
        temperature: T = ηfσ²/(2S(1−m)), for which the small-η limit is exp(−V/T).
        minima: (M, D).
        losses: (M,), V there.
        saddles: the passes between wells, lowest first.
        rates: (M, M), Kramers' rates per SGD step, row a column b: from well a to well b.
        gibbs: (M,), the probabilities of exp(−V/T), by quadrature.
        laplace: (M,), those by Laplace's approximation.
        exact: (M,), those of the stationary law of SGD itself at this η, without Monte Carlo; or None.
        exact_missing: why there is none.
        probabilities: (M,), time shares of the wells in runs of SGD; NaN if they were not established.
        standard_errors: (M,).
        crossings: (M, M), counted from core a (row) to core b, over all replicas.
        burn_in: steps of each replica that don't count.
        num_steps: steps of each replica that count.
        replicas: how many.
        not_established: why there is no measurement, and what it would take; None if there is one.
        versus_exact: SGD against its exact law within the margin; None if either is missing.
        versus_gibbs: SGD against the Gibbs law.
        grid: for figures.
    """

    parts: ClassVar[tuple[type, ...]] = (Saddle, Decision, WellsOnGrid)

    name: str
    learning_rate: float
    batch_size: int
    momentum: float
    sampling: str
    temperature: float
    minima: Float[np.ndarray, "M D"]
    losses: Float[np.ndarray, " M"]
    saddles: tuple[Saddle, ...]
    rates: Float[np.ndarray, "M M"]
    gibbs: Float[np.ndarray, " M"]
    laplace: Float[np.ndarray, " M"]
    exact: Float[np.ndarray, " M"] | None
    exact_missing: NotEstablished | None
    probabilities: Float[np.ndarray, " M"]
    standard_errors: Float[np.ndarray, " M"]
    crossings: Int[np.ndarray, "M M"]
    burn_in: int
    num_steps: int
    replicas: int
    not_established: NotEstablished | None
    versus_exact: Decision | None
    versus_gibbs: Decision | None
    grid: WellsOnGrid

    @property
    def names(self) -> list[str]:
        """A, B, …: the wells, the deepest first."""
        return [well_name(k) for k in range(len(self.minima))]

    @property
    def verdict(self) -> str:
        """SGD against Gibbs: "equivalent", "different" or "inconclusive", the last also if nothing was measured."""
        return "inconclusive" if self.versus_gibbs is None else self.versus_gibbs.kind

    def interval(self, confidence: float = 0.95) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """(low, high), each (M,): p ± z·standard error, each well with its own confidence.

        Args:
            confidence: between 0 and 1.

        Raises:
            InputError: a confidence out of range.
        """
        from scipy import stats

        inputs.check_number("confidence", confidence, "a number between 0 and 1", lambda x: 0 < x < 1)
        half = float(stats.norm.ppf(0.5 + confidence / 2)) * self.standard_errors
        return self.probabilities - half, self.probabilities + half

    def setting(self) -> str:
        """η, S, T and what isn't as usual, in one line."""
        text = f"η = {self.learning_rate:g}, S = {self.batch_size}, T = {self.temperature:.4g}"
        if self.momentum:
            text += f", momentum {self.momentum:g}"
        return text + (", drawn without replacement" if self.sampling == "no_replacement" else "")

    def sentence(self) -> str:
        """The answer in one sentence."""
        if len(self.minima) == 1:
            return "There is one well, so its occupancy is 1."
        if self.versus_gibbs is None:
            return f"SGD's occupancy is {self.not_established}."
        k = self.versus_gibbs.worst
        p, half, gibbs = self.probabilities[k], _HALF * self.standard_errors[k], self.gibbs[k]
        margin = f"{100 * self.versus_gibbs.margin:g} percentage points"
        text = f"SGD is in well {self.names[k]} {100 * p:.1f} ± {100 * half:.1f} % of the time (95 %)"
        text += f", and the Gibbs law exp(−V/T) says {100 * gibbs:.1f} %: "
        text += {
            "equivalent": f"equal within {margin}",
            "different": f"they differ by {100 * (p - gibbs):+.1f} percentage points",
            "inconclusive": f"equal within {margin} or not, more crossings must tell",
        }[self.versus_gibbs.kind]
        if self.versus_exact is not None and self.exact is not None:
            text += f". The exact law of SGD at this η says {100 * self.exact[k]:.1f} %: "
            text += {"equivalent": "confirmed", "different": "not confirmed", "inconclusive": "not decided"}[
                self.versus_exact.kind
            ]
        return text + "."

    def __str__(self) -> str:
        rows = [("well", "minimum", "SGD ± SE, %", "exact, %", "Gibbs, %", "Laplace, %")]
        for k, (where, p, error) in enumerate(zip(self.minima, self.probabilities, self.standard_errors, strict=True)):
            measured = f"{100 * p:.2f} ± {100 * error:.2f}" if np.isfinite(p) else "–"
            exact = "–" if self.exact is None else f"{100 * self.exact[k]:.2f}"
            laws = f"{100 * self.gibbs[k]:.2f}", f"{100 * self.laplace[k]:.2f}"
            rows.append((self.names[k], point(where), measured, exact, *laws))
        lines = [f"Occupancy of the wells of {self.name}: {self.setting()}", *aligned(rows)]
        if self.not_established is None and len(self.minima) > 1:
            lines.append(
                f"{self.replicas:,} replicas of {self.num_steps:,} steps after a burn-in of {self.burn_in:,}; "
                f"{int(self.crossings.sum()):,} crossings between wells"
            )
        if self.exact_missing is not None:
            lines.append(f"Exact law {self.exact_missing}")
        return "\n".join([*lines, self.sentence()])

    def plot(self) -> "Figure":
        """The landscape with its wells, and the occupancies beside their laws."""
        from sdesgd.plot import basins, style

        drawn = style.figure(10.5, 4.2)
        left, right = drawn.subplots(1, 2)
        basins.landscape(self, left)
        basins.occupancy(self, right)
        drawn.suptitle(f"Where SGD is found on {self.name} ({self.setting()})", fontsize=11)
        return style.settled(drawn)

    def to_xarray(self) -> "xr.Dataset":
        """Probabilities and laws over ``well``, rates and crossings over (``origin``, ``target``)."""
        import xarray as xr

        nothing = np.full(len(self.minima), np.nan)
        of_wells = {
            "probabilities": self.probabilities,
            "standard_errors": self.standard_errors,
            "exact": nothing if self.exact is None else self.exact,
            "gibbs": self.gibbs,
            "laplace": self.laplace,
            "losses": self.losses,
        }
        variables: dict[str, Any] = {name: ("well", values) for name, values in of_wells.items()}
        variables["minima"] = ("well", "coordinate"), self.minima
        variables["rates"] = ("origin", "target"), self.rates, {"units": "per SGD step"}
        variables["crossings"] = ("origin", "target"), self.crossings
        settings = {name: getattr(self, name) for name in ("learning_rate", "batch_size", "momentum", "sampling")}
        sizes = {name: getattr(self, name) for name in ("temperature", "burn_in", "num_steps", "replicas")}
        attributes = {"potential": self.name, **settings, **sizes, "not_established": str(self.not_established or "")}
        coordinates = {"well": self.names, "origin": self.names, "target": self.names}
        return xr.Dataset(variables, coordinates, attributes)


def well_name(k: int) -> str:
    """A … Z, then A1, …: the k-th well.

    Raises:
        InputError: k < 0.
    """
    if k < 0:
        raise InputError(f"well is {k}: pass 0, 1, …")
    return chr(ord("A") + k % 26) + (str(k // 26) if k >= 26 else "")
