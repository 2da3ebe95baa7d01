"""Sweeps over a user's own problem, and the question of which batch size: against runs by hand, with known answers."""

import dataclasses
import math
import sys
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import optimal_batch
from sdesgd.optimal_batch import AccuracyTable, Advice, given, recommending, training
from sdesgd.optimal_batch.policy import no_better_than_guessing, trained_series
from sdesgd.results import NotEstablished
from tests.optimal_batch.synthetic import Design, Truth, simulate_table
from tests.optimal_batch.test_model import certain
from tests.refusals import refused

pytestmark = pytest.mark.slow

ob: Any = optimal_batch
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X @ np.array([1.0, -2.0, 0.5]) + RNG.normal(size=60) > 0) * 1.0
GRID = {"learning_rate": [0.1, 0.5], "batch_size": [2, 8, 64], "num_examples": 20, "momentum": 0.5}
CALLS: list[tuple[int, int]] = []


def loss(params, example):
    x, y = example
    z = x @ params["w"]
    return jnp.logaddexp(0.0, z) - y * z


def make_problem(N, seed):
    CALLS.append((N, seed))
    return sg.Problem(loss, {"w": jr.normal(jr.key(seed), (3,))}, (jnp.asarray(X[:N]), jnp.asarray(Y[:N])))


def accuracy(params):
    """Of the last 40 points; and a train accuracy that the table doesn't hold."""
    return {"test": np.mean((X[20:] @ np.asarray(params["w"]) > 0) == Y[20:]), "train": 0.5}


def swept(folder=None, grid=None, **changes):
    options: dict[str, Any] = {"num_steps": 6, "seeds": 2, "num_test": 40, "folder": folder} | changes
    return ob.sweep(options.pop("make", make_problem), options.pop("accuracy", accuracy), grid or GRID, **options)


def test_a_sweep_is_sgd_at_every_point(tmp_path):
    """η = 0.1 and 0.5 by B = 2 and 8 (64 is above N) by two seeds; a run again by ``simulate`` from the seed's own
    start has the same accuracy; the same call computes nothing; a longer list of η computes the new one alone."""
    table = swept(tmp_path)
    assert len(table.seed) == 8
    assert sorted(set(table.batch_size.tolist())) == [2, 8]
    assert not table.diverged.any()
    place = b'[["batch_size", 8], ["learning_rate", 0.5], ["momentum", 0.5], ["num_examples", 20], ["num_steps", 6]]'
    key = jr.fold_in(jr.fold_in(jr.key(0), zlib.crc32(place)), 0)
    starts = {"w": jnp.stack([jr.normal(jr.key(seed), (3,)) for seed in (0, 1)])}
    dynamics, problem = sg.SGD(0.5, 8, momentum=0.5), make_problem(20, 0)
    run = sg.simulate(
        dynamics, problem, num_steps=6, replicas=2, key=key, observables={"loss": problem.loss}, save_every=6,
        starts=starts,
    )  # fmt: skip
    expected = [accuracy({"w": run.final_params["w"][r]})["test"] for r in range(2)]
    found = [
        table.accuracy[(table.learning_rate == 0.5) & (table.batch_size == 8) & (table.seed == r)][0] for r in (0, 1)
    ]
    assert found == expected
    before = len(list(tmp_path.rglob("*.npz")))
    again = swept(tmp_path)
    np.testing.assert_array_equal(again.accuracy, table.accuracy)
    assert len(list(tmp_path.rglob("*.npz"))) == before
    more = swept(tmp_path, GRID | {"learning_rate": [0.1, 0.5, 0.2]})
    assert len(list(tmp_path.rglob("*.npz"))) == before + 2
    old = more.learning_rate != 0.2
    np.testing.assert_array_equal(np.sort(more.accuracy[old]), np.sort(table.accuracy))


def test_other_data_is_another_sweep(tmp_path, monkeypatch):
    """Labels turned about, which a function of the same name reads: nothing is taken from the runs before."""
    one = GRID | {"learning_rate": 0.1, "batch_size": 8}
    swept(tmp_path, one)
    before = len(list(tmp_path.rglob("*.npz")))
    monkeypatch.setattr(sys.modules[__name__], "Y", 1 - Y)
    swept(tmp_path, one)
    assert len(list(tmp_path.rglob("*.npz"))) == before + 1


def test_seeds_with_data_of_their_own_are_trained_apart():
    """Of ten steps at η = 1 from 0: full batches are deterministic, so each seed's loss is that of descent by hand."""
    rng = np.random.default_rng(3)
    data = [(rng.normal(size=(4, 3)), rng.integers(0, 2, 4) * 1.0) for _ in range(2)]
    problems = [sg.Problem(loss, {"w": jnp.zeros(3)}, tuple(map(jnp.asarray, one))) for one in data]
    config = {"learning_rate": 0.1, "batch_size": 1, "num_examples": 4, "momentum": 0.0, "num_steps": 3}
    params, losses, diverged = training.trained(problems, config, (0, 1))
    for (x, y), one, found in zip(data, params, losses, strict=True):
        z = x @ np.asarray(one["w"])
        assert found == pytest.approx(np.mean(np.logaddexp(0, z) - y * z))
    assert not diverged.any()
    assert not np.allclose(params[0]["w"], params[1]["w"])


def test_runs_that_break_down(tmp_path):
    """A loss that explodes diverges at any rate; one that ends above log 2 counts as diverged where a guess is given;
    a series of such runs is left out, and if all are, that is said."""
    hot = GRID | {"learning_rate": [0.1, 1e30], "batch_size": [2, 8]}

    def quadratic(N, seed):
        return sg.Problem(lambda w, e: jnp.sum((w - e) ** 2), jnp.ones(2), jnp.zeros((N, 2)))

    options: dict[str, Any] = {"make": quadratic, "accuracy": lambda w: 0.5}
    with pytest.warns(RuntimeWarning, match="1 series are left out"):
        table = swept(None, hot, **options)
    assert set(table.learning_rate.tolist()) == {0.1}
    with pytest.raises(sg.InputError, match="most runs broke down at every batch size"):
        swept(None, GRID | {"batch_size": [2, 8]}, loss_of_guessing=1e-9, **options)


def test_what_is_no_better_than_a_guess():
    assert no_better_than_guessing(np.array([0.1, 0.7, np.nan, math.log(2)]), math.log(2)).tolist() == [
        False, True, False, True,
    ]  # fmt: skip
    table = simulate_table(Truth(), Design(series=((0.1, 100, 0.0), (0.2, 100, 0.0)), seeds=2), RNG)[0]
    columns = {name: getattr(table, name) for name in table.__dataclass_fields__}
    bad = AccuracyTable(**columns | {"diverged": table.learning_rate == 0.2})
    rows, lost = trained_series(bad)
    assert [series.learning_rate for series in lost] == [0.2]
    assert rows.tolist() == np.flatnonzero(table.learning_rate == 0.1).tolist()


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        (None, {}, "grid is a NoneType|momentum"),
        ({"learning_rate": 0.1}, {}, "grid lacks num_examples"),
        (GRID | {"rate": 1}, {}, "grid has 'rate'"),
        (GRID | {"learning_rate": [0.1, -1.0]}, {}, "holds -1"),
        (GRID | {"batch_size": [2, 2]}, {}, "holds a value twice"),
        (GRID | {"batch_size": 2.5}, {}, "holds 2.5"),
        (GRID | {"batch_size": 64}, {}, "every batch size is above every N"),
        (GRID | {"momentum": "0.9"}, {}, "momentum"),
        (GRID, {"num_steps": 0}, "num_steps is 0"),
        (GRID, {"seeds": 1}, r"seeds is \[0\]: pass two"),
        (GRID, {"make": lambda N, seed: None}, "gives None: return a Problem"),
        (GRID, {"make": lambda N, seed: make_problem(N + 1, seed)}, "a problem of 21 examples"),
        (GRID, {"accuracy": lambda params: 91.0}, "gives 91: return the share"),
        (GRID, {"accuracy": lambda params: {"train": 1.0}}, "return a number, or a mapping"),
        (GRID, {"accuracy": lambda params: 0.5, "workers": 2}, "other processes can't import accuracy"),
    ],
)
def test_a_sweep_that_is_none(grid, options, message):
    options = {"num_steps": 2, "seeds": 2} | options
    make, measure = options.pop("make", make_problem), options.pop("accuracy", accuracy)
    refused(lambda: ob.sweep(make, measure, grid, **options), message)


def test_functions_are_found_again_by_their_names():
    assert given.name_of(make_problem) == "tests.optimal_batch.test_training:make_problem"
    assert given.function_of("tests.optimal_batch.test_training:accuracy") is accuracy
    here = lambda params: 0.5  # noqa: E731
    assert given.function_of(given.name_of(here)) is here
    with pytest.raises(LookupError, match="define it in a module"):
        given.function_of("here:0")


# -- the question ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def posterior():
    """B_opt of η = 0.1 at the middle of the grid; that of 10 far above it."""
    design = Design(series=((0.1, 1000, 0.9), (10.0, 1000, 0.9)), batches=(1, 4, 16, 64, 256), seeds=3)
    return certain(simulate_table(Truth(intercept=0.0), design, np.random.default_rng(1))[0])


def test_an_answer_or_why_there_is_none(posterior):
    """Peaks of the law: 16·0.1 = 1.6 at η = 0.1 and 160 at η = 10."""
    found = recommending.answer_of(posterior, 0.1, None, 1000, 0.9)
    assert found.median == pytest.approx(1.6, rel=1e-3)
    rate = recommending.answer_of(posterior, None, 16, 1000, 0.9)
    assert rate.median == pytest.approx(1.0, rel=1e-2)
    moved = certain(posterior.table, intercept=4.0)
    out = recommending.answer_of(moved, 10.0, None, 1000, 0.9)
    assert isinstance(out, NotEstablished)
    assert "B_opt may be larger than any batch size that trained, at least " in out.reason
    assert out.remedy == "larger batch_sizes"
    bad = dataclasses.replace(posterior, divergences=9)
    out = recommending.answer_of(bad, 0.1, None, 1000, 0.9)
    assert isinstance(out, NotEstablished)
    assert out.reason.startswith("the chains mixed, but 9 of 1000 trajectories diverged")
    out = recommending.answer_of(posterior, 0.3, None, 1000, 0.9)
    assert str(out) == "not established: no batch size trained at η = 0.3 (it would take a smaller learning_rate)"


def test_advice_prints_draws_and_comes_back(posterior, tmp_path):
    for given_rate, size in ((0.1, None), (None, 16)):
        found = recommending.answer_of(posterior, given_rate, size, 1000, 0.9)
        advice = Advice(given_rate, size, 1000, 0.9, 500, found, posterior)
        start = "At η = 0.1, N = 1000, m = 0.9 and 500 steps: batch size 1.6 (90% interval" if size is None else (
            "For B = 16, N = 1000, m = 0.9 and 500 steps: learning rate 1")  # fmt: skip
        assert str(advice).startswith(start)
        advice.save(tmp_path / "advice.nc")
        assert str(Advice.load(tmp_path / "advice.nc")) == str(advice)
        drawn = advice.plot()
        assert len(drawn.axes) == (1 if size is None else 2)
        assert drawn.get_suptitle().replace("\n", " ").startswith(start[:40])
    none = Advice(0.1, None, 1000, 0.9, 500, NotEstablished("no peak", "larger batch_sizes"), posterior)
    assert str(none).endswith("batch size not established: no peak (it would take larger batch_sizes)")
    none.plot()
    none.save(tmp_path / "none.nc")
    assert Advice.load(tmp_path / "none.nc").answer == none.answer
    assert none.to_xarray().attrs["not_established"] == "no peak"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of learning_rate and batch_size"),
        ({"learning_rate": 0.1, "batch_size": 4}, "give one of"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.1, "momentum": 1.0}, "momentum"),
        ({"learning_rate": 0.1, "batch_sizes": [1, 2, 64, 128]}, "fewer than 3 of the batch sizes"),
        ({"learning_rate": 0.1, "minutes": 0}, "minutes is 0"),
        ({"learning_rate": 0.1, "minutes": 0.01}, "minutes is 0.01: 500 steps at 5 points take about"),
    ],
)
def test_a_question_that_is_none(monkeypatch, options, message):
    monkeypatch.setattr(training, "trained", lambda *args: None)
    refused(lambda: ob.recommend(make_problem, accuracy, num_examples=20, key=jax.random.key(0), **options), message)


def test_recommend_from_one_call():
    """Logistic regression in three dimensions: whatever is said, it comes from a table of all runs and is a result."""
    found = ob.recommend(
        make_problem, accuracy, num_examples=20, learning_rate=0.5, momentum=0.5, batch_sizes=(1, 4, 16), num_steps=20,
        seeds=3, num_test=40, key=jr.key(0), samples=100, warmup=100, chains=2,
    )  # fmt: skip
    assert len(found.posterior.table.seed) == 9
    assert str(found).startswith("At η = 0.5, N = 20, m = 0.5 and 20 steps: batch size ")
