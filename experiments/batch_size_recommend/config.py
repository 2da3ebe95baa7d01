"""The options of batch-size recommend, and the sweep that they ask for."""

import dataclasses
import math

from experiments._shared.options import option
from experiments.batch_size import config as batch_size_config
from sdesgd.dynamics.protocol import check_learning_rate, check_momentum
from sdesgd.errors import InputError
from sdesgd.inputs import check_positive_integer
from sdesgd.optimal_batch.budget import FEWEST_STEPS

SEEDS = 5


@dataclasses.dataclass(frozen=True)
class Config:
    """The batch size that suits a learning rate, or the learning rate that suits a batch size, in minutes."""

    model: str = option("mlp", "mlp | logistic.")
    data: str = option("mnist5k", "Data set; `python -m experiments data` lists them.")
    data_dir: str = option("", "Folder of the data set's files; empty: where the system keeps them.")
    learning_rate: float = option(0.0, "η, to be given a batch size.")
    batch_size: int = option(0, "Or B, to be given a learning rate.")
    minutes: float = option(4.0, "Time to spend.")
    num_examples: int = option(4000, "Training examples N.")
    num_test: int = option(1000, "Test examples.")
    momentum: float = option(0.9, "m.")
    width: int = option(200, "ReLU units of a hidden layer.")
    depth: int = option(1, "Hidden layers of the mlp.")
    pooling: int = option(0, "Images are averaged over blocks of so many pixels each way; 0: 2, or 1 for no image.")
    batch_sizes: str = option("1,2,4,8,16,32,64,128,256", "B that are tried.")
    learning_rates: str = option("0.01,0.03,0.1,0.3", "η that are tried for a given B.")
    workers: int = option(2, "Processes of the sweep; 0: this one.")
    seed: int = option(0, "Seed of the data chosen, the nets and the batches.")

    def label(self) -> str:
        """A readable name of the run."""
        given = f"b{self.batch_size}" if self.batch_size else f"eta{self.learning_rate:g}"
        return f"{self.model}-{self.data}-n{self.num_examples}-{given}-{self.minutes:g}min"


def check(config: Config) -> None:
    """Raises InputError unless exactly one of η and B is given, and for values out of range."""
    if bool(config.learning_rate) == bool(config.batch_size):
        raise InputError("give one of --learning-rate and --batch-size: the other is what is recommended")
    if config.batch_size:
        check_positive_integer("batch_size", config.batch_size)
    else:
        check_learning_rate(config.learning_rate)
    check_momentum(config.momentum)
    if not (math.isfinite(config.minutes) and config.minutes > 0):
        raise InputError(f"minutes is {config.minutes:g}: pass the time to spend, say 4")
    batch_size_config.check(sweep_config(config, FEWEST_STEPS))


def sweep_config(config: Config, steps: int) -> batch_size_config.Config:
    """The sweep: the series of the given η, or those of several."""
    rates = batch_size_config.numbers("learning_rates", config.learning_rates)
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
