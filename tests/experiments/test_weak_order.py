"""weak-order at toy size: exact laws against closed forms and brute force, slopes, and slips they must catch."""

import dataclasses
import itertools
import json
import math
import operator

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli, running
from experiments.weak_order import compute as weak_order
from experiments.weak_order import laws
from experiments.weak_order.config import Config
from experiments.weak_order.slopes import COMPARISONS, Comparison, measure
from sdesgd.dynamics.terms import GradientFlowTerm, HeavyBallTerm
from sdesgd.errors import InputError

pytestmark = pytest.mark.slow

TOY = {
    "steps": "12,24,48,96",
    "momentum_steps": "20,40,80,160",
    "ells": "1,4,16,64",
    "batch_size": 2,
    "net_steps": "4,8,16,32",
    "net_time": 1.6,
    "num_examples": 16,
    "width": 2,
    "starts": 2,
    "replicas": 24,
}
CONFIG = Config(**TOY)
COMMAND = ["weak-order", *itertools.chain.from_iterable((f"--{k.replace('_', '-')}", str(v)) for k, v in TOY.items())]
CIRCLE = laws.Circle()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(folder)]) == 0
    (made,) = (folder / "weak-order").iterdir()
    return made


@pytest.fixture(scope="module")
def result(finished):
    kept, _ = running.read_run(EXPERIMENTS["weak-order"], finished)
    return kept


# -- the laws, against others' -----------------------------------------------------------------------------


def test_the_semigroup_of_pure_noise_is_the_heat_kernel():
    """Losses cos(θ − 2πi/3) have g = 0 and C = ½ everywhere, so E e^{ikΘ_T} = e^{ikθ − k²ηT/(4S)}."""
    angles = 2 * np.pi * np.arange(3) / 3
    circle = laws.Circle(tuple((math.cos(a), math.sin(a), 0.0) for a in angles), 31)
    law = circle.semigroup(sg.SDE(0.5, 2), 3.0)
    for k in (1, 2, 5):
        wave = np.exp(1j * k * circle.grid)
        np.testing.assert_allclose(law @ wave, wave * math.exp(-(k**2) * 0.5 * 3.0 / (4 * 2)), atol=1e-12)


def test_the_semigroup_without_noise_is_the_flow():
    """One loss cos θ (three times): θ' = sin θ, so tan(Θ/2) = e^T tan(θ/2); order 2: θ' = sin θ (1 − (η/2) cos θ)."""
    circle = laws.Circle(((1.0, 0.0, 0.0),) * 3, 191)
    arrived = 2 * np.arctan(math.exp(0.7) * np.tan(circle.grid / 2))
    law = circle.semigroup(sg.SDE(0.2, 2), 0.7)
    np.testing.assert_allclose(law @ np.cos(circle.grid), np.cos(arrived), atol=1e-9)
    flow = lambda t, x: np.sin(x) * (1 - 0.1 * np.cos(x))  # noqa: E731
    arrived = solve_ivp(flow, (0, 0.7), circle.grid, rtol=1e-11, atol=1e-11).y[:, -1]
    second = circle.semigroup(sg.SDE(0.2, 2, order=2), 0.7)
    np.testing.assert_allclose(second @ np.cos(circle.grid), np.cos(arrived), atol=1e-8)


@pytest.mark.parametrize("order", [1, 2])
def test_the_semigroup_solves_the_backward_equation_in_finite_differences(order):
    """Coefficients by hand on another grid, second-order differences, extrapolated in the grid's width."""
    eta, S, T = 0.3, 2, 0.6
    a, b, c = np.array(laws.COEFFICIENTS).T[:, :, None]

    def solution(points):
        x, h = 2 * np.pi * np.arange(points) / points, 2 * np.pi / points
        slopes = -a * np.sin(x) + b * np.cos(x) - 2 * c * np.sin(2 * x)
        bends = -a * np.cos(x) - b * np.sin(x) - 4 * c * np.cos(2 * x)
        drift = -slopes.mean(0) * (1 + (order == 2) * eta / 2 * bends.mean(0))
        right, left = np.roll(np.eye(points), 1, 1), np.roll(np.eye(points), -1, 1)
        noise = eta / S * slopes.var(0)
        generator = drift[:, None] * (right - left) / (2 * h) + noise[:, None] * (right - 2 * np.eye(points) + left) / (
            2 * h**2
        )
        return expm(T * generator)[:: points // 10] @ np.sin(2 * x)

    coarse, fine = solution(300), solution(600)
    circle = laws.Circle(points=191)
    values = circle.to_modes @ (circle.semigroup(sg.SDE(eta, S, order=order), T) @ np.sin(2 * circle.grid))
    at = np.exp(1j * np.outer(2 * np.pi * np.arange(10) / 10, circle.modes))
    np.testing.assert_allclose((at @ values).real, (4 * fine - coarse) / 3, atol=2e-6)


def test_markov_operators_against_all_sequences_of_batches():
    """Two SGD steps with S = 2, and one inner step of SVAG, by brute force at one start."""
    eta, S, start = 0.4, 2, 17
    a, b, c = np.array(laws.COEFFICIENTS).T
    slopes = lambda x: -a * np.sin(x) + b * np.cos(x) - 2 * c * np.sin(2 * x)  # noqa: E731
    phi = lambda x: np.cos(3 * x)  # noqa: E731
    theta, batches = CIRCLE.grid[start], list(itertools.product(range(3), repeat=S))
    found = []
    for first, second in itertools.product(batches, repeat=2):
        x = theta - eta * slopes(theta)[list(first)].mean()
        found.append(phi(x - eta * slopes(x)[list(second)].mean()))
    operator = CIRCLE.sgd(sg.SGD(eta, S))
    assert (operator @ operator @ phi(CIRCLE.grid))[start] == pytest.approx(np.mean(found), abs=1e-12)
    ell, found = 3, []
    plus, minus = (1 + math.sqrt(5)) / 2, (1 - math.sqrt(5)) / 2
    for first, second in itertools.product(batches, repeat=2):
        gradient = plus * slopes(theta)[list(first)].mean() + minus * slopes(theta)[list(second)].mean()
        found.append(phi(theta - eta / ell * gradient))
    inner = CIRCLE.svag_inner(sg.SVAG(eta, S, ell))
    assert (inner @ phi(CIRCLE.grid))[start] == pytest.approx(np.mean(found), abs=1e-12)
    np.testing.assert_allclose(CIRCLE.svag_inner(sg.SVAG(eta, S, 1)), operator, atol=1e-12)


def test_gaussian_operator_against_the_characteristic_function():
    """One step of Gaussian SGD is Gaussian: E e^{ikθ'} = exp(ik(θ − ηg) − k²η²C/(2S))."""
    eta, S, k = 0.4, 2, 3
    x = CIRCLE.grid
    a, b, c = np.array(laws.COEFFICIENTS).T[:, :, None]
    slopes = -a * np.sin(x) + b * np.cos(x) - 2 * c * np.sin(2 * x)
    want = np.exp(1j * k * (x - eta * slopes.mean(0)) - k**2 * eta**2 * slopes.var(0) / (2 * S))
    np.testing.assert_allclose(CIRCLE.gaussian(sg.GaussianSGD(eta, S)) @ np.exp(1j * k * x), want, atol=1e-11)


def test_moments_with_momentum_against_sequences_and_an_ode():
    problem, eta, m, steps = laws.quadratic(), 0.09, 0.6, 4
    H, tilts = np.array(laws.HESSIAN), np.array(laws.TILTS)
    start, ends = np.array([0.8, -0.5]), []
    for units in itertools.product(range(3), repeat=steps):
        theta, v = start, np.zeros(2)
        for i in units:
            v = m * v - eta * (H @ theta + tilts[i])
            theta = theta + v
        ends.append(theta)
    mean, covariance = laws.iterate(*laws.recursion(problem, sg.SGD(eta, 1, momentum=m)), steps)
    np.testing.assert_allclose(mean[:2, :2] @ start, np.mean(ends, axis=0), atol=1e-13)
    np.testing.assert_allclose(covariance[:2, :2], np.cov(np.transpose(ends), bias=True), atol=1e-13)
    gamma, one = (1 - m) / math.sqrt(eta), np.eye(2)
    A = np.block([[0 * one, one], [-H, -gamma * one]])
    Q = np.zeros((4, 4))
    Q[2:, 2:] = math.sqrt(eta) * tilts.T @ tilts / 3
    lyapunov = lambda t, x: (A @ x.reshape(4, 4) + x.reshape(4, 4) @ A.T + Q).ravel()  # noqa: E731
    want = solve_ivp(lyapunov, (0, 1.5), np.zeros(16), rtol=1e-11, atol=1e-13).y[:, -1].reshape(4, 4)
    equation = laws.linear_equation(problem, sg.SDE(eta, 1, momentum=m))
    np.testing.assert_allclose(laws.flow(*equation, 1.5)[1], want, atol=1e-9)
    np.testing.assert_allclose(laws.flow(*equation, 1.5)[0], expm(1.5 * A), atol=1e-12)


def test_stationary_gaps_in_closed_form():
    found = weak_order.stationary_errors(CONFIG)
    x = found["stationary_eta"].values
    # SGD: 1/(1 − x/2); order 1: 1; order 2: 1/(1 + x/2), in units of the first. Heavy ball: 1/(1 − x/(2(1+m))) and 1.
    np.testing.assert_allclose(found["stationary_order1"], x / 2, rtol=1e-9)
    np.testing.assert_allclose(found["stationary_order2"], x / (1 + x / 2), rtol=1e-9)
    for order in (1, 2):
        np.testing.assert_allclose(found[f"stationary_momentum{order}"], x / (2 * 1.9), rtol=1e-9)
    np.testing.assert_array_equal(found["stationary_flow"], 1)


def test_exact_laws_refuse_float32():
    with jax.enable_x64(False), pytest.raises(InputError, match="need float64"):
        CIRCLE.semigroup(sg.SDE(0.1, 2), 1.0)


# -- the slopes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, c in COMPARISONS.items() if c.panel != "net"])
def test_exact_slopes(result, name):
    """Within 0.05 of theory, with narrow intervals; the fit's interval is of its curvature, not of this bias."""
    found = result.comparisons[name]
    assert found.status == "met"
    assert found.slope == pytest.approx(found.expected, abs=0.05)
    assert found.low < found.slope < found.high
    assert found.high - found.low < 0.35


def test_without_noise_there_is_no_variance(result):
    for panel in ("variance", "stationary", "momentum"):
        np.testing.assert_allclose(result.without_noise[panel].error, 1, atol=1e-7)


def test_constants_at_stationarity(result):
    for name in ("stationary_order1", "stationary_order2", "stationary_momentum1", "stationary_momentum2"):
        assert result.comparisons[name].fitted_constant == pytest.approx(COMPARISONS[name].constant, rel=0.02)


def test_the_integrator_and_the_non_gaussian_part_are_small(result):
    error = {name: m.error for name, m in result.comparisons.items()}
    assert (error["integrator"] < error["sgd_order1"] / 20).all()
    assert (error["sgd_gaussian"] < error["sgd_order1"] / 5).all()
    half = error["stationary_order1"]  # ηλ/2
    np.testing.assert_allclose(error["stationary_order2"], 2 * half / (1 + half), rtol=1e-9)
    assert (error["sgd_order2"] < error["sgd_order1"] / 2).all()


def test_the_net_is_measured_with_errors(result):
    first, second = (result.comparisons[f"net_order{order}"] for order in (1, 2))
    for found in (first, second):
        assert len(found.error) == len(found.standard_error) == 4
        assert all(s > 0 for s in found.standard_error)
    assert first.error[-1] > 10 * first.standard_error[-1], "coupling: the error is resolved by 24 replicas"
    assert second.error[-1] < first.error[-1] / 3
    assert result.sizes()["dtype"] == "float64"


class TwiceTheCorrection(sg.SDE):
    """Order 2 with η/2 |∇L|² for η/4 |∇L|²."""

    def term(self, problem, path, rate, fixed, key, substeps=None):
        term = super().term(problem, path, rate, fixed, key, substeps)
        correction = None if term.correction is None else 2 * term.correction
        return GradientFlowTerm(problem, fixed, term.scale, correction, path, key)


class FirstOrderNoise(HeavyBallTerm):
    def increment(self, y, control, drift, diffusion, key):
        plain = dataclasses.replace(self, correction=None)
        noise = HeavyBallTerm.increment(plain, y, control, 0, diffusion, key)
        return jax.tree.map(operator.add, HeavyBallTerm.increment(self, y, control, drift, 0, key), noise)


class UncorrectedNoise(sg.SDE):
    """Order 2 with momentum, but the noise of order 1."""

    def term(self, problem, path, rate, fixed, key):
        term = super().term(problem, path, rate, fixed, key)
        return FirstOrderNoise(**{f.name: getattr(term, f.name) for f in dataclasses.fields(term)})


class SVAGWith(sg.SVAG):
    """c₁,₂ = (1 ± √(a ℓ + b))/2."""

    a: float = eqx.field(static=True, default=2.0)
    b: float = eqx.field(static=True, default=-1.0)

    @property
    def coefficients(self):
        root = math.sqrt(self.a * self.ell + self.b)
        return (1 + root) / 2, (1 - root) / 2


def slope(found, name):
    dim = found[name].dims[0]
    return measure(COMPARISONS[name], found[dim].values, found[name].values, None)


def test_a_wrong_correction_is_caught():
    steps, found = np.array([12, 24, 48, 96]), []
    for n in steps:
        eta = CONFIG.time / n
        law = CIRCLE.semigroup(TwiceTheCorrection(eta, 2, order=2), CONFIG.time)
        found.append(CIRCLE.weak_error(CIRCLE.sgd(sg.SGD(eta, 2)), n, law))
    measured = measure(COMPARISONS["sgd_order2"], CONFIG.time / steps, np.array(found), None)
    assert measured.status == "NOT met"
    assert measured.slope == pytest.approx(1, abs=0.1)


def test_uncorrected_noise_with_momentum_is_caught():
    found = slope(weak_order.momentum_errors(CONFIG, UncorrectedNoise), "momentum_order2")
    assert found.status == "NOT met"
    assert found.slope == pytest.approx(0.5, abs=0.1)


def test_wrong_svag_coefficients_are_caught(result):
    """√(ℓ−1) halves the covariance: no convergence. √(2ℓ+1) is off by 1/ℓ, which no slope sees: but at ℓ = 1 SVAG
    is SGD."""
    eta, law = CONFIG.time / 3, CIRCLE.semigroup(sg.SDE(CONFIG.time / 3, 2), CONFIG.time)
    halved = [CIRCLE.svag_inner(SVAGWith(eta, 2, ell, a=1.0, b=-1.0)) for ell in (16, 64)]
    halved = [CIRCLE.weak_error(operator, 3 * ell, law) for operator, ell in zip(halved, (16, 64), strict=True)]
    assert halved[1] > 0.5 * halved[0]
    right = result.comparisons["svag"].error[-2:]
    assert right[1] < 0.3 * right[0]
    off = CIRCLE.svag_inner(SVAGWith(0.2, 2, 1, a=2.0, b=1.0))
    assert np.abs(off - CIRCLE.sgd(sg.SGD(0.2, 2))).max() > 1e-3


def test_measure_says_what_it_cannot_say():
    x = np.array([0.1, 0.2, 0.4, 0.8])
    plain = Comparison("net", "order 1", 1, correction=False)
    clear = measure(plain, x, 3 * x, 0.01 * x)
    assert clear.status == "met"
    assert clear.slope == pytest.approx(1)
    assert clear.low < 1 < clear.high
    assert measure(plain, x, 3 * x**1.5, 0.01 * x).status == "NOT met"
    assert measure(plain, x, 3 * x, x).status == "undecided"
    lost = measure(plain, x, np.array([np.nan, 1e-3, 0.4, 0.8]), 0.01 * np.ones(4))
    assert (lost.status, lost.left_out, lost.fit) == ("not measured", 2, None)
    assert math.isnan(lost.slope)
    half = measure(dataclasses.replace(plain, expected=0.5, power=0.5, correction=True), x, np.sqrt(x) + x, None)
    assert half.slope == pytest.approx(0.5, abs=0.1)
    assert half.low < 0.5 < half.high


# -- files, figure, report, input ------------------------------------------------------------------------------


def test_the_summary_says_the_numbers_to_others(finished, result):
    """Names as the README's values have them; what isn't a number is None."""
    told = json.loads((finished / "summary.json").read_text())
    for name, found in result.comparisons.items():
        entry = told["comparisons"][name]
        assert (entry["x"], entry["error"]) == (found.x.tolist(), found.error.tolist())
        assert (entry["panel"], entry["expected"], entry["status"]) == (found.panel, found.expected, found.status)
        assert (entry["slope"], entry["low"], entry["high"]) == (found.slope, found.low, found.high)
        assert (entry["standard_error"] is None) == (found.panel != "net")
    assert told["without_noise"]["svag"]["error"] == result.without_noise["svag"].error.tolist()
    assert told["sizes"]["circle_points"] == CIRCLE.points
    lost = dataclasses.replace(result.comparisons["net_order2"], fit=None)
    entry = dataclasses.replace(result, comparisons={"net_order2": lost}).summary()["comparisons"]["net_order2"]
    assert (entry["slope"], entry["chi2"], entry["status"]) == (None, None, "not measured")


def test_the_figure_and_the_report_come_from_the_result(finished, result, capsys):
    svg = (finished / "figure.svg").read_text()
    assert cli.main(EXPERIMENTS, ["weak-order", "--from", str(finished)]) == 0
    assert (finished / "figure.svg").read_text() == svg
    printed = capsys.readouterr().out
    assert "slope [95 % interval]" in printed
    assert {"circle, means (exact)", "circle, variances (exact)"} <= {line.strip() for line in printed.splitlines()}
    lost = {"net_order2": dataclasses.replace(result.comparisons["net_order2"], fit=None)}
    result = dataclasses.replace(result, comparisons=result.comparisons | lost)
    figure = result.plot()
    assert "net order2 not measured" in result.answer()
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert len(panels) == 6
    for axis in panels:
        assert axis.get_xlabel()
        assert axis.get_ylabel()
        assert "slope" in axis.texts[0].get_text()
        assert axis.collections, "every fitted line has its band"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--steps", "8,x"), "steps is '8,x': pass comma-separated whole numbers"),
        (("--steps", "8,16,32"), "pass 4 or more different numbers"),
        (("--net-steps", "8,16,16,32"), "a value is repeated"),
        (("--ells", "0,1,2,4"), "ells holds 0: pass at least 1"),
        (("--time", "-1"), "time is -1: pass a number with 0 < time"),
        (("--replicas", "1"), "replicas is 1: pass at least 2"),
        (("--batch-size", "40"), "batch_size 40 has 861 batches of 3 examples: choose fewer"),
        (("--momentum-steps", "2,4,8,16"), "pass at least 4 steps"),
        (("--stationary", "0.1,0.2,0.4,2.5"), "stationary holds 2.5: SGD has a stationary law for 0 < ηλ < 2 only"),
        (("--num-examples", "5000"), "digits has 1797 examples"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, option, message):
    assert cli.main(EXPERIMENTS, ["weak-order", *option, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
