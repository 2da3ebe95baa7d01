"""What ``regression_covariance`` answers with: the exact stationary law of SGD on linear regression."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from sdesgd.dynamics.protocol import finite_population_factor
from sdesgd.results import Result
from sdesgd.results.tables import aligned
from sdesgd.stationary.quadratic import Matrix, ou_covariance

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_MOST_ROWS = 8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RegressionLaw(Result):
    """The stationary mean and covariance of SGD on linear regression.

    Attributes:
        minimum: θ*, (D,), the minimiser of L and the stationary mean.
        hessian: H, (D, D).
        gradient_covariance: C(θ*), (D, D), in the 1/N form, without f.
        covariance: Σ = E (θ − θ*)(θ − θ*)ᵀ, (D, D).
        excess_loss: E L(θ) − L(θ*) = ½ Tr(HΣ).
        learning_rate: η.
        batch_size: S.
        momentum: m.
        sampling: of the batches.
        num_examples: N.
    """

    minimum: Float[np.ndarray, " D"]
    hessian: Matrix
    gradient_covariance: Matrix
    covariance: Matrix
    excess_loss: float
    learning_rate: float
    batch_size: int
    momentum: float
    sampling: str
    num_examples: int

    def along_hessian(self) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
        """Along the eigenvectors of H: its eigenvalues, ascending, the variances of SGD, and those of the SDE."""
        eigenvalues, vectors = np.linalg.eigh(self.hessian)
        f = finite_population_factor(self.num_examples, self.batch_size, self.sampling)
        law = ou_covariance(self.hessian, f * self.gradient_covariance, self.learning_rate, self.batch_size,
                            momentum=self.momentum)  # fmt: skip
        return eigenvalues, *(np.einsum("ij,ij->j", vectors, x @ vectors) for x in (self.covariance, law))

    def setting(self) -> str:
        """η, S and what isn't as usual, in one line."""
        text = f"η = {self.learning_rate:g}, S = {self.batch_size}, N = {self.num_examples:,}"
        text += f", momentum {self.momentum:g}" if self.momentum else ""
        return text + (", drawn without replacement" if self.sampling == "no_replacement" else "")

    def __str__(self) -> str:
        rows = [("λ of H", "variance of SGD", "÷ that of the SDE")]
        for eigenvalue, exact, law in zip(*self.along_hessian(), strict=True):
            rows.append((f"{eigenvalue:.4g}", f"{exact:.4g}", f"{exact / law:.4f}" if law > 0 else "–"))
        return "\n".join(
            [
                f"Exact stationary law of SGD on linear regression: {self.setting()}, D = {len(self.minimum)}",
                *aligned(rows, _MOST_ROWS),
                f"excess loss E L − L* = {self.excess_loss:.6g}",
            ]
        )

    def plot(self) -> "Figure":
        """Variances along the eigenvectors of H, beside those of the SDE."""
        from sdesgd.plot import regression_law

        return regression_law.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Matrices over (``row``, ``column``), the minimum over ``row``."""
        import xarray as xr

        names = ("hessian", "gradient_covariance", "covariance")
        variables: dict[str, Any] = {name: (("row", "column"), getattr(self, name)) for name in names}
        about = ("excess_loss", "learning_rate", "batch_size", "momentum", "sampling", "num_examples")
        attributes = {name: getattr(self, name) for name in about}
        return xr.Dataset(variables | {"minimum": ("row", self.minimum)}, attrs=attributes)
