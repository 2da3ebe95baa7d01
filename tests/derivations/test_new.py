"""A new claim from the template: it is found, listed and verified as it is, and a slip in it is seen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from derivations import new, template
from derivations.verification import verify
from tests.derivations.test_prose import loose

TOP = Path(__file__).resolve().parents[2]


def run(place, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "derivations", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_it_is_written_listed_and_verified(tmp_path):
    shutil.copytree(TOP / "derivations", tmp_path / "derivations", ignore=shutil.ignore_patterns("__pycache__"))
    done = run(tmp_path, "new", "my-claim", "--chapter", "stationary")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "derivations" / "stationary" / "my_claim.py"
    assert str(file) in done.stdout.replace("\n", "")
    assert "my-claim" in run(tmp_path, "list", "average").stdout
    shown = run(tmp_path, "my-claim")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "caught by both checks" in " ".join(shown.stdout.split())
    text = file.read_text()
    assert text.count("formula=sigma**2 / S,") == 1
    file.write_text(text.replace("formula=sigma**2 / S,", "formula=sigma**2 / S**2,"))
    assert run(tmp_path, "my-claim").returncode == 1


def test_the_template_passes_what_every_claim_must():
    assert verify(template.CLAIM).passed
    assert not loose(template.CLAIM.summary, list(template.CLAIM.says(template.CLAIM.formula)))


@pytest.mark.parametrize(
    ("name", "chapter", "message"),
    [
        ("My Claim", "lecture", "is no name for a claim"),
        ("../up", "lecture", "is no name for a claim"),
        ("a_b", "lecture", "is no name for a claim"),
        ("list", "lecture", "is no name for a claim"),
        ("noise-scale", "basins", "exists: choose another name"),
        ("mine", "nowhere", "'nowhere' is no folder of claims"),
        ("mine", "..", "is no folder of claims"),
    ],
)
def test_bad_names_are_refused(tmp_path, name, chapter, message):
    for folder in ("lecture", "basins"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lecture" / "noise_scale.py").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        new.create(name, chapter, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
