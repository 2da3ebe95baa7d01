"""How far the SDE's own step h is from h/2: replicas of the SDE arm run again at half their step, on their paths."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from sdesgd.comparison import judgement
from sdesgd.comparison.ensembles import Ensemble
from sdesgd.comparison.result import GapEstimate, WorstGap
from sdesgd.evidence import Verdict
from sdesgd.evidence.margins import Margin
from sdesgd.trajectories import Trajectories

FIRST, LARGEST = 8, 32  # replicas that are run again
WITH_A_FIXED_NUMBER = 16
# Half the width of the interval, as a share of what the error has to stay below.
_PRECISION = 0.5


def batch_of(check_replicas: int | None, pairs: Ensemble, sequential: bool) -> int:
    """Replicas of a batch of the check: of each batch of pairs the first ones are run again.

    Args:
        check_replicas: asked for; None: as many as it takes.
        pairs: the ensemble that they are from.
        sequential: whether that grows in batches.
    """
    wanted = check_replicas or (FIRST if sequential else WITH_A_FIXED_NUMBER)
    return min(wanted, pairs.batch)


def coupled_with(check: Ensemble, sde: Trajectories, batch: int) -> tuple[Trajectories, Trajectories]:
    """(the SDE at h, the same replicas at h/2).

    Args:
        check: batch k holds the first replicas of batch k of the pairs at h/2.
        sde: all replicas of the pairs.
        batch: of the pairs.
    """
    (half,) = check.trajectories()
    rows = np.concatenate([k * batch + np.arange(check.batch) for k in range(check.replicas // check.batch)])
    values = {name: array[rows] for name, array in sde.values.items()}
    return dataclasses.replace(sde, values=values, diverged=sde.diverged[rows], stopped=sde.stopped[rows]), half


def errors(
    check: Ensemble, pairs: Ensemble, sgd: Mapping[str, np.ndarray], labels: Mapping[str, str] | None
) -> dict[str, GapEstimate]:
    """name → the SDE at h minus at h/2, in SGD's standard deviations.

    Args:
        check: at h/2.
        pairs: Gaussian SGD and the SDE at h.
        sgd: name → (replicas, T), whose standard deviation is the unit.
        labels: of the observables.
    """
    both = coupled_with(check, pairs.trajectories()[1], pairs.batch)
    h, half = (judgement.scalars_of(run, labels)[0] for run in both)
    return {name: judgement.coupled(h, half, name, values) for name, values in sgd.items()}


def grow(
    check: Ensemble,
    pairs: Ensemble,
    wanted: int | None,
    verdicts: Mapping[str, Verdict],
    worst: Mapping[str, WorstGap],
    margins: Mapping[str, Margin],
    sgd: Mapping[str, np.ndarray],
    labels: Mapping[str, str] | None,
    progress: str,
) -> None:
    """Runs replicas again at h/2: as many as are wanted, or until the error of the step is known well enough.

    That is: until, at the worst time of each observable, half the width of the interval is within half of what the
    error has to stay below: the gap, where the verdict is that the means differ, else the margin. The rule looks at
    the width alone and not at where the interval lies, so looking again costs the interval nothing but what the
    variance is picked by: it covers in 0.94 to 0.95 of cases for 0.95.

    Args:
        check: to grow, by whole batches; there are no more than the pairs have.
        pairs: Gaussian SGD and the SDE at h.
        wanted: a number; None: until it is known, at most 32.
        verdicts: name → verdict.
        worst: name → where the gap is furthest from zero.
        margins: name → margin.
        sgd: name → (replicas, T).
        labels: of the observables.
        progress: a label.
    """
    available = pairs.replicas // pairs.batch * check.batch
    most = min(LARGEST if wanted is None else wanted, available)
    check.grow(min(check.batch if wanted is None else wanted, most), progress)
    while wanted is None and check.replicas + check.batch <= most:
        found = errors(check, pairs, sgd, labels)
        if all(_precise(found[name], at, verdicts[name], margins[name], sgd[name]) for name, at in worst.items()):
            return
        check.grow(check.replicas + 1, progress)


def _precise(part: GapEstimate, at: WorstGap, verdict: Verdict, margin: Margin, sgd: np.ndarray) -> bool:
    """Whether the interval is narrow enough, or can't be had: where replicas are lost, more don't help."""
    below: Any = abs(at.mean) if judgement.of_means(verdict) else judgement.margin_at(margin, sgd, at.index)
    width = part.high[at.index] - part.low[at.index]
    return bool(not np.isfinite(part.mean[at.index]) or verdict.reason is not None or width / 2 <= _PRECISION * below)
