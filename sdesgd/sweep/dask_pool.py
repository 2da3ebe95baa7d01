"""Cells on a dask cluster: one of this machine's processes, or one of the user's own."""

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import distributed
from distributed.client import FutureCancelledError

from sdesgd.errors import InputError
from sdesgd.store.environment import machine
from sdesgd.sweep.pools import Outcome, Task, compute
from sdesgd.sweep.store import Failure

_ANSWER_SECONDS = 15
_WORKER_SECONDS = 120


class DaskPool:
    """Hands out one cell a thread of the cluster; results come back here, so workers need no shared folder.

    A worker that dies loses its cell to another, and on this machine a new process takes its place. Dask gives up on
    a cell that took four workers with it; that cell is recorded as failed. Only one cell is at a worker's hands
    at a time, so no other is blamed.

    Dask's processes send each other pickles, so who can connect to a scheduler can run code on its workers and
    here: a scheduler is trusted, with all that reach it. That of ``workers`` listens on this machine alone, to all its
    users.

    Args:
        workers: processes of a cluster that is begun and ended here.
        scheduler: address of the user's cluster, instead.

    Raises:
        InputError: no cluster answers.
    """

    def __init__(self, workers: int = 0, scheduler: str | None = None):
        self._helper: subprocess.Popen[str] | None = None
        self._scratch: str | None = None
        self._client: Any = None
        self._token = secrets.token_hex(4)
        self._finished: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._tasks: dict[int, tuple[Task, Any]] = {}
        self._hands = workers
        self._counted = self._last_worker = time.monotonic()
        try:
            address = self._start(workers) if scheduler is None else scheduler
            self._client = distributed.Client(address, timeout=_ANSWER_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            self.__exit__(type(error))
            where = "on this machine" if scheduler is None else f"at {scheduler}"
            raise InputError(f"no dask cluster {where} ({error}): start one, and check the address") from None
        except KeyboardInterrupt:
            self.__exit__(KeyboardInterrupt)
            raise

    def __enter__(self) -> "DaskPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Cancels what isn't done, and ends this machine's workers: all tables are here already."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                if kind is not None and self._helper is None:
                    self._client.cancel([future for _, future in self._tasks.values()], force=True)
            with contextlib.suppress(Exception):
                self._client.close(timeout=5 if kind is None else 1)
        if self._helper is not None:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):  # a worker in a compiled call hears nothing else
                    os.killpg(self._helper.pid, signal.SIGKILL)
                else:
                    self._helper.kill()
            self._helper.wait()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self, workers: int) -> str:
        """The address of a new cluster of this machine's processes, which Ctrl-C in the terminal doesn't reach."""
        self._scratch = tempfile.mkdtemp(prefix="sdesgd-workers-")
        self._helper = helper = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("local_cluster.py")), str(workers), self._scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        assert helper.stdout is not None
        address = helper.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"its process ended with status {helper.wait()}")
        return address

    def environment(self) -> Mapping[str, Any]:
        """Of the cluster's first worker."""
        try:
            self._client.wait_for_workers(1, timeout=_WORKER_SECONDS)
            found = self._client.run(machine)
        except Exception as error:
            raise InputError(
                f"no worker of the dask cluster can be used ({type(error).__name__}: {error}): start workers that "
                "have sdesgd"
            ) from None
        return next(iter(found.values()))

    def capacity(self) -> int:
        return max(1, self._hands)

    def submit(self, index: int, task: Task) -> None:
        future = self._client.submit(compute, task, key=f"sweep-{self._token}-{index}", pure=False)
        self._tasks[index] = task, future
        future.add_done_callback(lambda done: self._finished.put((index, done)))

    def next(self, timeout: float) -> tuple[int, Outcome] | None:
        self._count_workers()
        try:
            index, future = self._finished.get(timeout=timeout)
        except queue.Empty:
            return None
        try:
            outcome = future.result(timeout=timeout)
        except TimeoutError:  # the worker that held the table has died: it is computed again
            self._finished.put((index, future))
            return None
        except distributed.KilledWorker:
            task = self._tasks[index][0]
            told = "every worker that computed it died: has it enough memory?"
            outcome = Outcome(failure=Failure(task.config, task.seeds, "KilledWorker", told, "see the worker's log"))
        except FutureCancelledError:
            raise InputError("the dask scheduler is gone; finished cells are kept: start it, and run again") from None
        except Exception as error:
            raise InputError(
                f"a dask worker can't compute cells ({type(error).__name__}: {error}): give it this code"
            ) from None
        del self._tasks[index]
        return index, outcome

    def _count_workers(self) -> None:
        """How many hands there are; none for long on this machine means that none will come."""
        now = time.monotonic()
        if now - self._counted < 1.0:
            return
        self._counted = now
        with contextlib.suppress(OSError, TimeoutError):
            hands = sum(self._client.nthreads().values())
            self._last_worker = now if hands else self._last_worker
            self._hands = hands if self._helper is None else self._hands
        if self._helper is None:
            return
        if self._helper.poll() is not None or now - self._last_worker > _WORKER_SECONDS:
            raise InputError("this machine's dask workers are gone, or none came up: run again, or use workers=0")
