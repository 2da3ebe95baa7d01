"""Second derivatives with and without forward mode, and runs that outlive what can't be measured of them."""

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg

KEY = jr.key(0)
X = np.random.default_rng(0).normal(size=20)


@jax.custom_vjp
def cubed(x):
    return x**3


cubed.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


@jax.custom_vjp
def squared_twice(x):
    """A rule whose backward pass is itself a custom rule: no forward mode in the gradient either."""
    return _half(x)


@jax.custom_vjp
def _half(x):
    return 0.5 * x**2


_half.defvjp(lambda x: (0.5 * x**2, x), lambda x, g: (_times(x) * g,))


@jax.custom_vjp
def _times(x):
    return x


_times.defvjp(lambda x: (x, None), lambda _, g: (g,))
squared_twice.defvjp(lambda x: (_half(x), x), lambda x, g: (_times(x) * g,))


def neural_ode(w, e):
    """With diffrax's default adjoint, which has no forward mode; few steps, since nested checkpoints compile slowly."""
    term = diffrax.ODETerm(lambda t, y, a: -w[0] * y + w[1])
    return (diffrax.diffeqsolve(term, diffrax.Heun(), 0.0, 1.0, 0.25, e[0], max_steps=8, throw=False).ys[0] - e[1]) ** 2


LOSSES = {  # loss, its second derivative at w, and the derivative of each example
    "plain": (lambda w, e: w**3 + w * e, lambda w: 6 * w, lambda w, e: 3 * w**2 + e),
    "a rule without forward mode": (lambda w, e: cubed(w) + w * e, lambda w: 6 * w, lambda w, e: 3 * w**2 + e),
    "a rule of a rule": (lambda w, e: squared_twice(w) + w * e, lambda w: 1.0, lambda w, e: w + e),
}


@pytest.mark.parametrize("name", LOSSES)
def test_curvature_and_derivatives_along(name):
    loss, second, slope = LOSSES[name]
    problem = sg.Problem(loss, jnp.asarray(0.7), X)
    product = sg.curvature.hessian_product(problem, problem.params, jnp.asarray(2.0))
    assert float(product) == pytest.approx(2 * second(0.7), rel=1e-6)
    top = sg.curvature.top_eigenpairs(problem, problem.params, key=KEY).eigenvalues[0]
    assert float(top) == pytest.approx(second(0.7), rel=1e-6)
    along = sg.gradient_noise.directional_derivatives(problem, problem.params, jnp.asarray([2.0]))
    np.testing.assert_allclose(along[0], 2 * slope(0.7, X), rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("name", LOSSES)
def test_order_two_needs_no_forward_mode(name, momentum):
    """The same path as with ``grad`` of ``grad`` by hand: the plain loss of equal value and derivatives."""
    by_hand = {"a rule of a rule": lambda w, e: 0.5 * w**2 + w * e}.get(name, LOSSES["plain"][0])
    ends = []
    for loss in (LOSSES[name][0], by_hand):
        problem = sg.Problem(loss, jnp.asarray(0.7), X)
        dynamics = sg.SDE(0.02, 4, order=2, momentum=momentum)
        run = sg.simulate(dynamics, problem, num_steps=3, replicas=3, key=KEY, observables={"w": lambda w: w})
        ends.append(run.values["w"])
    np.testing.assert_allclose(*ends, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dynamics", [sg.SGD, sg.GaussianSGD, sg.SDE])
def test_a_neural_ode_keeps_its_trajectories_when_replicas_diverge(dynamics):
    with jax.enable_x64(False):
        problem = sg.Problem(neural_ode, np.array([0.1, 0.0]), (X, 2 * X))
        run = dict(num_steps=4, save_every=2, replicas=3, key=KEY, observables={"w": lambda w: w})
        quiet = sg.simulate(dynamics(0.05, 4), problem, **run)
        assert not quiet.diverged.any()
        with pytest.warns(RuntimeWarning, match="3 of 3 replicas diverged; .*lambda_max is not known"):
            wild = sg.simulate(dynamics(500.0, 4), problem, **run)
    assert wild.diverged.all()
    np.testing.assert_array_equal(wild.values["w"][:, 0], quiet.values["w"][:, 0])


@pytest.mark.slow
def test_what_a_neural_ode_lacks_is_said_in_one_line():
    problem = sg.Problem(neural_ode, np.array([0.1, 0.0]), (X, 2 * X))
    calls = (
        lambda: sg.curvature.top_eigenpairs(problem, problem.params, key=KEY),
        lambda: sg.simulate(sg.SDE(0.1, 4, order=2), problem, num_steps=1, replicas=1, key=KEY, observables={}),
    )
    for call in calls:
        with pytest.raises(sg.InputError, match="the gradient of the loss can't be differentiated") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_run_whose_gradient_is_not_finite_says_so_and_comes_back():
    """‖w‖ has no gradient at 0: no rate is to blame."""
    problem = sg.Problem(lambda w, e: jnp.linalg.norm(w) + (w[0] - e) ** 2, np.zeros(2), X)
    run = dict(num_steps=2, replicas=2, key=KEY, observables={"w": lambda w: w})
    with pytest.warns(RuntimeWarning, match="not finite at the start"):
        out = sg.simulate(sg.SGD(0.05, 4), problem, **run)
    assert out.diverged.all()


NO_GRADIENT = {
    "a while loop": lambda w, e: jax.lax.while_loop(lambda c: c[1] > 1e-3, lambda c: (c[0] + w, c[1] / 2), (w, w))[0],
    "a loop of as many steps as w": lambda w, e: jax.lax.fori_loop(0, w.astype(int), lambda i, y: y * w, w),
    "a callback": lambda w, e: jax.pure_callback(lambda x: np.asarray(x), w, w),
    "a rule that raises": jax.custom_vjp(lambda w, e: w * e),
}
NO_GRADIENT["a rule that raises"].defvjp(lambda w, e: (w * e, None), lambda _, g: (float(g), None))


@pytest.mark.parametrize("name", NO_GRADIENT)
def test_a_loss_that_has_no_gradient_is_refused_where_the_problem_is_made(name):
    with pytest.raises(sg.InputError, match="per_example_loss can't be differentiated") as caught:
        sg.Problem(NO_GRADIENT[name], jnp.asarray(0.7), X)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300
