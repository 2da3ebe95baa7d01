"""What escape-times says: times, their deviations from the exact ones, and what the formula gives."""

from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from experiments.escape_times.config import ARMS


def answer(summary: dict) -> str:
    """One line: what the passages say of the exact times, and the exact times of Kramers."""
    deep = summary["rows"][-1]
    ratios = {arm: deep["arms"][arm]["exact"] / deep["kramers"] for arm in ARMS}
    count = 2 * len(summary["rows"])
    # The largest of so many normal deviations, in 95 of 100 runs.
    limit = stats.norm.ppf(0.5 + 0.95 ** (1 / count) / 2)
    verdict = "agree with" if summary["worst"] < limit else "differ from"
    return (
        f"Measured times {verdict} the exact ones (largest of {count} deviations {summary['worst']:.1f} SE); "
        f"at ΔV/T = {deep['ratio']:g} exact ÷ Kramers is {ratios['SDE']:.3f} for the SDE, {ratios['SGD']:.3f} for SGD."
    )


def show(summary: dict, console: Console) -> None:
    """Prints times, deviations in standard errors and ratios to Kramers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("ΔV/T", "arm", "mean time", "exact", "deviation, SE", "Kramers", "measured ÷ Kramers"):
        table.add_column(column, no_wrap=True)
    for row in summary["rows"]:
        for arm, found in row["arms"].items():
            k = row["kramers"]
            table.add_row(
                f"{row['ratio']:g}",
                arm,
                f"{found['mean']:.4g} ± {1.96 * found['error']:.2g}",
                f"{found['exact']:.4g}",
                f"{found['z']:+.1f}",
                f"{k:.4g}",
                f"{found['mean'] / k:.3f} ± {1.96 * found['error'] / k:.2g}",
            )
    console.print(table)
    console.print(f"[bold]{answer(summary)}[/bold]", highlight=False)
