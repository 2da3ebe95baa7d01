"""run: cells to a pool, tables to the folder, until nothing is missing."""

import contextlib
import dataclasses
import time
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import xarray as xr

from sdesgd.errors import InputError
from sdesgd.extras import require
from sdesgd.interruption import Interruptions
from sdesgd.store.environment import differences, rounding
from sdesgd.sweep.cells import Sweep
from sdesgd.sweep.columns import same_kind
from sdesgd.sweep.display import Display
from sdesgd.sweep.fingerprint import Fingerprint, fingerprint
from sdesgd.sweep.pools import Outcome, Pool, Task, ThreadPool
from sdesgd.sweep.store import Failure, Kept, Store, manifest_of
from sdesgd.sweep.summary import assembled, seconds_left
from sdesgd.types import PathLike

# How long to wait for an outcome before looking at the bar, the signals and the other processes.
_POLL_SECONDS = 0.2


class InterruptedSweep(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a sweep: says what is kept, and how to go on."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A sweep with nothing missing.

    Attributes:
        folder: where it is kept.
        table: a row for each cell and seed, see ``table``.
        failures: cells that raised, in the sweep's order.
        computed: cells that this call computed; the others were kept from before, or came from other processes.
    """

    folder: Path
    table: xr.Dataset
    failures: tuple[Failure, ...]
    computed: int


def run(
    sweep: Sweep,
    folder: PathLike,
    workers: int = 0,
    scheduler: str | None = None,
    *,
    retry_failed: bool = False,
    allow_mixed: bool = False,
    progress: str = "sweep",
) -> Result:
    """Computes the cells that are missing in a folder, and returns the table of all.

    Cells are kept one by one as they finish. After Ctrl-C, SIGTERM, kill −9, a full disk or a power cut the same
    call goes on where it stood, and the table is the same bit for bit. Cells of a machine with other cores or
    another processor are used, and one line says so: it rounds in another way, which a long run amplifies, so they
    are draws of the same law but not the same bits. A run under other versions or on another kind of device says so
    in one line and computes the cells anew, or keeps them with ``allow_mixed``.
    Cells of another config, function, code or dtype mode are never reused, nor those computed while a global that the
    function reads had another value; such values, set at run time, have to be the same in all workers. Several
    processes, on one machine or many, may run in one folder at once: they share the cells.

    A cell that raises is recorded with its error, and the others go on. A pure function fails again, so failed cells
    are not tried again by default; an edit of the code makes them new cells, which are.

    Args:
        sweep: what to compute.
        folder: where it is kept; made if missing.
        workers: 0: in this process; else so many processes of a dask cluster on this machine. They import the module
            of the function, not the script that calls this.
        scheduler: address of a dask cluster of your own, say "tcp://10.0.0.1:8786". It needs no shared folder, and has
            to be one that you trust: see ``DaskPool``.
        retry_failed: forget what failed in an earlier run, and compute it again.
        allow_mixed: keep cells of other versions and kinds of device.
        progress: a label; the bar with the time left shows where stderr is a terminal. Empty: none.

    Raises:
        InputError: a folder that can't be written, a full disk, a scheduler that doesn't answer, workers that differ.
        InterruptedSweep: Ctrl-C or SIGTERM, within seconds however long a cell takes; says how to go on.

    Warns:
        RuntimeWarning: damaged cells, cells of another machine, environment or other code, failed cells.
    """
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
        raise InputError(f"workers is {workers!r}: pass 0 for this process, or a number of processes")
    if workers and scheduler is not None:
        raise InputError("workers and scheduler were both given: pass one of them")
    work = None
    try:
        with contextlib.ExitStack() as stack:
            interrupts = stack.enter_context(Interruptions())
            pool = None if scheduler is None else stack.enter_context(_dask_pool(scheduler=scheduler))
            found = fingerprint(sweep, None if pool is None else pool.environment())
            store = Store(folder, allow_mixed)
            stack.callback(store.claims.give_back_all)
            manifest = manifest_of(sweep, found, allow_mixed)
            work = _Work(sweep, found, store, retry_failed)
            if work.todo or store.manifest() != manifest:  # else nothing is written: the folder may be read-only
                store.open(manifest)
            if work.todo:  # else no pool is opened
                pool = pool or stack.enter_context(_dask_pool(workers=workers) if workers else ThreadPool())
                with Display(progress, len(sweep.cells)) as display:
                    work.finish(pool, display, interrupts)
    except KeyboardInterrupt:
        count = len(work.kept) if work else 0
        kept = f"{count} of {len(sweep.cells)} cells are kept in {folder}" if count else f"nothing in {folder} was lost"
        raise InterruptedSweep(
            f"{kept}; run the same sweep in the same folder again, and it goes on from there"
        ) from None
    work.tell_of_other_machines()
    failures = tuple(work.failed[index] for index in sorted(work.failed))
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(sweep.cells)} cells failed, the others are kept; first: {failures[0]}. "
            "retry_failed=True tries them again",
            RuntimeWarning,
            stacklevel=2,
        )
    return Result(store.folder, assembled(sweep.cells, work.kept, manifest), failures, work.computed)


class _Work:
    """The state of one call of ``run``: every cell is kept, failed, to do, running here, or claimed by others."""

    def __init__(self, sweep: Sweep, found: Fingerprint, store: Store, retry_failed: bool):
        self.sweep, self.found, self.store = sweep, found, store
        self.keys = [found.key(cell) for cell in sweep.cells]
        self.groups = sweep.groups()
        self.kept: dict[int, Kept] = {}
        self.failed: dict[int, Failure] = {}
        self.todo: deque[int] = deque()
        self.running: set[int] = set()
        self.others: list[int] = []
        self.computed = 0
        for index in sweep.order():
            if retry_failed and store.failure(self.keys[index]) is not None:
                store.forget_failure(self.keys[index])
            if not self._look(index):
                self.todo.append(index)

    def finish(self, pool: Pool, display: Display, interrupts: Interruptions) -> None:
        """Until every cell is kept or failed."""
        while self.todo or self.running or self.others:
            interrupts.check()
            self._submit(pool)
            self._show(display)
            if self.running:
                item = pool.next(_POLL_SECONDS)
                if item is not None:
                    self.running.discard(item[0])
                    try:
                        self._submit(pool)  # first, so that the pool computes while this process writes
                    finally:
                        self._record(*item)
            elif self.others:  # they are done by and by, or their claims end with them
                time.sleep(_POLL_SECONDS)
                self.todo.extend(self.others)
                self.others.clear()

    def _submit(self, pool: Pool) -> None:
        """Claims cells and hands them out, as many as there are hands."""
        while self.todo and len(self.running) < pool.capacity():
            index = self.todo.popleft()
            if self._look(index):
                continue
            if not self.store.claim(self.keys[index]):
                self.others.append(index)
            elif self._look(index):  # finished by another between the two lines above
                self.store.claims.give_back(self.keys[index])
            else:
                pool.submit(index, self._task(index))
                self.running.add(index)

    def _task(self, index: int) -> Task:
        cell, found = self.sweep.cells[index], self.found
        environment = None if self.store.allow_mixed else found.environment
        code = tuple(self.sweep.code or ())
        about = found.function, cell.config, cell.seeds, found.modes
        return Task(*about, code, found.code_digest, found.values, environment)

    def _record(self, index: int, outcome: Outcome) -> None:
        cell, key = self.sweep.cells[index], self.keys[index]
        if outcome.refusal:
            raise InputError(f"{outcome.refusal}; {len(self.kept)} of {len(self.keys)} cells are kept")
        if outcome.failure is not None:
            self.store.write_failure(key, outcome.failure)
            self.failed[index] = outcome.failure
        else:
            assert outcome.columns is not None
            kept = Kept(outcome.columns, outcome.seconds, outcome.environment)
            self.store.write(cell, self.found.key(cell, outcome.environment), kept)
            self._keep(index, kept)
            self.computed += 1
        self.store.claims.give_back(key)

    def _look(self, index: int) -> bool:
        """Whether a cell is kept, or has failed."""
        kept, failure = self.store.read(self.keys[index]), None
        if kept is not None:
            self._keep(index, kept)
        elif (failure := self.store.failure(self.keys[index])) is not None:
            self.failed[index] = failure
        return kept is not None or failure is not None

    def _keep(self, index: int, kept: Kept) -> None:
        if self.kept:
            other, known = next(iter(self.kept.items()))
            odd = same_kind(kept.columns, known.columns)
            if odd:
                raise InputError(
                    f"cells {other} and {index} don't fit one table ({odd}): return the same columns for every cell"
                )
        self.kept[index] = kept

    def tell_of_other_machines(self) -> None:
        """One line if kept cells were computed where operations are rounded in another way."""
        here = rounding(self.found.environment)
        elsewhere = [told for kept in self.kept.values() if (told := differences(rounding(kept.environment), here))]
        if elsewhere:
            warnings.warn(
                f"{self.store.folder}: {len(elsewhere)} of {len(self.keys)} cells were computed on another machine "
                f"({elsewhere[0]}), which rounds in another way: the table is a mixture, of one law but not of equal "
                "bits",
                RuntimeWarning,
                stacklevel=3,
            )

    def _show(self, display: Display) -> None:
        def left() -> float | None:
            seconds = [self.kept[k].seconds if k in self.kept else None for k in range(len(self.keys))]
            pending = [*self.todo, *self.running, *self.others]
            return seconds_left(seconds, self.groups, pending, max(1, len(self.running) + len(self.others)))

        display.update(len(self.kept), len(self.failed), left)


def _dask_pool(workers: int = 0, scheduler: str | None = None) -> Any:
    """dask is imported only where it is used."""
    require("dask", "distributed")
    from sdesgd.sweep.dask_pool import DaskPool

    return DaskPool(workers, scheduler)
