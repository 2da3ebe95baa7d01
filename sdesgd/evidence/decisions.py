"""The verdict on two ensembles: equivalent, different or inconclusive."""

import dataclasses
from collections.abc import Mapping
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sdesgd.errors import InputError, require_known
from sdesgd.evidence.equivalence import Equivalence, equivalence_test, replicas_needed, replicas_to_detect
from sdesgd.evidence.estimates import RateDifference, difference_p_values, unpaired_difference
from sdesgd.evidence.finiteness import Arms, lost_replicas, not_finite, rates
from sdesgd.evidence.movement import (
    NOT_FINITE,
    SAME_NUMBERS,
    NotFinite,
    are_the_same_numbers,
    one_path,
    why_nothing_is_compared,
)
from sdesgd.evidence.multiplicity import holm, max_t
from sdesgd.evidence.outcome import Kind, Verdict, nothing_compared, smallest_p_value
from sdesgd.evidence.samples import as_replicas, as_two_arms, check_seed, common_constant, unit_of
from sdesgd.inputs import check_positive_integer
from sdesgd.types import ArrayLike, RealScalarLike

DEFAULT_PERMUTATIONS = 999
Diverged = tuple[ArrayLike, ArrayLike] | None


@overload
def verdict(
    reference: Mapping[str, ArrayLike],
    other: Mapping[str, ArrayLike],
    *,
    margin: RealScalarLike = ...,
    alpha: RealScalarLike = ...,
    diverged: Diverged = ...,
    method: str = ...,
    permutations: int | None = ...,
    seed: int | None = ...,
) -> dict[str, Verdict]: ...
@overload
def verdict(
    reference: ArrayLike,
    other: ArrayLike,
    *,
    margin: RealScalarLike = ...,
    alpha: RealScalarLike = ...,
    diverged: Diverged = ...,
    method: str = ...,
    permutations: int | None = ...,
    seed: int | None = ...,
) -> Verdict: ...
def verdict(
    reference: ArrayLike | Mapping[str, ArrayLike],
    other: ArrayLike | Mapping[str, ArrayLike],
    *,
    margin: RealScalarLike = 0.5,
    alpha: RealScalarLike = 0.05,
    diverged: Diverged = None,
    method: str = "max_t",
    permutations: int | None = None,
    seed: int | None = None,
) -> Verdict | dict[str, Verdict]:
    """Is the mean of `other` equivalent to that of `reference`, different, or can't we tell yet?

    *Equivalent*: at every time a TOST at level alpha puts the difference inside ±margin reference
    standard deviations (intersection–union: no correction over times). *Different*: the difference test
    rejects somewhere after correction over all times and observables. Both may hold: then the kind is
    "equivalent", and the sentence says that a difference inside the margin was detected. Neither:
    "inconclusive", with the replicas an arm that would decide with power 0.8, from the worst time's
    estimated difference: the smaller of what the TOST and what a Bonferroni-corrected difference test
    need. A large p-value alone never makes two arms the same.

    Times where both arms are one and the same constant (the common start) count neither way; where the
    reference alone is constant there is no equivalence. An observable that has nothing to compare is "inconclusive",
    says why in `reason`, and enters no correction: "nothing moved", all values of both arms are one constant (a
    learning rate that is 0 in the dtype, a gradient that is 0); "no noise", all replicas of both arms follow one path,
    so there is no standard deviation for a margin; "same numbers", one run passed twice.

    Diverged replicas leave the means from then on. If there are any, the diverged rates are compared too, as one more
    hypothesis (Bonferroni, factor two); if they differ, the survivors are two different selections, and the kind is
    "different". An entry that is NaN or infinite in a replica that has not diverged is a defect of the observable: it
    is left out and counted in `not_finite`. What is left is a selection that no rate accounts for, so such an
    observable is never "equivalent", but "inconclusive" with the reason "not finite"; it may be "different", since
    equal laws have equal selections.

    Assumes independent replicas in independent arms.

    reference, other: (replicas, times) each, or mappings with the same names to such arrays whose rows
    are the same replicas; then a dictionary of verdicts is returned, the difference tests corrected over
    all of it and equivalence judged by observable. margin: in reference standard deviations. alpha: level
    of either claim. diverged: (reference, other), the `diverged` of the two `Trajectories`, one boolean a replica;
    without it those replicas count whose last value is not finite in any observable, and the sentence says "not
    finite" instead. method: "max_t" (permutations) or "holm" (Welch's t). permutations, seed: of max_t
    alone; 999 and 0 unless given.
    Raises InputError for shapes or names that disagree, arrays that aren't real numbers, fewer than two
    replicas, an unknown method, options of the other method, or too few permutations for alpha.
    Source: Schuirmann 1987, Berger & Hsu 1996, Westfall & Young 1993, Holm 1979: see each test.
    """
    if isinstance(reference, Mapping) and isinstance(other, Mapping):
        if set(reference) != set(other) or not reference:
            raise InputError(
                f"reference has observables {sorted(reference)} and other {sorted(other)}; "
                "pass the same names, at least one"
            )
        arms = {name: (reference[name], other[name]) for name in reference}
        return _verdicts(arms, margin, alpha, diverged, method, permutations, seed)
    if isinstance(reference, Mapping) or isinstance(other, Mapping):
        raise InputError("one arm is a mapping of observables and the other is not; pass two of a kind")
    return _verdicts({"values": (reference, other)}, margin, alpha, diverged, method, permutations, seed)["values"]


def _verdicts(
    given: Mapping[str, tuple[ArrayLike, ArrayLike]],
    margin: RealScalarLike,
    alpha: RealScalarLike,
    diverged: Diverged,
    method: str,
    permutations: int | None,
    seed: int | None,
) -> dict[str, Verdict]:
    require_known("method", method, ("max_t", "holm"))
    arms = checked(given)
    tests = {name: equivalence_test(*pair, margin=margin, alpha=alpha) for name, pair in arms.items()}
    lost = lost_replicas(arms, diverged)
    divergence = rates(lost)
    reasons = why_nothing(arms)
    # What carries no evidence is in no family: the common start, and observables with nothing to compare.
    common = {name: common_constant(*pair) | (reasons[name] is not None) for name, pair in arms.items()}
    # Means and rates of divergence are two families and share alpha between them.
    families = 1 if divergence is None else 2
    if method == "holm":
        if permutations is not None or seed is not None:
            raise InputError("method 'holm' draws nothing: leave permutations and seed out, or use 'max_t'")
        p_values = _holm_p_values(arms, common)
    else:
        relabellings = DEFAULT_PERMUTATIONS if permutations is None else permutations
        check_positive_integer("permutations", relabellings)
        if families > alpha * (1 + relabellings):
            raise InputError(
                f"permutations={relabellings} cannot give a p-value of alpha={alpha}; "
                f"pass {int(np.ceil(20 * families / alpha)) - 1}"
            )
        seed = 0 if seed is None else seed
        check_seed(seed)
        p_values = _max_t_p_values(arms, common, relabellings, seed)
    if divergence is not None:
        corrected = min(1.0, families * divergence.p_value)
        divergence = dataclasses.replace(divergence, p_value=corrected)
    hypotheses = families * max(1, sum(int(np.sum(~mask)) for mask in common.values()))
    verdicts = {}
    for name, pair in arms.items():
        corrected_p = np.minimum(families * p_values[name], 1.0)
        bad = not_finite(pair, lost)
        judged = judge(pair, common[name], tests[name], corrected_p, divergence, method, reasons[name], bad)
        judged = dataclasses.replace(judged, says_diverged=diverged is not None, one_path=one_path(*pair))
        if judged.kind == "inconclusive" and judged.reason is None:
            needed = replicas_to_decide(judged, pair, hypotheses)
            judged = dataclasses.replace(judged, replicas_needed=needed)
        verdicts[name] = judged
    return verdicts


def why_nothing(arms: Arms) -> dict[str, str | None]:
    """For each observable why nothing is compared, if so."""
    otherwise = SAME_NUMBERS if are_the_same_numbers(list(arms.values())) else None
    return {name: why_nothing_is_compared(*pair) or otherwise for name, pair in arms.items()}


@dataclasses.dataclass(frozen=True)
class LookLevels:
    """Levels at one look of several: of the difference test, and of the test of the rates of divergence."""

    difference: float
    divergence: float


def judge(
    pair: tuple[np.ndarray, np.ndarray],
    common: NDArray[np.bool_],
    equivalence: Equivalence,
    difference_p: NDArray[np.float64],
    divergence: RateDifference | None,
    method: str,
    reason: str | None,
    bad: NotFinite | None,
    levels: LookLevels | None = None,
) -> Verdict:
    """The rule for one observable, its p-values corrected beforehand.

    levels: of the two tests of differences, where they aren't that of the equivalence tests.
    """
    alpha = equivalence.alpha
    levels = LookLevels(alpha, alpha) if levels is None else levels
    rates_differ = divergence is not None and divergence.p_value <= levels.divergence
    if reason is not None and not rates_differ:
        return nothing_compared(reason, pair, equivalence, divergence, method)
    equivalent = bool(np.all(equivalence.passed | common)) and not rates_differ and bad is None
    different = smallest_p_value(difference_p) <= levels.difference or rates_differ
    kind: Kind = "equivalent" if equivalent else "different" if different else "inconclusive"
    # By how far the interval reaches (p-values would tie at 1). A time that can't be tested is the furthest.
    reach = np.maximum(np.abs(equivalence.low), np.abs(equivalence.high))
    distance = np.where(np.isnan(equivalence.p_value), np.inf, reach)
    worst = int(np.argmax(np.where(common, -1.0, distance)))
    at_worst = (equivalence.standardized[worst], equivalence.low[worst], equivalence.high[worst])
    centre, low, high = (0.0 if common[worst] else float(value) for value in at_worst)
    return Verdict(
        kind=kind,
        equivalent=equivalent,
        different=different,
        worst_time=worst,
        standardized_difference=centre,
        interval=(low, high),
        equivalence_p_values=np.where(common, np.nan, equivalence.p_value),
        difference_p_values=difference_p,
        counts=(int(np.isfinite(pair[0][:, worst]).sum()), int(np.isfinite(pair[1][:, worst]).sum())),
        divergence=divergence,
        replicas_needed=None,
        margin=equivalence.margin,
        alpha=alpha,
        method=method,
        reason=NOT_FINITE if bad is not None and kind == "inconclusive" else None,
        not_finite=bad,
        difference_level=None if levels.difference == alpha else levels.difference,
        divergence_level=None if levels.divergence == alpha else levels.divergence,
    )


def replicas_to_decide(judged: Verdict, pair: tuple[np.ndarray, np.ndarray], hypotheses: int) -> int | None:
    """Replicas an arm at the worst time's difference; the observed variances stand in for equal ones."""
    if not np.isfinite(judged.standardized_difference):
        return None
    reference, other = (arm[:, judged.worst_time].astype(np.float64) for arm in pair)
    unit = unit_of(reference, other)
    reference, other = reference / unit, other / unit
    difference = unpaired_difference(other, reference)
    variance = np.var(reference[np.isfinite(reference)], ddof=1)
    excess = float(np.square(difference.standard_error) / (variance * sum(1 / n for n in judged.counts)))
    shift = judged.standardized_difference
    for_equivalence = replicas_needed(judged.margin, difference=shift, alpha=judged.alpha)
    for_difference = replicas_to_detect(shift, alpha=judged.alpha / hypotheses)
    needed = excess * min(for_equivalence, for_difference)
    return int(np.ceil(needed)) if np.isfinite(needed) else None


def checked(given: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Arms:
    """The arms as arrays of the dtype they came in, which says what rounding is."""
    arms = {}
    for name, pair in given.items():
        checked = [
            as_replicas(arm, f"'{name}' of {side}") for arm, side in zip(pair, ("reference", "other"), strict=True)
        ]
        for arm in checked:
            if arm.ndim != 2 or min(arm.shape) < 1:
                raise InputError(
                    f"'{name}' has shape {arm.shape}; pass (replicas, times), and each component of a "
                    "vector observable under its own name"
                )
        as_two_arms(checked[0], checked[1], f"'{name}' of reference", f"'{name}' of other")
        arms[name] = (np.asarray(pair[0]), np.asarray(pair[1]))
    for side, arm_name in enumerate(("reference", "other")):
        sizes = {name: len(pair[side]) for name, pair in arms.items()}
        if len(set(sizes.values())) > 1 or min(sizes.values()) < 2:
            raise InputError(f"{arm_name} has replicas {sizes}; pass two or more, the same for every name")
    return arms


def _max_t_p_values(
    arms: Arms, common: dict[str, NDArray[np.bool_]], permutations: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """All observables side by side are the columns of one family."""
    reference, other = (
        np.concatenate([pair[side][:, ~common[name]] for name, pair in arms.items()], axis=1) for side in (0, 1)
    )
    return deal_out(max_t(reference, other, permutations=permutations, seed=seed), common)


def _holm_p_values(arms: Arms, common: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    raw = [
        difference_p_values(unpaired_difference(other, reference))[~common[name]]
        for name, (reference, other) in arms.items()
    ]
    return deal_out(holm(np.concatenate(raw)), common)


def deal_out(p_values: NDArray[np.float64], common: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """One family's p-values back to each observable's times, NaN at the common start."""
    dealt, start = {}, 0
    for name, mask in common.items():
        dealt[name] = np.full(mask.shape, np.nan)
        stop = start + int(np.sum(~mask))
        dealt[name][~mask] = p_values[start:stop]
        start = stop
    return dealt
