"""The nets of the sources (equinox), and the finite sums that they make with a data set.

A net maps a batch, (B, features), to (B, outputs). Where batch norm couples the examples of a batch, the unit of the
sum is a group of S examples; dropout masks are part of the sample. ``finite_sum`` builds the ``Problem`` accordingly.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from sdesgd.errors import InputError, require_known
from sdesgd.freshness import guarded
from sdesgd.inputs import as_array, check_positive_integer
from sdesgd.losses import OF_CLASSES, class_labels, cross_entropy
from sdesgd.nets.layers import (
    Activation,
    BatchNorm,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    Image,
    Moments,
    Pool,
    batch_moments,
)
from sdesgd.problem import Problem
from sdesgd.types import PRNGKeyArray

NORMALIZATIONS = ("batch", "group", "none")
READINGS = ("paper", "released")


class Net(eqx.Module):
    """A chain of layers, (B, features) → (B, outputs).

    Args:
        layers: of ``sdesgd.nets``.
    """

    layers: tuple

    def __call__(
        self,
        inputs: Shaped[Array, "batch features"],
        keys: Key[Array, " batch"] | None = None,
        moments: tuple[Moments, ...] | None = None,
    ) -> Float[Array, "batch outputs"]:
        """The outputs.

        Args:
            inputs: a batch; with batch norm its examples are coupled.
            keys: (B,), of each example's dropout masks; None: no dropout.
            moments: of each batch norm, from ``moments``: frozen there; None: those of the batch itself.
        """
        return self._run(inputs, keys, moments)[0]

    def moments(self, inputs: Shaped[Array, "batch features"]) -> tuple[Moments, ...]:
        """Mean and variance of each batch norm on these inputs, without dropout, to be given to other batches."""
        return self._run(inputs, None, None)[1]

    @property
    def couples_examples(self) -> bool:
        """Whether an example's output depends on its batch."""
        return any(isinstance(layer, BatchNorm) for layer in self.layers)

    @property
    def stochastic(self) -> bool:
        """Whether there are masks to draw."""
        return any(isinstance(layer, Dropout) for layer in self.layers)

    def _run(self, x, keys, moments):
        used = []
        for n, layer in enumerate(self.layers):
            if isinstance(layer, BatchNorm):
                used.append(batch_moments(x) if moments is None else moments[len(used)])
                x = layer(x, used[-1])
            elif isinstance(layer, Dropout):
                x = layer(x, None if keys is None else jax.vmap(jr.fold_in, (0, None))(keys, n))
            else:
                x = layer(x)
        return x, tuple(used)


# -- the nets --------------------------------------------------------------------------------------------


def _check(normalization: str, **sizes: int) -> None:
    require_known("normalization", normalization, NORMALIZATIONS)
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} is {value}: pass at least 1")


def _normalization(kind: str, channels: int) -> tuple:
    return {"batch": (BatchNorm(channels),), "group": (GroupNorm(channels),), "none": ()}[kind]


def mlp(
    in_size: int,
    num_classes: int,
    *,
    width: int,
    depth: int = 1,
    activation: Callable = jax.nn.relu,
    normalization: str = "none",
    dropout: float = 0.0,
    key: PRNGKeyArray,
) -> Net:
    """``depth`` × (Dense ``width``, normalization, activation, dropout), then a Dense layer to the logits.

    Args:
        in_size: input features.
        num_classes: logits.
        width, depth: of the hidden layers; depth 0 is a linear model.
        activation: of the hidden layers (He initialisation whatever it is).
        normalization: "batch" | "group" | "none".
        dropout: rate p of the hidden layers; 0: none.
        key: of the initial weights.

    Raises:
        InputError: an unknown normalization, sizes below 1, a rate outside [0, 1).
    """
    _check(normalization, in_size=in_size, num_classes=num_classes, width=width)
    layers, size = [], in_size
    *hidden, last = jr.split(key, depth + 1)
    for layer_key in hidden:
        layers += [Dense(size, width, key=layer_key), *_normalization(normalization, width), Activation(activation)]
        layers += [Dropout(dropout)] if dropout else []
        size = width
    return Net((*layers, Dense(size, num_classes, gain=1.0, key=last)))


def f1(
    in_size: int = 784,
    num_classes: int = 10,
    *,
    width: int = 512,
    normalization: str = "batch",
    dropout: float = 0.0,
    key: PRNGKeyArray,
) -> Net:
    """F1: 5 × (Dense 512, batch norm, ReLU), Dense 10; for MNIST. Arguments as for ``mlp``.

    Source: Keskar et al. 2016, Table 1 and appendix.
    """
    return mlp(in_size, num_classes, width=width, depth=5, normalization=normalization, dropout=dropout, key=key)


def f2(
    in_size: int = 360,
    num_classes: int = 1973,
    *,
    width: int = 512,
    normalization: str = "batch",
    dropout: float = 0.0,
    key: PRNGKeyArray,
) -> Net:
    """F2: 7 × (Dense 512, batch norm, ReLU), Dense 1973; for TIMIT. 2,780,085 parameters. Arguments as for ``mlp``.

    Source: Keskar et al. 2016, Table 1 and appendix.
    """
    return mlp(in_size, num_classes, width=width, depth=7, normalization=normalization, dropout=dropout, key=key)


def c1(
    shape: tuple[int, ...] = (32, 32, 3),
    num_classes: int = 10,
    *,
    reading: str = "paper",
    width: int = 64,
    normalization: str = "batch",
    dropout: float = 0.5,
    native: bool | None = None,
    key: PRNGKeyArray,
) -> Net:
    """C1: 2 × (conv 5×5, batch norm, ReLU, max-pool 3×3 stride 2), Dense 384, Dense 192 (each with batch norm, ReLU,
    dropout), Dense 10; for CIFAR-10.

    Two readings. ``"paper"``: convolutions of stride 2, 4·width features after them, 283,274 parameters.
    ``"released"`` (the authors' code): stride 1, 64·width features, 1,757,834 parameters.
    Smaller images (28×28 grey MNIST) stand in the middle of a 32×32 image of zeros; with one channel the first
    kernel is smaller.

    Args:
        shape: (height, width, channels) of the images, which come flattened row by row.
        num_classes: logits.
        reading: "paper" | "released".
        width: channels of the convolutions; the dense layers have 6·width and 3·width.
        normalization, dropout: as for ``mlp``; dropout on the dense layers.
        native: as for ``Convolution``.
        key: of the initial weights.

    Raises:
        InputError: an unknown reading or normalization, images larger than 32×32, not of three axes.

    Source: Keskar et al. 2016, Table 1 and appendix; the lecture.
    """
    _check(normalization, num_classes=num_classes, width=width)
    require_known("reading", reading, READINGS)
    if len(shape) != 3 or max(shape[:2]) > 32:
        raise InputError(
            f"C1 takes images of at most 32×32 pixels, but an example has shape {shape}: use mlp, f1 or f2"
        )
    stride = 2 if reading == "paper" else 1
    keys = jr.split(key, 5)
    layers: list = [Image(shape, 32)]
    for channels, conv_key in zip((shape[2], width), keys[:2], strict=True):
        convolution = Convolution(channels, width, 5, stride=stride, native=native, key=conv_key)
        # The maximum before the ReLU: the same, since the ReLU is monotone, on a quarter of the numbers.
        layers += [convolution, *_normalization(normalization, width), Pool(), Activation(jax.nn.relu)]
    size = width * (2 if reading == "paper" else 8) ** 2
    layers.append(Flatten())
    for out, dense_key in zip((6 * width, 3 * width), keys[2:4], strict=True):
        layers += [Dense(size, out, key=dense_key), *_normalization(normalization, out), Activation(jax.nn.relu)]
        layers += [Dropout(dropout)] if dropout else []
        size = out
    return Net((*layers, Dense(size, num_classes, gain=1.0, key=keys[4])))


def logistic_regression(in_size: int, num_classes: int, *, key: PRNGKeyArray) -> Net:
    """One Dense layer to the logits; softmax regression with ``cross_entropy``."""
    return mlp(in_size, num_classes, width=1, depth=0, key=key)


def linear_regression(in_size: int, out_size: int = 1, *, key: PRNGKeyArray) -> Net:
    """One Dense layer; least squares with ``squared_error``."""
    return mlp(in_size, out_size, width=1, depth=0, key=key)


# -- finite sums ---------------------------------------------------------------------------------------


class ExampleLosses(eqx.Module):
    """(ℓ_1, …, ℓ_B) of a batch whose examples don't interact: no batch norm, or one frozen at given moments."""

    loss: Callable
    moments: tuple[Moments, ...] | None = None

    def __call__(self, net: Net, batch: tuple, keys: Key[Array, " batch"] | None = None) -> Float[Array, " batch"]:
        inputs, labels = batch
        return self.loss(net(inputs, keys, self.moments), labels)


class GroupLoss(eqx.Module):
    """The mean loss of a group of S examples, normalised by its own statistics."""

    loss: Callable

    def __call__(self, net: Net, group: tuple, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        inputs, labels = group
        keys = None if key is None else jr.split(key, inputs.shape[0])
        return jnp.mean(self.loss(net(inputs, keys), labels))


def finite_sum(
    net: Net,
    inputs: Array | np.ndarray,
    labels: Array | np.ndarray,
    batch_size: int | None = None,
    *,
    loss: Callable = cross_entropy,
    moments: tuple[Moments, ...] | None = None,
    chunk_size: int | None = None,
) -> Problem:
    """The problem of a net on a training set: which unit the sum runs over follows from the net.

    Without batch norm a unit is an example. With batch norm it is a group of ``batch_size`` examples: C is then the
    covariance between groups, the drift is minus the gradient of the *expected group loss*, and both depend on the
    batch size. With ``moments`` (of ``net.moments``) batch norm is frozen there, and a unit is an example again.
    With dropout a unit's loss draws masks.

    Args:
        net: θ, the default start.
        inputs: (N, features).
        labels: (N,), or what the loss takes.
        batch_size: S of the dynamics to come; needed with batch norm.
        loss: (outputs (B, ·), labels (B, ·)) → (B,).
        moments: freeze batch norm at these.
        chunk_size: as for ``Problem``.

    Raises:
        InputError: batch norm without a batch size, or with groups of one; N not a multiple of the batch size; inputs
            that the net can't take; labels that are none of its classes.
    """
    inputs = as_array(inputs, "inputs", dtype=None)
    with guarded(
        "the net", "pass inputs of the shape that it takes, (N, features) for dense layers", "can't take them"
    ):
        row = jax.ShapeDtypeStruct((2, *inputs.shape[1:]), jnp.promote_types(inputs.dtype, jnp.float32))
        outputs = jax.eval_shape(lambda x: net(x, moments=moments), row)
    if loss in OF_CLASSES:
        labels = class_labels(labels, outputs.shape[-1])
    data = (inputs, labels)
    if not net.couples_examples or moments is not None:
        losses = ExampleLosses(loss, moments)
        return Problem(losses, net, data, stochastic=net.stochastic, batched=True, chunk_size=chunk_size)
    if batch_size is not None:
        check_positive_integer("batch_size", batch_size)
    if batch_size is None or batch_size < 2:
        raise InputError(
            f"batch_size is {batch_size}: batch norm needs the examples of a batch, at least 2; pass batch_size, give "
            "moments=net.moments(inputs) to freeze it, or use normalization='group'"
        )
    return Problem(GroupLoss(loss), net, data, unit_size=batch_size, stochastic=net.stochastic, chunk_size=chunk_size)
