"""What ``stationary.compare`` answers with: the covariance of SGD at a minimum, measured and by each theory."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from sdesgd.evidence.three_valued import Decision
from sdesgd.results import NotEstablished, Result
from sdesgd.results.tables import aligned

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# In the order of trust: the last that applies is the law of SGD itself.
THEORIES = {
    "OU": "SDE (Ornstein–Uhlenbeck)",
    "discrete": "SGD's recursion, constant C",
    "regression": "SGD's recursion, C(θ) of linear regression",
}
_HALF = 1.959964
_MOST_ROWS = 8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StationaryComparison(Result):
    """The stationary covariance of SGD about a minimum, measured and by theory.

    Attributes:
        learning_rate: η.
        batch_size: S.
        momentum: m.
        sampling: of the batches.
        minimum: θ*, (D,), in the order of ``landscape.flat``.
        hessian: H(θ*), (D, D).
        gradient_covariance: C(θ*), (D, D), in the 1/N form, without f.
        eigenvalues: (D,), of H, ascending.
        directions: (D, D), its eigenvectors, in columns.
        theories: name → (D, D): "OU", "discrete", and "regression" where the problem is one.
        exact: the theory that is exact at this η, or None if the loss isn't quadratic.
        measured: (D, D), covariance in runs of SGD; NaN if it was not established.
        standard_errors: (D, D), from replica to replica.
        variances: (D,), measured along the directions.
        variance_errors: (D,), their standard errors.
        mean: (D,), the measured mean of θ − θ*.
        mean_errors: (D,), its standard errors.
        points: (P, D), some points of the runs, θ − θ*.
        decisions: theory → what the entries of measured − theory say, in units of √(Γ_ii Γ_jj) of the theory along
            the directions.
        margin: of the decisions.
        relaxation_steps: steps in which the slowest direction forgets by e.
        burn_in: steps of each replica that don't count.
        num_steps: steps that follow, of each replica.
        replicas: how many.
        not_established: why nothing was measured, or nothing is stationary, and what it would take.
    """

    parts: ClassVar[tuple[type, ...]] = (Decision,)

    learning_rate: float
    batch_size: int
    momentum: float
    sampling: str
    minimum: Float[np.ndarray, " D"]
    hessian: Float[np.ndarray, "D D"]
    gradient_covariance: Float[np.ndarray, "D D"]
    eigenvalues: Float[np.ndarray, " D"]
    directions: Float[np.ndarray, "D D"]
    theories: dict[str, np.ndarray]
    exact: str | None
    measured: Float[np.ndarray, "D D"]
    standard_errors: Float[np.ndarray, "D D"]
    variances: Float[np.ndarray, " D"]
    variance_errors: Float[np.ndarray, " D"]
    mean: Float[np.ndarray, " D"]
    mean_errors: Float[np.ndarray, " D"]
    points: Float[np.ndarray, "P D"]
    decisions: dict[str, Decision]
    margin: float
    relaxation_steps: float
    burn_in: int
    num_steps: int
    replicas: int
    not_established: NotEstablished | None

    def along(self, theory: str) -> Float[np.ndarray, " D"]:
        """(D,): a theory's variances along the eigenvectors of H.

        Args:
            theory: of ``theories``.
        """
        return np.einsum("ij,ij->j", self.directions, self.theories[theory] @ self.directions)

    @property
    def reference(self) -> str:
        """The theory that others are shown against: the last that applies."""
        return list(self.theories)[-1]

    def setting(self) -> str:
        """η, S and what isn't as usual, in one line."""
        text = f"η = {self.learning_rate:g}, S = {self.batch_size}"
        if self.momentum:
            text += f", momentum {self.momentum:g}"
        return text + (", drawn without replacement" if self.sampling == "no_replacement" else "")

    def sentence(self) -> str:
        """The answer in one sentence."""
        if self.not_established is not None:
            return f"SGD's stationary covariance is {self.not_established}."
        parts = []
        for name, decision in self.decisions.items():
            ratio = self.variances / self.along(name) - 1
            worst = int(np.abs(ratio).argmax())
            half = _HALF * self.variance_errors[worst] / self.along(name)[worst]
            size = f"{100 * ratio[worst]:+.1f} ± {100 * half:.1f} %"
            parts.append(
                {
                    "equivalent": f"agrees within {100 * self.margin:g} % with {_CALLED[name]}",
                    "different": f"differs from {_CALLED[name]} (by {size} along λ = {self.eigenvalues[worst]:.3g})",
                    "inconclusive": f"is not decided against {_CALLED[name]} ({size} along λ = "
                    f"{self.eigenvalues[worst]:.3g})",
                }[decision.kind]
            )
        return "SGD's stationary covariance " + ", ".join(parts[:-1]) + (" and " if parts[1:] else "") + parts[-1] + "."

    def __str__(self) -> str:
        lines = [f"Stationary covariance of SGD: {self.setting()}, D = {len(self.minimum)}"]
        if self.theories:
            head = ["λ of H", "variance ± SE", *(f"÷ {name}" for name in self.theories)]
            table = [head]
            for k in self._rows():
                measured = np.isfinite(self.variances[k])
                value = f"{self.variances[k]:.4g} ± {self.variance_errors[k]:.2g}" if measured else "–"
                ratios = [self.variances[k] / self.along(name)[k] for name in self.theories]
                shown = [f"{ratio:.3f}" for ratio in ratios] if measured else ["–"] * len(ratios)
                table.append([f"{self.eigenvalues[k]:.4g}", value, *shown])
            lines += aligned(table)
            if len(self.minimum) > _MOST_ROWS:
                lines.append(f"({_MOST_ROWS} of {len(self.minimum)} eigenvectors of H)")
        if self.not_established is None:
            lines.append(
                f"{self.replicas:,} replicas of {self.num_steps:,} steps after a burn-in of {self.burn_in:,}; the "
                f"slowest direction relaxes in {self.relaxation_steps:.3g} steps"
            )
        if self.exact is None and self.theories:
            lines.append("No theory here is exact at this η: the loss is not quadratic, or C depends on θ otherwise.")
        return "\n".join([*lines, self.sentence()])

    def _rows(self) -> np.ndarray:
        """Indices of the eigenvectors that are printed."""
        D = len(self.eigenvalues)
        return np.unique(np.linspace(0, D - 1, min(D, _MOST_ROWS)).round().astype(int))

    def plot(self) -> "Figure":
        """Ellipses of the measured covariance and of each theory, and the variances along the eigenvectors of H."""
        from sdesgd.plot import stationary, style

        several = len(self.minimum) > 1
        drawn = style.figure(10.5 if several else 5.5, 4.4)
        axes = drawn.subplots(1, 2 if several else 1, squeeze=False)[0]
        if several:
            stationary.ellipses(self, axes[0])
        stationary.variances(self, axes[-1])
        drawn.suptitle(f"Stationary covariance of SGD about a minimum ({self.setting()})", fontsize=11)
        return style.settled(drawn)

    def to_xarray(self) -> "xr.Dataset":
        """Covariances over (``row``, ``column``), variances over ``direction``."""
        import xarray as xr

        square = {"measured": self.measured, "standard_errors": self.standard_errors, "hessian": self.hessian}
        square |= {"gradient_covariance": self.gradient_covariance, "directions": self.directions} | self.theories
        variables: dict[str, Any] = {name: (("row", "column"), values) for name, values in square.items()}
        of_direction = {"variances": self.variances, "variance_errors": self.variance_errors}
        variables |= {name: ("direction", values) for name, values in of_direction.items()}
        of_row = {"minimum": self.minimum, "mean": self.mean, "mean_errors": self.mean_errors}
        variables |= {name: ("row", values) for name, values in of_row.items()}
        names = ("learning_rate", "batch_size", "momentum", "sampling", "margin", "burn_in", "num_steps", "replicas")
        attributes = {name: getattr(self, name) for name in names}
        attributes |= {f"versus_{name}": decision.kind for name, decision in self.decisions.items()}
        attributes |= {"exact": self.exact or "", "not_established": str(self.not_established or "")}
        return xr.Dataset(variables, {"eigenvalues": ("direction", self.eigenvalues)}, attributes)


_CALLED = {
    "OU": "the SDE's Ornstein–Uhlenbeck theory",
    "discrete": "SGD's own recursion with constant C",
    "regression": "SGD's own recursion with the C(θ) of linear regression",
}
