"""What the ensembles say: the parts of the gap, its worst time, the joint law at the end."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sdesgd import evidence
from sdesgd.comparison.result import GapEstimate, WorstGap
from sdesgd.evidence.margins import Margin, absolute_size
from sdesgd.evidence.outcome import smallest_p_value
from sdesgd.evidence.samples import common_constant
from sdesgd.evidence.simultaneous import simultaneous_level
from sdesgd.trajectories import Trajectories

_LEVEL = 0.05  # of all intervals


def parts_of_the_gap(sgd: Trajectories, gaussian: Trajectories, sde: Trajectories) -> tuple[dict, dict, dict]:
    """(SGD − SDE, SGD − Gaussian SGD, Gaussian SGD − SDE), name → estimate each; the first is the sum of the others.

    Args:
        sgd: independent of the other two.
        gaussian: coupled with ``sde``.
        sde: on the same increments.
    """
    total, first, second = {}, {}, {}
    for name, values in sgd.values.items():
        total[name] = _independent(values, sde.values[name])
        first[name] = _independent(values, gaussian.values[name])
        second[name] = coupled(gaussian, sde, name, values)
    return total, first, second


def coupled(one: Trajectories, other: Trajectories, name: str, sgd: np.ndarray) -> GapEstimate:
    """one − other of a coupled pair that ran independently of SGD, in SGD's standard deviations.

    Args:
        one: the first of the pair.
        other: the second.
        name: of the observable.
        sgd: (replicas, T), whose standard deviation is the unit.
    """
    difference = evidence.paired_difference(one.values[name], other.values[name])
    return _estimate(*evidence.in_reference_deviations(difference, sgd))


def _independent(sgd: np.ndarray, other: np.ndarray) -> GapEstimate:
    """SGD − other; the library's test is of other − SGD, with an interval of level 1 − 2·alpha."""
    test = evidence.equivalence_test(sgd, other, alpha=_LEVEL / 2)
    return _estimate(-test.standardized, -test.high, -test.low)


def _estimate(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> GapEstimate:
    """NaN throughout where there is no standard deviation to divide by, as at the common start."""
    known = np.isfinite(mean)
    return GapEstimate(*(np.where(known, np.asarray(x, float), np.nan) for x in (mean, low, high)))


def worst_gaps(
    sgd: Trajectories, sde: Trajectories, looks: Sequence[evidence.Look], verdicts: Mapping[str, evidence.Verdict]
) -> dict[str, WorstGap]:
    """name → the gap at the time furthest from zero, with an interval for all times and looks at once.

    Args:
        sgd: its replicas.
        sde: the SDE's.
        looks: at the data.
        verdicts: name → verdict; those that compared nothing have no worst gap.
    """
    fractions = [look.fraction for look in looks]
    found = {}
    for name, values in sgd.values.items():
        if verdicts[name].reason in ("nothing moved", "no noise", "same numbers"):
            continue
        other = sde.values[name]
        own = simultaneous_level(values, other, fractions, alpha=_LEVEL)
        test = evidence.equivalence_test(values, other, alpha=own / 2)
        moving = ~common_constant(values, other)
        low, high = np.asarray(-test.high, float), np.asarray(-test.low, float)
        reach = np.where(moving, np.maximum(np.abs(low), np.abs(high)), -1.0)
        reach = np.where(np.isnan(reach), np.inf, reach)
        index = int(np.argmax(reach))
        ends = (float(x[index]) for x in (-np.asarray(test.standardized, float), low, high))
        found[name] = WorstGap(index, int(sgd.step[index]), *ends)
    return found


def joint_laws(arms: Mapping[str, Trajectories], seed: int) -> dict[str, float | None]:
    """Energy tests of the joint law of all observables at the last time, beyond their means.

    Observables are standardised; replicas that diverged, or whose observables aren't finite, are left out. None where
    no observable varies, so that nothing was tested.

    Args:
        arms: "SGD", "Gaussian SGD" and "SDE".
        seed: of the relabellings.
    """

    def last(arm: str) -> np.ndarray:
        rows = np.stack([values[:, -1] for values in arms[arm].values.values()], axis=1).astype(float)
        return rows[np.isfinite(rows).all(axis=1)]

    found: dict[str, float | None] = {}
    for pair in (("SGD", "SDE"), ("SGD", "Gaussian SGD")):
        first, second = (last(arm) for arm in pair)
        if min(len(first), len(second)) > 1:
            p_value = float(evidence.energy_test(first, second, seed=seed, standardize=True).p_value)
            found[" against ".join(pair)] = p_value if np.isfinite(p_value) else None
    return found


def scalars_of(run: Trajectories, labels: Mapping[str, str] | None) -> tuple[Trajectories, dict[str, str]]:
    """The run with each component of a vector as an observable of its own, in the order of the labels; and all labels.

    Args:
        run: of any dynamics.
        labels: name → label with units; the name itself where there is none.
    """
    values, said = {}, {}
    ordered = [name for name in labels or {} if name in run.values]
    for name in ordered + [name for name in run.values if name not in ordered]:
        array = run.values[name]
        label = (labels or {}).get(name, name)
        if array.ndim == 2:
            values[name], said[name] = array, label
            continue
        for place in np.ndindex(array.shape[2:]):
            entry = ",".join(map(str, place))
            values[f"{name}[{entry}]"] = array[(slice(None), slice(None), *place)]
            said[f"{name}[{entry}]"] = (labels or {}).get(f"{name}[{entry}]", f"{label} [{entry}]")
    return dataclasses.replace(run, values=values), said


def within_margin(part: GapEstimate, index: int, margin: Margin, sgd: np.ndarray) -> bool:
    """Whether a coupled difference is within the margin at a time, its whole interval.

    Args:
        part: in SGD's standard deviations.
        index: of the time.
        margin: in any unit.
        sgd: (replicas, T).
    """
    size = float(margin.size)
    if margin.unit != "deviation":
        finite = sgd[:, index][np.isfinite(sgd[:, index])]
        size = float(absolute_size(sgd, margin)[index] / np.std(finite, ddof=1)) if len(finite) > 1 else np.nan
    return bool(max(abs(part.low[index]), abs(part.high[index])) <= size)


def outlasts(gap: GapEstimate, error: GapEstimate, index: int) -> bool:
    """Whether SGD − SDE keeps its sign at a time with the SDE at h/2, the whole interval of the sum.

    SGD − SDE_{h/2} = (SGD − SDE_h) + (SDE_h − SDE_{h/2}), with an interval from those of the two:

        θ̂₁ + θ̂₂ ± √((θ̂₁ − end₁)² + (θ̂₂ − end₂)²)

    Assumes that the two are independent, or that SDE_h and SDE_h − SDE_{h/2} are positively correlated.

    Args:
        gap: SGD − SDE_h.
        error: SDE_h − SDE_{h/2}, in the same unit.
        index: of the time.

    Source:
        Zou & Donner 2008, Statist. Med. 27 (an interval of a sum from those of its parts).
    """
    total = gap.mean[index] + error.mean[index]
    low, high = (
        total + sign * np.hypot(*(part.mean[index] - getattr(part, end)[index] for part in (gap, error)))
        for sign, end in ((-1, "low"), (1, "high"))
    )
    return bool(low > 0 if gap.mean[index] > 0 else high < 0)


def of_means(verdict: evidence.Verdict) -> bool:
    """Whether a verdict is that means differ, and not rates of divergence alone."""
    level = verdict.alpha if verdict.difference_level is None else verdict.difference_level
    return verdict.kind == "different" and smallest_p_value(verdict.difference_p_values) <= level


def against(reference: Trajectories, other: Trajectories, **options: Any) -> dict[str, evidence.Verdict]:
    """Verdicts of one look, at levels that aren't corrected for a number of replicas that the data chose.

    Args:
        reference: whose standard deviation is the unit.
        other: of any number of replicas.
        options: of ``evidence.GroupSequential``.
    """
    monitor = evidence.GroupSequential(**options)
    return monitor.look(reference.values, other.values, 1.0, diverged=(reference.diverged, other.diverged))
