"""The gap between SGD and its SDE that two Gaussian dynamics on one Brownian path predict."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from sdesgd import evidence, inputs
from sdesgd.dynamics.coupling import Coupled
from sdesgd.dynamics.sde import SDE
from sdesgd.dynamics.sgd import GaussianSGD
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.results import Result
from sdesgd.simulation.driver import simulate
from sdesgd.trajectories.result import Trajectories
from sdesgd.types import PRNGKeyArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_PART = "part"  # of a pair's identity: which of the two


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Gap(Result):
    """E[observable] under Gaussian SGD minus under the SDE, replica by replica on shared increments.

    Attributes:
        time: (T,) SDE time.
        mean, standard_error: name → (T, ...).
        differences: name → (replicas, T, ...).
        diverged: (replicas,) bool, in either dynamics; diverged replicas leave the means.
    """

    time: np.ndarray
    mean: dict[str, np.ndarray]
    standard_error: dict[str, np.ndarray]
    differences: dict[str, np.ndarray]
    diverged: np.ndarray

    def __str__(self) -> str:
        lost, count = int(np.sum(self.diverged)), len(self.diverged)
        lines = [f"Gaussian SGD − SDE on shared increments, {count} pairs" + (f", {lost} diverged" if lost else "")]
        for name, mean in self.mean.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                clearest = np.nan_to_num(np.abs(mean) / self.standard_error[name], nan=-1.0, posinf=-1.0)
            k = np.unravel_index(int(np.argmax(clearest)), clearest.shape)
            number = f"{mean[k]:+.4g} ± {self.standard_error[name][k]:.2g} (standard error)"
            lines.append(f"{name}: {number} at t = {self.time[k[0]]:.4g}, where it is clearest")
        return "\n".join(lines)

    def plot(self) -> "Figure":
        """The gap of each observable against time, with 95 % bands."""
        from sdesgd.plot import gap

        return gap.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """mean_NAME and standard_error_NAME over time."""
        import xarray as xr

        variables: dict = {}
        for name, mean in self.mean.items():
            dims = ["time", *(f"{name}_{k}" for k in range(np.ndim(mean) - 1))]
            variables[f"mean_{name}"] = (dims, mean)
            variables[f"standard_error_{name}"] = (dims, self.standard_error[name])
        return xr.Dataset(variables, {"time": self.time})


class _Pair(eqx.Module):
    """Observables of a pair of params, stacked: (2, ...)."""

    function: Callable

    def __call__(self, pair: tuple[PyTree, PyTree]) -> PyTree:
        return jax.tree.map(lambda *values: jnp.stack(values), *(self.function(params) for params in pair))


def simulate_coupled(
    first: GaussianSGD | SDE,
    second: GaussianSGD | SDE,
    problem: Problem,
    *,
    observables,
    extend: tuple[Trajectories, Trajectories] | None = None,
    **settings: Any,
) -> tuple[Trajectories, Trajectories]:
    """``simulate`` for two dynamics on shared increments: replica r of one pairs with replica r of the other.

    Either may diverge without the other.

    Args:
        first, second: as for ``Coupled``.
        problem: as for ``simulate``.
        observables: functions of params, as for ``simulate``.
        extend: the pair that the same call gave with fewer replicas; see ``simulate``.
        settings: as for ``simulate``; but ``until`` and ``accumulate`` get the pair of params, and both results carry
            what they give.

    Raises:
        InputError: as ``simulate``; an ``extend`` that isn't the two parts of one call, in their order.
    """
    if callable(observables):
        pairs = _Pair(observables)
    else:
        observables = inputs.check_mapping_of_functions("observables", observables)
        pairs = {name: _Pair(function) for name, function in observables.items()}
    earlier = None if extend is None else _paired(extend)
    both = simulate(Coupled(first, second), problem, observables=pairs, extend=earlier, **settings)

    def part(k: int) -> Trajectories:
        return dataclasses.replace(
            both,
            values={name: array[:, :, k] for name, array in both.values.items()},
            final_params=both.final_params[k],
            diverged=both.diverged[:, k],
            identity={**(both.identity or {}), _PART: str(k)},
        )

    return part(0), part(1)


def _paired(parts: Any) -> Trajectories:
    """The trajectories of the pair of which these are the two parts."""
    fine = isinstance(parts, tuple | list) and len(parts) == 2 and all(isinstance(x, Trajectories) for x in parts)
    known = [dict(part.identity or {}) for part in parts] if fine else []
    if [x.pop(_PART, None) for x in known] != ["0", "1"] or known[0] != known[1]:
        raise InputError("extend isn't a pair that simulate_coupled returned: pass both parts, in their order")
    first, second = parts
    if len(first.diverged) != len(second.diverged) or first.values.keys() != second.values.keys():
        raise InputError("extend has two parts of different sizes: pass both as simulate_coupled returned them")
    return dataclasses.replace(
        first,
        values={name: np.stack([array, second.values[name]], axis=2) for name, array in first.values.items()},
        final_params=(first.final_params, second.final_params),
        diverged=np.stack([first.diverged, second.diverged], axis=1),
        interrupted=first.interrupted or second.interrupted,
        identity=known[0],
    )


def predict_gap(
    problem: Problem,
    learning_rate: Any,
    batch_size: int,
    *,
    num_steps: int,
    replicas: int,
    key: PRNGKeyArray,
    observables: Mapping[str, Callable[[PyTree], Any]],
    sampling: str = "replacement",
    momentum: Any = 0.0,
    substeps: int = 1,
    save_every: int = 1,
    params: PyTree = None,
    progress: str = "",
) -> Gap:
    """How far SGD will be from its SDE, before any SGD is run: the discretisation part of the gap.

    SGD − SDE = (SGD − Gaussian SGD) + (Gaussian SGD − SDE)

    The second part, O(η), is measured here on shared Brownian increments, which makes its standard error far
    smaller than that of two independent ensembles. The first, the non-Gaussianity of minibatch noise, is
    O(η² · third cumulants) and is not in it: see ``gradient_noise.minibatch_cumulants``. Five gradients a
    step. The bias of the SDE's integrator is left in; halve h with ``substeps`` to see it. Masks and groups are shared
    by the two, fresh with each step, and averaged over with the replicas.

    Args:
        problem, num_steps, replicas, key, observables, save_every, params, progress: as for ``simulate``.
        learning_rate, batch_size, sampling, momentum, substeps: as for ``SDE``.

    Raises:
        InputError: as ``simulate`` and ``SDE``.
    """
    gaussian, sde = simulate_coupled(
        GaussianSGD(learning_rate, batch_size, sampling, momentum),
        SDE(learning_rate, batch_size, sampling, momentum=momentum, substeps=substeps),
        problem,
        num_steps=num_steps,
        replicas=replicas,
        key=key,
        observables=observables,
        save_every=save_every,
        params=params,
        progress=progress,
    )
    return gap_between(gaussian, sde)


def gap_between(first: Trajectories, second: Trajectories) -> Gap:
    """The paired difference of two coupled ensembles."""
    estimates = {name: evidence.paired_difference(array, second.values[name]) for name, array in first.values.items()}
    return Gap(
        time=first.time,
        mean={name: np.asarray(e.mean) for name, e in estimates.items()},
        standard_error={name: np.asarray(e.standard_error) for name, e in estimates.items()},
        differences={name: array - second.values[name] for name, array in first.values.items()},
        diverged=first.diverged | second.diverged,
    )
