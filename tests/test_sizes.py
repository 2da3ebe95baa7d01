"""Memory is bounded by what comes back, and what can't fit is refused by its size before it starts."""

import subprocess
import sys

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import sizes
from sdesgd.simulation import admission, plan

MEASURE = """
import resource, sys
import jax.numpy as jnp, jax.random as jr, numpy as np
import sdesgd as sg

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def run(D, replicas, everything):
    problem = sg.Problem(lambda w, x: jnp.mean((w - x) ** 2), np.zeros(D, np.float32), np.arange(8.0))
    observables = {"w": (lambda w: w) if everything else (lambda w: w[0])}
    settings = dict(num_steps=2, save_every=2, replicas=replicas, key=jr.key(0), observables=observables)
    return sg.simulate(sg.SGD(0.05, 2), problem, **settings)

run(2, 2, True)  # what compiling takes, whatever the size
run(2, 3, False)
before = peak()
out = run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "all")
back = out.values["w"].nbytes + np.asarray(out.final_params).nbytes
print((peak() - before) / back)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("dimension", "replicas", "saved"), [(100_000, 32, "all"), (10, 1_000_000, "one")])
def test_peak_memory_is_a_few_times_what_comes_back(dimension, replicas, saved):
    command = [sys.executable, "-c", MEASURE, str(dimension), str(replicas), saved]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 4


@pytest.mark.parametrize(
    ("saves", "row", "rows"),
    [(1001, 8, 64), (2, 8, 64), (2, 2**30, 1), (1001, 2**20, 4), (3, 2**20, 2), (1001, 0, 64), (2, 2**16, 64)],
)
def test_a_call_holds_as_many_saves_as_there_are_and_as_fit(saves, row, rows):
    assert sizes.saves_of_a_call(saves, row) == rows


def test_the_time_axis_takes_no_more_than_its_saves():
    steps = np.array([0, 10**9, 2 * 10**9])
    np.testing.assert_array_equal(admission.elapsed_time(0.5, steps), [0, 5e8, 1e9])


def test_a_schedule_is_summed_in_blocks_to_the_bit():
    """Against one running sum of all its rates, in float64."""
    schedule = lambda n: 0.1 / (1 + n)  # noqa: E731
    steps = np.array([0, 1, 65_535, 65_536, 65_537, 150_000])
    rates = np.asarray(schedule(jnp.arange(150_000, dtype=jnp.int32)), float)
    wanted = np.concatenate([[0], np.cumsum(rates)])[steps]
    fresh = sg.SGD(schedule, 1).fresh().learning_rate
    np.testing.assert_array_equal(admission.elapsed_time(fresh, steps), wanted)


def test_blocks_divide_the_replicas_where_copies_would_count():
    assert 1_000_000 % sizes.replica_block(10, 2, 8, 1_000_000, "cpu") == 0
    assert sizes.replica_block(10, 2, 8, 1_000_003, "cpu") * 10 <= 2**20  # a prime number: filled up
    assert sizes.replica_block(10, 2, 8, 100, "cpu") == 100


def test_what_cannot_fit_is_refused_with_the_arithmetic(monkeypatch):
    problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(1000, np.float32), np.arange(8.0))
    run = dict(num_steps=10, replicas=100, key=jr.key(0), observables={"w": lambda w: w})
    monkeypatch.setattr(sizes, "memory", lambda: 10**6)
    monkeypatch.setattr(plan, "replica_keys", None)  # nothing of the size of the run is made before
    with pytest.raises(sg.InputError, match=r"100 replicas × \(11 saves × 4000 bytes .* GB is all there is"):
        sg.simulate(sg.SGD(0.1, 2), problem, **run)


@pytest.mark.parametrize(
    ("num_steps", "save_every", "nearest"), [(100_000_007, 10, 1), (12, 5, 4), (2**31 - 1, 7, 1), (2 * 10**9, 3, 2)]
)
def test_the_nearest_divisor_is_named_at_once(num_steps, save_every, nearest):
    problem = sg.Problem(lambda w, x: (w - x) ** 2, np.zeros(()), np.arange(8.0))
    with pytest.raises(sg.InputError, match=f"the nearest that does is {nearest}$"):
        sg.simulate(
            sg.SGD(0.1, 2),
            problem,
            num_steps=num_steps,
            save_every=save_every,
            replicas=1,
            key=jr.key(0),
            observables={},
        )
