"""What batch-size is run with: its configuration, its presets, the series and the cells of its sweep."""

import dataclasses
import math
from typing import Any

import sdesgd as sg
from experiments._shared.options import option
from experiments.batch_size.cell import BUDGETS
from sdesgd import sweep
from sdesgd.dynamics.protocol import check_learning_rate, check_momentum
from sdesgd.errors import InputError, require_known
from sdesgd.inputs import check_positive_integer
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


@dataclasses.dataclass(frozen=True)
class Config:
    """Test accuracy of SGD against batch size, for several η, N and m: does B_opt grow as η, N and 1/(1−m)?"""

    data: str = option("mnist5k", "Data set; `python -m experiments data` lists them.")
    data_dir: str = option("", "Folder of the data set's files; empty: where the system keeps them.")
    preset: str = option(
        "cpu", "cpu | smith-le (800 units, η to 3) | large (N to 60,000, with --data): the last two for a GPU."
    )
    families: str = option("rate,examples,momentum", "Comma-separated: what is varied about the centre.")
    learning_rates: str = option("0.01,0.02,0.04,0.08,0.16", "η of the family 'rate'.")
    examples: str = option("500,1000,2000,4000", "N of the family 'examples'.")
    momenta: str = option("0,0.5,0.8,0.9,0.95", "m of the family 'momentum'; η stays the centre's.")
    learning_rate: float = option(0.08, "η of the centre, which the families share.")
    num_examples: int = option(1000, "N of the centre.")
    momentum: float = option(0.9, "m of the centre.")
    batch_sizes: str = option("1,2,4,8,16,32,64,128", "B of every series; those above N are left out.")
    seeds: int = option(5, "Runs of a cell, each with its own net and batches.")
    budget: str = option("steps", "What ends a run: steps | epochs | loss (the train loss stops falling).")
    budget_size: int = option(0, "Steps, epochs, or at most so many steps; 0: 3,000, 30, 10,000.")
    model: str = option("mlp", "mlp | logistic.")
    width: int = option(200, "ReLU units of a hidden layer.")
    depth: int = option(1, "Hidden layers of the mlp.")
    pooling: int = option(
        0, "Images are averaged over blocks of so many pixels each way; 0: 2, or 1 for what is no image."
    )
    num_test: int = option(1000, "Test examples, the same for all N.")
    noise_points: int = option(4, "Times of a run at which McCandlish's noise scales are measured; 0: none.")
    compare: bool = option(True, "Compare the two laws by series left out of the fit, half a minute.")
    workers: int = option(2, "Processes of the sweep; 0: this one.", hashed=False)
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
    """What the preset and the data set imply for the options that aren't given.

    Raises:
        InputError: an unknown preset or data set (the nearest is named).
    """
    require_known("data set", config.data, sg.data.names())
    return _OF_DATA.get(config.data, {}) | PRESETS[require_known("preset", config.preset, PRESETS)]


def families(config: Config) -> list[str]:
    """The families asked for, in the order of the figure.

    Raises:
        InputError: an unknown one (the nearest is named).
    """
    names = {require_known("family", name.strip(), FAMILIES) for name in config.families.split(",")}
    return [name for name in FAMILIES if name in names]


def values(config: Config, family: str) -> list[float] | list[int]:
    """What a family varies, ascending, its centre included.

    Raises:
        InputError: no numbers, or out of range.
    """
    option_name = {"rate": "learning_rates", "examples": "examples", "momentum": "momenta"}[family]
    whole = family == "examples"
    found = numbers(option_name, getattr(config, option_name), whole)
    check = {"rate": check_learning_rate, "examples": _check_examples, "momentum": check_momentum}[family]
    for value in found:
        check(value)
    return sorted({*found, getattr(config, FAMILIES[family].option)})


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
    return [size for size in numbers("batch_sizes", config.batch_sizes, True) if size <= count]


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
    require_known("model", config.model, MODELS)
    require_known("budget", config.budget, BUDGETS)
    for name in ("num_examples", "seeds", "width", "depth", "num_test"):
        check_positive_integer(name, getattr(config, name))
    for name in ("budget_size", "pooling", "noise_points", "workers", "seed"):
        if getattr(config, name) < 0:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least 0")
    if config.seeds < 2:
        raise InputError(f"seeds is {config.seeds}: pass at least 2, without repeats there is no error bar")
    if config.scheduler and config.workers:
        raise InputError(f"scheduler {config.scheduler} and workers {config.workers} were both given: pass --workers 0")
    check_learning_rate(config.learning_rate)
    check_momentum(config.momentum)
    for point in series(config):
        if len(batch_sizes(config, point["num_examples"])) < 3:
            raise InputError(
                f"batch_sizes '{config.batch_sizes}' leaves fewer than 3 up to N = {point['num_examples']}: pass more"
            )


def numbers(name: str, text: str, whole: bool = False) -> list[Any]:
    """Comma-separated numbers, ascending.

    Raises:
        InputError: something else, a value twice, whole numbers below 1.
    """
    kind = int if whole else float
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        example = "500,1000,2000" if whole else "0.05,0.1"
        raise InputError(f"{name} is '{text}': pass comma-separated numbers, say {example}") from None
    bad = [x for x in found if not math.isfinite(x) or (whole and x < 1)]
    if bad:
        raise InputError(f"{name} holds {bad[0]:g}: pass whole numbers of at least 1")
    if len(set(found)) < len(found):
        raise InputError(f"{name} is '{text}': a value is repeated, pass each once")
    return sorted(found)


def _check_examples(count: int) -> None:
    check_positive_integer("examples", count)
