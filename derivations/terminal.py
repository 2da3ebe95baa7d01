"""A claim and the tables in the terminal."""

from collections.abc import Sequence
from typing import Any

import sympy as sp
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from derivations.conditions import CheckedAssumption
from derivations.errata import ERRATA, SCANS
from derivations.outcome import Outcome, in_digits
from derivations.parts import Claim, Verdict
from derivations.verification import CheckedComparison, CheckedStep, Verification

COLOURS = {
    Verdict.EXACT: "green",
    Verdict.CONDITIONAL: "cyan",
    Verdict.ORDER: "blue",
    Verdict.WRONG: "red",
    Verdict.STATEMENT: "dim",
}


def show_claim(claim: Claim, verification: Verification, console: Console) -> None:
    """Prints the derivation step by step, each line with its check."""
    console.print(
        f"\n[bold]{escape(claim.title)}[/bold]   [dim]{'; '.join(map(str, claim.sources))}[/dim]", highlight=False
    )
    console.print(f"[{COLOURS[claim.verdict]}]{claim.verdict_in_words}[/]\n{escape(claim.summary)}", highlight=False)
    _formula(console, "as printed", claim.printed)
    if claim.corrected is not None:
        _formula(console, "right", claim.corrected)
    if claim.example is not None:
        example = claim.example
        printed, right = in_digits(example.printed), in_digits(example.right)
        console.print(
            f"{escape(example.words)}: [red]{escape(printed)}[/] as printed, [green]{escape(right)}[/] is right",
            highlight=False,
        )
    console.print("\n[bold]Assumptions[/bold]")
    for checked in verification.assumptions:
        _assumption(console, checked)
    if verification.outside:
        console.print(f"[red]✗ {escape(verification.outside)}[/]", highlight=False)
    console.print("\n[bold]Derivation[/bold]")
    for count, checked in enumerate(verification.steps, 1):
        _step(console, count, checked)
    console.print("[bold]Checked independently[/bold]")
    _comparisons(console, verification.comparisons)
    if verification.says:
        console.print("\n[bold]What the summary says, read and checked[/bold]")
        _comparisons(console, verification.says)
    console.print("\n[bold]A slip in place of the formula[/bold]")
    for slip in verification.slips:
        console.print(f"{_mark(slip.caught)} {escape(slip.words)}\n    [dim]{slip.outcome}[/dim]", highlight=False)


def show_table(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints claim, source, verdict, seconds; then what is wrong as printed."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("claim", "source", "verdict", "checks"):
        table.add_column(column, no_wrap=column == "claim")
    table.add_column("seconds", justify="right")
    for o in outcomes:
        marks = " ".join("✓" if holds else "✗" for holds in (o.exact, o.independent, o.caught))
        checks = f"[{'green' if o.passed else 'red'}]{marks}[/]"
        colour = COLOURS[Verdict(o.verdict)]
        table.add_row(o.name, "; ".join(o.sources), f"[{colour}]{o.verdict_in_words}[/]", checks, f"{o.seconds:.1f}")
    console.print(table, highlight=False)
    errata = [o for o in outcomes if o.example]
    if errata:
        console.print(f"[bold]{len(errata)} printed statements are wrong[/bold]", highlight=False)
        slips = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in ("source", "printed", "right", "for example"):
            slips.add_column(column)
        for o in errata:
            words, printed, right = map(escape, o.example or ("", "", ""))
            example = f"{words}: [red]{printed}[/], [green]right: {right}[/]"
            slips.add_row("; ".join(o.sources), escape(o.printed), escape(o.corrected), example)
        console.print(slips, highlight=False)
    if len(outcomes) > 1:
        _text(console)
    for o in outcomes:
        if not o.passed:
            console.print(f"[red]{o.name}: {escape(o.failure)}[/]", highlight=False, soft_wrap=True)


def _text(console: Console) -> None:
    """The slips that are in words alone, and how the sources were read."""
    console.print(f"[bold]{len(ERRATA)} slips of the text[/bold]", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("source", "printed", "meant", "because"):
        table.add_column(column)
    for e in ERRATA:
        because = f"{e.why} See {e.claim}." if e.claim else e.why
        table.add_row(str(e.source), *(escape(words) for words in (e.printed, e.meant, because)))
    console.print(table, highlight=False)
    console.print(f"[dim]{SCANS}[/]\n", highlight=False)


def _formula(console: Console, label: str, expression: Any) -> None:
    console.print(f"\n[dim]{label}:[/dim]", highlight=False)
    console.print(_pretty(expression), markup=False, highlight=False, soft_wrap=True)


def _assumption(console: Console, checked: CheckedAssumption) -> None:
    """In words, and whether the numbers of the check satisfy it, where it is one of numbers."""
    console.print(f"• {checked.assumption.words}", markup=False, highlight=False)
    if not checked.holds:
        console.print(f"  ✗ the check violates it: {checked.violation}", style="red", markup=False, highlight=False)
    elif checked.points:
        condition = _pretty(checked.assumption.condition)
        shown = "it holds" if "\n" in condition else f"{condition} holds"
        console.print(f"  {shown} at the numbers of the check", style="dim", markup=False, highlight=False)


def _step(console: Console, count: int, checked: CheckedStep) -> None:
    step: Any = checked.step
    console.print(f"{_mark(checked.holds)} {count}. {escape(step.words)}", highlight=False)
    left, right = (step.left, step.right) if step.shown is None else step.shown.args
    if step.order is not None:
        variable, power = step.order
        error: Any = sp.Function("O")(variable**power)
        right = sp.Add(right, error, evaluate=False) if _is_scalar(right) else right
    named = left if step.name is None else sp.Eq(step.name, left, evaluate=False)
    for side in (_pretty(named), _after_equals(_pretty(right))):
        console.print(_indented(side), markup=False, highlight=False, soft_wrap=True)
    if not checked.holds:
        console.print(f"    [red]the two sides differ by {escape(str(checked.residual))}[/]", highlight=False)
    console.print()


def _comparisons(console: Console, comparisons: Sequence[CheckedComparison]) -> None:
    for c in comparisons:
        console.print(f"{_mark(c.holds)} {escape(c.comparison.heading)}", highlight=False)
        tolerance = c.comparison.tolerance
        bound = (
            c.comparison.agreement
            if c.holds and tolerance == 0
            else f"difference {in_digits(c.difference)} ≤ {in_digits(tolerance)}"
        )
        console.print(
            f"    {bound if c.holds else f'differs by {in_digits(c.difference)}'}", highlight=False, style="dim"
        )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, sp.Expr) and not getattr(value, "is_Matrix", False)


def _after_equals(block: str) -> str:
    """= before the middle line of a block."""
    lines = block.splitlines()
    middle = len(lines) // 2
    return "\n".join(("= " if k == middle else "  ") + line for k, line in enumerate(lines))


def _pretty(expression: Any) -> str:
    return sp.pretty(sp.sympify(expression), use_unicode=True, wrap_line=False)


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def _mark(holds: bool) -> str:
    return "[green]✓[/]" if holds else "[red]✗[/]"
