"""Verdicts on two ensembles that grow, with looks at the data that are paid for."""

import dataclasses
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sdesgd.errors import InputError
from sdesgd.evidence.decisions import DEFAULT_PERMUTATIONS, Diverged, LookLevels, checked, deal_out, judge, why_nothing
from sdesgd.evidence.finiteness import Arms, lost_replicas, not_finite, rates
from sdesgd.evidence.margins import MarginLike, as_margins, margin_test
from sdesgd.evidence.movement import one_path
from sdesgd.evidence.multiplicity import TIE_TOLERANCE, WelchStatistics, relabellings
from sdesgd.evidence.outcome import Verdict
from sdesgd.evidence.samples import check_probability, check_seed, common_constant, unit_of
from sdesgd.evidence.spending import nominal_levels, pocock_spending
from sdesgd.inputs import check_positive_integer
from sdesgd.types import ArrayLike, RealScalarLike

_SMALLEST_LEVEL = 1e-12  # of a look at which nothing may be spent


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the data.

    Attributes:
        replicas: of the reference and of the other ensemble.
        fraction: of the largest information.
        equivalence_level: of each one-sided test at this look.
        difference_level: what the difference test could still spend at this look.
        decided: names of the observables whose verdict fell at this look.
    """

    replicas: tuple[int, int]
    fraction: float
    equivalence_level: float
    difference_level: float
    decided: tuple[str, ...]


class GroupSequential:
    """Equivalent, different or undecided yet, look by look; the looks together keep the level α of each claim.

    *Equivalent*: at one look, every time passes a TOST at that look's nominal level, which Lan–DeMets spending gives
    each of the two one-sided tests (intersection–union over times, as in ``verdict``). *Different*: the maximum of
    Welch's |t| over all times and observables, at that look, is beyond what relabelled replicas reach with the
    probability that may be spent there. The relabellings are drawn stage by stage, so that a relabelled path of looks
    has the law of the observed one where the two ensembles have one law: the test of all looks is then exact; for equal
    means alone it is approximately right (0.09 for 0.05 was measured where the smaller ensemble, of 10 to 40 replicas,
    has nine times the variance of the larger, and 0.08 where it is uncorrelated over the times and the larger isn't).

    A verdict that has fallen stays. If replicas diverge, half of α goes to the test of the rates of divergence, which
    spends it look by look by Bonferroni's inequality.

    Assumes independent replicas in independent ensembles, of which later looks hold those of earlier ones in front.

    Args:
        margin: of equivalence, for all observables or by name; see ``as_margins``.
        alpha: level of either claim.
        permutations: relabellings of the difference test.
        seed: of those.

    Raises:
        InputError: a margin, level, number or seed out of range.

    Source:
        Lan & DeMets 1983, Biometrika 70; Jennison & Turnbull 2000, *Group Sequential Methods*; Westfall & Young 1993.
    """

    def __init__(
        self,
        *,
        margin: MarginLike | Mapping[str, MarginLike] = 0.5,
        alpha: RealScalarLike = 0.05,
        permutations: int = DEFAULT_PERMUTATIONS,
        seed: int = 0,
    ):
        check_probability(alpha, "alpha")
        check_positive_integer("permutations", permutations)
        check_seed(seed)
        as_margins(margin, margin if isinstance(margin, Mapping) else {})
        self.margin, self.alpha, self.permutations, self.seed = margin, float(alpha), int(permutations), int(seed)
        self.looks: list[Look] = []
        self.verdicts: dict[str, Verdict] = {}
        self.crossed = np.zeros(self.permutations, bool)
        self._sizes: list[tuple[int, int]] = []
        self._times: dict[str, int] = {}

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the observables that are neither equivalent nor different yet, and for which more would help."""
        return tuple(name for name, v in self.verdicts.items() if v.kind == "inconclusive" and v.reason is None)

    def look(
        self,
        reference: Mapping[str, ArrayLike],
        other: Mapping[str, ArrayLike],
        fraction: RealScalarLike,
        *,
        diverged: Diverged = None,
    ) -> dict[str, Verdict]:
        """The verdicts after another look.

        Args:
            reference: name → (replicas, times), all replicas so far, those of earlier looks first.
            other: the same names and times.
            fraction: of the largest information, above that of the look before; 1 is the last look.
            diverged: (reference, other), as of ``verdict``.

        Raises:
            InputError: other names or times, or fewer replicas, than at the look before; a fraction that isn't larger.
        """
        if set(reference) != set(other) or not reference:
            raise InputError(
                f"observables are {sorted(reference)} and {sorted(other)}: pass the same names, at least one"
            )
        arms = checked({name: (reference[name], other[name]) for name in reference})
        sizes, times = self._checked_growth(arms, fraction)
        fractions = [*(look.fraction for look in self.looks), float(fraction)]
        level = max(float(nominal_levels(fractions, alpha=self.alpha)[-1]), _SMALLEST_LEVEL)
        margins = as_margins(self.margin, arms)
        lost = lost_replicas(arms, diverged)
        self._sizes, self._times = [*self._sizes, sizes], times
        divergence = rates(lost)
        reasons = why_nothing(arms)
        common = {name: common_constant(*pair) | (reasons[name] is not None) for name, pair in arms.items()}
        # Means and rates of divergence are two families and share alpha between them.
        share = self.alpha if divergence is None else self.alpha / 2
        paths = 1 + self.permutations
        may = max(0, int(np.floor(pocock_spending(share, fraction) * paths + 1e-9)) - int(self.crossed.sum()))
        p_values = deal_out(self._p_values(arms, common, may), common)
        spent = pocock_spending(share, self.looks[-1].fraction) if self.looks else 0.0
        levels = LookLevels(may / paths, pocock_spending(share, fraction) - spent)
        fallen = []
        for name, pair in arms.items():
            if self.verdicts.get(name) is not None and self.verdicts[name].kind != "inconclusive":
                continue
            test = margin_test(*pair, margin=margins[name], alpha=level)
            bad = not_finite(pair, lost)
            judged = judge(pair, common[name], test, p_values[name], divergence, "max_t", reasons[name], bad, levels)
            judged = dataclasses.replace(judged, says_diverged=diverged is not None, one_path=one_path(*pair))
            self.verdicts[name] = judged
            if judged.kind != "inconclusive":
                fallen.append(name)
        self.looks.append(Look(sizes, float(fraction), level, levels.difference, tuple(fallen)))
        return dict(self.verdicts)

    def _checked_growth(self, arms: Arms, fraction: RealScalarLike) -> tuple[tuple[int, int], dict[str, int]]:
        """The sizes of the two ensembles and the number of times of each observable, compared with the look before."""
        one, two = (len(arm) for arm in next(iter(arms.values())))
        times = {name: pair[0].shape[1] for name, pair in arms.items()}
        before = self._sizes[-1] if self._sizes else (0, 0)
        if self._times and times != self._times:
            raise InputError(f"observables have times {times}, and had {self._times}: pass the same names and times")
        if one < before[0] or two < before[1]:
            raise InputError(f"replicas are {(one, two)}, and were {before} at the look before: pass all of them")
        if self.looks and not fraction > self.looks[-1].fraction:
            raise InputError(f"fraction is {fraction} after {self.looks[-1].fraction}: pass a larger one")
        return (one, two), times

    def _p_values(self, arms: Arms, common: Mapping[str, NDArray[np.bool_]], may: int) -> NDArray[np.float64]:
        """Of every column that is tested: how often relabelled paths that haven't crossed before reach its |t| now.

        Marks those that cross now: of all paths, the observed one among them, the `may` highest.
        """
        sides = [
            np.concatenate([pair[side][:, ~common[name]] for name, pair in arms.items()], axis=1).astype(float)
            for side in (0, 1)
        ]
        if not sides[0].shape[1]:
            return np.zeros(0)
        labels, relabelled, blocks = [], [], []
        for stage, (start, stop) in enumerate(pairwise([(0, 0), *self._sizes])):
            blocks += [sides[side][start[side] : stop[side]] for side in (0, 1)]
            own = np.repeat([1.0, 0.0], [stop[side] - start[side] for side in (0, 1)])
            labels.append(own)
            drawn = relabellings(own, self.permutations, (self.seed << 8) + stage)
            relabelled.append(np.concatenate(list(drawn)))
        columns = np.concatenate(blocks)
        statistics = WelchStatistics(columns / unit_of(columns))
        observed = statistics(np.concatenate(labels)[None])[0]
        rows = np.concatenate(relabelled, axis=1)
        at_once = max(1, 2**24 // max(1, rows.shape[1] + 8 * columns.shape[1]))
        largest = np.concatenate([statistics(rows[k : k + at_once]).max(axis=1) for k in range(0, len(rows), at_once)])
        alive = np.where(self.crossed, -np.inf, largest)
        reached = (alive[:, None] >= observed * (1 - TIE_TOLERANCE)).sum(axis=0)
        # The rule that the observed path is held to: no more than `may` paths, itself among them, are as high.
        highest_that_stays = np.sort(np.append(alive, observed.max()))[-may - 1]
        self.crossed = self.crossed | (alive * (1 - TIE_TOLERANCE) > highest_that_stays)
        return (1 + reached) / (1 + self.permutations)
