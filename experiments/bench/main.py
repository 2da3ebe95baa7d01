"""``python -m experiments bench``: what a step costs, as ratios of compiled loops that are timed in turns.

Times depend on the machine and on what else it does; ratios of loops that take turns (a, b, b, a, …) much
less. The table reports, it never fails: it is no test.
"""

import os
from collections.abc import Sequence
from typing import Annotated

import jax
import typer
from rich.markup import escape
from rich.table import Table

from experiments._shared.cli import run_app
from experiments._shared.terminal import console, errors
from experiments.bench.steps import large_steps, small_steps
from experiments.bench.timing import Row


def measure(rounds: int) -> tuple[list[Row], list[str]]:
    """All rows, and remarks to print below them. The peers come last: torch's threads stay alive."""
    from experiments.bench import comparison, convolutions, peers, sweeps

    rows: list[Row] = []
    remarks: list[str] = []
    for part in (small_steps, large_steps):
        errors.print(f"measuring: {part.__name__.replace('_', ' ')}", highlight=False)
        rows += part(rounds)
    of_sweeps = (sweeps.overhead, sweeps.two_workers)
    of_peers = (peers.small_equation, sweeps.replicas_of_sgd)
    for part in (comparison.gradients, *of_sweeps, *of_peers, convolutions.convolutions):
        errors.print(f"measuring: {part.__name__.replace('_', ' ')}", highlight=False)
        measured, said = part(rounds)
        rows += measured
        remarks += said
    return rows, remarks


def show(rows: Sequence[Row], remarks: Sequence[str]) -> None:
    """Prints the table and the remarks."""
    where = f"{os.cpu_count()} cores, jax {jax.__version__} on {jax.default_backend()}"
    table = Table(title=f"Ratios of time, loops run in turns ({where})", show_lines=True)
    table.add_column("numerator ÷ denominator")
    table.add_column("median (quartiles),\none step of each")
    table.add_column("target", no_wrap=True)
    verdicts = {None: "", True: "met", False: "missed"}
    for row in rows:
        verdict = f"{row.target}\n{verdicts[row.met]}"
        table.add_row(f"{row.what}\n{row.sizes}", escape(f"{row.value}\n{row.times}"), verdict)
    console.print(table, highlight=False)
    for remark in remarks:
        console.print(remark, highlight=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Measures and prints; the exit status is 0 whatever the targets, 2 for bad arguments.

    With ``--device`` the other arguments are those of ``experiments.bench.device``, and so is the exit status.
    """
    if "--device" in arguments:
        from experiments.bench.device import command

        return command.main([argument for argument in arguments if argument != "--device"])
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help="Times compiled loops against each other and against peers; about seven minutes.")
    def bench(
        rounds: Annotated[int, typer.Option(min=3, help="Turns of each comparison.")] = 7,
        device: Annotated[bool, typer.Option("--device", help="The accelerator's check instead; own options.")] = False,
    ) -> None:
        del device  # its options go to that command before this command is asked
        show(*measure(rounds))

    return run_app(app, arguments, name="python -m experiments bench")
