"""The terminal's report of a comparison: verdicts, parts of the gap, validity card."""

import io
import math

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sdesgd.comparison import card_table, sentences
from sdesgd.comparison.result import Comparison, GapEstimate

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}
_FEW = 30  # replicas


def text(result: Comparison) -> str:
    """The report without colours.

    Args:
        result: of ``compare``.
    """
    console = Console(file=io.StringIO(), width=110, force_terminal=False, color_system=None)
    show(result, console)
    return console.file.getvalue().strip("\n")  # type: ignore[attr-defined]


def show(result: Comparison, console: Console) -> None:
    """Prints the verdict on each observable, then the validity card.

    Args:
        result: of ``compare``.
        console: where to.
    """
    setting, plan = result.setting, result.design

    def say(line: str) -> None:
        console.print(line, highlight=False)

    say(
        f"\n[bold]Does the SDE describe this SGD?[/bold] {escape(setting.title)}, "
        f"{setting.num_parameters:,} parameters, N = {setting.num_examples:,}, η = {setting.learning_rate}, "
        f"S = {setting.batch_size}" + (f", m = {setting.momentum:g}" if setting.momentum else "")
    )
    say(
        "Differences of means in standard deviations (SD) of one SGD run at that time, at the step where the two are "
        "least alike. SGD − SDE has a 95 % interval for all saved steps and looks at once, its parts pointwise ones. "
        f"Equivalent: the means of that observable agree within the margin ({_margins(result)}) at every saved step."
    )
    console.print(_verdicts(result))
    say(f"[bold]{result.answer}[/bold]")
    say(f"Replicas: {sentences.design(result)}.\n")
    for name, label in result.labels.items():
        say(escape(f"{label}: {sentences.sentence(result, name)}"))
    for pair, p_value in result.laws.items():
        found = "nothing varies, so nothing was tested"
        if p_value is not None:
            words = "differ" if p_value <= plan.alpha else "no difference found, which is no proof of equality"
            looks = ", not corrected for the looks" if len(plan.looks) > 1 else ""
            found = f"{words} (energy distance, p = {p_value:.2g}{looks})"
        say(f"joint law of all observables at the end, {pair}: {found}")
    loose = sentences.unresolved(result)
    if loose:
        names = escape(", ".join(result.labels[name] for name in loose))
        say(
            "[yellow]The SDE's own step is not shown to be fine enough (at the step named above: h against h/2 within "
            f"the margin; of a difference, that it stands at h/2) for {names}: raise check_replicas, then "
            "substeps.[/yellow]"
        )
    console.print()
    if result.cards:
        console.print(_card(result))
    for remark in _remarks(result):
        say(f"[yellow]{escape(remark)}[/yellow]")


def _margins(result: Comparison) -> str:
    margins = {str(margin) for margin in result.design.margins.values()}
    return f"±{margins.pop()}" if len(margins) == 1 else "one for each observable"


def _remarks(result: Comparison) -> list[str]:
    setting, found = result.setting, []
    if setting.scheduled:
        found.append(f"η is a schedule: the card is for its largest value, {setting.largest_rate:.4g}.")
    if setting.unit_size > 1:
        found.append(
            "With batch norm a unit of the sum is a group, so S counts in groups; the card is that of the expected "
            f"group loss. Observables that need groups use one random partition into {setting.num_units}."
        )
    if setting.stochastic:
        found.append("The loss draws masks: L, ‖g‖² and tr C among the ready observables are those of one fixed draw.")
    if setting.sampling == "reshuffle":
        found.append(
            "Reshuffled epochs have no such SDE (at fixed parameters an epoch's noise cancels): the SDE shown is that "
            "of batches drawn afresh without replacement, and the verdict is on that."
        )
    fewest = min(result.design.replicas.values())
    if fewest < _FEW and not result.design.sequential:
        found.append(f"{fewest} replicas are few: intervals and tests need several dozen.")
    for name, run in result.trajectories.items():
        lost = int(np.sum(run.diverged))
        if lost:
            found.append(f"{lost} of {len(run.diverged)} replicas of {name} diverged; means are over the others.")
    for name, missing in result.not_established.items():
        if name not in result.verdicts:
            found.append(f"{name}: {missing}.")
    return found


def _verdicts(result: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    first = "= reshuffling" if result.setting.sampling == "reshuffle" else "= non-Gaussian"
    for column in ("observable", "verdict", "at step", "SGD − SDE", first, "+ finite η"):
        table.add_column(column, no_wrap=column != "observable")  # labels take two lines before a number is cut
    for name, label in result.labels.items():
        verdict, worst = result.verdicts[name], result.worst.get(name)
        kind = f"[{_COLOURS[verdict.kind]}]{verdict.reason or verdict.kind}[/]"
        if worst is None:
            table.add_row(escape(label), kind, "", "–", "–", "–")
            continue
        gap = f"{worst.mean:+.2f} [{worst.low:+.2f}, {worst.high:+.2f}]" if math.isfinite(worst.mean) else "–"
        parts = (escape(_interval(part[name], worst.index)) for part in (result.non_gaussian, result.discretisation))
        table.add_row(escape(label), kind, str(worst.step), escape(gap), *parts)
    return table


def _interval(part: GapEstimate, index: int) -> str:
    text = sentences.interval(part, index)
    return "–" if text == "unknown" else text


def _card(result: Comparison) -> Table:
    heads = {"start": "at the start", "end": "end of 1st run"}
    table = card_table.table({head: result.cards.get(when) for when, head in heads.items()}, "Validity card")
    gap, halves = (_largest(result, part) for part in (result.discretisation, result.h_against_half))
    number = sum(int(np.isfinite(part.mean).sum()) for part in result.discretisation.values())
    table.add_row(f"largest predicted gap of {number}, biased upwards", *gap, "≪ the margin")
    table.add_row("SDE, h against h/2", *halves, "≪ the gap")
    return table


def _largest(result: Comparison, part: dict[str, GapEstimate]) -> tuple[str, str]:
    """The largest value over times and observables, and which observable it is."""
    found = []
    for name, estimate in part.items():
        found += [(abs(float(m)), name, k) for k, m in enumerate(estimate.mean) if math.isfinite(m)]
    if not found:
        return "–", ""
    _, name, index = max(found)
    return escape(_interval(part[name], index)), escape(f"({result.labels[name]})")
