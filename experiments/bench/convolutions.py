"""The benchmark of C1: gradient steps against PyTorch, with the same weights on the same images."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd as sg
from experiments.bench.peers import NOT_INSTALLED, installed
from experiments.bench.timing import LEARNING_RATE, Row, in_turns, ratio_row
from sdesgd import nets
from sdesgd.nets.layers import Activation, BatchNorm, Convolution, Dense, Pool

BATCH = 50
STEPS = {"paper": 10, "released": 2}


@eqx.filter_jit
def descent(problem: sg.Problem, num_steps: int) -> Any:
    """``num_steps`` steps of gradient descent on all images as one group, in one compiled loop."""
    moving, fixed = eqx.partition(problem.params, eqx.is_inexact_array)

    def step(_: Any, moving: Any) -> Any:
        gradient = problem.gradient(eqx.combine(moving, fixed))
        return jax.tree.map(lambda x, g: x - LEARNING_RATE * g, moving, gradient)

    return jax.lax.fori_loop(0, num_steps, step, moving)


def in_torch_layout(net: Any) -> list[np.ndarray]:
    """The arrays of a net, or of a gradient, as PyTorch has them: channels first, weights (out, in)."""
    arrays: list[Any] = []
    channels = 0
    for layer in net.layers:
        if isinstance(layer, Convolution):
            channels = layer.bias.size
            arrays += [np.asarray(layer.kernel).transpose(3, 2, 0, 1), layer.bias]
        elif isinstance(layer, Dense):
            weight = np.asarray(layer.weight)
            if channels:  # the first after the flattening, ours by (row, column, channel), theirs channel first
                side = math.isqrt(weight.shape[0] // channels)
                weight = weight.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
                channels = 0
            arrays += [weight.T, layer.bias]
        elif isinstance(layer, BatchNorm):
            arrays += [layer.scale, layer.shift]
    return [np.array(x) for x in arrays]


def torch_net(net: nets.Net) -> Any:
    """The same layers in PyTorch with the same weights; batch norm by the batch's own statistics."""
    import torch  # pyright: ignore[reportMissingImports]

    layers: list[Any] = []
    for layer in net.layers:
        flat = any(isinstance(one, torch.nn.Flatten) for one in layers)
        if isinstance(layer, Convolution):
            size, _, into, out = layer.kernel.shape
            layers.append(torch.nn.Conv2d(into, out, size, layer.stride, size // 2))
        elif isinstance(layer, Dense):
            layers += [] if flat else [torch.nn.Flatten()]
            into, out = layer.weight.shape
            layers.append(torch.nn.Linear(into, out))
        elif isinstance(layer, BatchNorm):
            kind = torch.nn.BatchNorm1d if flat else torch.nn.BatchNorm2d
            layers.append(kind(layer.scale.size, track_running_stats=False))
        elif isinstance(layer, Pool):
            layers.append(torch.nn.MaxPool2d(3, 2, 1))
        elif isinstance(layer, Activation):
            layers.append(torch.nn.ReLU())
    peer = torch.nn.Sequential(*layers)
    with torch.no_grad():
        for parameter, value in zip(peer.parameters(), in_torch_layout(net), strict=True):
            parameter.copy_(torch.tensor(value))
    return peer


def torch_gradient(peer: Any, problem: sg.Problem) -> Callable[[], Any]:
    """∇ of the mean cross-entropy of all images, as a function that computes it."""
    import torch  # pyright: ignore[reportMissingImports]

    images, labels = problem.data
    x = torch.tensor(np.asarray(images).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2).copy())
    y = torch.tensor(np.asarray(labels)).long()
    parameters = list(peer.parameters())
    return lambda: torch.autograd.grad(torch.nn.functional.cross_entropy(peer(x), y), parameters)


def problem_of(reading: str) -> sg.Problem:
    """C1 at full width with batch norm, on random images as one group; no dropout, so that gradients compare."""
    key_net, key_images, key_labels = jr.split(jr.key(0), 3)
    net = nets.c1(reading=reading, dropout=0.0, key=key_net)
    images = jr.normal(key_images, (BATCH, 32 * 32 * 3))
    return nets.finite_sum(net, images, jr.randint(key_labels, (BATCH,), 0, 10), BATCH)


def apart(problem: sg.Problem, dtype: str) -> float:
    """max |∇ − ∇'| ÷ max |∇|, ours against PyTorch's on the same float32 numbers, computed in a dtype.

    In float32 one ReLU whose input is within rounding of 0 is enough for 1e-2: the gradient jumps there.
    """
    import torch  # pyright: ignore[reportMissingImports]

    with jax.enable_x64(dtype == "float64"):
        cast = lambda x: jnp.asarray(np.asarray(x), dtype) if eqx.is_inexact_array(x) else x  # noqa: E731
        exact = jax.tree.map(cast, problem)
        ours = in_torch_layout(eqx.filter_jit(lambda p: p.gradient(p.params))(exact))
        peer = torch_net(problem.params).to(getattr(torch, dtype))
        theirs = [g.numpy() for g in torch_gradient(peer, exact)()]
    differences = [float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)]
    return max(differences) / max(float(np.abs(g).max()) for g in theirs)


def convolutions(rounds: int) -> tuple[list[Row], list[str]]:
    """A gradient step of C1, in µs an image, ours against PyTorch's; and how far the two gradients are apart."""
    rows, remarks = [], []
    for reading, num_steps in STEPS.items():
        what = f"C1 ({reading}) gradient step ÷ PyTorch's"
        problem = problem_of(reading)
        sizes = f"D = {problem.num_parameters:,}, batch norm, {BATCH} images 32×32×3"
        if not installed("torch"):
            rows.append(Row(what, sizes, "–", "≤ 1.20", times=NOT_INSTALLED))
            continue
        import torch  # pyright: ignore[reportMissingImports]

        peer = torch_net(problem.params)
        gradient = torch_gradient(peer, problem)
        words = ", ".join(f"{apart(problem, dtype):.1e} in {dtype}" for dtype in ("float64", "float32"))
        remarks.append(f"C1 ({reading}): largest difference of the two gradients ÷ the largest entry: {words}")

        def theirs_loop(k: int, peer=peer, gradient=gradient, num_steps=num_steps) -> Any:
            del k
            for _ in range(num_steps):
                found = gradient()
                with torch.no_grad():
                    for p, g in zip(peer.parameters(), found, strict=True):
                        p -= LEARNING_RATE * g
            return jnp.zeros(())

        def ours_loop(k: int, problem=problem, num_steps=num_steps) -> Any:
            del k
            return descent(problem, num_steps)

        seconds = in_turns([ours_loop, theirs_loop], rounds).T / num_steps / BATCH
        rows.append(ratio_row(what, f"{sizes}; times an image", seconds[0], seconds[1], at_most=1.2))
    return rows, remarks
