"""What ``simulate`` returns: times, observables, divergence; xarray and NetCDF."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from jaxtyping import PyTree

from sdesgd.errors import InputError, shown
from sdesgd.netcdf import read_netcdf, write_netcdf
from sdesgd.results import Result
from sdesgd.trajectories import file as trajectory_file
from sdesgd.trajectories.file import RESERVED, free_name
from sdesgd.types import PathLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Trajectories", "check_names"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Trajectories(Result):
    """Observables of R replicas at T times (the start included).

    Attributes:
        time: (T,) SDE time Σ η_k.
        step: (T,) SGD steps.
        values: name → (R, T, ...); NaN after a replica diverged.
        final_params: pytree, leading axis R; the last finite ones. After ``load`` without a template: a dict by path.
        diverged: (R,) bool, whether ‖θ‖² left the finite numbers of the dtype of θ: ‖θ‖ > 1.8e19 in float32.
        interrupted: whether the run was cut short; the arrays then hold what was saved.
        blocks: replicas that stepped together, and that were observed together (it changes the bits); of an extended
            run, those that came last.
        stopped: (R,) int, the first step at which ``until`` held, 0 for the start; −1 if never, or without one.
        accumulated: what ``accumulate`` carried at the end, leading axis R; None without it. After ``load`` without a
            template: a dict by path.
        identity: what the run is known by, whatever R: digests of its problem, dynamics, key, …, so that ``simulate(…,
            extend=…)`` adds replicas to this run and to no other. None in files of earlier versions.
    """

    time: np.ndarray
    step: np.ndarray
    values: dict[str, np.ndarray]
    final_params: PyTree
    diverged: np.ndarray
    interrupted: bool = False
    blocks: tuple[int, int] = (1, 1)
    stopped: np.ndarray | None = None
    accumulated: PyTree = None
    identity: dict[str, str] | None = None

    def __post_init__(self):
        if self.stopped is None:
            object.__setattr__(self, "stopped", np.full(len(self.diverged), -1, np.int32))

    def __str__(self) -> str:
        lost, count = int(np.sum(self.diverged)), len(self.diverged)
        head = f"{count} replicas, {len(self.time)} saves up to step {self.step[-1]} (t = {self.time[-1]:.4g})"
        if lost:
            head += f", {lost} diverged"
        if self.interrupted:
            head += ", interrupted"
        lines = [head]
        for name, values in self.values.items():
            if np.ndim(values) != 2:
                lines.append(f"{name}: of shape {np.shape(values)[2:]} at each save")
                continue
            last = np.asarray(values[:, -1], float)
            last = last[np.isfinite(last)]
            if len(last) < 2:
                lines.append(f"{name}: finite at the end in {len(last)} replicas")
                continue
            error = np.std(last, ddof=1) / np.sqrt(len(last))
            lines.append(f"{name}: mean {np.mean(last):.5g} ± {error:.2g} (standard error) at the end")
        return "\n".join(lines)

    def plot(self) -> "Figure":
        """Each observable that is a number against time: mean, 95 % band and single replicas."""
        from sdesgd.plot import paths

        return paths.figure_of(self)

    def to_xarray(self) -> xr.Dataset:
        """Dataset with dimensions replica, time (and NAME_0, NAME_1, … for arrays), observables as variables.

        Where an observable already bears the name of such a dimension, the dimension's gets underscores.

        Raises:
            InputError: an observable can't be named so, see ``check_names``.
        """
        check_names(self.values)
        taken = {*RESERVED, *self.values}
        members = () if np.ndim(self.diverged) == 1 else (free_name("member", taken),)
        variables: dict[str, Any] = {
            "diverged": (("replica", *members), self.diverged),
            "stopped": ("replica", self.stopped, {"long_name": "step at which until held, -1 if never"}),
        }
        for name, array in self.values.items():
            extra = [free_name(f"{name}_{k}", taken) for k in range(np.ndim(array) - 2)]
            variables[name] = (("replica", "time", *extra), array)
        coordinates = {
            "time": ("time", self.time, {"long_name": "SDE time, the sum of learning rates", "units": "1"}),
            "step": ("time", self.step, {"long_name": "SGD steps"}),
        }
        return xr.Dataset(variables, coordinates, {"interrupted": int(self.interrupted), "blocks": list(self.blocks)})

    def save(self, path: PathLike) -> None:
        """Writes NetCDF (HDF5), whole or not at all; ``load`` gives back every name, dtype and bit.

        Args:
            path: of the file; an earlier one is replaced.

        Raises:
            InputError: the folder can't be written, the disk is full; a name, see ``check_names``; params hold an
                array of Python objects.
        """
        write_netcdf(trajectory_file.packed(self), path)

    @staticmethod
    def load(path: PathLike, template: PyTree = None, accumulated: PyTree = None) -> "Trajectories":
        """Reads what ``save`` wrote.

        A saved run is started from again by

            saved = Trajectories.load(path, template=net)
            simulate(…, starts=saved.final_params)

        Args:
            path: of the file, which may come from anywhere: nothing in it is run, and nothing outside it is read.
            template: a pytree like the params of the run, without the replica axis; ``final_params`` then has its
                structure, and its functions and other leaves that are neither arrays nor numbers. Without one,
                ``final_params`` is a dict of arrays by path.
            accumulated: a template of what one replica carried, in the same way.

        Raises:
            InputError: the file isn't there or isn't such a file; the template doesn't fit it.
        """
        fields = trajectory_file.unpacked(read_netcdf(path, decode=False), path, template, accumulated)
        return Trajectories(**fields)


def check_names(names: Iterable[Any]) -> None:
    """Refuses what can't be the name of an observable; any other text can.

    Args:
        names: of observables.

    Raises:
        InputError: a name that isn't text, is empty, or is one that the table of trajectories has itself.
    """
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"an observable has the name {shown(name)}: pass text, say 'loss'")
        if not name:
            raise InputError("an observable has an empty name: pass text, say 'loss'")
        if name in RESERVED:
            raise InputError(f"observable '{name}' bears a name of the table's own: call it otherwise, '{name}_value'")
