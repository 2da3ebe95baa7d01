"""What batch-size recommend says: the recommendation, then the accuracies behind it."""

from rich.console import Console

from experiments.batch_size.report import sentences, show_series, warnings
from experiments.batch_size_recommend.compute import answer


def show(summary: dict, console: Console) -> None:
    """The sentence, then the accuracies behind it."""
    console.print(f"\n[bold]{answer(summary)}[/bold]\n", highlight=False)
    show_series(summary, console)
    for line in [*sentences(summary), *warnings(summary)]:
        console.print(line, highlight=False)
