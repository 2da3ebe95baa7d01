"""What basin-occupancy prints: source by temperature with intervals, what differs and why, what was refused."""

import math

import numpy as np
from jaxtyping import Float
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.basin_occupancy.result import Measured, Result, Row, Verdict

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}
_MOST_TABLES = 6


def show(result: Result, console: Console) -> None:
    """Prints a table for each basin, the verdicts, the powers of η, and what was refused and why."""
    names = [b.name for b in result.basins]
    console.print(
        "\n[bold]How often does SGD sit in each basin?[/bold] Percent of its steps, ± half of a 95 % interval (from "
        "crossings between cores, or from replicas if that is wider).",
        highlight=False,
    )
    console.print(result.settings(), highlight=False)
    # Of two basins one says it all.
    shown = [result.shown_basin] if len(names) == 2 else range(min(len(names), _MOST_TABLES))
    for k in shown:
        console.print()
        console.print(_table(result, k))
    if len(names) > _MOST_TABLES:
        console.print(f"(the {len(names) - _MOST_TABLES} shallowest basins are in summary.json)", highlight=False)
    console.print(f"\n[bold]{result.answer()}[/bold]\n", highlight=False)
    for line in sentences(result):
        console.print(line, highlight=False)


def sentences(result: Result) -> list[str]:
    """The verdict at each temperature with its reasons; checks; powers; refusals."""
    k = result.shown_basin
    lines = []
    for row in result.temperatures:
        verdict = row.verdicts[k]
        if verdict is not None:
            lines.append(_verdict(result, row, verdict))
    lines += [_own_laws(result), *_powers(result)]
    for row in result.temperatures:
        if row.refused:
            lines.append(f"[yellow]refused: {escape(row.refused)}[/yellow]")
        for source, measured in row.measured.items():
            if measured.refused:
                why = escape(measured.refused)
                lines.append(f"[yellow]{source} at T = {row.temperature:g} refused: {why}[/yellow]")
    return lines


def _verdict(result: Result, row: Row, verdict: Verdict) -> str:
    k, margin = result.shown_basin, result.config.margin
    name, crossings = result.basins[k].name, row.measured["SGD"].crossings
    fewest = 0 if crossings is None else min(crossings)
    said = {
        "equivalent": f"agrees with Gibbs within {margin:g} percentage points",
        "different": "differs from Gibbs",
        "inconclusive": "can't be told from Gibbs, nor shown to be within the margin: more --crossings would decide",
    }[verdict.gibbs.kind]
    parts = [f"{100 * v:+.1f} from {part}" for part, v in verdict.parts.items() if abs(v) > 5e-4]
    why = f"; by the exact laws {', '.join(parts)}" if parts else ""
    return (
        f"T = {row.temperature:g}: SGD {said} in {name}, {100 * verdict.gap:+.1f} ± "
        f"{100 * verdict.half_width:.1f} percentage points{why}; {fewest:,} crossings."
    )


def _own_laws(result: Result) -> str:
    own = result.own_laws
    if own.where is None:
        return "[yellow]No simulation has an exact law to be held against here.[/yellow]"
    source, T, basin = own.where
    text = (
        f"Held against the exact law of what each simulates, {own.count} occupancies: the largest distance is "
        f"{own.largest:+.1f} standard errors ({source}, T = {T:g}, basin {result.basins[basin].name}), "
        f"p = {own.p_value:.2g} after Holm"
    )
    return text + ": no sign of a slip." if own.p_value > 0.05 else f"[red]{text}: one of the two is off.[/red]"


def _powers(result: Result) -> list[str]:
    law, T = result.law, result.powers.temperature
    lines = []
    for arm, found in result.powers.arms.items():
        skew = " (a batch's third cumulant moves the law by η²κ₃/S² ∝ √(η/S) a unit of time)"
        why = skew if found.expected < 1 else ""
        lines.append(f"As η → 0 at T = {T:g} and fixed S, {arm} → {law}: {escape(str(found))}{why}.")
    coarser = f"; a grid 1.5 times coarser moves SGD's exact law by {100 * result.grid_error:.1g} percentage points"
    coarser = coarser if math.isfinite(result.grid_error) else ""
    lines.append(f"The intervals of powers measure the curvature that the fit leaves{coarser}.")
    return lines


def _table(result: Result, k: int) -> Table:
    basin = result.basins[k]
    where = ", ".join(f"{x:.2f}" for x in basin.minimum)
    table = Table(
        title=f"basin {basin.name}, minimum at ({where}), V = {basin.loss:.3g}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    rows = result.temperatures
    table.add_column("T", no_wrap=True)
    for row in rows:
        table.add_column(f"{row.temperature:g}", justify="right", no_wrap=True)

    def exact(arm: str) -> list[str]:
        return [_percent(row.exact[arm], k) for row in rows]

    table.add_row("SGD", *[_measured(row, "SGD", k) for row in rows])
    table.add_row("  its exact law", *exact("SGD"))
    table.add_row("Gaussian SGD", *[_measured(row, "Gaussian SGD", k) for row in rows])
    if any(row.exact["Gaussian SGD"] is not None for row in rows):
        table.add_row("  its exact law", *exact("Gaussian SGD"))
    table.add_row("SDE", *[_measured(row, "SDE", k) for row in rows])
    if result.law == "Itô":
        table.add_row("  Itô, quadrature", *exact("SDE"))
    if result.config.nuts_samples:
        table.add_row("NUTS", *[_measured(row, "NUTS", k) for row in rows])
    table.add_row("Gibbs, quadrature", *exact("NUTS"))
    table.add_row("Laplace", *[_percent(row.theory.laplace, k) for row in rows])
    if rows[0].theory.corrected is not None:
        table.add_row("  next order", *[_percent(row.theory.corrected, k) for row in rows])
    table.add_row("crossings of SGD", *[_crossings(row.measured.get("SGD"), k) for row in rows])
    verdicts = [row.verdicts[k] for row in rows]
    table.add_row("SGD and Gibbs", *["–" if v is None else _coloured(v.gibbs.kind) for v in verdicts])
    if result.law == "Itô":
        table.add_row("SGD and Itô", *["–" if v is None else _coloured(v.law.kind) for v in verdicts])
    return table


def _measured(row: Row, source: str, k: int) -> str:
    measured = row.measured.get(source)
    if measured is None or measured.refused:
        return "refused"
    return f"{100 * measured.probabilities[k]:.1f} ±{196 * measured.standard_errors[k]:.1f}"


def _percent(values: Float[np.ndarray, " M"] | None, k: int) -> str:
    return "–" if values is None else f"{100 * values[k]:.2f}"


def _crossings(measured: Measured | None, k: int) -> str:
    if measured is None or measured.crossings is None or not measured.crossings[k]:
        return "–"
    return f"{measured.crossings[k]:,}"


def _coloured(kind: str) -> str:
    return f"[{_COLOURS[kind]}]{kind}[/]"
