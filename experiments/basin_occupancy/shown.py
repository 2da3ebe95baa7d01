"""What the figure of basin-occupancy shows of the runs: a trajectory, samples, short paths, the landscape."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

import sdesgd as sg
from experiments.basin_occupancy.setting import Setting
from experiments.basin_occupancy.sources import dynamics_of, exact, gibbs_density, reference
from sdesgd.basins.measured import crossings_per_time, stationary_of

# Hops that the trajectory should have, and its points.
_HOPS, _SHOWN = 14, 2400


def position(theta: Float[Array, " D"]) -> Float[Array, " D"]:
    """θ itself, as an observable."""
    return theta


def trajectory(setting: Setting, temperature: float, key: PRNGKeyArray) -> xr.Dataset:
    """One run of SGD from the deepest well, long enough for some hops."""
    rates = setting.rates(temperature)
    per_step = setting.learning_rate * float(crossings_per_time(rates).sum()) / 2
    stride = max(1, math.ceil(_HOPS / per_step / _SHOWN))
    run = _run(setting, temperature, key, 0, 1, stride * _SHOWN, stride, "trajectory")
    theta = run.values["theta"][0]
    values = {"path": (("path_step", "coordinate"), theta), "path_core": ("path_step", setting.wells.cores(theta))}
    return xr.Dataset(values, {"path_step": run.step}, {"interrupted": int(run.interrupted)})


def samples(setting: Setting, temperature: float, key: PRNGKeyArray) -> xr.Dataset:
    """Short paths from each well; on a line, where SGD is from five relaxation times after a start in each."""
    quarter = math.ceil(stationary_of(setting.rates(temperature))[1] / setting.learning_rate / 4)
    M, D = len(setting.minima), setting.potential.dimension
    late, paths, interrupted = [np.zeros((0, D))], [], False
    for k, key_well in enumerate(jr.split(key, M)):
        key_path, key_late = jr.split(key_well)
        runs = [_run(setting, temperature, key_path, k, 1, 240, 1, "paths")]
        paths.append(runs[0].values["theta"][0])
        if D == 1:
            runs.append(_run(setting, temperature, key_late, k, math.ceil(512 / M), 32 * quarter, quarter, "samples"))
            late.append(runs[1].values["theta"][:, 20:].reshape(-1, 1))
        interrupted |= any(run.interrupted for run in runs)
    values = {
        "samples": (("sample", "coordinate"), np.concatenate(late)),
        "paths": (("basin", "short_step", "coordinate"), np.stack(paths)),
    }
    return xr.Dataset(values, attrs={"interrupted": int(interrupted)})


def _run(
    setting: Setting,
    temperature: float,
    key: PRNGKeyArray,
    well: int,
    replicas: int,
    steps: int,
    stride: int,
    label: str,
) -> sg.Trajectories:
    return sg.simulate(
        dynamics_of(setting, "SGD"),
        setting.problem(temperature),
        num_steps=steps,
        replicas=replicas,
        key=key,
        observables={"theta": position},
        save_every=stride,
        params=jnp.asarray(setting.minima.points[well]),
        progress=label,
    )


def landscape(setting: Setting, temperature: float) -> xr.Dataset:
    """V, and on a line the densities of SGD and of theory, for the figure."""
    potential = setting.potential
    if potential.dimension == 2:
        axes = [np.linspace(low, high, 161) for low, high in potential.box]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        values = np.asarray(jax.vmap(potential.value)(jnp.asarray(grid))).reshape(161, 161)
        return xr.Dataset({"V": (("x", "y"), values)}, {"x": axes[0], "y": axes[1]})
    law = exact(setting, "SGD", temperature)
    theta = law.points[:, 0]
    curves = {
        "V": np.asarray(jax.vmap(potential.value)(jnp.asarray(law.points))),
        "density_SGD": law.density,
    }
    for name, density in (
        ("density_reference", reference(setting, temperature)),
        ("density_gibbs", gibbs_density(potential, temperature)),
    ):
        curves[name] = np.interp(theta, density.axes[0], density.densities, left=0, right=0)
    return xr.Dataset({k: ("x", v) for k, v in curves.items()}, {"x": theta})
