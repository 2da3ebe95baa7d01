"""The minima of a case: the search, the passes between them, the noise at each, and what each computes."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

import sdesgd as sg
from experiments.real_basins import runs
from experiments.real_basins.problems import Case, covariances, outputs
from sdesgd.basins.minima import Minima, find_minima
from sdesgd.basins.saddles import highest_on_the_way
from sdesgd.basins.symmetry import tanh_symmetry
from sdesgd.errors import InputError

# The walk that looks for minima which random nets don't come to: replicas, frames of each, steps a frame.
_WALKERS, _LOOKS, _STRIDE = 32, 5, 1000
# Copies of a minimum that a path is sought to, the nearest ones.
_NEAREST = 2
_GRID = 80


class Found:
    """A case with its minima.

    Attributes:
        case, minima. heights: (M, M), L at the lowest pass found from a (row) to b, less L_a.
        barrier: the highest that a walk must climb, by the lowest way, to reach a deeper basin.
    """

    def __init__(self, case: Case, kept: xr.Dataset):
        values = {name: kept[name].values for name in ("points", "losses", "spectra", "multiplicities", "hits")}
        tolerance = float(kept.attrs["tolerance"])
        self.case, self.kept = case, kept
        self.minima = Minima(case.landscape, tanh_symmetry(case.net), **values, tolerance=tolerance)
        self.heights = kept["heights"].values
        deeper = [float(self.heights[a, :a].min()) for a in range(1, len(self.minima))]
        self.barrier = max(deeper, default=0.0)


def search(case: Case, config: Any, key: PRNGKeyArray) -> xr.Dataset:
    """Minima from random nets and from frames of a walk among them, with passes, noise and outputs.

    Raises:
        InputError: fewer than two; a degenerate one.
    """
    key_starts, key_isotropic, key_own = jr.split(key, 3)
    # Half of them wider: of several scales, since a basin may lie where no fresh net does.
    scale = np.resize([1.0, 2.0], config.starts)[:, None]
    starts = scale * case.fresh(jr.split(key_starts, config.starts))
    symmetry = tanh_symmetry(case.net)
    first = find_minima(case.landscape, starts, symmetry)
    rate = 0.2 / float(first.spectra.max())
    variance = 2 * case.task.pilot_temperature / rate
    walked = [
        runs.frames(
            sg.SGD(eta, 1),
            problem,
            np.resize(first.points, (_WALKERS, first.points.shape[1])),
            num_steps=_LOOKS * _STRIDE,
            save_every=_STRIDE,
            key=key,
            progress=f"{case.name}, looking for minima",
        ).reshape(-1, first.points.shape[1])
        # Noise of equal strength everywhere, and SGD's own at the largest rate, come to different places.
        for eta, problem, key in (
            (rate, case.isotropic(variance), key_isotropic),
            (max(config.rates(case.name)), case.problem, key_own),
        )
    ]
    walked = [rows[np.isfinite(rows).all(axis=1)] for rows in walked]
    minima = find_minima(case.landscape, np.concatenate([starts, *walked]), symmetry)
    if len(minima) < 2:
        raise InputError(f"{case.landscape.name} has one minimum: its occupancy is 1; use other data or less decay")
    C = covariances(case, minima.points)
    inputs = _grid(case)
    values: dict[str, Any] = {
        "points": (("basin", "coordinate"), minima.points),
        "losses": ("basin", minima.losses),
        "spectra": (("basin", "coordinate"), minima.spectra),
        "multiplicities": ("basin", minima.multiplicities),
        "hits": ("basin", minima.hits),
        "heights": (("origin", "target"), heights(minima)),
        "covariances": (("basin", "coordinate", "column"), C),
        "hessians": (("basin", "coordinate", "column"), _hessians(case.landscape.value, jnp.asarray(minima.points))),
        "grid": (("node", "feature"), inputs),
        "outputs": (("basin", "node"), outputs(case, minima.points, inputs)),
        "inputs": (("example", "feature"), case.data.inputs),
        "targets": ("example", case.data.targets),
    }
    return xr.Dataset(values, attrs={"tolerance": minima.tolerance})


@eqx.filter_jit
def _hessians(value: Any, points: Float[Array, "K D"]) -> Float[Array, "K D D"]:
    return jax.lax.map(jax.hessian(value), points)


def heights(minima: Minima) -> Float[np.ndarray, "M M"]:
    """(M, M): at most the lowest pass from basin a (row) to any copy of b, over others too if lower, less L_a.

    Strings from one copy of a to the nearest copies of b, a few rounds each: upper bounds.
    """
    M = len(minima)
    top = np.full((M, M), math.inf)
    np.fill_diagonal(top, minima.losses)
    for b in range(1, M):
        for a in range(b):
            copies = minima.copies(b)
            near = np.argsort(np.linalg.norm(copies - minima.points[a], axis=1))[:_NEAREST]
            found = [highest_on_the_way(minima.landscape, minima.points[a], copy) for copy in copies[near]]
            top[a, b] = top[b, a] = min(found)
    for via in range(M):
        top = np.minimum(top, np.maximum(top[:, via, None], top[None, via]))
    return top - minima.losses[:, None]


def _grid(case: Case) -> Float[np.ndarray, "G features"]:
    """Where the nets at the minima are drawn: a line, or a square lattice row by row."""
    low, high = case.data.inputs.min(axis=0), case.data.inputs.max(axis=0)
    margin = 0.06 * (high - low)
    axes = [
        np.linspace(a, b, 2 * _GRID if len(low) == 1 else _GRID)
        for a, b in zip(low - margin, high + margin, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
