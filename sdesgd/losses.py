"""Losses and scores of a net's outputs, and the labels that they take."""

from typing import Any

import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Integer

from sdesgd.errors import InputError
from sdesgd.inputs import as_array


def cross_entropy(logits: Float[Array, "batch classes"], labels: Integer[Array, " batch"]) -> Float[Array, " batch"]:
    """ℓ_i = −log softmax(z_i)[y_i], in nats; NaN where y_i is none of the classes (JAX itself would take another)."""
    known = (labels >= 0) & (labels < logits.shape[-1])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(known, labels, 0))
    return jnp.where(known, losses, jnp.nan)


def squared_error(outputs: Float[Array, "batch outputs"], targets: Array) -> Float[Array, " batch"]:
    """ℓ_i = ½ ‖z_i − y_i‖²; targets (B,) or (B, outputs)."""
    return 0.5 * jnp.sum((outputs - targets.reshape(outputs.shape)) ** 2, axis=1)


def correct(logits: Float[Array, "batch classes"], labels: Integer[Array, " batch"]) -> Float[Array, " batch"]:
    """1 where the largest logit is the label's, else 0; its mean is the accuracy."""
    return (logits.argmax(axis=-1) == labels).astype(logits.dtype)


# Losses and scores whose labels are numbers of classes.
OF_CLASSES = (cross_entropy, correct, optax.softmax_cross_entropy_with_integer_labels)


def class_labels(labels: Any, num_classes: int | None = None) -> Integer[Array, " examples"]:
    """Labels as class numbers 0 … K − 1, one per example.

    Args:
        labels: (N,) or (N, 1): integers, booleans, or floats that are whole numbers.
        num_classes: K; None: not known.

    Raises:
        InputError: one-hot rows, fractions, labels outside 0 … K − 1 (also −1).
    """
    array = as_array(labels, "labels")
    if isinstance(array, Tracer):
        return array
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(
            f"labels have shape {array.shape}: pass one class number per example, (N,); of one-hot rows their argmax(1)"
        )
    if jnp.issubdtype(array.dtype, jnp.floating) and bool(jnp.all(array == jnp.round(array))):
        array = array.astype(jnp.int32)
    if array.dtype == jnp.bool_:
        array = array.astype(jnp.int32)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(f"labels have dtype {array.dtype} and are no class numbers: pass integers from 0")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or (num_classes is not None and high >= num_classes):
        wrong = low if low < 0 else high
        count = int(jnp.sum((array < 0) | (array >= (high + 1 if num_classes is None else num_classes))))
        most = "K - 1" if num_classes is None else str(num_classes - 1)
        raise InputError(
            f"{count} labels are no classes of the net, such as {wrong}: renumber them 0 to {most} or drop the examples"
        )
    return array
