"""The same net in PyTorch on the same device: an SGD step and the full-batch gradient, group by group."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import sdesgd as sg
from experiments.bench.device.parts import REPEATS, Clock, quartiles
from experiments.bench.device.speed import LEARNING_RATE


def peer(problem: sg.Problem, clock: Clock, result: dict[str, Any]) -> None:
    """Fills ``result`` with seconds of PyTorch's steps, without and with TensorFloat-32, and the gradients' distance.

    Eager PyTorch, as most people run it. The full gradient is the library's: the mean over groups of S, each
    normalised by its own statistics, accumulated by a loop over the groups.
    """
    import torch  # pyright: ignore[reportMissingImports]

    from experiments.bench.convolutions import in_torch_layout, torch_net

    wants_gpu = jax.default_backend() != "cpu"
    if wants_gpu and not torch.cuda.is_available():
        raise RuntimeError("this PyTorch sees no GPU: nothing to compare with")
    device = torch.device("cuda" if wants_gpu else "cpu")
    result["version"], result["device"] = torch.__version__, str(device)
    S, groups = problem.unit_size, problem.num_units
    inputs, labels = (np.asarray(x) for x in problem.data)
    net = torch_net(problem.params).to(device)
    parameters = list(net.parameters())
    shape = (-1, 32, 32, 3) if parameters[0].ndim == 4 else (-1, inputs.shape[1])
    x = torch.tensor(inputs.reshape(shape)).to(device)
    x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
    y = torch.tensor(labels).long().to(device)
    loss = torch.nn.functional.cross_entropy
    wait: Callable[[], Any] = torch.cuda.synchronize if wants_gpu else lambda: None

    def gradient(rows: Any) -> Any:
        return torch.autograd.grad(loss(net(x[rows]), y[rows]), parameters)

    def descend(found: Any) -> None:
        with torch.no_grad():
            for p, g in zip(parameters, found, strict=True):
                p -= LEARNING_RATE * g

    def full() -> list[Any]:
        total = [torch.zeros_like(p) for p in parameters]
        for k in range(groups):
            found = gradient(slice(k * S, (k + 1) * S))
            for t, g in zip(total, found, strict=True):
                t += g
        return [t / groups for t in total]

    for name, tf32 in (("highest", False), ("default", True)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        if not tf32:  # before any step, with the weights of ours; a ReLU near its kink is enough for 1e-3
            ours = in_torch_layout(_gradient(problem))
            result["gradients_apart"] = _apart([g.cpu().numpy() for g in full()], ours)
            clock.say(f"PyTorch's full gradient and ours: {result['gradients_apart']:.1e} apart")
        row = result.setdefault(name, {"tensorfloat32": tf32})
        row["SGD"] = _timed(lambda: descend(gradient(torch.randint(0, len(x), (S,), device=device))), wait)
        row["gradient"] = _timed(lambda: descend(full()), wait)
        clock.say(f"PyTorch at {name}: SGD {row['SGD']['median']:.3g} s, gradient {row['gradient']['median']:.3g} s")


def _gradient(problem: sg.Problem) -> Any:
    import equinox as eqx

    with jax.default_matmul_precision("highest"):
        return eqx.filter_jit(lambda p: p.gradient(p.params))(problem)


def _apart(theirs: list[np.ndarray], ours: list[np.ndarray]) -> float:
    difference = sum(float(np.sum((a - b) ** 2)) for a, b in zip(theirs, ours, strict=True))
    return (difference / sum(float(np.sum(b**2)) for b in ours)) ** 0.5


def _timed(step: Callable[[], Any], wait: Callable[[], Any], least: float = 0.2) -> dict[str, Any]:
    """Seconds of a step; as ``parts.timed``, with PyTorch's own waiting."""

    def seconds(count: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(count):
            step()
        wait()
        return time.perf_counter() - start

    seconds(1)
    once = seconds(1)
    count = max(1, min(1000, round(least / max(once, 1e-7))))
    repeats = [seconds(count) / count for _ in range(REPEATS)]
    return {**quartiles(repeats), "steps_a_repeat": count, "repeats": REPEATS}
