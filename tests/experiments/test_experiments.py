"""The command line, the run folder and sgd-vs-sde at toy size: files, resume, redraw, errors, what is judged."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli
from experiments.sgd_vs_sde import config as sgd_vs_sde_problem
from sdesgd.comparison import protocol
from tests.experiments.toy_experiment import stage_files

pytestmark = pytest.mark.slow

TOY = [
    "sgd-vs-sde",
    "--data",
    "digits",
    "--num-examples",
    "24",
    "--num-test",
    "20",
    "--width",
    "3",
    "--num-steps",
    "4",
    "--save-every",
    "2",
    "--replicas",
    "6",
    "--check-replicas",
    "2",
    "--svag-ell",
    "2",
]


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """One toy run, shared."""
    folder = tmp_path_factory.mktemp("results")
    assert cli.main(EXPERIMENTS, [*TOY, "--results", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def finished(results):
    (folder,) = (results / "sgd-vs-sde").iterdir()
    return folder


def test_a_run_describes_itself(finished):
    assert {p.name for p in finished.iterdir()} == {
        "result.nc", "summary.json", "manifest.json", "figure.png", "figure.svg", "report.html",
    }  # fmt: skip
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["config"]["learning_rate"] == 0.05
    assert manifest["seed"] == 0
    assert {"jax", "diffrax", "equinox", "python"} <= set(manifest["versions"])
    assert {"commit", "dirty"} == set(manifest["git"])
    assert manifest["device"]["platform"] == "cpu"
    assert manifest["dtype"] in ("float32", "float64")
    assert manifest["chunk_size"] == 24
    assert min(manifest["blocks"]["SGD"]) >= 1
    dataset = EXPERIMENTS["sgd-vs-sde"].result.load(finished / "result.nc").to_xarray()
    assert list(dataset["arm"].values) == ["SGD", "Gaussian SGD", "SDE", "SVAG"]
    assert dataset["train_loss"].shape == (4, 6, 3)
    np.testing.assert_allclose(dataset["time"], [0, 0.1, 0.2])
    start = dataset["train_loss"].isel(time=0).values
    assert np.ptp(start) < 1e-6, "all arms have one start"
    svg = (finished / "figure.svg").read_text()
    assert "<svg" in svg
    assert len((finished / "figure.png").read_bytes()) > 20_000


def test_summary_holds_the_verdicts_and_the_card(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert set(summary["observables"]) == set(sgd_vs_sde_problem.OBSERVABLES)
    for judged in summary["observables"].values():
        assert judged["kind"] in ("equivalent", "different", "inconclusive")
        assert len(judged["total"]["mean"]) == 3
        assert judged["total"]["mean"][0] is None, "at the common start there is no SD to divide by"
        total, parts = (
            judged["total"]["mean"][-1],
            (judged["non_gaussianity"]["mean"][-1], judged["discretisation"]["mean"][-1]),
        )
        assert total == pytest.approx(sum(parts), rel=1e-9, abs=1e-9)
    assert set(summary["laws_at_the_end"]) == {"SGD against SDE", "SGD against Gaussian SGD"}
    assert all(0 < p <= 1 for p in summary["laws_at_the_end"].values())
    for card in summary["cards"].values():
        assert {"stability", "noise_to_signal", "skewness", "excess_kurtosis"} <= set(card)


def test_redraw_computes_nothing(finished, monkeypatch, capsys):
    for name in ("figure.png", "figure.svg"):
        (finished / name).unlink()
    monkeypatch.setattr("sdesgd.comparison.protocol.simulate", None)
    monkeypatch.setattr("sdesgd.comparison.protocol.simulate_coupled", None)
    extra = finished.parent / "copy.svg"
    assert cli.main(EXPERIMENTS, ["sgd-vs-sde", "--from", str(finished), "--figure", str(extra)]) == 0
    assert (finished / "figure.png").exists()
    assert extra.read_text() == (finished / "figure.svg").read_text()
    extra.unlink()
    printed = capsys.readouterr().out
    assert "Validity card" in printed
    assert "figure.png" in printed


def test_the_same_command_reuses_finished_stages(results, finished, monkeypatch):
    monkeypatch.setattr("sdesgd.comparison.protocol.simulate", None)
    monkeypatch.setattr("sdesgd.comparison.protocol.simulate_coupled", None)
    before = (finished / "summary.json").read_text()
    assert cli.main(EXPERIMENTS, [*TOY, "--results", str(results)]) == 0
    assert (finished / "summary.json").read_text() == before
    assert len(list((results / "sgd-vs-sde").iterdir())) == 1


def test_an_interrupted_run_keeps_its_stages_and_resumes(tmp_path, monkeypatch, capsys):
    real, calls = protocol.simulate, []

    def cut_short(dynamics, *arguments, **options):
        calls.append(type(dynamics).__name__)
        out = real(dynamics, *arguments, **options)
        return dataclasses.replace(out, interrupted=calls[-1] == "SVAG" and calls.count("SVAG") == 1)

    monkeypatch.setattr(protocol, "simulate", cut_short)
    command = [*TOY, "--results", str(tmp_path)]
    assert cli.main(EXPERIMENTS, command) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert set(stage_files(tmp_path)) == {"sgd-0", "pairs-0", "check-0", "svag-0.partial"}
    assert not list(tmp_path.rglob("summary.json"))
    assert cli.main(EXPERIMENTS, command) == 0
    assert [name for name in calls if name in ("SGD", "SVAG")] == ["SGD", "SVAG", "SVAG"]
    (folder,) = (tmp_path / "sgd-vs-sde").iterdir()
    assert (folder / "summary.json").exists()


@pytest.mark.filterwarnings("ignore:.*replicas diverged:RuntimeWarning")
def test_a_run_that_diverges_still_reports(tmp_path, capsys):
    command = [*TOY, "--learning-rate", "1e30", "--observables", "train_loss", "--results", str(tmp_path)]
    with jax.enable_x64(False):  # as at the command line: in 64 bits such a net would still be finite
        assert cli.main(EXPERIMENTS, command) == 0
    (folder,) = (tmp_path / "sgd-vs-sde").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["diverged"]["SGD"] > 0
    assert "of 6 replicas of SGD diverged" in capsys.readouterr().out


def test_a_damaged_stage_is_computed_again(tmp_path, results, finished, capsys):
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    copy = tmp_path / "sgd-vs-sde" / finished.name
    stage_files(tmp_path)["svag-0"].write_bytes(b"\x89HDF broken")
    assert cli.main(EXPERIMENTS, [*TOY, "--results", str(tmp_path)]) == 0
    assert "computing that stage again" in " ".join(capsys.readouterr().err.split())
    assert json.loads((copy / "summary.json").read_text()) == json.loads((finished / "summary.json").read_text())


def test_stages_of_other_data_are_not_reused(results, finished, tmp_path, capsys, monkeypatch):
    """The files of a data folder may change under an unchanged configuration."""
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    real = sg.data.load

    def changed(*arguments, **options):
        dataset = real(*arguments, **options)
        return dataset._replace(labels=(dataset.labels + 1) % 10)

    monkeypatch.setattr(sg.data, "load", changed)
    assert cli.main(EXPERIMENTS, [*TOY, "--results", str(tmp_path)]) == 0
    assert "kept from an earlier run" not in capsys.readouterr().err
    summaries = [
        json.loads((f / "sgd-vs-sde" / finished.name / "summary.json").read_text()) for f in (tmp_path, results)
    ]
    assert summaries[0]["observables"] != summaries[1]["observables"]


@pytest.mark.parametrize(
    "options",
    [
        ["--momentum", "0.9", "--svag-ell", "0", "--observables", "train_loss"],
        ["--sampling", "reshuffle", "--observables", "test_loss,train_loss"],
        ["--substeps", "2", "--observables", "distance_squared,train_loss,test_loss,test_accuracy"],
    ],
)
def test_other_settings_run(options, tmp_path, capsys):
    assert cli.main(EXPERIMENTS, [*TOY, *options, "--results", str(tmp_path)]) == 0
    (folder,) = (tmp_path / "sgd-vs-sde").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    printed = " ".join(capsys.readouterr().out.split())
    assert ("Reshuffled epochs have no such SDE" in printed) == ("reshuffle" in options)
    assert summary["law_of_the_sde"] == ("no_replacement" if "reshuffle" in options else "replacement")
    assert ",".join(summary["observables"]) == options[-1]
    assert ("SVAG" in summary["diverged"]) == ("--momentum" not in options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sgd-vs-sed"], "unknown experiment 'sgd-vs-sed': did you mean 'sgd-vs-sde'?"),
        ([*TOY, "--data", "mnist5"], "unknown data set 'mnist5': did you mean 'mnist5k'?"),
        ([*TOY, "--sampling", "reshufle"], "unknown sampling 'reshufle': did you mean 'reshuffle'?"),
        ([*TOY, "--observables", "train_los"], "unknown observable 'train_los': did you mean 'train_loss'?"),
        ([*TOY, "--learning-rate", "-1"], "learning_rate is -1: pass a number with 0 < learning_rate"),
        ([*TOY, "--learning-rate", "nan"], "learning_rate is nan"),
        ([*TOY, "--batch-size", "0"], "batch_size is 0"),
        ([*TOY, "--batch-size", "99", "--sampling", "no_replacement"], "batch_size 99 exceeds N = 24"),
        ([*TOY, "--save-every", "3"], "save_every 3 doesn't divide num_steps 4: the nearest that does is"),
        ([*TOY, "--num-examples", "5000"], "digits has 1797 examples, 5000 for training"),
        ([*TOY, "--margin", "0"], "margin is 0:"),
        ([*TOY, "--margin", "nan"], "margin is nan"),
        ([*TOY, "--width", "0"], "width is 0: pass at least 1"),
        ([*TOY, "--seed", "-1"], "seed is -1"),
        ([*TOY, "--figure", "x.foo"], "--figure x.foo: pass a .png or .svg"),
        ([*TOY, "--replicas", "1"], "an error bar needs at least 2"),
        (
            ["sgd-vs-sde", "--from", "/nowhere"],
            "/nowhere is not a finished run (result.nc, summary.json",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, capsys):
    assert (
        cli.main(
            EXPERIMENTS,
            [*arguments, "--results", str(tmp_path)] if arguments[0] != "sgd-vs-sed" else arguments,
        )
        == 2
    )
    error = capsys.readouterr().err.strip()
    assert not list(tmp_path.glob("sgd-vs-sde/*")), "a refused input leaves no folder behind"
    assert message in error
    assert len(error.splitlines()) == 1
    assert error.startswith("error: ")


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(EXPERIMENTS, [*TOY, "--results", str(tmp_path / "file" / "results")]) == 2
    assert "choose a writable folder with --results" in capsys.readouterr().err


def test_a_run_of_another_kind_is_refused(tmp_path, capsys):
    for name in ("result.nc", "summary.json"):
        (tmp_path / name).write_text("{}")
    of_another = '{"experiment": "escape-times"}'
    for text, message in [
        ("[1]", "is not a run of sgd-vs-sde"),
        (of_another, "is not a run of"),
        ("{", "can't be read"),
    ]:
        (tmp_path / "manifest.json").write_text(text)
        assert cli.main(EXPERIMENTS, ["sgd-vs-sde", "--from", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err


def test_unknown_options_are_refused(capsys):
    assert cli.main(EXPERIMENTS, ["sgd-vs-sde", "--lerning-rate", "0.1"]) == 2
    assert "learning-rate" in capsys.readouterr().err
