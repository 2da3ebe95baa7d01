"""What real-basins is run with: its configuration, its presets, what is refused."""

import dataclasses
import math
from typing import Any

from experiments._shared.options import check_options, listed, named, option
from experiments.real_basins.problems import TASKS
from sdesgd.errors import InputError

PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {},
    "gpu": {"replicas": 480, "steps": 100_000, "frames": 64, "runs": 4096, "nuts_samples": 40_000, "nuts_labels": 4000},
}
_RATES: dict[str, Any] = {"numbers": float, "above": 0, "remedy": "pass learning rates η > 0", "group": "dynamics"}

EXAMPLES = (
    "--problems sine --sine-rates 0.1",
    "--problems digits --batch-size 2 --seed 1",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Where SGD sits and where it arrives among the minima of small nets: SGD, the SDE, isotropic noise and theory."""

    problems: str = option(
        "sine,digits", "Comma-separated problems.", choices=tuple(TASKS), several=True, group="problem"
    )
    sine_rates: str = option("", "Sine: comma-separated η of the stationary occupancy; empty: its own.", **_RATES)
    digits_rates: str = option("", "Digits: comma-separated η of the stationary occupancy; empty: its own.", **_RATES)
    sine_arrival_rates: str = option("", "Sine: comma-separated η of the arrivals; empty: its own.", **_RATES)
    digits_arrival_rates: str = option("", "Digits: comma-separated η of the arrivals; empty: its own.", **_RATES)
    batch_size: int = option(1, "Batch size S; batches are drawn with replacement.", least=1, group="dynamics")
    replicas: int = option(
        72,
        "Runs of each arm of the stationary occupancy, split evenly over the minima as starts.",
        least=12,
        most=10**7,
    )
    steps: int = option(0, "SGD steps of each; 0: each problem's own.", most=10**8)
    frames: int = option(20, "Frames of each that are quenched for their label.", least=8)
    burn_in: float = option(0.25, "Part of a run left out.", least=0, below=0.8)
    nuts_samples: int = option(1500, "Samples of each of NUTS's four chains; 0: no NUTS.", most=10**7)
    nuts_labels: int = option(250, "Of these, how many of a chain are quenched.", least=100)
    runs: int = option(200, "Arrivals: runs, each from a random net of its own.", least=20)
    arrival_time: float = option(
        0.0, "Arrivals: SDE time of a run before it is quenched; 0: each problem's own.", least=0, group="dynamics"
    )
    starts: int = option(192, "Random nets that the search for minima begins at.", least=1)
    margin: float = option(
        10.0, "Equivalence margin of two occupancies, in points (hundredths of probability).", above=0, below=100
    )
    preset: str = option(
        "cpu", "Sizes fit for a laptop, or a GPU (five to sixteen times as much).", choices=tuple(PRESETS)
    )
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
        return listed(self, f"{name}_rates") or sorted(TASKS[name].rates)

    def arrival_rates(self, name: str) -> list[float]:
        """η of the arrivals, ascending."""
        return listed(self, f"{name}_arrival_rates") or sorted(TASKS[name].arrival_rates)

    def steps_of(self, name: str) -> int:
        """SGD steps of a stationary run."""
        return self.steps or TASKS[name].steps

    def time_of(self, name: str) -> float:
        """SDE time of an arrival."""
        return self.arrival_time or TASKS[name].arrival_time


def implied(config: Config) -> dict[str, Any]:
    """What the preset implies for the options that aren't given."""
    return PRESETS[config.preset]


def chosen(config: Config) -> list[str]:
    """The problems asked for, in the order of the figure."""
    return named(config, "problems")


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    check_options(config)
    if config.nuts_samples and config.nuts_samples < config.nuts_labels:
        raise InputError(f"nuts_samples is {config.nuts_samples}: pass at least nuts_labels {config.nuts_labels}, or 0")
    if config.frames - config.burn_in_frames < 4:
        raise InputError(f"burn_in {config.burn_in} leaves {config.frames - config.burn_in_frames} frames: leave 4")
    for name in chosen(config):
        if config.steps_of(name) < config.frames:
            raise InputError(f"steps is {config.steps_of(name)}: pass at least one a frame, {config.frames}")
        least = 2 * max(config.arrival_rates(name))
        if config.time_of(name) < least:
            raise InputError(f"arrival_time is {config.time_of(name):g}: pass at least two steps, {least:g} for {name}")
