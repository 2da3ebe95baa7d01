"""How often does SGD sit in each basin? Simulations beside exact laws, quadrature, NUTS and derived formulas."""

from typing import Any

import jax
import jax.random as jr
import numpy as np
import xarray as xr

from experiments._shared.run_folder import RunFolder
from experiments._shared.terminal import errors
from experiments.basin_occupancy import shown, sources
from experiments.basin_occupancy.config import ARMS, SOURCES, Config
from experiments.basin_occupancy.result import Basin, Result
from experiments.basin_occupancy.setting import Setting, build
from experiments.basin_occupancy.verdicts import own_laws, powers, row_of, shown_basin
from sdesgd.errors import InputError


def compute(config: Config, folder: RunFolder) -> Result:
    """All sources, stage by stage, in float64; then what they say of each other.

    Raises:
        InputError: bad input, or no temperature at which the runs would mix.
    """
    with jax.enable_x64(True):
        setting = build(config)
        refused = refusals(setting)
        mixing = [t for t in setting.temperatures if t not in refused]
        theory = folder.stage("theory", theory_curves, setting.known_by())
        exact = folder.stage("exact", exact_laws, setting.known_by("curve_points"), mixing)
        limit = folder.stage("limit", small_steps, setting.known_by("etas"), mixing)
        keys = dict(zip((*SOURCES, "shown"), jr.split(jr.key(config.seed), len(SOURCES) + 1), strict=True))
        found: dict[tuple[float, str], xr.Dataset] = {}
        simulated = setting.known_by("replicas", "crossings", "least_crossings", "steps")
        for k, T in enumerate(mixing):
            for arm in ARMS:
                key = jr.fold_in(keys[arm], k)
                stage = f"{arm.lower().replace(' ', '-')}-T{T:g}"
                found[T, arm] = folder.stage(stage, sources.simulated, simulated, arm, T, key)
        for k, T in enumerate(setting.temperatures if config.nuts_samples else ()):
            key = jr.fold_in(keys["NUTS"], k)
            found[T, "NUTS"] = folder.stage(f"nuts-T{T:g}", sources.nuts, setting.known_by("nuts_samples"), T, key)
        key_path, key_samples = jr.split(keys["shown"])
        path = folder.stage("trajectory", shown.trajectory, setting.known_by(), mixing[0], key_path)
        samples = folder.stage("samples", shown.samples, setting.known_by(), mixing[0], key_samples)
        density = shown.landscape(setting, mixing[0])
    measured = _measured(setting, found)
    data = xr.merge([theory, exact, limit, measured, path, samples, density], combine_attrs="drop")
    rows = tuple(row_of(data, setting, T, found, refused.get(T)) for T in setting.temperatures)
    shown_one = shown_basin(rows)
    return Result(
        config=config,
        learning_rate=setting.learning_rate,
        barrier=setting.barrier,
        basins=_basins(setting),
        saddles=setting.saddles,
        cores=np.clip(np.asarray(getattr(setting.wells, "core_edges", np.zeros((0, 2)))), -99, 99),
        temperatures=rows,
        shown_basin=shown_one,
        own_laws=own_laws(rows),
        powers=powers(data, setting, shown_one),
        data=data,
    )


def refusals(setting: Setting) -> dict[float, str]:
    """Temperature → why nothing is simulated there.

    Raises:
        InputError: all are refused.
    """
    found = {}
    for T in setting.temperatures:
        try:
            setting.plan(T)
        except InputError as error:
            found[T] = str(error)
    if len(found) == len(setting.temperatures):
        raise InputError(found[max(found)])
    return found


# -- stages --------------------------------------------------------------------------------------------------


def theory_curves(setting: Setting) -> xr.Dataset:
    """Gibbs by quadrature, the Itô density where C varies, and Laplace with and without its next order, against T."""
    temperatures = np.array(setting.temperatures)
    grid = np.geomspace(0.4 * temperatures[0], 1.1 * temperatures[-1], 15)
    grid = np.unique(np.concatenate([grid, temperatures]))
    gibbs = sources.gibbs_density  # the law with one T everywhere, right or wrong
    found = {
        "gibbs": [sources.quadrature(setting, gibbs(setting.potential, float(T))) for T in grid],
        "laplace": [sources.laplace(setting, float(T)) for T in grid],
    }
    if setting.constant:
        found["reference"] = found["gibbs"]
        derivatives = sources.contractions(setting)
        found["corrected"] = [sources.corrected_laplace(setting, float(T), derivatives) for T in grid]
    else:
        found["reference"] = [sources.quadrature(setting, sources.reference(setting, float(T))) for T in grid]
    return xr.Dataset({k: (("curve_T", "basin"), np.array(v)) for k, v in found.items()}, {"curve_T": grid})


def exact_laws(setting: Setting, mixing: list[float]) -> xr.Dataset:
    """SGD's own law and, in one dimension, Gaussian SGD's, against T; and what a coarser grid changes."""
    grid = np.array(mixing)
    if setting.potential.dimension == 1:
        between = np.geomspace(setting.temperatures[0], 1.1 * grid[-1], setting.config.curve_points)
        grid = np.unique(np.concatenate([setting.temperatures, between]))
    found = {f"exact_{arm}": [_exact(setting, arm, float(T)) for T in grid] for arm in setting.arms_with_law}
    error = np.abs(_exact(setting, "SGD", mixing[0], resolution=2 / 3) - _exact(setting, "SGD", mixing[0])).max()
    values = {k: (("exact_T", "basin"), np.array(v)) for k, v in found.items()}
    return xr.Dataset(values, {"exact_T": grid}).assign(grid_error=float(error))


def small_steps(setting: Setting, mixing: list[float]) -> xr.Dataset:
    """The exact law against η at one temperature, S and T fixed (so the tilts grow as 1/√η)."""
    k = np.arange(float(setting.config.etas))
    rates = np.sort(setting.learning_rate * 2.0 ** (1.5 - k / 2 if setting.potential.dimension == 2 else -k))
    rates = rates[rates * setting.minima.spectra.max() < 1]
    found = {arm: [_exact(setting, arm, mixing[0], float(eta)) for eta in rates] for arm in setting.arms_with_law}
    values: dict[str, Any] = {f"limit_{arm}": (("limit_eta", "basin"), np.array(v)) for arm, v in found.items()}
    values["limit_reference"] = "basin", sources.quadrature(setting, sources.reference(setting, mixing[0]))
    return xr.Dataset(values, {"limit_eta": rates}).assign(limit_T=mixing[0])


def _exact(setting: Setting, arm: str, *where: float, resolution: float = 1.0) -> np.ndarray:
    """(M,), NaN where the law is out of reach."""
    try:
        return sources.exact(setting, arm, *where, resolution=resolution).occupancy
    except InputError as refusal:
        errors.print(f"[yellow]{refusal}[/yellow]", highlight=False)
        return np.full(len(setting.minima), np.nan)


def _measured(setting: Setting, found: dict[tuple[float, str], xr.Dataset]) -> xr.Dataset:
    """(T, source, basin): NaN where refused or not run."""
    shape = (len(setting.temperatures), len(SOURCES), len(setting.minima))
    table = {name: np.full(shape, np.nan) for name in ("probabilities", "standard_errors")}
    for (T, source), measured in found.items():
        for name, values in table.items():
            values[setting.temperatures.index(T), SOURCES.index(source)] = measured[name].values
    coordinates = {"T": list(setting.temperatures), "source": list(SOURCES), "basin": setting.names}
    return xr.Dataset({k: (("T", "source", "basin"), v) for k, v in table.items()}, coordinates)


def _basins(setting: Setting) -> tuple[Basin, ...]:
    minima, barriers = setting.minima, setting.wells.barriers
    found = zip(setting.names, minima.points, minima.losses, minima.spectra, barriers, strict=True)
    return tuple(Basin(name, x, float(loss), bend, float(barrier)) for name, x, loss, bend, barrier in found)
