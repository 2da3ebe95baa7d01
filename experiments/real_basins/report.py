"""What real-basins prints: the minima and their noise, occupancies beside theory, arrivals beside gradient flow."""

import math

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.real_basins.result import Arm, Gibbs, Problem, Proportion, Result
from sdesgd.evidence import Decision


def show(result: Result, console: Console) -> None:
    """Prints, for each problem, its minima, its occupancies, its arrivals, and what they say."""
    for problem in result.problems.values():
        console.print(
            f"\n[bold]{problem.title}[/bold]: two tanh units, D = {problem.dimension}, "
            f"N = {problem.num_examples}, weight decay {problem.decay:g}",
            highlight=False,
        )
        console.print(_minima(problem))
        console.print(_occupancies(problem))
        console.print(_arrivals(problem))
        for line in sentences(problem):
            console.print(line, highlight=False)
    console.print(f"\n[bold]{result.answer()}[/bold]", highlight=False)


def sentences(problem: Problem) -> list[str]:
    """What a problem says, and its limits."""
    return [_noise(problem), *_differences(problem), *_sde(problem), *_arrived(problem), *_refusals(problem)]


def _noise(problem: Problem) -> str:
    soft = [b.noise.softest for b in problem.basins]
    return (
        f"Along each minimum's softest direction SGD's noise has {min(soft):.2g}–{max(soft):.2g} of the variance of "
        "isotropic noise of the same trace."
    )


def _differences(problem: Problem) -> list[str]:
    """Where an arm differs from Gibbs, and by how much the control, isotropic noise, does in the same basin."""
    lines = []
    for row in problem.occupancy:
        control = row.gaps.get("isotropic")
        for arm, values in row.arms.items():
            if row.verdicts[arm] != "different" or row.nuts is None:
                continue
            if arm in row.gaps:
                k = row.gaps[arm].worst
                text = f"{_difference(row.gaps[arm], k)} percentage points from Gibbs"
                text += "" if control is None or arm == "isotropic" else f" (isotropic noise {_difference(control, k)})"
            else:
                k = int(np.isfinite(values.floor).argmax())
                text = f"at least {100 * values.floor[k]:.1f} %, Gibbs {100 * row.nuts.probabilities[k]:.1f} %"
            lines.append(f"η = {row.eta:g}, {arm}: basin {problem.basins[k].name} {text}")
    return lines


def _sde(problem: Problem) -> list[str]:
    """Where both mix: SGD minus the SDE."""
    lines = []
    for row in problem.occupancy:
        gap = row.sgd_less_sde
        if gap is not None:
            k = gap.worst
            text = f"{_difference(gap, k)} percentage points in basin {problem.basins[k].name}"
            lines.append(f"η = {row.eta:g}, SGD minus SDE: {text}")
    return lines


def _arrived(problem: Problem) -> list[str]:
    """Arrivals of SGD minus gradient flow's, and how many still moved in the second half."""
    lines = []
    for row in problem.arrivals:
        found = row.arms["SGD"]
        gaps, halves = found.less_flow.difference, found.less_flow.half_width
        k = max(range(len(gaps)), key=lambda b: abs(gaps[b]) / halves[b])
        lines.append(
            f"η = {row.eta:g}, arrivals of SGD minus gradient flow's: {100 * gaps[k]:+.1f} ± {100 * halves[k]:.1f} "
            f"percentage points in basin {problem.basins[k].name}; {_proportion(found.moved_late)} moved in "
            "the second half"
        )
    return lines


def _refusals(problem: Problem) -> list[str]:
    lines = []
    for row in problem.occupancy:
        for arm, values in [*row.arms.items(), ("NUTS", row.nuts)]:
            if values is not None and values.refused:
                lines.append(f"[yellow]η = {row.eta:g}, {arm}: no occupancy claimed: {values.refused}[/yellow]")
    return lines


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _minima(problem: Problem) -> Table:
    table = _table(
        "minimum", "loss", "copies", "found by", "λ min", "λ max", "barrier", "tr C", "C·H", "I·H", "soft", "stiff"
    )
    for b in problem.basins:
        n, barrier = b.noise, f"{b.barrier:.2g}" if math.isfinite(b.barrier) else "–"
        cells = [b.name, f"{b.loss:.5f}", str(b.copies), str(b.hits), f"{b.softest:.2g}", f"{b.stiffest:.2g}", barrier]
        cells += [f"{n.trace:.3g}", f"{n.alignment:.2f}", f"{n.isotropic_alignment:.2f}"]
        table.add_row(*cells, f"{n.softest:.2g}", f"{n.stiffest:.2g}")
    return table


def _occupancies(problem: Problem) -> Table:
    table = _table("η/S", "T", "basin", "Laplace", "NUTS", "isotropic", "SGD", "SDE")
    for row in problem.occupancy:
        for k, b in enumerate(problem.basins):
            cells = [f"{row.ratio:g}", f"{row.temperature:.3g}"] if k == 0 else ["", ""]
            cells += [b.name, f"{100 * row.laplace[k]:.1f}", _share(row.nuts, k)]
            cells += [_share(row.arms[arm], k) for arm in ("isotropic", "SGD", "SDE")]
            table.add_row(*cells)
    return table


def _arrivals(problem: Problem) -> Table:
    table = _table("η/S", "basin", "gradient flow", "SGD", "SDE", "label changed SGD", "SDE")
    for row in problem.arrivals:
        for k, b in enumerate(problem.basins):
            flow = f"{100 * problem.flow.shares[k]:.1f}"
            cells = [f"{row.ratio:g}" if k == 0 else "", b.name, flow]
            arms = [row.arms[arm] for arm in ("SGD", "SDE")]
            cells += [rf"{100 * a.shares[k]:.1f} \[{100 * a.low[k]:.1f}, {100 * a.high[k]:.1f}]" for a in arms]
            cells += [_proportion(a.changed) if k == 0 else "" for a in arms]
            table.add_row(*cells)
    return table


def _difference(gap: Decision, k: int) -> str:
    """Of one source and another in basin k, with half of its 95 % interval."""
    return f"{100 * gap.difference[k]:+.1f} ± {100 * gap.half_width[k]:.1f}"


def _proportion(of: Proportion) -> str:
    return rf"{100 * of.share:.1f} % \[{100 * of.low:.1f}, {100 * of.high:.1f}]"


def _share(values: Arm | Gibbs | None, k: int) -> str:
    if values is None:
        return "–"
    p, error = values.probabilities[k], values.standard_errors[k]
    if math.isnan(p):
        return "refused"
    return f"({100 * p:.1f})" if math.isnan(error) else f"{100 * p:.1f} ± {196 * error:.1f}"
