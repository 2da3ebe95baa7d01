"""A comparison in words that name SGD, the SDE and the step."""

import math

from sdesgd.comparison.judgement import of_means, outlasts, within_margin
from sdesgd.comparison.result import Comparison, GapEstimate, WorstGap
from sdesgd.evidence.movement import NO_NOISE, NOTHING_MOVED, SAME_NUMBERS

# Reasons of a verdict that compared nothing.
WITHOUT_EVIDENCE = (NOTHING_MOVED, NO_NOISE, SAME_NUMBERS)
KINDS = ("equivalent", "different", "inconclusive")


def answer(result: Comparison) -> str:
    """One line for all observables.

    Args:
        result: of ``compare``.
    """
    verdicts = list(result.verdicts.values())
    kinds, reasons, total = [v.kind for v in verdicts], [v.reason for v in verdicts], len(verdicts)
    count = {kind: kinds.count(kind) for kind in KINDS}
    if count["equivalent"] == total:
        return f"Yes: all {total} observables are equivalent." if total > 1 else "Yes: the observable is equivalent."
    if count["different"]:
        rest = f", {count['inconclusive']} undecided" if count["inconclusive"] else ""
        return f"No: {count['different']} of {total} observables differ, {count['equivalent']} are equivalent{rest}."
    if all(reason in WITHOUT_EVIDENCE for reason in reasons):
        return f"No evidence: {' and '.join(sorted({str(r) for r in reasons}))}, in all {total} observables."
    needy = sum(v.kind == "inconclusive" and v.reason is None for v in verdicts)
    found = [f"{needy} of {total} observables need more replicas"] if needy else []
    found += [f"{reasons.count(reason)} of {total}: {reason}" for reason in sorted({r for r in reasons if r})]
    return f"Undecided: {'; '.join(found)}; see the numbers below."


def sentence(result: Comparison, name: str) -> str:
    """The verdict on one observable: where the gap is largest, how large, what it is made of.

    Args:
        result: of ``compare``.
        name: of the observable.
    """
    verdict, margin = result.verdicts[name], result.design.margins[name]
    worst = result.worst.get(name)
    if worst is None:
        return verdict.sentence().removesuffix(".")
    other = "reshuffling and non-Gaussian noise" if result.setting.sampling == "reshuffle" else "non-Gaussian noise"
    parts = []
    for estimates, words in ((result.discretisation, "finite η"), (result.non_gaussian, other)):
        parts.append(f"{interval(estimates[name], worst.index)} by {words}")
    text = f"{verdict.kind}; {_worst(worst)}" + (f" ({', '.join(parts)})" if math.isfinite(worst.mean) else "")
    if verdict.kind == "equivalent":
        text += f"; the means agree within {margin} at every saved step"
        if verdict.different:
            text += "; a difference within the margin was detected"
    if of_means(verdict) and margin.unit == "deviation" and min(abs(worst.low), abs(worst.high)) < margin.size:
        text += f"; a difference of the means is established, one beyond the margin of {margin} is not"
    if verdict.divergence is not None:
        rates = verdict.divergence
        text += f"; {100 * rates.rate_a:.3g} % of SGD's and {100 * rates.rate_b:.3g} % of the SDE's replicas diverged"
    if verdict.not_finite is not None:
        sgd, sde = verdict.not_finite.replicas
        text += (
            f"; NaN or infinite in {sgd} SGD and {sde} SDE replicas that haven't diverged: these values were left out, "
            "and equivalence can't be claimed of the rest"
        )
    missing = result.not_established.get(name)
    if missing is not None and missing.remedy:
        text += f"; {missing.reason}: {missing.remedy} would decide"
    return text


def unresolved(result: Comparison) -> list[str]:
    """Observables whose verdict may be owed to the SDE's step h, by the check against h/2 at the worst time.

    Of a difference of means the check asks whether it is still there at h/2; of any other verdict whether h against
    h/2 is within the margin.

    Args:
        result: of ``compare``.
    """
    sgd, found = result.trajectories["SGD"].values, []
    for name, worst in result.worst.items():
        if name not in result.h_against_half:
            continue
        error, margin = result.h_against_half[name], result.design.margins[name]
        if of_means(result.verdicts[name]):
            fine = outlasts(result.gap[name], error, worst.index)
        else:
            fine = within_margin(error, worst.index, margin, sgd[name])
        if not fine:
            found.append(name)
    return found


def design(result: Comparison) -> str:
    """How many replicas and looks it took, and why it ended.

    Args:
        result: of ``compare``.
    """
    plan = result.design
    sizes = ", ".join(f"{count} of {arm}" for arm, count in plan.replicas.items())
    if plan.check_replicas:
        sizes += f", {plan.check_replicas} of the SDE's again at h/2"
    if not plan.sequential:
        return f"{sizes} (a fixed number, one look)"
    looks = f"{len(plan.looks)} look{'s' if len(plan.looks) > 1 else ''}"
    ends = {
        "decided": "nothing was left to decide",
        "time": "time ran out",
        "planned": "the number that decides a gap of any size with power 0.9 was reached",
        "diverged": "fewer than two replicas of an arm were finite at some step",
        "replicas": "the largest number of replicas was reached",
        "interrupted": "it was interrupted",
    }
    return f"{sizes}; {looks} at the data, until {ends.get(plan.ended, plan.ended)}"


def interval(estimate: GapEstimate, index: int) -> str:
    """mean [low, high] at one time, or that it is unknown.

    Args:
        estimate: over times.
        index: of the time.
    """
    mean, low, high = (float(x[index]) for x in (estimate.mean, estimate.low, estimate.high))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" if math.isfinite(low + high) else "unknown"


def _worst(worst: WorstGap) -> str:
    where = f"least alike at step {worst.step}"
    if math.isfinite(worst.low + worst.high):
        return f"{where}, SGD − SDE = {worst.mean:+.2f} SD [{worst.low:+.2f}, {worst.high:+.2f}]"
    if math.isfinite(worst.mean):
        return f"{where}, SGD − SDE = {worst.mean:+.2f} SD, with too few replicas for an interval"
    if math.isinf(worst.mean):
        return f"{where}, where SGD doesn't vary and the SDE differs from it"
    return f"{where}, where fewer than two replicas of SGD or of the SDE are finite"
