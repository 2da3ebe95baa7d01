"""What stationary-loss is run with: its configuration, its presets, the sizes of each problem."""

import dataclasses
import math
from typing import Any

import numpy as np

from experiments._shared.options import option
from experiments.stationary_loss.problems import SIZES, Case
from sdesgd.dynamics.protocol import check_momentum
from sdesgd.errors import InputError, require_known
from sdesgd.inputs import check_positive_integer

ARMS = ("SGD", "SDE")
PRESETS: dict[str, dict[str, Any]] = {"cpu": {}, "gpu": {"num_examples": 2000, "width": 32}}
_REPLICAS_OF_PRESET = {"cpu": 1, "gpu": 16}


@dataclasses.dataclass(frozen=True)
class Config:
    """Mean excess loss of SGD and of its SDE near a minimum, against η/S: which trace is right, Tr H or Tr C?"""

    problems: str = option("quadratic,regression,logistic,net", "Comma-separated problems.")
    preset: str = option("cpu", "Sizes fit for a laptop (cpu) or a GPU (gpu: more examples, units and replicas).")
    learning_rates: str = option("", "Comma-separated η, for all problems; empty: each problem's own, times 1−m.")
    batch_size: int = option(0, "Batch size S of all problems; 0: each problem's own.")
    divide: int = option(4, "SGD also at the largest η and its S both divided by this: the same η/S; 1 leaves it out.")
    momentum: float = option(0.0, "Heavy-ball momentum m.")
    replicas: int = option(0, "Runs of SGD at each point; 0: each problem's own.")
    sde_replicas: int = option(0, "Runs of the SDE at each point; 0: each problem's own.")
    num_steps: int = option(0, "SGD steps of a run at the smallest η, others take as much time; 0: each problem's own.")
    burn_in: float = option(0.5, "Part of a run left out of its mean.")
    num_examples: int = option(200, "Logistic, net: examples N.")
    width: int = option(8, "Net: hidden units.")
    logistic_decay: float = option(0.02, "Logistic: weight decay.")
    net_decay: float = option(0.003, "Net: weight decay.")
    seed: int = option(0, "Seed of the digits chosen, of the net's start and of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        momentum = f"-m{self.momentum:g}" if self.momentum else ""
        return f"{self.problems.replace(',', '-')[:40]}-{self.preset}{momentum}-seed{self.seed}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a problem is run: rates (ascending) and S of its points, time and saves of a run, replicas of the arms."""

    rates: tuple[float, ...]
    batch_size: int
    time: float
    saves: int
    replicas: dict[str, int]


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
    names = {require_known("problem", name.strip(), SIZES) for name in config.problems.split(",")}
    return [name for name in SIZES if name in names]


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    chosen(config)
    check_momentum(config.momentum)
    check_positive_integer("divide", config.divide)
    check_positive_integer("num_examples", config.num_examples)
    for name in ("batch_size", "num_steps", "seed"):
        if getattr(config, name) < 0:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least 0")
    for name in ("replicas", "sde_replicas"):
        if getattr(config, name) < 0 or getattr(config, name) == 1:
            raise InputError(f"{name} is {getattr(config, name)}: pass 2 or more, or 0 for each problem's own")
    if not 0 <= config.burn_in < 1:
        raise InputError(f"burn_in is {config.burn_in}: pass a part of the run, 0 ≤ burn_in < 1")
    for group in chosen(config):
        plan(config, group)


def plan(config: Config, group: str) -> Plan:
    """The sizes of a problem.

    With momentum the problems' own rates and times are (1−m) times as large: the same noise and as many steps.

    Raises:
        InputError: rates that aren't positive numbers, an S that can't be divided.
    """
    own, effective = SIZES[group], 1 - config.momentum
    rates = tuple(sorted(effective * rate for rate in own.rates))
    if config.learning_rates:
        try:
            rates = tuple(sorted({float(part) for part in config.learning_rates.split(",")}))
        except ValueError:
            rates = ()
        if not rates or not all(0 < rate < math.inf for rate in rates):
            raise InputError(
                f"learning_rates is '{config.learning_rates}': pass comma-separated positive numbers, say 0.05,0.1,0.5"
            )
    S = config.batch_size or own.batch_size
    if S % config.divide:
        raise InputError(f"batch_size {S} can't be divided by {config.divide}: pass --divide 1, or a divisor of {S}")
    time = config.num_steps * rates[0] if config.num_steps else own.time * effective
    fewest = round(time / rates[-1])
    if fewest < 2:
        least = math.ceil(2 * rates[-1] / rates[0])
        raise InputError(
            f"num_steps {config.num_steps} leaves {fewest} at the largest η of {group}: pass at least {least}"
            if config.num_steps
            else f"learning rate {rates[-1]:g} takes {fewest} steps to the time {time:g} of {group}: pass a smaller one"
        )
    factor = _REPLICAS_OF_PRESET[require_known("preset", config.preset, PRESETS)]
    sgd, sde = config.replicas or factor * own.sgd, config.sde_replicas or factor * own.sde
    return Plan(rates, S, time, min(own.saves, fewest), {"SGD": sgd, "SDE": sde})


def points(config: Config, case: Case, arm: str) -> list[tuple[float, int]]:
    """(η, S) of each point; for SGD the last one repeats the largest η/S with both divided.

    Raises:
        InputError: a rate at which SGD diverges.
    """
    sizes, edge = plan(config, case.group), 2 * (1 + config.momentum)
    top = float(case.spectrum[0][-1])
    if sizes.rates[-1] * top >= edge:
        raise InputError(
            f"learning rate {sizes.rates[-1]:g}: on {case.name} η λ_max = {sizes.rates[-1] * top:.3g} is not below "
            f"2(1+m) = {edge:g}, so SGD diverges; pass rates below {edge / top:.3g}"
        )
    found = [(rate, sizes.batch_size) for rate in sizes.rates]
    if arm == "SGD" and config.divide > 1:
        found.append((sizes.rates[-1] / config.divide, sizes.batch_size // config.divide))
    return found


def saved_steps(rate: float, time: float, saves: int) -> np.ndarray:
    """(saves,), the steps after which a run is saved: equally spaced, up to as near the time as whole steps allow."""
    every = max(1, round(time / (saves * rate)))
    return every * np.arange(1, saves + 1)
