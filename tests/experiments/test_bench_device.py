"""``bench --device`` at toy size: what it finds, what it keeps when a part fails, when the time is over."""

import json
import subprocess
import sys
import time

import equinox as eqx
import jax
import numpy as np
import pytest

from experiments._shared.run_folder import TOP
from experiments.bench import main as bench
from experiments.bench.device import command as bench_device
from experiments.bench.device import precision as bench_device_precision
from experiments.bench.device import problems
from experiments.bench.device import speed as bench_device_speed
from experiments.bench.device import verdicts as bench_device_verdicts
from experiments.bench.device.parts import Clock, OutOfTime, at_most, timed
from sdesgd import nets

pytestmark = pytest.mark.slow

MISSING = (
    "mlxtend",
    "mnist1d",
    "kaldiio",
    "sklearn",
    "dask",
    "distributed",
    "numpyro",
    "arviz_stats",
    "sympy",
    "psutil",
)


@pytest.fixture
def single_precision():
    """The check runs as JAX starts: 32 bits."""
    with jax.enable_x64(False):
        yield


def test_parts_run_at_toy_size_and_leave_one_file_and_one_figure(tmp_path, single_precision):
    """Those of F2 that compile in a minute here; C1's and the precision of every dynamics take a machine of its own."""
    only = "rates,steps f2,verdicts f2"
    options = ["--device", "--toy", "--minutes", "20", "--folder", str(tmp_path), "--only", only]
    status = bench.main(options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device_cpu.json", "device_cpu.svg"]
    found = json.loads((tmp_path / "device_cpu.json").read_text())
    parts = found["parts"]
    assert {name: row.get("error") for name, row in parts.items() if row["status"] != "done"} == {}
    assert status == 0
    verdict = parts["verdicts f2"]["result"]
    assert verdict["steps"] == 2
    assert {judged["kind"] for judged in verdict["observables"].values()} <= {"equivalent", "different", "inconclusive"}
    steps = parts["steps f2"]["result"]["highest"]
    assert all(row["floor"]["seconds"] > 0 < row["seconds"]["median"] for row in steps.values())


def test_packages_that_an_accelerator_machine_may_lack_are_not_imported():
    code = (
        f"import sys; from experiments.bench.device import command; print([m for m in {MISSING} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP)
    assert done.stdout.strip() == "[]"


# -- float32 against float64 -------------------------------------------------------------------------------


def test_products_of_eleven_bits_are_not_within_what_is_allowed(monkeypatch, single_precision):
    """TensorFloat-32 played on the CPU, in the program of the device alone: factors rounded to 11 bits."""
    case = problems.TOY["f2"]
    with jax.enable_x64(False):
        problem = problems.small(case, kinks=False, native=True)
    dynamics = bench_device_precision.dynamics_checked(case.check_batch)
    job = bench_device_precision.step_job("Gaussian SGD", dynamics["Gaussian SGD"], problem, problem)
    exact = {place: bench_device_precision.computed(job, place) for place in ("cpu_float64", "cpu_float32")}

    def rounded(x):
        return jax.lax.reduce_precision(x, 8, 10)

    def product(layer, x):
        return rounded(x) @ rounded(layer.weight) + layer.bias

    jax.clear_caches()  # the program of before is equal to JAX
    with monkeypatch.context() as patched:
        patched.setattr(nets.Dense, "__call__", product)
        coarse = bench_device_precision.computed(job, "default")
    jax.clear_caches()
    row = bench_device_precision.errors_of(job, exact | {"default": coarse, "highest": exact["cpu_float32"]})
    assert row["highest_within"]
    assert row["cpu_float32"] > 1e-8  # float64 is not what was taken for float32
    assert not row["default_within"]
    assert 1e-4 < row["default"] < 1e-1


def test_the_draw_is_the_same_in_both_precisions_and_an_error_of_a_factor_is_seen():
    case = problems.TOY["f2"]
    with jax.enable_x64(False):
        problem = problems.small(case, kinks=False, native=True)
        sgd = bench_device_precision.dynamics_checked(case.check_batch)["SGD"]
        job = bench_device_precision.step_job("SGD", sgd, problem, problem)
    exact = bench_device_precision.computed(job, "cpu_float64")
    found = {"cpu_float64": exact, "cpu_float32": exact * (1 + 1e-7), "default": exact, "highest": exact * 1.001}
    row = bench_device_precision.errors_of(job, found)
    assert row["default_within"]
    assert not row["highest_within"]
    assert row["highest"] == pytest.approx(1e-3)


# -- operations --------------------------------------------------------------------------------------------


def test_operations_of_a_gradient_are_those_that_xla_counts():
    """Of F2's matrix products: 2 an entry forward, 2 back to the weights, 2 back to the inputs but the first's."""
    net = problems.make_net(problems.PAPER["f2"], 1973, 360)
    entries = 360 * 512 + 6 * 512 * 512 + 512 * 1973
    assert problems.operations_an_example(net) == 6 * entries - 2 * 360 * 512
    c1 = nets.c1(dropout=0.0, key=jax.random.key(0))
    first, second = 16 * 16 * 5 * 5 * 3 * 64, 4 * 4 * 5 * 5 * 64 * 64
    dense = 256 * 384 + 384 * 192 + 192 * 10
    assert problems.operations_an_example(c1) == 4 * first + 6 * (second + dense)


def test_f2_of_the_check_is_the_f2_of_the_library():
    key = jax.random.key(7)
    mine, theirs = problems.make_net(problems.PAPER["f2"], 1973, 360), nets.f2(key=key)
    assert eqx.tree_equal(mine, theirs)


# -- time --------------------------------------------------------------------------------------------------


def test_a_part_is_cut_off_and_keeps_what_it_found(tmp_path):
    session = bench_device.Session(Clock(60, True), tmp_path / "device.json", {})

    def endless(result):
        result["first"] = 1.0
        while True:
            time.sleep(0.01)

    session.run("endless", 0.2, endless)
    row = json.loads((tmp_path / "device.json").read_text())["parts"]["endless"]
    assert row["status"] == "cut off"
    assert row["result"] == {"first": 1.0}
    assert session.failed == []


def test_a_part_that_fails_is_reported_and_the_next_one_runs(tmp_path):
    session = bench_device.Session(Clock(60, True), tmp_path / "device.json", {})

    def broken(result):
        result["first"] = float("nan")
        raise ValueError("no such convolution")

    session.run("broken", 10, broken)
    session.run("whole", 10, lambda result: result.update(second=2.0))
    parts = json.loads((tmp_path / "device.json").read_text())["parts"]
    assert parts["broken"]["error"] == "ValueError: no such convolution"
    assert parts["broken"]["result"] == {"first": None}
    assert parts["whole"]["result"] == {"second": 2.0}
    assert session.failed == ["broken"]


def test_disagreement_with_float64_is_a_failure(tmp_path):
    session = bench_device.Session(Clock(60, True), tmp_path / "device.json", {})
    session.run("precision f2", 10, lambda result: result.update(agrees=False))
    assert session.failed == ["precision f2"]


def test_no_part_begins_when_the_time_is_over(tmp_path):
    session = bench_device.Session(Clock(-60, True), tmp_path / "device.json", {})
    session.run("late", 10, lambda result: result.update(x=1.0))
    found = json.loads((tmp_path / "device.json").read_text())
    assert found["skipped"] == {"late": "no time left"}
    assert found["parts"] == {}


def test_the_limit_of_time_ends_with_its_block():
    with pytest.raises(OutOfTime), at_most(0.05):
        time.sleep(5)
    with at_most(0.05):
        pass
    time.sleep(0.1)


def test_a_limit_within_a_limit_leaves_the_outer_one_in_force():
    def inner():
        with pytest.raises(OutOfTime), at_most(0.05):
            time.sleep(5)
        time.sleep(5)

    with pytest.raises(OutOfTime), at_most(0.2):
        inner()


def test_seconds_are_those_of_one_step():
    found = timed(lambda count: time.sleep(0.004 * count), least=0.04)
    assert 0.004 <= found["median"] < 0.02
    assert found["steps_a_repeat"] > 3


@pytest.mark.parametrize(
    ("seconds", "pair", "wanted"),
    [(120, 0.15, (76, 6, 1)), (120, 0.001, (76, 40, 5)), (10, 1.0, (16, 5, 1)), (60, 0.4, (19, 5, 1))],
)
def test_steps_and_replicas_fit_the_time(seconds, pair, wanted):
    assert bench_device_verdicts.plan(seconds, pair, 76, False) == wanted


# -- what is drawn -----------------------------------------------------------------------------------------


def test_images_of_a_class_are_alike_and_no_two_seeds_are_one():
    x, labels = problems.images(400, 0)
    assert x.shape == (400, 3072)
    assert x.dtype == np.float32
    pooled = x.reshape(400, 8, 4, 8, 4, 3).mean((2, 4)).reshape(400, -1)
    other, other_labels = problems.images(400, 1)
    means = np.stack([pooled[labels == k].mean(0) for k in range(10)])
    far = ((other.reshape(400, 8, 4, 8, 4, 3).mean((2, 4)).reshape(400, 1, -1) - means) ** 2).sum(-1)
    assert (far.argmin(1) == other_labels).mean() > 0.5  # chance is 0.1
    assert not np.array_equal(x, other)


def test_the_larger_floor_counts():
    with jax.enable_x64(False):
        problem, _ = problems.full(problems.TOY["f2"])
    slow_copy = {"matrix, float32, highest": 1e12, "copy": 1.0}
    fast_copy = {"matrix, float32, highest": 1.0, "copy": 1e12}
    operations = problems.operations_an_example(problem.params)
    theta = 4 * problem.num_parameters
    moved = 8 * (4 * 12 + 4) + 2 * theta
    assert bench_device_speed.floor_of("SGD", problem, slow_copy, "highest")["seconds"] == pytest.approx(moved)
    assert bench_device_speed.floor_of("SDE", problem, fast_copy, "highest")["seconds"] == 5 * 64 * operations
    two = bench_device_speed.floor_of("SGD", problem, fast_copy, "highest", replicas=2)
    assert two["seconds"] == 2 * 8 * operations
