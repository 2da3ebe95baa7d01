"""Passage times: the double integral by scipy, Kramers and the SDE against it, SGD against its transfer operator."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import sdesgd as sg
from sdesgd import toys
from sdesgd.basins import passage
from sdesgd.basins.measured import stationary_of
from sdesgd.basins.passage import first_passage, kramers_rate, kramers_rates, mean_first_passage_time
from sdesgd.basins.saddles import Saddle
from sdesgd.stationary.transfer import transfer_operator

DOUBLE, UNEQUAL = toys.potential("double-well"), toys.potential("unequal-depth")


def unequal(x):
    return (x**2 - 1) ** 2 / 4 + x / 20


def nested(V, T, wall, start, target):
    """(1/T) ∫∫ by scipy's adaptive rule, for a target above the start."""
    inner = lambda y: integrate.quad(lambda z: np.exp((V(y) - V(z)) / T), wall, y, epsrel=1e-9, limit=200)[0]  # noqa: E731
    return integrate.quad(inner, start, target, epsrel=1e-8, limit=200)[0] / T


def test_the_mean_time_is_the_double_integral():
    T = 0.1
    want = nested(unequal, T, -2.6, -0.8, 0.9)
    assert mean_first_passage_time(UNEQUAL, T, -0.8, 0.9) == pytest.approx(want, rel=1e-6)
    assert mean_first_passage_time(UNEQUAL, T, -0.8, 0.9, (-2.6, 2)) == pytest.approx(want, rel=1e-6)
    mirrored = nested(lambda x: unequal(-x), T, -2.6, -0.9, 0.8)  # from 0.9 down to −0.8
    assert mean_first_passage_time(UNEQUAL, T, 0.9, -0.8) == pytest.approx(mirrored, rel=1e-6)
    assert abs(mirrored / want - 1) > 0.1
    x = np.linspace(-3, 3, 4001)
    assert mean_first_passage_time((x, unequal(x)), T, -0.8, 0.9) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("s", [2.0, -1.0])
def test_a_linear_loss_over_a_reflecting_wall(s):
    """The closed form of the claim, V = sθ with a wall at 0, which matters here; from the wall too."""
    T, b = 0.5, 2.0
    x = np.linspace(0, b, 101)
    for start in (0.5, 0.0):
        want = T / s**2 * (np.exp(s * b / T) - np.exp(s * start / T)) - (b - start) / s
        assert mean_first_passage_time((x, s * x), T, start, b) == pytest.approx(want, rel=1e-8)


def test_kramers_is_the_limit_of_the_mean_time():
    """Times the exact mean it tends to 1, linearly in T: from ΔV/T = 5 to 80 on the double well, ΔV = 1/4."""
    excess = []
    for ratio in (5, 20, 80):
        T = 0.25 / ratio
        product = kramers_rate(2.0, -1.0, 0.25, T) * mean_first_passage_time(DOUBLE, T, -1, 1)
        excess.append((product - 1) / T)
    assert abs(excess[0] * 0.05) < 0.25
    assert excess[1] == pytest.approx(excess[2], rel=0.1)
    assert abs(excess[2] * 0.25 / 80) < 0.02
    assert kramers_rate(2.0, -1.0, 0.25, 0.05) == pytest.approx(np.sqrt(2) / (2 * np.pi) * np.exp(-5))


def test_kramers_in_more_dimensions():
    """A stiffer channel at the pass than in the well halves the rate when its curvature is four times as large."""
    line = kramers_rate(2.0, -1.0, 0.25, 0.05)
    assert kramers_rate(np.diag([2.0, 3.0]), np.diag([-1.0, 3.0]), 0.25, 0.05) == pytest.approx(line)
    turned = np.array([[0.6, -0.8], [0.8, 0.6]])
    pinched = turned @ np.diag([12.0, -1.0]) @ turned.T
    assert kramers_rate(np.diag([2.0, 3.0]), pinched, 0.25, 0.05) == pytest.approx(line / 2)


def test_rates_between_wells_balance():
    """k_ab/k_ba = √(H_a/H_b) e^{(V_a − V_b)/T}, so the chain's occupancy is Laplace's; two passes add up."""
    T = 0.06
    roots = np.sort(np.roots([1, 0, -1, 1 / 20]).real)
    minima, top = roots[[0, 2], None], roots[1]
    curvature = 3 * roots**2 - 1
    saddle = Saddle(np.array([top]), float(unequal(top)), (0, 1), np.array([curvature[1]]))
    rates = kramers_rates(UNEQUAL, minima, [saddle], T)
    weight = np.exp(-unequal(roots[[0, 2]]) / T) / np.sqrt(curvature[[0, 2]])
    assert rates[0, 1] / rates[1, 0] == pytest.approx(weight[1] / weight[0])
    np.testing.assert_allclose(stationary_of(rates)[0], weight / weight.sum())
    assert rates[0, 1] < rates[1, 0] / 2
    assert 1 / rates[0, 1] == pytest.approx(mean_first_passage_time(UNEQUAL, T, roots[0], roots[2]), rel=0.25)
    np.testing.assert_allclose(kramers_rates(UNEQUAL, minima, [saddle, saddle], T), 2 * rates)


# -- measured ------------------------------------------------------------------------------------------------


def over(theta):
    return theta[0] >= 0.9


def test_sgd_takes_as_long_as_its_transfer_operator_says(monkeypatch):
    """Skewed tilts, S = 1: within 4 standard errors of 3 %, where the SDE's time is far off. What runs beside a passage
    changes no bit of it."""
    T, eta = 0.1, 0.2
    problem = toys.tilted(DOUBLE, toys.skewed_tilts(toys.tilt_variance(T, eta, 1), 4))
    operator = transfer_operator(problem, sg.SGD(eta, 1), ((-2.8, 2.8),), (1401,))
    x = operator.points[:, 0]
    start = int(np.abs(x + 1).argmin())
    want = operator.first_passage_steps(x >= 0.9)[start]
    settings = {"max_steps": 60_000, "key": jax.random.key(0)}
    found = first_passage(sg.SGD(eta, 1), problem, x[start : start + 1], over, replicas=1500, **settings)
    assert abs(found.mean_steps - want) < 4 * found.standard_error_steps
    assert found.standard_error_steps < 0.03 * want
    assert abs(mean_first_passage_time(DOUBLE, T, -1, 0.9) / eta / want - 1) > 0.25
    assert found.mean == pytest.approx(eta * found.steps.mean())
    assert found.standard_error_steps == pytest.approx(found.steps.std(ddof=1) / np.sqrt(1500))
    assert not found.censored.any()
    monkeypatch.setattr("sdesgd.sizes._CPU_STOPPING", 5)
    fewer = first_passage(sg.SGD(eta, 1), problem, x[start : start + 1], over, replicas=8, **settings)
    np.testing.assert_array_equal(fewer.steps, found.steps[:8])


def test_the_sde_takes_as_long_as_the_double_integral_says():
    """ΔV/T = 5, from bottom to bottom. Looking once a step shifts the target by 0.58√(2Tη): less than half an error."""
    T, eta, S = 0.05, 0.2, 2
    problem = toys.tilted(DOUBLE, toys.tilts_of(toys.tilt_variance(T, eta, S)))
    found = first_passage(
        sg.SDE(eta, S), problem, np.array([-1.0]), over, replicas=600, max_steps=80_000, key=jax.random.key(0)
    )
    want = mean_first_passage_time(DOUBLE, T, -1, 0.9)
    late = mean_first_passage_time(DOUBLE, T, -1, 0.9 + 0.5826 * np.sqrt(2 * T * eta))
    assert abs(found.mean - want) < 4 * found.standard_error
    assert late - want < 0.5 * found.standard_error
    assert found.standard_error < 0.05 * want
    assert abs(found.mean * kramers_rate(2.0, -1.0, 0.25, T) - 1) < 0.35


class Below(eqx.Module):
    level: float | jax.Array

    def __call__(self, theta):
        return theta[0] < self.level


def test_steps_are_counted_as_a_loop_counts_them():
    """Without noise, with momentum: the first step after which θ is in the target, and where velocity starts at 0."""
    eta, m = 0.1, 0.6
    problem = toys.tilted(toys.potential("quadratic"), np.zeros((2, 1)))
    dynamics = sg.SGD(eta, 1, momentum=m)
    settings = {"replicas": 3, "key": jax.random.key(0)}
    start, below, never = np.array([2.0]), Below(jnp.asarray(0.25)), Below(jnp.asarray(-np.inf))
    found = first_passage(dynamics, problem, start, below, max_steps=1000, **settings)
    theta, v, steps = 2.0, 0.0, 0
    while theta >= 0.25:
        v = m * v - eta * theta
        theta, steps = theta + v, steps + 1
    assert found.steps.tolist() == [steps] * 3
    assert found.standard_error == 0
    with pytest.raises(
        sg.InputError, match=r"3 of 3 passages took longer than max_steps = 4, .* would do, at the very"
    ):
        first_passage(dynamics, problem, start, below, max_steps=4, **settings)
    with pytest.raises(sg.InputError, match="diverged"):
        first_passage(sg.SGD(5.0, 1, momentum=m), problem, start, never, max_steps=4000, **settings)


def test_censored_passages_are_counted_and_say_what_would_do():
    """300 exponential times of mean 1000 cut at 1500: the steps named would leave none, or nearly."""
    times = np.random.default_rng(0).exponential(1000, 300).astype(int) + 1
    cut = times > 1500
    with pytest.raises(sg.InputError, match=f"{cut.sum()} of 300 passages") as refusal:
        passage._summary(np.minimum(times, 1500), cut, 1500, 0.1)
    named = int(str(refusal.value).split("about ")[1].split()[0])
    assert 300 * np.exp(-named / 1000) < 0.2
    assert named < 15_000


# -- bad input -------------------------------------------------------------------------------------------------

QUADRATIC_SUM = toys.tilted(toys.potential("quadratic"), [[1.0], [-1.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kramers_rate(-1.0, -1.0, 0.2, 0.1), "non-degenerate minimum"),
        (lambda: kramers_rate(1.0, 1.0, 0.2, 0.1), "one negative"),
        (lambda: kramers_rate(np.eye(2), -np.eye(2), 0.2, 0.1), "one negative"),
        (lambda: kramers_rate(1.0, -1.0, 0, 0.1), "barrier is 0"),
        (lambda: kramers_rate(1.0, -1.0, 0.2, 0), "T > 0"),
        (lambda: mean_first_passage_time(DOUBLE, -1, -1, 1), "T > 0"),
        (lambda: mean_first_passage_time(DOUBLE, 0.1, -1, -1), "two different points"),
        (lambda: mean_first_passage_time(DOUBLE, 0.1, -1, 9), "two different points"),
        (lambda: mean_first_passage_time(DOUBLE, 0.1, -1, 1, (2, -2)), "low < high"),
        (lambda: mean_first_passage_time(DOUBLE, 1e-4, -1, 1), "raise the temperature"),
        (lambda: mean_first_passage_time(toys.potential("ring"), 0.1, -1, 1), "2 dimensions"),
        (lambda: mean_first_passage_time(([0, 1, 2], [0, 1, 2]), 0.1, 0, 1), "of one length"),
        (
            lambda: first_passage(
                sg.SGD(0.1, 1),
                QUADRATIC_SUM,
                np.array([0.1]),
                Below(0.25),
                replicas=5,
                max_steps=9,
                key=jax.random.key(0),
            ),
            "start outside",
        ),
        (
            lambda: first_passage(
                sg.SGD(0.1, 1),
                QUADRATIC_SUM,
                np.array([2.0]),
                Below(0.25),
                replicas=1,
                max_steps=9,
                key=jax.random.key(0),
            ),
            "at least 2",
        ),
        (
            lambda: first_passage(
                sg.SGD(lambda n: 0.1, 1),
                QUADRATIC_SUM,
                np.array([2.0]),
                Below(0.25),
                replicas=5,
                max_steps=9,
                key=jax.random.key(0),
            ),
            "schedule",
        ),
        (
            lambda: first_passage(
                sg.SGD(0.1, 1), QUADRATIC_SUM, np.zeros(2), Below(0.25), replicas=5, max_steps=9, key=jax.random.key(0)
            ),
            "start has shape",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(sg.InputError, match=message):
        call()


def test_a_time_that_overflows_is_refused_in_one_line():
    """Downhill there is no barrier, and the line doesn't speak of one."""
    x = np.linspace(-6, 6, 2001)
    with pytest.raises(sg.InputError, match=r"up to \d+ T above its lowest point"):
        mean_first_passage_time((x, x**2 / 2), 1e-4, -3.0, -2.0)
