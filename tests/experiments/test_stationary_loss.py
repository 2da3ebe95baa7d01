"""stationary-loss at toy size: minima, traces and laws against numpy and scipy, slips they must catch, the command."""

import dataclasses
import functools
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli, running
from experiments.stationary_loss import compute as stationary_loss
from experiments.stationary_loss import config as configuration
from experiments.stationary_loss import laws, problems, report
from sdesgd.dynamics.protocol import MaskedDraw
from sdesgd.errors import InputError
from sdesgd.stationary import expected_loss, regression_covariance
from sdesgd.stationary.minimum import descended
from tests.experiments.toy_experiment import stage_files

pytestmark = pytest.mark.slow

TOY = {
    "problems": "net,regression",
    "learning_rates": "0.02,0.12",
    "batch_size": 2,
    "divide": 2,
    "replicas": 400,
    "sde_replicas": 24,
    "num_steps": 1000,
    "num_examples": 12,
    "width": 1,
    "net_decay": 0.1,
}
COMMAND = [
    "stationary-loss",
    *itertools.chain.from_iterable((f"--{k.replace('_', '-')}", str(v)) for k, v in TOY.items()),
]
RNG = np.random.default_rng(3)
SMALL_X = RNG.normal(size=(9, 2)) @ np.array([[1.3, 0.4], [0.0, 0.8]])
SMALL_Y = SMALL_X @ np.array([0.5, -1.0]) + RNG.normal(size=9)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(folder)]) == 0
    (made,) = (folder / "stationary-loss").iterdir()
    return made


@pytest.fixture(scope="module")
def result(finished):
    kept, _ = running.read_run(EXPERIMENTS["stationary-loss"], finished)
    return kept


# -- the minima and their matrices -------------------------------------------------------------------------


@functools.cache
def small(name):
    if name == "logistic":
        return problems.logistic(24, 0.1, 0)
    return problems.small_net(24, 2, 0.05, 0)


def numpy_gradients(case, layers, decay):
    """Per-example gradients by hand, in numpy: softmax regression, or one hidden tanh layer; and those of H's trace."""
    x, labels = (np.asarray(part) for part in case.problem.data)
    one_hot = np.eye(10)[labels]
    theta = np.concatenate([part.ravel() for layer in layers for part in layer])
    if len(layers) == 1:
        ((W, b),) = layers
        scores = x @ W + b
        hidden = None
    else:
        (V, a), (W, b) = layers
        hidden = np.tanh(x @ V + a)
        scores = hidden @ W + b
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    below = x if hidden is None else hidden
    parts = [np.einsum("ni,nj->nij", below, p - one_hot).reshape(len(x), -1), p - one_hot]
    if hidden is not None:
        back = (p - one_hot) @ W.T * (1 - hidden**2)
        parts = [np.einsum("ni,nj->nij", x, back).reshape(len(x), -1), back, *parts]
    loss = -np.log(p[np.arange(len(x)), labels]).mean() + decay / 2 * theta @ theta
    return loss, np.concatenate(parts, axis=1) + decay * theta, p, theta


def layers_of(params):
    return [(np.asarray(d.weight), np.asarray(d.bias)) for d in params.layers if hasattr(d, "weight")]


@pytest.mark.parametrize(("name", "decay"), [("logistic", 0.1), ("net", 0.05)])
def test_minimum_and_traces_against_gradients_by_hand(name, decay):
    """‖g‖ < 1e-8, Tr C and Tr H: the latter in closed form (logistic) or by differences of gradients by hand (net)."""
    case = small(name)
    layers = layers_of(case.start)
    loss, rows, p, theta = numpy_gradients(case, layers, decay)
    assert np.linalg.norm(rows.mean(axis=0)) < 1e-8
    assert case.floor == pytest.approx(loss, rel=1e-12)
    assert np.trace(case.covariance) == pytest.approx((rows**2).sum(axis=1).mean(), rel=1e-9)
    np.testing.assert_allclose(case.covariance, rows.T @ rows / len(rows), atol=1e-9)
    x = np.asarray(case.problem.data[0])
    if name == "logistic":
        curved = (p * (1 - p)).sum(axis=1) @ ((x**2).sum(axis=1) + 1) / len(x)
        trace = curved + decay * len(theta)
    else:
        shapes = [part.shape for layer in layers for part in layer]
        cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

        def gradient(point):
            a, b, c, d = (q.reshape(s) for q, s in zip(np.split(point, cuts), shapes, strict=True))
            return numpy_gradients(case, [(a, b), (c, d)], decay)[1].mean(axis=0)

        steps = 1e-5 * np.eye(len(theta))
        trace = sum((gradient(theta + s) - gradient(theta - s))[k] / 2e-5 for k, s in enumerate(steps))
    assert np.trace(case.hessian) == pytest.approx(trace, rel=1e-6)
    values, noise = case.spectrum
    assert values[0] > 0
    assert noise.sum() == pytest.approx(np.trace(case.covariance))


def test_regression_and_quadratics_at_their_minima():
    case = problems.regression()
    assert case.regression is not None
    x, y = case.regression
    best = np.linalg.lstsq(x, y)[0]
    np.testing.assert_allclose(np.asarray(case.start), best, atol=1e-9)
    residual = y - x @ best
    assert case.floor == pytest.approx(0.5 * np.mean(residual**2), rel=1e-12)
    assert np.trace(case.hessian) == pytest.approx(x.shape[1])  # standardised columns
    assert np.trace(case.covariance) == pytest.approx(np.mean(residual**2 * (x**2).sum(axis=1)), rel=1e-9)
    equal, commuting, crossed = problems.quadratics()
    H = np.diag([1.0, 0.2])
    for case in (equal, commuting, crossed):
        np.testing.assert_allclose(case.hessian, H, atol=1e-12)
        assert case.floor == case.gradient_norm == 0
    np.testing.assert_allclose(equal.covariance, H, atol=1e-12)
    assert np.abs(commuting.covariance @ H - H @ commuting.covariance).max() < 1e-12
    assert np.abs(crossed.covariance @ H - H @ crossed.covariance).max() > 1


def test_no_minimum_is_refused():
    saddle = sg.Problem(lambda p, a: p[0] ** 2 - p[1] ** 2 + p[1] ** 4 + a * p[0], jnp.zeros(2), jnp.array([1.0, -1.0]))
    with pytest.raises(InputError, match="isn't positive definite"):
        descended(saddle)


# -- the laws ----------------------------------------------------------------------------------------------

H2 = np.array([[1.0, 0.3], [0.3, 0.5]])
C2 = np.array([[0.7, -0.6], [-0.6, 1.4]])
VALUES, VECTORS = np.linalg.eigh(H2)
NOISE = np.diag(VECTORS.T @ C2 @ VECTORS).copy()
STEPS = np.array([3, 6, 30, 300])


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_discrete_law_in_time_against_the_whole_covariance(momentum):
    """Z ← MZMᵀ + Q in the basis of θ, H and C crossed, step by step."""
    eta, S = 0.8, 3
    Z, eye, found = np.zeros((4, 4)), np.eye(2), []
    M = np.block([[eye - eta * H2, momentum * eye], [-eta * H2, momentum * eye]])
    Q = eta**2 / S * np.block([[C2, C2], [C2, C2]])
    for k in range(1, STEPS[-1] + 1):
        Z = M @ Z @ M.T + Q
        if k in STEPS:
            found.append(0.5 * np.trace(H2 @ Z[:2, :2]))
    made = laws.loss_along(VALUES, NOISE, eta, S, momentum, STEPS, "discrete")
    np.testing.assert_allclose(made, found, rtol=1e-9)
    assert made[-1] == pytest.approx(expected_loss(H2, C2, eta, S, momentum))


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_sde_law_in_time_against_an_ode(momentum):
    eta, S, eye = 0.3, 3, np.eye(2)
    if momentum:
        A = np.block([[0 * eye, eye], [-H2, -(1 - momentum) / math.sqrt(eta) * eye]])
        Q, step = np.zeros((4, 4)), math.sqrt(eta)
        Q[2:, 2:] = math.sqrt(eta) / S * C2
    else:
        A, Q, step = -H2, eta / S * C2, eta
    size = len(A)
    lyapunov = lambda t, z: (A @ z.reshape(size, size) + z.reshape(size, size) @ A.T + Q).ravel()  # noqa: E731
    times = step * STEPS[:3]
    path = solve_ivp(lyapunov, (0, times[-1]), np.zeros(size**2), t_eval=times, rtol=1e-10, atol=1e-13).y
    want = [0.5 * np.trace(H2 @ z.reshape(size, size)[:2, :2]) for z in path.T]
    made = laws.loss_along(VALUES, NOISE, eta, S, momentum, STEPS, "ou")
    np.testing.assert_allclose(made[:3], want, rtol=1e-7)
    assert made[-1] == pytest.approx(expected_loss(H2, C2, eta, S, momentum, "ou"), rel=1e-6)


def test_transient_against_minibatches_in_numpy():
    """20,000 runs of 8 steps with real draws of tilts; the SDE's value and a factor 2 are far outside the bound."""
    eta, S, runs, steps = 1.2, 2, 20_000, 8
    tilts = sg.toys.tilts_of(C2)
    rng = np.random.default_rng(0)
    theta = np.zeros((runs, 2))
    for _ in range(steps):
        drawn = tilts[rng.integers(0, len(tilts), (runs, S))].mean(axis=1)
        theta = theta - eta * (theta @ H2 + drawn)
    loss = 0.5 * np.einsum("ri,ij,rj->r", theta, H2, theta)
    error = loss.std(ddof=1) / math.sqrt(runs)
    law, ou = (laws.loss_along(VALUES, NOISE, eta, S, 0.0, np.array([steps]), name)[0] for name in ("discrete", "ou"))
    assert abs(loss.mean() - law) < 4 * error
    assert abs(ou - law) > 15 * error


def test_sde_on_regression_against_linear_equations():
    """HΓ + ΓH = (η/S)(C₀ + K(Γ) − HΓH) as four equations by loops; E L = (η/4S) E Tr C(θ)."""
    x, y, eta, S = SMALL_X, SMALL_Y, 0.3, 2
    H, best = x.T @ x / len(x), np.linalg.lstsq(x, y)[0]
    e = x * (x @ best - y)[:, None]
    C = e.T @ e / len(x)

    def balance(G):
        K = np.mean([np.outer(v, v) @ G @ np.outer(v, v) for v in x], axis=0)
        return H @ G + G @ H - eta / S * (K - H @ G @ H)

    columns = [balance(np.eye(1, 4, k).reshape(2, 2)).ravel() for k in range(4)]
    G = np.linalg.solve(np.array(columns).T, eta / S * C.ravel()).reshape(2, 2)
    made = laws.sde_regression_loss(x, H, C, eta, S, 0.0)
    assert made == pytest.approx(0.5 * np.trace(H @ G), rel=1e-9)
    constant = eta / (4 * S) * np.trace(C)
    assert made > 1.05 * constant, "C(θ) grows: the constant-C value would not pass"
    with pytest.raises(InputError, match="second moments diverge"):
        laws.sde_regression_loss(x, H, C, 40.0, 2, 0.0)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_sde_on_regression_is_the_limit_of_small_steps(momentum):
    """SGD at η/n, S/n and 1 − (1−m)/n (for m = 0: at η/n, S/n) has the SDE's noise; n = S = 4096, other code."""
    eta, n = 0.3, 4096
    m = 1 - (1 - momentum) / n if momentum else 0.0
    rate = eta / n**2 if momentum else eta / n
    fine = regression_covariance(SMALL_X, SMALL_Y, rate, 1, momentum=m)
    made = laws.sde_regression_loss(SMALL_X, fine.hessian, fine.gradient_covariance, eta, n, momentum)
    assert made == pytest.approx(fine.excess_loss, rel=1e-3 if momentum else 3e-4)


def own_second_moments(problem, sde, size):
    """Γ of the stationary state of one step of a dynamics that is affine in the state and in each normal number."""
    start = sde.init(problem, problem.params)

    def step(y, draw):
        state = start._replace(params=y[:size], velocity=None if start.velocity is None else y[size:])
        new = sde.advance(problem, state, MaskedDraw(draw, None), jnp.asarray(0))
        return new.params if new.velocity is None else jnp.concatenate([new.params, new.velocity])

    total = size if start.velocity is None else 2 * size
    step = jax.jit(step)
    shape = sde.substeps, problem.num_units
    numbers = np.concatenate([np.zeros((1, *shape)), np.eye(math.prod(shape)).reshape(-1, *shape)])
    states = np.concatenate([np.zeros((1, total)), np.eye(total)])
    table = np.array([[np.asarray(step(jnp.asarray(y), jnp.asarray(d))) for y in states] for d in numbers])
    constant = table[:, 0]  # (1 + numbers, state)
    linear = np.swapaxes(table[:, 1:] - constant[:, None], 1, 2)  # (1 + numbers, state, state)
    constant[1:] -= constant[0]
    linear[1:] -= linear[0]
    variance = 1 / sde.substeps
    operator = np.kron(linear[0], linear[0]) + variance * sum(np.kron(B, B) for B in linear[1:])
    source = variance * np.einsum("ki,kj->ij", constant[1:], constant[1:])
    assert np.abs(constant[0]).max() < 1e-12
    return np.linalg.solve(np.eye(total**2) - operator, source.ravel()).reshape(total, total)[:size, :size]


def test_integrators_law_on_regression_is_that_of_the_solver():
    """At hλ ≈ 0.9, where the solver is off by some per cent: a whole step of ``sg.SDE``, affine in state and noise."""
    eta, S = 0.4, 2
    fine = regression_covariance(SMALL_X, SMALL_Y, 1e-4, 1)
    centre = descended(sg.Problem(problems.squared_error, jnp.zeros(2), (SMALL_X, SMALL_Y)))[0]
    shifted = sg.Problem(problems.squared_error, jnp.zeros(2), (SMALL_X, SMALL_Y - SMALL_X @ centre))
    gamma = own_second_moments(shifted, sg.SDE(eta, S), 2)
    own = 0.5 * np.trace(fine.hessian @ gamma)
    arguments = SMALL_X, fine.hessian, fine.gradient_covariance, eta, S
    assert laws.integrated_regression_loss(*arguments, 1) == pytest.approx(own, rel=1e-8)
    law = laws.sde_regression_loss(*arguments, 0.0)
    assert abs(own / law - 1) > 0.02
    errors = [laws.integrated_regression_loss(*arguments, n) / law - 1 for n in (16, 32)]
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.1), "first order in h: noise of the noise"


@pytest.mark.parametrize(("momentum", "substeps"), [(0.0, 1), (0.0, 2), (0.6, 1), (0.6, 2)])
def test_integrator_bias_is_that_of_the_solver(momentum, substeps):
    eta, S, H = 0.9, 3, np.diag([1.0, 0.2])
    case = problems.quadratics()[2]
    gamma = own_second_moments(case.problem, sg.SDE(eta, S, momentum=momentum, substeps=substeps), 2)
    law = eta / (4 * S * (1 - momentum)) * np.trace(case.covariance)
    own = 0.5 * np.trace(H @ gamma) / law - 1
    assert laws.integrator_bias(*case.spectrum, eta, momentum, substeps) == pytest.approx(own, rel=1e-6)
    assert abs(own) > 1e-3


def test_substeps_keep_the_bias_small():
    values, noise = np.array([0.1, 2.0]), np.array([1.0, 1.0])
    for momentum in (0.0, 0.9):
        bias = functools.partial(laws.integrator_bias, values, noise, 0.8, momentum)
        n = laws.substeps_needed(bias, laws.INTEGRATOR_BIAS)
        assert abs(bias(n)) <= laws.INTEGRATOR_BIAS
        assert n == 1 or abs(bias(n // 2)) > laws.INTEGRATOR_BIAS
    assert laws.integrator_bias(values, noise, 3.0, 0.0, 1) == math.inf


# -- the run -----------------------------------------------------------------------------------------------


def test_sgd_and_sde_on_regression_are_where_the_exact_laws_say(result):
    """4.5 standard errors; Tr H, Tr C and constant C are far outside at the largest rate."""
    case = result.cases["regression"]
    for point in case.points:
        assert abs(point.SGD.mean - point.sgd_law) < 4.5 * point.SGD.standard_error
        assert point.SGD.standard_error < 0.03 * point.SGD.mean
    for point in case.points[:2]:
        sde = point.SDE
        assert abs(sde.mean - point.sde_law * (1 + point.integrator_bias)) < 4.5 * sde.standard_error
    last = case.points[1]
    for wrong in ("trace_hessian", "trace_covariance", "discrete", "sde_law"):
        assert abs(last.SGD.mean - getattr(last, wrong)) > 8 * last.SGD.standard_error, wrong
    divided = case.points[2]
    assert (divided.learning_rate, divided.batch_size) == (0.06, 1)
    assert divided.noise == pytest.approx(last.noise)
    assert divided.sde_law == pytest.approx(last.sde_law)
    assert divided.SDE is None
    assert list(divided.arms()) == ["SGD"]


def test_the_net_is_compared_at_its_own_times(result):
    """At small rates the course rises as the formula does: each part within 4.5 standard errors and 6 %."""
    config = dataclasses.replace(configuration.Config(**TOY), learning_rates="0.005,0.01", num_steps=2000)
    (case,) = problems.build("net", num_examples=12, width=1, logistic_decay=0.02, net_decay=0.1, seed=0)
    course = stationary_loss.course(config, case, stationary_loss.simulate_course(config, "net", case.name))
    assert course.learning_rate == 0.01
    edges = stationary_loss.course_edges(len(course.curve_time))
    assert edges[0] == 0
    assert edges[-1] == len(course.curve_time)
    want = np.array([np.mean(course.discrete[a:b]) for a, b in itertools.pairwise(edges)])
    assert (np.abs(course.mean - want) < 4.5 * course.standard_error + 0.06 * want).all()
    assert (course.standard_error < 0.2 * course.mean).all()
    assert result.cases["net"].points[0].relaxed < 0.999


def test_a_second_run_keeps_the_stages(finished, capsys):
    found = stage_files(finished.parent.parent)
    assert list(found) == ["net-SDE", "net-SGD", "net-course", "regression-SDE", "regression-SGD"]
    stages = list(found.values())
    before = [s.stat().st_mtime_ns for s in stages], (finished / "summary.json").read_text()
    with jax.enable_x64(False):  # as it was at first: the precision belongs to a run's fingerprint
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(finished.parent.parent)]) == 0
    said = capsys.readouterr().err
    assert said.count("kept from an earlier run") == 5
    assert ([s.stat().st_mtime_ns for s in stages], (finished / "summary.json").read_text()) == before


def test_streams_do_not_depend_on_the_other_problems():
    case = problems.regression()
    keys = [
        jax.random.key_data(stationary_loss.stream(configuration.Config(problems=names, seed=1), case))
        for names in ("regression", "quadratic,regression,net")
    ]
    np.testing.assert_array_equal(*keys)
    other = dataclasses.replace(case, name="logistic")
    config = configuration.Config(seed=1)
    assert (jax.random.key_data(stationary_loss.stream(config, other)) != keys[0]).any()


def test_plans():
    config = configuration.Config(momentum=0.9)
    own, heavy = (configuration.plan(c, "regression") for c in (configuration.Config(), config))
    np.testing.assert_allclose(np.array(heavy.rates) * 10, own.rates)
    assert heavy.time == pytest.approx(own.time / 10)
    np.testing.assert_array_equal(configuration.saved_steps(0.1, 40.0, 40), 10 * np.arange(1, 41))
    gpu = dataclasses.replace(
        configuration.Config(preset="gpu"), **configuration.implied(configuration.Config(preset="gpu"))
    )
    assert configuration.plan(gpu, "net").replicas["SGD"] > own.replicas["SGD"]


# -- files, figure, report, input --------------------------------------------------------------------------


def test_the_summary_says_the_numbers_to_others(finished, result):
    """Names as the README's values have them; what isn't a number is None."""
    told = json.loads((finished / "summary.json").read_text())
    for name, case in result.cases.items():
        entry = told["cases"][name]
        assert entry["exact"] is case.exact
        assert entry["trace_hessian"] / entry["trace_covariance"] == case.trace_ratio()
        for point, of in zip(case.points, entry["points"], strict=True):
            assert of["SGD"]["mean"] == point.SGD.mean
            assert (of["sgd_law"], of["trace_covariance"]) == (point.sgd_law, point.trace_covariance)
            assert of["SDE"] is None if point.SDE is None else of["SDE"]["mean"] == point.SDE.mean
    assert told["sizes"]["parameters"] == {"regression": 10, "net": 70}
    lost = changed(result.cases["regression"], mean=lambda point, mean, arm: math.nan)
    (entry,) = dataclasses.replace(result, cases={"lost": lost}).summary()["cases"].values()
    assert entry["points"][0]["SGD"]["mean"] is None


def test_the_figure_and_the_report_come_from_the_result(finished, result, capsys):
    svg = (finished / "figure.svg").read_text()
    assert cli.main(EXPERIMENTS, ["stationary-loss", "--from", str(finished)]) == 0
    assert (finished / "figure.svg").read_text() == svg
    printed = capsys.readouterr().out
    assert "Which trace, Tr H or Tr C?" in printed
    assert "÷ exact" in printed
    assert "÷ const. H, C" in printed
    panels = [axis for axis in result.plot().axes if axis.get_ylabel() == "(E(L) − L*) ÷ (η/4S)"]
    for axis, name in zip(panels, ("regression", "net"), strict=True):
        case = result.cases[name]
        texts = [text.get_text() for text in axis.texts]
        assert f"Tr C = {case.trace_covariance:#.3g}" in texts
        assert any(text.startswith(f"Tr H = {case.trace_hessian:#.3g}") for text in texts)
        assert len(axis.lines) >= 3, "three theories"


def changed(case, **values):
    """The case with other numbers of every mean, each a function of the point, the mean and its arm."""

    def of(point, arm, mean):
        return dataclasses.replace(mean, **{name: value(point, mean, arm) for name, value in values.items()})

    points = [
        dataclasses.replace(point, **{arm: of(point, arm, mean) for arm, mean in point.arms().items()})
        for point in case.points
    ]
    return dataclasses.replace(case, points=tuple(points))


def with_errors(case, factor):
    """The case with other standard errors: as of other numbers of replicas."""
    return changed(case, standard_error=lambda point, mean, arm: factor * mean.standard_error)


def on_its_law(case):
    """The case with means that are their laws."""
    laws = {"SGD": lambda point: point.sgd_law, "SDE": lambda point: point.sde_law * (1 + point.integrator_bias)}
    return changed(case, mean=lambda point, mean, arm: laws[arm](point))


def with_law(case, **factors):
    """The case with other laws: name → a factor of them."""
    points = [
        dataclasses.replace(point, **{name: factor * getattr(point, name) for name, factor in factors.items()})
        for point in case.points
    ]
    return dataclasses.replace(case, points=tuple(points))


def test_verdicts_can_fail(result):
    case = result.cases["regression"]
    found = case.agreement()
    assert found.kind != "different", "as measured, with few replicas"
    limits = [stats.t.ppf(1 - 0.025 / 5, replicas - 1) for replicas in (400, 24)]  # five means: 3 of SGD, 2 of the SDE
    assert min(abs(found.limit - limit) for limit in limits) < 1e-9
    for law, factor in (("sgd_law", 1.1), ("sde_law", 1.5)):
        planted = with_law(case, **{law: factor})
        assert planted.agreement().kind == "different"
        assert "NOT met" in report.sentence(planted)


def test_agreement_is_shown_and_not_the_lack_of_a_deviation(result):
    """Means on their laws: equivalent if errors are small, undecided if they aren't, or if a mean is missing."""
    exact = on_its_law(result.cases["regression"])
    sharp, blunt = with_errors(exact, 1e-3), with_errors(exact, 10.0)
    assert sharp.agreement().kind == "equivalent"
    assert sharp.agreement().worst < 1e-6, "of the SDE the law of its integrator"
    assert "Exact laws: [green]met[/green] within 5 %" in report.sentence(sharp)
    assert blunt.agreement().kind == "inconclusive"
    assert "undecided" in report.sentence(blunt)
    for held, words in ((sharp, "holds on all 1 losses"), (blunt, "holds on only 0 of 1 losses where it is known (1 ")):
        assert words in dataclasses.replace(result, cases={"regression": held}).answer()
    first = dataclasses.replace(sharp.points[0], SGD=dataclasses.replace(sharp.points[0].SGD, mean=math.nan))
    missing = dataclasses.replace(sharp, points=(first, *sharp.points[1:]))
    assert missing.agreement().kind == "inconclusive"


def test_a_deviation_within_the_margin_is_said_to_be_one(result):
    off = with_law(with_errors(on_its_law(result.cases["regression"]), 1e-3), sgd_law=1.03)
    assert off.agreement().kind == "equivalent"
    assert "a deviation within that was found" in report.sentence(off)


def test_runs_that_diverge_are_said_to(result):
    case = result.cases["regression"]
    none = dataclasses.replace(case.points[0].SGD, mean=math.nan, low=math.nan, high=math.nan, diverged=400)
    lost = dataclasses.replace(case, points=tuple(dataclasses.replace(point, SGD=none) for point in case.points))
    result = dataclasses.replace(result, cases=result.cases | {"regression": lost})
    assert any("1200 runs of SGD diverged" in line for line in report.warnings(result))
    report.sentence(lost)
    result.plot()
    assert "1200 runs of SGD diverged" in str(result)
    assert "nan" not in str(result)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--problems", "regresion"), "unknown problem 'regresion': did you mean 'regression'?"),
        (("--preset", "tpu"), "unknown preset 'tpu'"),
        (("--learning-rates", "0.1,x"), "learning_rates is '0.1,x': pass comma-separated numbers"),
        (("--learning-rates", "0.1,-1"), "learning_rates holds -1: pass a number with 0 < learning_rates"),
        (("--learning-rates", "0.1,0.6"), "on regression η λ_max = 2.41 is not below 2(1+m) = 2"),
        (("--learning-rates", "0.1,0.45"), "lets the second moments diverge"),
        (("--batch-size", "6"), "batch_size 6 can't be divided by 4"),
        (("--batch-size", "-4"), "batch_size is -4"),
        (("--divide", "0"), "divide is 0"),
        (("--momentum", "1"), "momentum is 1"),
        (("--replicas", "1"), "replicas is 1: pass at least 2, or 0"),
        (("--num-steps", "7"), "num_steps 7 leaves 1 at the largest η of regression: pass at least 20"),
        (("--burn-in", "1"), "burn_in is 1"),
        (("--seed", "-1"), "seed is -1"),
        (("--problems", "net", "--width", "1000"), "width is 1000: pass 1 to 99 hidden units"),
        (("--problems", "logistic", "--logistic-decay", "0"), "logistic_decay is 0: pass a positive number"),
        (("--problems", "logistic", "--num-examples", "5000"), "digits has 1797 examples"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, option, message):
    command = ["stationary-loss", "--problems", "regression", *option, "--results", str(tmp_path)]
    assert cli.main(EXPERIMENTS, command) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not stage_files(tmp_path)
