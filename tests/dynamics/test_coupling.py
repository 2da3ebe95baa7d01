"""predict_gap: against the gap measured the expensive way, and on exact laws; the split into two parts."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import evidence
from tests import exact


def square(theta):
    return jnp.sum(theta**2)


def identity(theta):
    return theta


def test_the_prediction_is_the_exact_gap_between_the_two_recursions():
    """Quadratics: E θ and E |θ|² under Gaussian SGD (Euler) and the SDE (RK3) from their moment recursions."""
    q, start = exact.small(4, 2, seed=3)
    eta, S, steps = 0.3, 2, 6
    gap = sg.predict_gap(
        q.problem(start),
        eta,
        S,
        num_steps=steps,
        replicas=4000,
        key=jr.key(0),
        observables={"theta": identity, "square": square},
        save_every=steps,
    )
    mean_g, cov_g = exact.euler_moments(q, start, eta * steps, S, 1 / steps, steps)  # h = η, noise h η f C/S
    mean_s, cov_s = start, np.zeros((2, 2))
    J, alpha = -q.H, (24 - np.sqrt(96)) / 40
    M = np.eye(2) + eta / 2 * J + alpha / 3 * eta**2 * J @ J
    P = np.eye(2) + eta * J + eta**2 / 2 * J @ J + eta**3 / 6 * J @ J @ J
    half = np.eye(2) + eta / 2 * J
    for _ in range(steps):
        noise = eta**2 / S * q.mean_covariance(half @ mean_s + eta / 2 * q.b, half @ cov_s @ half.T)
        mean_s, cov_s = (
            exact.rk3_moments(q, mean_s, J, q.b, eta, 0.0, np.eye(2))[0],
            P @ cov_s @ P.T + M @ noise @ M.T,
        )
    want = mean_g @ mean_g + np.trace(cov_g) - mean_s @ mean_s - np.trace(cov_s)
    assert gap.time.shape == (2,)
    assert gap.mean["theta"].shape == (2, 2)
    assert (np.abs(gap.mean["theta"][-1] - (mean_g - mean_s)) < 4 * gap.standard_error["theta"][-1]).all()
    assert abs(gap.mean["square"][-1] - want) < 4 * gap.standard_error["square"][-1]
    assert abs(want) > 20 * gap.standard_error["square"][-1], "power: the gap is resolved"
    assert (gap.mean["square"][0], gap.standard_error["square"][0]) == (0, 0)


def logistic_problem(num_examples=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_examples, 5))
    y = np.sign(x[:, 0] + 0.5 * rng.normal(size=num_examples))

    def loss(w, example):
        features, label = example
        return jnp.logaddexp(0.0, -label * (features @ w)) + 0.05 * w @ w

    return sg.Problem(loss, 1.5 * jnp.ones(5), (x, y))


@pytest.mark.slow
def test_the_prediction_agrees_with_the_expensive_way_where_noise_is_nearly_gaussian():
    """Logistic regression, S = 8: SGD − SDE of two independent ensembles against the coupled prediction."""
    problem = logistic_problem()
    settings = dict(num_steps=8, observables={"loss": problem.loss}, save_every=4)
    sgd = sg.simulate(sg.SGD(0.4, 8), problem, replicas=40_000, key=jr.key(1), **settings)
    sde = sg.simulate(sg.SDE(0.4, 8), problem, replicas=40_000, key=jr.key(2), **settings)
    gap = sg.predict_gap(problem, 0.4, 8, replicas=2000, key=jr.key(3), **settings)
    expensive = evidence.unpaired_difference(sgd.values["loss"], sde.values["loss"])
    error = np.hypot(expensive.standard_error, gap.standard_error["loss"])[1:]
    assert (np.abs(expensive.mean - gap.mean["loss"])[1:] < 4 * error).all()
    assert (np.abs(gap.mean["loss"][1:]) > 5 * error).all(), "power: the gap itself is resolved by both"
    # At equal replicas the coupled error is far smaller: scale the prediction's to 40,000.
    coupled = gap.standard_error["loss"][1:] * np.sqrt(2000 / 40_000)
    assert (coupled < 0.25 * np.asarray(expensive.standard_error)[1:]).all()


def skewed_problem():
    """ℓ_i = ½ a_i θ² with one large a_i: third cumulants of minibatch noise are large at S = 1."""
    return sg.Problem(lambda theta, a: 0.5 * a * theta**2, jnp.asarray(1.0), np.array([0.1] * 7 + [2.5]))


def cube(theta):
    return theta**3


def test_the_split_where_noise_is_skewed():
    """S = 1, skewed a_i, observable θ³, all parts exact: E θ³ multiplies by E(1−ηa)³ a step under SGD.

    Under Gaussian SGD by the Gaussian's third moment, under the SDE (geometric Brownian motion) in closed form.
    """
    problem, eta, steps = skewed_problem(), 0.4, 5
    a = np.asarray(problem.data)
    mean, variance = a.mean(), a.var()
    sgd = np.mean((1 - eta * a) ** 3) ** steps
    shrink = 1 - eta * mean
    gaussian = (shrink**3 + 3 * shrink * eta**2 * variance) ** steps
    sde = np.exp((-3 * mean + 3 * eta * variance) * eta * steps)
    assert abs(sgd - gaussian) > 0.5 * abs(gaussian - sde), "the case is one of large non-Gaussianity"
    settings = dict(num_steps=steps, replicas=60_000, observables={"cube": cube}, save_every=steps)
    measured = sg.simulate(sg.SGD(eta, 1), problem, key=jr.key(4), **settings)
    first, second = sg.simulate_coupled(
        sg.GaussianSGD(eta, 1), sg.SDE(eta, 1, substeps=8), problem, key=jr.key(5), **settings
    )
    non_gaussian = evidence.unpaired_difference(measured.values["cube"], first.values["cube"])
    discretisation = evidence.paired_difference(first.values["cube"], second.values["cube"])
    assert abs(non_gaussian.mean[-1] - (sgd - gaussian)) < 4.5 * non_gaussian.standard_error[-1]
    assert abs(non_gaussian.mean[-1]) > 10 * non_gaussian.standard_error[-1]
    assert abs(discretisation.mean[-1] - (gaussian - sde)) < 4.5 * discretisation.standard_error[-1]


def test_coupled_dynamics_share_one_path():
    """Halves of one SDE are closer than independent runs, and equal schemes are equal to the bit."""
    problem = logistic_problem(16)
    settings = dict(num_steps=10, replicas=50, key=jr.key(0), observables={"w": identity}, save_every=10)
    same = sg.simulate_coupled(sg.GaussianSGD(0.2, 4), sg.GaussianSGD(0.2, 4), problem, **settings)
    np.testing.assert_array_equal(same[0].values["w"], same[1].values["w"])
    coarse, fine = sg.simulate_coupled(sg.SDE(0.2, 4), sg.SDE(0.2, 4, substeps=4), problem, **settings)
    apart = np.std(coarse.values["w"][:, -1] - fine.values["w"][:, -1])
    assert apart < 0.1 * np.std(coarse.values["w"][:, -1])
    reverse = sg.simulate_coupled(sg.SDE(0.2, 4, substeps=4), sg.SDE(0.2, 4), problem, **settings)
    np.testing.assert_allclose(reverse[0].values["w"], fine.values["w"], rtol=1e-12)


def test_each_of_a_pair_diverges_on_its_own():
    """ηλ between Euler's limit 2 and the RK3's 2.51: Gaussian SGD diverges, the SDE's solver does not."""
    problem = sg.Problem(lambda x, a: 0.5 * a * x**2, jnp.asarray(1.0, jnp.float32), np.array([2.2, 2.3], np.float32))
    settings = dict(num_steps=1000, replicas=8, key=jr.key(0), observables={"x": identity}, save_every=500)
    with pytest.warns(RuntimeWarning, match=r"8 of 8 replicas diverged: eta lambda_max = 2\.25"):
        gaussian, sde = sg.simulate_coupled(sg.GaussianSGD(1.0, 1), sg.SDE(1.0, 1), problem, **settings)
    assert gaussian.diverged.all()
    assert not sde.diverged.any()
    assert np.isnan(gaussian.values["x"][:, -1]).all()
    assert np.isfinite(sde.values["x"]).all()
    alone = sg.simulate(sg.SDE(1.0, 1), problem, **settings)
    np.testing.assert_allclose(sde.values["x"], alone.values["x"], rtol=1e-4, atol=1e-30)


def test_the_warning_of_a_pair_quotes_its_momentum():
    problem = logistic_problem(16)
    with pytest.warns(RuntimeWarning, match=r"2\(1\+m\) = 3\.8"):
        sg.predict_gap(
            sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.ones(2, jnp.float32), np.zeros((4, 2))),
            1e3, 2, momentum=0.9, num_steps=100, replicas=2, key=jr.key(0), observables={"x": identity}, save_every=100,
        )  # fmt: skip
    assert problem.num_examples == 16


def test_coupling_refuses_what_cannot_share_a_path():
    problem = logistic_problem(16)
    state = jax.eval_shape(lambda: sg.SDE(0.1, 4).init(problem, problem.params))
    assert state.velocity is None
    for pair, message in [
        ((sg.SDE(0.1, 4, substeps=2), sg.SDE(0.1, 4, substeps=3)), "substeps 2 and 3"),
        ((sg.GaussianSGD(0.1, 4), sg.SDE(0.2, 4)), "learning rates 0.1 and 0.2"),
    ]:
        with pytest.raises(sg.InputError, match=message):
            sg.Coupled(*pair)
