"""simulate: segments, blocks, observables, divergence of some, interruption, progress, dtype x32, bad input."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import sizes
from sdesgd.simulation import plan as simulation
from sdesgd.simulation import progress
from tests import exact

Q, START = exact.small()


def theta(params):
    return params


def run(dynamics=None, **options):
    settings = dict(num_steps=12, replicas=7, key=jr.key(0), observables={"theta": theta}, save_every=3)
    return sg.simulate(dynamics or sg.SGD(0.1, 2), Q.problem(START), **(settings | options))


@pytest.mark.parametrize("seconds", [1e-9, 1e-3, 10.0])
def test_results_do_not_depend_on_segments(monkeypatch, seconds):
    whole = run()
    monkeypatch.setattr(progress, "_SEGMENT_SECONDS", seconds)
    np.testing.assert_array_equal(run().values["theta"], whole.values["theta"])


def test_more_saves_than_a_segment_holds():
    out = run(num_steps=3 * sizes._MOST_SAVES, save_every=1, replicas=2)
    assert out.values["theta"].shape == (2, 3 * sizes._MOST_SAVES + 1, 2)
    assert np.isfinite(out.values["theta"]).all()
    np.testing.assert_array_equal(out.values["theta"][:, -1], out.final_params)


@pytest.mark.parametrize("blocks", [(1, 1), (3, 1), (3, 2), (7, 2)])
def test_blocks_agree_to_round_off(monkeypatch, blocks):
    whole = run().values["theta"]
    monkeypatch.setattr(simulation, "replica_blocks", lambda *_: blocks)
    out = run()
    assert out.blocks == blocks
    np.testing.assert_allclose(out.values["theta"], whole, rtol=1e-12)


def test_observables_of_any_shape_and_type():
    observables = {
        "matrix": lambda x: jnp.outer(x, x),
        "positive": lambda x: x > 0,
        "count": lambda x: jnp.asarray(3),
    }
    out = run(observables=observables)
    assert out.values["matrix"].shape == (7, 5, 2, 2)
    assert set(np.unique(out.values["positive"])) <= {0.0, 1.0}
    assert (out.values["count"] == 3).all()
    dataset = out.to_xarray()
    assert dataset["matrix"].dims == ("replica", "time", "matrix_0", "matrix_1")
    np.testing.assert_allclose(dataset["time"], 0.1 * np.arange(0, 13, 3))
    assert dataset["step"].values.tolist() == [0, 3, 6, 9, 12]


def escaping_problem():
    """A cubic: unbounded below on one side, so that some replicas run away and others don't."""
    return sg.Problem(lambda x, b: x**2 / 2 - x**3 / 3 + b * x, jnp.asarray(0.9, jnp.float32), np.array([0.8, -0.8]))


def test_some_replicas_diverge_and_the_others_go_on():
    settings = dict(num_steps=200, replicas=64, key=jr.key(0), observables={"x": theta}, save_every=10)
    with pytest.warns(RuntimeWarning, match=r"of 64 replicas diverged: eta lambda_max = .* 2\(1\+m\) = 2"):
        out = sg.simulate(sg.SGD(0.1, 1), escaping_problem(), **settings)
    x, gone = out.values["x"], out.diverged
    assert 5 < gone.sum() < 60
    np.testing.assert_array_equal(np.isnan(x[:, -1]), gone)
    assert not np.isnan(x[~gone]).any()
    went = np.isnan(x[gone])
    assert (np.diff(went.astype(int), axis=1) >= 0).all(), "NaN from the divergence on, never before"
    assert np.isfinite(out.final_params).all()


def test_ctrl_c_keeps_what_was_saved():
    """A real SIGINT in the middle of a long run; a background job of a shell starts with the signal ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = dict(num_steps=10_000_000, save_every=1000, replicas=2)
    run(num_steps=1000, save_every=1000, replicas=2)
    timer = threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.perf_counter()
    out = run(**settings)
    assert out.interrupted
    assert time.perf_counter() - begin < 30
    saved = out.values["theta"]
    assert 1 < saved.shape[1] < 10_001
    assert len(out.time) == saved.shape[1]
    assert np.isfinite(saved).all()
    np.testing.assert_allclose(out.time[-1], 0.1 * out.step[-1])
    full = run(num_steps=1000, save_every=1000, replicas=2)
    np.testing.assert_array_equal(full.values["theta"], saved[:, :2])


def test_a_clock_reaches_every_save_whatever_the_speed():
    for save_every, budget in [(7, 3), (5, 100), (1, 1), (60, 7)]:
        clock = progress.Clock(420, save_every, sizes._MOST_SAVES)
        saves = 0
        while clock.done < 420:
            clock.budget = budget
            count, steps = clock.plan()
            assert count * steps > 0
            before = clock.done
            clock.advance(count, steps)
            saves += count if clock.done % save_every == 0 else 0
            assert count == 1 or before % save_every == 0 == steps % save_every
            assert clock.done - before <= max(save_every, budget)
        assert saves == 420 // save_every


def test_observables_are_computed_at_saves_alone():
    """However short the segments: an expensive observable must not be paid for at every segment."""
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return x

    run(num_steps=50, save_every=25, replicas=1, observables={"x": counted})
    jax.effects_barrier()
    assert len(calls) == 3


def test_blocks_follow_the_shapes():
    """Toys together, full-batch steps of nets one by one, minibatch steps of nets in larger blocks."""
    assert sizes.replica_block(2, 50, 50, 128, "cpu") == 128
    assert sizes.replica_block(40_000, 1000, 1000, 128, "cpu") == 1
    assert 4 <= sizes.replica_block(40_000, 16, 1000, 128, "cpu") <= 16
    assert sizes.replica_block(40_000, 16, 1000, 128, "gpu") == 128


def test_progress_is_silent_without_a_terminal(capfd):
    run(progress="SGD")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_default_precision_and_imports_leave_jax_alone():
    """In a fresh process: 32-bit mode works, importing makes no array and flips no switch."""
    code = """
import jax
before = dict(jax.config.values)
live = len(jax.live_arrays())
import sdesgd as sg
assert dict(jax.config.values) == before and len(jax.live_arrays()) == live == 0
import jax.numpy as jnp, numpy as np
problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(3), np.random.default_rng(0).normal(size=(8, 3)))
momenta = (sg.SGD(0.1, 2, "reshuffle", 0.9), sg.SDE(0.1, 2, momentum=0.9))
for dynamics in (*momenta, sg.SVAG(0.1, 2, 2), sg.SDE(0.1, 2, order=2)):
    run = dict(num_steps=4, replicas=3, key=jax.random.key(0), observables={"loss": problem.loss})
    out = sg.simulate(dynamics, problem, **run)
    assert np.array_equal(out.time, 0.1 * np.arange(5)), "time is not rounded to float32"
    assert out.values["loss"].dtype == np.float32 and np.isfinite(out.values["loss"]).all()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_several_devices_give_the_same_numbers():
    """Forced host devices in a fresh process: same bits as with one."""
    code = """
import jax, jax.numpy as jnp, numpy as np, sdesgd as sg
problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(3), np.random.default_rng(0).normal(size=(8, 3)))
run = dict(num_steps=4, replicas=3, key=jax.random.key(0), observables={"loss": problem.loss})
out = sg.simulate(sg.SDE(0.1, 2), problem, **run)
print(jax.device_count(), out.values["loss"].tobytes().hex())
"""
    results = []
    for count in (1, 2):
        environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment
        )
        assert done.returncode == 0, done.stderr
        results.append(done.stdout.split())
    assert [r[0] for r in results] == ["1", "2"]
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sg.SGD(0.0, 2), "learning_rate is 0.0: pass a positive"),
        (lambda: sg.SGD(-1.0, 2), "learning_rate is -1.0"),
        (lambda: sg.GaussianSGD(float("nan"), 2), "learning_rate is nan"),
        (lambda: sg.SDE(float("inf"), 2), "learning_rate is inf"),
        (lambda: sg.SGD(0.1, 0), "batch_size is 0: pass an integer of at least 1"),
        (lambda: sg.SVAG(0.1, 2, 0), "ell is 0"),
        (lambda: sg.SDE(0.1, 2, substeps=0), "substeps is 0"),
        (lambda: sg.SDE(0.1, 2, order=3), "order is 3: pass 1 or 2"),
        (lambda: sg.SGD(0.1, 2, momentum=1.0), "momentum is 1.0"),
        (lambda: sg.SGD(0.1, 2, "replacment"), "unknown sampling 'replacment': did you mean 'replacement'"),
        (lambda: sg.SDE(0.1, 2, "reshuffle"), "'reshuffle' is refused here: .* no SDE; use one of"),
        (lambda: sg.GaussianSGD(0.1, 2, "reshuffle"), "'reshuffle' is refused"),
        (lambda: sg.SVAG(0.1, 2, 2, "reshuffle"), "'reshuffle' is refused"),
        (lambda: run(sg.SGD(0.1, 5, "no_replacement")), "batch_size 5 exceeds N = 4"),
        (lambda: run(sg.SDE(0.1, 5, "no_replacement")), "batch_size 5 exceeds N = 4"),
        (lambda: run(sg.SGD(0.1, 5, "reshuffle")), "batch_size 5 exceeds N = 4"),
        (lambda: run(save_every=5), "save_every 5 doesn't divide num_steps 12: the nearest that does is 4"),
        (lambda: run(num_steps=0), "num_steps is 0"),
        (lambda: run(replicas=-1), "replicas is -1"),
        (
            lambda: run(observables={"net": lambda p: (p, p)}),
            "observable 'net' doesn't return a numeric array",
        ),
        (lambda: run(observables={"diverged": theta}), "observable 'diverged' bears a name of the table's own"),
        (lambda: run(params=jnp.ones(3)), r"params has shape \(3,\) .* the problem's has \(2,\)"),
        (lambda: run(params=jnp.ones(2, jnp.float32)), "params has .* dtype float32, the problem's has .* float64"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(sg.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_batch_larger_than_n_is_fine_with_replacement():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(run(sg.SGD(0.1, 9)).final_params).all()


def test_batch_must_be_whole_groups():
    problem = sg.Problem(lambda w, x: jnp.sum(w * x), jnp.ones(()), np.ones(12), unit_size=3)
    with pytest.raises(sg.InputError, match="batch_size 4 is not a multiple of unit_size 3"):
        sg.SGD(0.1, 4).init(problem, problem.params)


def test_groups_of_one_or_a_single_group_have_no_noise_to_model():
    problem = sg.Problem(lambda w, x: jnp.sum(w * x), jnp.ones(()), np.ones(12), unit_size=12)
    with pytest.raises(sg.InputError, match="needs at least two"):
        sg.SDE(0.1, 12).init(problem, problem.params)
    assert jax.tree.leaves(sg.SGD(0.1, 12).init(problem, problem.params))
