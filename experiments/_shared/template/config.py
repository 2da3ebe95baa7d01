"""The options, and what they must satisfy."""

import dataclasses

from experiments._shared.options import option
from sdesgd.errors import InputError


@dataclasses.dataclass(frozen=True)
class Config:
    """The variance of SGD about the minimum of a parabola, against the learning rate."""

    rates: str = option("0.1,0.2,0.4", "Comma-separated learning rates η, each below 2.")
    replicas: int = option(400, "Independent runs at each η.")
    num_steps: int = option(100, "SGD steps of a run; its last point counts.")
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"r{self.replicas}-k{self.num_steps}-seed{self.seed}"

    def learning_rates(self) -> list[float]:
        """η, ascending.

        Raises:
            InputError: no numbers between 0 and 2.
        """
        try:
            found = sorted(float(part) for part in self.rates.split(","))
        except ValueError:
            raise InputError(f"rates is '{self.rates}': pass comma-separated numbers, say 0.1,0.2") from None
        if not 0 < found[0] <= found[-1] < 2:
            raise InputError(f"rates is '{self.rates}': pass numbers between 0 and 2")
        return found


def check(config: Config) -> None:
    """Refuses what can't be computed, before anything is.

    Raises:
        InputError: names the option.
    """
    config.learning_rates()
    if config.replicas < 2:
        raise InputError(f"replicas is {config.replicas}: an error bar needs at least 2")
    if config.num_steps < 1:
        raise InputError(f"num_steps is {config.num_steps}: pass at least 1")
