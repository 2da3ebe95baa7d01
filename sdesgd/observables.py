"""Ready observables: functions of the parameters that ``simulate`` saves along the way."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from sdesgd.errors import InputError
from sdesgd.inputs import as_array, check_positive_integer
from sdesgd.losses import OF_CLASSES, class_labels
from sdesgd.problem import widened


class Evaluation(eqx.Module):
    """The mean over a data set of ``score(outputs, labels)``: an observable of the net.

    Dropout is off. Batch norm uses the statistics of the evaluation batch, as in Keskar et al.: the whole set, or
    equal parts of it of at most ``batch_size`` examples (theirs: 5000).

    Args:
        score: (outputs (B, ·), labels (B, ·)) → (B,): ``cross_entropy``, ``correct``, ….
        inputs: of the data set, (N, features).
        labels: (N,), or what the score takes.
        batch_size: examples of one evaluation batch, at most.

    Raises:
        InputError: inputs and labels of different lengths or that aren't numbers; labels that are no classes.
    """

    score: Callable
    inputs: Shaped[Array, "examples *features"]
    labels: Array
    batch_size: int = 5000

    def __init__(self, score: Callable, inputs: Any, labels: Any, batch_size: int = 5000):
        self.score, self.batch_size = score, batch_size
        check_positive_integer("batch_size", batch_size)
        self.inputs, self.labels = as_array(inputs, "inputs"), as_array(labels, "labels")
        if self.inputs.ndim < 2 or len(self.inputs) == 0 or self.labels.shape[:1] != self.inputs.shape[:1]:
            raise InputError(
                f"inputs have shape {self.inputs.shape} and labels {self.labels.shape}: pass (N, features) and one "
                "label per example"
            )
        if score in OF_CLASSES:
            self.labels = class_labels(self.labels)

    def __call__(self, net: Callable) -> Float[Array, ""]:
        net = widened(net)
        count = self.inputs.shape[0]
        parts = -(-count // self.batch_size)
        total = 0.0
        for k in range(parts):
            part = slice(k * count // parts, (k + 1) * count // parts)
            scores = self.score(net(self.inputs[part]), self.labels[part])
            # The dtype of the scores, not of the inputs, which may be pixels or tokens.
            total += jnp.sum(scores, dtype=jnp.promote_types(scores.dtype, jnp.float32))
        return jnp.asarray(total) / count
