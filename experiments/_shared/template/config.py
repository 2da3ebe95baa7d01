"""The options, each declared once with its bounds: what can't be meant is refused before anything is computed."""

import dataclasses

from experiments._shared.options import option

EXAMPLES = ("--rates 0.1,0.2 --replicas 1000",)


@dataclasses.dataclass(frozen=True)
class Config:
    """The variance of SGD about the minimum of a parabola, against the learning rate."""

    rates: str = option(
        "0.1,0.2,0.4", "Comma-separated learning rates η.", numbers=float, above=0, below=2, group="dynamics"
    )
    replicas: int = option(400, "Independent runs at each η.", least=2, remedy="an error bar needs at least 2")
    num_steps: int = option(100, "SGD steps of a run; its last point counts.", least=1, group="dynamics")
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"r{self.replicas}-k{self.num_steps}-seed{self.seed}"
