"""What sgd-vs-sde says: the report of the comparison."""

from rich.console import Console

from experiments.sgd_vs_sde.result import Result


def show(result: Result, console: Console) -> None:
    """Prints the report of the comparison."""
    console.print(str(result.comparison), highlight=False, markup=False, soft_wrap=True)
