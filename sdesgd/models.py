"""Nets (equinox) and their per-example losses."""

from collections.abc import Callable

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray


def mlp(
    in_size: int,
    num_classes: int,
    *,
    width: int,
    depth: int = 1,
    activation: Callable = jax.nn.relu,
    key: PRNGKeyArray,
) -> eqx.nn.MLP:
    """``depth`` hidden layers of ``width`` units, then a linear layer to ``num_classes`` logits.

    Args:
        in_size: input features.
        num_classes: logits.
        width, depth: of the hidden layers.
        activation: of the hidden layers.
        key: of the initial weights.
    """
    return eqx.nn.MLP(in_size, num_classes, width, depth, activation, key=key)


def cross_entropy(net: Callable, example: tuple[Float[Array, " features"], Int[Array, ""]]) -> Float[Array, ""]:
    """ℓ_i(θ) = −log softmax(net(x_i))[y_i], in nats.

    Args:
        net: maps (features,) to (classes,) logits.
        example: (x, y).
    """
    x, y = example
    return optax.softmax_cross_entropy_with_integer_labels(net(x), y)


class Accuracy(eqx.Module):
    """Fraction of examples whose largest logit is the label: an observable of the net.

    Args:
        inputs: (N, features).
        labels: (N,).
    """

    inputs: Float[Array, "examples features"]
    labels: Int[Array, " examples"]

    def __call__(self, net: Callable) -> Float[Array, ""]:
        predicted = jax.vmap(net)(self.inputs).argmax(axis=-1)
        return (predicted == self.labels).mean(dtype=self.inputs.dtype)
