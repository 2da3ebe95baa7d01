"""How long does SGD stay in a well? Mean first-passage times against ΔV/T: measured, exact, and Kramers' formula."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

import sdesgd as sg
from experiments._shared.options import Part, check_options
from experiments._shared.run_folder import RunFolder
from experiments.escape_times.config import ARMS, Config
from experiments.escape_times.result import Barrier, Passages, Result, WellShape
from sdesgd import toys
from sdesgd.basins.passage import first_passage, kramers_rate, mean_first_passage_time
from sdesgd.basins.saddles import critical_points
from sdesgd.errors import InputError
from sdesgd.stationary.finite_step import step_shape
from sdesgd.stationary.transfer import transfer_operator

_CURVE = 41
# Looking at θ once a step makes a walk late, as if the target lay so many standard deviations of a step further on.
_SIEGMUND = 0.5826


@dataclasses.dataclass(frozen=True)
class Well:
    """The deeper minimum, the pass and the other minimum.

    Attributes:
        start, top, target: θ. barrier: ΔV. curvatures: V″ at start and top.
    """

    landscape: toys.Potential
    start: float
    top: float
    target: float
    barrier: float
    curvatures: tuple[float, float]

    def kramers_time(self, temperature: float) -> float:
        """1/k of Kramers, in SDE time."""
        return 1 / kramers_rate(*self.curvatures, self.barrier, temperature)


def well_of(name: str) -> Well:
    """The deeper well of a potential of one coordinate.

    Raises:
        InputError: another dimension, or more or fewer than two minima.
    """
    potential = toys.potential(name)
    if potential.dimension != 1:
        raise InputError(f"{name} has {potential.dimension} coordinates: take a double well, say asymmetric")
    low, high = potential.box[0]
    minima, maxima = critical_points(potential, low, high)
    if len(minima) != 2 or len(maxima) != 1:
        raise InputError(f"{name} has {len(minima)} minima: take a double well, say asymmetric")
    value = [float(potential.value(jnp.array([x]))) for x in (*minima, *maxima)]
    start, target = (minima[0], minima[1]) if value[0] <= value[1] else (minima[1], minima[0])
    bend = jax.hessian(potential.value)
    curvatures = [float(bend(jnp.array([x]))[0, 0]) for x in (start, maxima[0])]
    return Well(potential, start, maxima[0], target, value[2] - min(value[:2]), (curvatures[0], curvatures[1]))


def reached(well: Well):
    """θ ↦ whether it is at the other minimum or beyond."""
    return lambda theta: theta[0] >= well.target if well.target > well.start else theta[0] <= well.target


def compute(config: Config, folder: RunFolder) -> Result:
    """Passages stage by stage, in float64, beside the exact times."""
    check_options(config)
    with jax.enable_x64(True):
        well = well_of(config.potential)
        if config.learning_rate * well.curvatures[0] >= 2:
            raise InputError(
                f"learning_rate is {config.learning_rate:g}: η V″ is not below 2 at the minimum, so SGD leaves it; "
                f"pass less than {2 / well.curvatures[0]:.3g}"
            )
        ratios = config.barriers()
        exact = [_exact(config, well, well.barrier / ratio) for ratio in ratios]
        longest = config.longest() * max(max(row) for row in exact) / config.learning_rate
        if longest > config.max_steps:
            raise InputError(
                f"ΔV/T = {ratios[-1]:g} needs passages of up to {longest:,.0f} steps, above max_steps = "
                f"{config.max_steps:,}: leave it out of --ratios or raise --max-steps"
            )
        keys: dict[str, Any] = dict(zip(ARMS, jr.split(jr.key(config.seed), len(ARMS)), strict=True))
        steps: dict[str, list] = {arm: [] for arm in ARMS}
        for k, ratio in enumerate(ratios):
            most = math.ceil(config.longest() * max(exact[k]) / config.learning_rate) + 100
            dynamics = Part(config, "potential", "learning_rate", "batch_size", "passages")
            for arm in ARMS:
                arguments = dynamics, arm, ratio, most, jr.fold_in(keys[arm], k)
                steps[arm].append(folder.stage(f"{arm}-{ratio:g}", passages, *arguments)["steps"].values)
        curve = np.linspace(min(ratios[0], 1.5), ratios[-1] + 0.5, _CURVE)
        temperatures = well.barrier / curve
        data = xr.Dataset(
            {
                "ratio": ("point", ratios),
                "exact_sde": ("point", [row[0] for row in exact]),
                "exact_sgd": ("point", [row[1] for row in exact]),
                **{f"steps_{arm}": (("point", "passage"), np.stack(rows)) for arm, rows in steps.items()},
                "curve_ratio": ("node", curve),
                "curve_sde": ("node", [_quadrature(well, T) for T in temperatures]),
                "curve_kramers": ("node", [well.kramers_time(T) for T in temperatures]),
                "curve_kurtosis": ("node", [_kurtosis_factor(config, well, T) for T in temperatures]),
            }
        )
        rows = tuple(_barrier(config, well, data, k) for k in range(len(ratios)))
    return Result(config, WellShape(well.start, well.top, well.target, well.barrier), rows, data)


def passages(config: Any, arm: str, ratio: float, max_steps: int, key: PRNGKeyArray) -> xr.Dataset:
    """Steps of the passages of one arm at one ΔV/T."""
    well = well_of(config.potential)
    found = first_passage(
        (sg.SDE if arm == "SDE" else sg.SGD)(config.learning_rate, config.batch_size),
        _problem(config, well, well.barrier / ratio),
        np.array([well.start]),
        reached(well),
        replicas=config.passages,
        max_steps=max_steps,
        key=key,
    )
    return xr.Dataset({"steps": ("passage", found.steps)})


def _problem(config: Any, well: Well, temperature: float) -> sg.Problem:
    variance = toys.tilt_variance(temperature, config.learning_rate, config.batch_size)
    return toys.tilted(well.landscape, toys.tilts_of(variance))


def _quadrature(well: Well, temperature: float, beyond: float = 0.0) -> float:
    """The mean time of the SDE to the other minimum, or to a point so far beyond it."""
    target = well.target + math.copysign(beyond, well.target - well.start)
    return mean_first_passage_time(well.landscape, temperature, well.start, target)


def _kurtosis_factor(config: Config, well: Well, temperature: float) -> float:
    """exp(−ηγ₄∫V′³/(6T²)), from the start to the top: what the kurtosis of a step's noise makes of the SDE's time."""
    variance = toys.tilt_variance(temperature, config.learning_rate, config.batch_size)
    _, kurtosis = step_shape(toys.tilts_of(variance), config.batch_size)
    x = np.linspace(well.start, well.top, 2001)
    slope = np.asarray(jax.vmap(jax.grad(lambda s: well.landscape.value(s[None])))(jnp.asarray(x)))
    cubed = float(np.trapezoid(slope**3, x))
    return math.exp(-config.learning_rate * kurtosis * cubed / (6 * temperature**2))


def _exact(config: Config, well: Well, temperature: float) -> tuple[float, float]:
    """The mean times of the SDE, by its double integral, and of SGD, by its transfer operator, in SDE time.

    Both as θ is looked at, after whole steps: exact for SGD, for the SDE to leading order in √η (Siegmund 1985).
    """
    low, high = well.landscape.box[0]
    wide = ((low - (high - low) / 4, high + (high - low) / 4),)
    dynamics = sg.SGD(config.learning_rate, config.batch_size)
    operator = transfer_operator(_problem(config, well, temperature), dynamics, wide, (config.points,))
    inside = np.array([bool(reached(well)(x)) for x in operator.points])
    steps = operator.first_passage_steps(inside)
    x = operator.points[:, 0]
    late = _SIEGMUND * math.sqrt(2 * temperature * config.learning_rate)
    return _quadrature(well, temperature, late), config.learning_rate * float(np.interp(well.start, x, steps))


def _barrier(config: Config, well: Well, data: xr.Dataset, k: int) -> Barrier:
    ratio = float(data["ratio"][k])
    temperature = well.barrier / ratio
    arms = {}
    for arm in ARMS:
        times = config.learning_rate * data[f"steps_{arm}"].values[k]
        error = float(times.std(ddof=1) / math.sqrt(len(times)))
        arms[arm] = Passages(float(times.mean()), error, float(data[f"exact_{arm.lower()}"][k]))
    return Barrier(ratio, temperature, well.kramers_time(temperature), arms)
