"""What escape-times says: times, their deviations from the exact ones, and what the formula gives."""

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.escape_times.result import Result


def show(result: Result, console: Console) -> None:
    """Prints times, deviations in standard errors and ratios to Kramers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("ΔV/T", "arm", "mean time", "exact", "deviation, SE", "Kramers", "measured ÷ Kramers"):
        table.add_column(column, no_wrap=True)
    for row in result.rows:
        for arm, found in row.arms.items():
            k = row.kramers
            table.add_row(
                f"{row.ratio:g}",
                arm,
                f"{found.mean:.4g} ± {1.96 * found.error:.2g}",
                f"{found.exact:.4g}",
                f"{found.z:+.1f}",
                f"{k:.4g}",
                f"{found.mean / k:.3f} ± {1.96 * found.error / k:.2g}",
            )
    console.print(table)
    console.print(f"[bold]{result.answer()}[/bold]", highlight=False)
