"""report.html of a run: opened in a browser, with nothing outside it."""

import io
import re

import pytest
from rich.table import Table

from experiments._shared import cli, running
from experiments._shared.page import POLICY
from experiments._shared.terminal import PlainConsole
from tests.browser import measured, needs_browser
from tests.experiments import toy_experiment

SEEN = """({
  picture: (({width, height}) => [width, height])(document.querySelector('figure svg').getBoundingClientRect()),
  lines: document.querySelectorAll('figure svg path').length,
  answer: document.querySelector('.answer').innerText,
  reading: document.querySelector('figcaption').innerText,
  changed: [...document.querySelectorAll('tr.changed td:first-child')].map(e => e.innerText),
  report: document.querySelector('pre').innerText,
  outside: performance.getEntriesByType('resource').length,
  wide: document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1,
})"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    assert toy_experiment.main("--results", results, "--size", "50", "--data", "<none> & 'text'") == 0
    (made,) = (results / "toy").iterdir()
    return made


def test_the_page_holds_everything_itself(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)[^\"']*", page.replace("xlink:href", "href"))
    assert "<script" not in page
    assert "&lt;none&gt; &amp; &#x27;text&#x27;" in page, "an option is text"
    for name in ("jax", "commit", "one-"):  # versions, git, stages
        assert name in page


@needs_browser
def test_a_browser_shows_it(folder, tmp_path):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert POLICY in page
    seen = measured(page.replace(POLICY, ""), tmp_path, SEEN)  # which forbids the script that measures
    width, height = seen["picture"]
    assert width > 200
    assert height > 150
    assert seen["lines"] > 5
    assert re.fullmatch(r"the mean is -?0\.\d{3}", seen["answer"])
    assert seen["reading"] == "A curve of no meaning: <b> & 'quotes'."
    assert seen["changed"] == ["--size", "--data"]
    assert "over 50 numbers: ≈ 0" in seen["report"]
    assert seen["outside"] == 0
    assert seen["wide"], "nothing is cut off at the right"
    with pytest.raises(AssertionError):
        measured(page, tmp_path, SEEN)


HOSTILE = [
    '[link="><script>alert(1)</script>]x[/link]',
    "[/nothing] is open, and [a, b] is a list",
    "[@click=f()]x[/]",
    r"\\[link=javascript:alert(1)]x\\\[/link]",
    "[red]no end, [blink]and[/blink] :smile: [#ff0000]x[/#ff0000]",
    "[/red]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_file_gives_no_orders(text):
    """A console that is told it prints it; what a page shows of it has no link, and no tag that rich didn't make."""
    printed = PlainConsole(record=True, width=200, file=io.StringIO(), force_terminal=False)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    printed.print(text)
    printed.print(table)
    page = printed.export_html(inline_styles=True, code_format="<pre>{code}</pre>", clear=False)
    assert not re.findall(r"<(?!/?(?:pre|span)\b)", page)
    shown = printed.export_text()
    words = "".join(re.findall(r"[a-z]+", text.replace("[red]", "").replace("[/red]", "")))
    assert "".join(re.findall(r"[a-z]+", shown.splitlines()[0] if words else "")).endswith(words)


def test_our_own_tags_are_styles():
    printed = PlainConsole(record=True, width=100, file=io.StringIO(), force_terminal=False)
    printed.print("[bold]a[/bold] [red]b[/red] [0.1, 0.2] \\[c]")
    assert "font-weight: bold" in printed.export_html(inline_styles=True, clear=False)
    assert printed.export_text().strip() == "a b [0.1, 0.2] [c]"


def test_drawing_a_run_again_writes_the_same_page(folder):
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert cli.main({"toy": toy_experiment.EXPERIMENT}, ["toy", "--from", str(folder)]) == 0
    assert (folder / "report.html").read_bytes() == before
    _, manifest = running.read_run(toy_experiment.EXPERIMENT, folder)
    assert manifest["experiment"] == "toy"
