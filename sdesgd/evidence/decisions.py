"""The verdict on two ensembles: equivalent, different or inconclusive."""

import dataclasses
from collections.abc import Mapping
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdesgd.errors import InputError, require_known
from sdesgd.evidence.equivalence import Equivalence, equivalence_test, replicas_needed, replicas_to_detect
from sdesgd.evidence.estimates import (
    RateDifference,
    difference_p_values,
    rate_difference,
    unpaired_difference,
)
from sdesgd.evidence.multiplicity import holm, max_t
from sdesgd.evidence.outcome import Kind, Verdict, smallest_p_value
from sdesgd.evidence.samples import Real, as_two_arms, common_constant

Arms = dict[str, tuple[np.ndarray, np.ndarray]]
DEFAULT_PERMUTATIONS = 999


@overload
def verdict(
    reference: Mapping[str, ArrayLike],
    other: Mapping[str, ArrayLike],
    *,
    margin: Real = ...,
    alpha: Real = ...,
    method: str = ...,
    permutations: int | None = ...,
    seed: int | None = ...,
) -> dict[str, Verdict]: ...
@overload
def verdict(
    reference: ArrayLike,
    other: ArrayLike,
    *,
    margin: Real = ...,
    alpha: Real = ...,
    method: str = ...,
    permutations: int | None = ...,
    seed: int | None = ...,
) -> Verdict: ...
def verdict(
    reference: ArrayLike | Mapping[str, ArrayLike],
    other: ArrayLike | Mapping[str, ArrayLike],
    *,
    margin: Real = 0.5,
    alpha: Real = 0.05,
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
    reference alone is constant there is no equivalence. Diverged replicas leave the means from then on.
    If there are any, the diverged rates are compared too, as one more hypothesis (Bonferroni, factor
    two); if they differ, the survivors are two different selections, and the kind is "different".

    Assumes independent replicas in independent arms.

    reference, other: (replicas, times) each, or mappings with the same names to such arrays whose rows
    are the same replicas; then a dictionary of verdicts is returned, the difference tests corrected over
    all of it and equivalence judged by observable. margin: in reference standard deviations. alpha: level
    of either claim. method: "max_t" (permutations) or "holm" (Welch's t). permutations, seed: of max_t
    alone; 999 and 0 unless given.
    Raises InputError for shapes or names that disagree, fewer than two replicas, an unknown method,
    options of the other method, or too few permutations for alpha.
    Source: Schuirmann 1987, Berger & Hsu 1996, Westfall & Young 1993, Holm 1979: see each test.
    """
    if isinstance(reference, Mapping) and isinstance(other, Mapping):
        if set(reference) != set(other) or not reference:
            raise InputError(
                f"reference has observables {sorted(reference)} and other {sorted(other)}; "
                "pass the same names, at least one"
            )
        arms = {name: (np.asarray(reference[name]), np.asarray(other[name])) for name in reference}
        return _verdicts(arms, margin, alpha, method, permutations, seed)
    if isinstance(reference, Mapping) or isinstance(other, Mapping):
        raise InputError("one arm is a mapping of observables and the other is not; pass two of a kind")
    arms = {"values": (np.asarray(reference), np.asarray(other))}
    return _verdicts(arms, margin, alpha, method, permutations, seed)["values"]


def _verdicts(
    arms: Arms, margin: Real, alpha: Real, method: str, permutations: int | None, seed: int | None
) -> dict[str, Verdict]:
    require_known("method", method, ("max_t", "holm"))
    _check_shapes(arms)
    tests = {name: equivalence_test(*pair, margin=margin, alpha=alpha) for name, pair in arms.items()}
    common = {name: common_constant(*pair) for name, pair in arms.items()}
    divergence = _divergence(arms)
    # Means and rates of divergence are two families and share alpha between them.
    families = 1 if divergence is None else 2
    if method == "holm":
        if permutations is not None or seed is not None:
            raise InputError("method 'holm' draws nothing: leave permutations and seed out, or use 'max_t'")
        p_values = _holm_p_values(arms, common)
    else:
        relabellings = DEFAULT_PERMUTATIONS if permutations is None else permutations
        if families > alpha * (1 + relabellings):
            raise InputError(
                f"permutations={relabellings} cannot give a p-value of alpha={alpha}; "
                f"pass {int(np.ceil(20 * families / alpha)) - 1}"
            )
        p_values = _max_t_p_values(arms, common, relabellings, 0 if seed is None else seed)
    if divergence is not None:
        corrected = min(1.0, families * divergence.p_value)
        divergence = dataclasses.replace(divergence, p_value=corrected)
    hypotheses = families * max(1, sum(int(np.sum(~mask)) for mask in common.values()))
    verdicts = {}
    for name, pair in arms.items():
        corrected_p = np.minimum(families * p_values[name], 1.0)
        judged = _judge(pair, common[name], tests[name], corrected_p, divergence, method)
        if judged.kind == "inconclusive":
            needed = _replicas_to_decide(judged, pair, hypotheses)
            judged = dataclasses.replace(judged, replicas_needed=needed)
        verdicts[name] = judged
    return verdicts


def _judge(
    pair: tuple[np.ndarray, np.ndarray],
    common: NDArray[np.bool_],
    equivalence: Equivalence,
    difference_p: NDArray[np.float64],
    divergence: RateDifference | None,
    method: str,
) -> Verdict:
    """The rule for one observable, its p-values corrected beforehand."""
    alpha = equivalence.alpha
    rates_differ = divergence is not None and divergence.p_value <= alpha
    equivalent = bool(np.all(equivalence.passed | common)) and not rates_differ
    different = smallest_p_value(difference_p) <= alpha or rates_differ
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
    )


def _replicas_to_decide(judged: Verdict, pair: tuple[np.ndarray, np.ndarray], hypotheses: int) -> int | None:
    """Replicas an arm at the worst time's difference; the observed variances stand in for equal ones."""
    if not np.isfinite(judged.standardized_difference):
        return None
    reference, other = (arm[:, judged.worst_time].astype(np.float64) for arm in pair)
    difference = unpaired_difference(other, reference)
    variance = np.var(reference[np.isfinite(reference)], ddof=1)
    excess = float(np.square(difference.standard_error) / (variance * sum(1 / n for n in judged.counts)))
    shift = judged.standardized_difference
    for_equivalence = replicas_needed(judged.margin, difference=shift, alpha=judged.alpha)
    for_difference = replicas_to_detect(shift, alpha=judged.alpha / hypotheses)
    needed = excess * min(for_equivalence, for_difference)
    return int(np.ceil(needed)) if np.isfinite(needed) else None


def _check_shapes(arms: Arms) -> None:
    for name, pair in arms.items():
        for arm in pair:
            if arm.ndim != 2 or min(arm.shape) < 1:
                raise InputError(
                    f"'{name}' has shape {arm.shape}; pass (replicas, times), and each component of a "
                    "vector observable under its own name"
                )
        as_two_arms(*pair, f"'{name}' of reference", f"'{name}' of other")
    for side, arm_name in enumerate(("reference", "other")):
        sizes = {name: len(pair[side]) for name, pair in arms.items()}
        if len(set(sizes.values())) > 1 or min(sizes.values()) < 2:
            raise InputError(f"{arm_name} has replicas {sizes}; pass two or more, the same for every name")


def _divergence(arms: Arms) -> RateDifference | None:
    """The rates at which replicas have a non-finite value anywhere; None when none has."""
    reference, other = (
        np.any([~np.isfinite(pair[side]).all(axis=1) for pair in arms.values()], axis=0) for side in (0, 1)
    )
    return rate_difference(reference, other) if reference.any() or other.any() else None


def _max_t_p_values(
    arms: Arms, common: dict[str, NDArray[np.bool_]], permutations: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """All observables side by side are the columns of one family."""
    reference, other = (
        np.concatenate([pair[side][:, ~common[name]] for name, pair in arms.items()], axis=1) for side in (0, 1)
    )
    return _deal_out(max_t(reference, other, permutations=permutations, seed=seed), common)


def _holm_p_values(arms: Arms, common: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    raw = [
        difference_p_values(unpaired_difference(other, reference))[~common[name]]
        for name, (reference, other) in arms.items()
    ]
    return _deal_out(holm(np.concatenate(raw)), common)


def _deal_out(p_values: NDArray[np.float64], common: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """One family's p-values back to each observable's times, NaN at the common start."""
    dealt, start = {}, 0
    for name, mask in common.items():
        dealt[name] = np.full(mask.shape, np.nan)
        stop = start + int(np.sum(~mask))
        dealt[name][~mask] = p_values[start:stop]
        start = stop
    return dealt
