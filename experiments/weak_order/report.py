"""What weak-order prints: every slope with its interval, and a sentence on each."""

import math

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.weak_order.result import Result
from experiments.weak_order.slopes import Measured

_COLOURS = {"met": "green", "NOT met": "red", "undecided": "yellow", "not measured": "yellow"}
_SECTIONS = {
    "circle": "circle, means (exact)",
    "variance": "circle, variances (exact)",
    "stationary": "stationary (exact)",
    "momentum": "momentum, fixed γ (exact)",
    "svag": "SVAG in 1/ℓ (exact)",
    "net": "net (Gaussian SGD)",
}


def show(result: Result, console: Console) -> None:
    """Prints the table of slopes, then what they mean and what they don't."""
    console.print(
        "\n[bold]How fast do the SDEs approach SGD?[/bold] Slopes of log error against log η in the sup-norm over "
        "starts and observables, with 95 % intervals (on exact laws: the curvature that the fit leaves); met: the "
        "whole interval is nearer to the expected slope than to any other multiple of ½.",
        highlight=False,
    )
    console.print()
    console.print(_slopes(result))
    console.print()
    console.print(f"[bold]{result.answer()}[/bold]\n", highlight=False)
    for line in sentences(result):
        console.print(line, highlight=False)


def sentences(result: Result) -> list[str]:
    """What each part says, and its limits."""
    found, config, sizes = result.comparisons, result.config, result.sizes()
    last = {name: float(m.error[m.x.argmin()]) for name, m in found.items()}
    eta = min(found["sgd_order1"].x)
    lines = [
        f"circle: at η = {eta:.2g} SGD is {_ratio(last['sgd_order1'], last['sgd_order2'])} times nearer to order 2 "
        "than to order 1. At fixed S order 2 needs no correction of the diffusion: η²C/S is a step's covariance up to "
        "O(η³), hence O(η²) at fixed time. So is SGD − Gaussian SGD, which order 1 doesn't see.",
        f"integrator: at h = η its own error is {_ratio(last['sgd_order1'], last['integrator'])} times smaller than "
        f"order 1's at η = {eta:.2g}, and of third order.",
        f"gradient flow: in means it is only {_ratio(last['sgd_flow'], last['sgd_order1'])} times as far as the SDE, "
        "since the noise moves them by O(η) too; the slope of order 1 is no evidence for the noise term.",
        f"variances: at η = {eta:.2g} the SDE's are off by {_percent(last['variance_order1'])}, order 2's by "
        f"{_percent(last['variance_order2'])} of the largest, gradient flow's by all of it. At fixed S a step's "
        "covariance is right to leading order only, so order 2 is no higher an order here.",
        f"momentum: γ = (1−m)/√η = {config.friction:g} fixed; the equation's step is √η of its time, so the slope "
        "is ½ in η, and 1 at order 2, whose noise needs its own correction. At fixed m both orders are O(η).",
        f"SVAG: η = {config.time / config.svag_steps:.2g} stays, and SGD's distance from its SDE (ℓ = 1) falls "
        f"as 1/ℓ; from gradient flow it stays at {min(result.without_noise['svag'].error):.2g} or more.",
        "stationarity, a parabola without momentum: SGD's variance moves by +ηλ/2, order 1's by 0, order 2's by −ηλ/2: "
        f"same slope, and order 2 is {_ratio(last['stationary_order2'], last['stationary_order1'])} times as far. With "
        "momentum both orders have the same variance; order 2 gets odds of basins right to O(η), order 1 does not.",
        f"net: {sizes['net_parameters']} parameters, {config.replicas} coupled pairs per point. SGD appears as its "
        "Gaussian twin: the non-Gaussian part, η³κ₃/S² per step and so O(η²), doesn't touch the slope of order 1, but "
        "is of the order of order 2's error, whose slope here is therefore Gaussian SGD's alone.",
    ]
    own, largest = result.integrator_on_net, found["net_order1"].x.argmax()
    measured = [found[f"net_order{order}"].error[largest] for order in (1, 2)]
    bounds = [_percent(share) for share in (own.error + 2 * own.standard_error) / measured]
    lines.append(
        "net: the integrator's own errors (h against h/2) at the largest η are below "
        f"{' and '.join(bounds)} of the errors of order 1 and 2 there."
    )
    return lines + _warnings(result)


def _warnings(result: Result) -> list[str]:
    lines, found, diverged = [], result.comparisons, result.sizes()["net_diverged"]
    left_out = {name: m.left_out for name, m in found.items() if m.left_out}
    if left_out:
        lines.append(f"[yellow]points within 2 standard errors of zero, left out of fits: {left_out}[/yellow]")
    inflated = ", ".join(name for name, m in found.items() if m.inflated)
    if inflated:
        lines.append(f"[yellow]the fit misses the points by more than their errors: {inflated}; widened[/yellow]")
    if diverged:
        lines.append(f"[red]{diverged} pairs of the net diverged; means are over others[/red]")
    return lines


def _slopes(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for column in ("error against", "theory", r"slope \[95 % interval]", "at smallest h"):
        table.add_column(column, no_wrap=True)
    table.add_column("verdict")
    section = None
    for measured in result.comparisons.values():
        if measured.panel != section:
            section = measured.panel
            table.add_row(f"[bold]{_SECTIONS[section]}[/bold]")
        status = f"[{_COLOURS[measured.status]}]{measured.status}[/]"
        interval = "–"
        if measured.fit is not None:
            interval = rf"{measured.slope:.3f} \[{measured.low:.3f}, {measured.high:.3f}]"
        table.add_row(f"  {measured.label}", f"{measured.expected:g}", interval, _error(measured), status)
    return table


def _error(measured: Measured) -> str:
    k = measured.x.argmin()
    if not math.isfinite(measured.error[k]):
        return "–"
    error = f"{measured.error[k]:.2g}"
    if measured.standard_error is not None:
        known = math.isfinite(measured.standard_error[k])
        error += f" ±{1.96 * measured.standard_error[k]:.1g}" if known else " ± –"
    return error


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %" if math.isfinite(value) else "–"


def _ratio(large: float, small: float) -> str:
    """To two significant digits."""
    ratio = large / small if small else 0.0
    return f"{float(f'{ratio:.2g}'):g}" if ratio and math.isfinite(ratio) else "–"
