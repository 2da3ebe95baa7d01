"""A table of test accuracies, one row a run, and its series: the runs of one (η, N, m) at several batch sizes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from sdesgd.errors import InputError, shown
from sdesgd.inputs import as_float64, check_number
from sdesgd.optimal_batch.factors import FACTORS
from sdesgd.results import Result

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

COLUMNS = ("learning_rate", "num_examples", "momentum", "batch_size", "seed", "accuracy", "diverged")
SETTING = COLUMNS[:5]  # what tells one run from another
# Which values a column may hold, and that in words.
ACCEPTED: Mapping[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "learning_rate": (lambda x: np.isfinite(x) & (x > 0), "> 0"),
    "num_examples": (lambda x: x >= 1, "≥ 1"),
    "momentum": (lambda x: (x >= 0) & (x < 1), "in [0, 1)"),
    "batch_size": (lambda x: x >= 1, "≥ 1"),
}
WHOLE = ("num_examples", "batch_size", "seed")
_DECIMALS = 6  # accuracies with more are taken as not rounded


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Series:
    """The runs of one learning rate η, number of examples N and momentum m; ``rows`` are their places in the table."""

    learning_rate: float
    num_examples: int
    momentum: float
    rows: Int[np.ndarray, " n"]

    def __repr__(self) -> str:
        return f"{self.name} ({len(self.rows)} runs)"

    @property
    def name(self) -> str:
        """η, N and m in a line, for a message or a legend."""
        return f"η={self.learning_rate:g}, N={self.num_examples}, m={self.momentum:g}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AccuracyTable(Result):
    """Test accuracies of finished runs, one row a run.

    Columns may be given as lists too; they are kept as arrays (n,).

    Attributes:
        learning_rate: η > 0 of each run. num_examples: N of its training set. momentum: m in [0, 1).
        batch_size: B ≥ 1. seed: distinct among the runs of one η, N, m and B.
        accuracy: share of the test set that is classified correctly, in [0, 1]; anything where the run diverged.
        diverged: True where the run left the finite numbers, or where the caller leaves it out by a rule of their own;
            its accuracy is not used. A rule that looks at the outcome drops low accuracies, and moves B_opt with it.
        num_test: size of the test set: accuracies are multiples of 1/num_test. None where it isn't known: how
            accuracies were rounded is then read off their decimals, see ``resolution``.

    The scatter between seeds is learned from the seeds either way. What only ``num_test`` tells is the rounding, which
    keeps seeds that agree in all digits from counting as free of scatter. That all runs share one test set, whose
    choice is not part of any interval, is so with and without it.

    Raises:
        InputError: columns of other lengths, values out of range, a run that appears twice; accuracies of 0 or 1, whose
            logit is infinite, where neither ``num_test`` nor decimals say how they were rounded.
    """

    learning_rate: Any
    num_examples: Any
    momentum: Any
    batch_size: Any
    seed: Any
    accuracy: Any
    diverged: Any
    num_test: Any = None

    def __post_init__(self):
        for name in COLUMNS:
            object.__setattr__(self, name, _column(name, getattr(self, name)))
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) != 1:
            raise InputError(f"columns have lengths {lengths}: pass one entry a run in each")
        if lengths["accuracy"] == 0:
            raise InputError("the table has no rows: pass at least one run")
        object.__setattr__(self, "num_test", checked_num_test(self.num_test))
        for name, (accepts, what) in ACCEPTED.items():
            _require(name, getattr(self, name), accepts(getattr(self, name)), what)
        inside = self.diverged | ((self.accuracy >= 0) & (self.accuracy <= 1))
        _require(
            "accuracy", self.accuracy, inside, "a share in [0, 1] (a percentage over 100), or NaN with diverged=True"
        )
        if twice := repeated({name: getattr(self, name) for name in SETTING}):
            eta, examples, momentum, batch, seed = (getattr(self, name)[twice[0]] for name in SETTING)
            raise InputError(
                f"η={eta:g}, N={examples:g}, m={momentum:g}, B={batch:g}, seed {seed:g} appears in rows "
                f"{twice[0]} and {twice[1]}: give each repeat its own seed"
            )
        if self.resolution is None:
            extreme = ~self.diverged & ((self.accuracy == 0) | (self.accuracy == 1))
            _require("accuracy", self.accuracy, ~extreme, "num_test too, without which the logit of 0 or 1 is infinite")

    def __str__(self) -> str:
        factors = [f"{factor.symbol} {_span(getattr(self, factor.option))}" for factor in FACTORS]
        spans = ", ".join([*factors, f"B {_span(self.batch_size)}"])
        size = "a test set of unknown size" if self.num_test is None else f"{self.num_test:,} test examples"
        bad = int(self.diverged.sum())
        known = self.accuracy[~self.diverged]
        best = f"; accuracies {known.min():.2%} to {known.max():.2%}" if len(known) else ""
        return (
            f"{len(self.seed)} runs of {len(self.series)} series (η, N, m), {bad} diverged; {spans}\n"
            f"accuracy on {size}{best}"
        )

    def plot(self) -> "Figure":
        """Mean accuracies against B, and the best sampled batch size against each of η, N and 1/(1−m) that varies."""
        from sdesgd.plot.optimal_batch import table_figure

        return table_figure(self)

    def to_xarray(self) -> "xr.Dataset":
        """The columns, (run,), with num_test where it is known; ``from_dataset`` reads it back."""
        import xarray as xr

        known = {} if self.num_test is None else {"num_test": self.num_test}
        return xr.Dataset({name: ("run", getattr(self, name)) for name in COLUMNS}, attrs=known)

    @classmethod
    def from_dataset(cls, dataset: Any, num_test: int | None = None) -> "AccuracyTable":
        """The table in an ``xarray.Dataset`` whose variables bear the names of the columns.

        Args:
            dataset: variables of one dimension, or scalars, which are repeated for every run; ``diverged`` may be
                missing and is then where ``accuracy`` is NaN. Other variables are ignored.
            num_test: size of the test set; by default the dataset's variable or attribute of this name.

        Raises:
            InputError: no dataset; a missing column; num_test is nowhere, or not the same for all runs; see the class.
        """
        if not (hasattr(dataset, "variables") and hasattr(dataset, "attrs")):
            raise InputError(
                f"dataset is a {type(dataset).__name__}: pass an xarray.Dataset, or AccuracyTable(columns)"
            )
        available = {str(name): np.asarray(dataset[name].values) for name in dataset.variables}
        if "accuracy" in available and "diverged" not in available:
            available["diverged"] = np.isnan(as_float64(available["accuracy"], "accuracy"))
        missing = [name for name in COLUMNS if name not in available]
        if missing:
            raise InputError(
                f"the dataset lacks {', '.join(missing)}: its variables are {', '.join(sorted(available))}"
            )
        if num_test is None:
            given = available["num_test"] if "num_test" in available else dataset.attrs.get("num_test", [])
            found = np.unique(np.asarray(given))
            if found.size != 1:
                raise InputError(f"num_test is {found.tolist()} in the dataset: pass the one size of the test set")
            num_test = found[0]
        length = available["accuracy"].size
        columns = {
            name: np.full(length, available[name]) if available[name].ndim == 0 else available[name] for name in COLUMNS
        }
        return cls(**columns, num_test=num_test)  # pyright: ignore[reportArgumentType]

    @functools.cached_property
    def series(self) -> tuple[Series, ...]:
        """The distinct (η, N, m), ordered by N, m and η, with their rows."""
        keys = np.stack([self.num_examples, self.momentum, self.learning_rate], axis=1)
        distinct, which = np.unique(keys, axis=0, return_inverse=True)
        which = which.reshape(-1)
        return tuple(
            Series(float(eta), int(examples), float(momentum), np.flatnonzero(which == index))
            for index, (examples, momentum, eta) in enumerate(distinct)
        )

    @functools.cached_property
    def resolution(self) -> int | None:
        """n where accuracies are multiples of 1/n: num_test, else a power of ten by their decimals, None beyond six."""
        if self.num_test is not None:
            return self.num_test
        known = self.accuracy[~self.diverged]
        for digits in range(1, _DECIMALS + 1):
            if np.allclose(known, np.round(known, digits), rtol=0.0, atol=1e-12):
                return 10**digits
        return None

    @property
    def factors(self) -> Float[np.ndarray, "series 3"]:
        """log η, log N and −log(1−m) of each series."""
        return np.array([[factor.log(getattr(s, factor.option)) for factor in FACTORS] for s in self.series])

    @property
    def varied(self) -> tuple[str, ...]:
        """Those of learning_rate, num_examples and momentum that take more than one value."""
        return tuple(factor.option for factor in FACTORS if len(np.unique(getattr(self, factor.option))) > 1)


def checked_num_test(value: Any) -> int | None:
    """The size of a test set, or None where it isn't known.

    Raises:
        InputError: no whole number of at least 1.
    """
    if value is None:
        return None
    wanted = "the number of test examples, a whole number ≥ 1"
    check_number("num_test", value, wanted, lambda n: n >= 1 and n % 1 == 0)
    return int(float(value))


def repeated(setting: Mapping[str, np.ndarray]) -> tuple[int, int] | None:
    """Two rows that are one run: equal η, N, m, B and seed; None where all differ."""
    runs = np.stack([np.asarray(values, float) for values in setting.values()], axis=1)
    _, first, which = np.unique(runs, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[which.reshape(-1)] != np.arange(len(runs)))
    return (int(first[which.reshape(-1)[again[0]]]), int(again[0])) if len(again) else None


def _span(values: np.ndarray) -> str:
    """The values of a column in a few words."""
    distinct = np.unique(values)
    return f"{distinct[0]:g}" if len(distinct) == 1 else f"{distinct[0]:g} to {distinct[-1]:g} ({len(distinct)} values)"


def _column(name: str, values: Any) -> np.ndarray:
    numbers = as_float64(values, name, "real numbers, one a run")
    if numbers.ndim != 1:
        raise InputError(f"{name} has shape {numbers.shape}: pass one entry a run, (n,)")
    if name == "diverged":
        if not np.isin(numbers, (0, 1)).all():
            raise InputError(f"diverged holds {shown(numbers[~np.isin(numbers, (0, 1))][0])}: pass booleans")
        return numbers.astype(bool)
    if np.asarray(values).dtype == np.bool_:
        raise InputError(f"{name} has dtype bool: pass real numbers")
    if name in WHOLE:
        whole = np.isfinite(numbers) & (np.rint(numbers) == numbers) & (np.abs(numbers) <= 2.0**53)
        if not whole.all():
            raise InputError(f"{name} holds {numbers[~whole][0]}: pass whole numbers")
        return numbers.astype(np.int64)
    return numbers


def _require(name: str, values: np.ndarray, good: np.ndarray, what: str) -> None:
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise InputError(f"{name} is {values[row]} in row {row}: pass {what}")
