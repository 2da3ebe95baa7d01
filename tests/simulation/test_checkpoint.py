"""simulate(checkpoint=…): the same call goes on, bit for bit, and refuses what isn't its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.simulation import checkpoint
from tests import exact
from tests.refusals import refused
from tests.users import unchecked_types

Q, START = exact.small()
SETTINGS = dict(num_steps=12, replicas=3, key=jr.key(0), observables={"theta": lambda p: p}, save_every=3)


def run(path, dynamics=None, problem=None, **options):
    dynamics = dynamics or sg.SGD(0.1, 2, momentum=0.5)
    return sg.simulate(dynamics, problem or Q.problem(START), checkpoint=path, **(SETTINGS | options))


class Interrupted(checkpoint.Checkpoint):
    """Ctrl-C at the n-th segment."""

    left = 0

    def due(self):
        Interrupted.left -= 1
        if Interrupted.left == 0:
            raise KeyboardInterrupt
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "dynamics",
    [
        sg.SGD(0.1, 2, sampling="reshuffle", momentum=0.5),
        sg.SDE(0.1, 2),
        sg.Coupled(sg.GaussianSGD(0.1, 2), sg.SDE(0.1, 2)),
    ],
    ids=["reshuffle", "SDE", "coupled"],
)
@pytest.mark.parametrize("segments", [1, 4, 9])
def test_the_same_call_goes_on_bit_for_bit(monkeypatch, tmp_path, dynamics, segments):
    """Stopped between saves too: every segment is one step."""
    pair = isinstance(dynamics, sg.Coupled)
    options = {
        "observables": {"theta": (lambda p: jnp.stack(p)) if pair else (lambda p: p)},
        "accumulate": (0.0, lambda c, p, n: c + n),
    }
    whole = run(None, dynamics, **options)
    monkeypatch.setattr("sdesgd.simulation.progress._SEGMENT_SECONDS", 1e-9)
    monkeypatch.setattr("sdesgd.simulation.driver.Checkpoint", Interrupted)
    Interrupted.left = segments
    part = run(tmp_path / "a", dynamics, **options)
    assert part.interrupted
    assert len(part.step) < 5
    after = run(tmp_path / "a", dynamics, **options)
    again = run(tmp_path / "a", dynamics, **options)
    for out in (after, again):
        assert not out.interrupted
        np.testing.assert_array_equal(out.values["theta"], whole.values["theta"])
        np.testing.assert_array_equal(out.accumulated, whole.accumulated)
        np.testing.assert_array_equal(out.diverged, whole.diverged)
    np.testing.assert_array_equal(
        *(np.asarray(jnp.stack(o.final_params) if pair else o.final_params) for o in (after, whole))
    )


def test_a_finished_run_is_read_and_not_run_again(monkeypatch, tmp_path):
    first = run(tmp_path / "a")
    monkeypatch.setattr("sdesgd.simulation.plan.segment", None)
    np.testing.assert_array_equal(run(tmp_path / "a").values["theta"], first.values["theta"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dynamics": sg.SGD(0.1, 2)}, "dynamics"),
        ({"dynamics": sg.SGD(0.1, 1, momentum=0.5)}, "dynamics"),
        ({"dynamics": sg.SGD(0.2, 2, momentum=0.5)}, "dynamics"),
        ({"dynamics": sg.SGD(lambda n: 0.1, 2, momentum=0.5)}, "dynamics"),
        ({"key": jr.key(1)}, "key"),
        ({"num_steps": 15}, "sizes"),
        ({"save_every": 6}, "sizes"),
        ({"replicas": 4}, "sizes"),
        ({"params": START + 1}, "start"),
        ({"observables": {"theta": lambda p: 2 * p}}, "functions"),
        ({"until": lambda p: p[0] > 5}, "functions"),
        ({"problem": Q.problem(START + 1)}, "problem, start"),
        ({"key": jr.key(0, impl="unsafe_rbg")}, "key, sizes"),
        ({"replicas": 2}, "sizes"),
        ({"num_steps": 3}, "sizes"),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path, options, words):
    run(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    refused(lambda: run(tmp_path / "a", **options), f"with other {words}: name another file")
    assert (tmp_path / "a").read_bytes() == before


def test_observables_in_another_order_keep_their_names(tmp_path):
    functions = {"b": lambda p: p[0], "a": lambda p: p[1]}
    first = run(tmp_path / "a", observables=functions)
    again = run(tmp_path / "a", observables=dict(reversed(functions.items())))
    for name in functions:
        np.testing.assert_array_equal(again.values[name], first.values[name])
    assert not np.array_equal(first.values["a"], first.values["b"])


def shortened(factor):
    class Euler(diffrax.Euler):
        """A user's own solver, of the same name whatever the factor."""

        def step(self, terms, t0, t1, y0, *rest):
            y1, *others = super().step(terms, t0, t1, y0, *rest)
            return factor * y1, *others

    return Euler()


def test_another_solver_of_the_same_name_is_another_dynamics(tmp_path):
    run(tmp_path / "a", sg.SDE(0.1, 2, solver=shortened(1.0)))
    run(tmp_path / "a", sg.SDE(0.1, 2, solver=shortened(1.0)))
    refused(lambda: run(tmp_path / "a", sg.SDE(0.1, 2, solver=shortened(0.5))), "other dynamics")


def test_other_settings_of_jax_are_another_run(tmp_path):
    """In 32 and 64 bits batches of the same key differ, whatever the dtype of params."""
    problem = sg.Problem(lambda w, x: (w - x) ** 2, jnp.asarray(0.0, jnp.float32), np.float32([1, 2, 3]))
    run(tmp_path / "a", sg.SGD(0.1, 1), problem, observables={})
    with jax.enable_x64(False):
        refused(lambda: run(tmp_path / "a", sg.SGD(0.1, 1), problem, observables={}), "versions")


IDENTITY = """
import sys, jax, jax.numpy as jnp, numpy as np
from sdesgd import freshness
if len(sys.argv) > 1:
    import optax
def activation(x):
    def outer(y):
        def inner(z):
            return z if "relu" in {"relu", "tanh", "gelu"} else -z
        return inner(y)
    return outer(x)
@jax.jit
def loss(p):
    return activation(p) ** 2
print(freshness.digest_of([activation, 3.0, jax.nn.relu]), freshness.of(loss, jnp.zeros(3)).known.digest)
"""


@pytest.mark.slow
def test_a_run_is_known_in_another_process():
    """Whatever the addresses, the seed of hashes, and what else was imported."""
    found = set()
    for seed, *arguments in (("1",), ("2", "optax")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", IDENTITY, *arguments]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(found) == 1, found


def test_numbers_of_numpy_are_the_same_run(tmp_path):
    run(tmp_path / "a")
    with unchecked_types():
        dynamics = sg.SGD(0.1, np.int64(2), momentum=0.5)
        again = run(tmp_path / "a", dynamics, num_steps=np.int64(12), replicas=np.int32(3))
    assert again.values["theta"].shape == (3, 5, 2)


def test_data_that_changed_is_another_problem(tmp_path):
    data = np.array([1.0, 2.0, 3.0])
    problem = lambda: sg.Problem(lambda w, x: (w - x) ** 2, jnp.asarray(0.0), data)  # noqa: E731
    run(tmp_path / "a", sg.SGD(0.1, 1), problem())
    run(tmp_path / "a", sg.SGD(0.1, 1), problem())
    data[1] = 2.5
    refused(lambda: run(tmp_path / "a", sg.SGD(0.1, 1), problem()), "other problem")


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1],
        lambda b: b[:40],
        lambda b: b"",
        lambda b: b + b"x",
        lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:],
        lambda b: b.replace(b'"done": 12', b'"done": "x"'),
        lambda b: b.replace(b'"identity"', b'"identitY"'),
        lambda b: b"{}\n" + b,
        lambda b: b + b"x" * 100_000,
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    run(tmp_path / "a")
    (tmp_path / "a").write_bytes(damage((tmp_path / "a").read_bytes()))
    assert str(tmp_path / "a") in refused(lambda: run(tmp_path / "a"), "a")


def test_forged_counts_are_refused(tmp_path):
    run(tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    magic, header, body = content.split(b"\n", 2)
    for change in (
        {"saved": 10**6},
        {"saved": -1},
        {"saved": float("inf")},
        {"saved": True, "done": False},
        {"saved": "5"},
        {"done": 13},
        {"done": -3},
        {"saved": 2},
    ):
        forged = json.dumps(json.loads(header) | change).encode()
        (tmp_path / "a").write_bytes(b"\n".join([magic, forged, body]))
        refused(lambda: run(tmp_path / "a"), "damaged")


@pytest.mark.slow
def test_nowhere_to_write_is_refused_before_the_run(tmp_path):
    refused(lambda: run(tmp_path / "none" / "a", num_steps=3 * 10**8), "none")
    refused(lambda: run(tmp_path, num_steps=3 * 10**8), "folder")


@pytest.mark.parametrize("error", [sg.InputError("can't write: disk full"), MemoryError(), OSError("gone")])
def test_a_copy_that_fails_costs_no_run(monkeypatch, tmp_path, error):
    def full(*_):
        raise error

    monkeypatch.setattr("sdesgd.files.write", full)
    with pytest.warns(RuntimeWarning, match="no checkpoint was kept"):
        out = run(tmp_path / "a")
    assert len(out.step) == 5


def test_ctrl_c_while_the_last_copy_is_written_costs_no_run(monkeypatch, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdesgd.files.write", stopped)
    out = run(tmp_path / "a")
    assert len(out.step) == 5


LONG = """
import sys, jax.numpy as jnp, jax.random as jr, numpy as np
import sdesgd as sg
from sdesgd.simulation import checkpoint
checkpoint._SECONDS = 0.2
problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(2), np.arange(8.0).reshape(4, 2))
run = lambda path: sg.simulate(sg.SGD(0.01, 2), problem, num_steps=int(sys.argv[3]), save_every=100_000, replicas=2,
    key=jr.key(0), observables={"w": lambda w: w}, checkpoint=path)
out = run(sys.argv[1])
np.save(sys.argv[2], out.values["w"])
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path):
    """kill −9, whatever it is doing; the last run is left to end. SDESGD_KILLS raises the number of kills."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    wanted = int(os.environ.get("SDESGD_KILLS", "3"))
    steps = 2_000_000 * (1 + wanted)

    def start(name):
        files = (str(tmp_path / f"{name}.{end}") for end in ("state", "npy"))
        return subprocess.Popen([sys.executable, "-c", LONG, *files, str(steps)], env=environment)

    assert start("whole").wait() == 0
    rng, kills = np.random.default_rng(0), []
    while len(kills) < wanted:
        process = start("killed")
        # Of a run that has begun: what it has done is in the file, and a random time later it is killed.
        state, begun = tmp_path / "killed.state", time.time()
        while process.poll() is None and not (state.exists() and state.stat().st_mtime > begun):
            time.sleep(0.01)
        time.sleep(rng.random())
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills.append((time.time() - state.stat().st_mtime, done_steps(state)))
    assert start("killed").wait() == 0
    print("seconds since the last copy, and steps in it, at each kill:", kills)
    assert len(kills) == wanted
    np.testing.assert_array_equal(*(np.load(tmp_path / f"{name}.npy") for name in ("whole", "killed")))


def done_steps(state):
    return json.loads(state.read_bytes().split(b"\n", 2)[1])["done"]
