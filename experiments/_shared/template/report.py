"""What is printed: the table, and the headline."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments._shared.template.result import Result


def show(result: Result, console: Console) -> None:
    """Prints the table and the headline."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("η", "variance", "law"):
        table.add_column(heading)
    for row in result.rows:
        measured = f"{row.variance:.3g} ± {1.96 * row.error:.2g}"
        table.add_row(f"{row.learning_rate:g}", measured, f"{row.law:.3g}")
    console.print(table)
    console.print(result.answer(), highlight=False)
