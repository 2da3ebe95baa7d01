"""Runs that explode and end before they have left the finite numbers; and large numbers that are sane."""

import re
import warnings

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg

SLOPES = np.array([1.0, -1.0, 2.0, -2.0])


def parabola(start=1.0, minimum=0.0, dtype=np.float32, curvature=1.0):
    """½ λ(θ − a)² with slopes ±0.01, ±0.02 added."""
    loss = lambda w, x: 0.5 * curvature * (w - minimum) ** 2 + 0.01 * x * w  # noqa: E731
    return sg.Problem(loss, jnp.asarray(start, dtype), SLOPES)


def run(problem, dynamics, num_steps, **options):
    return sg.simulate(
        dynamics,
        problem,
        num_steps=num_steps,
        save_every=num_steps,
        replicas=3,
        key=jr.key(0),
        observables={"theta": lambda w: w, "loss": problem.loss},
        **options,
    )


def quiet(problem, dynamics, num_steps, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return run(problem, dynamics, num_steps, **options)


@pytest.mark.slow
def test_a_loss_of_1e22_that_is_finite_is_called_unstable():
    """ηλ = 2.5 grows by 1.5 a step: after 64 steps θ = 1.8e11, whose square is far from the end of float32."""
    with pytest.warns(RuntimeWarning, match="3 of 3 replicas are unstable: finite, .*eta lambda_max = 2.5 ") as seen:
        out = run(parabola(), sg.SGD(2.5, 2), 64)
    assert re.search(r"with a loss of 1\.\de\+22 there and 0\.5 at the start", str(seen[0].message))
    assert "try a learning_rate below 2," in str(seen[0].message)
    assert not out.diverged.any()
    np.testing.assert_allclose(out.values["loss"][:, -1], 0.5 * 1.5**128, rtol=0.3)
    np.testing.assert_array_equal(out.final_params, out.values["theta"][:, -1])


def test_the_same_run_has_diverged_where_the_square_of_theta_is_no_float32():
    """1.5¹¹⁰ = 2.3e19 > √(3.4e38); in float64 it is finite, and unstable."""
    with pytest.warns(RuntimeWarning, match="3 of 3 replicas diverged"):
        out = run(parabola(), sg.SGD(2.5, 2), 110)
    assert out.diverged.all()
    assert np.isnan(out.values["theta"][:, -1]).all()
    assert (np.abs(out.final_params) < 1.9e19).all(), "the last of a finite square"
    assert (np.abs(out.final_params) > 1e19).all()
    with pytest.warns(RuntimeWarning, match="3 of 3 replicas are unstable"):
        out = run(parabola(dtype=np.float64), sg.SGD(2.5, 2), 110)
    assert not out.diverged.any()


def test_momentum_and_the_sde_are_held_against_their_own_limits():
    with pytest.warns(RuntimeWarning, match=r"are unstable.*eta lambda_max = 4 at the start against 2\(1\+m\) = 3"):
        run(parabola(), sg.SGD(4.0, 2, momentum=0.5), 40)
    with pytest.warns(RuntimeWarning, match="are unstable.*eta lambda_max = 3 "):
        run(parabola(), sg.SDE(3.0, 2), 60)


def test_only_the_replicas_that_explode_are_counted():
    """θ⁴: gradients grow with θ, so a start at 3 explodes at a rate at which one at 0.1 is stable."""
    problem = sg.Problem(lambda w, x: w**4 / 4 + 0.01 * x * w, jnp.asarray(0.1, jnp.float32), SLOPES)
    starts = jnp.asarray([0.1, 3.0, -0.2], jnp.float32)
    with pytest.warns(RuntimeWarning, match="1 of 3 replicas are unstable"):
        out = run(problem, sg.SGD(0.5, 2), 3, starts=starts)
    assert (np.abs(out.final_params) > 1e6).tolist() == [False, True, False]


def test_a_pair_is_one_replica():
    with pytest.warns(RuntimeWarning, match="3 of 3 replicas are unstable"):
        first, second = sg.simulate_coupled(
            sg.GaussianSGD(2.3, 2),
            sg.SDE(2.3, 2),
            parabola(),
            num_steps=100,
            save_every=100,
            replicas=3,
            key=jr.key(0),
            observables={"theta": lambda w: w},
        )
    assert (np.abs(first.final_params) > 1e9).all()
    assert (np.abs(second.final_params) < 10).all(), "the third-order scheme is stable up to 2.51"


def test_large_numbers_that_are_sane_are_not_called_unstable():
    """A start of 1e10; a minimum at 1e10 that is reached from 0; both with stable steps."""
    far = quiet(parabola(start=1e10), sg.SGD(0.1, 2), 20)
    assert (far.values["theta"][:, -1] > 1e9).all()
    reached = quiet(parabola(start=0.0, minimum=1e10), sg.SGD(0.1, 2), 200)
    np.testing.assert_allclose(reached.values["theta"][:, -1], 1e10, rtol=1e-4)
    # Climbing without end at the gradient of the start: 10⁸ steps' worth in one.
    steep = sg.Problem(lambda w, x: -1e9 * w + x * w, jnp.asarray(0.0, jnp.float32), SLOPES)
    assert (quiet(steep, sg.SGD(0.1, 2), 50).values["theta"][:, -1] > 1e9).all()


def test_leaving_a_saddle_from_very_near_is_not_called_unstable():
    """From 1e-3 to 1e8, far beyond what the gradient of the start explains, but down the loss."""
    loss = lambda w, x: (w**2 / 1e16 - 1) ** 2 * 1e15 + 1e-9 * x * w  # noqa: E731
    problem = sg.Problem(loss, jnp.asarray(1e-3, jnp.float32), SLOPES)
    out = quiet(problem, sg.SGD(0.5, 2), 500)
    np.testing.assert_allclose(np.abs(out.values["theta"][:, -1]), 1e8, rtol=1e-3)


def test_noise_from_an_exact_minimum_is_not_called_unstable():
    """A loss of 0 at the start grows by any factor."""
    out = quiet(parabola(start=0.0), sg.SGD(0.1, 2), 200)
    assert (out.values["loss"][:, -1] > 0).all()
    assert out.values["loss"][:, 0].max() == 0
    # Gradients of 10¹⁰ at the start carry θ as far as they did, up the loss too.
    loud = sg.Problem(lambda w, x: 0.5 * w**2 + 1e12 * x * w, jnp.asarray(0.0, jnp.float32), SLOPES)
    out = quiet(loud, sg.SGD(0.1, 2), 20)
    assert (np.abs(out.values["theta"][:, -1]) > 1e9).all()
    assert (out.values["loss"][:, -1] > 1e17).all(), "up from 0"


def test_a_loss_that_gives_nan_far_away_does_not_end_the_run():
    problem = sg.Problem(
        lambda w, x: 0.5 * w**2 + 0.01 * x * w + jnp.where(w > 1e8, jnp.log(1e8 - w), 0.0) * 0.0,
        jnp.asarray(-1.0, jnp.float32),
        SLOPES,
    )
    with pytest.warns(RuntimeWarning, match="replicas (are unstable|diverged)"):
        run(problem, sg.SGD(2.5, 2), 60)
