"""Expected losses against covariances found by iteration, matrix exponentials and enumeration."""

import itertools

import numpy as np
import pytest
from scipy import integrate, linalg

import sdesgd as sg
from sdesgd.stationary import excess_loss as xl

ETA, S = 0.3, 5
H = np.array([[1.5, 0.4, 0.0], [0.4, 0.7, 0.1], [0.0, 0.1, 2.2]])
C = np.array([[2.0, -0.6, 0.3], [-0.6, 0.5, 0.0], [0.3, 0.0, 1.0]])
# Eigenvalues −0.9, 0, 2.4 in a rotated basis; C doesn't commute with it.
AXES = linalg.expm([[0, 0.5, -0.2], [-0.5, 0, 0.7], [0.2, -0.7, 0]])
SADDLE = AXES @ np.diag([-0.9, 0.0, 2.4]) @ AXES.T


@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize(
    ("law", "covariance"), [("discrete", sg.stationary.discrete_covariance), ("ou", sg.stationary.ou_covariance)]
)
def test_expected_loss_is_half_the_trace(law, covariance, momentum):
    """The closed form in the eigenbasis against ½ Tr(HΣ) of the covariance solved as a whole."""
    want = np.trace(H @ covariance(H, C, ETA, S, momentum)) / 2
    assert xl.expected_loss(H, C, ETA, S, momentum, law) == pytest.approx(want, rel=1e-10)


def test_the_traces():
    """The SDE knows Tr C alone; Tr H is right where C = H, to first order in η; SGD itself lies above."""
    assert xl.trace_covariance_loss(C, ETA, S, 0.4) == pytest.approx(0.3 / (4 * 5 * 0.6) * 3.5)
    assert xl.trace_covariance_loss(3.5, ETA, S, 0.4) == pytest.approx(xl.expected_loss(H, C, ETA, S, 0.4, "ou"))
    assert xl.trace_hessian_loss(H, ETA, S) == pytest.approx(0.3 / 20 * 4.4) == xl.trace_hessian_loss(4.4, ETA, S)
    assert xl.expected_loss(H, H, 1e-6, S) == pytest.approx(xl.trace_hessian_loss(H, 1e-6, S), rel=1e-5)
    assert xl.expected_loss(H, H, ETA, S) > 1.2 * xl.trace_hessian_loss(H, ETA, S)


@pytest.mark.parametrize("hessian", [H, SADDLE])
def test_transient_of_the_sde(hessian):
    """½ Tr(HΓ(t)), Γ(t) = (η/S) ∫ e^{−Hs} C e^{−Hs} ds by quadrature of matrix exponentials."""
    times = np.array([0.0, 0.4, 1.7])

    def covariance(t):
        at = lambda s: (linalg.expm(-hessian * s) @ C @ linalg.expm(-hessian * s)).ravel()  # noqa: E731
        return ETA / S * integrate.quad_vec(at, 0, t)[0].reshape(3, 3)

    want = [np.trace(hessian @ covariance(t)) / 2 for t in times]
    np.testing.assert_allclose(xl.transient_loss(hessian, C, ETA, S, times, "ou"), want, rtol=1e-8, atol=1e-13)
    assert xl.transient_loss(hessian, C, ETA, S, times[2], "ou") == pytest.approx(want[2])


@pytest.mark.parametrize("hessian", [H, SADDLE])
def test_transient_of_sgd(hessian):
    """½ Tr(HΣ_k), Σ ← (I − ηH)Σ(I − ηH) + (η²/S)C step by step."""
    step, sigma, want = np.eye(3) - ETA * hessian, np.zeros((3, 3)), []
    for _ in range(9):
        want.append(np.trace(hessian @ sigma) / 2)
        sigma = step @ sigma @ step.T + ETA**2 / S * C
    got = xl.transient_loss(hessian, C, ETA, S, np.arange(9) * ETA)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-14)
    # The SDE is another value: the test above would see one put in the other's place.
    assert np.abs(xl.transient_loss(hessian, C, ETA, S, np.arange(1, 9) * ETA, "ou") / want[1:] - 1).min() > 0.05


def test_transient_by_enumeration_of_batches():
    """SGD itself, S = 2 of three skewed tilts in the plane, three steps: all 9³ sequences of batches."""
    hessian = np.array([[1.0, 0.3], [0.3, -0.5]])
    tilts = np.array([[2.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])
    moves = [(tilts[i] + tilts[j]) / 2 for i, j in itertools.product(range(3), repeat=2)]
    losses = []
    for path in itertools.product(moves, repeat=3):
        theta = np.zeros(2)
        for move in path:
            theta = theta - 0.4 * (hessian @ theta + move)
        losses.append(theta @ hessian @ theta / 2)
    got = xl.transient_loss(hessian, tilts.T @ tilts / 3, 0.4, 2, 1.2)
    assert got == pytest.approx(np.mean(losses), rel=1e-12)


@pytest.mark.parametrize("law", ["discrete", "ou"])
def test_transient_limits(law):
    """Late: the stationary value. Early: (η/2S) Tr(CH) t. A flat direction adds nothing, an edge grows linearly."""
    assert xl.transient_loss(H, C, ETA, S, 1e4, law) == pytest.approx(xl.expected_loss(H, C, ETA, S, 0.0, law))
    early = xl.transient_loss(SADDLE, C, 1e-6, S, 1e-5, law)
    assert early == pytest.approx(1e-6 / (2 * S) * np.trace(C @ SADDLE) * 1e-5, rel=1e-3)
    flat = xl.transient_loss([[0.0]], [[1.0]], ETA, S, np.array([[1.0, 50.0]]), law)
    np.testing.assert_array_equal(flat, np.zeros((1, 2)))


def test_special_curvatures_of_sgd():
    """ηλ = 1 forgets at once, 2 adds the same loss each step, beyond it grows; by the sum over kicks."""
    for x in (1.0, 2.0, 2.5, 1e-9, 1.9999999, -0.2):
        steps = np.arange(6)
        want = [x / ETA / 2 * ETA**2 / S * sum((1 - x) ** (2 * j) for j in range(k)) for k in steps]
        got = xl.transient_loss_of_spectrum([x / ETA], [1.0], ETA, S, steps * ETA)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-25)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xl.expected_loss(H, C, ETA, S, law="gibbs"), "unknown law 'gibbs'"),
        (lambda: xl.expected_loss(SADDLE, C, ETA, S), "use transient_loss"),
        (lambda: xl.expected_loss(H, C, 1.0, S), "pass a learning rate below"),
        (lambda: xl.expected_loss(H, -C, ETA, S), "a covariance has none"),
        (lambda: xl.expected_loss(H, C, ETA, S, 1.0), "0 ≤ m < 1"),
        (lambda: xl.transient_loss(H, C[:2, :2], ETA, S, 1.0), "C has shape"),
        (lambda: xl.transient_loss(H, C, ETA, S, -1.0), "time is negative"),
        (lambda: xl.transient_loss(H, C, 0.0, S, 1.0), "pass η > 0"),
        (lambda: xl.transient_loss_of_spectrum([1.0], [1.0, 2.0], ETA, S, 1.0), r"pass \(D,\) for both"),
        (lambda: xl.transient_loss_of_spectrum([np.nan], [1.0], ETA, S, 1.0), "NaN or infinite"),
        (lambda: xl.transient_loss_of_spectrum([1.0], [-1.0], ETA, S, 1.0), "a variance has none"),
        (lambda: xl.trace_hessian_loss([1.0, 2.0], ETA, S), "pass a square matrix"),
        (lambda: xl.trace_covariance_loss(C, ETA, 0), "at least 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(sg.InputError, match=message):
        call()
