"""What batch-size is run with: its configuration, its presets, the series and the cells of its sweep."""

import dataclasses
from typing import Any

import sdesgd as sg
from experiments._shared.options import check_options, listed, named, option
from experiments.batch_size.cell import BUDGETS
from sdesgd import sweep
from sdesgd.errors import InputError
from sdesgd.optimal_batch import FACTORS, Factor

# Families: what varies in each.
FAMILIES: dict[str, Factor] = dict(zip(("rate", "examples", "momentum"), FACTORS, strict=True))
PLACE = tuple(factor.option for factor in FACTORS)
MODELS = ("mlp", "logistic")
_BUDGET_SIZES = {"steps": 3000, "epochs": 30, "loss": 10_000}
_FASHION = {
    "families": "examples",
    "examples": "2000,4000,8000,16000,32000",
    "num_examples": 8000,
    "num_test": 10_000,
    "learning_rate": 0.02,
    "batch_sizes": "8,16,32,64,128,256,512",
    "budget_size": 10_000,
}
_OF_DATA: dict[str, dict[str, Any]] = {
    "fashion_mnist": _FASHION,
    "mnist": _FASHION,
    "mnist1d": {"num_test": 4000},
}
# Smith & Le: 800 hidden units on 28×28 pixels, N = 1000, η to 3, 10,000 updates. The rest of the grid is our choice.
_PAPER: dict[str, Any] = {
    "width": 800,
    "pooling": 1,
    "learning_rates": "0.01,0.03,0.1,0.3,1,3",
    "learning_rate": 0.3,
    "batch_sizes": "1,2,4,8,16,32,64,128,256,512,1000",
    "budget_size": 10_000,
    "seeds": 10,
}
_LARGE: dict[str, Any] = {
    "width": 800,
    "pooling": 1,
    "families": "rate,examples,momentum",
    "examples": "2000,4000,8000,16000,32000,60000",
    "num_examples": 8000,
    "batch_sizes": "2,4,8,16,32,64,128,256,512,1024,2048",
    "budget_size": 20_000,
    "seeds": 10,
}
PRESETS: dict[str, dict[str, Any]] = {"cpu": {}, "smith-le": _PAPER, "large": _LARGE}
# Options that recommend has too.
DATA = option(
    "mnist5k",
    "Data set, as `python -m experiments data` lists them",
    choices=tuple(sg.data.names()),
    kind="data set",
    group="data",
)
DATA_DIR = option("", "Folder of the data set's files; empty: where the system keeps them.", group="data")
POOLING = option(
    0, "Images are averaged over blocks of so many pixels each way; 0: 2, or 1 for what is no image.", group="data"
)

EXAMPLES = (
    "--families rate --seeds 3 --budget-size 1000",
    "--data fashion_mnist",
    "--preset smith-le --workers 4",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Test accuracy of SGD against batch size, for several η, N and m: does B_opt grow as η, N and 1/(1−m)?"""

    data: str = DATA
    data_dir: str = DATA_DIR
    preset: str = option(
        "cpu",
        "Sizes for a laptop, or for a GPU: 800 units and η to 3; N to 60,000, with --data.",
        choices=tuple(PRESETS),
    )
    families: str = option(
        "rate,examples,momentum",
        "Comma-separated: what is varied about the centre.",
        choices=tuple(FAMILIES),
        several=True,
        kind="family",
    )
    learning_rates: str = option(
        "0.01,0.02,0.04,0.08,0.16", "η of the family 'rate'.", numbers=float, above=0, group="dynamics"
    )
    examples: str = option(
        "500,1000,2000,4000", "N of the family 'examples'.", numbers=int, least=1, most=10**7, group="data"
    )
    momenta: str = option(
        "0,0.5,0.8,0.9,0.95",
        "m of the family 'momentum'; η stays the centre's.",
        numbers=float,
        least=0,
        below=1,
        group="dynamics",
    )
    learning_rate: float = option(0.08, "η of the centre, which the families share.", above=0, group="dynamics")
    num_examples: int = option(1000, "N of the centre.", least=1, most=10**7, group="data")
    momentum: float = option(0.9, "m of the centre.", least=0, below=1, group="dynamics")
    batch_sizes: str = option(
        "1,2,4,8,16,32,64,128", "B of every series; those above N are left out.", numbers=int, least=1, group="dynamics"
    )
    seeds: int = option(
        5,
        "Runs of a cell, each with its own net and batches.",
        least=2,
        most=10_000,
        remedy="pass at least 2, without repeats there is no error bar",
    )
    budget: str = option(
        "steps", "What ends a run; loss: when the train loss stops falling.", choices=BUDGETS, group="dynamics"
    )
    budget_size: int = option(
        0, "Steps, epochs, or at most so many steps; 0: 3,000, 30, 10,000.", most=10**7, group="dynamics"
    )
    model: str = option("mlp", "The net.", choices=MODELS, group="net")
    width: int = option(200, "ReLU units of a hidden layer.", least=1, most=10**5, group="net")
    depth: int = option(1, "Hidden layers of the mlp.", least=1, most=1000, group="net")
    pooling: int = POOLING
    num_test: int = option(1000, "Test examples, the same for all N.", least=1, most=10**7, group="data")
    noise_points: int = option(4, "Times of a run at which McCandlish's noise scales are measured; 0: none.")
    compare: bool = option(True, "Compare the two laws by series left out of the fit, half a minute.")
    workers: int = option(2, "Processes of the sweep; 0: this one.", most=1000, hashed=False)
    scheduler: str = option("", "Address of a dask cluster of yours; then --workers 0.", hashed=False)
    seed: int = option(0, "Seed of the data chosen, the nets and the batches.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"{self.data}-{self.model}-w{self.width}-{self.families.replace(',', '-')}-{self.budget}{self.size}"

    @property
    def size(self) -> int:
        """Of the budget."""
        return self.budget_size or _BUDGET_SIZES.get(self.budget, 0)

    @property
    def pool(self) -> int:
        """The largest N: a smaller one is its first examples."""
        return max(int(point["num_examples"]) for point in series(self))


def implied(config: Config) -> dict[str, Any]:
    """What the preset and the data set imply for the options that aren't given."""
    return _OF_DATA.get(config.data, {}) | PRESETS[config.preset]


def families(config: Config) -> list[str]:
    """The families asked for, in the order of the figure."""
    return named(config, "families")


def values(config: Config, family: str) -> list[float] | list[int]:
    """What a family varies, ascending, its centre included."""
    option_name = {"rate": "learning_rates", "examples": "examples", "momentum": "momenta"}[family]
    return sorted({*listed(config, option_name), getattr(config, FAMILIES[family].option)})


def series(config: Config) -> list[dict[str, Any]]:
    """The (η, N, m) of the families, each once; which families a series belongs to stands under ``families``."""
    centre = {name: getattr(config, name) for name in PLACE}
    found: dict[tuple, dict[str, Any]] = {}
    for family in families(config):
        for value in values(config, family):
            point = centre | {FAMILIES[family].option: value}
            key = tuple(point.values())
            found.setdefault(key, point | {"families": []})["families"].append(family)
    return list(found.values())


def batch_sizes(config: Config, count: int) -> list[int]:
    """B of a series with N = count, ascending."""
    return [size for size in listed(config, "batch_sizes") if size <= count]


def problem_config(config: Config) -> dict[str, Any]:
    """What all cells share: the data, the net, the budget."""
    pooling = config.pooling or (1 if config.data in ("mnist1d", "frames", "timit") else 2)
    return {
        "data": config.data,
        "data_dir": config.data_dir,
        "data_seed": config.seed,
        "pool": config.pool,
        "num_test": config.num_test,
        "pooling": pooling,
        "width": config.width,
        "depth": 0 if config.model == "logistic" else config.depth,
        "budget": config.budget,
        "budget_size": config.size,
    }


def cells(config: Config) -> tuple[sweep.Cell, ...]:
    """All cells, the large batches first: they take longest, and so the workers end together."""
    shared, made = problem_config(config), []
    for point in series(config):
        place = {name: point[name] for name in PLACE}
        for B in batch_sizes(config, place["num_examples"]):
            made.append(sweep.Cell(shared | place | {"batch_size": B}, range(config.seeds)))
    return tuple(sorted(made, key=lambda cell: -cell.config["batch_size"]))


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    check_options(config)
    if config.scheduler and config.workers:
        raise InputError(f"scheduler {config.scheduler} and workers {config.workers} were both given: pass --workers 0")
    for point in series(config):
        if len(batch_sizes(config, point["num_examples"])) < 3:
            raise InputError(
                f"batch_sizes '{config.batch_sizes}' leaves fewer than 3 up to N = {point['num_examples']}: pass more"
            )
