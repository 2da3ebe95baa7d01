"""What ``simulate`` returns: times, observables, divergence; xarray and NetCDF."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PyTree

from sdesgd.errors import InputError

# Names that a file of trajectories uses itself.
RESERVED = ("time", "step", "replica", "diverged")


@dataclasses.dataclass(frozen=True)
class Trajectories:
    """Observables of R replicas at T times (the start included).

    Attributes:
        time: (T,) SDE time Σ η_k.
        step: (T,) SGD steps.
        values: name → (R, T, ...); NaN after a replica diverged.
        final_params: pytree, leading axis R; the last finite ones. After ``load``: a dict by path.
        diverged: (R,) bool.
        interrupted: whether the run was cut short; the arrays then hold what was saved.
        blocks: replicas that stepped together, and that were observed together (it changes the bits).
    """

    time: np.ndarray
    step: np.ndarray
    values: dict[str, np.ndarray]
    final_params: PyTree
    diverged: np.ndarray
    interrupted: bool = False
    blocks: tuple[int, int] = (1, 1)

    def to_xarray(self) -> xr.Dataset:
        """Dataset with dimensions replica, time (and NAME_0, NAME_1, … for arrays), observables as variables."""
        members = () if self.diverged.ndim == 1 else ("member",)
        variables: dict[str, Any] = {"diverged": (("replica", *members), self.diverged)}
        for name, array in self.values.items():
            extra = [f"{name}_{k}" for k in range(array.ndim - 2)]
            variables[name] = (("replica", "time", *extra), array)
        coordinates = {
            "time": ("time", self.time, {"long_name": "SDE time, the sum of learning rates", "units": "1"}),
            "step": ("time", self.step, {"long_name": "SGD steps"}),
        }
        return xr.Dataset(variables, coordinates, {"interrupted": int(self.interrupted), "blocks": list(self.blocks)})

    def save(self, path: str | os.PathLike) -> None:
        """Writes NetCDF (HDF5), atomically: the file is whole or absent.

        Raises:
            InputError: the folder can't be written.
        """
        dataset = self.to_xarray()
        for key_path, leaf in jax.tree_util.tree_leaves_with_path(self.final_params):
            if hasattr(leaf, "shape") and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                name = "final_params" + jax.tree_util.keystr(key_path).replace("/", "_")
                array = np.asarray(leaf)
                dims = ("replica", *(f"{name}_{k}" for k in range(array.ndim - 1)))
                dataset[name] = (dims, array)
        write_netcdf(dataset, path)

    @staticmethod
    def load(path: str | os.PathLike) -> "Trajectories":
        """Reads what ``save`` wrote; ``final_params`` comes back as a dict of arrays by path.

        Raises:
            InputError: the file isn't there or isn't such a file.
        """
        dataset = read_netcdf(path)
        try:
            prefix = "final_params"
            names = [str(name) for name in dataset.data_vars]
            return Trajectories(
                time=dataset["time"].values,
                step=dataset["step"].values,
                values={n: dataset[n].values for n in names if not n.startswith(prefix) and n != "diverged"},
                final_params={n.removeprefix(prefix): dataset[n].values for n in names if n.startswith(prefix)},
                diverged=dataset["diverged"].values.astype(bool),
                interrupted=bool(dataset.attrs["interrupted"]),
                blocks=(int(dataset.attrs["blocks"][0]), int(dataset.attrs["blocks"][1])),
            )
        except KeyError as error:
            raise InputError(
                f"{path} holds no trajectories ({error} is missing): pass a file that save wrote"
            ) from None


def write_netcdf(dataset: xr.Dataset, path: str | os.PathLike) -> None:
    """Writes a dataset through a temporary file beside the target, then renames."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; choose a folder that exists and is writable") from None
    try:
        dataset.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error}; free space or choose another folder") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_netcdf(path: str | os.PathLike) -> xr.Dataset:
    """Reads a whole dataset and closes the file."""
    if not Path(path).is_file():
        raise InputError(f"there is no file {path}: check the name")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a readable NetCDF file ({error}): was it cut short?") from None
