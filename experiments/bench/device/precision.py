"""Whether float32 on the device agrees with float64 on the CPU: steps, tr C, λ_max, both forms of convolution.

Each quantity is computed from the same numbers (weights, data, the step's draws) four times: in float64 on the CPU, in
float32 on the CPU, and in float32 on the device at JAX's default precision of matrix products and at "highest". The
error is ‖x − x64‖ / ‖x64‖, of a step that of θ₁ − θ₀.

What is allowed: ten times the error of the CPU's float32, which has the same roundings in another order, at least 1e-5
(a hundred roundings, some 6e-8 each) and at most 1e-2. The nets are smooth for this, softplus for ReLU and means for
maxima: a ReLU whose input is within rounding of 0 falls on either side, and one of those changes the gradient of some
hundred examples by about 1e-3, whatever the precision of the rest. The nets as published are checked with the
Gaussian step alone, within 2e-2: a few such.

TensorFloat-32, the default of matrix products on recent NVIDIA chips, rounds factors to 11 bits, 2.4e-4 each.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree

import sdesgd as sg
from experiments.bench.device.parts import at_precision
from experiments.bench.device.problems import Case, small
from sdesgd.nets import convolution

TIMES, LEAST, MOST, KINKS = 10.0, 1e-5, 1e-2, 2e-2
PLACES = ("cpu_float64", "cpu_float32", "default", "highest")
_RATE = 0.1


@dataclasses.dataclass(frozen=True)
class Job:
    """A quantity: what computes it, on arguments that are cast and moved.

    Args:
        name: of the quantity.
        function: compiled, of the arguments, to an array; or, with ``compile`` False, called as it is.
        args: float32, on the CPU. reference: other arguments for the CPU, None: the same.
        kinks: whether the net has any.
        compile: whether to compile it here.
    """

    name: str
    function: Callable
    args: tuple
    reference: tuple | None = None
    kinks: bool = False
    compile: bool = True


def dynamics_checked(batch: int) -> dict[str, Any]:
    """Every dynamics, one step of each."""
    return {
        "SGD": sg.SGD(_RATE, batch),
        "SGD with momentum": sg.SGD(_RATE, batch, momentum=0.9),
        "Gaussian SGD": sg.GaussianSGD(_RATE, batch),
        "SDE, SmallNoiseRK3": sg.SDE(_RATE, batch),
        "SDE, Euler": sg.SDE(_RATE, batch, solver=diffrax.Euler()),
        "SDE with momentum": sg.SDE(_RATE, batch, momentum=0.9),
        "SVAG(2)": sg.SVAG(_RATE, batch, 2),
        "SDE, order 2": sg.SDE(_RATE, batch, order=2),
    }


def jobs(case: Case) -> list[Job]:
    """All quantities of one net; arrays are made on the CPU in float32."""
    with jax.default_device(jax.devices("cpu")[0]), jax.enable_x64(False):
        # On the CPU C1's convolutions are matrix products: another form, as well as another precision.
        problems = {
            (kinks, native): small(case, kinks=kinks, native=native)
            for kinks in (False, True)
            for native in (True, False)
        }
        device, cpu = problems[False, True], problems[False, False]
        chosen = dynamics_checked(case.check_batch)
        if case.fewer:
            chosen = {"SGD with momentum": chosen["SGD with momentum"]}
        found, last = [], []
        for name, dynamic in chosen.items():
            # The costliest to compile come last: the time may be over.
            late = name in ("SDE, Euler", "SVAG(2)", "SDE with momentum", "SDE, order 2")
            (last if late else found).append(step_job(name, dynamic, device, cpu))
        gaussian = sg.GaussianSGD(_RATE, case.check_batch)
        found.append(step_job("Gaussian SGD, net as published", gaussian, problems[True, True], problems[True, False]))
        if not case.fewer:
            found.append(Job("tr C", _trace, (device, jr.key(3)), (cpu, jr.key(3))))
            lanczos = functools.partial(_top_eigenvalue, case.matvecs)
            found.append(Job("λ_max", lanczos, (device, jr.key(4)), (cpu, jr.key(4)), compile=False))
        if case.net == "c1":
            found.append(step_job("Gaussian SGD, native=False", gaussian, cpu, cpu))
            x = jr.normal(jr.key(5), (16, 16, 16, 16))
            kernel = jr.normal(jr.key(6), (5, 5, 16, 16)) / 20
            forms = {"native": convolution.native, "patches": convolution.patches, "tiles": _tiles}
            for name, form in forms.items():
                found.append(Job(f"convolution and its gradient, {name}", _Form(form), (x, kernel)))
    return [dataclasses.replace(job, kinks="published" in job.name) for job in [*found, *last]]


def step_job(name: str, dynamics: Any, device: sg.Problem, cpu: sg.Problem) -> Job:
    """θ₁ − θ₀ of one step, its draw given; with momentum from a velocity that isn't 0."""
    states = [dynamics.init(problem, problem.params) for problem in (device, cpu)]
    if states[0].velocity is not None:
        shapes = jax.tree.leaves(states[0].velocity)
        keys = jr.split(jr.key(8), len(shapes))
        leaves = [0.01 * jr.normal(k, x.shape, x.dtype) for k, x in zip(keys, shapes, strict=True)]
        # The same numbers in each net's own structure, which knows the form of its convolutions.
        states = [s._replace(velocity=jax.tree.unflatten(jax.tree.structure(s.velocity), leaves)) for s in states]
    draw = dynamics.draw(device, states[0], jr.key(9), jnp.asarray(0))
    return Job(name, _Step(dynamics), (device, states[0], draw), (cpu, states[1], draw))


class _Step(eqx.Module):
    dynamics: Any

    def __call__(self, problem: sg.Problem, state: Any, draw: Any) -> jax.Array:
        new = self.dynamics.advance(problem, state, draw, jnp.asarray(0))
        before, after = (ravel_pytree(eqx.filter(s.params, eqx.is_inexact_array))[0] for s in (state, new))
        return after - before


class _Form(eqx.Module):
    form: Callable = eqx.field(static=True)

    def __call__(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        y, back = jax.vjp(lambda x, k: self.form(x, k, 1), x, kernel)
        parts = (y, *back(jnp.cos(y)))
        return jnp.concatenate([p.ravel() / jnp.sqrt(p.size) for p in parts])


def _tiles(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    del stride
    return convolution.tiles(x, kernel)


def _trace(problem: sg.Problem, key: Any) -> jax.Array:
    return sg.gradient_noise.trace(problem, problem.params, key)


def _top_eigenvalue(matvecs: int, problem: sg.Problem, key: Any) -> jax.Array:
    found = sg.curvature.top_eigenpairs(problem, problem.params, key=key, num_matvecs=matvecs, mask_key=key)
    return jnp.stack([found.eigenvalues[0], found.residuals[0]])


# -- four places -------------------------------------------------------------------------------------------


def moved(tree: Any, device: Any, dtype: Any) -> Any:
    """Arrays on a device, floating ones of this dtype; within ``enable_x64`` for float64."""

    def move(x: Any) -> Any:
        if not eqx.is_array(x):
            return x
        return jax.device_put(x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, device)

    return jax.tree.map(move, tree)


@contextlib.contextmanager
def set_for(place: str) -> Iterator[None]:
    """What is set while a place's program is traced and run."""
    on_cpu = place.startswith("cpu")
    device = jax.devices("cpu")[0] if on_cpu else jax.devices()[0]
    with (
        jax.default_device(device),
        jax.enable_x64(place == "cpu_float64"),
        at_precision(None if on_cpu else place),
    ):
        yield


def computed(job: Job, place: str) -> np.ndarray:
    """The quantity in one place, in float64 on the host."""
    on_cpu = place.startswith("cpu")
    device = jax.devices("cpu")[0] if on_cpu else jax.devices()[0]
    with set_for(place):
        given = job.reference if on_cpu and job.reference is not None else job.args
        args = moved(given, device, jnp.float64 if place == "cpu_float64" else jnp.float32)
        function = eqx.filter_jit(job.function) if job.compile else job.function
        return np.asarray(function(*args), np.float64)


def own_place(job: Job, place: str, net: str) -> str:
    """Where a place's value is computed: where the device is the CPU, which knows one precision, some are one."""
    if jax.default_backend() != "cpu" or place == "cpu_float64":
        return place
    # The two differ by the form of C1's convolutions.
    return "cpu_float32" if place == "cpu_float32" and net == "c1" and job.reference is not None else "default"


def errors_of(job: Job, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """The errors of one quantity against what is allowed.

    Args:
        job: the quantity.
        found: place → its value.
    """
    exact = found["cpu_float64"]
    extra = {}
    if job.name == "λ_max":
        # An exact eigenvalue lies within the residual of each value; start vectors differ between dtypes.
        extra["residual"] = float(exact[1] / abs(exact[0]))
        found, exact = {place: value[:1] for place, value in found.items()}, exact[:1]
    size = np.linalg.norm(exact)
    error = {p: float(np.linalg.norm(found[p] - exact) / size) for p in PLACES[1:] if p in found}
    allowed = KINKS if job.kinks else float(np.clip(TIMES * error["cpu_float32"], LEAST, MOST))
    allowed = max(allowed, extra.get("residual", 0.0))
    within = {f"{p}_within": bool(error[p] <= allowed) for p in ("default", "highest") if p in error}
    return {"quantity": job.name, **error, "allowed": allowed, **extra, **within}


def check(case: Case, result: dict[str, Any], say: Callable[[str], None]) -> None:
    """Fills ``result`` with the errors of all quantities; compiles several at a time.

    Args:
        case: the net.
        result: gets "quantities", the largest errors, and "agrees": all within what is allowed at "highest".
        say: progress.
    """
    todo = jobs(case)
    result["allowed"] = (__doc__ or "").split("\n\n")[2].replace("\n", " ")
    result["quantities"] = []
    workers = max(1, min(8, (os.cpu_count() or 2) - 1))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        wanted = {(n, own_place(job, place, case.net)) for n, job in enumerate(todo) for place in PLACES}
        tasks = {(n, place): pool.submit(computed, todo[n], place) for n, place in sorted(wanted)}
        try:
            for n, job in enumerate(todo):
                row = errors_of(job, {p: tasks[n, own_place(job, p, case.net)].result() for p in PLACES})
                result["quantities"].append(row)
                for place in ("default", "highest"):
                    result[f"all_within_at_{place}"] = all(r[f"{place}_within"] for r in result["quantities"])
                result["agrees"] = result["all_within_at_highest"]
                say(f"{case.net} {job.name}: " + ", ".join(f"{p} {row[p]:.1e}" for p in PLACES[1:]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
