"""Tables, their series, what they refuse; the best sampled batch size with its bracket."""

import math

import numpy as np
import pytest
import xarray as xr

from sdesgd.errors import InputError
from sdesgd.optimal_batch import AccuracyTable, best_sampled, fit

GOOD = {
    "learning_rate": [0.1, 0.1, 0.2], "num_examples": [100, 100, 100], "momentum": [0.9, 0.9, 0.9],
    "batch_size": [1, 2, 1], "seed": [0, 0, 0], "accuracy": [0.5, np.nan, 1.0], "diverged": [False, True, False],
    "num_test": 50,
}  # fmt: skip


def test_series_and_factors():
    table = AccuracyTable(**GOOD)
    assert [(s.learning_rate, s.num_examples, s.momentum, list(s.rows)) for s in table.series] == [
        (0.1, 100, 0.9, [0, 1]),
        (0.2, 100, 0.9, [2]),
    ]
    np.testing.assert_allclose(table.factors[1], [math.log(0.2), math.log(100), math.log(10)])
    assert table.varied == ("learning_rate",)


@pytest.mark.parametrize("where", ["attribute", "variable", "argument"])
def test_from_dataset(where):
    columns = {
        name: ("run", values) for name, values in GOOD.items() if name not in ("num_test", "momentum", "diverged")
    }
    dataset = xr.Dataset(columns | {"momentum": 0.9, "loss": ("run", [1.0, 2.0, 3.0])})
    if where == "attribute":
        dataset.attrs["num_test"] = 50
    elif where == "variable":
        dataset["num_test"] = ("run", [50, 50, 50])
    table = AccuracyTable.from_dataset(dataset, num_test=50 if where == "argument" else None)
    assert table.num_test == 50
    assert list(table.diverged) == [False, True, False]
    assert list(table.momentum) == [0.9] * 3
    with pytest.raises(InputError, match="lacks accuracy"):
        AccuracyTable.from_dataset(dataset.drop_vars("accuracy"), num_test=50)
    with pytest.raises(InputError, match="num_test is"):
        AccuracyTable.from_dataset(dataset.drop_vars("num_test", errors="ignore").drop_attrs())


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("accuracy", [0.5, np.nan], "lengths"),
        ("accuracy", [0.5, np.nan, 1.01], "accuracy is 1.01 in row 2"),
        ("accuracy", [np.nan, np.nan, 1.0], "accuracy is nan in row 0"),
        ("accuracy", ["a", "b", "c"], "real numbers"),
        ("accuracy", [[0.5, 0.5, 0.5]], "shape"),
        ("diverged", [0.5, 1, 0], "pass booleans"),
        ("learning_rate", [0.1, 0.0, 0.2], "learning_rate is 0.0 in row 1"),
        ("learning_rate", [0.1, np.inf, 0.2], "learning_rate is inf"),
        ("momentum", [0.9, 0.9, 1.0], "momentum is 1.0"),
        ("batch_size", [1, 2, 0], "batch_size is 0"),
        ("batch_size", [1, 2, 1.5], "batch_size holds 1.5"),
        ("num_examples", [100, 100, np.nan], "whole numbers"),
        ("batch_size", [1, 1, 1], "stands 2 times"),
        ("num_test", 0, "num_test is 0"),
        ("num_test", 10.5, "num_test is 10.5"),
    ],
)
def test_refusals(name, values, message):
    with pytest.raises(InputError, match=message) as caught:
        AccuracyTable(**GOOD | {name: values})
    assert "\n" not in str(caught.value)


def runs(cells, eta=0.1):
    """A table of one series from {B: accuracies}, None for a diverged run."""
    rows = [(b, seed, acc) for b, accs in cells.items() for seed, acc in enumerate(accs)]
    batch, seed, accuracy = zip(*rows, strict=True)
    diverged = [value is None for value in accuracy]
    n = len(rows)
    values = [math.nan if value is None else value for value in accuracy]
    return AccuracyTable([eta] * n, [1000] * n, [0.9] * n, batch, seed, values, diverged, 1000)


@pytest.mark.parametrize(
    ("cells", "best", "low", "high", "censored"),
    [
        ({1: [0.5, 0.6], 4: [0.8, 0.9], 16: [0.7, 0.7]}, 4, 1, 16, ""),
        ({1: [0.9, 0.8], 4: [0.8, 0.8], 16: [0.7, 0.7]}, 1, math.nan, 4, "low"),
        ({1: [0.5, 0.6], 4: [0.8, 0.9], 16: [0.9, 0.9]}, 16, 4, math.nan, "high"),
        # One lucky survivor of three doesn't make B = 1 a candidate; its neighbour is then at the edge.
        ({1: [0.99, None, None], 4: [0.8, 0.9, 0.9], 16: [0.7, 0.7, 0.7]}, 4, math.nan, 16, "low"),
        # One of two diverged: the mean is of the other.
        ({1: [0.5, 0.5], 4: [0.9, None], 16: [0.8, 0.8]}, 4, 1, 16, ""),
        # The mean decides, not the best run.
        ({1: [0.5, 0.5], 4: [0.95, 0.5], 16: [0.8, 0.8], 64: [0.1, 0.1]}, 16, 4, 64, ""),
        ({1: [0.5], 4: [0.8], 16: [0.8], 64: [0.1]}, 4, 1, 16, ""),
        ({1: [None], 4: [0.8]}, 4, math.nan, math.nan, "both"),
    ],
)
def test_best_sampled(cells, best, low, high, censored):
    (found,) = best_sampled(runs(cells))
    assert (found.batch_size, found.censored) == (best, censored)
    np.testing.assert_equal([found.low, found.high], [low, high])
    kept = [value for value in cells[best] if value is not None]
    assert found.accuracy == pytest.approx(np.mean(kept))
    if len(kept) > 1:
        assert found.standard_error == pytest.approx(np.std(kept, ddof=1) / math.sqrt(len(kept)))
    assert list(found.diverged_share) == [np.mean([value is None for value in accs]) for accs in cells.values()]


def test_nothing_to_choose_or_to_fit():
    import jax.random as jr

    with pytest.raises(InputError, match="most runs diverged at every batch size"):
        best_sampled(runs({1: [None], 4: [None]}))
    with pytest.raises(InputError, match="three batch sizes"):
        fit(runs({1: [0.5, 0.5], 4: [0.6, 0.5], 8: [None, None]}), key=jr.key(0))
    with pytest.raises(InputError, match="no cell has two runs"):
        fit(runs({1: [0.5], 4: [0.6], 8: [0.5]}), key=jr.key(0))
    three = runs({1: [0.5, 0.5], 4: [0.6, 0.5], 8: [0.5, 0.5]})
    with pytest.raises(InputError, match="unknown law 'powr'"):
        fit(three, "powr", key=jr.key(0))
    with pytest.raises(InputError, match="two chains of 100"):
        fit(three, key=jr.key(0), samples=50)
