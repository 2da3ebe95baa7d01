"""Draws from the Gibbs law, and whether they may be believed."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from sdesgd import freshness
from sdesgd.errors import InputError
from sdesgd.results import Result
from sdesgd.results.tables import aligned

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_LARGEST_R_HAT, _LEAST_ESS = 1.02, 400
_MOST_ROWS = 8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GibbsSample(Result):
    """Draws from p ∝ exp(−V/T), and whether they may be believed.

    Attributes:
        points: θ, (chains, n, D), after the warm-up.
        r_hat: split R̂ of each coordinate, or of the k functions that must mix; it needs about 25 independent draws a
            chain to come below 1.02.
        ess: effective sample size of the same, over all chains.
        divergences: trajectories that left the energy surface.
    """

    points: Float[np.ndarray, "chains n D"]
    r_hat: Float[np.ndarray, " k"]
    ess: Float[np.ndarray, " k"]
    divergences: int

    @property
    def trouble(self) -> str:
        """Why the draws may not be believed; "" if they may."""
        r_hat, ess = float(np.max(self.r_hat)), float(np.min(self.ess))
        if r_hat <= _LARGEST_R_HAT and ess >= _LEAST_ESS and not self.divergences:
            return ""
        return (
            f"R-hat {r_hat:.3f} (at most {_LARGEST_R_HAT}), ESS {ess:.0f} (at least {_LEAST_ESS}), {self.divergences} "
            "divergences (none)"
        )

    def __str__(self) -> str:
        chains, n, D = self.points.shape
        rows = [("", "mean ± SE", "standard deviation", "R-hat", "ESS")]
        for k in range(min(D, _MOST_ROWS)) if len(self.ess) == D else ():
            draws, ess = self.points[..., k], float(self.ess[k])
            error = f"{draws.mean():.4g} ± {draws.std() / math.sqrt(ess):.2g}"
            rows.append((f"θ{chr(0x2081 + k)}", error, f"{draws.std():.4g}", f"{self.r_hat[k]:.3f}", f"{ess:,.0f}"))
        worst = f"worst R-hat {np.max(self.r_hat):.3f}, least ESS {np.min(self.ess):,.0f}"
        lines = [f"Draws from exp(−V/T) by NUTS: {chains} chains of {n:,}, D = {D}; {worst}"]
        lines += aligned(rows) if rows[1:] else []
        lines += [f"({_MOST_ROWS} of {D} coordinates shown)"] if rows[1:] and D > _MOST_ROWS else []
        return "\n".join([*lines, f"The chains haven't mixed: {self.trouble}." if self.trouble else "The chains mix."])

    def plot(self) -> "Figure":
        """The marginals of the first coordinates, chain by chain: chains that have mixed agree."""
        from sdesgd.plot import gibbs_sample

        return gibbs_sample.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Points over (``chain``, ``draw``, ``coordinate``), R̂ and ESS over ``quantity``."""
        import xarray as xr

        variables: dict[str, Any] = {"points": (("chain", "draw", "coordinate"), self.points)}
        variables |= {"r_hat": ("quantity", self.r_hat), "ess": ("quantity", self.ess)}
        return xr.Dataset(variables, attrs={"divergences": self.divergences})

    def probability(self, where: Any) -> tuple[float, float]:
        """The probability p of a set, and its standard error √(p(1−p)/ESS), with the ESS of the set's own indicator.

        Where no draw is in the set, or all are, the error is 1/ESS of the worst coordinate: the p that the draws leave
        room for.

        Args:
            where: bools (chains, n), or a function of points (K, D) to bools (K,).

        Raises:
            InputError: another shape; no chain ever entered or left the set, though some are in it and some aren't.
        """
        from numpyro.diagnostics import effective_sample_size

        chains, n, D = self.points.shape
        if not np.isfinite(self.points).all():
            raise InputError("the draws hold NaN or infinity, so they are in no set: see check()")
        inside = where
        if callable(where):
            remedy = "it is given points (K, D) and gives bools (K,)"
            with freshness.guarded("the set", remedy, "can't be evaluated"):
                inside = where(self.points.reshape(-1, D))
        inside = np.asarray(inside)
        if inside.size != chains * n or inside.dtype != bool:
            raise InputError(
                f"the set is given by {inside.dtype} of shape {inside.shape}: pass bools ({chains}, {n}), or a "
                "function of points (K, D) to bools (K,)"
            )
        inside = inside.reshape(chains, n)
        p = float(inside.mean())
        if p in (0.0, 1.0):
            return p, float(1 / self.ess.min())
        if (inside == inside[:, :1]).all():
            raise InputError("no chain entered or left the set: its probability is that of the starts; sample longer")
        ess = float(effective_sample_size(inside.astype(float)))
        return p, math.sqrt(p * (1 - p) / ess)

    def check(self) -> None:
        """Raises InputError unless R̂ ≤ 1.02 and ESS ≥ 400 for each coordinate, without divergences."""
        if self.trouble:
            raise InputError(f"the chains haven't mixed: {self.trouble}: draw more, or use gibbs_density")
