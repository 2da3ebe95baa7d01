"""The regression law against closed forms, the enumeration of all batches, and SGD itself."""

import itertools
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.stationary import discrete_covariance, ou_covariance, regression_covariance

DECAY = 0.1
# Four points in the plane for enumeration, 24 in space for simulation.
FEW = np.array([[1.0, 2.0], [-1.0, 1.0], [2.0, 0.5], [0.3, -1.2]]), np.array([1.0, -0.7, 4.0, 0.2])
_rng = np.random.default_rng(0)
MANY = _rng.normal(size=(24, 3)) @ np.diag([1.0, 0.8, 0.6])
TARGETS = MANY @ [1.0, -2.0, 3.0] + _rng.normal(size=24)


def batches(N, S, sampling):
    """All batches, equally likely."""
    if sampling == "replacement":
        return list(itertools.product(range(N), repeat=S))
    return list(itertools.combinations(range(N), S))


def second_moments(eta, S, decay, sampling, momentum):
    """E zzᵀ of z = (θ − θ*, v): the affine map of each batch from its data; fixed point and spectral radius."""
    x, y = FEW
    best = np.linalg.solve(x.T @ x / 4 + decay * np.eye(2), x.T @ y / 4)
    draws = batches(4, S, sampling)
    operator, force = np.zeros((16, 16)), np.zeros(16)
    for batch in map(list, draws):
        H = x[batch].T @ x[batch] / S + decay * np.eye(2)
        push = H @ best - x[batch].T @ y[batch] / S
        A = np.block([[np.eye(2) - eta * H, momentum * np.eye(2)], [-eta * H, momentum * np.eye(2)]])
        c = -eta * np.concatenate([push, push])
        operator += np.kron(A, A) / len(draws)
        force += np.kron(c, c) / len(draws)
    radius = np.abs(np.linalg.eigvals(operator)).max()
    return np.linalg.solve(np.eye(16) - operator, force).reshape(4, 4)[:2, :2], radius


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement"])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_against_all_batches(sampling, momentum, decay):
    eta, S = 0.15, 2
    law = regression_covariance(*FEW, eta, S, weight_decay=decay, sampling=sampling, momentum=momentum)
    want, radius = second_moments(eta, S, decay, sampling, momentum)
    assert radius < 1
    np.testing.assert_allclose(law.covariance, want, rtol=1e-9, atol=1e-12)
    x, y = FEW
    losses = lambda theta: np.mean((x @ theta - y) ** 2) / 2 + decay / 2 * theta @ theta  # noqa: E731
    corners = [law.minimum + np.linalg.cholesky(want) @ s for s in ([1, 1], [1, -1], [-1, 1], [-1, -1])]
    assert law.excess_loss == pytest.approx(np.mean([losses(c) for c in corners]) - losses(law.minimum), rel=1e-9)
    # Constant C is another value, by more than any error here.
    f = 1.0 if sampling == "replacement" else 2 / 3
    constant = discrete_covariance(law.hessian, f * law.gradient_covariance, eta, S, momentum)
    assert np.abs(np.diag(constant / want) - 1).min() > 0.02


@pytest.mark.parametrize(("sampling", "f"), [("replacement", 1.0), ("no_replacement", 22 / 23)])
def test_one_parameter(sampling, f):
    """Σ = η²(f/S) C₀ / (1 − (1 − ηh)² − η²(f/S) Var x²), h = mean x² + w."""
    x, eta, S = MANY[:, 0], 0.4, 2
    h = np.mean(x**2) + DECAY
    best = np.mean(x * TARGETS) / h
    noise = np.mean((x * (x * best - TARGETS) + DECAY * best) ** 2)
    want = eta**2 * f / S * noise / (1 - (1 - eta * h) ** 2 - eta**2 * f / S * np.var(x**2))
    law = regression_covariance(MANY[:, :1], TARGETS, eta, S, weight_decay=DECAY, sampling=sampling)
    assert law.minimum[0] == pytest.approx(best)
    assert law.covariance[0, 0] == pytest.approx(want, rel=1e-10)
    assert law.excess_loss == pytest.approx(h * want / 2, rel=1e-10)


def test_small_rates_and_full_batches():
    """η → 0: the OU law with C at the minimum, relative error O(η); S = N without replacement: no noise."""
    gaps = []
    for eta in (1e-2, 1e-3):
        law = regression_covariance(MANY, TARGETS, eta, 3)
        gaps.append(np.abs(law.covariance / ou_covariance(law.hessian, law.gradient_covariance, eta, 3) - 1).max())
    assert gaps[1] < gaps[0] / 8 < 0.01
    whole = regression_covariance(MANY, TARGETS, 0.1, 24, sampling="no_replacement")
    assert whole.excess_loss == 0
    np.testing.assert_array_equal(whole.covariance, np.zeros((3, 3)))


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("S", [1, 3])
def test_edge_of_stability(momentum, S):
    """The rate that the refusal names is where the spectral radius over all batches passes 1."""
    with pytest.raises(sg.InputError, match="second moments diverge") as refusal:
        regression_covariance(*FEW, 3.0, S, momentum=momentum)
    edge = float(str(refusal.value).rsplit("below ", 1)[1])
    assert second_moments(0.995 * edge, S, 0.0, "replacement", momentum)[1] < 1
    assert second_moments(1.005 * edge, S, 0.0, "replacement", momentum)[1] > 1
    regression_covariance(*FEW, 0.995 * edge, S, momentum=momentum)
    with pytest.raises(sg.InputError, match="pass one below"):
        regression_covariance(*FEW, 1.005 * edge, S, momentum=momentum)


def regression_loss(theta, example):
    x, y = example
    return 0.5 * (jnp.vdot(x, theta) - y) ** 2 + DECAY / 2 * jnp.vdot(theta, theta)


def place(theta):
    return theta


@pytest.mark.parametrize(("momentum", "eta", "S"), [(0.0, 0.5, 4), (0.5, 0.5, 8), (0.9, 0.2, 8)])
def test_sgd_itself(momentum, eta, S):
    """2,000 runs, 400 steps past a burn-in of 200: E(L) within 3, the covariance within 4.5 standard errors.

    The OU value is off by more than 20 %, the one with a constant C by more than 4.5 standard errors.
    """
    law = regression_covariance(MANY, TARGETS, eta, S, weight_decay=DECAY, momentum=momentum)
    problem = sg.Problem(regression_loss, law.minimum, (MANY, TARGETS))
    options: dict[str, Any] = {"num_steps": 600, "save_every": 20, "replicas": 2000, "key": jr.key(11)}
    runs = sg.simulate(sg.SGD(eta, S, momentum=momentum), problem, observables={"theta": place}, **options)
    delta = runs.values["theta"][:, 11:] - law.minimum
    excess = np.einsum("rti,ij,rtj->r", delta, law.hessian, delta) / (2 * delta.shape[1])
    error = excess.std(ddof=1) / np.sqrt(len(excess))
    assert abs(excess.mean() - law.excess_loss) < 3 * error
    assert error < 0.01 * law.excess_loss
    second = np.einsum("rti,rtj->rij", delta, delta) / delta.shape[1]
    errors = second.std(axis=0, ddof=1) / np.sqrt(len(second))
    assert (np.abs(second.mean(axis=0) - law.covariance) < 4.5 * errors).all()
    H, C = law.hessian, law.gradient_covariance
    assert sg.stationary.expected_loss(H, C, eta, S, momentum, "ou") < 0.8 * law.excess_loss
    assert abs(sg.stationary.expected_loss(H, C, eta, S, momentum) - excess.mean()) > 4.5 * error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": TARGETS[:3]}, r"pass \(N, D\) and \(N,\)"),
        ({"targets": np.full(24, np.nan)}, "NaN or infinite"),
        ({"inputs": np.ones((24, 2))}, "pass weight_decay > 0"),
        ({"inputs": np.ones((24, 101))}, "at most 100"),
        ({"weight_decay": -1.0}, "at least 0"),
        ({"batch_size": 0}, "at least 1"),
        ({"learning_rate": -0.1}, "pass η > 0"),
        ({"momentum": 1.0}, "0 ≤ m < 1"),
        ({"batch_size": 25, "sampling": "no_replacement"}, "choose at most 24"),
        ({"sampling": "reshuffle"}, "depend on each other"),
        ({"sampling": "replacment"}, "did you mean 'replacement'"),
    ],
)
def test_bad_input(change, message):
    good = {"inputs": MANY, "targets": TARGETS, "learning_rate": 0.1, "batch_size": 2}
    with pytest.raises(sg.InputError, match=message):
        regression_covariance(**(good | change))
