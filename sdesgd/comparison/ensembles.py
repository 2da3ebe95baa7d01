"""Ensembles of replicas that grow by batches of one size, so that every batch runs the same compiled program."""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.random as jr
import numpy as np
from typing_extensions import TypeAliasType

from sdesgd.trajectories import Trajectories
from sdesgd.types import PRNGKeyArray

Runs = tuple[Trajectories, ...]
Keep = TypeAliasType("Keep", Callable[[str, Callable[[], Runs]], Runs])


class Interrupted(KeyboardInterrupt):
    """A batch was cut short; those before it are whole."""


class Ensemble:
    """One arm, or a coupled pair of arms, of a comparison.

    Batch k has the key ``fold_in(key, k)``, whatever the number of batches: asking for more replicas keeps those there
    are.

    Args:
        name: for progress and for what is kept.
        run: (key, replicas, label) → one ``Trajectories`` for each arm.
        key: of all batches.
        batch: replicas of one batch.
        cost: gradients of one replica, in evaluations of ∇ℓ_i.
        keep: (name, compute) → the runs of a batch, from where they were kept or computed now.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[PRNGKeyArray, int, str], Runs],
        key: PRNGKeyArray,
        batch: int,
        cost: float,
        keep: Keep,
    ):
        self.name, self.batch, self.cost = name, batch, cost
        self._run, self._key, self._keep = run, key, keep
        self._batches: list[Runs] = []
        self._seconds: list[float] = []

    @property
    def replicas(self) -> int:
        """How many there are."""
        return self.batch * len(self._batches)

    def seconds(self, replicas: int) -> float:
        """About how long it takes to have so many. The first batch compiles, so it counts only while it is alone."""
        each = min(self._seconds[1:] or self._seconds, default=0.0)
        return each * max(0, -(-replicas // self.batch) - len(self._batches))

    def grow(self, replicas: int, progress: str = "") -> None:
        """Computes batches until there are at least so many replicas.

        Raises:
            Interrupted: Ctrl-C; the unfinished batch is dropped.
        """
        while self.replicas < replicas:
            label, began = f"{self.name}, replica {self.replicas + 1} to {self.replicas + self.batch}", time.monotonic()
            key = jr.fold_in(self._key, len(self._batches))
            compute = functools.partial(self._run, key, self.batch, f"{progress}: {label}" if progress else "")
            runs = self._keep(f"{self.name}-{len(self._batches)}", compute)
            if any(run.interrupted for run in runs):
                raise Interrupted(f"{self.name} was cut short")
            self._batches.append(runs)
            self._seconds.append(time.monotonic() - began)

    def trajectories(self) -> Runs:
        """Those of all batches, one for each arm."""
        return tuple(joined(parts) for parts in zip(*self._batches, strict=True))


def joined(parts: Sequence[Trajectories]) -> Trajectories:
    """The replicas of several runs of one dynamics, one after the other.

    Args:
        parts: at equal times, with equal observables.
    """
    if len(parts) == 1:
        return parts[0]
    together = lambda *arrays: np.concatenate([np.asarray(x) for x in arrays])  # noqa: E731
    first = parts[0]
    return dataclasses.replace(
        first,
        values={name: together(*(part.values[name] for part in parts)) for name in first.values},
        final_params=_stacked([part.final_params for part in parts]),
        diverged=together(*(part.diverged for part in parts)),
        stopped=together(*(part.stopped for part in parts)),
    )


def _stacked(params: list[Any]) -> Any:
    """Leaves with a replica axis one after the other; of what isn't an array, the first."""
    is_array = lambda x: isinstance(x, jax.Array | np.ndarray)  # noqa: E731
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(y) for y in x]) if is_array(x[0]) else x[0], *params)
