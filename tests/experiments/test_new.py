"""A new experiment from the template: it is found, runs, resumes, is drawn again; an edit computes what it changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TOP = Path(__file__).resolve().parents[2]
SMALL = ["--rates", "0.2,0.4", "--replicas", "200", "--num-steps", "30"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the experiments with a new one; the library is the installed one."""
    place = tmp_path_factory.mktemp("house")
    shutil.copytree(TOP / "experiments", place / "experiments", ignore=shutil.ignore_patterns("__pycache__", "figures"))
    done = run(place, "new", "my-question")
    assert done.returncode == 0, done.stderr
    return place


def run(place, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
    # Each of these processes would compile the same programs.
    environment |= {"SDESGD_COMPILATION_CACHE": "on", "XDG_CACHE_HOME": str(place / "cache")}
    command = [sys.executable, "-m", "experiments", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False)


def ran(place, *options):
    done = run(place, "my-question", *SMALL, *options)
    assert done.returncode == 0, done.stderr
    return done


def kept(done):
    return [line.split("'")[1] for line in done.stderr.splitlines() if "kept from an earlier run" in line]


def edit(place, name, old, new):
    path = place / "experiments" / "my_question" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_it_is_found_runs_resumes_and_knows_what_an_edit_changes(house):
    assert "my-question" in run(house, "--help").stdout
    assert "How far from the minimum" in run(house, "--help").stdout
    assert "--replicas" in run(house, "my-question", "--help").stdout
    first = ran(house)
    assert kept(first) == []
    assert "standard errors from its law" in first.stdout
    (folder,) = (house / "results" / "my-question").iterdir()
    assert {"figure.png", "figure.svg", "report.html", "summary.json", "manifest.json", "result.nc"} == {
        path.name for path in folder.iterdir()
    }
    assert "my-question" in run(house, "runs").stdout
    again = run(house, "my-question", "--from", str(folder))
    assert again.returncode == 0
    assert "standard errors from its law" in again.stdout
    edit(house, "figure.py", "capsize=3", "capsize=4")
    edit(house, "result.py", "at most", "no more than")
    drawn = ran(house)
    assert kept(drawn) == ["SGD-0.2", "SGD-0.4"]
    assert "no more than" in drawn.stdout
    assert kept(ran(house, "--rates", "0.2,0.3")) == ["SGD-0.2"], "another option, another stage"
    edit(house, "compute.py", "0.5 * (theta - x) ** 2", "0.5 * (theta - 2 * x) ** 2")
    changed = ran(house)
    assert kept(changed) == []
    assert "experiments.my_question.compute" in changed.stderr.replace("\n", " "), "it says what has changed"
    bad = run(house, "my-question", "--replicas", "1")
    assert bad.returncode == 2
    assert bad.stderr.strip() == "error: replicas is 1: an error bar needs at least 2"


@pytest.mark.parametrize("name", ["My Question", "../up", "a_b", "", "my-question"])
def test_bad_names_are_one_line(house, name):
    before = sorted((house / "experiments").iterdir())
    done = run(house, "new", name)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert sorted((house / "experiments").iterdir()) == before
