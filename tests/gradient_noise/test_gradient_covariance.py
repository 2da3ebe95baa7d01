"""tr C, minibatch cumulants, curvature, the validity card, trajectories on disk: each against an independent oracle."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

import sdesgd as sg
from tests import exact

Q, START = exact.small(6, 3, seed=2)


@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_trace_and_norm(chunk):
    problem = Q.problem(START, chunk_size=chunk)
    trace, norm = sg.gradient_noise.trace_and_norm(problem, problem.params)
    assert float(trace) == pytest.approx(np.trace(Q.covariance(START)), rel=1e-12)
    assert float(norm) == pytest.approx(np.sum((Q.H @ START - Q.b) ** 2), rel=1e-12)
    assert float(sg.gradient_noise.trace(problem, problem.params)) == float(trace)


def test_trace_survives_a_large_common_gradient_in_float32():
    """Deviations are summed: E‖∇ℓ_i‖² − ‖g‖² would lose all digits here."""
    problem = sg.Problem(lambda w, b: (1e4 + b) * w, jnp.asarray(0.0, jnp.float32), np.array([-1.0, 1.0]))
    assert float(sg.gradient_noise.trace(problem, problem.params)) == pytest.approx(1.0, rel=1e-3)


def enumerated(x, S, sampling):
    means = np.array([np.mean(x[list(b)]) for b in exact.enumerate_indices(len(x), S, sampling)])
    return means.var(), stats.skew(means), stats.kurtosis(means)


@pytest.mark.parametrize(
    ("S", "sampling"),
    [
        (1, "replacement"),
        (3, "replacement"),
        (1, "no_replacement"),
        (2, "no_replacement"),
        (4, "no_replacement"),
    ],
)
def test_cumulants_of_minibatch_noise_by_enumeration(S, sampling):
    problem = Q.problem(START)
    directions = np.random.default_rng(0).normal(size=(2, 3))
    got = sg.gradient_noise.minibatch_cumulants(problem, problem.params, jnp.asarray(directions), S, sampling)
    for k, u in enumerate(directions):
        want = enumerated(Q.gradients(START) @ u, S, sampling)
        np.testing.assert_allclose([g[k] for g in got], want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("N", "S"), [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3)])
def test_cumulants_of_tiny_populations(N, S):
    q, start = exact.small(N, 2, seed=N)
    problem = q.problem(start)
    u = jnp.asarray([[1.0, -0.5]])
    got = sg.gradient_noise.minibatch_cumulants(problem, problem.params, u, S, "no_replacement")
    if S == N:
        assert float(got.variance[0]) == pytest.approx(0, abs=1e-14)
    else:
        want = enumerated(q.gradients(start) @ np.asarray(u[0]), S, "no_replacement")
        np.testing.assert_allclose([g[0] for g in got], want, rtol=1e-9, atol=1e-12)


def test_top_eigenpairs():
    q, start = exact.small(5, 6, seed=4)
    problem = q.problem(start)
    pairs = sg.curvature.top_eigenpairs(problem, problem.params, key=jr.key(0), num=2)
    values, vectors = np.linalg.eigh(q.H)
    np.testing.assert_allclose(pairs.eigenvalues, values[::-1][:2], rtol=1e-10)
    overlap = np.abs(np.asarray(pairs.eigenvectors) @ vectors[:, ::-1][:, :2])
    np.testing.assert_allclose(overlap, np.eye(2), atol=1e-8)
    assert (np.asarray(pairs.residuals) < 1e-8).all()
    rough = sg.curvature.top_eigenpairs(problem, problem.params, key=jr.key(0), num_matvecs=2)
    assert np.abs(np.asarray(rough.eigenvalues)[0] - values).min() <= float(rough.residuals[0])
    with pytest.raises(sg.InputError, match="num is 9: pass 1 to 6"):
        sg.curvature.top_eigenpairs(problem, problem.params, key=jr.key(0), num=9)


@pytest.mark.parametrize("dimension", [1, 3, 50])
def test_eigenvalues_survive_a_closed_krylov_space(dimension):
    """H = 2I closes it after one step; what Lanczos writes beyond is noise and must not be reported."""
    problem = sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), np.zeros(dimension, np.float32), np.ones((4, dimension)))
    found = sg.curvature.top_eigenpairs(problem, problem.params, key=jr.key(0), num=min(2, dimension))
    assert float(found.eigenvalues[0]) == pytest.approx(2, rel=1e-5)
    assert float(found.residuals[0]) < 1e-4
    assert np.isnan(found.eigenvalues[1:]).all()


@pytest.mark.slow
def test_the_card_of_groups_is_that_of_the_expected_group_loss():
    """All 15 groups of 2 of 6 are the population of units: ‖g‖² is free of a partition's own noise, tr C is total."""
    x = np.random.default_rng(0).normal(size=(6, 2))
    problem = sg.Problem(lambda w, x: jnp.mean(x @ w) ** 2, jnp.asarray([1.0, 0.5]), x, unit_size=2)
    draws = 1000
    card = sg.validity_card(problem, 0.1, 2, key=jr.key(1), draws=draws)
    centres = np.array([x[list(pair)].mean(axis=0) for pair in itertools.combinations(range(6), 2)])
    w = np.array([1.0, 0.5])
    gradients = 2 * (centres @ w)[:, None] * centres
    g = gradients.mean(axis=0)
    want = {"gradient_norm_squared": g @ g, "trace": gradients.var(axis=0).sum()}
    want["noise_to_signal"] = want["trace"] / want["gradient_norm_squared"]
    for name, value in want.items():
        error = card.standard_errors[name]
        assert error < 0.2 * value, f"{name}: the test has no power"
        assert abs(getattr(card, name) - value) < 4.5 * error, name
    # What one partition's g has in excess, tr Cov g_P = (tr C of a mean of 3 disjoint groups), would be seen.
    partitions = [p for p in itertools.permutations(range(6)) if p[0] < p[1] and p[2] < p[3] and p[4] < p[5]]
    groups = [x[list(p)].reshape(3, 2, 2).mean(axis=1) for p in partitions]
    means = np.mean([[2 * (c @ w) * c for c in three] for three in groups], axis=1)
    assert np.var(means, axis=0).sum() > 10 * card.standard_errors["gradient_norm_squared"]
    along = gradients @ (g / np.linalg.norm(g))
    assert (
        abs(card.skewness["gradient"] - stats.skew(along)) < 4.5 * card.standard_errors["skewness"]["gradient"] + 0.02
    )
    hessian = 2 * np.mean([np.outer(c, c) for c in centres], axis=0)
    assert card.top_eigenvalue == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=0.05)
    assert card.draws == draws


def test_the_errors_of_the_card_cover():
    """Over 60 cards of 8 draws the spread of ‖g‖² is the error that they report, within the noise of both."""
    x = np.random.default_rng(0).normal(size=(6, 2))
    problem = sg.Problem(lambda w, x: jnp.mean(x @ w) ** 2, jnp.asarray([1.0, 0.5]), x, unit_size=2)
    cards = [sg.validity_card(problem, 0.1, 2, key=jr.key(k)) for k in range(60)]
    spread = np.std([card.gradient_norm_squared for card in cards], ddof=1)
    reported = np.sqrt(np.mean([card.standard_errors["gradient_norm_squared"] ** 2 for card in cards]))
    assert 0.65 < reported / spread < 1.5
    with pytest.raises(sg.InputError, match="draws is 2"):
        sg.validity_card(problem, 0.1, 2, key=jr.key(0), draws=2)


def test_validity_card():
    problem = Q.problem(START)
    card = sg.validity_card(problem, 0.2, 2, key=jr.key(0), sampling="no_replacement", momentum=0.5)
    top = np.linalg.eigvalsh(Q.H)[-1]
    g = Q.H @ START - Q.b
    assert card.stability == pytest.approx(0.2 * top / 3, rel=1e-9)
    f = (len(Q.gradients(START)) - 2) / (len(Q.gradients(START)) - 1)
    assert card.noise_to_signal == pytest.approx(f * np.trace(Q.covariance(START)) / (2 * g @ g), rel=1e-9)
    _, skewness, kurtosis = enumerated(Q.gradients(START) @ g, 2, "no_replacement")
    assert card.skewness["gradient"] == pytest.approx(skewness, rel=1e-9)
    assert card.excess_kurtosis["gradient"] == pytest.approx(kurtosis, rel=1e-9)
    assert (card.draws, card.standard_errors) == (1, {})


def test_trajectories_round_trip(tmp_path):
    net = sg.nets.mlp(3, 2, width=4, key=jr.key(0))
    rng = np.random.default_rng(0)
    problem = sg.nets.finite_sum(net, rng.normal(size=(8, 3)), rng.integers(0, 2, 8))
    out = sg.simulate(
        sg.SGD(0.1, 2), problem, num_steps=4, replicas=3, key=jr.key(0), observables={"loss": problem.loss}
    )
    out.save(tmp_path / "run.nc")
    back = sg.Trajectories.load(tmp_path / "run.nc")
    np.testing.assert_array_equal(back.values["loss"], out.values["loss"])
    np.testing.assert_array_equal(back.time, out.time)
    np.testing.assert_array_equal(back.diverged, out.diverged)
    assert (back.interrupted, back.blocks) == (out.interrupted, out.blocks)
    leaves = [x for x in jax.tree.leaves(out.final_params) if hasattr(x, "shape")]
    for mine, theirs in itertools.zip_longest(back.final_params.values(), leaves):
        np.testing.assert_array_equal(mine, theirs)
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"], "no temporary file stays"


def test_files_that_are_not_trajectories(tmp_path):
    with pytest.raises(sg.InputError, match="does not exist"):
        sg.Trajectories.load(tmp_path / "none.nc")
    (tmp_path / "cut.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(sg.InputError, match="not a readable NetCDF"):
        sg.Trajectories.load(tmp_path / "cut.nc")
    out = sg.simulate(sg.SGD(0.1, 2), Q.problem(START), num_steps=1, replicas=1, key=jr.key(0), observables={})
    with pytest.raises(sg.InputError, match="can't write"):
        out.save(tmp_path / "missing" / "run.nc")
