"""How long does SGD stay in a well? Mean first-passage times against ΔV/T: measured, exact, and Kramers' formula."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

import sdesgd as sg
from experiments import escape_times_figure, run
from experiments.run import option
from sdesgd import toys
from sdesgd.basins.passage import first_passage, kramers_rate, mean_first_passage_time
from sdesgd.basins.saddles import critical_points
from sdesgd.errors import InputError, require_known
from sdesgd.inputs import check_positive_integer
from sdesgd.stationary.finite_step import step_shape
from sdesgd.stationary.transfer import transfer_operator

ARMS = ("SGD", "SDE")
_CURVE = 41
# Looking at θ once a step makes a walk late, as if the target lay so many standard deviations of a step further on.
_SIEGMUND = 0.5826
_MARGIN = 0.15  # of a measured mean around the exact one, as a share of it


@dataclasses.dataclass(frozen=True)
class Config:
    """How long SGD and the SDE take from the deeper minimum to the other, against ΔV/T; and Kramers' formula."""

    potential: str = option("asymmetric", "A potential of one coordinate with two wells (see sdesgd.toys).")
    ratios: str = option("2,3,4,5,6,7", "Comma-separated barriers ΔV/T.")
    learning_rate: float = option(0.1, "Learning rate η, the same at all T: the tilts make the temperature.")
    batch_size: int = option(2, "Batch size S.")
    passages: int = option(1000, "Passages of each arm at each ΔV/T.")
    max_steps: int = option(2_000_000, "SGD steps of the longest passage, beyond which a ΔV/T is refused.")
    points: int = option(1201, "Points of the grid of SGD's exact law.")
    preset: str = option("cpu", "Sizes fit for a laptop (cpu) or a GPU (gpu: a hundred times the passages).")
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"{self.potential}-eta{self.learning_rate:g}-s{self.batch_size}-r{self.passages}-seed{self.seed}"

    def longest(self) -> float:
        """Mean times that hardly any passage exceeds: they are exponential, and one in 3,000 runs has a longer one."""
        return math.log(len(ARMS) * len(self.barriers()) * self.passages) + 8

    def barriers(self) -> list[float]:
        """ΔV/T, ascending."""
        try:
            found = sorted(float(part) for part in self.ratios.split(","))
        except ValueError:
            raise InputError(f"ratios is '{self.ratios}': pass comma-separated numbers, say 2,4,6") from None
        if not found or found[0] <= 0 or found[-1] > 30 or len(set(found)) < len(found):
            raise InputError(f"ratios is '{self.ratios}': pass different numbers ΔV/T between 0 and 30")
        return found


PRESETS = {"cpu": {}, "gpu": {"passages": 100_000}}


def implied(config: Config) -> dict:
    """What the preset implies for the options that aren't given."""
    return PRESETS[require_known("preset", config.preset, PRESETS)]


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


def compute(config: Config, folder: run.RunFolder) -> tuple[xr.Dataset, dict]:
    """Passages stage by stage, in float64, beside the exact times."""
    for name in ("batch_size", "passages", "max_steps", "points"):
        check_positive_integer(name, getattr(config, name))
    if config.passages < 20:
        raise InputError(f"passages is {config.passages}: pass at least 20, for an interval")
    with jax.enable_x64(True):
        well = well_of(config.potential)
        target = reached(well)
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
            problem = _problem(config, well, well.barrier / ratio)
            most = math.ceil(config.longest() * max(exact[k]) / config.learning_rate) + 100
            for arm in ARMS:

                def measure(arm=arm, k=k, problem=problem, most=most) -> xr.Dataset:
                    found = first_passage(
                        (sg.SDE if arm == "SDE" else sg.SGD)(config.learning_rate, config.batch_size),
                        problem,
                        np.array([well.start]),
                        target,
                        replicas=config.passages,
                        max_steps=most,
                        key=jr.fold_in(keys[arm], k),
                    )
                    return xr.Dataset({"steps": ("passage", found.steps)})

                steps[arm].append(folder.stage(f"{arm}-{ratio:g}", measure)["steps"].values)
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
    return data, _summary(config, well, data)


def _problem(config: Config, well: Well, temperature: float) -> sg.Problem:
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


def _summary(config: Config, well: Well, data: xr.Dataset) -> dict:
    rows = []
    for k, ratio in enumerate(data["ratio"].values):
        kramers = well.kramers_time(well.barrier / float(ratio))
        row = {"ratio": float(ratio), "temperature": well.barrier / float(ratio), "kramers": kramers, "arms": {}}
        for arm in ARMS:
            times = config.learning_rate * data[f"steps_{arm}"].values[k]
            exact = float(data[f"exact_{arm.lower()}"].values[k])
            error = float(times.std(ddof=1) / math.sqrt(len(times)))
            mean = float(times.mean())
            row["arms"][arm] = {"mean": mean, "error": error, "exact": exact, "z": (mean - exact) / error}
        rows.append(row)
    return {
        "experiment": "escape-times",
        "config": dataclasses.asdict(config),
        "well": {"start": well.start, "top": well.top, "target": well.target, "barrier": well.barrier},
        "rows": rows,
        "worst": max(abs(arm["z"]) for row in rows for arm in row["arms"].values()),
        "sizes": {"seed": config.seed, "dtype": "float64", "passages": config.passages},
    }


def plot(dataset: xr.Dataset, summary: dict) -> Figure:
    """See ``escape_times_figure``."""
    return escape_times_figure.draw(dataset, summary)


def agreement(summary: dict) -> sg.evidence.Decision:
    """Measured against exact times, as shares of the exact ones.

    The SDE's exact time is one to leading order in √η, so enough passages would find it wrong by something: the claim
    is of a margin.
    """
    arms = [arm for row in summary["rows"] for arm in row["arms"].values()]
    deviations = [arm["mean"] / arm["exact"] - 1 for arm in arms]
    errors = [arm["error"] / arm["exact"] for arm in arms]
    return sg.evidence.decide_differences(deviations, errors, _MARGIN)


def answer(summary: dict) -> str:
    """One line: what the passages say of the exact times, and the exact times of Kramers."""
    deep = summary["rows"][-1]
    ratios = {arm: deep["arms"][arm]["exact"] / deep["kramers"] for arm in ARMS}
    found = agreement(summary)
    words = {
        "equivalent": f"agree with the exact ones within {100 * _MARGIN:g} %",
        "different": "differ from the exact ones",
        "inconclusive": f"aren't shown to be within {100 * _MARGIN:g} % of the exact ones, nor to differ",
    }
    count = len(found.difference)
    return (
        f"Measured times {words[found.kind]} (largest of {count} deviations {summary['worst']:.1f} SE); "
        f"at ΔV/T = {deep['ratio']:g} exact ÷ Kramers is {ratios['SDE']:.3f} for the SDE, {ratios['SGD']:.3f} for SGD."
    )


def report(summary: dict, console: Console) -> None:
    """Prints times, deviations in standard errors and ratios to Kramers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("ΔV/T", "arm", "mean time", "exact", "deviation, SE", "Kramers", "measured ÷ Kramers"):
        table.add_column(column, no_wrap=True)
    for row in summary["rows"]:
        for arm, found in row["arms"].items():
            k = row["kramers"]
            table.add_row(
                f"{row['ratio']:g}",
                arm,
                f"{found['mean']:.4g} ± {1.96 * found['error']:.2g}",
                f"{found['exact']:.4g}",
                f"{found['z']:+.1f}",
                f"{k:.4g}",
                f"{found['mean'] / k:.3f} ± {1.96 * found['error'] / k:.2g}",
            )
    console.print(table)
    console.print(f"[bold]{answer(summary)}[/bold]", highlight=False)


EXPERIMENT = run.Experiment("escape-times", Config, compute, plot, report, implied)
