"""A comparison in words that name SGD, the SDE and the step."""

from sdesgd.comparison.result import Comparison, GapEstimate
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
        return f"Yes: all {total} observables are equivalent."
    if count["different"]:
        return f"No: {count['different']} of {total} observables differ, {count['equivalent']} are equivalent."
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
    if not all(abs(x) < float("inf") for x in (worst.mean, worst.low, worst.high)):
        return f"{verdict.kind}; SGD doesn't vary at the time of the largest difference"
    other = "reshuffling and non-Gaussian noise" if result.setting.sampling == "reshuffle" else "non-Gaussian noise"
    parts = []
    for estimates, words in ((result.discretisation, "finite η"), (result.non_gaussian, other)):
        centre, half = at(estimates[name], worst.index)
        parts.append(f"{centre:+.2f} ± {half:.2f} by {words}" if half < float("inf") else f"unknown by {words}")
    text = (
        f"{verdict.kind}; least alike at step {worst.step}, SGD − SDE = {worst.mean:+.2f} SD "
        f"[{worst.low:+.2f}, {worst.high:+.2f}] ({', '.join(parts)})"
    )
    if verdict.kind == "equivalent":
        text += f"; the means agree within {margin} at every saved step"
        if verdict.different:
            text += ", and the difference is real"
    if (
        verdict.kind == "different"
        and margin.unit == "deviation"
        and min(abs(worst.low), abs(worst.high)) < margin.size
    ):
        text += f"; a difference is sure, one beyond the margin of {margin} is not"
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
    """Observables for which h against h/2 isn't within the margin at the worst time, with its interval.

    Args:
        result: of ``compare``.
    """
    loose = []
    for name, worst in result.worst.items():
        margin, halves = result.design.margins[name], result.h_against_half.get(name)
        if halves is None or margin.unit != "deviation":
            continue
        centre, half = at(halves, worst.index)
        if abs(centre) + half > margin.size:
            loose.append(name)
    return loose


def design(result: Comparison) -> str:
    """How many replicas and looks it took, and why it ended.

    Args:
        result: of ``compare``.
    """
    plan = result.design
    sizes = ", ".join(f"{count} of {arm}" for arm, count in plan.replicas.items())
    if not plan.sequential:
        return f"{sizes} (a fixed number, one look)"
    looks = f"{len(plan.looks)} look{'s' if len(plan.looks) > 1 else ''}"
    ends = {
        "decided": "every verdict fell",
        "time": "the time was over",
        "replicas": "the largest number of replicas was reached",
        "interrupted": "it was interrupted",
    }
    return f"{sizes}; {looks} at the data, until {ends.get(plan.ended, plan.ended)}"


def at(estimate: GapEstimate, index: int) -> tuple[float, float]:
    """(mean, half of the interval) at one time.

    Args:
        estimate: over times.
        index: of the time.
    """
    return float(estimate.mean[index]), float(estimate.high[index] - estimate.low[index]) / 2
