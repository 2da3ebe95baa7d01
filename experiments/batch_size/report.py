"""What batch-size prints: the best batch size of every series, the exponents, the two laws compared, what is amiss."""

import math

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.batch_size.answer import answer, setting_sentence
from experiments.batch_size.config import name_of


def show(summary: dict, console: Console) -> None:
    """Prints the table, then the sentences."""
    console.print(
        f"\n[bold]Which batch size is best, and does it grow as η, N, 1/(1−m)?[/bold] {setting_sentence(summary)}\n"
    )
    show_series(summary, console)
    console.print(f"\n[bold]{answer(summary)}[/bold]\n", highlight=False)
    for line in [*sentences(summary), *warnings(summary)]:
        console.print(line, highlight=False)


def show_series(summary: dict, console: Console) -> None:
    """Prints a row for each series, and what the columns are."""
    console.print(_table(summary))
    console.print(
        "best B: sampled, of highest mean test accuracy, its neighbours in brackets; ≤, ≥: at the grid's edge. B_opt: "
        "posterior median and 90 % interval; where it may lie beyond the grid, the end that is a finding. loss B: "
        "sampled, of least mean test loss. bad: runs left out, which diverged or "
        "ended with a train loss of log K or more, whatever their accuracy: B_opt depends on this rule.",
        highlight=False,
    )
    if any("noise" in series for series in summary["series"]):
        console.print("McCandlish's noise scales, from the first to the last time of a run at the best B:")
        for series in summary["series"]:
            simple, curved = (_span(series, name) for name in ("simple", "noise"))
            console.print(f"  {name_of(series)}: B_simple {simple}, B_noise {curved}", highlight=False)


def sentences(summary: dict) -> list[str]:
    """On the chains, the noise-scale law and its comparison with the power law."""
    fit, other = summary["fit"], summary["noise_scale"]
    c = other["quantities"]["c"]
    one = f"One-parameter law η(N/B_opt − 1)/(1−m) = c: c = {c['median']:.3g} [{c['low']:.3g}, {c['high']:.3g}]"
    if len(summary["series"]) > 1:
        scatter, of_power = (math.exp(law["quantities"]["tau"]["median"]) for law in (other, fit))
        one += f"; series scatter about it by a factor {scatter:.2f}, about the power law by {of_power:.2f}"
    lines = [
        f"Chains: largest R-hat {fit['r_hat']:.3f}, smallest ESS {fit['ess']:.0f}, {fit['divergences']} divergences.",
        f"{one}.",
    ]
    return lines + [summary[name]["text"] for name in ("check", "comparison") if name in summary]


def warnings(summary: dict) -> list[str]:
    """What a reader must know besides: censored peaks, diverged and failed runs."""
    laws = {"power law": summary["fit"], "one-parameter law": summary["noise_scale"]}
    lines = [f"[red]{name}: {law['trouble']}[/red]" for name, law in laws.items() if law["trouble"]]
    if summary["failures"]:
        lines.append(f"[red]{len(summary['failures'])} cells failed and are left out[/red]: {summary['failures'][0]}")
    lines += [f"[red]{name}: most runs broke down at every B, the series is left out[/red]" for name in summary["lost"]]
    for series in summary["series"]:
        best = series["best"]
        if best["censored"]:
            side = {"low": "smallest", "high": "largest", "both": "only"}[best["censored"]]
            lines.append(
                f"[yellow]{name_of(series)}: the best B is the {side} that trained, so B_opt may lie beyond what was "
                "tried[/yellow]"
            )
    runs = sum(c["runs"] for s in summary["series"] for c in s["cells"])
    for kind, text in (("diverged", "left the finite numbers"), ("failed", "ended with a train loss of log K or more")):
        count = sum(c[kind] for s in summary["series"] for c in s["cells"])
        if count:
            where = max((c["batch_size"] for s in summary["series"] for c in s["cells"] if c[kind]), default=0)
            lines.append(f"[red]{count} of {runs} runs {text}[/red], at B up to {where}; see the table in summary.json")
    return lines


def _table(summary: dict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for column in ("η", "N", "m", "best B", "accuracy (%)", "B_opt", "loss B", "bad"):
        table.add_column(column, no_wrap=True)
    for series in summary["series"]:
        best = series["best"]
        at = next(c for c in series["cells"] if c["batch_size"] == best["batch_size"])
        mark = {"low": "≤ ", "high": "≥ ", "both": "? ", "": ""}[best["censored"]]
        low, high = ("–" if best[side] is None else f"{best[side]:g}" for side in ("low", "high"))
        error = "" if at["standard_error"] is None else f" ±{100 * at['standard_error']:.2f}"
        trained = [c for c in series["cells"] if 2 * c["kept"] >= c["runs"]]
        losses = {c["test_loss"]: c["batch_size"] for c in trained if c["test_loss"] is not None}
        row = [
            f"{series['learning_rate']:g}", f"{series['num_examples']}", f"{series['momentum']:g}",
            f"{mark}{best['batch_size']} \\[{low}, {high}]", f"{100 * at['mean']:.1f}{error}", peak_in_words(series),
            f"{losses[min(losses)]}", f"{sum(c['failed'] + c['diverged'] for c in series['cells'])}",
        ]  # fmt: skip
        table.add_row(*row)
    return table


def peak_in_words(series: dict) -> str:
    """Median and interval of B_opt, or the bound where it may lie beyond the grid."""
    peak = series["peak"]
    if not peak["censored"]:
        return f"{_short(peak['median'])} ({_short(peak['low'])}, {_short(peak['high'])})"
    return {"low": f"< {_short(peak['high'])}", "high": f"> {_short(peak['low'])}", "both": "?"}[peak["censored"]]


def _short(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _span(series: dict, name: str) -> str:
    """First and last value along the run."""
    points = [p for p in series.get("noise", []) if p[name] is not None]
    if not points:
        return "–"
    return f"{points[0][name]:.2g} → {points[-1][name]:.2g}"
