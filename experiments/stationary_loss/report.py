"""What stationary-loss prints: a table for each problem, and a verdict on each."""

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.stationary_loss.result import MARGIN, SAME, Agreement, ArmMean, CaseResult, Result

_RELAXED = 0.99  # below this share of the stationary loss a run counts as a transient


def show(result: Result, console: Console) -> None:
    """Prints the tables, then the verdicts."""
    effective = "η/(4S(1−m))" if result.config.momentum else "η/4S"
    console.print(
        f"\n[bold]Which trace, Tr H or Tr C?[/bold] Mean excess loss E(L) − L* with 95 % intervals, and its ratio to "
        f"({effective}) Tr H, to ({effective}) Tr C, and to the law of SGD at this η and S. Last the SDE's, with its "
        "ratio to its own law.",
        highlight=False,
    )
    for case in result.cases.values():
        console.print()
        console.print(_table(case))
        console.print(_facts(case), highlight=False)
    console.print(f"\n[bold]{result.answer()}[/bold]\n", highlight=False)
    for case in result.cases.values():
        console.print(sentence(case), highlight=False)
    for line in warnings(result):
        console.print(line, highlight=False)


def sentence(case: CaseResult) -> str:
    """The verdict on a case in words."""
    ordered = case.main_points()
    first, last = ordered[0], ordered[-1]
    traces = f"Tr H = {case.trace_hessian:.4g}, Tr C = {case.trace_covariance:.4g}"
    if case.same_traces():
        traces += ", equal, so Tr H will do here"
    else:
        traces += f": measured loss ÷ (η/4S) Tr H = {_ratio(first.SGD, first.trace_hessian)} at the smallest η/S"
    text = f"[bold]{case.title}[/bold]: {traces}. At the largest η/S the loss is "
    text += f"{_ratio(last.SGD, last.trace_covariance)} times (η/4S) Tr C and {_ratio(last.SGD, last.sgd_law)}"
    if case.exact:
        found = case.agreement()
        text += " times SGD's exact law"
        if abs(last.discrete / last.sgd_law - 1) > SAME:
            text += f" (constant C leaves out a factor of {last.sgd_law / last.discrete:.3g})"
        return f"{text}. Exact laws: {_in_words(found)}."
    text += f" times the law for constant H and C, at the smallest {_ratio(first.SGD, first.sgd_law)}"
    if first.relaxed < _RELAXED:
        text += f"; a transient, {100 * first.relaxed:.0f} % of the stationary (η/4S) Tr C"
    found = "what is left is the loss not being quadratic and C not constant"
    if all(abs(point.SGD.deviation(point.sgd_law)) < 3 for point in ordered):
        found = "no deviation from the quadratic approximation was found"
    return f"{text}; {found}."


def _in_words(found: Agreement) -> str:
    margin, beyond = f"{100 * MARGIN:g} %", found.worst > found.limit
    words = {
        "equivalent": f"[green]met[/green] within {margin}" + (", a deviation within that was found" if beyond else ""),
        "different": "[red]NOT met[/red]",
        "inconclusive": f"[yellow]undecided[/yellow] (no deviation found, none of {margin} ruled out: more replicas)",
    }
    return f"{words[found.kind]}, largest deviation {found.worst:.1f} standard errors (limit {found.limit:.1f})"


def warnings(result: Result) -> list[str]:
    """What a reader must know besides."""
    lines = []
    for name, case in result.cases.items():
        for arm in ("SGD", "SDE"):
            count = sum(point.arms()[arm].diverged for point in case.points if arm in point.arms())
            if count:
                lines.append(f"[red]{name}: {count} runs of {arm} diverged; means are over the others[/red]")
        relaxed = min(point.relaxed for point in case.points)
        if case.group == "regression" and relaxed < _RELAXED:
            lines.append(
                f"[yellow]{name}: runs are compared with the stationary law, but start at the minimum and reach only "
                f"{100 * relaxed:.1f} % of it: raise --num-steps or --burn-in[/yellow]"
            )
    return lines


# -- pieces ------------------------------------------------------------------------------------------------


def _ratio(found: ArmMean, formula: float) -> str:
    """Measured ÷ formula with the half width of its 95 % interval."""
    if not found.is_measured():
        return "–"
    half = (found.high - found.low) / 2 / formula
    digits = 3 if half < 0.0995 else 2
    return f"{found.mean / formula:.{digits}f} ±{half:.{digits}f}"


def _table(case: CaseResult) -> Table:
    table = Table(
        title=case.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
        show_edge=False, pad_edge=False,
    )  # fmt: skip
    law = "÷ exact" if case.exact else "÷ const. H, C"
    for column in ("η", "S", "E(L) − L*", "÷ Tr H", "÷ Tr C", law, "SDE ÷ its law"):
        table.add_column(column, no_wrap=True)
    for point in case.points:
        sgd, law, known = point.SGD, point.sgd_law, point.SGD.is_measured()
        loss = f"{sgd.mean:.4g} ±{(sgd.high - sgd.low) / 2:.1g}" if known else "–"
        traces = [f"{sgd.mean / of:.3f}" if known else "–" for of in (point.trace_hessian, point.trace_covariance)]
        sde = _ratio(point.SDE, point.law("SDE")) if point.SDE else ""
        row = f"{point.learning_rate:g}", f"{point.batch_size}", loss, *traces, _ratio(sgd, law), sde
        table.add_row(*row)
    return table


def _facts(case: CaseResult) -> str:
    """What the table rests on, in a few lines."""
    points = case.main_points()
    decay = f" ({case.trace_decay:.3g} of it is weight decay, wD)" if case.trace_decay else ""
    counts = " and ".join(f"{mean.replicas} of {arm}" for arm, mean in points[0].arms().items())
    late = min(point.relaxed for point in points)
    share = "stationary" if late > 0.9999 else f"at {100 * late:.1f} % of stationary by the formula for constant C"
    bias = max((point.integrator_bias for point in points), key=abs)
    return (
        f"Tr H = {case.trace_hessian:.4g}{decay}, Tr C = {case.trace_covariance:.4g}: exact sums over "
        f"N = {case.num_units}. ‖g‖ = {case.gradient_norm:.0e}, λ from {case.smallest_curvature:.2g} "
        f"to {case.largest_curvature:.3g}. {counts}, {points[0].steps} to {points[-1].steps} steps from the "
        f"minimum, the late part {share}. The SDE's integrator: {points[-1].substeps} steps each at the largest η, "
        f"its own error of at most {100 * bias:+.1f} % taken out."
    )
