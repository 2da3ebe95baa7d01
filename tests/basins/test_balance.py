"""Net crossings of chains with and without a current, and the rotation of SGD where H and C don't commute."""

import jax
import numpy as np
import pytest
import sympy as sp
from scipy import linalg

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins.balance import detailed_balance, rotation

u, v = sp.symbols("u v")
H = np.array([[1.2, 0.3], [0.3, 0.6]])
C = np.array([[1.0, -0.5], [-0.5, 0.8]])


def position(theta):
    return theta


def paths(dynamics, covariance, replicas=100, steps=2000):
    """Stationary: they start at the minimum and burn in for 20 relaxation times."""
    V = (H[0, 0] * u**2 + 2 * H[0, 1] * u * v + H[1, 1] * v**2) / 2
    problem = toys.tilted(toys.from_sympy(V, [u, v], [(-3, 3), (-3, 3)]), toys.tilts_of(covariance))
    run = sg.simulate(
        dynamics,
        problem,
        num_steps=steps,
        replicas=replicas,
        key=jax.random.key(0),
        observables={"theta": position},
        params=np.zeros(2),
    )
    return run.values["theta"][:, steps // 10 :]


def test_rotation_of_sgd_is_the_antisymmetric_part():
    """−(ΓH − HΓ)/2 with SGD's own covariance, exactly at a finite η; its sign; and none where H and C commute."""
    eta, S = 0.2, 2
    theta = paths(sg.SGD(eta, S), C)
    found, errors = rotation(theta, eta)
    own = linalg.solve_discrete_lyapunov(np.eye(2) - eta * H, eta**2 / S * C)
    want = -(own @ H - H @ own) / 2
    limit = linalg.solve_continuous_lyapunov(H, eta / S * C)
    assert np.abs(found - want)[0, 1] < 4 * errors[0, 1]
    assert 12 * errors[0, 1] < np.abs(want[0, 1])  # the sign, a factor of two: all far outside
    np.testing.assert_array_equal(found, -found.T)
    np.testing.assert_allclose(sg.stationary.quadratic.rotation(H, own), want, atol=1e-12)
    # Γ of the SDE's limit has the same commutator with H to leading order in η.
    np.testing.assert_allclose(want, -(limit @ H - H @ limit) / 2, rtol=0.2, atol=1e-12)
    still, errors = rotation(paths(sg.SGD(eta, S), H), eta)
    assert np.abs(still[0, 1]) < 4 * errors[0, 1]
    assert errors[0, 1] < np.abs(want[0, 1]) / 8


def test_rotation_of_the_ornstein_uhlenbeck_process():
    """Sampled exactly, far apart in time: ½(Γe^{−Hdt} − e^{−Hdt}Γ)/dt, and its limit (HΓ − ΓH)/2 as dt → 0."""
    rng, dt = np.random.default_rng(0), 0.3
    G = linalg.solve_continuous_lyapunov(H, C)
    step = linalg.expm(-H * dt)
    kick = linalg.cholesky(G - step @ G @ step, lower=True)
    theta = np.empty((200, 1500, 2))
    theta[:, 0] = rng.normal(size=(200, 2)) @ linalg.cholesky(G)
    for n in range(1, 1500):
        theta[:, n] = theta[:, n - 1] @ step + rng.normal(size=(200, 2)) @ kick.T
    found, errors = rotation(theta + 5.0, dt)
    want = (G @ step - step @ G) / 2 / dt
    assert np.abs(found - want)[0, 1] < 4 * errors[0, 1]
    assert 8 * errors[0, 1] < np.abs(want[0, 1])
    assert want[0, 1] == pytest.approx((H @ G - G @ H)[0, 1] / 2, rel=0.3)


def ring(clockwise, back, steps, replicas, rng):
    """(replicas, 3, 3): crossings of a discrete chain on three wells in a ring."""
    state, counts = rng.integers(0, 3, replicas), np.zeros((replicas, 3, 3), int)
    for _ in range(steps):
        draw = rng.random(replicas)
        new = (state + (draw < clockwise) - ((draw >= clockwise) & (draw < clockwise + back))) % 3
        counts[np.arange(replicas), state, new] += new != state
        state = new
    return counts


def test_a_current_around_a_ring_is_seen_and_equilibrium_passes():
    rng = np.random.default_rng(0)
    still, turning = ring(0.05, 0.05, 400, 4000, rng), ring(0.056, 0.044, 400, 4000, rng)
    # Groups of 20 replicas: 200 tests of equilibrium, for the spread of z.
    totals = np.array([detailed_balance(still[k : k + 20].sum(axis=0))[0, 1] for k in range(0, 4000, 20)])
    own = np.array([detailed_balance(still[k : k + 20])[0, 1] for k in range(0, 4000, 20)])
    assert abs(totals.mean()) < 4.5 * totals.std() / np.sqrt(200)
    # The bound by n_ab + n_ba is safe: on three alike pairs in a ring the spread of z is 1/√3.
    assert totals.std(ddof=1) == pytest.approx(1 / np.sqrt(3), rel=0.2)
    assert own.std(ddof=1) == pytest.approx(1, rel=0.25)
    z = detailed_balance(turning.sum(axis=0))
    for a in range(3):
        assert z[a, (a + 1) % 3] > 5
        assert z[(a + 1) % 3, a] == -z[a, (a + 1) % 3]
    assert (detailed_balance(turning)[[0, 1, 2], [1, 2, 0]] > 5).all()


def test_two_wells_always_balance():
    """What goes must come back before it can go again."""
    z = detailed_balance(np.array([[0, 50], [49, 0]]))
    assert z[0, 1] == pytest.approx(1 / np.sqrt(99))
    assert np.isnan(z[0, 0])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (rotation, (np.zeros((1, 5, 2)), 0.1), "at least two"),
        (rotation, (np.full((3, 5, 2), np.nan), 0.1), "NaN or infinity"),
        (rotation, (np.zeros((3, 5, 2)), 0.0), "positive"),
        (detailed_balance, (-np.ones((2, 2), int),), "none negative"),
        (detailed_balance, (np.ones((1, 2, 2), int),), "at least two"),
    ],
)
def test_bad_input(function, arguments, message):
    with pytest.raises(sg.InputError, match=message):
        function(*arguments)
