"""How many replicas a comparison needs, and how they are shared out between its ensembles."""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
from scipy import optimize

from sdesgd.comparison.ensembles import Ensemble
from sdesgd.errors import InputError
from sdesgd.evidence import GroupSequential
from sdesgd.evidence.equivalence import replicas_needed, replicas_to_detect
from sdesgd.evidence.margins import Margin, absolute_size, as_margins
from sdesgd.evidence.samples import moments

_BEFORE_NEXT = 1.1  # a look is begun if it would end within the time by this factor
# Shares of the largest information at which the data are looked at.
LOOKS = (0.06, 0.12, 0.22, 0.35, 0.55, 0.8, 1.0)
POWER = 0.9
# Of looks that spend evenly, against one look at the end: the information that keeps the power.
_INFLATION = 1.2
_SMALLEST_MARGIN, _LARGEST_MARGIN = 1e-3, 2.0
_LARGEST_RATIO = 8.0


def largest_information(margin: float, alpha: float, hypotheses: int) -> float:
    """1/(1/n_a + v/n_b) at which a difference of any size is decided with power 0.9.

    The hardest difference δ is the one that the test of difference and the equivalence test find equally hard: a larger
    one is different sooner, a smaller one equivalent sooner.

    Args:
        margin: in standard deviations.
        alpha: of either claim.
        hypotheses: times and observables that the difference test corrects for, by Bonferroni's inequality here.
    """
    margin = min(max(margin, _SMALLEST_MARGIN), _LARGEST_MARGIN)

    def excess(shift: float) -> float:
        inside = replicas_needed(margin, difference=shift, power=POWER, alpha=alpha)
        return math.log(inside) - math.log(replicas_to_detect(shift, power=POWER, alpha=alpha / hypotheses))

    hardest = optimize.root_scalar(excess, bracket=(0.02 * margin, 0.95 * margin), xtol=1e-3 * margin).root
    return _INFLATION * replicas_to_detect(hardest, power=POWER, alpha=alpha / hypotheses) / 2


def margin_in_deviations(margins: Mapping[str, Margin], sgd: Mapping[str, np.ndarray]) -> float:
    """The tightest of the margins, in standard deviations of SGD as a pilot shows them.

    Args:
        margins: name → margin.
        sgd: name → (replicas, times).
    """
    sizes = []
    for name, margin in margins.items():
        if margin.unit == "deviation":
            sizes.append(margin.size)
            continue
        deviation = np.sqrt(_variances(sgd[name]))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = (absolute_size(sgd[name], margin) / deviation)[deviation > 0]
        relative = relative[np.isfinite(relative) & (relative > 0)]
        sizes += [float(np.min(relative))] if relative.size else []
    return min(sizes, default=0.5)


def variance_ratio(sgd: Mapping[str, np.ndarray], sde: Mapping[str, np.ndarray]) -> float:
    """The SDE's variance over SGD's, the median over observables and times; 1 where it can't be told."""
    ratios = []
    for name in sgd:
        with np.errstate(all="ignore"):
            ratio = _variances(sde[name]) / _variances(sgd[name])
        ratios += list(ratio[np.isfinite(ratio) & (ratio > 0)])
    return float(np.clip(np.median(ratios), 0.1, 10.0)) if ratios else 1.0


def _variances(values: np.ndarray) -> np.ndarray:
    """Over the replicas finite at each time; NaN where fewer than two are."""
    sample = moments(np.asarray(values, float))
    return np.asarray(sample.variance * sample.unit**2)


def allotted(information: float, ratio: float, costs: tuple[float, float], batches: tuple[int, int]) -> tuple[int, int]:
    """(n_a, n_b), whole batches, that reach 1/(1/n_a + v/n_b) at the least cost: n_a/n_b = √(c_b/(v c_a)).

    Args:
        information: what to reach.
        ratio: v, variance of the second ensemble over that of the first.
        costs: c_a and c_b, of one replica.
        batches: replicas of a batch of each.
    """
    if min(costs) <= 0:
        raise InputError(f"costs are {costs}: pass positive ones")
    share = float(np.clip(math.sqrt(costs[1] / (ratio * costs[0])), 1 / _LARGEST_RATIO, _LARGEST_RATIO))
    second = information * (1 / share + ratio)
    sizes = (share * second, second)
    whole = [max(1, math.ceil(n / b - 1e-9)) * b for n, b in zip(sizes, batches, strict=True)]
    return whole[0], whole[1]


def information(sizes: tuple[int, int], ratio: float) -> float:
    """1/(1/n_a + v/n_b), the inverse variance of a difference of means in units of the first ensemble's variance."""
    return 1 / (1 / sizes[0] + ratio / sizes[1])


def decide(
    monitor: GroupSequential,
    look: Callable[[float], None],
    first: Ensemble,
    second: Ensemble,
    pilots: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    max_replicas: int,
    deadline: float,
    progress: str,
) -> str:
    """Looks at growing ensembles until nothing is undecided.

    Args:
        monitor: whose verdicts count.
        look: fraction of the largest information → one more look.
        first: SGD's ensemble, with its pilot.
        second: the coupled pairs.
        pilots: name → (replicas, times), of SGD and of the SDE.
        max_replicas: of an ensemble.
        deadline: of ``time.monotonic``, after which no look is begun.
        progress: a label.

    Returns:
        Why it ended: "decided", "planned" (what decides a gap of any size with power 0.9 was reached), "replicas" (the
        largest number was), "time" or "diverged" (fewer than two replicas of an arm are finite at some time).
    """
    # Of an observable that is NaN by itself the verdict says so, and the others go on.
    if any(not any(map(_two_are_finite, pilot.values())) for pilot in pilots):
        look(min(LOOKS))
        return "diverged"
    ratio = variance_ratio(*pilots)
    hypotheses = max(1, sum(x.shape[1] - 1 for x in pilots[0].values()))
    size = margin_in_deviations(as_margins(monitor.margin, pilots[0]), pilots[0])
    costs, batches = (first.cost, second.cost), (first.batch, second.batch)
    most = tuple(max(b, max_replicas // b * b) for b in batches)
    planned, attainable = largest_information(size, monitor.alpha, hypotheses), information((most[0], most[1]), ratio)
    largest, ended = min(planned, attainable), "planned" if planned <= attainable else "replicas"
    for fraction in LOOKS:
        wanted = allotted(fraction * largest, ratio, costs, batches)
        wanted = tuple(min(n, limit) for n, limit in zip(wanted, most, strict=True))
        if fraction == 1 and ended == "replicas":
            wanted = most
        seconds = first.seconds(wanted[0]) + second.seconds(wanted[1])
        if monitor.looks and time.monotonic() + _BEFORE_NEXT * seconds > deadline:
            return "time"
        for ensemble, number in zip((first, second), wanted, strict=True):
            ensemble.grow(number, progress)
        sizes = first.replicas, second.replicas
        before = monitor.looks[-1].fraction if monitor.looks else 0.0
        reached = 1.0 if fraction == 1 else min(1.0, information(sizes, ratio) / largest)
        if reached <= before:
            continue
        look(reached)
        if not monitor.undecided:
            return "decided"
        if reached >= 1:
            break
    return ended


def _two_are_finite(values: np.ndarray) -> bool:
    """Whether at every time at least two replicas are finite."""
    return bool((np.isfinite(values).sum(axis=0) >= 2).all())
