"""What sgd-vs-sde prints: the verdicts, the two parts of the gap, the validity card."""

from rich import box
from rich.console import Console
from rich.table import Table

_COLOURS = {"equivalent": "green", "different": "red", "inconclusive": "yellow"}
# Reasons of a verdict that compared nothing.
_WITHOUT_EVIDENCE = ("nothing moved", "no noise", "same numbers")


def show(summary: dict, labels: dict[str, str], console: Console) -> None:
    """Prints the verdict on each observable, then the validity card."""
    config = summary["config"]
    console.print(
        "\n[bold]Does the SDE describe this SGD?[/bold] Differences of means in standard deviations (SD) of SGD at "
        f"that time, with pointwise 95 % intervals, at the step where the two are least alike; equivalent means "
        f"within ±{config['margin']:g} SD at every time.",
        highlight=False,
    )
    console.print(_verdicts(summary, labels))
    console.print(f"[bold]{answer(summary)}[/bold]\n", highlight=False)
    for name, label in labels.items():
        console.print(f"{label}: {sentence(summary, name)}", highlight=False)
    for pair, p_value in summary["laws_at_the_end"].items():
        found = "nothing varies, so nothing was tested"
        if p_value is not None:
            words = "differ" if p_value <= 0.05 else "no difference found, which is no proof of equality"
            found = f"{words} (energy distance, p = {p_value:.2g})"
        console.print(f"joint law of all observables at the end, {pair}: {found}", highlight=False)
    loose = unresolved(summary)
    if loose:
        names = ", ".join(labels[name] for name in loose)
        console.print(
            f"[yellow]The SDE's own step is not shown to be fine enough (h against h/2 within the margin, at the step "
            f"named above) for {names}: raise --check-replicas, then --substeps.[/yellow]",
            highlight=False,
        )
    console.print()
    console.print(_card(summary, labels))
    if config.get("normalization") == "batch":
        console.print(
            "With batch norm a unit of the sum is a group, so S counts as 1; the card is that of the expected group "
            "loss. tr C and ‖g‖² among the observables are of one random partition into "
            f"{summary['sizes']['num_units']} groups.",
            highlight=False,
        )
    if config["momentum"] and config["svag_ell"]:
        console.print("[yellow]SVAG has no momentum: its arm was left out.[/yellow]")
    if config["replicas"] < 30:
        console.print(f"[yellow]{config['replicas']} replicas are few: intervals and tests want some dozens.[/yellow]")
    if config["sampling"] == "reshuffle":
        console.print(
            "[yellow]Reshuffled epochs have no such SDE (at fixed parameters an epoch's noise cancels): the SDE shown "
            "is that of batches drawn afresh without replacement, and the verdict is on that.[/yellow]"
        )
    diverged = {arm: count for arm, count in summary["diverged"].items() if count}
    if diverged:
        console.print(f"[red]diverged replicas of {config['replicas']}: {diverged}; means are over the others[/red]")


def unresolved(summary: dict) -> list[str]:
    """Observables for which h against h/2 isn't within the margin at the worst time, with its interval."""
    loose = []
    for name, judged in summary["observables"].items():
        mean, half = _centre(judged["h_against_half"], judged["worst_time"])
        if mean is not None and half is not None and abs(mean) + half > summary["config"]["margin"]:
            loose.append(name)
    return loose


def answer(summary: dict) -> str:
    """One line for all observables."""
    kinds = [judged["kind"] for judged in summary["observables"].values()]
    count, total = {kind: kinds.count(kind) for kind in _COLOURS}, len(kinds)
    if count["equivalent"] == total:
        return f"Yes: all {total} observables are equivalent."
    if count["different"]:
        return f"No: {count['different']} of {total} observables differ, {count['equivalent']} are equivalent."
    reasons = [judged.get("reason") for judged in summary["observables"].values()]
    if all(reason in _WITHOUT_EVIDENCE for reason in reasons):
        return f"No evidence: {' and '.join(sorted(set(reasons)))}, in all {total} observables."
    needy = sum(
        judged["kind"] == "inconclusive" and not judged.get("reason") for judged in summary["observables"].values()
    )
    found = [f"{needy} of {total} observables need more replicas"] if needy else []
    found += [f"{reasons.count(reason)} of {total}: {reason}" for reason in sorted({r for r in reasons if r})]
    return f"Undecided: {'; '.join(found)}; see the numbers below."


def sentence(summary: dict, name: str) -> str:
    """The verdict on one observable in words: where the gap is largest, how large, what it is made of."""
    judged, config = summary["observables"][name], summary["config"]
    if judged.get("reason") in _WITHOUT_EVIDENCE:
        return judged["sentence"].removesuffix(".")
    time = judged["worst_time"]
    mean, half = _centre(judged["total"], time)
    if mean is None or half is None:
        return f"{judged['kind']}; SGD doesn't vary at the time of the largest difference"
    step, parts = time * config["save_every"], []
    other = "reshuffling and non-Gaussian noise" if config["sampling"] == "reshuffle" else "non-Gaussian noise"
    for part, words in (("discretisation", "finite η"), ("non_gaussianity", other)):
        centre, width = _centre(judged[part], time)
        parts.append(f"{centre:+.2f} ± {width:.2f} by {words}" if centre is not None else f"unknown by {words}")
    text = f"{judged['kind']}; least alike at step {step}, SGD − SDE = {mean:+.2f} ± {half:.2f} SD ({', '.join(parts)})"
    if judged["kind"] == "equivalent" and judged["different"]:
        text += "; the difference is real, but inside the margin"
    if judged["kind"] == "different" and abs(mean) - half < config["margin"]:
        text += f"; a difference is sure, one beyond the margin of {config['margin']:g} is not"
    if judged["replicas_needed"]:
        text += f"; about {judged['replicas_needed']} replicas an arm would decide"
    if judged.get("not_finite"):
        sgd, sde = judged["not_finite"]
        text += (
            f"; NaN or infinite in {sgd} SGD and {sde} SDE replicas that haven't diverged: these values were left out, "
            "and equivalence can't be claimed of the rest"
        )
    return text


def _verdicts(summary: dict, labels: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    first = "= reshuffling" if summary["config"]["sampling"] == "reshuffle" else "= non-Gauss"
    for column in ("observable", "verdict", "SGD − SDE", first, "+ finite η"):
        table.add_column(column, no_wrap=True)
    for name, label in labels.items():
        judged = summary["observables"][name]
        kind = f"[{_COLOURS[judged['kind']]}]{judged.get('reason') or judged['kind']}[/]"
        parts = (judged[part] for part in ("total", "non_gaussianity", "discretisation"))
        table.add_row(label, kind, *(_interval(part, judged["worst_time"]) for part in parts))
    return table


def _centre(part: dict, time: int) -> tuple[float | None, float | None]:
    mean, low, high = (part[key][time] for key in ("mean", "low", "high"))
    return (None, None) if mean is None or low is None or high is None else (mean, (high - low) / 2)


def _interval(part: dict, time: int) -> str:
    mean, half = _centre(part, time)
    return "–" if mean is None or half is None else f"{mean:+.2f} ±{half:.2f}"


def _card(summary: dict, labels: dict[str, str]) -> Table:
    table = Table(title="Validity card", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("quantity", "at the start", "end of 1st run", "the SDE needs"):
        table.add_column(column)
    start, end = (summary["cards"][when] for when in ("start", "end"))

    def row(label: str, value, needs: str) -> None:
        table.add_row(label, *(_formatted(value, card) for card in (start, end)), needs)

    row("η λ_max / (2(1+m))", lambda c: f"{c['stability']:.3g}", "≪ 1; unstable above 1")
    row("λ_max of H", lambda c: f"{c['top_eigenvalue']:.4g} ± {c['eigenvalue_error']:.0e}", "")
    row(
        "f tr C / (S ‖g‖²)",
        lambda c: f"{c['noise_to_signal']:.3g}" + _error(c, "noise_to_signal"),
        "(> 1: noise leads)",
    )
    for direction, words in (("gradient", "g"), ("top_hessian", "top H")):
        for name, label in (("skewness", "skewness along"), ("excess_kurtosis", "kurtosis − 3 along")):
            row(
                f"{label} {words}",
                lambda c, n=name, d=direction: f"{c[n][d]:+.2g}" + _error(c, n, d),
                "≈ 0",
            )
    gap, halves = (_largest(summary, labels, part) for part in ("discretisation", "h_against_half"))
    number = sum(m is not None for judged in summary["observables"].values() for m in judged["discretisation"]["mean"])
    table.add_row(f"largest predicted gap of {number}, biased upwards", *gap, "≪ the margin")
    table.add_row("SDE, h against h/2", *halves, "≪ the gap")
    return table


def _error(card: dict, *names: str) -> str:
    """± one standard error over draws of masks and groups; nothing where the number is exact."""
    error = card["standard_errors"]
    for name in names if error else ():
        error = error[name]
    return f" ± {error:.1g}" if error else ""


def _formatted(value, card: dict) -> str:
    """The entry of a card in words; a dash where it holds None, as after a divergence."""
    try:
        return value(card)
    except TypeError:
        return "–"


def _largest(summary: dict, labels: dict[str, str], part: str) -> tuple[str, str]:
    """The largest value over times and observables, and which observable it is."""
    found = []
    for name, judged in summary["observables"].items():
        found += [(abs(m), name, k) for k, m in enumerate(judged[part]["mean"]) if m is not None]
    if not found:
        return "–", ""
    _, name, time = max(found)
    return _interval(summary["observables"][name][part], time), f"({labels[name]})"
