"""What an experiment answers with: kept bit for bit, told as JSON, refused where a file is forged."""

import dataclasses
import json
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

import sdesgd as sg
from experiments._shared.result import ExperimentResult, as_json
from sdesgd.netcdf import read_netcdf, write_netcdf


@dataclasses.dataclass(frozen=True)
class Options:
    seed: int = 3


@dataclasses.dataclass(frozen=True)
class Row:
    mean: float
    error: float

    @property
    def z(self) -> float:
        return self.mean / self.error if self.error else float("nan")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Answer(ExperimentResult):
    parts: ClassVar[tuple[type, ...]] = (Options, Row)
    config: Any
    rows: tuple[Row, ...]
    curve: np.ndarray
    data: xr.Dataset

    def answer(self):
        return f"{len(self.rows)} rows"


def answer():
    data = xr.Dataset(
        {
            "x": (("arm", "run"), np.array([[0.1, -0.0], [np.nan, np.inf]]), {"unit": "nats", "n": 3}),
            "flag": ("run", np.array([True, False])),
            "n": ((), np.int32(7)),
        },
        {"arm": ["SGD", "SDE, ≈"], "run": np.array([0, 1], np.uint8)},
        {"interrupted": 0, "lost": '["a"]'},
    )
    return Answer(Options(), (Row(1.0, 0.5), Row(np.nan, 0.0)), np.arange(2000.0), data)


def test_a_dataset_comes_back_bit_for_bit(tmp_path):
    made = answer()
    made.save(tmp_path / "result.nc")
    back = Answer.load(tmp_path / "result.nc")
    xr.testing.assert_identical(back.data, made.data)
    assert {name: x.dtype for name, x in back.data.variables.items()} == {
        name: x.dtype for name, x in made.data.variables.items()
    }
    assert np.signbit(back.data["x"].values[0, 1])
    assert set(back.data.coords) == {"arm", "run"}
    assert back.config == Options()
    assert back.rows[0] == made.rows[0]
    np.testing.assert_array_equal(back.curve, made.curve)


def test_a_summary_has_fields_and_properties_and_no_long_arrays():
    told = answer().summary()
    json.dumps(told, allow_nan=False)
    assert told == {
        "answer": "2 rows",
        "config": {"seed": 3},
        "rows": [{"mean": 1.0, "error": 0.5, "z": 2.0}, {"mean": None, "error": 0.0, "z": None}],
        "sizes": {"seed": 3},
    }
    assert as_json([np.zeros(2000), 1.0]) == [None, 1.0]
    assert as_json({"a": np.array([1.0, np.inf]), "b": np.float32(0.5), "c": (1, "x")}) == {
        "a": [1.0, None],
        "b": 0.5,
        "c": [1, "x"],
    }


@pytest.mark.parametrize("dims", [["arm", "arm"], ["run"], ["flag"], 3])
def test_a_dataset_whose_dimensions_were_changed_is_refused(tmp_path, dims):
    name = "result.nc"
    answer().save(tmp_path / name)
    kept = read_netcdf(tmp_path / name, decode=False)
    index = json.loads(kept["%index"].values.tobytes())
    (told,) = (one for one in index["node"]["fields"]["data"]["dataset"] if one["name"] == "x")
    told["dims"] = dims
    text = np.frombuffer(json.dumps(index).encode(), np.uint8)
    write_netcdf(kept.drop_vars("%index").assign({"%index": (("%index_0",), text)}), tmp_path / name)
    with pytest.raises(sg.InputError, match="holds no Answer") as caught:
        Answer.load(tmp_path / name)
    assert "\n" not in str(caught.value)
