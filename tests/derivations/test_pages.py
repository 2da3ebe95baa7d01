"""The command line over all claims, and its pages, opened in a browser."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import derivations
from derivations import runs
from derivations.__main__ import main
from tests.browser import measured, needs_browser
from tests.limits import file_size_limit

pytestmark = pytest.mark.slow

TOP = Path(__file__).resolve().parents[2]
# How the formulas came out. A fraction stacks its parts, so it is taller than its numerator.
FORMULAS = """(() => {
  const box = e => e.getBoundingClientRect();
  const fractions = [...document.querySelectorAll('mfrac')];
  return {
    formulas: [...document.querySelectorAll('math')].map(e => [box(e).width, box(e).height]),
    fractions: fractions.length,
    stacked: fractions.filter(e => box(e.children[1]).top >= box(e.children[0]).bottom - 1).length,
    errors: document.querySelectorAll('merror').length,
  };
})()"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run over everything: its objects and its pages."""
    folder = tmp_path_factory.mktemp("pages")
    command = [sys.executable, "-m", "derivations", "--html", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, timeout=900)
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return json.loads(done.stdout), folder


def test_json_has_every_claim(finished):
    objects, _ = finished
    assert [o["name"] for o in objects] == list(derivations.modules())
    for o in objects:
        assert {"name", "source", "verdict", "printed", "corrected", "assumptions", "seconds"} <= set(o)
        assert o["checks"] == {"exact": True, "independent": True, "slip caught": True, "failure": None}
        assert (o["corrected"] is not None) == (o["verdict"] == "wrong as printed")


class _Strict(html.parser.HTMLParser):
    """Counts open elements: every one must be closed in order."""

    VOID = ("meta", "link", "br", "mspace")

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.links += [attributes[k] for k in ("href", "src") if k in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_pages_are_well_formed_and_stand_alone(finished):
    objects, folder = finished
    anchors = []
    for page in [*(folder / f"{o['name']}.html" for o in objects), folder / "index.html"]:
        text = page.read_text(encoding="utf-8")
        parser = _Strict()
        parser.feed(text)
        assert not parser.open, page.name
        assert "<script" not in text
        assert not re.search(r"https?://", text), page.name
        for link in parser.links:
            assert (folder / link.partition("#")[0]).is_file() or link.startswith("#"), link
        anchors += parser.ids
    assert {f"lecture-{k}" for k in range(1, 27)} <= set(anchors)
    assert {f"thesis-{k}" for k in ("2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3")} <= set(anchors)
    index = (folder / "index.html").read_text(encoding="utf-8")
    errata = index.partition('id="errata"')[2].partition("</table>")[0]
    wrong = [o["name"] for o in objects if o["verdict"] == "wrong as printed"]
    assert len(wrong) >= 10
    assert all(f'href="{name}.html"' in errata for name in wrong)


@needs_browser
@pytest.mark.parametrize("name", ["index", "batch-covariance", "noise-scale", "equilibrium-density"])
def test_formulas_are_rendered(finished, name, tmp_path):
    _, folder = finished
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    shutil.copy(folder / "style.css", tmp_path)
    found = measured(page, tmp_path, FORMULAS)
    assert len(found["formulas"]) == page.count("<math") >= 4
    assert all(width > 5 and height > 5 for width, height in found["formulas"])
    assert found["fractions"] == found["stacked"] == page.count("<mfrac")
    assert found["errors"] == 0
    # Without its elements the same page is plain text, and this would be seen.
    plain = page.replace("<math", "<span").replace("</math", "</span")
    assert measured(plain, tmp_path, FORMULAS)["stacked"] == 0


def test_one_claim_in_the_terminal(capsys):
    assert main(["equilibrium-density"]) == 0
    printed = capsys.readouterr().out
    headings = ("Assumptions", "Derivation", "Checked independently", "What the summary says, read and checked")
    for word in ("wrong as printed", *headings, "✓", "“ηN/S”: as derived", "A slip in place"):
        assert word in printed
    assert "✗" not in printed


def test_one_claim_as_json(capsys):
    assert main(["equilibrium-density", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert only["name"] == "equilibrium-density"
    assert only["example"]["right"] == "-2"


def test_a_failing_check_gives_status_one(monkeypatch, capsys):
    import dataclasses

    claim = derivations.claim("batch-covariance")
    wrong = dataclasses.replace(claim, formula=claim.slip.formula)
    monkeypatch.setattr(derivations, "claim", lambda name: wrong)
    assert main(["batch-covariance"]) == 1
    assert "✗" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["noise-scal"], "did you mean noise-scale"),
        (["batch-covariance", "--html", "x"], "leave out one"),
        (["--html", str(TOP / "README.md")], "is a file: pass a folder"),
        (["--workers", "0"], "workers"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_pages_where_there_is_no_room(tmp_path, monkeypatch, capsys, size):
    """One line, before the checks where nothing can be written, and pages of an earlier time stay whole."""
    outcome = runs.run_one("noise-scale", True)
    ran = []
    monkeypatch.setattr(runs, "run", lambda *a, **k: ran.append(1) or [outcome])
    folder = tmp_path / "pages"
    assert main(["--html", str(folder)]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["index.html", "noise-scale.html", "style.css"]
    capsys.readouterr()
    with file_size_limit(size):
        assert main(["--html", str(folder)]) == 2
    (line,) = filter(None, capsys.readouterr().err.splitlines())
    assert f"can't write {folder}: File too large" in line
    assert len(ran) == (1 if size < 5 else 2)  # the probe is 5 bytes
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
