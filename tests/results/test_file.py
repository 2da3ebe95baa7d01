"""Results on disk: every number comes back, nothing else is made, and what is damaged gets one line."""

import dataclasses
import json
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from sdesgd.netcdf import read_netcdf, write_netcdf
from sdesgd.results import NotEstablished, Result
from tests.refusals import refused


class Pair(NamedTuple):
    low: Any
    high: Any


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Answer(Result):
    parts: ClassVar[tuple[type, ...]] = (Pair,)
    table: dict[str, np.ndarray]
    interval: Pair
    sizes: tuple
    note: str | NotEstablished | None
    params: Any = None

    def __str__(self) -> str:
        return f"an answer of {len(self.table)} arrays & more"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Other(Answer):
    pass


class Net:
    """A pytree that isn't named in ``parts``."""

    def __init__(self, weight):
        self.weight = weight


jax.tree_util.register_pytree_with_keys(
    Net, lambda net: (((jax.tree_util.GetAttrKey("weight"), net.weight),), None), lambda _, leaves: Net(*leaves)
)


def an_answer(**changes):
    table = {
        "loss": np.random.default_rng(0).normal(size=(3, 4)),
        "a/b %": np.array([True, False]),
        "": np.zeros((0, 2), np.int8),
        "half": np.asarray(jnp.array([1.5, np.nan], jnp.bfloat16)),
    }
    fields = dict(table=table, interval=Pair(-np.inf, np.float32(0.1)), sizes=(1, [2, "x"], {"k": 2.5}), note=None)
    return Answer(**fields | changes)


def test_every_number_comes_back(tmp_path):
    made = an_answer(note=NotEstablished("not mixed", "4 steps"), params=Net(jnp.arange(3.0)))
    made.save(tmp_path / "a.nc")
    read = Answer.load(tmp_path / "a.nc")
    assert list(read.table) == list(made.table)
    for name, array in made.table.items():
        assert read.table[name].dtype == array.dtype
        assert read.table[name].tobytes() == array.tobytes()
        assert read.table[name].shape == array.shape
    assert read.interval == made.interval
    assert isinstance(read.interval, Pair)
    assert type(read.interval.high) is np.float32
    assert read.sizes == made.sizes
    assert read.note == made.note
    np.testing.assert_array_equal(read.params[".weight"], np.arange(3.0))


def test_it_prints_its_report_and_no_arrays():
    assert repr(an_answer()) == str(an_answer()) == "an answer of 4 arrays & more"


@pytest.mark.parametrize(
    "harm",
    [
        lambda index: index.update(result="Other"),
        lambda index: index.update(format=99),
        lambda index: index.update(node={"object": "Popen", "fields": {}}),
        lambda index: index.update(node={"array": "nowhere", "scalar": False}),
        lambda index: index["node"]["fields"].update(table={"value": [1]}),
        lambda index: index["node"]["fields"].update(args={"value": 1}),
        lambda index: index["node"].pop("fields"),
        lambda index: index.update(node={"float": "0x"}),
    ],
)
def test_a_forged_file_gets_one_line(tmp_path, harm):
    path = tmp_path / "a.nc"
    an_answer().save(path)
    dataset = read_netcdf(path, decode=False)
    index = json.loads(dataset["%index"].values.tobytes())
    harm(index)
    text = np.frombuffer(json.dumps(index).encode(), np.uint8)
    write_netcdf(dataset.drop_vars("%index").assign({"%index": ("%index_0", text)}), path)
    refused(lambda: Answer.load(path), "a.nc (holds|has)")


def test_another_kind_of_result_is_named(tmp_path):
    an_answer().save(tmp_path / "a.nc")
    refused(lambda: Other.load(tmp_path / "a.nc"), "holds a 'Answer'")


def test_a_random_key_comes_back_as_one(tmp_path):
    an_answer(params={"key": Net(jr.key(3))}).save(tmp_path / "a.nc")
    key = Answer.load(tmp_path / "a.nc").params["key"][".weight"]
    np.testing.assert_array_equal(jr.key_data(key), jr.key_data(jr.key(3)))
