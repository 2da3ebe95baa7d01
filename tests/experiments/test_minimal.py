"""The minimal script agrees with the library: the same steps for the same random numbers."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import sdesgd as sg
from experiments import minimal
from tests import exact

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)), np.sign(RNG.normal(size=12))
THETA = RNG.normal(size=4)
ETA, S = 0.3, 5


def library():
    def loss(theta, example):
        x, y = example
        return minimal.losses(theta, x[None], y[None])[0]

    return sg.Problem(loss, THETA, (X, Y))


@pytest.mark.parametrize(
    ("dynamics", "step", "draw"),
    [
        (sg.SGD(ETA, S), lambda b: minimal.sgd_step(THETA, b, ETA, X, Y), np.array([3, 3, 0, 11, 7])),
        (
            sg.GaussianSGD(ETA, S),
            lambda z: minimal.gaussian_step(THETA, z[0], ETA, S, X, Y),
            RNG.normal(size=(1, 12)),
        ),
        (sg.SDE(ETA, S), lambda z: minimal.sde_step(THETA, z[0], ETA, S, X, Y), RNG.normal(size=(1, 12))),
    ],
)
def test_steps_agree(dynamics, step, draw):
    problem = library()
    theirs = exact.advance_all(dynamics, problem, dynamics.init(problem, problem.params), draw[None]).params[0]
    np.testing.assert_allclose(step(jnp.asarray(draw)), theirs, rtol=1e-12)


def test_it_is_short_and_needs_nothing_of_the_library():
    source = Path(minimal.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    assert "sdesgd" not in source
    assert "diffrax" not in source


def test_it_runs_and_prints_the_split(capsys):
    minimal.main()
    lines = capsys.readouterr().out.splitlines()
    total, non_gaussian, discretisation = (float(line.split()[-3]) for line in lines[-3:])
    assert total == pytest.approx(non_gaussian + discretisation, abs=0.002)
