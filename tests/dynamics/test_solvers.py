"""The solvers: one-step errors in exact arithmetic, Itô and not Stratonovich, OU laws, refusals."""

import dataclasses
import math
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy as sp

import sdesgd as sg
from sdesgd import sizes
from sdesgd.dynamics.solvers import check_solver
from sdesgd.dynamics.terms import AbstractFusedTerm, HeavyBallTerm, Increment, StepPath
from tests import exact
from tests.exact import RescaledSDE


def gaussian_moment(polynomial, variable, variance):
    """E of a polynomial in a centred Gaussian, term by term."""
    poly = sp.Poly(sp.expand(polynomial), variable)
    return sum(
        c * (sp.factorial2(k - 1) * variance ** sp.Rational(k, 2) if k else 1) for (k,), c in poly.terms() if k % 2 == 0
    )


class SymbolicGBM(AbstractFusedTerm):
    """dX = a X dt + ε s X dW in sympy: the solver's own code runs on it."""

    a: Any
    scale: Any
    path: Any = None
    key: Any = None

    def increment(self, y, control, drift, diffusion, key):
        return drift * self.a * y * control.dt + diffusion * self.scale * y * control.dW


def test_one_step_errors_of_the_rk3_on_geometric_brownian_motion():
    """Mean off by a⁴h⁴/24; second moment by ε⁴s⁴h²/2 + O(ε²h³): series of the solver's code against the exact law."""
    a, s, e, h, x, w = sp.symbols("a s epsilon h x w")
    step = sg.SmallNoiseRK3().advance(SymbolicGBM(a, e * s), x, Increment(h, w))
    mean = sp.nsimplify(gaussian_moment(step, w, h), rational=True, tolerance=1e-13)
    second = sp.expand(gaussian_moment(step**2, w, h))
    mean_error = sp.series(sp.exp(a * h) - mean / x, h, 0, 5).removeO()
    assert sp.simplify(sp.nsimplify(mean_error, tolerance=1e-12) - a**4 * h**4 / 24) == 0
    error = sp.expand(sp.series(sp.exp((2 * a + e**2 * s**2) * h), h, 0, 3).removeO() - second / x**2)
    leading = {k: error.coeff(h, k) for k in (0, 1, 2)}
    assert abs(leading[0]) < 1e-12
    assert all(abs(c) < 1e-12 for c in sp.Poly(leading[1], a, s, e).coeffs() or [0])
    remainder = sp.Poly(leading[2] - e**4 * s**4 / 2, a, s, e)
    assert all(abs(c) < 1e-12 for c in remainder.coeffs())


@pytest.mark.parametrize("dynamics", [sg.SDE(0.1, 4), sg.SDE(0.1, 4, order=2), sg.SDE(0.1, 4, momentum=0.5, order=2)])
@pytest.mark.parametrize("masks", [False, True])
def test_a_scheme_in_one_loop_takes_the_step_of_its_stages_compiled_apart(monkeypatch, dynamics, masks):
    """The loop holds one gradient, and its step is the other's to rounding."""
    if masks:
        dynamics = dataclasses.replace(dynamics, sampling="no_replacement")
    x = np.linspace(-1, 1, 24).reshape(8, 3)

    def loss(w, example, key=None):
        kept = 1.0 if key is None else 2.0 * jr.bernoulli(key, 0.5, (3,))
        return jnp.tanh(jnp.dot(w * kept, example)) ** 2 + jnp.sum(w**4)

    problem = sg.Problem(loss, jnp.asarray([0.5, -1.0, 2.0]), x, stochastic=masks)
    ends, products = [], []
    for work in (10**9, 0):
        monkeypatch.setattr(sizes, "UNROLLED_WORK", work)
        step = lambda key: dynamics.step(problem, dynamics.init(problem, problem.params), key, jnp.asarray(0)).params  # noqa: E731
        products.append(str(jax.make_jaxpr(step)(jr.key(3))).count(" tanh"))
        ends.append(jax.jit(step)(jr.key(3)))
    np.testing.assert_allclose(ends[1], ends[0], rtol=2e-6)
    assert not np.allclose(ends[0], problem.params, rtol=1e-3)
    assert products[1] <= products[0] / 2


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_order_two_in_one_loop_takes_half_precision(monkeypatch, momentum):
    monkeypatch.setattr(sizes, "UNROLLED_WORK", 0)
    problem = sg.Problem(lambda w, x: jnp.sum(jnp.cos(w - x)), jnp.ones(3, jnp.bfloat16), np.linspace(-1, 1, 6))
    dynamics = sg.SDE(0.1, 2, order=2, momentum=momentum)
    settings = dict(num_steps=3, replicas=2, key=jr.key(0), observables={"w": lambda w: w})
    loop = sg.simulate(dynamics, problem, **settings).values["w"]
    monkeypatch.setattr(sizes, "UNROLLED_WORK", 10**9)
    apart = sg.simulate(sg.SDE(0.1, 2, order=2, momentum=momentum), problem, **settings).values["w"]
    np.testing.assert_allclose(loop, apart, atol=0.03)
    assert np.isfinite(loop).all()


# -- Itô ------------------------------------------------------------------------------------------------------

SLOPES = np.array([0.2, 3.0, 1.0])


def gbm_problem():
    """ℓ_i = ½ a_i θ²: g = ā θ, R dW = θ Σ(a_i − ā)dW_i/√N: geometric Brownian motion."""
    return sg.Problem(lambda theta, a: 0.5 * a * theta**2, jnp.asarray(1.0), SLOPES)


def moments_after(dynamics, steps):
    """E θ and E θ² after some steps, exactly: for GBM both obey a one-step linear recursion, measured by quadrature."""
    problem = gbm_problem()
    nodes, weights = exact.gauss_hermite(len(SLOPES), 6)
    new = exact.advance_all(dynamics, problem, dynamics.init(problem, problem.params), nodes[:, None, :])
    theta = np.asarray(new.params)
    return (weights @ theta) ** steps, (weights @ theta**2) ** steps


@pytest.mark.parametrize(("solver", "ratios"), [(diffrax.Euler(), (2, 2)), (sg.SmallNoiseRK3(), (8, 2))])
def test_the_limit_is_ito(solver, ratios):
    """Both moments in closed form (Itô), approached as h → 0; the Stratonovich reading stays away.

    θ₀ = 1: E θ = e^{−āT}, E θ² = e^{(−2ā + ε²s²)T} with ε² = η/S, s² = Var a. Under Stratonovich the mean would be
    e^{(−ā + ε²s²/2)T}. Halving h divides the errors by 2; the RK3's mean obeys a third-order ODE step, so by 8.
    """
    T, eta, S = 1.0, 0.5, 1
    mean, variance = SLOPES.mean(), SLOPES.var() * eta / S
    want = math.exp(-mean * T), math.exp((-2 * mean + variance) * T)
    stratonovich = math.exp((-mean + variance / 2) * T)
    errors = []
    for substeps in (64, 128):
        # A step of η/substeps at the noise of η: the SDE of (η, S) with smaller h, as one step of rate h.
        h = eta / substeps
        fine = RescaledSDE(eta, S, h, solver)
        got = moments_after(fine, round(T / h))
        errors.append([got[0] - want[0], got[1] - want[1]])
        assert abs(got[0] - stratonovich) > 20 * abs(got[0] - want[0])
    for coarse, half, ratio in zip(*errors, ratios, strict=True):
        assert abs(half) < 0.02
        assert coarse / half == pytest.approx(ratio, rel=0.1)


class StratonovichRK3(sg.SmallNoiseRK3):
    """A planted error: the noise is evaluated where the noise itself has led half-way."""

    def advance(self, term, y, increment):
        first = super().advance(term, y, increment)
        noise = lambda x: term.increment(x, increment, 0, 1, None)  # noqa: E731
        return first + noise(y + 0.5 * noise(y)) - noise(y)


def test_a_planted_stratonovich_reading_is_caught():
    """The same comparison as above, with a solver that converges to the wrong solution."""
    eta, T, substeps = 0.5, 1.0, 128
    planted = RescaledSDE(eta, 1, eta / substeps, StratonovichRK3())
    got = moments_after(planted, round(T * substeps / eta))[0]
    mean, variance = SLOPES.mean(), SLOPES.var() * eta
    assert abs(got - math.exp(-mean * T)) > 0.02
    assert got == pytest.approx(math.exp((-mean + variance / 2) * T), rel=5e-3)


def test_substeps_are_steps_of_a_smaller_h():
    """Two substeps by hand: the same increments, h = η/2, noise scale of η."""
    problem, eta, S = gbm_problem(), 0.4, 2
    dynamics = sg.SDE(eta, S, substeps=2)
    z = np.array([[0.3, -1.0, 0.2], [0.5, 0.1, -0.7]])
    got = exact.advance_all(dynamics, problem, dynamics.init(problem, problem.params), z[None])
    half = RescaledSDE(eta, S, eta / 2, sg.SmallNoiseRK3())
    state = half.init(problem, problem.params)
    for row in z:  # z has variance ½ each: √2 z is standard for one step of η/2
        state = jax.tree.map(lambda x: x[0], exact.advance_all(half, problem, state, math.sqrt(2) * row[None, None]))
    np.testing.assert_allclose(got.params[0], state.params, rtol=1e-13)


# -- OU: each scheme against the exact law of its own recursion, then h → 0 ---------------------------------


def ou_problem(dimension):
    """Constant covariance: ℓ_i = ½ θᵀAθ + b_i·θ with Σ b_i = 0."""
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(dimension, dimension))
    A = root @ root.T / dimension + 0.5 * np.eye(dimension)
    b = rng.normal(size=(6, dimension))
    b -= b.mean(axis=0)
    start = rng.normal(size=dimension)
    problem = sg.Problem(lambda theta, tilt: 0.5 * theta @ jnp.asarray(A) @ theta + tilt @ theta, start, b)
    return problem, A, b.T @ b / 6, start


def identity(theta):
    return theta


@pytest.mark.parametrize("dimension", [1, 5])
@pytest.mark.parametrize("solver", [diffrax.Euler(), sg.SmallNoiseRK3()])
def test_ou_ensemble_has_the_law_of_its_own_recursion(dimension, solver):
    """Mean and covariance after 8 steps of 4,000 replicas, each entry within 4.5 SEM of X' = P X + M √h ε R ξ."""
    problem, A, C, start = ou_problem(dimension)
    eta, S, steps = 0.3, 2, 8
    out = sg.simulate(
        sg.SDE(eta, S, solver=solver),
        problem,
        num_steps=steps,
        replicas=4000,
        key=jr.key(dimension),
        observables={"theta": identity},
        save_every=steps,
    )
    x = out.values["theta"][:, -1]
    J, identity_matrix, alpha = -eta * A, np.eye(dimension), (24 - math.sqrt(96)) / 40
    if isinstance(solver, diffrax.Euler):
        P, M = identity_matrix + J, identity_matrix
    else:
        P = identity_matrix + J + J @ J / 2 + J @ J @ J / 6
        M = identity_matrix + J / 2 + alpha / 3 * J @ J
    mean, covariance = start, np.zeros_like(A)
    for _ in range(steps):
        mean, covariance = P @ mean, P @ covariance @ P.T + eta**2 / S * M @ C @ M.T
    assert (np.abs(x.mean(axis=0) - mean) < 4.5 * x.std(axis=0) / math.sqrt(len(x))).all()
    products = np.einsum("ri,rj->rij", x - mean, x - mean)
    sem = products.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(products.mean(axis=0) - covariance) < 4.5 * sem).all()
    with np.errstate(divide="ignore"):
        off = np.abs(1.25 * products.mean(axis=0) - covariance) / sem
    assert off.max() > 4.5, "power: a covariance off by a quarter is seen even so"


@pytest.mark.parametrize("dimension", [1, 5])
@pytest.mark.parametrize(("solver", "order"), [(diffrax.Euler(), 1), (sg.SmallNoiseRK3(), 2)])
def test_ou_law_as_h_vanishes(dimension, solver, order):
    """The stationary covariance of the recursion against the Lyapunov solution: order 1, and 2 for additive noise.

    By exact linear algebra on the library's own step: its Jacobians in θ and in the increments.
    """
    from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

    problem, A, C, _ = ou_problem(dimension)
    eta, S = 0.5, 2
    want = solve_continuous_lyapunov(A, eta / S * C)
    errors = []
    for substeps in (8, 16):
        fine = RescaledSDE(eta, S, eta / substeps, solver)

        def step(theta, z, fine=fine):
            state = fine.init(problem, problem.params)._replace(params=theta)
            from sdesgd.dynamics.protocol import MaskedDraw

            return fine.advance(problem, state, MaskedDraw(z, None), jnp.asarray(0)).params

        at = jnp.zeros(dimension), jnp.zeros((1, 6))
        P, B = jax.jacobian(step, 0)(*at), jax.jacobian(step, 1)(*at)[:, 0]
        errors.append(np.linalg.norm(solve_discrete_lyapunov(np.asarray(P), np.asarray(B @ B.T)) - want))
    assert errors[1] < errors[0] < 0.2 * np.linalg.norm(want)
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


# -- momentum -------------------------------------------------------------------------------------------------


def test_the_momentum_solver_reaches_the_limit_where_the_heavy_ball_does_not():
    """Stationary variance on a quadratic, m = 0.9, η = 0.05, C = 1, λ = 1, S = 1: limit η/(2(1−m)) = 0.25.

    Exact linear algebra on the library's step. Heavy-ball Gaussian SGD: 0.25/(1 − ηλ/(2(1+m))) = 0.2533.
    """
    from scipy.linalg import solve_discrete_lyapunov

    problem = sg.Problem(lambda x, b: 0.5 * x**2 + b * x, jnp.asarray(0.0), np.array([1.0, -1.0]))
    eta, m = 0.05, 0.9

    def variance(dynamics):
        from sdesgd.dynamics.protocol import MaskedDraw

        def step(y, z):
            state = dynamics.init(problem, problem.params)._replace(params=y[0], velocity=y[1])
            new = dynamics.advance(problem, state, MaskedDraw(z.reshape(-1, 2), None), jnp.asarray(0))
            return jnp.stack([new.params, new.velocity])

        substeps = getattr(dynamics, "substeps", 1)
        at = jnp.zeros(2), jnp.zeros(2 * substeps)
        P, B = jax.jacobian(step, 0)(*at), jax.jacobian(step, 1)(*at)
        return solve_discrete_lyapunov(np.asarray(P), np.asarray(B @ B.T) / substeps)[0, 0]

    assert variance(sg.GaussianSGD(eta, 1, momentum=m)) == pytest.approx(0.25 / (1 - eta / (2 * (1 + m))), rel=1e-10)
    one, two = (variance(sg.SDE(eta, 1, momentum=m, substeps=k)) for k in (1, 2))
    assert abs(one - 0.25) < 0.0035
    assert (one - 0.25) / (two - 0.25) == pytest.approx(4, abs=0.2), "second order in h"
    rk3 = variance(sg.SDE(eta, 1, momentum=m, solver=sg.SmallNoiseRK3()))
    assert rk3 == pytest.approx(0.25, rel=2e-3)
    euler = variance(sg.SDE(eta, 1, momentum=m, solver=diffrax.Euler()))
    assert euler > 0.45, "explicit Euler is far off, as it should be"


# -- in a plain diffeqsolve, and refusals -----------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_terms_and_solvers_work_in_diffeqsolve(momentum):
    problem, _, _, start = ou_problem(5)
    dynamics = sg.SDE(0.2, 2, momentum=momentum)
    term, y0 = dynamics.equation(problem, jr.key(0))
    step = math.sqrt(0.2) if momentum else 0.2
    solution = diffrax.diffeqsolve(
        term,
        dynamics.solver,
        t0=0.0,
        t1=5 * step,
        dt0=step,
        y0=y0,
        saveat=diffrax.SaveAt(ts=jnp.linspace(0, 5 * step, 4)),
        adjoint=diffrax.DirectAdjoint(),
    )
    theta = solution.ys[0] if momentum else solution.ys
    assert theta.shape == (4, 5)
    np.testing.assert_allclose(theta[0], start)
    assert np.isfinite(np.asarray(theta)).all()
    assert not np.allclose(theta[0], theta[-1])


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (diffrax.Heun(), "Heun does not converge to the Itô solution: use diffrax.Euler"),
        (diffrax.EulerHeun(), "EulerHeun does not converge to the Itô"),
        (diffrax.ReversibleHeun(), "ReversibleHeun does not converge to the Itô"),
        (diffrax.ItoMilstein(), "ItoMilstein needs commutative noise"),
        (diffrax.HalfSolver(diffrax.Euler()), "HalfSolver needs commutative noise or separate"),
        (sg.SemiImplicitHeavyBall(), "SemiImplicitHeavyBall is for HeavyBallTerm"),
        (diffrax.Euler, "pass an instance"),
        ("euler", "pass an instance"),
    ],
)
def test_wrong_solvers_are_refused(solver, message):
    with pytest.raises(sg.InputError, match=message) as caught:
        sg.SDE(0.1, 4, solver=solver)
    assert "\n" not in str(caught.value)


def test_allowed_solvers_say_that_they_are_ito():
    for solver in (diffrax.Euler(), sg.SmallNoiseRK3(), sg.SemiImplicitHeavyBall()):
        assert isinstance(solver, diffrax.AbstractItoSolver)
        assert not isinstance(solver, diffrax.AbstractStratonovichSolver)
        check_solver(solver, HeavyBallTerm)
    with pytest.raises(sg.InputError, match="order-1 drift"):
        sg.SDE(0.1, 4, order=2, momentum=0.5, solver=sg.SemiImplicitHeavyBall())


@pytest.mark.parametrize("start", [0.0, 1e6, 1e9])
def test_a_path_of_steps_has_independent_increments_at_any_time(start):
    """N(0, h) each, uncorrelated, and never twice the same: diffrax's own path repeats them where float32 is coarse."""
    h, count = 2.0**-7, 4000
    path = StepPath(jax.ShapeDtypeStruct((1,), jnp.float64), jr.key(0))
    times = start + h * jnp.arange(count)
    draws = np.asarray(jax.vmap(lambda t: path.evaluate(t, t + h))(times))[:, 0] / math.sqrt(h)
    assert len(np.unique(draws)) == count
    assert abs(draws.mean()) < 4.5 / math.sqrt(count)
    assert abs(draws.var() - 1) < 4.5 * math.sqrt(2 / count)
    assert abs(np.mean(draws[1:] * draws[:-1])) < 4.5 / math.sqrt(count)
    np.testing.assert_array_equal(path.evaluate(times[7], times[8]), path.evaluate(times[7], times[8]))


@pytest.mark.parametrize("solver", [diffrax.Heun(), diffrax.Midpoint(), diffrax.Dopri5()])
def test_solvers_of_the_stratonovich_equation_are_refused_in_a_plain_diffeqsolve(solver):
    problem, *_ = ou_problem(1)
    term, y0 = sg.SDE(0.1, 2).equation(problem, jr.key(0))
    with pytest.raises(sg.InputError, match="does not converge to the Itô solution"):
        diffrax.diffeqsolve(term, solver, 0.0, 0.2, 0.1, y0, adjoint=diffrax.DirectAdjoint())


def test_a_late_solution_has_the_law_of_an_early_one():
    """The stationary variance of Euler's own recursion, from t0 = 1e6 as from 0, in 64 bits."""
    problem = sg.Problem(lambda w, x: 0.5 * (w - x) ** 2, np.float64(0.0), np.array([-1.0, 1.0]))
    eta, h, replicas = 0.1, 0.25, 2000

    def end(key):
        term, y0 = sg.SDE(eta, 1).equation(problem, key)
        solver, adjoint = diffrax.Euler(), diffrax.DirectAdjoint()
        return diffrax.diffeqsolve(term, solver, 1e6, 1e6 + 10, h, y0, adjoint=adjoint).ys[0]

    ends = np.asarray(jax.vmap(end)(jr.split(jr.key(0), replicas)))
    exact = eta * h / (1 - (1 - h) ** 2)  # w' = (1 − h) w + √(η h) ξ
    assert abs(ends.var() / exact - 1) < 4.5 * math.sqrt(2 / replicas)
