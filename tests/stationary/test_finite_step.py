"""The expansion in √η against the exact law of SGD from the transfer operator, and against closed moments."""

import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import toys
from sdesgd.stationary.density import gibbs_density
from sdesgd.stationary.finite_step import finite_step_density, step_shape
from sdesgd.stationary.transfer import transfer_operator

T = 0.12
WELLS = toys.potential("asymmetric")
BOX = ((-2.9, 2.7),)


def side(x):
    """A smooth stand-in for the right well: interpolation on either grid adds nothing."""
    return (1 + np.tanh(4 * x)) / 2


def errors(dynamics_of, tilts_of, skewness=0.0, excess_kurtosis=0.0, rates=(0.04, 0.02)):
    """E side − Gibbs, and E side − the expansion, at two learning rates; SGD's law by its transfer operator."""
    plain, corrected = [], []
    for eta in rates:
        dynamics = dynamics_of(eta)
        tilts = tilts_of(toys.tilt_variance(T, eta, dynamics.batch_size))
        operator = transfer_operator(toys.tilted(WELLS, tilts), dynamics, BOX, (700,))
        exact = operator.stationary() @ side(operator.points[:, 0])
        gibbs = gibbs_density(WELLS, T, BOX, 4001)
        found = finite_step_density(
            WELLS, T, eta, skewness=skewness, excess_kurtosis=excess_kurtosis, box=BOX, points=4001
        )
        plain.append(exact - gibbs.masses.ravel() @ side(gibbs.axes[0]))
        corrected.append(exact - found.masses.ravel() @ side(found.axes[0]))
    return np.array(plain), np.array(corrected)


@pytest.mark.parametrize(
    ("dynamics_of", "excess_kurtosis"),
    [(lambda eta: sg.GaussianSGD(eta, 1), 0.0), (lambda eta: sg.SGD(eta, 1), -2.0)],
    ids=["Gaussian SGD", "SGD, two tilts"],
)
def test_without_skewness_what_is_left_is_of_order_two(dynamics_of, excess_kurtosis):
    plain, corrected = errors(dynamics_of, toys.tilts_of, excess_kurtosis=excess_kurtosis)
    assert plain[0] / plain[1] == pytest.approx(2, rel=0.15)
    assert corrected[0] / corrected[1] > 3.5  # 4 for η², 2 for a coefficient that is wrong
    assert np.abs(corrected[1]) < 0.15 * np.abs(plain[1])


def test_skewness_acts_at_half_an_order():
    """√η and η, with the square of the skewness, are cancelled: η^{3/2} is left."""
    S, tilts_of = 4, lambda variance: toys.skewed_tilts(variance, 3)
    skewness, kurtosis = step_shape(tilts_of(1.0), S)
    assert skewness == pytest.approx(-np.sqrt(0.5) / 2)
    plain, corrected = errors(lambda eta: sg.SGD(eta, S), tilts_of, skewness, kurtosis, rates=(0.01, 0.0025))
    assert plain[0] / plain[1] == pytest.approx(2, rel=0.15)  # √4
    assert corrected[0] / corrected[1] > 6.5  # 4^{3/2} = 8; 4 if the order η were wrong, 2 if √η were
    assert np.abs(corrected[1]) < 0.02 * np.abs(plain[1])


def test_moments_on_a_quadratic():
    """E θ² = T(1 + η/2) for any shape, E θ³ = γ₃(2T)^{3/2}√η/3, to the order of the expansion."""
    x = sp.Symbol("x")
    bowl = toys.from_sympy(x**2 / 2, [x], [(-5, 5)])
    eta, gamma = 0.01, 0.3
    found = finite_step_density(bowl, 0.3, eta, skewness=gamma, excess_kurtosis=0.7)
    theta, law = found.axes[0], found.masses.ravel()
    assert law.sum() == pytest.approx(1, abs=1e-12)
    assert law @ theta == pytest.approx(0, abs=1e-9)
    assert law @ theta**2 == pytest.approx(0.3 * (1 + eta / 2), rel=1e-6)
    assert law @ theta**3 == pytest.approx(gamma * 0.6**1.5 * np.sqrt(eta) / 3, rel=1e-6)


def test_the_shape_of_a_step_of_sgd():
    """By enumeration of all batches of two."""
    tilts = toys.skewed_tilts(0.5, 4)[:, 0]
    means = -(tilts[:, None] + tilts[None]).ravel() / 2
    z = means / means.std()
    skewness, kurtosis = step_shape(tilts, 2)
    assert skewness == pytest.approx(np.mean(z**3))
    assert kurtosis == pytest.approx(np.mean(z**4) - 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_step_density(toys.potential("ring"), 0.1, 0.1), "the expansion takes one"),
        (lambda: finite_step_density(WELLS, 0.1, 0.0), "pass η > 0"),
        (lambda: finite_step_density(WELLS, 0.0, 0.1), "temperature is 0"),
        (lambda: step_shape(np.zeros(3), 2), "pass σ² > 0"),
        (lambda: step_shape(np.eye(3)[:, :2], 2), "those of one coordinate"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(sg.InputError, match=message):
        call()
