"""The benchmark of sweeps: what keeping cells costs, what a second worker brings, SGD replicas against PyTorch's."""

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd as sg
from experiments.bench.peers import NOT_INSTALLED, installed, thread_counts
from experiments.bench.steps import classification, dynamics_loop, sizes_of
from experiments.bench.timing import Row, in_turns, ratio_row
from sdesgd import sweep
from sdesgd.nets.layers import Dense

LEARNING_RATE, MOMENTUM, BATCH_SIZE = 0.01, 0.9, 16
CELLS, CELL_STEPS = 6, 4000


@functools.cache
def problem() -> sg.Problem:
    """196 → 200 → 10, ReLU: D = 41,410, N = 1,000."""
    return classification(196, 10, 200, 1, 1000)


# -- sweeps ------------------------------------------------------------------------------------------------


def trained(learning_rate: float, seed: int) -> np.ndarray:
    """The biases of the last layer after one compiled run of SGD: the bare function."""
    dynamics = sg.SGD(jnp.float32(learning_rate), BATCH_SIZE, momentum=MOMENTUM)
    end = dynamics_loop(dynamics, problem(), jr.fold_in(jr.key(0), seed), CELL_STEPS)
    return np.asarray(jax.tree.leaves(end)[-1])


def cell(config: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """The same as a cell."""
    return {"end": np.asarray([trained(config["learning_rate"], seed).ravel()[0] for seed in seeds])}


def empty(config: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """A cell that computes nothing."""
    return {"end": np.zeros(len(seeds))}


def plan(count: int, function: str = "cell") -> sweep.Sweep:
    """Cells of one shape."""
    rates = (LEARNING_RATE * (1 + np.arange(count) / count)).tolist()
    return sweep.Sweep(f"experiments.bench.sweeps:{function}", sweep.grid({"learning_rate": rates}, seeds=1), code=())


def overhead(rounds: int) -> tuple[list[Row], list[str]]:
    """The same cells by ``sweep.run`` in this process, in a new folder each, and by calling the function."""
    cells, many = plan(CELLS).cells, 50
    with tempfile.TemporaryDirectory() as folder:
        programs = [
            lambda k: sweep.run(plan(CELLS), f"{folder}/{k}", progress="").table["end"].values,
            lambda k: np.asarray([cell(one.config, one.seeds)["end"] for one in cells]),
        ]
        swept, bare = in_turns(programs, 2 * rounds).T / CELLS
        keep = lambda k: sweep.run(plan(many, "empty"), f"{folder}/empty{k}", progress="").computed  # noqa: E731
        kept = in_turns([keep], rounds)[:, 0] / many
    sizes = f"{CELLS} cells of {np.median(bare):.2f} s, {sizes_of(problem())}, S = {BATCH_SIZE}"
    return [ratio_row("A cell in a sweep ÷ the bare compiled function", sizes, swept, bare, at_most=1.05)], [
        f"A cell that computes nothing takes {1e3 * np.median(kept):.1f} ms in a sweep ({1e3 * kept.min():.1f}–"
        f"{1e3 * kept.max():.1f}), most of it for the disk, of which a cell that computes hides a part."
    ]


def two_workers(rounds: int) -> tuple[list[Row], list[str]]:
    """The same cells on a dask cluster of one worker and on one of two, both running all the while."""
    what = "A sweep on one dask worker ÷ on two"
    import distributed

    def cluster(workers: int) -> Any:
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        )

    count = 2 * CELLS
    with cluster(1) as one, cluster(2) as two, tempfile.TemporaryDirectory() as folder:

        def program(name: str, address: str) -> Callable[[int], Any]:
            return lambda k: sweep.run(plan(count), f"{folder}/{name}{k}", scheduler=address, progress="").computed

        programs = [program("one", one.scheduler_address), program("two", two.scheduler_address)]
        alone, shared = in_turns(programs, rounds).T / count
    sizes = f"{count} cells, start-up of the workers left out, {sizes_of(problem())}, S = {BATCH_SIZE}"
    return [ratio_row(what, sizes, alone, shared)], []


# -- replicas of SGD ---------------------------------------------------------------------------------------

REPLICAS, STEPS = 8, 300


def torch_start(threads: int) -> tuple[Any, list[Any], Any, Any]:
    """torch, the same weights and biases, the same data."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(threads)
    dense = [layer for layer in problem().params.layers if isinstance(layer, Dense)]
    start = [torch.tensor(np.array(a, order="C")) for layer in dense for a in (np.asarray(layer.weight).T, layer.bias)]
    inputs, labels = (torch.tensor(np.asarray(a)) for a in problem().data)
    return torch, start, inputs, labels.long()


def torch_loss(torch: Any, parameters: Sequence[Any], inputs: Any, labels: Any) -> Any:
    """Mean cross-entropy of the net with one hidden layer."""
    linear = torch.nn.functional.linear
    hidden = torch.relu(linear(inputs, parameters[0], parameters[1]))
    return torch.nn.functional.cross_entropy(linear(hidden, parameters[2], parameters[3]), labels)


def torch_loop(threads: int) -> Callable[[int], np.ndarray]:
    """A plain training loop, one replica after the other; the losses at the end, (REPLICAS,)."""

    def run(k: int) -> np.ndarray:
        torch, start, inputs, labels = torch_start(threads)
        generator = torch.Generator().manual_seed(k + 1)
        losses = []
        for _ in range(REPLICAS):
            parameters = [p.clone().requires_grad_() for p in start]
            velocities = [torch.zeros_like(p) for p in start]
            for _ in range(STEPS):
                batch = torch.randint(len(inputs), (BATCH_SIZE,), generator=generator)
                loss = torch_loss(torch, parameters, inputs[batch], labels[batch])
                gradients = torch.autograd.grad(loss, parameters)
                with torch.no_grad():
                    for p, v, g in zip(parameters, velocities, gradients, strict=True):
                        v.mul_(MOMENTUM).sub_(g, alpha=LEARNING_RATE)
                        p.add_(v)
            losses.append(float(torch_loss(torch, parameters, inputs, labels).detach()))
        return np.asarray(losses)

    return run


def torch_vmap(threads: int) -> Callable[[int], np.ndarray]:
    """All replicas at once by ``torch.func.vmap`` of ``torch.func.grad``; the losses at the end, (REPLICAS,)."""

    def run(k: int) -> np.ndarray:
        torch, start, inputs, labels = torch_start(threads)
        generator = torch.Generator().manual_seed(k + 1000)
        loss = functools.partial(torch_loss, torch)
        gradient = torch.func.vmap(torch.func.grad(loss))
        parameters = tuple(p.expand(REPLICAS, *p.shape).clone() for p in start)
        velocities = tuple(torch.zeros_like(p) for p in parameters)
        for _ in range(STEPS):
            batch = torch.randint(len(inputs), (REPLICAS, BATCH_SIZE), generator=generator)
            gradients = gradient(parameters, inputs[batch], labels[batch])
            for p, v, g in zip(parameters, velocities, gradients, strict=True):
                v.mul_(MOMENTUM).sub_(g, alpha=LEARNING_RATE)
                p.add_(v)
        return torch.func.vmap(loss, in_dims=(0, None, None))(parameters, inputs, labels).numpy()

    return run


def replicas_of_sgd(rounds: int) -> tuple[list[Row], list[str]]:
    """SGD with momentum: ``simulate``, a PyTorch loop and ``torch.func.vmap``, and the losses that the three reach."""
    sizes = f"{sizes_of(problem())}, S = {BATCH_SIZE}, m = {MOMENTUM}, {REPLICAS} replicas"
    whats = {
        "PyTorch loop": "PyTorch loop ÷ simulate(SGD), a step of a replica",
        "torch.func.vmap": "torch.func.vmap ÷ simulate(SGD), a step of a replica",
    }
    targets = {"PyTorch loop": 3.0, "torch.func.vmap": None}
    if not installed("torch"):
        return [Row(what, sizes, "–", times=NOT_INSTALLED) for what in whats.values()], []

    sgd = sg.SGD(LEARNING_RATE, BATCH_SIZE, momentum=MOMENTUM)
    steps: dict[str, Any] = {"num_steps": STEPS, "save_every": STEPS}
    observables = {"loss": problem().loss}  # at both ends, as the other two have it at one

    def ours(k: int) -> np.ndarray:
        end = sg.simulate(sgd, problem(), replicas=REPLICAS, key=jr.key(k + 1), observables=observables, **steps)
        return end.values["loss"][:, -1]

    programs: dict[str, Callable[[int], np.ndarray]] = {"simulate": ours}
    for threads in thread_counts():
        programs[f"PyTorch loop, {threads} thread(s)"] = torch_loop(threads)
        programs[f"torch.func.vmap, {threads} thread(s)"] = torch_vmap(threads)
    losses: dict[str, list[np.ndarray]] = {name: [] for name in programs}

    def keeping(name: str) -> Callable[[int], Any]:
        def run(k: int) -> None:
            found = programs[name](k)
            if k >= 0:
                losses[name].append(found)

        return run

    seconds = dict(zip(programs, in_turns([keeping(name) for name in programs], 2 * rounds).T, strict=True))
    per_step = {name: value / (STEPS * REPLICAS) for name, value in seconds.items()}
    rows, shown = [], ["simulate"]
    for peer, what in whats.items():
        best = min((name for name in programs if name.startswith(peer)), key=lambda name: np.median(per_step[name]))
        shown.append(best)
        rows.append(ratio_row(what, f"{sizes}; {best}", per_step[best], per_step["simulate"], at_least=targets[peer]))
    return rows, [
        "SGD steps × replicas a second, median (range): " + "; ".join(_speed(name, per_step[name]) for name in shown),
        "Loss at the end, mean ± standard error over replicas, the same work in all: "
        + "; ".join(_level(name, np.concatenate(losses[name])) for name in shown),
    ]


def _speed(name: str, seconds: np.ndarray) -> str:
    return f"{name} {1 / np.median(seconds):,.0f} ({1 / seconds.max():,.0f}–{1 / seconds.min():,.0f})"


def _level(name: str, losses: np.ndarray) -> str:
    return f"{name} {losses.mean():.4f} ± {losses.std(ddof=1) / len(losses) ** 0.5:.4f}"
