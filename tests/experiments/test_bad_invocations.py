"""Bad command lines, in process: one line on stderr with the value and the remedy, status 2, no folder left behind."""

import io
import json
import shlex
import sys

import pytest

import derivations.__main__
import experiments.__main__
import sdesgd.data.__main__
import sdesgd.sweep.__main__
from experiments._shared.run_folder import RunFolder
from experiments.bench import main as bench
from experiments.bench.device import command as device
from sdesgd import optimal_batch, sweep
from tests.experiments.bad_invocations import FIRST, OF_EVERY, OTHERS, ROWS

pytestmark = pytest.mark.slow

MODULES = {
    "sdesgd.data": sdesgd.data.__main__.main,
    "sdesgd.sweep": sdesgd.sweep.__main__.main,
    "derivations": derivations.__main__.main,
}
TABLE = [
    (f"{name} {options}".strip().replace("{number}", FIRST[name]), words.replace("{number}", FIRST[name]))
    for name in FIRST
    for options, words in [*OF_EVERY, *ROWS[name]]
] + OTHERS


def begins(*arguments, **options):
    raise AssertionError("something is computed")


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch):
    monkeypatch.setattr(RunFolder, "stage", begins)
    monkeypatch.setattr(sweep, "run", begins)
    monkeypatch.setattr(optimal_batch, "recommend", begins)
    monkeypatch.setattr(bench, "measure", begins)
    monkeypatch.setattr(device, "measure", begins)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Name in the table → path; all of it lies in the working folder."""
    monkeypatch.chdir(tmp_path)
    found = {name: tmp_path / name for name in ("file", "missing", "folder", "folder.svg", "other", "broken")}
    found["file"].write_text("x")
    for name in ("folder", "folder.svg", "other", "broken"):
        found[name].mkdir()
    for name, text in (("other", json.dumps({"experiment": "another"})), ("broken", "{")):
        for part in ("result.nc", "summary.json", "manifest.json"):
            (found[name] / part).write_text(text)
    return {name.replace(".", "_"): str(path) for name, path in found.items()}


def filled(text, places):
    for name, path in places.items():
        text = text.replace(f"{{{name}}}", path)
    return text


def test_the_table_is_large_and_covers_every_experiment():
    assert len({line for line, _ in TABLE}) == len(TABLE) >= 150
    assert {name.replace("batch-size recommend", "batch-size-recommend") for name in FIRST} == set(
        experiments.__main__.EXPERIMENTS
    )


@pytest.mark.parametrize(("line", "words"), TABLE, ids=[line for line, _ in TABLE])
def test_a_bad_invocation_is_one_line_and_status_2(line, words, places, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    first, *rest = shlex.split(filled(line, places))
    status = MODULES[first](rest) if first in MODULES else experiments.__main__.main([first, *rest])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert status == 2, (status, out[-200:], err[-500:])
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) <= 420
    assert filled(words, places) in lines[0]
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("line", ["weak-order --stationary 0.1,0.2,0.4,2.5", "sgd-vs-sde --data café", "ψ"])
def test_a_terminal_that_knows_no_greek(line, places, monkeypatch):
    told = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(told, encoding="ascii"))
    assert experiments.__main__.main(line.split()) == 2
    sys.stderr.flush()
    (text,) = told.getvalue().decode("ascii").splitlines()
    assert text.startswith("error: ")
    assert "?" in text
