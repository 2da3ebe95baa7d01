"""What stationary-loss is run with: its configuration, its presets, the sizes of each problem."""

import dataclasses
import math
from typing import Any

import numpy as np

from experiments._shared.options import check_options, listed, named, option
from experiments.stationary_loss.problems import SIZES, Case
from sdesgd.errors import InputError

ARMS = ("SGD", "SDE")
PRESETS: dict[str, dict[str, Any]] = {"cpu": {}, "gpu": {"num_examples": 2000, "width": 32}}
_REPLICAS_OF_PRESET = {"cpu": 1, "gpu": 16}
_OWN = "each problem's own"
_DECAY = "pass a positive number; without it the loss has no minimum"

EXAMPLES = (
    "--problems quadratic,regression",
    "--problems net --momentum 0.9 --learning-rates 0.01,0.02",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Mean excess loss of SGD and of its SDE near a minimum, against η/S: which trace is right, Tr H or Tr C?"""

    problems: str = option(
        "quadratic,regression,logistic,net",
        "Comma-separated problems.",
        choices=tuple(SIZES),
        several=True,
        group="problem",
    )
    preset: str = option(
        "cpu", "Sizes fit for a laptop, or a GPU (more examples, units and replicas).", choices=tuple(PRESETS)
    )
    learning_rates: str = option(
        "",
        "Comma-separated η, for all problems; empty: each problem's own, times 1−m.",
        numbers=float,
        above=0,
        group="dynamics",
    )
    batch_size: int = option(0, "Batch size S of all problems; 0: each problem's own.", group="dynamics")
    divide: int = option(
        4,
        "SGD also at the largest η and its S both divided by this: the same η/S; 1 leaves it out.",
        least=1,
        group="dynamics",
    )
    momentum: float = option(0.0, "Heavy-ball momentum m.", least=0, below=1, group="dynamics")
    replicas: int = option(0, "Runs of SGD at each point; 0: each problem's own.", zero=_OWN, least=2, most=10**7)
    sde_replicas: int = option(0, "Runs of the SDE at each point; 0: each problem's own.", zero=_OWN, least=2)
    num_steps: int = option(
        0, "SGD steps of a run at the smallest η, others take as much time; 0: each problem's own.", most=10**8
    )
    burn_in: float = option(0.5, "Part of a run left out of its mean.", least=0, below=1)
    num_examples: int = option(200, "Logistic, net: examples N.", least=1, most=10**7, group="data")
    width: int = option(8, "Net: hidden units.", least=1, most=10**5, group="net")
    logistic_decay: float = option(0.02, "Logistic: weight decay.", above=0, remedy=_DECAY, group="problem")
    net_decay: float = option(0.003, "Net: weight decay.", above=0, remedy=_DECAY, group="net")
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
    """What the preset implies for the options that aren't given."""
    return PRESETS[config.preset]


def chosen(config: Config) -> list[str]:
    """The problems asked for, in the order of the figure."""
    return named(config, "problems")


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    check_options(config)
    for group in chosen(config):
        plan(config, group)


def plan(config: Config, group: str) -> Plan:
    """The sizes of a problem.

    With momentum the problems' own rates and times are (1−m) times as large: the same noise and as many steps.

    Raises:
        InputError: an S that can't be divided, too few steps.
    """
    own, effective = SIZES[group], 1 - config.momentum
    rates = tuple(sorted(effective * rate for rate in own.rates))
    rates = tuple(listed(config, "learning_rates")) or rates
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
    factor = _REPLICAS_OF_PRESET[config.preset]
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
