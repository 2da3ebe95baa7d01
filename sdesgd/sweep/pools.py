"""Where cells are computed: a task, its outcome, and the pool of this process."""

import atexit
import contextlib
import contextvars
import dataclasses
import functools
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from sdesgd.errors import InputError
from sdesgd.interruption import exit_status
from sdesgd.store.environment import applied, deciding, default_device, differences, hash_of, machine
from sdesgd.store.sources import code_files
from sdesgd.sweep.cells import resolve
from sdesgd.sweep.columns import Columns, checked_columns
from sdesgd.sweep.settings import difference, forget_compiled
from sdesgd.sweep.store import Failure


@dataclasses.dataclass(frozen=True)
class Task:
    """A cell and what must hold where it is computed.

    Attributes:
        modes: JAX's settings. code: names of packages and modules, whose files must hash to ``code_digest``.
        values: of globals that the function reads, the same wherever it runs.
        environment: what the computing process must be like, but for what changes rounding; None: anything goes.
    """

    function: str
    config: Mapping[str, Any]
    seeds: tuple[int, ...]
    modes: Mapping[str, Any]
    code: tuple[str, ...]
    code_digest: str
    values: Mapping[str, str]
    environment: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A table or a failure. ``refusal``: why this process mustn't compute any cell of the sweep."""

    columns: Columns | None = None
    failure: Failure | None = None
    refusal: str = ""
    seconds: float = 0.0
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Pool(Protocol):
    """Computes tasks within a ``with`` block: each that was submitted comes back from ``next`` once.

    The block's end by an exception doesn't wait for what is being computed.
    """

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...

    def capacity(self) -> int:
        """Tasks to be submitted and not yet back, so that all hands are busy and none waits behind another."""
        ...

    def submit(self, index: int, task: Task) -> None: ...

    def next(self, timeout: float) -> tuple[int, Outcome] | None:
        """Index and outcome of a finished task; None if none finishes in time."""
        ...


def compute(task: Task) -> Outcome:
    """A cell's table, or why it failed."""
    environment = machine()
    refusal = _refusal(task, environment)
    if refusal:
        return Outcome(refusal=refusal)
    forget_compiled(task.function, task.values)
    started = time.perf_counter()
    try:
        with applied(task.modes):
            result = resolve(task.function)(dict(task.config), task.seeds)
            columns = checked_columns(result, task.config, task.seeds)
    except BaseException as error:  # a cell that calls sys.exit fails, as any other
        frames = traceback.extract_tb(error.__traceback__)
        line = f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else "no traceback"
        failure = Failure(task.config, task.seeds, type(error).__name__, str(error)[:2000], line)
        return Outcome(failure=failure, environment=environment)
    return Outcome(columns, None, "", time.perf_counter() - started, environment)


def _refusal(task: Task, environment: Mapping[str, Any]) -> str:
    try:
        code_digest = _code_digest(task.code)
    except InputError as error:
        return str(error)
    if code_digest != task.code_digest:
        return "a worker has other source files than this process: restart all workers with this version"
    try:
        resolve(task.function)
    except InputError as error:
        return str(error)
    other = difference(task.values, task.code)
    if other:
        return (
            f"{other}: a value set at run time doesn't reach other processes, so set it in the file or in the configs"
        )
    told = "" if task.environment is None else differences(deciding(task.environment), deciding(environment))
    if told:
        return (
            f"a worker differs from the rest ({told}), so equal numbers can't be promised: use equal workers, or "
            "allow_mixed=True"
        )
    return ""


@functools.cache
def _code_digest(names: tuple[str, ...]) -> str:
    """Of the files as this process found them first, which is what it imported."""
    return hash_of(code_files(names))


class ThreadPool:
    """One thread beside the main one, which stays free to answer Ctrl-C however long a compiled call lasts."""

    def __init__(self):
        self._tasks: queue.SimpleQueue[tuple[int, Task] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._status = 0
        context, device = contextvars.copy_context(), default_device()
        self._thread = threading.Thread(target=context.run, args=(self._work, device), name="sweep", daemon=True)

    def __enter__(self) -> "ThreadPool":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._tasks.put(None)
        if kind is None:
            self._thread.join()
        else:
            other = 2 if issubclass(kind, InputError) else 1
            self._status = exit_status(kind) if issubclass(kind, KeyboardInterrupt) else other
            atexit.register(self._leave_at_once)

    def _work(self, device: Any) -> None:
        with contextlib.nullcontext() if device is None else jax.default_device(device):
            while (item := self._tasks.get()) is not None:
                self._outcomes.put((item[0], compute(item[1])))

    def capacity(self) -> int:
        return 1

    def submit(self, index: int, task: Task) -> None:
        self._tasks.put((index, task))

    def next(self, timeout: float) -> tuple[int, Outcome] | None:
        try:
            return self._outcomes.get(timeout=timeout)
        except queue.Empty:
            return None

    def _leave_at_once(self) -> None:
        """Python can't end while a thread is inside a compilation or a compiled call: it waits, then aborts."""
        if self._thread.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._status)
