"""What a step costs on the device: against its floor, at two precisions, and with many replicas; measured rates."""

import concurrent.futures
import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import sdesgd as sg
from experiments.bench.device import problems
from experiments.bench.device.parts import Clock, compiled, peak_bytes, timed
from sdesgd import sizes

LEARNING_RATE = 0.1
OWN = "gradient, default chunks"  # those that ``Problem`` chooses by itself
# What is timed at which precision of matrix products; programs are compiled together, several at a time.
PRECISIONS = {"highest": ("SDE", "SGD", "Gaussian SGD", "gradient", OWN), "default": ("SDE", "SGD", "gradient")}


# -- what the device can do --------------------------------------------------------------------------------


@eqx.filter_jit
def _products(a: jax.Array, b: jax.Array, count: jax.Array) -> jax.Array:
    """``count`` matrix products, each of the last one's result: nothing can be left out."""
    return jax.lax.fori_loop(0, count, lambda _, x: (x @ b) / jnp.sqrt(jnp.asarray(b.shape[0], b.dtype)), a)


@eqx.filter_jit
def _copies(x: jax.Array, count: jax.Array) -> jax.Array:
    return jax.lax.fori_loop(0, count, lambda _, x: x * jnp.asarray(0.999, x.dtype), x)


def rates(clock: Clock, result: dict[str, Any]) -> None:
    """Fills ``result`` with matrix rates (operations a second) and the copy rate (bytes read and written a second)."""
    n, elements = (256, 2**16) if clock.toy else (8192, 2**28)
    for name, dtype, precision in (
        ("float32, highest", jnp.float32, "highest"),
        ("float32, default", jnp.float32, "default"),
        ("bfloat16", jnp.bfloat16, "default"),
    ):
        a, b = (jr.normal(jr.key(k), (n, n), dtype) for k in (0, 1))
        program, _ = compiled(_products, a, b, jnp.asarray(1), precision=precision)
        seconds = timed(lambda count, p=program, a=a, b=b: p(a, b, jnp.asarray(count)))
        result[f"matrix, {name}"] = 2 * n**3 / seconds["median"]
        clock.say(f"matrix product {n}×{n}, {name}: {result[f'matrix, {name}'] / 1e12:.3g} TFLOP/s")
    x = jr.normal(jr.key(2), (elements,))
    program, _ = compiled(_copies, x, jnp.asarray(1))
    seconds = timed(lambda count: program(x, jnp.asarray(count)))
    result["copy"] = 2 * x.size * 4 / seconds["median"]
    clock.say(f"copy of {x.size * 4 / 1e9:.3g} GB: {result['copy'] / 1e12:.3g} TB/s read and written")


# -- steps -------------------------------------------------------------------------------------------------


@eqx.filter_jit
def _loop(dynamics: Any, problem: sg.Problem, keys: Any, count: jax.Array) -> Any:
    """``count`` steps from the problem's start, for one key, or for several side by side."""
    carry, fixed = eqx.partition(dynamics.init(problem, problem.params), eqx.is_array)

    def one(key: Any) -> Any:
        def step(n: jax.Array, carry: Any) -> Any:
            state = dynamics.step(problem, eqx.combine(carry, fixed), jr.fold_in(key, n), n)
            return eqx.filter(state, eqx.is_array)

        return jax.lax.fori_loop(0, count, step, carry)

    return jax.vmap(one)(keys) if keys.ndim else one(keys)


@eqx.filter_jit
def _descent(problem: sg.Problem, count: jax.Array) -> Any:
    moving, fixed = eqx.partition(problem.params, eqx.is_inexact_array)

    def step(_: Any, moving: Any) -> Any:
        gradient = problem.gradient(eqx.combine(moving, fixed))
        return jax.tree.map(lambda x, g: x - LEARNING_RATE * g, moving, gradient)

    return jax.lax.fori_loop(0, count, step, moving)


def floor_of(step: str, problem: sg.Problem, measured: dict[str, float], precision: str, replicas: int = 1) -> dict:
    """The least seconds of a step: operations ÷ matrix rate, bytes ÷ copy rate, and the larger of the two.

    Bytes: each example of a gradient is read once, and θ is read and written once a step; activations are not counted.
    """
    S, N = problem.unit_size, problem.num_examples
    examples = S if step == "SGD" else N * problems.GRADIENTS.get(step, 1)
    operations = replicas * examples * problems.operations_an_example(problem.params)
    moved = replicas * (examples * problems.bytes_of(problem.data) / N + 2 * problems.bytes_of(problem.moving()))
    by = {"operations": operations / measured[f"matrix, float32, {precision}"], "bytes": moved / measured["copy"]}
    return {"operations": operations, "bytes": moved, "seconds_by": by, "seconds": max(by.values())}


def steps(problem: sg.Problem, measured: dict[str, float], clock: Clock, result: dict[str, Any]) -> None:
    """Fills ``result`` with the seconds of SGD, Gaussian and SDE steps and of a gradient, at two precisions."""
    S = problem.unit_size
    dynamics: dict[str, Any] = {
        "SDE": sg.SDE(LEARNING_RATE, S),
        "SGD": sg.SGD(LEARNING_RATE, S),
        "Gaussian SGD": sg.GaussianSGD(LEARNING_RATE, S),
        "gradient": None,
        OWN: None,
    }
    result["chunk_size"], result["num_units"] = problem.chunk_size, problem.num_units
    own, one = problems.with_chunks(problem, library_chunk(problem)), jnp.asarray(1)
    asked = [(name, precision) for precision, names in PRECISIONS.items() for name in names]

    wide = jax.dtypes.canonicalize_dtype("float64") == "float64"  # of this thread, which others don't share

    def prepare(name: str, precision: str) -> tuple[Any, dict[str, Any]]:
        with jax.enable_x64(wide):
            if dynamics[name] is None:
                return compiled(_descent, own if name == OWN else problem, one, precision=precision)
            return compiled(_loop, dynamics[name], problem, jr.key(0), one, precision=precision)

    with concurrent.futures.ThreadPoolExecutor(max(1, min(8, (os.cpu_count() or 2) - 1))) as pool:
        tasks = [pool.submit(prepare, *each) for each in asked]
        try:
            for (name, precision), task in zip(asked, tasks, strict=True):
                program, found = task.result()
                concurrent.futures.wait(tasks)  # nothing compiles while something is timed
                if dynamics[name] is None:
                    which = own if name == OWN else problem
                    seconds = timed(lambda n, p=program, which=which: p(which, jnp.asarray(n)))
                else:
                    seconds = timed(lambda n, p=program, d=dynamics[name]: p(d, problem, jr.key(n), jnp.asarray(n)))
                row: dict[str, Any] = {"seconds": seconds, "compiled": found}
                result.setdefault(precision, {})[name] = row
                told = ""
                if measured:
                    row["floor"] = floor_of(name, problem, measured, precision)
                    told = f", at least {row['floor']['seconds']:.3g} s"
                clock.say(f"{name} at {precision}: {seconds['median']:.3g} s a step{told}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    result["library_chunk_size"] = own.chunk_size
    result["peak_bytes"] = peak_bytes()


def library_chunk(problem: sg.Problem) -> int:
    """The chunk that ``Problem`` chooses by itself."""
    return problems.with_chunks(problem, None).chunk_size


def replicas(problem: sg.Problem, measured: dict[str, float], clock: Clock, result: dict[str, Any]) -> None:
    """Fills ``result`` with SGD steps × replicas a second for 1, 8 and 64 replicas side by side, at "highest"."""
    S = problem.unit_size
    sgd = sg.SGD(LEARNING_RATE, S)
    for count in (1, 4) if clock.toy else (64, 1, 8):
        keys = jr.split(jr.key(1), count)
        program, found = compiled(_loop, sgd, problem, keys, jnp.asarray(1), precision="highest")
        seconds = timed(lambda n, p=program, keys=keys: p(sgd, problem, keys, jnp.asarray(n)))
        row: dict[str, Any] = {"seconds": seconds, "compiled": found, "per_second": count / seconds["median"]}
        if measured:
            row["floor"] = floor_of("SGD", problem, measured, "highest", count)
        result[str(count)] = row
        clock.say(f"{count} replicas side by side: {row['per_second']:.4g} SGD steps × replicas a second")
    block = sizes.replica_block(
        problem.num_parameters, S // problem.unit_size, problem.num_units, 64, jax.default_backend()
    )
    result["library_block_of_64"] = block
    result["peak_bytes"] = peak_bytes()
