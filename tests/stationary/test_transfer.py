"""The transfer operator: exact laws of SGD against closed forms, symmetry, quadrature and simulation."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import toys
from sdesgd.stationary.transfer import transfer_operator

u, v = sp.symbols("u v")
QUADRATIC = toys.from_sympy(0.8 * u**2 / 2, [u], [(-3, 3)])


def moments(operator):
    law, x = operator.stationary(), operator.points[:, 0]
    mean = law @ x
    return mean, law @ (x - mean) ** 2, law @ (x - mean) ** 3


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement"])
def test_moments_on_a_quadratic(sampling):
    """Mean, variance and third cumulant of the stationary law in closed form, with skewed tilts."""
    eta, S, N, lam = 0.3, 2, 4, 0.8
    tilts = toys.skewed_tilts(0.6, N)
    operator = transfer_operator(toys.tilted(QUADRATIC, tilts), sg.SGD(eta, S, sampling), ((-4, 4),), (600,))
    mean, variance, third = moments(operator)
    f = 1 if sampling == "replacement" else (N - S) / (N - 1)
    third_factor = 1 if sampling == "replacement" else (N - S) * (N - 2 * S) / ((N - 1) * (N - 2))
    want = sg.stationary.discrete_covariance([[lam]], [[f * 0.6]], eta, S)[0, 0]
    assert mean == pytest.approx(0, abs=1e-6)
    assert variance == pytest.approx(want, rel=1e-5)
    skew = -(eta**3) * np.mean(tilts**3) / S**2 * third_factor / (1 - (1 - eta * lam) ** 3)
    assert third == pytest.approx(skew, rel=1e-3, abs=1e-6)
    if sampling == "replacement":  # with N ≠ 2S without replacement a skewness is left, here none is
        assert abs(third) > 0.005


def test_rows_are_laws_and_gaussian_sgd_shares_two_moments():
    tilts = toys.skewed_tilts(0.6, 5)
    problem = toys.tilted(QUADRATIC, tilts)
    of_sgd, of_gaussian = (
        transfer_operator(problem, dynamics, ((-4, 4),), (400,))
        for dynamics in (sg.SGD(0.2, 1), sg.GaussianSGD(0.2, 1))
    )
    np.testing.assert_allclose(np.asarray(of_sgd.matrix.sum(axis=1)).ravel(), 1, atol=1e-12)
    (mean, variance, third), (gaussian_mean, gaussian_variance, gaussian_third) = moments(of_sgd), moments(of_gaussian)
    assert variance == pytest.approx(gaussian_variance, rel=1e-5)
    assert abs(gaussian_third) < 1e-4 < abs(third)
    assert mean == pytest.approx(gaussian_mean, abs=1e-5)


def occupancy(potential, dynamics, variance, points=800):
    problem = toys.tilted(potential, toys.tilts_of(variance))
    operator = transfer_operator(problem, dynamics, ((-2.6, 2.3),), (points,))
    return float(operator.stationary()[operator.points[:, 0] > 0].sum())


def test_occupancy_tends_to_the_gibbs_law():
    """At fixed T as η → 0, by quadrature: Gaussian SGD linearly in η; SGD's own law is closer for these tilts."""
    potential, T, S = toys.potential("unequal-width"), 0.1, 2
    x = np.linspace(-2.8, 2.5, 40001)
    weight = np.exp(-np.asarray(potential.value(jnp.asarray(x)[None])) / T)
    gibbs = weight[x > 0].sum() / weight.sum()
    gaps = []
    for eta in (0.04, 0.02):
        variance = toys.tilt_variance(T, eta, S)
        gaps.append(occupancy(potential, sg.GaussianSGD(eta, S), variance) - gibbs)
        assert abs(occupancy(potential, sg.SGD(eta, S), variance) - gibbs) < abs(gaps[-1])
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.2)
    assert abs(gaps[0]) > 1e-3


def test_committor_and_relaxation_of_a_symmetric_double_well():
    potential = toys.potential("double-well")
    problem = toys.tilted(potential, toys.tilts_of(toys.tilt_variance(0.08, 0.1, 2)))
    operator = transfer_operator(problem, sg.SGD(0.1, 2), ((-2.3, 2.3),), (601,))
    x = operator.points[:, 0]
    q = operator.committor(x < -0.8, x > 0.8)
    assert q[300] == pytest.approx(0.5, abs=1e-9)
    assert (np.diff(q) > -1e-6).all()
    # Two wells, equal rates k: the slowest mode falls at 2k, and the passage from well to well takes 1/k.
    passage = operator.first_passage_steps(x > 0.9)[np.argmin(np.abs(x + 1))]
    assert operator.relaxation_steps() == pytest.approx(passage / 2, rel=0.1)


def test_first_passage_against_simulation():
    """The mean over 4,000 plain numpy runs of SGD on the same sum, within 4.5 standard errors."""
    potential, eta, S = toys.potential("double-well"), 0.2, 1
    tilts = toys.skewed_tilts(toys.tilt_variance(0.15, eta, S), 3)
    operator = transfer_operator(toys.tilted(potential, tilts), sg.SGD(eta, S), ((-2.6, 2.6),), (1201,))
    x = operator.points[:, 0]
    want = operator.first_passage_steps(x >= 0.9)[np.argmin(np.abs(x + 1))]
    rng, runs = np.random.default_rng(0), 4000
    theta, taken = np.full(runs, x[np.argmin(np.abs(x + 1))]), np.zeros(runs)
    alive = np.ones(runs, bool)
    while alive.any():
        theta = theta - eta * (theta * (theta**2 - 1) + tilts[rng.integers(0, 3, runs), 0])
        taken += alive
        alive &= theta < 0.9
    assert abs(taken.mean() - want) < 4.5 * taken.std(ddof=1) / np.sqrt(runs)
    assert taken.std(ddof=1) / np.sqrt(runs) < 0.02 * want


def test_two_dimensions():
    """A quadratic with H and C that don't commute: the covariance is that of the exact recursion."""
    H, C = np.array([[1.2, 0.3], [0.3, 0.6]]), np.array([[1.0, -0.5], [-0.5, 0.8]])
    potential = toys.from_sympy((1.2 * u**2 + 0.6 * u * v + 0.6 * v**2) / 2, [u, v], [(-3, 3), (-3, 3)])
    problem = toys.tilted(potential, toys.tilts_of(C))
    operator = transfer_operator(problem, sg.SGD(0.4, 2), ((-3.2, 3.2), (-3.6, 3.6)), (48, 48))
    law = operator.stationary()
    covariance = (operator.points * law[:, None]).T @ operator.points
    want = sg.stationary.discrete_covariance(H, C, 0.4, 2)
    np.testing.assert_allclose(covariance, want, rtol=3e-3)


@pytest.mark.parametrize(
    ("dynamics", "box", "shape", "message"),
    [
        (sg.SGD(0.1, 2, momentum=0.5), ((-3, 3),), (50,), "momentum"),
        (sg.SGD(0.1, 2, "reshuffle"), ((-3, 3),), (50,), "reshuffled"),
        (sg.SGD(0.1, 2), ((-3, 3), (-3, 3)), (50, 50), "for each of 1"),
        (sg.SGD(0.1, 2), ((3, -3),), (50,), "low < high"),
        (sg.SGD(0.1, 2), ((-3, 3),), (4,), "at least 8"),
        (sg.SGD(0.1, 30_000), ((-3, 3),), (50,), "choose a smaller batch"),
    ],
)
def test_bad_input(dynamics, box, shape, message):
    problem = toys.tilted(QUADRATIC, [[1.0], [-1.0]])
    with pytest.raises(sg.InputError, match=message):
        transfer_operator(problem, dynamics, box, shape)


def test_a_box_that_is_too_small_is_refused():
    problem = toys.tilted(QUADRATIC, [[1.0], [-1.0]])
    with pytest.raises(sg.InputError, match="enlarge the box"):
        transfer_operator(problem, sg.SGD(0.5, 1), ((-0.3, 0.3),), (50,)).stationary()
