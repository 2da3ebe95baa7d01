"""Formulas as native MathML elements of a page."""

from typing import Any

import sympy as sp

from derivations.printer import Printer

# Characters of one line of a page.
_LINE = 110
# What sympy writes in glyphs that few fonts have.
_GLYPHS = {"<mo>-</mo>": "<mo>−</mo>", "<mn>-": "<mn>−", "&dd;": "d", "&ExponentialE;": "e", "&ImaginaryI;": "i"}


def formula(expression: Any, name: Any = None, relation: str = "=") -> str:
    """A block ``<math>`` element.

    Args:
        expression: what to show.
        name: if given, "name = expression".
        relation: between the two.
    """
    body = _printed(expression)
    if name is not None:
        body = f"<mrow>{_printed(name)}<mo>{relation}</mo>{body}</mrow>"
    return _element(body)


def equality(left: Any, right: Any, *, name: Any = None, error: tuple[sp.Symbol, int] | None = None) -> str:
    """A block ``<math>`` of name = left = right + O(x^n), broken before "= right"."""
    lines = _lines(left)
    if name is not None:
        lines[0] = f"{_printed(name)}<mo>=</mo>{lines[0]}"
    tail = _lines(right)
    tail[0] = f"<mo>=</mo>{tail[0]}"
    if error is not None:
        variable, order = error
        tail[-1] += (
            f"<mo>+</mo><mi>O</mi><mo stretchy='false'>(</mo>{_printed(variable**order)}<mo stretchy='false'>)</mo>"
        )
    rows = "".join(f"<mtr><mtd>{line}</mtd></mtr>" for line in lines + tail)
    return _element(f"<mtable columnalign='left' displaystyle='true' class='chain'>{rows}</mtable>")


def inline(expression: Any) -> str:
    """An inline ``<math>`` element."""
    return f"<math>{_printed(expression)}</math>"


def _lines(expression: Any) -> list[str]:
    """A long sum in several lines, broken before a sign; all else in one."""
    expression = sp.sympify(expression)
    if not isinstance(expression, sp.Add) or len(str(expression)) <= _LINE:
        return [_printed(expression)]
    lines: list[list[Any]] = []
    current: list[Any] = []
    terms_of_sum: Any = expression.as_ordered_terms()
    for term in terms_of_sum:
        if current and len(str(sp.Add(*current, term, evaluate=False))) > _LINE:
            lines.append(current)
            current = []
        current.append(term)
    lines.append(current)
    printed = []
    for number, line in enumerate(lines):
        terms = sorted(line, key=lambda t: t.could_extract_minus_sign())  # the printer puts positive terms first, too
        body = _printed(sp.Add(*terms, evaluate=False)) if len(terms) > 1 else _printed(terms[0])
        plus = number > 0 and not terms[0].could_extract_minus_sign()
        printed.append(("<mspace width='2em'/>" if number else "") + ("<mo>+</mo>" if plus else "") + body)
    return printed


def _element(body: str) -> str:
    return f'<div class="formula"><math display="block">{body}</math></div>'


def _printed(expression: Any) -> str:
    printed = Printer({"ln_notation": True}).doprint(sp.sympify(expression))
    for before, after in _GLYPHS.items():
        printed = printed.replace(before, after)
    return printed
