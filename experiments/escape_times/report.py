"""What escape-times says: times, their deviations from the exact ones, and what the formula gives."""

from rich import box
from rich.console import Console
from rich.table import Table

import sdesgd as sg
from experiments.escape_times.config import ARMS

_MARGIN = 0.15  # of a measured mean around the exact one, as a share of it


def agreement(summary: dict) -> sg.evidence.Decision:
    """Measured against exact times, as shares of the exact ones.

    The SDE's exact time is one to leading order in √η, so enough passages would find it wrong by something: the claim
    is of a margin.
    """
    arms = [arm for row in summary["rows"] for arm in row["arms"].values()]
    deviations = [arm["mean"] / arm["exact"] - 1 for arm in arms]
    errors = [arm["error"] / arm["exact"] for arm in arms]
    return sg.evidence.decide_differences(deviations, errors, _MARGIN)


def answer(summary: dict) -> str:
    """One line: what the passages say of the exact times, and the exact times of Kramers."""
    deep = summary["rows"][-1]
    ratios = {arm: deep["arms"][arm]["exact"] / deep["kramers"] for arm in ARMS}
    found = agreement(summary)
    words = {
        "equivalent": f"agree with the exact ones within {100 * _MARGIN:g} %",
        "different": "differ from the exact ones",
        "inconclusive": f"aren't shown to be within {100 * _MARGIN:g} % of the exact ones, nor to differ",
    }
    count = len(found.difference)
    return (
        f"Measured times {words[found.kind]} (largest of {count} deviations {summary['worst']:.1f} SE); "
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
