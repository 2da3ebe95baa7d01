"""What ``bench --device`` runs: F2 and C1 at the paper's sizes or at toy size, smooth variants, operations."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd as sg
from sdesgd import nets, observables, sizes
from sdesgd.nets.layers import Activation, Convolution, Dense, Pool

# A chunk of units whose activations, counted without fusion, take this many bytes. The library's own chunks fit the
# caches of a CPU, and leave an accelerator idle.
ACCELERATOR_CHUNK_BYTES = 2**31


@dataclasses.dataclass(frozen=True)
class Case:
    """One net on one data set.

    Args:
        net: "f2" | "c1".
        width: of the net.
        num_examples: N, in whole batches. batch_size: S, the group of batch norm.
        num_test: held-out examples of the observables.
        check_examples, check_batch: N and S of the comparison with float64 on the CPU, at the same width.
        matvecs: Lanczos steps there.
        frames: whether the inputs are the ``frames`` data set; else random ones.
        depth: hidden layers of F2, which has seven; fewer for tests, since compilation dominates.
        fewer: whether one dynamics alone is compared with float64.
    """

    net: str
    width: int
    num_examples: int
    batch_size: int
    num_test: int
    check_examples: int
    check_batch: int
    matvecs: int
    frames: bool = False
    depth: int = 7
    fewer: bool = False


PAPER = {
    "f2": Case("f2", 512, 65_536, 256, 4096, 512, 64, 30, frames=True),
    "c1": Case("c1", 64, 49_920, 256, 4096, 256, 32, 30),
}
TOY = {
    "f2": Case("f2", 8, 64, 8, 16, 32, 8, 12, depth=1),
    "c1": Case("c1", 4, 32, 8, 16, 16, 8, 8, fewer=True),
}
# Full-batch gradients of one step with batch norm; five of the third-order SDE step.
GRADIENTS = {"SDE": 5}
_FEATURES, _CLASSES = 12, 5  # of F2 on random inputs


def images(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes of 32×32×3 images: (inputs (num, 3072), labels (num,)).

    A class is a smooth random pattern; an image is its class's pattern of random contrast, moved by up to four pixels,
    with white noise of twice its strength. The patterns are the same for every seed.
    """
    coarse = np.random.default_rng(1973).standard_normal((10, 8, 8, 3)).astype(np.float32)
    patterns = coarse.repeat(4, 1).repeat(4, 2)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, num).astype(np.int32)
    x = 2 * rng.standard_normal((num, 32, 32, 3), np.float32)
    contrast = rng.uniform(0.5, 1.5, num).astype(np.float32)
    moves = rng.integers(0, 9, num)
    for move in range(9):
        mine = moves == move
        moved = np.roll(patterns, (move % 3 * 4 - 4, move // 3 * 4 - 4), (1, 2))
        x[mine] += contrast[mine, None, None, None] * moved[labels[mine]]
    return x.reshape(num, -1) / 2.2, labels


def data(case: Case, num: int, num_test: int) -> tuple[Any, Any, Any, Any, int]:
    """(inputs, labels, test inputs, test labels, classes)."""
    if case.net == "c1":
        return *images(num, 0), *images(num_test, 1), 10
    if case.frames:
        found = sg.data.load("frames", num, num_test, 0)
        return found.inputs, found.labels, found.test_inputs, found.test_labels, found.num_classes
    rng = np.random.default_rng(0)
    rule = np.random.default_rng(1).standard_normal((_FEATURES, _CLASSES))
    inputs = [rng.standard_normal((n, _FEATURES), np.float32) for n in (num, num_test)]
    labels = [np.argmax(x @ rule + rng.standard_normal((len(x), _CLASSES)), 1).astype(np.int32) for x in inputs]
    return inputs[0], labels[0], inputs[1], labels[1], _CLASSES


def make_net(case: Case, num_classes: int, in_size: int, native: bool | None = None) -> nets.Net:
    """The net with batch norm and without dropout: masks are drawn in the dtype, and would differ between dtypes."""
    key = jr.key(7)
    if case.net == "f2":
        # F2 but for the depth; at seven it is nets.f2.
        options: dict[str, Any] = {"width": case.width, "normalization": "batch", "key": key}
        return nets.mlp(in_size, num_classes, depth=case.depth, **options)
    return nets.c1(width=case.width, num_classes=num_classes, dropout=0.0, native=native, key=key)


def full(case: Case) -> tuple[sg.Problem, observables.Together]:
    """The problem at full size, and observables of the net in use: losses and accuracy on equal parts of a set."""
    inputs, labels, test_inputs, test_labels, num_classes = data(case, case.num_examples, case.num_test)
    net = make_net(case, num_classes, inputs.shape[1])
    problem = nets.finite_sum(net, inputs, labels, case.batch_size)
    problem = with_chunks(problem, chunk_of(problem, ACCELERATOR_CHUNK_BYTES))
    part = slice(0, case.num_test)
    # Losses in parts of four batches: the activations of all replicas of a block are in memory together.
    size = 4 * case.batch_size
    train = nets.Evaluation({"train_loss": nets.cross_entropy}, inputs[part], labels[part], size)
    scores = {"test_loss": nets.cross_entropy, "test_accuracy": nets.correct}
    test = nets.Evaluation(scores, test_inputs, test_labels, size)
    distance = observables.SquaredDistance(net)
    return problem, observables.Together({"train": train, "test": test, "distance_squared": distance})


def chunk_of(problem: sg.Problem, num_bytes: int) -> int:
    """Units of a chunk of so many bytes of activations, counted as the library counts them; on a CPU its own choice."""
    if jax.default_backend() == "cpu":
        return problem.chunk_size
    units = jax.tree.map(lambda x: x[: 2 * problem.unit_size].reshape(2, problem.unit_size, *x.shape[1:]), problem.data)
    loss, fixed = problem.per_example_loss, problem.params
    batched = lambda p, batch: jax.vmap(lambda one: loss(eqx.combine(p, fixed), one))(batch)  # noqa: E731
    each = sizes.activation_bytes(batched, problem.moving(), units)
    # A divisor: the units left over would be compiled as a program of their own.
    most = max(1, min(problem.num_units, num_bytes // each))
    return next(n for n in range(most, 0, -1) if problem.num_units % n == 0)


def with_chunks(problem: sg.Problem, chunk_size: int | None) -> sg.Problem:
    """The same problem with other chunks; None: the library's own choice."""
    return sg.Problem(
        problem.per_example_loss,
        problem.params,
        problem.data,
        unit_size=problem.unit_size,
        stochastic=problem.stochastic,
        batched=problem.batched,
        chunk_size=chunk_size,
    )


def by_matmuls(problem: sg.Problem) -> sg.Problem:
    """The same with convolutions as matrix products: those of many replicas, each with its own kernel, differ more."""

    def other(layer: Any) -> Any:
        if not isinstance(layer, Convolution):
            return layer
        into, out = layer.kernel.shape[2:]
        form = Convolution(into, out, layer.kernel.shape[0], stride=layer.stride, native=False, key=jr.key(0))
        return eqx.tree_at(lambda c: (c.kernel, c.bias), form, (layer.kernel, layer.bias))

    net = nets.Net(tuple(other(layer) for layer in problem.params.layers))
    inputs, labels = problem.data
    return nets.finite_sum(net, inputs, labels, problem.unit_size, chunk_size=problem.chunk_size)


# -- for the comparison with float64 -----------------------------------------------------------------------


class MeanPool(eqx.Module):
    """The mean of 2×2 pixels, in place of a maximum: no kink."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def smooth(net: nets.Net) -> nets.Net:
    """The net with softplus in place of ReLU and means in place of maxima."""

    def without_kink(layer: Any) -> Any:
        if isinstance(layer, Activation):
            return Activation(jax.nn.softplus)
        return MeanPool() if isinstance(layer, Pool) else layer

    return nets.Net(tuple(without_kink(layer) for layer in net.layers))


def small(case: Case, *, kinks: bool, native: bool | None) -> sg.Problem:
    """The problem of the comparison: the full width on few examples, float32, one chunk."""
    inputs, labels, _, _, num_classes = data(case, case.check_examples, case.check_batch)
    net = make_net(case, num_classes, inputs.shape[1], native)
    net = net if kinks else smooth(net)
    chunk = case.check_examples // case.check_batch
    return nets.finite_sum(net, inputs, labels, case.check_batch, chunk_size=chunk)


# -- operations --------------------------------------------------------------------------------------------


def operations_an_example(net: nets.Net, size: int = 32) -> int:
    """Floating-point operations of the matrix products in one example's gradient: 2 a multiply and add.

    Forward, back to the weights, and back to the inputs, but for the first layer's; nothing else is counted.

    Args:
        net: whose.
        size: pixels of an image's side before the first convolution.
    """
    total, first = 0, True
    for layer in net.layers:
        if isinstance(layer, Convolution):
            size = -(-size // layer.stride)
            products = size * size * layer.kernel.size
        elif isinstance(layer, Dense):
            products = layer.weight.size
        elif isinstance(layer, Pool):
            size = -(-size // 2)
            continue
        else:
            continue
        total += 2 * products * (2 if first else 3)
        first = False
    return total


def bytes_of(tree: Any) -> int:
    """Of all arrays."""
    return sum(x.size * jnp.asarray(x).dtype.itemsize for x in jax.tree.leaves(tree) if eqx.is_array(x))
