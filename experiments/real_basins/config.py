"""What real-basins is run with: its configuration, its presets, what is refused."""

import dataclasses
import math
from typing import Any

from experiments._shared.options import option
from experiments.real_basins.problems import TASKS
from sdesgd.errors import InputError, require_known
from sdesgd.inputs import check_positive_integer

PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {},
    "gpu": {"replicas": 480, "steps": 100_000, "frames": 64, "runs": 4096, "nuts_samples": 40_000, "nuts_labels": 4000},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Where SGD sits and where it arrives among the minima of small nets: SGD, the SDE, isotropic noise and theory."""

    problems: str = option("sine,digits", "Comma-separated problems.")
    sine_rates: str = option("", "Sine: comma-separated η of the stationary occupancy; empty: its own.")
    digits_rates: str = option("", "Digits: the same.")
    sine_arrival_rates: str = option("", "Sine: comma-separated η of the arrivals; empty: its own.")
    digits_arrival_rates: str = option("", "Digits: the same.")
    batch_size: int = option(1, "Batch size S; batches are drawn with replacement.")
    replicas: int = option(72, "Runs of each arm of the stationary occupancy, split evenly over the minima as starts.")
    steps: int = option(0, "SGD steps of each; 0: each problem's own.")
    frames: int = option(20, "Frames of each that are quenched for their label.")
    burn_in: float = option(0.25, "Part of a run left out.")
    nuts_samples: int = option(1500, "Samples of each of NUTS's four chains; 0: no NUTS.")
    nuts_labels: int = option(250, "Of these, how many of a chain are quenched.")
    runs: int = option(200, "Arrivals: runs, each from a random net of its own.")
    arrival_time: float = option(0.0, "Arrivals: SDE time of a run before it is quenched; 0: each problem's own.")
    starts: int = option(192, "Random nets that the search for minima begins at.")
    margin: float = option(10.0, "Equivalence margin of two occupancies, in points (hundredths of probability).")
    preset: str = option("cpu", "Sizes fit for a laptop (cpu) or a GPU (gpu: five to sixteen times as much).")
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"{self.problems.replace(',', '-')[:40]}-s{self.batch_size}-{self.preset}-seed{self.seed}"

    @property
    def burn_in_frames(self) -> int:
        """Frames at the beginning of a run that don't count."""
        return math.ceil(self.burn_in * self.frames)

    def rates(self, name: str) -> list[float]:
        """η of the stationary occupancy, ascending."""
        return _numbers(f"{name}_rates", getattr(self, f"{name}_rates")) or sorted(TASKS[name].rates)

    def arrival_rates(self, name: str) -> list[float]:
        """η of the arrivals, ascending."""
        option = f"{name}_arrival_rates"
        return _numbers(option, getattr(self, option)) or sorted(TASKS[name].arrival_rates)

    def steps_of(self, name: str) -> int:
        """SGD steps of a stationary run."""
        return self.steps or TASKS[name].steps

    def time_of(self, name: str) -> float:
        """SDE time of an arrival."""
        return self.arrival_time or TASKS[name].arrival_time


def implied(config: Config) -> dict[str, Any]:
    """What the preset implies for the options that aren't given.

    Raises:
        InputError: an unknown preset (the nearest is named).
    """
    return PRESETS[require_known("preset", config.preset, PRESETS)]


def chosen(config: Config) -> list[str]:
    """The problems asked for, in the order of the figure.

    Raises:
        InputError: an unknown name (the nearest is named).
    """
    names = {require_known("problem", name.strip(), TASKS) for name in config.problems.split(",")}
    return [name for name in TASKS if name in names]


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    for name in ("batch_size", "replicas", "frames", "starts"):
        check_positive_integer(name, getattr(config, name))
    for name, least in (("runs", 20), ("replicas", 12), ("frames", 8), ("nuts_labels", 100), ("seed", 0), ("steps", 0)):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    if config.nuts_samples and config.nuts_samples < config.nuts_labels:
        raise InputError(f"nuts_samples is {config.nuts_samples}: pass at least nuts_labels {config.nuts_labels}, or 0")
    if config.frames - config.burn_in_frames < 4:
        raise InputError(f"burn_in {config.burn_in} leaves {config.frames - config.burn_in_frames} frames: leave 4")
    if not 0 <= config.burn_in < 0.8:
        raise InputError(f"burn_in is {config.burn_in}: pass a part of the run, 0 ≤ burn_in < 0.8")
    if not 0 < config.margin < 100:
        raise InputError(f"margin is {config.margin}: pass points between 0 and 100")
    if not (math.isfinite(config.arrival_time) and config.arrival_time >= 0):
        raise InputError(f"arrival_time is {config.arrival_time}: pass an SDE time, or 0 for each problem's own")
    for name in chosen(config):
        if config.steps_of(name) < config.frames:
            raise InputError(f"steps is {config.steps_of(name)}: pass at least one a frame, {config.frames}")
        least = 2 * max(config.arrival_rates(name))
        if config.time_of(name) < least:
            raise InputError(f"arrival_time is {config.time_of(name):g}: pass at least two steps, {least:g} for {name}")


def _numbers(name: str, text: str) -> list[float]:
    if not text.strip():
        return []
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} is '{text}': pass comma-separated numbers, say 0.05,0.1") from None
    bad = [x for x in found if not 0 < x < math.inf]
    if bad:
        raise InputError(f"{name} holds {bad[0]:g}: pass learning rates η > 0")
    if len(set(found)) < len(found):
        raise InputError(f"{name} is '{text}': a value is repeated; pass each once")
    return sorted(found)
