"""The options of weak-order, and what they must satisfy."""

import dataclasses
import math

from experiments._shared.options import check_options, listed, option
from experiments.weak_order import laws
from sdesgd.errors import InputError

# Four points or more, since a slope is fitted to them.
_POINTS = {"numbers": int, "least": 1, "fewest": 4, "group": "dynamics"}

EXAMPLES = (
    "--net-steps 16,24,32,48 --replicas 600",
    "--width 8 --num-examples 128 --figure slopes.svg",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """How fast the SDEs approach SGD as η → 0, and gradient flow: means, variances, momentum, SVAG, stationarity."""

    time: float = option(0.6, "Circle: SDE time T = steps·η.", above=0, group="dynamics")
    steps: str = option("12,17,24,34,48,68,96,120", "Circle: SGD steps to T, one number per point.", **_POINTS)
    batch_size: int = option(4, "Circle: batch size S.", least=1, group="dynamics")
    svag_steps: int = option(3, "SVAG: steps to T, so η = T/steps, which stays fixed.", least=1, group="dynamics")
    ells: str = option("1,2,4,8,16,32", "SVAG: values of ℓ.", **_POINTS)
    friction: float = option(1.6, "Momentum: γ = (1−m)/√η, which stays fixed.", above=0, group="dynamics")
    momentum_time: float = option(2.0, "Momentum: inner time steps·√η.", above=0, group="dynamics")
    momentum_steps: str = option(
        "20,28,40,56,80,112,160,200", "Momentum: steps to that time, one number per point.", **_POINTS
    )
    stationary: str = option(
        "0.01,0.02,0.04,0.08,0.16",
        "Stationarity: values of ηλ.",
        **(_POINTS | {"numbers": float, "least": None, "above": 0}),
        below=2,
        remedy="SGD has a stationary law for 0 < ηλ < 2 only",
    )
    net_time: float = option(3.2, "Net: SDE time T = steps·η.", above=0, group="dynamics")
    net_steps: str = option("16,24,32,48,64", "Net: SGD steps to T, one number per point.", **_POINTS)
    net_batch_size: int = option(16, "Net: batch size S.", least=1, group="dynamics")
    num_examples: int = option(64, "Net: training examples N, and as many held out.", least=1, group="data")
    width: int = option(4, "Net: hidden units.", least=1, group="net")
    starts: int = option(3, "Net: initial nets.", least=1)
    replicas: int = option(300, "Net: coupled pairs of runs per point and start.", least=2)
    seed: int = option(0, "Seed of the net's data, starts and runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"T{self.time:g}-s{self.batch_size}-net{self.num_examples}x{self.width}-r{self.replicas}"


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    check_options(config)
    fewest = listed(config, "momentum_steps")[0]
    if config.friction * config.momentum_time > fewest:
        least = math.ceil(config.friction * config.momentum_time)
        raise InputError(
            f"momentum_steps {fewest} makes m = 1 − γ√η = {1 - config.friction * config.momentum_time / fewest:.3g} "
            f"negative: pass at least {least} steps"
        )
    laws.batches(len(laws.COEFFICIENTS), config.batch_size)
