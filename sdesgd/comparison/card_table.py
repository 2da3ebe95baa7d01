"""Validity cards as a table of the terminal."""

import io
import math
from collections.abc import Callable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from sdesgd.comparison.card import ValidityCard


def text(card: ValidityCard) -> str:
    """The report of one card.

    Args:
        card: of ``validity_card``.
    """
    console = Console(file=io.StringIO(), width=110, force_terminal=False, color_system=None)
    console.print(f"Validity card of the SDE: {card.setting()}", highlight=False)
    console.print(table({"here": card}))
    report = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]
    return f"{report.strip()}\n{card.sentence()}"


def table(cards: Mapping[str, ValidityCard | None], title: str | None = None) -> Table:
    """Cards beside each other, and what the SDE needs.

    Args:
        cards: head of the column → card, or None where it couldn't be measured.
        title: of the table, if any.
    """
    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("quantity", *cards, "the SDE needs"):
        found.add_column(column)

    def row(label: str, value: Callable[[ValidityCard], str], needs: str) -> None:
        found.add_row(label, *("–" if card is None else value(card) for card in cards.values()), needs)

    row("η λ_max / (2(1+m))", lambda c: _number(c.stability, ".3g"), "≪ 1; unstable above 1")
    row("λ_max of H", lambda c: f"{_number(c.top_eigenvalue, '.4g')} ± {c.eigenvalue_error:.0e}", "")
    row(
        "f tr C / (S ‖g‖²)",
        lambda c: _number(c.noise_to_signal, ".3g") + _error(c, "noise_to_signal"),
        "(> 1: noise dominates)",
    )
    for direction, words in (("gradient", "g"), ("top_hessian", "top H")):
        for name, label in (("skewness", "skewness along"), ("excess_kurtosis", "kurtosis − 3 along")):
            row(
                f"{label} {words}",
                lambda c, n=name, d=direction: _number(getattr(c, n)[d], "+.2g") + _error(c, n, d),
                "≈ 0",
            )
    return found


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"


def _error(card: ValidityCard, *names: str) -> str:
    """± one standard error over draws of masks and groups; nothing where the number is exact."""
    error = card.standard_errors
    for name in names if error else ():
        error = error[name]
    return f" ± {error:.1g}" if error else ""
