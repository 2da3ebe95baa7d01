"""What a run says of itself: "compiling", one bar on a terminal, a line a minute in a log, nothing without a label."""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdesgd.simulation import display

RUN = """
import time, jax.numpy as jnp, jax.random as jr, numpy as np
import sdesgd as sg
def loss(w, x):
    time.sleep(0.2)  # while it is traced
    return jnp.sum((w - x) ** 2)
problem = sg.Problem(loss, jnp.zeros(2), np.arange(8.0).reshape(4, 2))
sg.simulate(sg.SGD(0.01, 2), problem, num_steps=2_000_000, save_every=1000, replicas=2, key=jr.key(0),
    observables={"w": lambda w: w}, progress="SGD")
"""


def wait(seconds):
    time.sleep(seconds)


def test_a_log_has_a_line_now_and_then(monkeypatch, capfd):
    monkeypatch.setattr(display, "_FIRST_LINE_SECONDS", 0.1)
    monkeypatch.setattr(display, "_LINE_SECONDS", 0.05)
    with display.Display("SGD") as shown:
        wait(0.3)
        shown.show(2000, 10_000)  # of a run that was continued
        wait(0.5)
        shown.show(6000, 10_000)
        shown.moving, shown.started = time.monotonic() - 100, time.monotonic() - 130
        wait(0.2)
    wait(0.2)
    out, lines = capfd.readouterr()
    lines = lines.splitlines()
    assert out == ""
    assert lines[0] == "SGD: compiling for 0 s"
    assert re.fullmatch(r"SGD: 20 % of 10000 steps in \d s", next(x for x in lines if "20 %" in x))
    # 4000 steps in 100 s, 4000 to go.
    assert re.fullmatch(r"SGD: 60 % of 10000 steps in 2 min 1\d s, about 1 min 4\d s left", lines[-1])


def test_a_run_that_is_short_or_has_no_label_says_nothing(monkeypatch, capfd):
    with display.Display("SGD") as shown:
        shown.show(5, 10)
    monkeypatch.setattr(display, "_FIRST_LINE_SECONDS", 0.0)
    with display.Display("") as shown:
        wait(0.1)
        shown.show(5, 10)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_terminal_shows_that_it_compiles_and_then_one_bar():
    """Of a real run, on a real terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", RUN], stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    frames = [frame for frame in re.split(r"[\r\n]+", text) if frame.strip()]
    assert frames[0].startswith("SGD: compiling")
    share = [int(found[1]) for frame in frames if (found := re.match(r"SGD .* (\d+)%", frame))]
    assert share == sorted(share)
    assert len(set(share)) > 2
    assert all(frame.startswith("SGD") for frame in frames)
