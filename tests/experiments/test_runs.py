"""``python -m experiments runs`` on runs of the toy: what it lists, compares, removes and writes."""

import csv
import json

import numpy as np
import pytest

from experiments.__main__ import main
from experiments._shared import runs
from tests.experiments import toy_experiment
from tests.experiments.toy_experiment import contents, stage_files


@pytest.fixture
def results(tmp_path, capsys):
    """Two runs that differ in an option of no stage, and one that differs in all."""
    place = tmp_path / "r"
    for options in (["--rate", "0.5"], ["--rate", "0.25"], ["--size", "50"]):
        assert toy_experiment.main(*options, "--results", place) == 0
    capsys.readouterr()
    return place


def said(capsys, results, *arguments):
    assert main(["runs", "--results", str(results), *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def refusal(capsys, results, *arguments):
    assert main(["runs", "--results", str(results), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_list_says_what_differs_from_the_defaults(results, capsys, monkeypatch):
    monkeypatch.setattr(runs.console, "width", 200, raising=False)
    told = said(capsys, results)
    assert told.count("finished") == 3
    assert "rate 0.25" in told
    assert "size 50" in told
    assert "rate 0.5" not in told, "the default"
    names = [run.name for run in runs.all_runs(str(results))]
    assert names[0].startswith("none-n50"), "the latest first"
    (results / "toy" / names[1] / "summary.json").unlink()
    assert said(capsys, results).count("unfinished") == 1


def test_nothing_is_kept_yet(tmp_path, capsys):
    assert "no run is kept here yet" in said(capsys, tmp_path / "none")


def test_show_says_the_answer_and_what_has_changed(results, capsys, monkeypatch):
    told = said(capsys, results, "show", "n50-")
    kept = json.loads(next((results / "toy").glob("none-n50-*/summary.json")).read_text())
    assert f"answer: the mean is {kept['mean']:.3f}" in told
    assert '"size": 50' in told
    assert "nothing that its stages use has changed" in told
    monkeypatch.setattr("sdesgd.store.sources.digest_of_file", lambda file: "other")
    assert "changed since: tests.experiments.toy_experiment" in said(capsys, results, "show", "n50-")


def test_two_runs_side_by_side(results, capsys, monkeypatch):
    monkeypatch.setattr(runs.console, "width", 200, raising=False)
    told = said(capsys, results, "compare", "eta0.25", "n50-")
    assert "rate │ 0.25 │ 0.5" in told or "rate 0.25 0.5" in told
    assert "size" in told
    assert "the mean is" in told
    assert "seed" not in told, "equal in both"


def test_a_name_must_mean_one_run(results, capsys):
    assert "is in the names of 3 runs" in refusal(capsys, results, "show", "toy")
    assert "no run in" in refusal(capsys, results, "show", "other")
    path = runs.all_runs(str(results))[0].path
    assert str(path) in said(capsys, results, "show", str(path))


def test_rm_removes_a_run_and_the_stages_that_no_other_uses(results, capsys):
    before = contents(results)
    assert "0 stages" in said(capsys, results, "rm", "eta0.25"), "the other run uses them"
    assert "2 stages" in said(capsys, results, "rm", "n50-")
    left = contents(results)
    assert all(before[path] == content for path, content in left.items())
    (last,) = runs.all_runs(str(results))
    assert set(stage_files(results).values()) == set(last.stages())
    assert toy_experiment.main("--results", results) == 0
    assert toy_experiment.COMPUTED[-1:] != ["three"]


def test_stages_named_in_a_forged_manifest_are_not_removed_elsewhere(results, tmp_path, capsys):
    (tmp_path / "precious").write_text("x")
    run = runs.find(str(results), "n50-")
    manifest = run.manifest | {"stages": {"a": {"file": "../../../precious"}, "b": {"file": 3}, "c": {}}}
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    said(capsys, results, "rm", "n50-")
    assert (tmp_path / "precious").exists()


def test_export_writes_the_numbers(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.__main__.EXPERIMENTS", {"toy": toy_experiment.EXPERIMENT})
    said(capsys, results, "export", "n50-", "--csv", str(tmp_path / "tables"))
    (table,) = (tmp_path / "tables").iterdir()
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    dataset = toy_experiment.Result.load(runs.find(str(results), "n50-").path / "result.nc").data
    np.testing.assert_allclose([float(row["x"]) for row in rows], dataset["x"].values.ravel())
    run = runs.find(str(results), "n50-")
    (run.path / "summary.json").unlink()
    assert "unfinished" in refusal(capsys, results, "export", "n50-", "--csv", str(tmp_path / "more"))


@pytest.mark.parametrize("content", ["", "[]", "{", '{"stages": 3, "options": [], "git": 3, "config": [1]}'])
def test_a_damaged_manifest_is_an_unfinished_run(results, capsys, content):
    run = runs.find(str(results), "n50-")
    (run.path / "manifest.json").write_text(content)
    assert said(capsys, results)
    assert said(capsys, results, "show", "n50-")
