"""What sgd-vs-sde prints: the verdicts, the two parts of the gap, the validity card."""

from rich.console import Console
from rich.table import Table

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}


def show(summary: dict, labels: dict[str, str], console: Console) -> None:
    """Prints the verdict on each observable, then the validity card."""
    config = summary["config"]
    console.print(_verdicts(summary, labels))
    for name in labels:
        judged = summary["observables"][name]
        console.print(f"[bold]{labels[name]}[/bold]: {judged['sentence']}", highlight=False)
    console.print(_card(summary))
    if config["sampling"] == "reshuffle":
        console.print(
            "[yellow]Reshuffled epochs have no such SDE (at fixed parameters an epoch's noise cancels): the SDE shown is "
            "that of batches drawn afresh without replacement, and the verdict is on that.[/yellow]"
        )
    diverged = {arm: count for arm, count in summary["diverged"].items() if count}
    if diverged:
        console.print(f"[red]diverged replicas of {config['replicas']}: {diverged}; means are over the others[/red]")


def _verdicts(summary: dict, labels: dict[str, str]) -> Table:
    config = summary["config"]
    table = Table(
        title=f"Does the SDE describe SGD? Gaps in SGD's standard deviations at the time of the largest; margin "
        f"±{config['margin']:g}; 95 % intervals",
        title_justify="left",
    )
    for column in ("observable", "verdict", "SGD − SDE", "of it non-Gaussian noise", "of it finite η (predicted)", "h against h/2"):
        table.add_column(column, no_wrap=column in ("observable", "verdict"))
    for name, label in labels.items():
        judged = summary["observables"][name]
        kind = f"[{_COLOURS[judged['kind']]}]{judged['kind']}[/]"
        parts = ("total", "non_gaussianity", "discretisation", "h_against_half")
        table.add_row(label, kind, *(_interval(judged[part], judged["worst_time"]) for part in parts))
    return table


def _interval(part: dict, time: int) -> str:
    mean, low, high = (part[key][time] for key in ("mean", "low", "high"))
    if mean is None:
        return "–"
    return f"{mean:+.2g} [{low:+.2g}, {high:+.2g}]"


def _card(summary: dict) -> Table:
    table = Table(title="Validity card", title_justify="left")
    for column in ("quantity", "at the start", "at the end of one run", "the SDE needs"):
        table.add_column(column)
    start, end = (summary["cards"][when] for when in ("start", "end"))

    def row(label: str, value, needs: str) -> None:
        table.add_row(label, value(start), value(end), needs)

    row("η λ_max / (2(1+m))", lambda c: f"{c['stability']:.3g}", "≪ 1 (unstable above 1)")
    row("λ_max of H", lambda c: f"{c['top_eigenvalue']:.3g} ± {c['eigenvalue_error']:.1g}", "")
    row("tr C / (S ‖g‖²)", lambda c: f"{c['noise_to_signal']:.3g}", "any: noise (> 1) or drift (< 1) leads")
    for direction, words in (("gradient", "along g"), ("top_hessian", "along the top Hessian direction")):
        row(f"skewness of minibatch noise {words}", lambda c, d=direction: f"{c['skewness'][d]:+.2g}", "≈ 0")
        row(f"excess kurtosis {words}", lambda c, d=direction: f"{c['excess_kurtosis'][d]:+.2g}", "≈ 0")
    gaps, halves = (_largest(summary, part) for part in ("discretisation", "h_against_half"))
    table.add_row("predicted gap (finite η), largest", "", gaps, "≪ the margin, in SD of SGD")
    table.add_row("SDE with h against h/2, largest", "", halves, "≪ the predicted gap")
    return table


def _largest(summary: dict, part: str) -> str:
    found = []
    for name, judged in summary["observables"].items():
        values = judged[part]
        found += [(abs(m), name, k) for k, m in enumerate(values["mean"]) if m is not None]
    if not found:
        return "–"
    _, name, time = max(found)
    return f"{_interval(summary['observables'][name][part], time)} SD ({name})"
