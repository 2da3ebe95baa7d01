"""What batch-size recommend says: the recommendation, then the accuracies behind it."""

from rich.console import Console

from experiments.batch_size.report import sentences, show_series, warnings
from experiments.batch_size_recommend.result import Result


def show(result: Result, console: Console) -> None:
    """The sentence, then the accuracies behind it."""
    console.print(f"\n[bold]{result.answer()}[/bold]\n", highlight=False)
    show_series(result, console)
    for line in [*sentences(result), *warnings(result)]:
        console.print(line, highlight=False)
