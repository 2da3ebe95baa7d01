"""Tables, their series, what they refuse; the best sampled batch size with its bracket."""

import math

import numpy as np
import pytest
import xarray as xr

from sdesgd.errors import InputError
from sdesgd.optimal_batch import AccuracyTable, best_sampled, fit
from sdesgd.optimal_batch.cells import make_cells

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
        ("batch_size", [1, 1, 1], "appears in rows 0 and 1"),
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


@pytest.mark.parametrize(
    ("accuracy", "num_test", "resolution"),
    [
        ([0.9, 0.93, 0.5], None, 100),
        ([0.9, 0.931, 1.0], None, 1000),
        ([1 / 3, 0.5, 0.25], None, None),
        ([0.9, 0.93, 0.5], 50, 50),
    ],
)
def test_how_accuracies_were_rounded(accuracy, num_test, resolution):
    """By the size of the test set, else by their decimals; what a diverged run shows doesn't count."""
    table = AccuracyTable(**GOOD | {"accuracy": accuracy, "diverged": [False] * 3, "num_test": num_test})
    assert table.resolution == resolution
    hidden = {"accuracy": [*accuracy, 0.123456789], "diverged": [False] * 3 + [True], "num_test": num_test}
    rows = {name: [*GOOD[name], GOOD[name][0]] for name in ("learning_rate", "num_examples", "momentum", "batch_size")}
    assert AccuracyTable(**rows, seed=[0, 0, 0, 1], **hidden).resolution == resolution


def test_a_certain_accuracy_needs_a_test_set():
    """With 1/3 in the table nothing says how 1 was rounded, and its logit is infinite."""
    columns = GOOD | {"accuracy": [1 / 3, 0.5, 1.0], "diverged": [False] * 3}
    with pytest.raises(InputError, match=r"accuracy is 1\.0 in row 2: pass num_test"):
        AccuracyTable(**columns | {"num_test": None})
    assert AccuracyTable(**columns | {"num_test": 3}).resolution == 3


def test_cells_of_a_table_without_a_test_set():
    """Rounded to 1/1000 they are those of 1000 test examples; unrounded, the plain logit and no floor."""
    from scipy.special import logit

    cells = {1: [0.5, 0.625], 4: [0.8, 0.9], 16: [0.7, 0.75]}
    columns = {name: getattr(runs(cells), name) for name in GOOD}
    plain, by_decimals = AccuracyTable(**columns), AccuracyTable(**columns | {"num_test": None})
    for one, other in zip(make_cells(plain, "power"), make_cells(by_decimals, "power"), strict=True):
        np.testing.assert_array_equal(one, other)
    columns["accuracy"] = columns["accuracy"] + math.pi / 1e8
    bare = make_cells(AccuracyTable(**columns | {"num_test": None}), "power")
    assert (bare.floor == 0).all()
    expected = [logit(columns["accuracy"][2 * k : 2 * k + 2]).mean() for k in range(3)]
    np.testing.assert_allclose(bare.mean[0], expected, rtol=1e-12)


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
