"""What basin-occupancy prints: source by temperature with intervals, what differs and why, what was refused."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.basin_occupancy.answer import answer, law_name, power_text, settings

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}
_MOST_TABLES = 6


def show(summary: dict, console: Console) -> None:
    """Prints a table for each basin, the verdicts, the powers of η, and what was refused and why."""
    names = [b["name"] for b in summary["basins"]]
    console.print(
        "\n[bold]How often does SGD sit in each basin?[/bold] Percent of its steps, ± half of a 95 % interval (from "
        "crossings between cores, or from replicas if that is wider).",
        highlight=False,
    )
    console.print(settings(summary), highlight=False)
    # Of two basins one says it all.
    shown = [summary["shown_basin"]] if len(names) == 2 else range(min(len(names), _MOST_TABLES))
    for k in shown:
        console.print()
        console.print(_table(summary, k))
    if len(names) > _MOST_TABLES:
        console.print(f"(the {len(names) - _MOST_TABLES} shallowest basins are in summary.json)", highlight=False)
    console.print(f"\n[bold]{answer(summary)}[/bold]\n", highlight=False)
    for line in sentences(summary):
        console.print(line, highlight=False)


def sentences(summary: dict) -> list[str]:
    """The verdict at each temperature with its reasons; checks; powers; refusals."""
    k = summary["shown_basin"]
    lines = []
    for row in summary["temperatures"]:
        verdict = row["verdicts"][k]
        if verdict is not None:
            lines.append(_verdict(summary, row, verdict))
    lines += [_own_laws(summary), *_powers(summary)]
    for row in summary["temperatures"]:
        if row["refused"]:
            lines.append(f"[yellow]refused: {escape(row['refused'])}[/yellow]")
        for source, measured in row["measured"].items():
            if measured["refused"]:
                why = escape(measured["refused"])
                lines.append(f"[yellow]{source} at T = {row['temperature']:g} refused: {why}[/yellow]")
    return lines


def _verdict(summary: dict, row: dict, verdict: dict) -> str:
    k, margin = summary["shown_basin"], summary["config"]["margin"]
    name, sgd = summary["basins"][k]["name"], row["measured"]["SGD"]
    said = {
        "equivalent": f"agrees with Gibbs within {margin:g} percentage points",
        "different": "differs from Gibbs",
        "inconclusive": "can't be told from Gibbs, nor shown to be within the margin: more --crossings would decide",
    }[verdict["kind"]]
    parts = [f"{100 * v:+.1f} from {part}" for part, v in verdict["parts"].items() if abs(v) > 5e-4]
    why = f"; by the exact laws {', '.join(parts)}" if parts else ""
    return (
        f"T = {row['temperature']:g}: SGD {said} in {name}, {100 * verdict['gap']:+.1f} ± "
        f"{100 * verdict['half_width']:.1f} percentage points{why}; {min(sgd['crossings']):,} crossings."
    )


def _own_laws(summary: dict) -> str:
    own = summary["own_laws"]
    if not own["count"]:
        return "[yellow]No simulation has an exact law to be held against here.[/yellow]"
    source, T, basin = own["where"]
    text = (
        f"Held against the exact law of what each simulates, {own['count']} occupancies: the largest distance is "
        f"{own['largest']:+.1f} standard errors ({source}, T = {T:g}, basin {summary['basins'][basin]['name']}), "
        f"p = {own['p_value']:.2g} after Holm"
    )
    return text + ": no sign of a slip." if own["p_value"] > 0.05 else f"[red]{text}: one of the two is off.[/red]"


def _powers(summary: dict) -> list[str]:
    law, T = law_name(summary), summary["powers"]["temperature"]
    lines = []
    for arm, found in summary["powers"]["arms"].items():
        skew = " (a batch's third cumulant moves the law by η²κ₃/S² ∝ √(η/S) a unit of time)"
        why = skew if found["expected"] < 1 else ""
        lines.append(f"As η → 0 at T = {T:g} and fixed S, {arm} → {law}: {escape(power_text(found))}{why}.")
    error = summary["grid_error"]
    coarser = (
        ""
        if error is None
        else f"; a grid 1.5 times coarser moves SGD's exact law by {100 * error:.1g} percentage points"
    )
    lines.append(f"The intervals of powers measure the curvature that the fit leaves{coarser}.")
    return lines


def _table(summary: dict, k: int) -> Table:
    basin = summary["basins"][k]
    where = ", ".join(f"{x:.2f}" for x in basin["minimum"])
    table = Table(
        title=f"basin {basin['name']}, minimum at ({where}), V = {basin['loss']:.3g}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    rows = summary["temperatures"]
    table.add_column("T", no_wrap=True)
    for row in rows:
        table.add_column(f"{row['temperature']:g}", justify="right", no_wrap=True)

    def exact(arm: str) -> list[str]:
        return [_percent(row["exact"][arm] and row["exact"][arm][k]) for row in rows]

    table.add_row("SGD", *[_measured(row, "SGD", k) for row in rows])
    table.add_row("  its exact law", *exact("SGD"))
    table.add_row("Gaussian SGD", *[_measured(row, "Gaussian SGD", k) for row in rows])
    if any(row["exact"]["Gaussian SGD"] for row in rows):
        table.add_row("  its exact law", *exact("Gaussian SGD"))
    table.add_row("SDE", *[_measured(row, "SDE", k) for row in rows])
    if law_name(summary) == "Itô":
        table.add_row("  Itô, quadrature", *exact("SDE"))
    if summary["config"]["nuts_samples"]:
        table.add_row("NUTS", *[_measured(row, "NUTS", k) for row in rows])
    table.add_row("Gibbs, quadrature", *exact("NUTS"))
    table.add_row("Laplace", *[_percent(row["theory"]["laplace"][k]) for row in rows])
    if rows[0]["theory"]["corrected"]:
        table.add_row("  next order", *[_percent(row["theory"]["corrected"][k]) for row in rows])
    counts = [row["measured"].get("SGD", {}).get("crossings") for row in rows]
    table.add_row("crossings of SGD", *["–" if not c or not c[k] else f"{c[k]:,}" for c in counts])
    verdicts = [row["verdicts"][k] for row in rows]
    for name, key in (("SGD and Gibbs", "kind"), ("SGD and Itô", "law_kind")):
        if name.endswith(law_name(summary)) or key == "kind":
            table.add_row(name, *["–" if v is None else f"[{_COLOURS[v[key]]}]{v[key]}[/]" for v in verdicts])
    return table


def _measured(row: dict, source: str, k: int) -> str:
    measured = row["measured"].get(source)
    if measured is None or measured["refused"]:
        return "refused"
    return f"{100 * measured['probabilities'][k]:.1f} ±{196 * measured['standard_errors'][k]:.1f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"
