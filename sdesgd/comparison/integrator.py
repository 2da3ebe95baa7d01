"""How far the SDE's own step h is from h/2: replicas of the SDE arm run again at half their step, on their paths."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from sdesgd.comparison import judgement
from sdesgd.comparison.ensembles import Ensemble
from sdesgd.comparison.result import GapEstimate, WorstGap
from sdesgd.trajectories import Trajectories

FIRST, LARGEST = 8, 32  # replicas that are run again
WITH_A_FIXED_NUMBER = 16


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
    stopped = np.asarray(sde.stopped)[rows]
    return dataclasses.replace(sde, values=values, diverged=sde.diverged[rows], stopped=stopped), half


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
    gap: Mapping[str, GapEstimate],
    worst: Mapping[str, WorstGap],
    sgd: Mapping[str, np.ndarray],
    labels: Mapping[str, str] | None,
    progress: str,
) -> None:
    """Runs replicas again at h/2: as many as are wanted, or until the error of the step is known as well as the gap.

    That is: until, at the worst time of each observable, the interval of the error is no wider than the pointwise one
    of SGD − SDE. The rule looks at widths alone and not at where the interval lies, so that looking again costs its
    coverage little.

    Args:
        check: to grow, by whole batches; there are no more than the pairs have.
        pairs: Gaussian SGD and the SDE at h.
        wanted: a number; None: until it is known, at most 32.
        gap: name → SGD − SDE.
        worst: name → where it is furthest from zero.
        sgd: name → (replicas, T).
        labels: of the observables.
        progress: a label.
    """
    available = pairs.replicas // pairs.batch * check.batch
    most = min(LARGEST if wanted is None else wanted, available)
    check.grow(min(check.batch if wanted is None else wanted, most), progress)
    while wanted is None and check.replicas + check.batch <= most:
        found = errors(check, pairs, sgd, labels)
        if all(_no_wider(found[name], gap[name], at.index) for name, at in worst.items()):
            return
        check.grow(check.replicas + 1, progress)


def _no_wider(error: GapEstimate, gap: GapEstimate, index: int) -> bool:
    """Also where there is no interval to compare with: more replicas at h/2 wouldn't make one."""
    widths = [float(part.high[index] - part.low[index]) for part in (error, gap)]
    return not np.isfinite(widths).all() or widths[0] <= widths[1]
