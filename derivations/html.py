"""Static pages: one a claim, and an index with verdicts, equation numbers and errata. No script, no network."""

import html
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import derivations
from derivations import mathml
from derivations.catalogue import TOPICS
from derivations.errata import ERRATA, SCANS
from derivations.outcome import Outcome, in_digits
from derivations.parts import Claim, Verdict
from derivations.verification import CheckedComparison, Verification

_STYLE = Path(__file__).with_name("style.css")
_CLASSES = {
    Verdict.EXACT: "exact",
    Verdict.CONDITIONAL: "conditional",
    Verdict.ORDER: "order",
    Verdict.WRONG: "wrong",
    Verdict.STATEMENT: "statement",
}


def write(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Writes the index, the style and a page a claim; the index comes last, so what it links to is there.

    Raises:
        OSError: the folder can't be written; each file is then whole, as it was, or absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "style.css", _STYLE.read_text(encoding="utf-8"))
    for before, o, after in zip([None, *outcomes[:-1]], outcomes, [*outcomes[1:], None], strict=True):
        links = ['<a href="index.html">All claims</a>']
        links += [
            f'<a href="{x.name}.html">{arrow} {_text(x.title)}</a>' for x, arrow in ((before, "←"), (after, "→")) if x
        ]
        page = _page(o.title, f"<nav>{' '.join(links)}</nav>\n{o.page}")
        _write(folder / f"{o.name}.html", page)
    _write(folder / "index.html", _page("Derivations", _index(outcomes)))


def check_writable(folder: Path) -> None:
    """Makes the folder and writes a page to it that goes at once.

    Raises:
        OSError: it can't be made, or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{secrets.token_hex(8)}"
    _write(probe, "probe")
    probe.unlink()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def claim_body(claim: Claim, verification: Verification) -> str:
    """The page of a claim: verdict, printed and right form, assumptions, derivation, independent check."""
    sources = _text("; ".join(map(str, claim.sources)))
    parts = [
        f"<h1>{_text(claim.title)}</h1>",
        f'<p class="source">{sources} {_chip(claim.verdict, claim.verdict_in_words)}</p>',
        f'<p class="summary">{_text(claim.summary)}</p>',
        f'<section class="forms"><h2>As printed</h2>{mathml.formula(claim.printed)}',
    ]
    if claim.corrected is not None:
        parts.append(f"<h2>Right</h2>{mathml.formula(claim.corrected)}")
    if claim.example is not None:
        e = claim.example
        parts.append(
            f'<p class="example">{_text(e.words)}: <b class="wrong">{in_digits(e.printed)}</b> as printed, '
            f'<b class="exact">{in_digits(e.right)}</b> is right.</p>'
        )
    parts.append("</section><h2>Assumptions</h2><ul>")
    parts += [f"<li>{_text(a.words)}</li>" for a in claim.assumptions]
    parts.append('</ul><h2>Derivation</h2><ol class="steps">')
    for checked in verification.steps:
        step = checked.step
        left, right = (step.left, step.right) if step.shown is None else step.shown.args
        shown = mathml.equality(left, right, name=step.name, error=step.order)
        parts.append(f"<li>{_mark(checked.holds)}<p>{_text(step.words)}</p>{shown}</li>")
    parts.append('</ol><h2>Checked independently</h2><ul class="checks">')
    parts += map(_comparison, verification.comparisons)
    if verification.says:
        parts.append('</ul><h2>What the summary says, read and checked</h2><ul class="checks">')
        parts += map(_comparison, verification.says)
    parts.append("</ul>")
    for slip in verification.slips:
        parts.append(
            f'<p class="slip">{_mark(slip.caught)} A slip in place of the formula ({_text(slip.words)}): '
            f"{_text(slip.outcome)}.</p>"
        )
    return "\n".join(parts)


def _comparison(checked: CheckedComparison) -> str:
    exact = checked.comparison.tolerance == 0
    how = (
        checked.comparison.agreement
        if exact
        else f"differs by {in_digits(checked.difference)}, allowed {in_digits(checked.comparison.tolerance)}"
    )
    return f"<li>{_mark(checked.holds)} {_text(checked.comparison.heading)}: {how if checked.holds else 'fails'}</li>"


def _index(outcomes: Sequence[Outcome]) -> str:
    errata = [o for o in outcomes if o.example]
    parts = [
        "<h1>SGD as a stochastic differential equation: every equation checked</h1>",
        '<p class="summary">Each claim is derived in steps that a computer algebra system reduces to zero, and '
        "compared with numbers found another way: enumeration in rationals, quadrature, propagated moments. "
        "What a claim says in words is read and compared with numbers too. "
        f'{len(outcomes)} claims, of which <a href="#errata">{len(errata)} are wrong as printed</a>; '
        f'<a href="#text">{len(ERRATA)} slips</a> are in words alone.</p>',
        '<h2>By equation number</h2><p class="numbers">',
    ]
    numbers: dict[str, Outcome] = {}
    for o in outcomes:
        for anchor in o.anchors:
            if anchor.startswith(("lecture-", "thesis-")):
                numbers.setdefault(anchor, o)
    for document in ("lecture", "thesis"):
        own = sorted((a for a in numbers if a.startswith(document)), key=lambda a: float(a.split("-")[1]))
        parts.append(f"<b>{document}</b> ")
        for anchor in own:
            o = numbers[anchor]
            css = _CLASSES[Verdict(o.verdict)]
            link = f'<a id="{anchor}" class="{css}" href="{o.name}.html" title="{_text(o.title)}">'
            parts.append(f"{link}({anchor.split('-')[1]})</a>")
        parts.append("<br>")
    parts.append('</p><h2 id="errata">Errata</h2><table class="errata">')
    for o in sorted(errata, key=_place):
        words, printed, right = o.example or ("", "", "")
        parts.append(
            f'<tr><td><a href="{o.name}.html">{_text("; ".join(o.sources))}</a></td><td>'
            f"<p><i>printed</i> {o.printed_mathml}</p><p><i>right</i> {o.corrected_mathml}</p>"
            f"<p class='example'>{_text(words)}: <b class='wrong'>{_text(printed)}</b> as printed, "
            f"<b class='exact'>{_text(right)}</b> is right</p></td></tr>"
        )
    parts.append("</table>")
    parts.append(f'<p class="scans">{_text(SCANS)}</p><h2 id="text">Slips of the text</h2><table class="text">')
    parts.append("<tr><th>source</th><th>printed</th><th>meant</th><th>because</th></tr>")
    for e in ERRATA:
        claim = f' See <a href="{e.claim}.html">{e.claim}</a>.' if e.claim else ""
        words = "".join(f"<td>{_text(text)}</td>" for text in (str(e.source), e.printed, e.meant))
        parts.append(f"<tr>{words}<td>{_text(e.why)}{claim}</td></tr>")
    parts.append("</table>")
    chapters = {name: module.split(".")[1] for name, module in derivations.modules().items()}
    for chapter, title in TOPICS.items():
        own = [o for o in outcomes if chapters[o.name] == chapter]
        if own:
            parts.append(f"<h2>{title}</h2><table><tr><th>claim</th><th>source</th><th>verdict</th></tr>")
            parts += [
                f'<tr><td><a href="{o.name}.html">{_text(o.title)}</a></td><td>{_text("; ".join(o.sources))}</td>'
                f"<td>{_chip(Verdict(o.verdict), o.verdict_in_words)}{'' if o.passed else ' check fails'}</td></tr>"
                for o in own
            ]
            parts.append("</table>")
    return "\n".join(parts)


def _place(o: Outcome) -> tuple[bool, float]:
    """The lecture before the thesis, by number, then what bears none."""
    document, _, number = o.anchors[0].partition("-") if o.anchors else (o.sources[0].split()[0], "", "inf")
    return document != "lecture", float(number)


def _page(title: str, body: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="style.css">'
        f"</head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _chip(verdict: Verdict, words: str) -> str:
    return f'<span class="chip {_CLASSES[verdict]}">{_text(words)}</span>'


def _mark(holds: bool) -> str:
    return '<span class="mark exact">✓</span>' if holds else '<span class="mark wrong">✗</span>'


def _text(words: str) -> str:
    return html.escape(words)
