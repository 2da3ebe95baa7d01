"""What is known of a pass between minima, and of a path over passes."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from sdesgd.results import Result
from sdesgd.results.tables import point as shown_point

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Path(Result):
    """A path of least loss from a to b.

    Attributes:
        points: (n, D), a first, b last. values: (n,), V there.
        saddle: (D,), the highest pass, where ‖∇V‖ < 1e-8 and one eigenvalue of the Hessian is negative.
        saddles: (s, D), all passes on the way, from a to b; more than one if the path leads over other minima.
        barrier_from_a, barrier_from_b: V(saddle) − V(a), V(saddle) − V(b).
    """

    points: Float[np.ndarray, "n D"]
    values: Float[np.ndarray, " n"]
    saddle: Float[np.ndarray, " D"]
    saddles: Float[np.ndarray, "s D"]
    barrier_from_a: float
    barrier_from_b: float

    @property
    def lengths(self) -> Float[np.ndarray, " n"]:
        """(n,): the way from a to each point, along the path."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))])

    def __str__(self) -> str:
        passes = "one pass" if len(self.saddles) == 1 else f"{len(self.saddles)} passes"
        a, b, top = (shown_point(x) for x in (self.points[0], self.points[-1], self.saddle))
        return (
            f"Path of least loss from a = {a} to b = {b}: {passes}, length {self.lengths[-1]:.4g}\n"
            f"highest pass at {top}: {self.barrier_from_a:.6g} above a, {self.barrier_from_b:.6g} above b"
        )

    def plot(self) -> "Figure":
        """V along the path, with its passes and the height of the highest above each end."""
        from sdesgd.plot import path

        return path.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Points over (``image``, ``coordinate``), V and the length over ``image``, and the passes."""
        import xarray as xr

        return xr.Dataset(
            {
                "points": (("image", "coordinate"), self.points),
                "values": ("image", self.values),
                "saddles": (("pass", "coordinate"), self.saddles),
                "saddle": ("coordinate", self.saddle),
            },
            {"length": ("image", self.lengths)},
            {"barrier_from_a": self.barrier_from_a, "barrier_from_b": self.barrier_from_b},
        )


@dataclasses.dataclass(frozen=True, repr=False)
class Saddle:
    """A pass that joins two minima directly: gradient flow from its two sides ends at one and at the other.

    Attributes:
        point: (D,). value: V there. wells: (a, b), a < b, rows of the minima.
        spectrum: (D,), of the Hessian, ascending; the first is negative.
    """

    point: Float[np.ndarray, " D"]
    value: float
    wells: tuple[int, int]
    spectrum: Float[np.ndarray, " D"]

    def __repr__(self) -> str:
        a, b = self.wells
        return (
            f"pass between wells {a} and {b} at {shown_point(self.point)}: V = {self.value:.6g}, curvature down "
            f"{-self.spectrum[0]:.3g}"
        )
