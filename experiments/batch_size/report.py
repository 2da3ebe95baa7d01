"""What batch-size prints: the best batch size of every series, the exponents, the two laws compared, what is amiss."""

import math

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.batch_size.fits import LEVEL
from experiments.batch_size.result import Result
from experiments.batch_size.series import Series


def show(result: Result, console: Console) -> None:
    """Prints the table, then the sentences."""
    console.print(
        f"\n[bold]Which batch size is best, and does it grow as η, N, 1/(1−m)?[/bold] {'; '.join(result.setting())}.\n"
    )
    show_series(result, console)
    console.print(f"\n[bold]{result.answer()}[/bold]\n", highlight=False)
    for line in [*sentences(result), *warnings(result)]:
        console.print(line, highlight=False)


def show_series(result: Result, console: Console) -> None:
    """Prints a row for each series, and what the columns are."""
    console.print(_table(result))
    console.print(
        "best B: sampled, of highest mean test accuracy, its neighbours in brackets; ≤, ≥: at the grid's edge. B_opt: "
        "posterior median and 90 % interval; where it may lie beyond the grid, the end that is a finding. loss B: "
        "sampled, of least mean test loss. bad: runs left out, which diverged or "
        "ended with a train loss of log K or more, whatever their accuracy: B_opt depends on this rule.",
        highlight=False,
    )
    if any(one.noise for one in result.series):
        console.print("McCandlish's noise scales, from the first to the last time of a run at the best B:")
        for one in result.series:
            simple, curved = (_span(one, name) for name in ("simple", "noise"))
            console.print(f"  {one.fitted.name}: B_simple {simple}, B_noise {curved}", highlight=False)


def sentences(result: Result) -> list[str]:
    """On the chains, the noise-scale law and its comparison with the power law."""
    power, other = result.posteriors["power"], result.posteriors["noise_scale"]
    low, high = other.interval("c", LEVEL)
    one = f"One-parameter law η(N/B_opt − 1)/(1−m) = c: c = {other.median('c'):.3g} [{low:.3g}, {high:.3g}]"
    if len(result.series) > 1:
        scatter, of_power = (math.exp(law.median("tau")) for law in (other, power))
        one += f"; series scatter about it by a factor {scatter:.2f}, about the power law by {of_power:.2f}"
    lines = [
        f"Chains: largest R-hat {max(power.r_hat.values()):.3f}, smallest ESS {min(power.ess.values()):.0f}, "
        f"{power.divergences} divergences.",
        f"{one}.",
    ]
    return [*lines, result.check.text, *([] if result.comparison is None else [str(result.comparison)])]


def warnings(result: Result) -> list[str]:
    """What a reader must know besides: censored peaks, diverged and failed runs."""
    names = {"power": "power law", "noise_scale": "one-parameter law"}
    lines = [f"[red]{names[law]}: {why}[/red]" for law, fit in result.posteriors.items() if (why := fit.trouble())]
    if result.failures:
        lines.append(f"[red]{len(result.failures)} cells failed and are left out[/red]: {result.failures[0]}")
    lines += [f"[red]{name}: most runs broke down at every B, the series is left out[/red]" for name in result.lost]
    for one in result.series:
        if one.fitted.censored:
            side = {"low": "smallest", "high": "largest", "both": "only"}[one.fitted.censored]
            lines.append(
                f"[yellow]{one.fitted.name}: the best B is the {side} that trained, so B_opt may lie beyond what was "
                "tried[/yellow]"
            )
    cells = [cell for one in result.series for cell in one.cells]
    runs = sum(cell.runs for cell in cells)
    for kind, text in (("diverged", "left the finite numbers"), ("failed", "ended with a train loss of log K or more")):
        count = sum(getattr(cell, kind) for cell in cells)
        if count:
            where = max(cell.batch_size for cell in cells if getattr(cell, kind))
            lines.append(f"[red]{count} of {runs} runs {text}[/red], at B up to {where}; see the table in summary.json")
    return lines


def _table(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for column in ("η", "N", "m", "best B", "accuracy (%)", "B_opt", "loss B", "bad"):
        table.add_column(column, no_wrap=True)
    for one in result.series:
        fitted = one.fitted
        at = next(cell for cell in one.cells if cell.batch_size == fitted.best)
        mark = {"low": "≤ ", "high": "≥ ", "both": "? ", "": ""}[fitted.censored]
        low, high = (f"{side:g}" if math.isfinite(side) else "–" for side in (fitted.best_low, fitted.best_high))
        error = f" ±{100 * at.standard_error:.2f}" if math.isfinite(at.standard_error) else ""
        trained = [cell for cell in one.cells if 2 * cell.kept >= cell.runs and math.isfinite(cell.test_loss)]
        table.add_row(
            f"{fitted.learning_rate:g}", f"{fitted.num_examples}", f"{fitted.momentum:g}",
            f"{mark}{fitted.best} \\[{low}, {high}]", f"{100 * at.mean:.1f}{error}", peak_in_words(one),
            f"{min(trained, key=lambda cell: cell.test_loss).batch_size}",
            f"{sum(cell.failed + cell.diverged for cell in one.cells)}",
        )  # fmt: skip
    return table


def peak_in_words(series: Series) -> str:
    """Median and interval of B_opt, or the bound where it may lie beyond the grid."""
    peak = series.peak
    if not peak.censored:
        return f"{_short(peak.median)} ({_short(peak.low)}, {_short(peak.high)})"
    return {"low": f"< {_short(peak.high)}", "high": f"> {_short(peak.low)}", "both": "?"}[peak.censored]


def _short(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _span(series: Series, name: str) -> str:
    """First and last value along the run."""
    points = [getattr(scale, name) for scale in series.noise]
    points = [point for point in points if math.isfinite(point)]
    return f"{points[0]:.2g} → {points[-1]:.2g}" if points else "–"
