"""Names of the types that public signatures share."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jaxtyping
import numpy.typing
from jaxtyping import Array, PyTree
from typing_extensions import TypeAliasType

# Not plain aliases: help() then shows the name, and not what it stands for.

RealScalarLike = TypeAliasType("RealScalarLike", float | int)
"""A real number of Python: a whole number is one too, which runtime type checkers don't know."""

PathLike = TypeAliasType("PathLike", str | os.PathLike)
"""Where a file or a folder is."""

PRNGKeyArray = TypeAliasType("PRNGKeyArray", jaxtyping.PRNGKeyArray)
"""A key of ``jax.random.key``, or one of the old kind."""

ArrayLike = TypeAliasType("ArrayLike", numpy.typing.ArrayLike)
"""What NumPy makes an array of."""

Box = TypeAliasType("Box", Sequence[tuple[RealScalarLike, RealScalarLike]])
"""(low, high) along each axis."""

Schedule = TypeAliasType("Schedule", Callable[[Any], Any])
"""The learning rate of step n = 0, 1, …, say an optax schedule."""

LearningRate = TypeAliasType("LearningRate", float | Array | Schedule)
"""η > 0, or a schedule of the step."""

Observables = TypeAliasType(
    "Observables", Mapping[str, Callable[[PyTree], Any]] | Callable[[PyTree], Mapping[str, Any]]
)
"""Name → function of params to an array; or one function of params to a mapping of name → array."""

Accumulator = TypeAliasType(
    "Accumulator",
    tuple[Any, Callable[[PyTree, PyTree, Any], PyTree]]
    | tuple[Any, Callable[[PyTree, PyTree, Any], PyTree], Callable[[PyTree], Any]],
)
"""(init, update): what is carried from step to step, and ``update(carry, params, n)``; and perhaps ``until(carry)``,
by which a replica stops."""

StoppingRule = TypeAliasType("StoppingRule", Callable[[PyTree], Any])
"""Of params, to a bool: whether a replica stays where it is from then on."""
