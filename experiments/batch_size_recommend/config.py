"""The options of batch-size recommend, and the sweep that they ask for."""

import dataclasses

from experiments._shared.options import check_options, listed, option
from experiments.batch_size import config as batch_size_config
from sdesgd.errors import InputError
from sdesgd.optimal_batch.budget import FEWEST_STEPS

SEEDS = 5

EXAMPLES = (
    "--learning-rate 0.05",
    "--batch-size 64 --minutes 8",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The batch size that suits a learning rate, or the learning rate that suits a batch size, in minutes."""

    model: str = option("mlp", "The net.", choices=batch_size_config.MODELS, group="net")
    data: str = batch_size_config.DATA
    data_dir: str = batch_size_config.DATA_DIR
    learning_rate: float = option(0.0, "η, to be given a batch size.", least=0, group="dynamics")
    batch_size: int = option(0, "Or B, to be given a learning rate.", group="dynamics")
    minutes: float = option(4.0, "Time to spend.", above=0, remedy="pass the time to spend, say 4")
    num_examples: int = option(4000, "Training examples N.", least=1, most=10**7, group="data")
    num_test: int = option(1000, "Test examples.", least=1, most=10**7, group="data")
    momentum: float = option(0.9, "Heavy-ball momentum m.", least=0, below=1, group="dynamics")
    width: int = option(200, "ReLU units of a hidden layer.", least=1, most=10**5, group="net")
    depth: int = option(1, "Hidden layers of the mlp.", least=1, most=1000, group="net")
    pooling: int = batch_size_config.POOLING
    batch_sizes: str = option("1,2,4,8,16,32,64,128,256", "B that are tried.", numbers=int, least=1, group="dynamics")
    learning_rates: str = option(
        "0.01,0.03,0.1,0.3", "η that are tried for a given B.", numbers=float, above=0, group="dynamics"
    )
    workers: int = option(2, "Processes of the sweep; 0: this one.", most=1000)
    seed: int = option(0, "Seed of the data chosen, the nets and the batches.")

    def label(self) -> str:
        """A readable name of the run."""
        given = f"b{self.batch_size}" if self.batch_size else f"eta{self.learning_rate:g}"
        return f"{self.model}-{self.data}-n{self.num_examples}-{given}-{self.minutes:g}min"


def check(config: Config) -> None:
    """Raises InputError unless exactly one of η and B is given, and for values out of range."""
    check_options(config)
    if bool(config.learning_rate) == bool(config.batch_size):
        raise InputError("give one of --learning-rate and --batch-size: the other is what is recommended")
    batch_size_config.check(sweep_config(config, FEWEST_STEPS))


def sweep_config(config: Config, steps: int) -> batch_size_config.Config:
    """The sweep: the series of the given η, or those of several."""
    rates = listed(config, "learning_rates")
    same = ("model", "data", "data_dir", "num_examples", "num_test", "momentum", "width", "depth", "pooling", "seed")
    return batch_size_config.Config(
        **{name: getattr(config, name) for name in same},
        families="rate",
        learning_rates=f"{config.learning_rate!r}" if config.learning_rate else config.learning_rates,
        learning_rate=config.learning_rate or rates[len(rates) // 2],
        batch_sizes=config.batch_sizes,
        seeds=SEEDS,
        budget_size=steps,
        noise_points=0,
        workers=config.workers,
    )
