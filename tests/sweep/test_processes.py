"""Sweeps in several processes, and killed ones. Processes are ended by their own numbers, as the log gives them."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import jax
import pytest

from sdesgd import InputError, sweep
from sdesgd.store.claims import claimed
from tests.sweep import small_cells

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds after which a test that hangs fails


@pytest.fixture(scope="module")
def fork():
    """Children of a server that has imported everything and computed nothing: they start in no time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sweep.small_cells"])
    return context


def compute(folder):
    """Cells of 0.05 s, in float32 as in the children, which don't have this suite's settings."""
    with jax.enable_x64(False):
        return sweep.run(small_cells.plan(seconds=0.05), folder)


def child(folder, log, ready=None):
    """What the children do."""
    os.environ["SWEEP_LOG"] = str(log)
    if ready is not None:
        ready.wait(PATIENCE)
    compute(folder)


def filled(folder, log, sender):
    """What the child with the small disk does."""
    os.environ["SWEEP_LOG"] = str(log)
    with jax.enable_x64(False), pytest.raises(InputError) as caught:
        sweep.run(small_cells.plan(function="filling"), folder)
    sender.send(str(caught.value))


def until(condition, what):
    """Waits; the condition may return what was waited for."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def stored(folder):
    return {path.name for path in Path(folder).glob("cells/*.npz")}


def check_executions(log, kills, hands, cells=12):
    """None lost, and none computed again but those that a kill cut short."""
    starts = [scale for event, scale, _ in log.events() if event == "start"]
    ends = [scale for event, scale, _ in log.events() if event == "end"]
    assert len(set(ends)) == cells
    assert len(starts) - cells <= kills * hands
    assert len(ends) - cells <= kills * hands  # a kill may come between a cell's end and its rename


@pytest.fixture(scope="module")
def slow_whole(tmp_path_factory):
    """The table of cells that take 0.05 s, run without interruption."""
    return compute(tmp_path_factory.mktemp("slow") / "sweep").table


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, log, fork, slow_whole):
    """kill −9, six times: at once, in the start, in a cell, in a write."""
    rng, kills, folder = random.Random(1), 6, tmp_path / "s"
    for _ in range(kills):
        before, begun = stored(folder), len(log.events())
        process = fork.Process(target=child, args=(folder, log.path))
        process.start()
        moment = begun + rng.randint(0, 5)  # starts and ends of cells; 0: before the first
        until(lambda: len(log.events()) >= moment or not process.is_alive(), "cells run")  # noqa: B023
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
        process.join()
        assert before <= stored(folder)
    assert sweep.status(folder).running == 0
    begun = [scale for event, scale, _ in log.events() if event == "start"]
    kept = {path: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.npz")}
    result = compute(folder)
    assert len(kept) + result.computed == 12
    assert kept  # the kills were neither too early nor too late to show anything
    assert len(begun) > len(set(begun)) or len(begun) > len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # what was whole was left alone
    assert small_cells.same_bits(result.table, slow_whole)
    check_executions(log, kills, hands=1)
    assert claimed(folder / "claims") == set()


@pytest.mark.slow
def test_two_processes_share_the_cells(tmp_path, log, fork, slow_whole):
    folder, ready = tmp_path / "s", fork.Barrier(2)
    processes = [fork.Process(target=child, args=(folder, log.path, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert sorted(scale for event, scale, _ in log.events() if event == "start") == [k / 12 for k in range(12)]
    assert small_cells.same_bits(sweep.table(folder), slow_whole)


def started(*arguments):
    """``python -m tests.sweep.small_cells`` in a session of its own."""
    command = [sys.executable, "-m", "tests.sweep.small_cells", *map(str, arguments)]
    return subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_interrupted(process, folder, number=signal.SIGINT):
    """The message, the status, no living claim."""
    process.send_signal(number)
    try:
        output, errors = process.communicate(timeout=60)  # what it computes lasts for hours
    finally:
        process.kill()
    assert process.returncode == 128 + number, errors
    assert output.startswith("interrupted: ")
    assert str(folder) in output
    assert "run the same sweep in the same folder again" in output
    assert errors == ""
    assert sweep.status(folder).running == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_within_a_compiled_call(tmp_path, log, number):
    folder = tmp_path / "s"
    process = started(folder, "--function", "stuck")
    until(lambda: log.count("start") == 4, "the endless cell starts")
    until(lambda: sweep.status(folder).done == 3, "three cells are kept")
    assert (sweep.status(folder).running, sweep.status(folder).missing) == (1, 8)
    check_interrupted(process, folder, number)
    assert (sweep.status(folder).done, sweep.status(folder).missing) == (3, 9)


@pytest.mark.slow
def test_a_dask_worker_is_killed_in_a_cell_and_the_rest_interrupted(tmp_path, log, monkeypatch):
    """Two workers, the first killed while it computes; then Ctrl-C; then the rest, here."""
    folder, plan = tmp_path / "s", small_cells.plan(24, 0.4)
    process = started(folder, "--workers", 2, "--count", 24, "--seconds", 0.4)

    def inside():
        events = log.events()
        ended = {(scale, pid) for event, scale, pid in events if event == "end"}
        return [(scale, pid) for event, scale, pid in events if event == "start" and (scale, pid) not in ended]

    cell, victim = until(inside, "a worker is in a cell")[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(stored(folder)) >= 4, "four cells are kept")
    until(lambda: any(scale == cell and event == "end" for event, scale, _ in log.events()), "the cut cell is redone")
    until(inside, "a worker is in a cell again")
    check_interrupted(process, folder)
    workers = {pid for _, _, pid in log.events()}
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers end")
    ends = [scale for event, scale, _ in log.events() if event == "end"]
    assert len(ends) - len(set(ends)) <= 1  # the kill may have come between an end and its arrival
    kept = stored(folder)
    assert 4 <= len(kept) < 24
    monkeypatch.setenv("SWEEP_PACE", "0")
    with jax.enable_x64(False):
        result = sweep.run(plan, folder)
        whole = sweep.run(plan, tmp_path / "whole").table
    assert len(kept) + result.computed == 24
    assert small_cells.same_bits(result.table, whole)


@pytest.mark.slow
def test_a_disk_that_takes_half_a_file(tmp_path, log, fork):
    """A limit of the kernel's, from the sixth cell on: a write breaks off after 512 bytes."""
    folder, (receiver, sender) = tmp_path / "s", fork.Pipe(duplex=False)
    process = fork.Process(target=filled, args=(folder, log.path, sender))
    process.start()
    sender.close()
    message = receiver.recv() if receiver.poll(PATIENCE) else None
    process.join(PATIENCE)
    assert "File too large for this process's limit (ulimit -f)" in message
    assert "\n" not in message
    assert len(stored(folder)) in (4, 5)  # the fifth was written while the sixth ran
    assert not list(folder.rglob("*.partial"))
    with jax.enable_x64(False):
        assert sweep.run(small_cells.plan(), folder).computed == 12  # another function: none of these is its
        assert (sweep.status(folder).done, sweep.status(folder).missing) == (12, 0)


def test_a_cluster_of_ones_own(tmp_path, log, whole):
    """By its address; here its one worker is a thread of this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        result = sweep.run(small_cells.plan(), tmp_path / "s", scheduler=cluster.scheduler_address)
        assert (result.computed, log.count("start")) == (12, 12)
        assert result.table.identical(whole)
        assert sweep.run(small_cells.plan(), tmp_path / "s").computed == 0
