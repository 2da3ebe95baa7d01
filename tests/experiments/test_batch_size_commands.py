"""batch-size as a command: its plan, its options, a toy run and its resumption, the short question."""

import dataclasses
import functools
import itertools
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import xarray as xr

from experiments.__main__ import EXPERIMENTS, main
from experiments._shared import cli
from experiments._shared.run_folder import RunFolder
from experiments.batch_size import compute as batch_size
from experiments.batch_size import config as batch_size_config
from experiments.batch_size.config import Config
from experiments.batch_size.result import Result
from experiments.batch_size_recommend import compute as batch_size_recommend
from sdesgd import optimal_batch
from sdesgd.errors import InputError

pytestmark = pytest.mark.slow

# -- the plan ----------------------------------------------------------------------------------------------


def test_families_share_their_centre_and_every_cell_stands_once():
    config = Config()
    found = batch_size_config.series(config)
    centre = [point for point in found if len(point["families"]) == 3]
    assert len(centre) == 1
    assert len(found) == 5 + 4 + 5 - 2
    plan = batch_size_config.cells(config)
    assert len(plan) == 12 * 8
    assert len({cell.identity() for cell in plan}) == len(plan)
    sizes = [cell.config["batch_size"] for cell in plan]
    assert sizes == sorted(sizes, reverse=True)
    assert {cell.config["pool"] for cell in plan} == {4000}


def test_the_default_spans_what_the_claims_are_about():
    config = Config()
    rates, examples, momenta = (batch_size_config.values(config, family) for family in batch_size_config.FAMILIES)
    assert max(rates) / min(rates) >= 10
    assert max(examples) / min(examples) >= 8
    assert (1 / (1 - min(momenta)), round(1 / (1 - max(momenta)))) == (1, 20)
    assert config.width >= 200
    assert config.seeds >= 5
    assert config.momentum == 0.9


def test_a_batch_is_at_most_the_training_set():
    assert batch_size_config.batch_sizes(Config(batch_sizes="8,2,64"), 20) == [2, 8]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": "step"}, "did you mean 'steps'"),
        ({"families": "rates"}, "did you mean 'rate'"),
        ({"model": "mpl"}, "did you mean 'mlp'"),
        ({"learning_rates": "0.1,fast"}, "comma-separated numbers"),
        ({"learning_rates": "0.1,-1"}, "learning_rates holds -1"),
        ({"momenta": "0.5,1"}, "momenta holds 1"),
        ({"examples": "100,200.5"}, "comma-separated whole numbers"),
        ({"examples": "100,0"}, "examples holds 0: pass at least 1"),
        ({"batch_sizes": "2,2,4"}, "repeated"),
        ({"batch_sizes": "2,4,2000"}, "fewer than 3"),
        ({"seeds": 1}, "at least 2"),
        ({"width": 0}, "width is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"workers": 2, "scheduler": "tcp://here:1"}, "pass --workers 0"),
    ],
)
def test_bad_options_are_named_before_anything_runs(change, message):
    with pytest.raises(InputError, match=message):
        batch_size_config.check(dataclasses.replace(Config(), **change))


@pytest.mark.parametrize("preset", list(batch_size_config.PRESETS))
@pytest.mark.parametrize("data", ["mnist5k", "fashion_mnist", "mnist1d"])
def test_presets_make_a_plan(preset, data):
    config = Config(data=data, preset=preset)
    config = dataclasses.replace(config, **batch_size_config.implied(config))
    batch_size_config.check(config)
    assert batch_size_config.cells(config)


# -- recommend ---------------------------------------------------------------------------------------------


def test_the_planned_steps_fit_the_minutes_and_no_hundred_more_would():
    seconds, sizes = [0.5e-3, 3.5e-3], [1, 4, 16, 64, 256] * 2  # a step costs 0.3 ms + 0.05 ms · B
    steps = batch_size_recommend.steps_that_fit(240, seconds, sizes, 2)
    fixed = batch_size_recommend.seconds_needed(0, seconds, sizes, 2)
    each = 1.4 * 2 * sum(0.3e-3 + 0.05e-3 * size for size in sizes[:5]) / 2
    assert steps % 100 == 0
    assert 240 - 100 * each < fixed + steps * each <= 240
    assert batch_size_recommend.steps_that_fit(240, seconds, sizes, 1) < steps
    assert batch_size_recommend.steps_that_fit(1, seconds, sizes, 2) == 0
    # Of eight processes one still has the largest cell to itself.
    steps = batch_size_recommend.steps_that_fit(240, seconds, sizes, 8)
    assert fixed + 1.4 * steps * (0.3e-3 + 0.05e-3 * 256) <= 240


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "give one of"),
        ({"learning_rate": 0.1, "batch_size": 8}, "give one of"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1"),
        ({"batch_size": -8}, "batch_size is -8"),
        ({"learning_rate": 0.1, "minutes": 0.0}, "minutes is 0"),
        ({"learning_rate": 0.1, "momentum": 1.0}, "momentum is 1"),
        ({"learning_rate": 0.1, "batch_sizes": "8,16"}, "fewer than 3"),
        ({"batch_size": 8, "learning_rates": "a"}, "comma-separated"),
    ],
)
def test_bad_questions_are_named(change, message):
    with pytest.raises(InputError, match=message):
        batch_size_recommend.check(dataclasses.replace(batch_size_recommend.Config(), **change))


def test_too_few_minutes_say_how_many_would_do(monkeypatch):
    monkeypatch.setattr(batch_size_recommend, "pilot", lambda config: 1.0)
    config = batch_size_recommend.Config(learning_rate=0.1, minutes=1.0, num_examples=300, data="digits")
    with pytest.raises(InputError, match=r"minutes is 1: 500 steps of 9 points take about \d+"):
        batch_size_recommend.plan(config)


def test_recommend_is_a_word_of_batch_size(tmp_path, capsys):
    assert main(["batch-size", "recommend", "--results", str(tmp_path)]) == 2
    assert "give one of --learning-rate and --batch-size" in capsys.readouterr().err


@pytest.mark.parametrize("median", [0.2, 300.0])
def test_a_recommended_batch_is_between_one_and_n(median):
    peak = optimal_batch.Peak(median, median / 2, median * 2, 0.5, 0.5, "both")
    config = batch_size_recommend.Config(learning_rate=0.1, num_examples=100)
    found = batch_size_recommend.recommended(config, SimpleNamespace(peak=lambda *place: peak))
    assert 1 <= found.low <= found.median <= found.high <= 100
    assert "smaller or larger than any B that trained" in found.beyond


def test_no_rate_with_this_best_batch_is_an_answer_too():
    def refuse(*_):
        raise InputError("no learning rate within")

    found = batch_size_recommend.recommended(
        batch_size_recommend.Config(batch_size=8), SimpleNamespace(recommend_rate=refuse)
    )
    assert np.isnan(found.median)
    asked, posterior = batch_size_recommend.Config(batch_size=8), SimpleNamespace(trouble=lambda: "")
    about = SimpleNamespace(config=asked, recommended=found, steps=500, posteriors={"power": posterior})
    text = batch_size_recommend.Result.answer(about, "\n")
    assert "no answer" in text
    assert "no learning rate within" in text


def test_bad_runs_have_no_accuracy_and_a_series_of_them_is_left_out():
    """η = 1 breaks down at every B; at η = 0.1 one run of B = 2 failed and one of B = 4 diverged."""
    rows = [(eta, B, seed) for eta in (0.1, 1.0) for B in (2, 4, 8) for seed in (0, 1, 2)]
    columns = dict(zip(("learning_rate", "batch_size", "seed"), map(np.array, zip(*rows, strict=True)), strict=True))
    columns |= {"num_examples": np.full(18, 50), "momentum": np.zeros(18), "accuracy": np.full(18, 0.8)}
    failed, diverged = columns["learning_rate"] == 1.0, np.zeros(18, bool)
    failed[0], diverged[4] = True, True
    columns |= {"failed": failed, "diverged": diverged}
    table = xr.Dataset({name: ("row", values) for name, values in columns.items()}, attrs={"failures": "[]"})
    kept, accuracies = batch_size.judged(table, 100)
    assert json.loads(kept.attrs["lost"]) == ["η=1, N=50, m=0"]
    assert [s.learning_rate for s in accuracies.series] == [0.1]
    np.testing.assert_array_equal(np.flatnonzero(accuracies.diverged), [0, 4])
    with pytest.raises(InputError, match="most runs broke down at every batch size"):
        batch_size.judged(table.isel(row=np.flatnonzero(columns["learning_rate"] == 1.0)), 100)


# -- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "same"),
    [({"workers": 0}, True), ({"workers": 0, "scheduler": "tcp://here:1"}, True), ({"seeds": 6}, False)],
)
def test_other_processes_resume_the_run_and_another_question_does_not(tmp_path, change, same):
    folders = [
        RunFolder(EXPERIMENTS["batch-size"], config, tmp_path, "toy").path
        for config in (Config(), dataclasses.replace(Config(), **change))
    ]
    assert (folders[0] == folders[1]) == same


TOY = {
    "data": "digits",
    "width": 8,
    "families": "rate,examples",
    "learning-rates": "0.02,0.08",
    "examples": "100,200",
    "learning-rate": 0.02,
    "num-examples": 100,
    "batch-sizes": "1,4,16",
    "seeds": 2,
    "budget-size": 200,
    "num-test": 300,
    "noise-points": 2,
    "workers": 0,
}


@pytest.fixture(scope="module")
def quick_fits():
    """The same fits with few draws: their numbers aren't judged here."""
    with pytest.MonkeyPatch.context() as patch:
        whole = optimal_batch.fit
        patch.setattr(optimal_batch, "fit", functools.partial(whole, samples=100, warmup=100, chains=2))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, quick_fits):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    options = itertools.chain.from_iterable((f"--{name}", str(value)) for name, value in TOY.items())
    command = ["batch-size", *options, "--results", str(folder)]
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, command) == 0
    (made,) = (folder / "batch-size").glob("digits-*")
    return made, command


def test_the_command_leaves_cells_figure_and_summary(finished):
    folder, _ = finished
    summary = json.loads((folder / "summary.json").read_text())
    assert (folder / "figure.svg").exists()
    places = {(s["learning_rate"], s["num_examples"], s["momentum"]) for s in summary["series"]}
    assert places == {(0.02, 100, 0.9), (0.08, 100, 0.9), (0.02, 200, 0.9)}
    table = Result.load(folder / "result.nc").data
    assert table.sizes["row"] == 3 * 3 * 2
    for series in summary["series"]:
        assert [c["batch_size"] for c in series["cells"]] == [1, 4, 16]
        assert [p["step"] for p in series["noise"]] == [100, 200]
        for c in series["cells"]:
            here = (table["batch_size"] == c["batch_size"]) & (table["learning_rate"] == series["learning_rate"])
            here &= table["num_examples"] == series["num_examples"]
            accuracies = table["accuracy"].values[here.values]
            assert len(accuracies) == 2
            good = ~(table["failed"] | table["diverged"]).values[here.values].astype(bool)
            assert c["kept"] == good.sum()
            if c["mean"] is not None:
                assert c["mean"] == pytest.approx(accuracies[good].mean())
    assert set(summary["lines"]) == {"rate", "examples"}
    assert {"alpha", "beta"} <= set(summary["fit"]["quantities"])
    assert "gamma" not in summary["fit"]["quantities"]
    assert all(0 <= p <= 1 for p in summary["check"]["p"].values())


def test_a_killed_run_goes_on_with_the_cells_it_has(finished):
    folder, command = finished
    (folder / "summary.json").unlink()
    before = Result.load(folder / "result.nc").data
    cells = folder.parent / "sweep" / "cells"
    written = {file.name: file.stat().st_mtime_ns for file in cells.glob("*.npz")}
    removed = sorted(written)[:2]
    assert len(removed) == 2
    for name in removed:
        (cells / name).unlink()
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, command) == 0
    again = {file.name: file.stat().st_mtime_ns for file in cells.glob("*.npz")}
    assert sorted(again) == sorted(written)
    assert sorted(name for name in again if again[name] != written[name]) == removed
    xr.testing.assert_identical(Result.load(folder / "result.nc").data, before)


def test_the_short_question_is_answered_in_a_sentence(tmp_path, quick_fits, monkeypatch, capsys):
    monkeypatch.setattr(batch_size_recommend, "pilot", lambda config: 1e-6 * config["batch_size"])
    monkeypatch.setattr(batch_size_recommend, "MOST_STEPS", 500)
    options = ["--data", "digits", "--width", "8", "--num-examples", "100", "--num-test", "300", "--minutes", "2"]
    options += ["--batch-sizes", "1,4,16", "--workers", "0", "--results", str(tmp_path)]
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, ["batch-size-recommend", "--learning-rate", "0.02", *options]) == 0
    shown = capsys.readouterr()
    assert "plan for 2 min: 3 points (η, B) of 5 runs, 500 steps each" in shown.err
    assert "At η = 0.02, N = 100, m = 0.9 and 500 steps: batch size" in shown.out.replace("\n", " ")
    (folder,) = (tmp_path / "batch-size-recommend").glob("mlp-*")
    summary = json.loads((folder / "summary.json").read_text())
    found = summary["recommended"]
    assert found["low"] <= found["median"] <= found["high"]
