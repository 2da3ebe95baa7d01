"""``python -m experiments bench``: what a step costs, as ratios of compiled loops that are timed in turns.

Times depend on the machine and on what else it does; ratios of loops that take turns (a, b, b, a, …) much
less. The table reports, it never fails: it is no test.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import typer
from jaxtyping import Array, PRNGKeyArray, PyTree
from rich.markup import escape
from rich.table import Table

import sdesgd as sg
from experiments.run import TOP, console, errors
from sdesgd import nets

LEARNING_RATE, BATCH_SIZE = 0.05, 32
_CHILD = "from experiments.bench import large_step_memory as f; import json; print(json.dumps(f()))"


# -- timing and rows ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: numerator ÷ denominator.
        sizes: of the problem.
        value: as shown, with the spread over the rounds.
        target: as shown, empty where there is none.
        met: None where there is no target, or no measurement.
        times: what was divided, in plain units.
    """

    what: str
    sizes: str
    value: str
    target: str = ""
    met: bool | None = None
    times: str = ""


def in_turns(programs: Sequence[Callable[[int], Any]], rounds: int) -> np.ndarray:
    """(rounds, programs): seconds of each program, run in turns, the order reversed every other round.

    Each program gets the number of the round and runs once beforehand (−1), to compile.
    """
    for program in programs:
        jax.block_until_ready(program(-1))
    seconds = np.zeros((rounds, len(programs)))
    for k in range(rounds):
        turn = list(enumerate(programs))
        for i, program in turn if k % 2 == 0 else reversed(turn):
            start = time.perf_counter()
            jax.block_until_ready(program(k))
            seconds[k, i] = time.perf_counter() - start
    return seconds


def ratio_row(
    what: str,
    sizes: str,
    above: np.ndarray,
    below: np.ndarray,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """The median over rounds of above ÷ below, pairs timed in one turn, and the quartiles over rounds.

    Args:
        what: numerator ÷ denominator.
        sizes: of the problem.
        above, below: (rounds,) seconds of one step each.
        at_most, at_least: the target, if any.
    """
    low, median, high = np.quantile(above / below, [0.25, 0.5, 0.75])
    met, target = None, ""
    if at_most is not None:
        met, target = bool(median <= at_most), f"≤ {at_most:.2f}"
    if at_least is not None:
        met, target = bool(median >= at_least), f"≥ {at_least:.2f}"
    times = f"{_seconds(np.median(above))} / {_seconds(np.median(below))}"
    return Row(what, sizes, f"{median:.2f} ({low:.2f}–{high:.2f})", target, met, times)


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


# -- one step of the SDE against one step of gradient descent ----------------------------------------------


def classification(in_size: int, num_classes: int, width: int, depth: int, num_examples: int) -> sg.Problem:
    """An MLP with cross-entropy on random inputs and labels: the numbers don't matter to the cost."""
    key_net, key_inputs, key_labels = jr.split(jr.key(0), 3)
    net = nets.mlp(in_size, num_classes, width=width, depth=depth, key=key_net)
    inputs = jr.normal(key_inputs, (num_examples, in_size))
    labels = jr.randint(key_labels, (num_examples,), 0, num_classes)
    return nets.finite_sum(net, inputs, labels)


def sizes_of(problem: sg.Problem) -> str:
    """D, N and the chunk, for the table."""
    chunks = "" if problem.chunk_size == problem.num_units else f", chunks of {problem.chunk_size}"
    return f"D = {problem.num_parameters:,}, N = {problem.num_examples:,}{chunks}"


def small_problem() -> sg.Problem:
    """D = 14,914, N = 4,000."""
    return classification(196, 10, 72, 1, 4000)


def large_problem() -> sg.Problem:
    """D = 2,772,917, N = 2,000: a speech net, 360 spliced filter-bank inputs and 1,973 states."""
    return classification(360, 1973, 512, 7, 2000)


@eqx.filter_jit
def dynamics_loop(dynamics: Any, problem: sg.Problem, key: PRNGKeyArray, num_steps: int) -> PyTree:
    """``num_steps`` steps of a dynamics in one compiled loop, keys folded in as in ``simulate``."""
    carry, fixed = eqx.partition(dynamics.init(problem, problem.params), eqx.is_array)

    def step(n: Array, carry: PyTree) -> PyTree:
        state = dynamics.step(problem, eqx.combine(carry, fixed), jr.fold_in(key, n), n)
        return eqx.filter(state, eqx.is_array)

    return jax.lax.fori_loop(0, num_steps, step, carry)


@eqx.filter_jit
def descent_loop(problem: sg.Problem, learning_rate: Array, num_steps: int) -> PyTree:
    """``num_steps`` steps of full-batch gradient descent in one compiled loop."""
    moving, fixed = eqx.partition(problem.params, eqx.is_inexact_array)

    def step(_: Array, moving: PyTree) -> PyTree:
        gradient = problem.gradient(eqx.combine(moving, fixed))
        return jax.tree.map(lambda x, g: x - learning_rate * g, moving, gradient)

    return jax.lax.fori_loop(0, num_steps, step, moving)


def sde(solver: Any = None) -> sg.SDE:
    """The SDE with η an array, so that both loops read it at run time."""
    return sg.SDE(jnp.float32(LEARNING_RATE), BATCH_SIZE, solver=solver)


def small_steps(rounds: int) -> list[Row]:
    """Euler, RK3 and ``simulate`` against gradient descent, on the small net."""
    problem, num_steps = small_problem(), 20
    euler, rk3, rate = sde(diffrax.Euler()), sde(), jnp.float32(LEARNING_RATE)
    sizes = sizes_of(problem)
    programs = [
        lambda k: dynamics_loop(euler, problem, jr.key(k + 1), num_steps),
        lambda k: descent_loop(problem, rate, num_steps),
        lambda k: dynamics_loop(rk3, problem, jr.key(k + 1), num_steps),
    ]
    by_euler, descent, by_rk3 = in_turns(programs, 4 * rounds).T / num_steps
    many = 10 * num_steps
    programs = [lambda k: _simulated(euler, problem, many, k), lambda k: descent_loop(problem, rate, many)]
    simulated, long_descent = in_turns(programs, rounds).T / many
    return [
        ratio_row("Euler step of the SDE ÷ full gradient step", sizes, by_euler, descent, at_most=1.1),
        ratio_row("RK3 step of the SDE ÷ full gradient step", sizes, by_rk3, descent, at_most=4.4),
        ratio_row("Euler step in simulate, 1 replica ÷ the same", sizes, simulated, long_descent),
    ]


def _simulated(dynamics: Any, problem: sg.Problem, num_steps: int, k: int) -> PyTree:
    steps: dict[str, Any] = {"num_steps": num_steps, "save_every": num_steps}
    return sg.simulate(dynamics, problem, replicas=1, key=jr.key(k + 1), observables={}, **steps).final_params


def large_steps(rounds: int) -> list[Row]:
    """Euler against gradient descent on the large net, and the peak memory of the Euler loop."""
    problem, num_steps = large_problem(), 2
    euler, rate = sde(diffrax.Euler()), jnp.float32(LEARNING_RATE)
    programs = [
        lambda k: dynamics_loop(euler, problem, jr.key(k + 1), num_steps),
        lambda k: descent_loop(problem, rate, num_steps),
    ]
    above, below = in_turns(programs, rounds).T / num_steps
    sizes = sizes_of(problem)
    what = "Euler step of the SDE ÷ full gradient step"
    return [ratio_row(what, sizes, above, below, at_most=1.1), memory_row(sizes)]


# -- memory ------------------------------------------------------------------------------------------------


def peak_bytes() -> int:
    """The largest resident memory of this process so far.

    On Linux VmHWM of /proc/self/status: getrusage's ru_maxrss survives exec, so a child started by a large
    parent would report the parent's.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def large_step_memory() -> dict[str, int]:
    """Runs the large Euler loop alone: peak bytes before (JAX started) and after (compilation too)."""
    jax.block_until_ready(jnp.zeros(1))
    before = peak_bytes()
    jax.block_until_ready(dynamics_loop(sde(diffrax.Euler()), large_problem(), jr.key(0), 2))
    return {"before": before, "after": peak_bytes()}


def memory_row(sizes: str) -> Row:
    """Peak memory of a process that runs the large Euler loop and nothing else."""
    what, target = "Peak memory of a process with that Euler loop", "< 1.00 GB"
    command = [sys.executable, "-c", _CHILD]
    try:
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Row(what, sizes, "not measured", target, times=type(error).__name__)
    before, after = measured["before"] / 1e9, measured["after"] / 1e9
    times = f"{after - before:.2f} GB above imports"
    return Row(what, sizes, f"{after:.2f} GB", target, after < 1, times)


# -- the command -------------------------------------------------------------------------------------------


def measure(rounds: int) -> tuple[list[Row], list[str]]:
    """All rows, and remarks to print below them. The peers come last: torch's threads stay alive."""
    from experiments import bench_comparison, bench_convolutions, bench_peers, bench_sweep

    rows: list[Row] = []
    remarks: list[str] = []
    for part in (small_steps, large_steps):
        errors.print(f"measuring: {part.__name__.replace('_', ' ')}", highlight=False)
        rows += part(rounds)
    sweeps = (bench_sweep.overhead, bench_sweep.two_workers)
    peers = (bench_peers.small_equation, bench_sweep.replicas_of_sgd)
    for part in (bench_comparison.gradients, *sweeps, *peers, bench_convolutions.convolutions):
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

    With ``--device`` the other arguments are those of ``bench_device``, and so is the exit status.
    """
    if "--device" in arguments:
        from experiments import bench_device

        return bench_device.main([argument for argument in arguments if argument != "--device"])
    app = typer.Typer(add_completion=False)

    @app.command(help="Times compiled loops against each other and against peers; about seven minutes.")
    def bench(
        rounds: Annotated[int, typer.Option(min=3, help="Turns of each comparison.")] = 7,
        device: Annotated[bool, typer.Option("--device", help="The accelerator's check instead; own options.")] = False,
    ) -> None:
        del device  # it goes to bench_device before this command is asked
        show(*measure(rounds))

    try:
        app(arguments, prog_name="python -m experiments bench")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
