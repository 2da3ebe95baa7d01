"""The options of escape-times."""

import dataclasses
import math

from experiments._shared.options import listed, option

ARMS = ("SGD", "SDE")

EXAMPLES = (
    "--ratios 2,3,4 --passages 200",
    "--potential unequal-width --learning-rate 0.05 --figure times.svg",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """How long SGD and the SDE take from the deeper minimum to the other, against ΔV/T; and Kramers' formula."""

    potential: str = option(
        "asymmetric", "A potential of one coordinate with two wells (see sdesgd.toys).", group="problem"
    )
    ratios: str = option(
        "2,3,4,5,6,7", "Comma-separated barriers ΔV/T.", numbers=float, least=0.1, most=30, group="dynamics"
    )
    learning_rate: float = option(
        0.1, "Learning rate η, the same at all T: the tilts make the temperature.", above=0, group="dynamics"
    )
    batch_size: int = option(2, "Batch size S.", least=1, group="dynamics")
    passages: int = option(
        1000, "Passages of each arm at each ΔV/T.", least=20, most=10**7, remedy="pass at least 20, for an interval"
    )
    max_steps: int = option(
        2_000_000, "SGD steps of the longest passage, beyond which a ΔV/T is refused.", least=1, most=10**9
    )
    points: int = option(1201, "Points of the grid of SGD's exact law.", least=51, most=10_000)
    preset: str = option(
        "cpu", "Sizes fit for a laptop, or a GPU (a hundred times the passages).", choices=("cpu", "gpu")
    )
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"{self.potential}-eta{self.learning_rate:g}-s{self.batch_size}-r{self.passages}-seed{self.seed}"

    def longest(self) -> float:
        """Mean times that hardly any passage exceeds: they are exponential, and one in 3,000 runs has a longer one."""
        return math.log(len(ARMS) * len(self.barriers()) * self.passages) + 8

    def barriers(self) -> list[float]:
        """ΔV/T, ascending."""
        return listed(self, "ratios")


PRESETS = {"cpu": {}, "gpu": {"passages": 100_000}}


def implied(config: Config) -> dict:
    """What the preset implies for the options that aren't given."""
    return PRESETS[config.preset]
