"""The answer to "does the SDE describe this SGD?"."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sdesgd.comparison.card import ValidityCard
from sdesgd.evidence import Look, Margin, RateDifference, Verdict
from sdesgd.evidence.movement import NotFinite
from sdesgd.results import NotEstablished, Result
from sdesgd.trajectories import Trajectories

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GapEstimate:
    """A difference of means at each time, in SGD's standard deviations at that time.

    Attributes:
        mean: (T,).
        low: (T,), of a pointwise 95 % interval, which counts the uncertainty of the standard deviation too.
        high: (T,).
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __repr__(self) -> str:
        last = f"{self.mean[-1]:+.3g} [{self.low[-1]:+.3g}, {self.high[-1]:+.3g}] SD"
        return f"{last} at the end (pointwise 95 % interval), {len(self.mean)} times"


@dataclasses.dataclass(frozen=True)
class WorstGap:
    """The gap at the time that is furthest from equivalence.

    Its interval holds for all times of this observable and all looks at the data at once, so that having picked the
    time after seeing the data is paid for.

    Attributes:
        index: of the time.
        step: of SGD.
        mean: SGD − SDE, in SGD's standard deviations.
        low: of the simultaneous 95 % interval.
        high: of the same.
    """

    index: int
    step: int
    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Setting:
    """What was compared.

    Attributes:
        title: the net or problem in words.
        learning_rate: η as text; of a schedule its range.
        largest_rate: η, of a schedule the largest, for which the cards are.
        scheduled: whether η is a schedule.
        batch_size: S, in examples.
        sampling: of SGD.
        law: sampling of Gaussian SGD and of the SDE, another than SGD's for reshuffled epochs.
        momentum: m.
        substeps: of the SDE, per step of SGD.
        svag: ℓ of SVAG; 0 without it.
        num_steps: of SGD.
        save_every: steps between saves.
        num_examples: N.
        num_units: units of the sum.
        unit_size: examples per unit.
        stochastic: whether the loss draws masks.
        num_parameters: D.
        dtype: of the parameters.
    """

    title: str
    learning_rate: str
    largest_rate: float
    scheduled: bool
    batch_size: int
    sampling: str
    law: str
    momentum: float
    substeps: int
    svag: int
    num_steps: int
    save_every: int
    num_examples: int
    num_units: int
    unit_size: int
    stochastic: bool
    num_parameters: int
    dtype: str


@dataclasses.dataclass(frozen=True)
class Design:
    """How many replicas were taken, and why no more.

    Attributes:
        sequential: whether replicas were added look by look until every verdict had fallen.
        looks: at the data; one for a fixed number of replicas.
        ended: "decided", "fixed" (a fixed number), "replicas" (the largest number), "time" or "interrupted".
        margins: name → margin of equivalence.
        alpha: level of either claim.
        replicas: arm → how many.
        check_replicas: of the SDE's replicas, how many were run again at h/2.
        minutes: that it took.
        gradients: arm → evaluations of ∇ℓ_i, those of the observables counted.
    """

    sequential: bool
    looks: tuple[Look, ...]
    ended: str
    margins: dict[str, Margin]
    alpha: float
    replicas: dict[str, int]
    check_replicas: int
    minutes: float
    gradients: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """SGD, Gaussian SGD and the SDE from one start: whether the means agree, by how much they don't, and why.

    SGD − SDE  =  (SGD − Gaussian SGD)  +  (Gaussian SGD − SDE)

    Equivalence and difference are of the *means* of the named observables at the saved times.

    Attributes:
        time: (T,) SDE time Σ η_k.
        step: (T,) steps of SGD.
        labels: name → label with units, of all observables.
        verdicts: name → SGD against the SDE.
        against: other arm → name → SGD against Gaussian SGD; the SDE against SVAG, where there is one.
        gap: name → SGD − SDE.
        non_gaussian: name → SGD − Gaussian SGD.
        discretisation: name → Gaussian SGD − SDE, on shared increments: it needs no SGD run, so it predicts the gap.
        h_against_half: name → the SDE at its step h minus at h/2, on the same Brownian paths; the integrator's error.
        worst: name → the gap at the time furthest from equivalence; absent where nothing was compared.
        cards: "start", "end" (of the first replica) → validity card; absent where it couldn't be measured.
        laws: "SGD against SDE", … → p-value of the energy test of the joint law of all observables at the end; None
            where nothing varies.
        trajectories: arm → its replicas; ``final_params`` of the first replica alone.
        setting: what was compared.
        design: how many replicas were taken, and why.
        not_established: name, or "card at the start" and the like → what is missing, and what it would take.
    """

    parts: ClassVar[tuple[type, ...]] = (
        Design,
        GapEstimate,
        Look,
        Margin,
        NotFinite,
        RateDifference,
        Setting,
        Trajectories,
        ValidityCard,
        Verdict,
        WorstGap,
    )

    time: np.ndarray
    step: np.ndarray
    labels: dict[str, str]
    verdicts: dict[str, Verdict]
    against: dict[str, dict[str, Verdict]]
    gap: dict[str, GapEstimate]
    non_gaussian: dict[str, GapEstimate]
    discretisation: dict[str, GapEstimate]
    h_against_half: dict[str, GapEstimate]
    worst: dict[str, WorstGap]
    cards: dict[str, ValidityCard]
    laws: dict[str, float | None]
    trajectories: dict[str, Trajectories]
    setting: Setting
    design: Design
    not_established: dict[str, NotEstablished]

    @property
    def card(self) -> ValidityCard | None:
        """The validity card at the start; None where it couldn't be measured."""
        return self.cards.get("start")

    @property
    def answer(self) -> str:
        """One line for all observables."""
        from sdesgd.comparison import sentences

        return sentences.answer(self)

    def sentence(self, name: str) -> str:
        """The verdict on one observable in words.

        Args:
            name: of the observable.
        """
        from sdesgd.comparison import sentences

        return sentences.sentence(self, name)

    def __str__(self) -> str:
        from sdesgd.comparison import report

        return report.text(self)

    def plot(self) -> "Figure":
        """Each observable with its bands, and under it the gap in SGD's standard deviations, in its parts."""
        from sdesgd.plot import comparison

        return comparison.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Observables over (arm, replica, time), padded with NaN to the arm of most replicas; gaps over time."""
        import xarray as xr

        most = max(len(run.diverged) for run in self.trajectories.values())
        arms = []
        for run in self.trajectories.values():
            table = run.to_xarray().drop_vars("stopped")
            table["diverged"] = table["diverged"].astype(float)
            arms.append(table.pad(replica=(0, most - table.sizes["replica"])))
        dataset = xr.concat(arms, xr.Variable("arm", list(self.trajectories)), combine_attrs="drop")
        parts = {"gap": self.gap, "non_gaussian": self.non_gaussian, "discretisation": self.discretisation}
        for part, estimates in parts.items():
            for name, estimate in estimates.items():
                numbers = np.stack([estimate.mean, estimate.low, estimate.high])
                dataset[f"{part}_{name}"] = (("bound", "time"), numbers, {"units": "standard deviations of SGD"})
        return dataset.assign_coords(bound=["mean", "low", "high"])
