"""What a comparison is of, in numbers and words for its title."""

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from sdesgd.comparison.result import Setting
from sdesgd.dynamics import SGD
from sdesgd.errors import InputError, shown
from sdesgd.evidence.margins import as_margins
from sdesgd.problem import Problem

_SAVES = 12


def saves_about_twelve(num_steps: int) -> int:
    """The divisor of the number of steps that gives about twelve saves."""
    divisors = [d for d in range(1, num_steps + 1) if num_steps % d == 0]
    return min(divisors, key=lambda d: abs(math.log(num_steps / d / _SAVES)))


def rates_of(dynamics: SGD, num_steps: int) -> np.ndarray:
    """η at each step."""
    eta = dynamics.learning_rate
    if not callable(eta):
        return np.asarray([float(eta)])
    schedule: Any = dynamics.fresh().learning_rate
    rates = jax.vmap(schedule)(np.arange(num_steps, dtype=np.int32))
    return np.asarray(rates, float)


def setting_of(
    problem: Problem,
    dynamics: SGD,
    law: str,
    num_steps: int,
    save_every: int,
    substeps: int,
    svag: int,
    title: str,
) -> Setting:
    """The setting of a comparison; without a title, the type of params gives one.

    Args:
        problem: the finite sum.
        dynamics: the SGD.
        law: sampling of the SDE.
        num_steps: of SGD.
        save_every: steps between saves.
        substeps: of the SDE.
        svag: ℓ, or 0.
        title: of the net; empty: the type of params.
    """
    rates = rates_of(dynamics, num_steps)
    low, high = float(rates.min()), float(rates.max())
    kind = type(problem.params).__name__
    plain = {"dict": "params in a dict", "tuple": "params in a tuple", "list": "params in a list"}
    return Setting(
        title=title or plain.get(kind, "plain array" if "Array" in kind or kind == "ndarray" else kind),
        learning_rate=f"{high:.4g}" if not callable(dynamics.learning_rate) else f"{low:.4g} to {high:.4g} (schedule)",
        largest_rate=high,
        scheduled=callable(dynamics.learning_rate),
        batch_size=int(dynamics.batch_size),
        sampling=dynamics.sampling,
        law=law,
        momentum=float(dynamics.momentum),
        substeps=int(substeps),
        svag=int(svag),
        num_steps=int(num_steps),
        save_every=int(save_every),
        num_examples=problem.num_examples,
        num_units=problem.num_units,
        unit_size=problem.unit_size,
        stochastic=problem.stochastic,
        num_parameters=problem.num_parameters,
        dtype=str(problem.dtype),
    )


def check_margin_names(margin: Any, observables: Any, params: PyTree) -> None:
    """Refuses a mapping of margins that doesn't name the observables, before anything is run.

    Args:
        margin: of ``compare``.
        observables: functions of params, or one to a mapping.
        params: of the problem.

    Raises:
        InputError: a name without a margin, or a margin without an observable.
    """
    if not isinstance(margin, Mapping):
        return
    try:
        if callable(observables):
            shapes = eqx.filter_eval_shape(observables, params)
        else:
            shapes = {name: eqx.filter_eval_shape(function, params) for name, function in observables.items()}
        sizes = {name: getattr(shape, "shape", ()) for name, shape in shapes.items()}
    except Exception:  # functions that can't be traced: ``simulate`` says so in its own words
        return
    names = []
    for name, size in sizes.items():
        names += [f"{name}[{','.join(map(str, k))}]" for k in np.ndindex(size)] if size else [name]
    as_margins(margin, dict.fromkeys(names))
    unknown = sorted(set(margin) - set(names))
    if unknown:
        raise InputError(f"margin has one for {shown(unknown[0])}, which is no observable: the names are {names}")
