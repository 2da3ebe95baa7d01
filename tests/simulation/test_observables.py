"""Ready observables: against NumPy by hand, alone and together."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import nets, observables
from tests.refusals import refused

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(7, 3)), RNG.normal(size=7), np.array([0.5, -1.0, 2.0])


def regression():
    return sg.Problem(lambda w, e: 0.5 * (jnp.dot(w, e[0]) - e[1]) ** 2, jnp.asarray(W), (X, Y))


def test_the_observables_that_every_problem_has():
    """Linear regression: each number from the residuals, by hand."""
    at = W + np.array([0.3, 0.0, -0.4])
    residuals = X @ at - Y
    gradients = residuals[:, None] * X
    g = gradients.mean(axis=0)
    want = {
        "loss": 0.5 * np.mean(residuals**2),
        "distance_squared": 0.25,
        "gradient_norm_squared": g @ g,
        "trace_covariance": ((gradients - g) ** 2).sum(axis=1).mean(),
    }
    found = observables.of_problem(regression())(jnp.asarray(at))
    assert set(found) == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, err_msg=name)


def test_they_are_saved_along_a_run():
    problem = regression()
    out = sg.simulate(
        sg.SGD(0.01, 2),
        problem,
        num_steps=4,
        replicas=3,
        key=jr.key(0),
        observables=observables.of_problem(problem),
    )
    assert set(out.values) == {"loss", "distance_squared", "gradient_norm_squared", "trace_covariance"}
    np.testing.assert_allclose(out.values["loss"][:, 0], 0.5 * np.mean((X @ W - Y) ** 2))
    np.testing.assert_array_equal(out.values["distance_squared"][:, 0], 0)
    assert (out.values["distance_squared"][:, -1] > 0).all()


def test_some_of_them_by_name():
    chosen = observables.Together(observables.of_problem(regression()).parts, ("trace_covariance",))
    assert list(chosen(jnp.asarray(W))) == ["trace_covariance"]


def test_several_scores_take_one_pass_through_the_net():
    net = nets.mlp(3, 2, width=4, depth=1, key=jr.key(0))
    labels = (Y > 0).astype(int)
    scores = {"loss": nets.cross_entropy, "accuracy": nets.correct}
    both = nets.Evaluation(scores, X, labels, 3)
    for name, score in scores.items():
        np.testing.assert_allclose(both(net)[name], nets.Evaluation(score, X, labels, 3)(net), rtol=1e-12)
    products = [
        str(jax.make_jaxpr(lambda net, f=f: f(net))(net)).count("dot_general")
        for f in (both, nets.Evaluation(nets.correct, X, labels, 3))
    ]
    assert products[0] == products[1] > 0
    assert "no classes" in refused(lambda: nets.Evaluation(scores, X, labels - 1), "no classes")


def test_masks_and_groups_need_a_key():
    problem = sg.Problem(lambda w, group: jnp.mean((group - w) ** 2), jnp.zeros(3), X[:6], unit_size=2)
    refused(lambda: observables.of_problem(problem), "pass a key")
    found = observables.of_problem(problem, jr.key(0))(problem.params)
    assert found["trace_covariance"] > 0
    again = observables.of_problem(problem, jr.key(1))(problem.params)
    assert found["trace_covariance"] != pytest.approx(again["trace_covariance"])


def test_one_name_twice_is_refused():
    twice = observables.Together({"moments": observables.GradientMoments(regression()), "trace_covariance": jnp.sum})
    refused(lambda: twice(jnp.asarray(W)), "two observables have the name 'trace_covariance'")
