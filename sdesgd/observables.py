"""Ready observables: functions of the parameters that ``simulate`` saves along the way."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from sdesgd.errors import InputError, shown
from sdesgd.gradient_noise.covariance import trace_and_norm
from sdesgd.inputs import as_array, check_positive_integer
from sdesgd.losses import OF_CLASSES, class_labels
from sdesgd.problem import Problem, widened
from sdesgd.types import PRNGKeyArray

# Of the observables that every problem has: name → label with units.
LABELS = {
    "loss": "loss L(θ)",
    "distance_squared": "‖θ−θ₀‖²",
    "gradient_norm_squared": "‖g‖²",
    "trace_covariance": "tr C",
}


class Evaluation(eqx.Module):
    """The mean over a data set of ``score(outputs, labels)``: an observable of the net, or several from one pass.

    Dropout is off. Batch norm uses the statistics of the evaluation batch, as in Keskar et al.: the whole set, or
    equal parts of it of at most ``batch_size`` examples (theirs: 5000).

    Args:
        score: (outputs (B, ·), labels (B, ·)) → (B,): ``cross_entropy``, ``correct``, …; or name → such a function,
            and then a call gives name → mean.
        inputs: of the data set, (N, features).
        labels: (N,), or what the score takes.
        batch_size: examples of one evaluation batch, at most.

    Raises:
        InputError: inputs and labels of different lengths or that aren't numbers; labels that are no classes.
    """

    score: Callable | dict[str, Callable]
    inputs: Shaped[Array, "examples *features"]
    labels: Array
    batch_size: int = 5000

    def __init__(self, score: Callable | Mapping[str, Callable], inputs: Any, labels: Any, batch_size: int = 5000):
        self.score, self.batch_size = dict(score) if isinstance(score, Mapping) else score, batch_size
        check_positive_integer("batch_size", batch_size)
        self.inputs, self.labels = as_array(inputs, "inputs"), as_array(labels, "labels")
        if self.inputs.ndim < 2 or len(self.inputs) == 0 or self.labels.shape[:1] != self.inputs.shape[:1]:
            raise InputError(
                f"inputs have shape {self.inputs.shape} and labels {self.labels.shape}: pass (N, features) and one "
                "label per example"
            )
        if any(function in OF_CLASSES for function in self._scores.values()):
            self.labels = class_labels(self.labels)

    @property
    def _scores(self) -> dict[str, Callable]:
        return self.score if isinstance(self.score, dict) else {"": self.score}

    def __call__(self, net: Callable) -> Any:
        net = widened(net)
        count = self.inputs.shape[0]
        parts = -(-count // self.batch_size)
        totals: dict[str, Any] = dict.fromkeys(self._scores, 0.0)
        for k in range(parts):
            part = slice(k * count // parts, (k + 1) * count // parts)
            outputs = net(self.inputs[part])
            for name, score in self._scores.items():
                scores = score(outputs, self.labels[part])
                # The dtype of the scores, not of the inputs, which may be pixels or tokens.
                totals[name] += jnp.sum(scores, dtype=jnp.promote_types(scores.dtype, jnp.float32))
        means = {name: jnp.asarray(total) / count for name, total in totals.items()}
        return means if isinstance(self.score, dict) else means[""]


class SquaredDistance(eqx.Module):
    """‖θ − θ₀‖² over the leaves that move.

    Args:
        start: θ₀, a pytree like params.
    """

    start: PyTree

    def __call__(self, params: PyTree) -> Float[Array, ""]:
        moving = [eqx.filter(tree, eqx.is_inexact_array) for tree in (params, self.start)]
        wide = lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32))  # noqa: E731
        terms = jax.tree.map(lambda a, b: jnp.sum((wide(a) - wide(b)) ** 2), *moving)
        return sum(jax.tree.leaves(terms), jnp.zeros(()))


class GradientMoments(eqx.Module):
    """name → ‖g‖² and tr C of the loss that is descended, from one pass; about seven gradients.

    With batch norm and dropout they are those of one random partition and one draw of masks, the same at all times.

    Args:
        problem: the finite sum.
        key: of groups and masks; needed where the loss has any.
    """

    problem: Problem
    key: PRNGKeyArray | None = None

    def __call__(self, params: PyTree) -> dict[str, Float[Array, ""]]:
        trace, norm = trace_and_norm(self.problem, params, self.key)
        return {"gradient_norm_squared": norm, "trace_covariance": trace}


class Loss(eqx.Module):
    """The mean loss L(θ) of a problem.

    Args:
        problem: the finite sum.
        key: of groups and masks; needed where the loss has any.
    """

    problem: Problem
    key: PRNGKeyArray | None = None

    def __call__(self, params: PyTree) -> Float[Array, ""]:
        return self.problem.loss(params, self.key)


class Together(eqx.Module):
    """One function of params to a mapping, from several: what they share is traced and computed once.

    Args:
        parts: name → function to an array; what a function to a mapping gives keeps its own names, whatever its name
            here.
        names: which to give; None: all.
    """

    parts: dict[str, Callable]
    names: tuple[str, ...] | None = eqx.field(static=True, default=None)

    def __call__(self, params: PyTree) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, function in self.parts.items():
            value = function(params)
            value = value if isinstance(value, Mapping) else {name: value}
            twice = sorted(set(value) & set(found))
            if twice:
                raise InputError(f"two observables have the name {shown(twice[0])}: give each its own")
            found |= value
        return found if self.names is None else {name: found[name] for name in self.names}


def of_problem(problem: Problem, key: PRNGKeyArray | None = None, start: PyTree = None) -> Together:
    """The observables that every problem has: loss, ‖θ − θ₀‖², ‖g‖² and tr C.

    Args:
        problem: the finite sum.
        key: of groups and masks, of one draw that all times share; needed where the loss has any.
        start: θ₀; None: the problem's params.

    Raises:
        InputError: a problem with groups or masks, and no key.
    """
    if problem.needs_key and key is None:
        raise InputError("this problem draws masks or groups: pass a key for the one draw that the observables share")
    key = key if problem.needs_key else None
    parts: dict[str, Callable] = {
        "loss": Loss(problem, key),
        "distance_squared": SquaredDistance(problem.params if start is None else problem.like(start)),
        "gradient_moments": GradientMoments(problem, key),
    }
    return Together(parts)
