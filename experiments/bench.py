"""``python -m experiments bench``: what a step costs, as ratios of compiled loops that are timed in turns.

Times depend on the machine and on what else it does; ratios of loops that take turns (a, b, b, a, …) hardly do.
The table reports, it never fails: it is no test.
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
from rich.table import Table

import sdesgd as sg
from experiments.run import TOP, console, errors
from sdesgd import models

LEARNING_RATE, BATCH_SIZE = 0.05, 32
_CHILD = "from experiments.bench import large_step_memory as f; import json; print(json.dumps(f()))"


# -- timing and rows ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: numerator ÷ denominator.
        value, spread: as shown; spread is the range over the rounds.
        target: as shown, empty where there is none.
        met: None where there is no target, or no measurement.
        times: what was divided, in plain units.
    """

    what: str
    value: str
    spread: str = ""
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
    what: str, above: np.ndarray, below: np.ndarray, *, at_most: float | None = None, at_least: float | None = None
) -> Row:
    """The median over rounds of above ÷ below, each pair timed one after the other, and the range over rounds.

    Args:
        what: numerator ÷ denominator.
        above, below: (rounds,) seconds of one step each.
        at_most, at_least: the target, if any.
    """
    ratios = above / below
    median = float(np.median(ratios))
    met, target = None, ""
    if at_most is not None:
        met, target = median <= at_most, f"≤ {at_most:.2f}"
    if at_least is not None:
        met, target = median >= at_least, f"≥ {at_least:.2f}"
    times = f"{_seconds(np.median(above))} / {_seconds(np.median(below))}"
    return Row(what, f"{median:.2f}", f"{ratios.min():.2f}–{ratios.max():.2f}", target, met, times)


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


# -- one step of the SDE against one step of gradient descent ----------------------------------------------


def classification(in_size: int, num_classes: int, width: int, depth: int, num_examples: int) -> sg.Problem:
    """An MLP with cross-entropy on random inputs and labels: the numbers don't matter to the cost."""
    key_net, key_inputs, key_labels = jr.split(jr.key(0), 3)
    net = models.mlp(in_size, num_classes, width=width, depth=depth, key=key_net)
    inputs = jr.normal(key_inputs, (num_examples, in_size))
    return sg.Problem(models.cross_entropy, net, (inputs, jr.randint(key_labels, (num_examples,), 0, num_classes)))


def small_problem() -> sg.Problem:
    """D = 14,914, N = 4,000."""
    return classification(196, 10, 72, 1, 4000)


def large_problem() -> sg.Problem:
    """D = 2,772,917, N = 2,000: a speech net, 360 spliced filter-bank inputs and 1,973 states."""
    return classification(360, 1973, 512, 7, 2000)


@eqx.filter_jit
def dynamics_loop(dynamics: Any, problem: sg.Problem, key: PRNGKeyArray, num_steps: int) -> PyTree:
    """``num_steps`` steps of a dynamics in one compiled loop, each with a key folded in as in ``simulate``."""
    carry, fixed = eqx.partition(dynamics.init(problem, problem.params), eqx.is_array)

    def step(n: Array, carry: PyTree) -> PyTree:
        return eqx.filter(dynamics.step(problem, eqx.combine(carry, fixed), jr.fold_in(key, n), n), eqx.is_array)

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
    problem, num_steps = small_problem(), 40
    euler, rk3, rate = sde(diffrax.Euler()), sde(), jnp.float32(LEARNING_RATE)
    what = f"a full-batch gradient step, {problem.num_parameters:,} parameters, N = {problem.num_examples}"
    rows = []
    for name, dynamics, target in (("Euler step of the SDE", euler, 1.1), ("RK3 step of the SDE", rk3, 4.4)):
        programs = [
            lambda k, d=dynamics: dynamics_loop(d, problem, jr.key(k + 1), num_steps),
            lambda k: descent_loop(problem, rate, num_steps),
        ]
        above, below = in_turns(programs, 2 * rounds).T / num_steps
        rows.append(ratio_row(f"{name} ÷ {what}", above, below, at_most=target))
    many = 10 * num_steps
    programs = [lambda k: _simulated(euler, problem, many, k), lambda k: descent_loop(problem, rate, many)]
    above, below = in_turns(programs, max(3, rounds // 2)).T / many
    return [*rows, ratio_row("The Euler step inside simulate, one replica, finite checks and all ÷ the same", above, below)]


def _simulated(dynamics: Any, problem: sg.Problem, num_steps: int, k: int) -> PyTree:
    key = jr.key(k + 1)
    return sg.simulate(
        dynamics, problem, num_steps=num_steps, replicas=1, key=key, observables={}, save_every=num_steps
    ).final_params


def large_steps(rounds: int) -> list[Row]:
    """Euler against gradient descent on the large net, and the memory of the Euler loop in a process of its own."""
    problem, num_steps = large_problem(), 2
    euler, rate = sde(diffrax.Euler()), jnp.float32(LEARNING_RATE)
    programs = [
        lambda k: dynamics_loop(euler, problem, jr.key(k + 1), num_steps),
        lambda k: descent_loop(problem, rate, num_steps),
    ]
    above, below = in_turns(programs, rounds).T / num_steps
    what = f"Euler step of the SDE ÷ a full-batch gradient step, {problem.num_parameters:,} parameters, "
    what += f"N = {problem.num_examples}, chunks of {problem.chunk_size}"
    return [ratio_row(what, above, below, at_most=1.1), memory_row()]


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
    """Runs the large Euler loop alone: peak bytes before (imports, JAX started) and after, compilation included."""
    jax.block_until_ready(jnp.zeros(1))
    before = peak_bytes()
    jax.block_until_ready(dynamics_loop(sde(diffrax.Euler()), large_problem(), jr.key(0), 2))
    return {"before": before, "after": peak_bytes()}


def memory_row() -> Row:
    """Peak memory of a process that runs the large Euler loop and nothing else."""
    what, target = "Peak memory of a process running only that Euler loop", "< 1.00 GB"
    try:
        done = subprocess.run([sys.executable, "-c", _CHILD], cwd=TOP, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Row(what, "not measured", target=target, times=type(error).__name__)
    before, after = measured["before"] / 1e9, measured["after"] / 1e9
    times = f"{after - before:.2f} GB over the {before:.2f} GB of imports"
    return Row(what, f"{after:.2f} GB", target=target, met=after < 1, times=times)


# -- the command -------------------------------------------------------------------------------------------


def measure(rounds: int) -> tuple[list[Row], list[str]]:
    """All rows, and remarks to print below them. The peers come last: torch's threads stay alive."""
    from experiments import bench_peers

    rows: list[Row] = []
    remarks: list[str] = []
    for part in (small_steps, large_steps):
        errors.print(f"measuring: {part.__name__.replace('_', ' ')}", highlight=False)
        rows += part(rounds)
    for part in (bench_peers.small_equation, bench_peers.minibatch_training):
        errors.print(f"measuring: {part.__name__.replace('_', ' ')}", highlight=False)
        measured, said = part(rounds)
        rows += measured
        remarks += said
    return rows, remarks


def show(rows: Sequence[Row], remarks: Sequence[str]) -> None:
    """Prints the table and the remarks."""
    title = f"Ratios of time, loops in turns; {os.cpu_count()} cores, jax {jax.__version__}, {jax.default_backend()}"
    table = Table(title=title, show_lines=True)
    for name, justify in (("what", "left"), ("ratio", "right"), ("range over rounds", "right"), ("target", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    table.add_column("one step each (median)")
    verdicts = {None: "", True: "met", False: "missed"}
    for row in rows:
        table.add_row(row.what, row.value, row.spread, row.target, verdicts[row.met], row.times)
    console.print(table, highlight=False)
    for remark in remarks:
        console.print(remark, highlight=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Measures and prints; the exit status is 0 whatever the targets, 2 for bad arguments."""
    app = typer.Typer(add_completion=False)

    @app.command(help="Times compiled loops against each other and against peers; about three minutes.")
    def bench(
        rounds: Annotated[int, typer.Option(min=3, help="Turns of each comparison.")] = 7,
    ) -> None:
        show(*measure(rounds))

    try:
        app(arguments, prog_name="python -m experiments bench")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
