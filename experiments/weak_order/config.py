"""The options of weak-order, and what they must satisfy."""

import dataclasses
import math

from experiments._shared.options import option
from experiments.weak_order import laws
from sdesgd.errors import InputError
from sdesgd.inputs import check_positive_integer


@dataclasses.dataclass(frozen=True)
class Config:
    """How fast the SDEs approach SGD as η → 0, and gradient flow: means, variances, momentum, SVAG, stationarity."""

    time: float = option(0.6, "Circle: SDE time T = steps·η.")
    steps: str = option("12,17,24,34,48,68,96,120", "Circle: SGD steps to T, one number per point.")
    batch_size: int = option(4, "Circle: batch size S.")
    svag_steps: int = option(3, "SVAG: steps to T, so η = T/steps, which stays fixed.")
    ells: str = option("1,2,4,8,16,32", "SVAG: values of ℓ.")
    friction: float = option(1.6, "Momentum: γ = (1−m)/√η, which stays fixed.")
    momentum_time: float = option(2.0, "Momentum: inner time steps·√η.")
    momentum_steps: str = option("20,28,40,56,80,112,160,200", "Momentum: steps to that time, one number per point.")
    stationary: str = option("0.01,0.02,0.04,0.08,0.16", "Stationarity: values of ηλ.")
    net_time: float = option(3.2, "Net: SDE time T = steps·η.")
    net_steps: str = option("16,24,32,48,64", "Net: SGD steps to T, one number per point.")
    net_batch_size: int = option(16, "Net: batch size S.")
    num_examples: int = option(64, "Net: training examples N, and as many held out.")
    width: int = option(4, "Net: hidden units.")
    starts: int = option(3, "Net: initial nets.")
    replicas: int = option(300, "Net: coupled pairs of runs per point and start.")
    seed: int = option(0, "Seed of the net's data, starts and runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"T{self.time:g}-s{self.batch_size}-net{self.num_examples}x{self.width}-r{self.replicas}"


# -- input -----------------------------------------------------------------------------------------------


def numbers(config: Config, name: str, kind: type = int, least: int = 4) -> list:
    """The comma-separated numbers of an option.

    Raises:
        InputError: not numbers, not positive, repeated, or fewer than a fit needs.
    """
    text = getattr(config, name)
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} is '{text}': pass comma-separated {kind.__name__}s, say {_default(name)}") from None
    if not all(math.isfinite(x) and x > 0 for x in found) or len(set(found)) < max(least, len(found)):
        raise InputError(f"{name} is '{text}': pass {least} or more different positive numbers, say {_default(name)}")
    return found


def _default(name: str) -> str:
    return next(str(f.default) for f in dataclasses.fields(Config) if f.name == name)


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    for name in ("time", "momentum_time", "friction", "net_time"):
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value}: pass a positive finite number, say {_default(name)}")
    for name in ("batch_size", "svag_steps", "net_batch_size", "num_examples", "width", "starts"):
        check_positive_integer(name, getattr(config, name))
    if config.replicas < 2 or config.seed < 0:
        name, least = ("replicas", 2) if config.replicas < 2 else ("seed", 0)
        raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    for name in ("steps", "momentum_steps", "net_steps", "ells"):
        numbers(config, name)
    fewest = min(numbers(config, "momentum_steps"))
    if config.friction * config.momentum_time > fewest:
        least = math.ceil(config.friction * config.momentum_time)
        raise InputError(
            f"momentum_steps {fewest} makes m = 1 − γ√η = {1 - config.friction * config.momentum_time / fewest:.3g} "
            f"negative: pass at least {least} steps"
        )
    largest = max(numbers(config, "stationary", float))
    if largest >= 2:
        raise InputError(f"stationary has ηλ = {largest:g}: SGD has a stationary law below 2 only")
    laws.batches(len(laws.COEFFICIENTS), config.batch_size)
