"""One suite that every dynamics passes: exact law of a step, momentum, seeds, dtypes, divergence, saves, compiling."""

import dataclasses
import math
import warnings

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from tests import exact

ETA, S, M = 0.13, 2, 0.8
Q, START = exact.small()
DYNAMICS = {
    "sgd": sg.SGD(ETA, S),
    "sgd-subset": sg.SGD(ETA, S, "no_replacement"),
    "sgd-reshuffle": sg.SGD(ETA, S, "reshuffle"),
    "sgd-momentum": sg.SGD(ETA, S, momentum=M),
    "gaussian": sg.GaussianSGD(ETA, S),
    "gaussian-subset": sg.GaussianSGD(ETA, S, "no_replacement"),
    "gaussian-momentum": sg.GaussianSGD(ETA, S, "no_replacement", M),
    "svag": sg.SVAG(ETA, S, 2),
    "svag-subset": sg.SVAG(ETA, S, 2, "no_replacement"),
    "sde-rk3": sg.SDE(ETA, S),
    "sde-rk3-subset": sg.SDE(ETA, S, "no_replacement"),
    "sde-euler": sg.SDE(ETA, S, solver=diffrax.Euler(), substeps=2),
    "sde-order2": sg.SDE(ETA, S, order=2),
    "sde-momentum": sg.SDE(ETA, S, momentum=M),
    "sde-momentum-subset": sg.SDE(ETA, S, "no_replacement", momentum=M),
    "sde-momentum-order2": sg.SDE(ETA, S, order=2, momentum=M),
}
every_dynamics = pytest.mark.parametrize("name", DYNAMICS)
VELOCITY = np.array([0.3, -0.2])


def exact_step(dynamics, q=Q, start=START, dtype=np.float64):
    """Mean and covariance of (θ', v') after one step of the library, over all its draws."""
    problem = q.problem(start, dtype)
    state = dynamics.init(problem, problem.params)
    if state.velocity is not None:
        state = state._replace(velocity=jnp.asarray(VELOCITY, dtype))
    if isinstance(dynamics, sg.SGD):
        if dynamics.sampling == "reshuffle":
            numbers = exact.enumerate_indices(q.N, q.N, "no_replacement")
        else:
            numbers = exact.enumerate_indices(q.N, S, dynamics.sampling)
        weights = np.full(len(numbers), 1 / len(numbers))
    elif isinstance(dynamics, sg.SVAG):
        batches = exact.enumerate_indices(q.N, S, dynamics.sampling)
        pairs = np.array([(a, b) for a in batches for b in batches])
        count = len(pairs)
        first, second = np.divmod(np.arange(count**2), count)
        numbers = np.stack([pairs[first], pairs[second]], axis=1)
        weights = np.full(len(numbers), 1 / len(numbers))
    else:
        substeps = getattr(dynamics, "substeps", 1)
        nodes, weights = exact.gauss_hermite(substeps * q.N, 5 if substeps == 1 else 3)
        numbers = (nodes / math.sqrt(substeps)).reshape(-1, substeps, q.N).astype(dtype)
    new = exact.advance_all(dynamics, problem, state, numbers)
    out = new.params if new.velocity is None else jnp.concatenate([new.params, new.velocity], axis=1)
    return exact.moments(out, weights)


def oracle(dynamics, q=Q, start=START):
    """The same in plain numpy."""
    f = exact.population_factor(q.N, S, "replacement" if dynamics.sampling == "replacement" else "no_replacement")
    D = len(start)
    momentum = getattr(dynamics, "momentum", 0.0)
    if not isinstance(dynamics, sg.SDE):
        mean, covariance = exact.euler_moments(q, start, ETA, S, f, getattr(dynamics, "ell", 1))
        if not momentum:
            return mean, covariance
        velocity = M * VELOCITY + (mean - start)
        return np.concatenate([start + velocity, velocity]), np.block([[covariance] * 2] * 2)
    if isinstance(dynamics.solver, diffrax.Euler):
        return exact.euler_moments(q, start, ETA, S, f, dynamics.substeps)
    if not momentum:
        J = -q.H if dynamics.order == 1 else -(q.H + ETA / 2 * q.H @ q.H)
        shift = q.b if dynamics.order == 1 else q.b + ETA / 2 * q.H @ q.b
        return exact.rk3_moments(q, start, J, shift, ETA, math.sqrt(ETA * f / S), np.eye(D))
    d = math.sqrt(ETA)
    gamma, unit, p = (1 - M) / d, np.eye(D), VELOCITY / d
    scale = np.diag([1.0] * D + [d] * D)  # v = δ p
    if dynamics.order == 1:
        middle = start + d / 2 * p
        x = gamma * d
        a, phi = math.exp(-x), (1 - math.exp(-x)) / x
        mean_p = a * p - phi * d * (q.H @ middle - q.b)
        # d·(1−e^{−2x})/(2x) is the variance that an exact OU friction lets through
        kick = ETA**0.5 * f / S * d * (1 - math.exp(-2 * x)) / (2 * x) * q.covariance(middle)
        to_y = np.vstack([d / 2 * unit, unit])
        return scale @ np.concatenate([middle + d / 2 * mean_p, mean_p]), scale @ to_y @ kick @ to_y.T @ scale
    top = np.hstack([-d / 2 * q.H, (1 - d / 2 * gamma) * unit])
    bottom = np.hstack([-q.H - d / 2 * gamma * q.H, -gamma * unit + d / 2 * (q.H - gamma**2 * unit)])
    shift = np.concatenate([d / 2 * q.b, q.b + d / 2 * gamma * q.b])
    embed = np.vstack([d / 2 * unit, (1 + gamma * d / 2) * unit])
    y = np.concatenate([start, p])
    mean, covariance = exact.rk3_moments(q, y, np.vstack([top, bottom]), shift, d, ETA**0.25 * math.sqrt(f / S), embed)
    return scale @ mean, scale @ covariance @ scale


@every_dynamics
def test_mean_and_covariance_of_one_step_are_exact(name):
    mean, covariance = exact_step(DYNAMICS[name])
    want_mean, want_covariance = oracle(DYNAMICS[name])
    np.testing.assert_allclose(mean, want_mean, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(covariance, want_covariance, rtol=1e-9, atol=1e-13)


@every_dynamics
def test_one_step_in_float32(name):
    mean, covariance = exact_step(DYNAMICS[name], dtype=np.float32)
    want_mean, want_covariance = oracle(DYNAMICS[name])
    np.testing.assert_allclose(mean, want_mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(covariance, want_covariance, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "by"),
    [
        (
            dataclasses.replace(sg.GaussianSGD(ETA, S, "no_replacement"), sampling="replacement"),
            "f forgotten",
        ),
        (sg.GaussianSGD(ETA, S + 1, "no_replacement"), "another batch size"),
    ],
)
def test_the_exact_law_tells_a_wrong_covariance(wrong, by):
    """Power: the comparison above must fail for a forgotten f, and for a covariance off by 10 %."""
    _, covariance = exact_step(wrong)
    _, right = oracle(sg.GaussianSGD(ETA, S, "no_replacement"))
    assert np.linalg.norm(covariance - right) > 0.1 * np.linalg.norm(right), by


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement", "reshuffle"])
def test_gaussian_sgd_shares_the_first_two_moments_of_sgd(sampling):
    """SGD by enumeration, Gaussian SGD by quadrature; reshuffling's first step is a subset."""
    law = "no_replacement" if sampling == "reshuffle" else sampling
    ours, theirs = exact_step(sg.SGD(ETA, S, sampling)), exact_step(sg.GaussianSGD(ETA, S, law))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("N", "batch", "want"), [(1, 1, 1.0), (4, 4, 0.0), (10, 4, 6 / 9)])
def test_finite_population_factor(N, batch, want):
    from sdesgd.dynamics.protocol import finite_population_factor

    assert finite_population_factor(N, batch, "no_replacement") == want
    assert finite_population_factor(N, batch, "replacement") == 1.0


def test_an_epoch_of_reshuffled_weights_is_constant_at_fixed_parameters():
    """Over one epoch each example appears once: the sum of the steps' weights is constant."""
    q, start = exact.small(6)
    problem, dynamics = q.problem(start), sg.SGD(ETA, 2, "reshuffle")
    state, seen, orders = dynamics.init(problem, problem.params), [], []
    for n in range(6):
        draw = dynamics.draw(problem, state, jr.fold_in(jr.key(3), n), jnp.asarray(n))
        seen.append(np.asarray(draw.numbers)[2 * (n % 3) : 2 * (n % 3) + 2])
        orders.append(np.asarray(draw.numbers))
        state = dynamics.advance(problem, state, draw, jnp.asarray(n))
    assert sorted(np.concatenate(seen[:3])) == sorted(np.concatenate(seen[3:])) == list(range(6))
    assert (orders[0] == orders[2]).all()
    assert (orders[0] != orders[3]).any()


@pytest.mark.parametrize("sampling", ["replacement", "no_replacement"])
def test_batches_are_uniform(sampling):
    """Frequencies of all ordered batches over 24,000 keys, each within 5 standard errors."""
    problem = Q.problem(START)
    dynamics = sg.SGD(ETA, S, sampling)
    state = dynamics.init(problem, problem.params)
    keys = jr.split(jr.key(0), 24_000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda k: dynamics.draw(problem, state, k, jnp.asarray(0)).numbers))(keys))
    batches = exact.enumerate_indices(Q.N, S, sampling)
    counts = np.array([(drawn == b).all(axis=1).sum() for b in batches])
    p = 1 / len(batches)
    assert counts.sum() == len(keys)
    assert np.abs(counts - len(keys) * p).max() < 5 * math.sqrt(len(keys) * p * (1 - p))


def test_increments_are_standard_normal_and_independent():
    """20,000 draws of 3 substeps × 4 units: mean 0, covariance I/3, fourth moment 3/9, within 5 SE."""
    problem, dynamics = Q.problem(START), sg.SDE(ETA, S, substeps=3)
    state = dynamics.init(problem, problem.params)
    keys = jr.split(jr.key(1), 20_000)
    z = jax.jit(jax.vmap(lambda k: dynamics.draw(problem, state, k, jnp.asarray(0)).numbers))(keys)
    z = np.asarray(z).reshape(len(keys), -1) * math.sqrt(3)
    root = math.sqrt(len(keys))
    assert np.abs(z.mean(axis=0)).max() < 5 / root
    assert np.abs(z.T @ z / len(keys) - np.eye(12)).max() < 5 * math.sqrt(2) / root
    assert np.abs((z**4).mean(axis=0) - 3).max() < 5 * math.sqrt(96) / root


# -- what simulate promises for every dynamics -----------------------------------------------------------


def theta(params):
    return params


def run(dynamics, problem=None, start=None, **options):
    problem = Q.problem(START) if problem is None else problem
    settings = dict(num_steps=6, replicas=5, key=jr.key(7), observables={"theta": theta}, save_every=2)
    return sg.simulate(dynamics, problem, params=start, **(settings | options))


@pytest.mark.slow
@every_dynamics
def test_seeds_saves_and_start(name):
    dynamics = DYNAMICS[name]
    first, again, other = run(dynamics), run(dynamics), run(dynamics, key=jr.key(8))
    values = first.values["theta"]
    np.testing.assert_array_equal(values, again.values["theta"])
    assert values.shape == (5, 4, 2)
    np.testing.assert_array_equal(values[:, 0], np.tile(START, (5, 1)))
    np.testing.assert_allclose(first.time, ETA * np.array([0, 2, 4, 6]), rtol=1e-14)
    np.testing.assert_array_equal(values[:, -1], first.final_params)
    assert len({tuple(row) for row in values[:, -1]}) > 1, "replicas must differ"
    assert not np.array_equal(values[:, -1], other.values["theta"][:, -1])
    every = run(dynamics, save_every=1).values["theta"]
    np.testing.assert_allclose(every[:, ::2], values, rtol=1e-12, err_msg="saves must not change the path")
    fewer = run(dynamics, replicas=3).values["theta"]
    np.testing.assert_allclose(fewer, values[:3], rtol=1e-12, err_msg="a replica doesn't depend on the others")


@every_dynamics
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_that_of_params(name, dtype):
    out = run(DYNAMICS[name], Q.problem(START, dtype))
    assert out.values["theta"].dtype == out.final_params.dtype == dtype


@every_dynamics
def test_divergence_is_per_replica_and_ends_in_nan(name):
    """At a rate far beyond 2(1+m)/λ every replica overflows float32; the last finite parameters stay."""
    dynamics = DYNAMICS[name]
    options = {"learning_rate": 500.0}
    if isinstance(dynamics, sg.SDE):
        wild = sg.SDE(
            500.0, S, dynamics.sampling, dynamics.order, dynamics.momentum, dynamics.substeps, dynamics.solver
        )
    else:
        wild = dataclasses.replace(dynamics, **options)
    limit = 2 * (1 + getattr(dynamics, "momentum", 0.0))
    top = np.linalg.eigvalsh(Q.H)[-1]
    numbers = rf"lambda_max = {500 * top:.3g} .*2\(1\+m\) = {limit:.3g}; .*below {limit / top:.2g}"
    with pytest.warns(RuntimeWarning, match="5 of 5 replicas diverged: eta " + numbers.replace("+0", ".0")):
        out = run(wild, Q.problem(START, np.float32), num_steps=100, save_every=50)
    assert out.diverged.all()
    assert np.isnan(out.values["theta"][:, -1]).all()
    assert np.isfinite(out.values["theta"][:, 0]).all()
    assert np.isfinite(out.final_params).all()


@every_dynamics
def test_the_second_call_compiles_nothing(name):
    """New key, learning rate, data and start; the same function objects."""
    dynamics, q2 = DYNAMICS[name], exact.small(seed=5)[0]
    if isinstance(dynamics, sg.SDE):
        faster = sg.SDE(
            0.1, S, dynamics.sampling, dynamics.order, dynamics.momentum, dynamics.substeps, dynamics.solver
        )
    else:
        faster = dataclasses.replace(dynamics, learning_rate=0.1)
    problem, start, key = q2.problem(START), jnp.asarray(START + 1.0), jr.key(99)
    run(dynamics, start=jnp.asarray(START))
    compiled = []
    listener = lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        run(faster, problem, start, key=key)
        assert compiled == []
        run(faster, problem, start, key=key, replicas=6)
        assert compiled != [], "the listener must see a compilation when there is one"
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


def test_a_schedule_sets_rate_and_time():
    """η_n = 0.1/(1+n): gradient descent (S = N) against a numpy loop, and time Σ η_k."""

    def schedule(n):
        return 0.1 / (1 + n)

    out = run(sg.SGD(schedule, Q.N, "no_replacement"), replicas=1)
    x, time = START, [0.0]
    for n in range(6):
        x = x - schedule(n) * (Q.H @ x - Q.b)
        time.append(time[-1] + schedule(n))
    np.testing.assert_allclose(out.final_params[0], x, rtol=1e-12)
    np.testing.assert_allclose(out.time, np.array(time)[::2], rtol=1e-6)


def _with_rate(dynamics, rate):
    if isinstance(dynamics, sg.SDE):
        settings = dynamics.sampling, dynamics.order, dynamics.momentum, dynamics.substeps, dynamics.solver
        return sg.SDE(rate, S, *settings)
    return dataclasses.replace(dynamics, learning_rate=rate)


def rising(n):
    return 0.05 * n


@every_dynamics
def test_every_dynamics_reads_its_schedule(name):
    """η_n = 0.05 n: nothing but coasting at step 0, and step 2 is that of the constant rate 0.1."""
    scheduled, constant = _with_rate(DYNAMICS[name], rising), _with_rate(DYNAMICS[name], 0.1)
    problem = Q.problem(START)
    state = scheduled.init(problem, problem.params)
    if state.velocity is not None:
        state = state._replace(velocity=jnp.asarray(VELOCITY))
    key = jr.key(4)
    new, want = (eqx.filter_jit(d.step)(problem, state, key, jnp.asarray(2)) for d in (scheduled, constant))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), new, want)
    still = eqx.filter_jit(scheduled.step)(problem, state, key, jnp.asarray(0))
    coasted = START if state.velocity is None else START + M * VELOCITY
    np.testing.assert_allclose(still.params, coasted, rtol=1e-12)
    assert np.isfinite(run(scheduled).final_params).all()


def test_a_schedule_that_turns_negative_is_refused():
    with pytest.raises(sg.InputError, match=r"schedule gives learning_rate -0\.1.* at step 2"):
        run(sg.SGD(lambda n: 0.1 - 0.1 * n, S))


def test_a_call_with_other_values_differs():
    """The learning rate is traced, not frozen at the first call's value."""
    slow, fast = run(sg.SGD(0.01, S)), run(sg.SGD(0.02, S))
    assert not np.allclose(slow.final_params, fast.final_params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(sg.SGD(0.01, S))
