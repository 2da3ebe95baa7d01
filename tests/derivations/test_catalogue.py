"""The list of claims says what the claims say, without sympy."""

import subprocess
import sys
from pathlib import Path

import pytest

import derivations
from derivations import catalogue
from derivations.__main__ import main

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", derivations.modules())
def test_an_entry_is_what_the_claim_says(name):
    claim, entry = derivations.claim(name), catalogue.entry(name)
    assert (entry.name, entry.title, entry.verdict) == (claim.name, claim.title, claim.verdict)
    assert entry.sources == tuple(claim.sources)
    assert entry.topic == catalogue.TOPICS[claim.module.split(".")[1]]
    assert entry.words


def test_the_list_needs_no_sympy():
    """sympy takes longer to import than the list to print."""
    code = "import sys; from derivations.__main__ import main; print(main(['list']), 'sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True)
    *listed, last = done.stdout.splitlines()
    assert last == "0 False"
    for name in derivations.modules():
        assert any(line.split()[:1] == [name] for line in listed), name


def test_every_word_must_be_mentioned(capsys):
    assert main(["list", "KRAMERS", "balance"]) == 0
    printed = capsys.readouterr().out
    assert "detailed-balance" in printed
    assert "Detailed balance of escape rates" in printed
    assert "Gardiner 2009" in printed
    assert "noise-scale" not in printed
    assert {e.name for e in catalogue.search(["kramers", "balance"])} < {e.name for e in catalogue.search(["kramers"])}
    assert {e.topic for e in catalogue.search(["sharpness"])} >= {"Sharpness", "The lecture"}
    assert len(catalogue.search([])) == len(derivations.modules())


def test_a_word_that_is_nowhere_gives_status_one(capsys):
    assert main(["list", "kramers", "zebra"]) == 1
    captured = capsys.readouterr()
    assert captured.err.strip() == "no claim mentions kramers and zebra: try fewer words, or none for the whole list"
    assert not captured.out


@pytest.mark.parametrize("text", ["", "CLAIM = 3", "CLAIM = Claim(title=TITLE, sources=(), verdict=Verdict.EXACT)"])
def test_a_file_that_cannot_be_listed_says_what_to_write(tmp_path, monkeypatch, text):
    (tmp_path / "lecture").mkdir()
    (tmp_path / "lecture" / "odd.py").write_text(text)
    monkeypatch.setattr(derivations, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(derivations, "modules", lambda: {"odd": "derivations.lecture.odd"})
    with pytest.raises(ValueError, match=r"odd\.py can't be listed: write CLAIM = Claim\(…\)"):
        catalogue.entry("odd")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("noise-scal", "did you mean noise-scale, "),
        ("kramers", "did you mean kramers-rate?"),
        ("Heavy_Ball_Variance", "did you mean heavy-ball-variance"),
        ("xyz", "`python -m derivations list` lists them"),
    ],
)
def test_an_unknown_claim_names_the_nearest(name, meant, capsys):
    with pytest.raises(KeyError) as refused:
        derivations.claim(name)
    assert meant in refused.value.args[0]
    assert main([name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: no claim is called {name!r}: ")
    assert meant in line
