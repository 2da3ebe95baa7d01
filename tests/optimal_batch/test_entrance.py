"""One line for what users do pass to tables, fits and recommendations; no NaN that reads well."""

import math
from typing import Any

import jax.random as jr
import numpy as np
import pytest
import xarray as xr

from sdesgd import optimal_batch
from sdesgd.optimal_batch import AccuracyTable
from sdesgd.optimal_batch.prediction import factors_of, quantiles
from tests.optimal_batch.test_table import GOOD
from tests.refusals import refused

ob: Any = optimal_batch
KEY = jr.key(0)
TABLE = AccuracyTable(**GOOD)


def with_column(name, values):
    return lambda: AccuracyTable(**GOOD | {name: values})


@pytest.mark.parametrize("name", [name for name in GOOD if name != "num_test"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "numbers"),
        ("abc", "numbers"),
        (["0.1", "0.1", "0.2"], "numbers"),
        ([0.5j, 0.5, 0.5], "complex"),
        (np.ma.array([1.0, 1.0, 1.0], mask=[0, 1, 0]), "masked array that hides 1"),
        ([[1.0], [1.0, 2.0], []], "array"),
        (np.array([1, None, 1], object), "numbers"),
        (KEY, "PRNGKey"),
        (np.ones((3, 1)), "shape"),
        (np.ones(2), "lengths"),
        (0.5, "shape"),
    ],
)
def test_a_column_that_is_none(name, values, message):
    assert name in refused(with_column(name, values), message)


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">f4", "f2"])
def test_a_column_of_another_kind_of_float_has_the_same_numbers(dtype):
    plain, other = AccuracyTable(**GOOD), with_column("accuracy", np.array([0.5, np.nan, 1.0], dtype))()
    np.testing.assert_array_equal(other.accuracy, plain.accuracy)
    assert other.accuracy.dtype == np.float64


@pytest.mark.parametrize("name", ["learning_rate", "num_examples", "momentum", "batch_size", "seed"])
def test_nan_in_a_setting_is_refused_although_the_run_diverged(name):
    values = [float(v) for v in GOOD[name]]
    values[1] = math.nan
    refused(with_column(name, values), name)


@pytest.mark.parametrize("bad", ["50", math.nan, math.inf, -1, 0, 2.5, [50], True, 10j])
def test_a_test_set_that_is_none(bad):
    refused(with_column("num_test", bad), "num_test is")


@pytest.mark.parametrize("bad", [None, {}, [], np.zeros(3), "table.nc", GOOD])
def test_a_dataset_that_is_none(bad):
    refused(lambda: ob.AccuracyTable.from_dataset(bad), "pass an xarray.Dataset")


def test_a_dataset_with_a_name_of_any_length():
    refused(lambda: ob.AccuracyTable.from_dataset(xr.Dataset({"x" * 5000: ("run", [1.0])})), "lacks learning_rate")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "pover"}, "unknown law 'pover': did you mean 'power'"),
        ({"law": None}, "law"),
        ({"samples": 0}, "samples is 0"),
        ({"samples": 99}, "99 samples"),
        ({"samples": 200.5}, "samples is"),
        ({"warmup": -1}, "warmup is -1"),
        ({"chains": 1}, "1 chains"),
        ({"chains": "4"}, "chains is"),
        ({"key": 0}, "key"),
        ({"key": None}, "key"),
        ({"key": jr.split(KEY, 2)}, "key"),
    ],
)
def test_a_fit_that_is_none(options, message):
    refused(lambda: ob.fit(TABLE, **{"key": KEY} | options), message)


@pytest.mark.parametrize("bad", [None, GOOD, "table.nc", xr.Dataset()])
def test_a_table_that_is_none(bad):
    refused(lambda: ob.fit(bad, key=KEY), "pass an AccuracyTable")
    refused(lambda: ob.predictive_check(None, bad), "pass a Posterior and an AccuracyTable")
    refused(lambda: ob.compare_laws(bad, bad, key=KEY), "pass a Posterior")


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0, "0.1", None, 1j, [], [[0.1]]])
def test_a_new_series_that_is_none(bad):
    refused(lambda: factors_of(bad, 100, 0.5), "learning_rate")
    refused(lambda: factors_of(0.1, bad, 0.5), "num_examples")
    if bad != 0.0:
        refused(lambda: factors_of(0.1, 100, bad), "momentum")


def test_vectors_of_other_lengths_are_refused():
    refused(lambda: factors_of([0.1, 0.2], [1, 2, 3], 0.5), "lengths that differ")


@pytest.mark.parametrize("bad", [0, 1, -0.1, 1.1, math.nan, "0.9", None, [0.9], True])
def test_a_level_that_is_none(bad):
    refused(lambda: quantiles(np.arange(10.0), bad), "level is")
