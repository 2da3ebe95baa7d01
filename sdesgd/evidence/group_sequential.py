"""Verdicts on two ensembles that grow, with looks at the data that are paid for."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdesgd.errors import InputError
from sdesgd.evidence.decisions import DEFAULT_PERMUTATIONS, Diverged, checked, deal_out, judge, why_nothing
from sdesgd.evidence.finiteness import Arms, lost_replicas, not_finite, rates
from sdesgd.evidence.margins import MarginLike, as_margins, margin_test
from sdesgd.evidence.movement import one_path
from sdesgd.evidence.multiplicity import TIE_TOLERANCE, WelchStatistics, relabellings
from sdesgd.evidence.outcome import Verdict
from sdesgd.evidence.samples import Real, check_probability, check_seed, common_constant, unit_of
from sdesgd.evidence.spending import nominal_levels, pocock_spending
from sdesgd.inputs import check_positive_integer

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
    means alone it is asymptotically right.

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
        alpha: Real = 0.05,
        permutations: int = DEFAULT_PERMUTATIONS,
        seed: int = 0,
    ):
        check_probability(alpha, "alpha")
        check_positive_integer("permutations", permutations)
        check_seed(seed)
        self.margin, self.alpha, self.permutations, self.seed = margin, float(alpha), int(permutations), int(seed)
        self.looks: list[Look] = []
        self.verdicts: dict[str, Verdict] = {}
        self.crossed = np.zeros(self.permutations, bool)
        self._stages: list[tuple[int, int]] = []

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the observables that are neither equivalent nor different yet, and for which more would help."""
        return tuple(name for name, v in self.verdicts.items() if v.kind == "inconclusive" and v.reason is None)

    def look(
        self,
        reference: Mapping[str, ArrayLike],
        other: Mapping[str, ArrayLike],
        fraction: Real,
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
        arms = checked({name: (reference[name], other[name]) for name in reference})
        self._add_stage(arms, fraction)
        fractions = [*(look.fraction for look in self.looks), float(fraction)]
        level = max(float(nominal_levels(fractions, alpha=self.alpha)[-1]), _SMALLEST_LEVEL)
        margins = as_margins(self.margin, arms)
        lost = lost_replicas(arms, diverged)
        divergence = rates(lost)
        reasons = why_nothing(arms)
        common = {name: common_constant(*pair) | (reasons[name] is not None) for name, pair in arms.items()}
        share = self.alpha if divergence is None else self.alpha / 2
        crossed = float(self.crossed.sum() / (1 + self.permutations))
        allowed = max(pocock_spending(share, fraction) - crossed, 0.0)
        p_values = deal_out(self._p_values(arms, common, allowed), common)
        if divergence is not None:
            spent = pocock_spending(share, self.looks[-1].fraction) if self.looks else 0.0
            own = pocock_spending(share, fraction) - spent
            # Held against the same level as the means, so scaled to it.
            scale = allowed / own if own > 0 else np.inf
            divergence = dataclasses.replace(divergence, p_value=min(1.0, divergence.p_value * max(scale, 1e-12)))
        fallen = []
        for name, pair in arms.items():
            if self.verdicts.get(name) is not None and self.verdicts[name].kind != "inconclusive":
                continue
            test = margin_test(*pair, margin=margins[name], alpha=level)
            bad = not_finite(pair, lost)
            judged = judge(pair, common[name], test, p_values[name], divergence, "max_t", reasons[name], bad, allowed)
            judged = dataclasses.replace(judged, says_diverged=diverged is not None, one_path=one_path(*pair))
            self.verdicts[name] = judged
            if judged.kind != "inconclusive":
                fallen.append(name)
        sizes = tuple(len(arm) for arm in next(iter(arms.values())))
        self.looks.append(Look((sizes[0], sizes[1]), float(fraction), level, allowed, tuple(fallen)))
        return dict(self.verdicts)

    def _add_stage(self, arms: Arms, fraction: Real) -> None:
        sizes = tuple(len(arm) for arm in next(iter(arms.values())))
        before = self.looks[-1].replicas if self.looks else (0, 0)
        if self.verdicts and set(self.verdicts) != set(arms):
            raise InputError(f"observables are {sorted(arms)}, and were {sorted(self.verdicts)}: pass the same names")
        new = (sizes[0] - before[0], sizes[1] - before[1])
        if min(new) < 0:
            raise InputError(f"replicas are {sizes}, and were {before} at the look before: pass all of them")
        if self.looks and not fraction > self.looks[-1].fraction:
            raise InputError(f"fraction is {fraction} after {self.looks[-1].fraction}: pass a larger one")
        self._stages.append(new)

    def _p_values(self, arms: Arms, common: Mapping[str, NDArray[np.bool_]], allowed: float) -> NDArray[np.float64]:
        """Of every column that is tested: how often relabelled paths that haven't crossed before reach its |t| now.

        Marks those that cross now, as many as may.
        """
        sides = [
            np.concatenate([pair[side][:, ~common[name]] for name, pair in arms.items()], axis=1).astype(float)
            for side in (0, 1)
        ]
        if not sides[0].shape[1]:
            return np.zeros(0)
        labels, relabelled, blocks = [], [], []
        starts = [0, 0]
        for stage, sizes in enumerate(self._stages):
            for side in (0, 1):
                blocks.append(sides[side][starts[side] : starts[side] + sizes[side]])
                starts[side] += sizes[side]
            own = np.repeat([1.0, 0.0], sizes)
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
        may = int(np.floor(allowed * (1 + self.permutations) + 1e-9))
        if may:  # of all paths, the observed one among them, the highest may cross
            self.crossed = self.crossed | (alive >= max(np.sort(alive)[-may], 0.0))
        return (1 + reached) / (1 + self.permutations)
