"""The loop on the host: compiled calls one after the other, their saves, the checkpoint, interruption."""

from typing import NamedTuple

import jax
import numpy as np

from sdesgd.interruption import Interruptions
from sdesgd.simulation.checkpoint import Checkpoint
from sdesgd.simulation.display import Display
from sdesgd.simulation.divergence import undebugged
from sdesgd.simulation.plan import Plan
from sdesgd.simulation.progress import Clock
from sdesgd.simulation.segments import Replicas


class Stand(NamedTuple):
    """How far a run is: one value, assigned at once, so that an interruption finds what belongs together."""

    replicas: Replicas
    saved: int
    done: int


class Run:
    """A plan that is carried out.

    Attributes:
        stand: where the replicas are.
        values: name → (R, T, …), of which the first ``stand.saved`` saves are there.
        interrupted: whether it ended before its last step.

    Args:
        plan: of the run.
        checkpoint: the file of its state; None: it has none.
    """

    def __init__(self, plan: Plan, checkpoint: Checkpoint | None):
        self.plan, self.checkpoint = plan, checkpoint
        self.clock = Clock(plan.num_steps, plan.save_every, plan.capacity, plan.watch.stops)
        self.stand, self.values, self.interrupted = Stand(plan.begun(), 0, 0), plan.tables(), False
        found = None if checkpoint is None else checkpoint.resume(_without_keys(self.stand.replicas), self.values)
        if found is not None:
            self.stand = Stand(found[0]._replace(key=plan.keys), *found[1:])
            self.clock.done = self.stand.done

    def go(self, display: Display) -> None:
        """To the end, or to an interruption; whichever comes, the checkpoint is written.

        Args:
            display: says how far it is.

        Raises:
            KeyboardInterrupt: before the first save.
        """
        with Interruptions() as interruptions:
            try:
                with undebugged():
                    self._steps(display, interruptions)
            except KeyboardInterrupt:
                if not self.stand.saved:
                    raise
                self.interrupted = True
            try:
                self._write()
            except KeyboardInterrupt:
                self.interrupted = True

    def _steps(self, display: Display, interruptions: Interruptions) -> None:
        clock = self.clock
        if not self.stand.saved:
            replicas, table = self.plan.advanced(self.stand.replicas, 0, 1, 0, True)
            self._fill(table, 1)
            jax.block_until_ready(replicas)
            self.stand = Stand(replicas, 1, 0)
            display.show(0, self.plan.num_steps)
        while clock.done < self.plan.num_steps:
            interruptions.check()
            saves, steps = clock.plan()
            on_save = (clock.done + saves * steps) % self.plan.save_every == 0
            call = self.plan.advanced(self.stand.replicas, clock.done, saves, steps, on_save)
            replicas, table = jax.block_until_ready(call)
            clock.advance(saves, steps)
            if on_save:
                self._fill(table, saves)
            del table, call
            self.stand = Stand(replicas, self.stand.saved + on_save * saves, clock.done)
            display.show(clock.done, self.plan.num_steps)
            if self.checkpoint is not None and self.checkpoint.due():
                self._write()

    def _fill(self, table, count: int) -> None:
        saved = self.stand.saved
        for name, rows in table.items():
            self.values[name][:, saved : saved + count] = np.asarray(rows)[:, :count]

    def _write(self) -> None:
        if self.checkpoint is not None:
            replicas, saved, done = self.stand
            self.checkpoint.write(_without_keys(replicas), self.values, saved, done)


def _without_keys(replicas: Replicas) -> Replicas:
    """What a checkpoint holds: the keys follow from the call."""
    return replicas._replace(key=None)
