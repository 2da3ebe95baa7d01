"""What is printed: the table, and the headline."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def answer(summary: dict) -> str:
    """The headline."""
    worst = max(abs(row["variance"] - row["law"]) / row["error"] for row in summary["rows"])
    return f"SGD's variance is at most {worst:.1f} standard errors from its law."


def show(summary: dict, console: Console) -> None:
    """Prints the table and the headline."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("η", "variance", "law"):
        table.add_column(heading)
    for row in summary["rows"]:
        measured = f"{row['variance']:.3g} ± {1.96 * row['error']:.2g}"
        table.add_row(f"{row['learning_rate']:g}", measured, f"{row['law']:.3g}")
    console.print(table)
    console.print(answer(summary), highlight=False)
