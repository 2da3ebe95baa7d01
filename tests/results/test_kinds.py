"""Every result of the library is a result: it prints without arrays, and what it draws, saves and shows works."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.results import Result

PROBLEM = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(2), np.random.default_rng(0).normal(size=(8, 2)))
COMMON = dict(num_steps=4, replicas=5, key=jr.key(0), observables={"loss": PROBLEM.loss, "w": lambda w: w})


@pytest.fixture(scope="module")
def made():
    return {
        "trajectories": sg.simulate(sg.SGD(0.1, 2), PROBLEM, **COMMON),
        "gap": sg.predict_gap(PROBLEM, 0.1, 2, **COMMON),
    }


@pytest.mark.parametrize("kind", ["trajectories", "gap"])
def test_it_prints_draws_saves_and_shows_itself(made, kind, tmp_path):
    result = made[kind]
    assert isinstance(result, Result)
    text = str(result)
    assert repr(result) == text
    assert "array(" not in text
    assert len(text.splitlines()) < 10
    result.save(tmp_path / "r.nc")
    assert str(type(result).load(tmp_path / "r.nc")) == text
    assert result._repr_html_().startswith("<svg")
    assert "loss" in " ".join(axis.get_ylabel() for axis in result.plot().axes)
    assert result.to_xarray().sizes["time"] == 5


def test_the_numbers_of_the_report_are_the_means(made):
    last = made["trajectories"].values["loss"][:, -1]
    error = last.std(ddof=1) / np.sqrt(5)
    assert f"loss: mean {last.mean():.5g} ± {error:.2g}" in str(made["trajectories"])
    gap = made["gap"]
    k = int(np.argmax(np.abs(gap.mean["loss"][1:]) / gap.standard_error["loss"][1:])) + 1
    assert f"loss: {gap.mean['loss'][k]:+.4g} ± {gap.standard_error['loss'][k]:.2g}" in str(gap)
