"""escape-times at toy size: the well against numpy, exact times against scipy, the figure, refusals."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest
import xarray as xr
from scipy import integrate

from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli, running
from experiments.escape_times import compute as escape_times
from experiments.escape_times.config import Config
from experiments.escape_times.result import Barrier, Passages, Result, WellShape

pytestmark = pytest.mark.slow

TOY = {"ratios": "2,3", "passages": 200, "learning_rate": 0.2, "points": 401}
COMMAND = ["escape-times", *itertools.chain.from_iterable((f"--{k.replace('_', '-')}", str(v)) for k, v in TOY.items())]


def test_the_deeper_well_of_the_asymmetric_potential():
    """Against numpy's extrema of V on a fine grid; Kramers' time against its formula by finite differences."""
    well = escape_times.well_of("unequal-depth")
    x = np.linspace(*well.landscape.box[0], 200_001)
    V = np.asarray(jax.vmap(lambda z: well.landscape.value(z[None]))(x))
    inner = np.flatnonzero((V[1:-1] < V[:-2]) & (V[1:-1] < V[2:])) + 1
    tops = np.flatnonzero((V[1:-1] > V[:-2]) & (V[1:-1] > V[2:])) + 1
    deep = inner[V[inner].argmin()]
    np.testing.assert_allclose([well.start, well.top], [x[deep], x[tops[0]]], atol=1e-4)
    assert well.barrier == pytest.approx(V[tops[0]] - V[deep], rel=1e-6)
    step = 40
    second = [(V[k + step] - 2 * V[k] + V[k - step]) / (step * (x[1] - x[0])) ** 2 for k in (deep, tops[0])]
    want = 2 * np.pi / np.sqrt(second[0] * -second[1]) * np.exp(well.barrier / 0.1)
    assert well.kramers_time(0.1) == pytest.approx(want, rel=1e-3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(folder)]) == 0
    (made,) = (folder / "escape-times").iterdir()
    return made


def test_times_agree_with_the_double_integral_and_can_fail(finished):
    summary = json.loads((finished / "summary.json").read_text())
    well = escape_times.well_of("asymmetric")
    sign = np.sign(well.target - well.start)

    def V(u):
        return float(well.landscape.value(np.array([well.start + sign * u])))

    for row in summary["rows"]:
        T = row["temperature"]
        np.testing.assert_allclose(T, well.barrier / row["ratio"])
        late = 0.5826 * np.sqrt(2 * T * 0.2)  # Siegmund: θ is looked at once a step
        grid = np.linspace(-2, abs(well.target - well.start) + late, 2001)
        values = np.array([V(u) for u in grid])
        inner = integrate.cumulative_trapezoid(np.exp(-values / T), grid, initial=0)
        beyond = grid >= 0
        want = integrate.trapezoid(np.exp(values / T)[beyond] * inner[beyond], grid[beyond]) / T
        assert row["arms"]["SDE"]["exact"] == pytest.approx(want, rel=5e-3)
        for arm in row["arms"].values():
            assert abs(arm["z"]) < 4
            assert arm["error"] < 0.12 * arm["exact"], "a factor of two would be seen"
    first = summary["rows"][0]["arms"]
    assert first["SGD"]["exact"] < 0.95 * first["SDE"]["exact"], "SGD's own law, and not the SDE's twice"
    kept, _ = running.read_run(EXPERIMENTS["escape-times"], finished)
    assert len(kept.plot().axes) == 2
    assert kept.agreement().kind != "different", "as measured"


def judged(**changed):
    """Six exact means with errors of 3 %, but for the last, which is changed."""
    arm = Passages(mean=50.0, error=1.5, exact=50.0)
    rows = [Barrier(ratio, 0.1, 40.0, {"SGD": arm, "SDE": arm}) for ratio in (2.0, 3.0, 4.0)]
    rows[-1].arms["SDE"] = dataclasses.replace(arm, **changed)
    return Result(Config(), WellShape(0.0, 1.0, 2.0, 0.5), tuple(rows), xr.Dataset()).answer()


def test_agreement_is_within_a_margin_and_can_fail():
    assert "agree with the exact ones within 15 % (largest of 6 deviations" in judged()
    assert "differ from the exact ones" in judged(mean=57.0)
    assert "aren't shown to be within 15 % of the exact ones, nor to differ" in judged(error=4.0)
    assert "agree with the exact ones within 15 %" in judged(mean=52.0, error=0.1), "a small deviation, for sure"


def test_kurtosis_makes_sgd_slower_than_the_sde():
    """Against both exact times at ΔV/T = 7: the formula has 0.95 of the logarithm of their ratio, its sign and size."""
    config = Config(points=801)
    well = escape_times.well_of("asymmetric")
    T = well.barrier / 7
    sde, sgd = escape_times._exact(config, well, T)
    factor = escape_times._kurtosis_factor(config, well, T)
    assert np.log(sgd / sde) > 0.4
    assert np.log(factor) == pytest.approx(np.log(sgd / sde), abs=0.06)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--potential", "four-wells"], "2 coordinates"),
        (["--potential", "rugged"], "minima: take a double well"),
        (["--ratios", "2,x"], "2,x"),
        (["--ratios", "2,40"], "pass a number with 0.1 ≤ ratios ≤ 30"),
        (["--ratios", "14"], "above max_steps"),
        (["--passages", "5"], "at least 20"),
        (["--preset", "tpu"], "tpu"),
    ],
)
def test_bad_options(given, message, capsys, tmp_path):
    assert cli.main(EXPERIMENTS, ["escape-times", *given, "--results", str(tmp_path)]) != 0
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.rglob("*.nc"))
