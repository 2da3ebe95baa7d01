"""Slips of the text: complete, about the sources, and shown once, with the word on scans."""

import pytest
from rich.console import Console

import derivations
from derivations import html, terminal
from derivations.errata import ERRATA, SCANS
from derivations.outcome import Outcome


def outcome(name):
    claim = derivations.claim(name)
    return Outcome(
        name=name,
        title=claim.title,
        sources=tuple(map(str, claim.sources)),
        anchors=tuple(s.anchor for s in claim.sources if s.equation),
        verdict=str(claim.verdict),
        order=claim.order,
        summary=claim.summary,
        printed="",
        corrected="",
        assumptions=(),
        example=None,
        exact=True,
        independent=True,
        caught=True,
        failure="",
        seconds=0.0,
    )


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda e: str(e.source))
def test_an_erratum_is_complete(erratum):
    assert erratum.source.document in ("lecture", "thesis")
    assert erratum.source.place
    assert erratum.printed
    assert erratum.meant
    assert erratum.printed != erratum.meant
    assert erratum.why.endswith(".")
    if erratum.claim:
        documents = {s.document for s in derivations.claim(erratum.claim).sources}
        assert erratum.source.document in documents


def test_no_erratum_stands_twice():
    assert len({(str(e.source), e.printed) for e in ERRATA}) == len(ERRATA)


def test_the_listing_and_the_index_show_them_and_the_word_on_scans_once(tmp_path):
    two = [outcome("noise-scale"), outcome("sum-loss")]
    console = Console(record=True, width=4000)
    terminal.show_table(two, console)
    listing = console.export_text()
    html.write(two, tmp_path)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert listing.count(SCANS) == index.count(html._text(SCANS)) == 1
    for erratum in ERRATA:
        assert erratum.printed in listing
        assert html._text(erratum.printed) in index
        assert not erratum.claim or f'href="{erratum.claim}.html"' in index
    for name in ("noise-scale", "sum-loss"):
        assert html._text(SCANS) not in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


def test_one_claim_alone_is_listed_without_them():
    console = Console(record=True, width=4000)
    terminal.show_table([outcome("sum-loss")], console)
    assert SCANS not in console.export_text()
