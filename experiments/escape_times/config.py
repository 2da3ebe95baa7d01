"""The options of escape-times."""

import dataclasses
import math

from experiments._shared.options import option
from sdesgd.errors import InputError, require_known

ARMS = ("SGD", "SDE")


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
