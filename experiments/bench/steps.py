"""One step of the SDE against one step of gradient descent: time and memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, PRNGKeyArray, PyTree

import sdesgd as sg
from experiments._shared.run_folder import TOP
from experiments.bench.timing import BATCH_SIZE, LEARNING_RATE, Row, in_turns, ratio_row
from sdesgd import nets

_CHILD = "from experiments.bench.steps import large_step_memory as f; import json; print(json.dumps(f()))"


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
