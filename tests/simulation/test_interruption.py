"""SIGTERM, which batch systems send, is Ctrl-C: a run returns what it has, a command says so and ends with 143."""

import functools
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.interruption import Interruptions, Terminated, check_interruptions, exit_status

TOP = Path(__file__).parents[2]

LONG = """
import signal, sys, jax.numpy as jnp, jax.random as jr, numpy as np
import sdesgd as sg
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell starts with it ignored
problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(2), np.arange(8.0).reshape(4, 2))
out = sg.simulate(sg.SGD(0.01, 2), problem, num_steps=10**9, save_every=1000, replicas=2,
    key=jr.key(0), observables={"w": lambda w: w}, checkpoint=sys.argv[1])
print(out.interrupted, len(out.step) > 1, np.isfinite(out.values["w"]).all(),
    signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


@pytest.fixture
def started():
    """Begins a process of Python, which doesn't outlive the test."""
    begun = []

    def begin(*arguments, **options):
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            **options,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_returns_what_it_has_and_keeps_its_state(started, tmp_path, number):
    code = "from sdesgd.simulation import checkpoint\ncheckpoint._SECONDS = 0.1\n" + LONG
    process = started("-c", code, tmp_path / "a")
    wait_for((tmp_path / "a").exists, process)
    (tmp_path / "a").unlink()
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, ["True"] * 4), errors
    assert (tmp_path / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_says_what_is_kept_and_ends_with_the_status_of_the_signal(started, tmp_path, number, status):
    """In the middle of its first stage, which would take hours."""
    sizes = "--data digits --num-examples 24 --num-test 20 --width 3 --num-steps 100000000 --save-every 1000000"
    options = ["sgd-vs-sde", *sizes.split(), "--replicas", "2", "--results", tmp_path]
    # A background job of a shell starts with SIGINT ignored.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = started("-m", "experiments", *options, cwd=TOP, preexec_fn=default)
    wait_for(lambda: any(tmp_path.rglob("stages")), process)
    time.sleep(5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    assert "interrupted: " in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_that_comes_while_garbage_is_collected_is_not_lost(number, kind, monkeypatch):
    """Python drops what is raised there; a block that begins afterwards, as a simulation's, ends at once."""
    problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(2), np.arange(8.0).reshape(4, 2))
    dropped = []

    def callback(phase, info):
        gc.callbacks.remove(callback)
        signal.raise_signal(number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(sys, "unraisablehook", lambda found: dropped.append(found.exc_type))
    try:
        check_interruptions()
        with Interruptions() as outer:
            gc.callbacks.append(callback)
            gc.collect()
            assert dropped == [kind]
            with pytest.raises(kind), Interruptions() as inner:
                inner.check()
            with pytest.raises(kind):
                check_interruptions()
            run = sg.simulate(
                sg.SGD(0.1, 1), problem, num_steps=10, replicas=2, key=jr.key(0), observables={"w": lambda w: w}
            )
            assert run.interrupted
        assert outer.status == exit_status(kind)
        check_interruptions()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_both_signals_are_remembered_and_given_back():
    """Nested blocks too; a handler of the user's own is left alone."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    term = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for number, kind, status in ((signal.SIGTERM, Terminated, 143), (signal.SIGINT, KeyboardInterrupt, 130)):
            with Interruptions() as outer:
                with pytest.raises(kind), Interruptions() as inner:
                    signal.raise_signal(number)
                for block in (inner, outer):
                    assert block.seen is kind
                    assert block.status == status
                with pytest.raises(kind):
                    outer.check()
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
        seen = []
        signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
        with Interruptions() as block:
            signal.raise_signal(signal.SIGTERM)
            block.check()
        assert seen == [1]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with Interruptions() as block:
            signal.raise_signal(signal.SIGTERM)
            block.check()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, term)
