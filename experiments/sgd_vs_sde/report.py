"""What sgd-vs-sde says: the report of the comparison."""

from rich.console import Console


def show(summary: dict, console: Console) -> None:
    """Prints the report of the comparison."""
    console.print(summary["report"], highlight=False, markup=False, soft_wrap=True)


def answer(summary: dict) -> str:
    """The headline of the comparison."""
    return summary["answer"]
