"""real-basins at toy size: starts, labels, shares and bounds against known chains, slips, the command."""

import dataclasses
import functools
import io
import itertools
import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from rich.console import Console

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli, running
from experiments.real_basins import mixing, problems, runs, verdicts
from experiments.real_basins.result import Gibbs
from sdesgd.basins.minima import find_minima
from sdesgd.basins.symmetry import tanh_symmetry

pytestmark = pytest.mark.slow

TOY = {
    "problems": "sine",
    "sine_rates": "0.1,0.3",
    "sine_arrival_rates": "0.05",
    "replicas": 12,
    "steps": 1600,
    "frames": 8,
    "runs": 24,
    "arrival_time": 10,
    "starts": 64,
    "nuts_samples": 300,
    "nuts_labels": 100,
}
COMMAND = ["real-basins", *itertools.chain.from_iterable((f"--{k.replace('_', '-')}", str(v)) for k, v in TOY.items())]


# -- the problems ------------------------------------------------------------------------------------------


@functools.cache
def sine():
    return problems.build("sine")


@functools.cache
def sine_minima():
    starts = 1.5 * sine().fresh(jr.split(jr.key(3), 48))
    return find_minima(sine().landscape, starts, tanh_symmetry(sine().net))


def numpy_rows(theta):
    """Per-example gradients of the sine's loss by hand; θ = (w, b) of two tanh units, then their weights and a bias."""
    x, y = sine().data.inputs[:, 0], sine().data.targets
    w, b, v, c = theta[0:2], theta[2:4], theta[4:6], theta[6]
    hidden = np.tanh(np.outer(x, w) + b)
    error = hidden @ v + c - y
    inner = error[:, None] * (1 - hidden**2) * v
    rows = np.column_stack([inner * x[:, None], inner, error[:, None] * hidden, error])
    return rows + sine().task.decay * theta, 0.5 * error**2 + sine().task.decay / 2 * np.sum(theta**2)


def test_the_loss_and_its_noise_against_numpy():
    theta = np.random.default_rng(1).normal(size=7)
    rows, losses = numpy_rows(theta)
    np.testing.assert_allclose(sine().landscape.value(jnp.asarray(theta)), losses.mean(), rtol=1e-12)
    C = np.cov(rows.T, bias=True)
    np.testing.assert_allclose(problems.covariances(sine(), theta[None])[0], C, rtol=1e-9, atol=1e-12)


def test_isotropic_noise_has_the_same_mean_loss_and_covariance_sigma_squared():
    problem, theta = sine().isotropic(0.3), jnp.asarray(np.random.default_rng(2).normal(size=7))
    np.testing.assert_allclose(problem.loss(theta), sine().landscape.value(theta), rtol=1e-12)
    rows = np.asarray(jax.jacobian(lambda x: problem.per_example_loss(x, problem.data))(theta))
    np.testing.assert_allclose(np.cov(rows.T, bias=True), 0.3 * np.eye(7), atol=1e-12)


def test_anisotropy_of_known_matrices():
    hessian = np.diag([1.0, 3.0])
    flat = problems.anisotropy(hessian, 2 * np.eye(2))
    assert flat.participation == pytest.approx(1)
    assert flat.softest == flat.stiffest == pytest.approx(1)
    assert flat.alignment == flat.isotropic_alignment == pytest.approx(4 / np.sqrt(20))
    stiff = problems.anisotropy(hessian, np.diag([0.0, 5.0]))
    assert (stiff.softest, stiff.stiffest, stiff.participation) == pytest.approx((0, 2, 0.5))
    assert stiff.alignment == pytest.approx(3 / np.sqrt(10))


def test_digits_are_standardised_scores_with_two_labels():
    data = problems.prime_digits(64)
    np.testing.assert_allclose(data.inputs.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(np.corrcoef(data.inputs.T)[0, 1], 0, atol=1e-10)
    assert set(data.targets) == {-1.0, 1.0}
    signs = jnp.array([1.0, -1.0])
    np.testing.assert_allclose(problems.logistic_loss(jnp.array([[2.0], [2.0]]), signs), np.log1p(np.exp([-2, 2])))


# -- starts and labels -------------------------------------------------------------------------------------


def test_each_replica_begins_at_its_own_start():
    """Replica r's frames are those of a run that begins there; with a common start they would differ."""
    starts = np.random.default_rng(4).normal(size=(3, 7))
    options = dict(num_steps=4, save_every=2, key=jr.key(8))
    found = runs.frames(sg.SGD(0.05, 2), sine().problem, starts, progress="", **options)
    for r, start in enumerate(starts):
        net = sine().landscape.value.params(jnp.asarray(start))
        alone = sg.simulate(
            sg.SGD(0.05, 2), sine().problem, replicas=3, params=net, observables={"theta": runs.flat}, **options
        )
        np.testing.assert_allclose(found[r], alone.values["theta"][r, 1:], rtol=1e-12)


def test_labels_of_minima_copies_and_collapsed_nets():
    minima = sine_minima()
    copies = np.array([minima.copies(k)[-1] for k in range(len(minima))])
    dead, doubled, diverged = copies[0].copy(), copies[0].copy(), np.full(7, np.nan)
    dead[minima.symmetry.units[0]] = 1e-30
    doubled[minima.symmetry.units[1]] = -doubled[minima.symmetry.units[0]]
    labels = runs.labels_of(minima, np.stack([*copies, dead, doubled, diverged])[None])[0]
    assert labels[: len(minima)].tolist() == list(range(len(minima)))
    assert labels[-1] == mixing.UNKNOWN
    assert labels[-3:-1].tolist() == [mixing.COLLAPSED] * 2, "though a flow from 1e-30 would find its way out"
    np.testing.assert_allclose(runs.from_fixed_set(minima, np.stack([dead, doubled])), 0, atol=1e-12)
    assert runs.from_fixed_set(minima, copies[:1])[0] > 0.1


# -- shares ------------------------------------------------------------------------------------------------


def chain(p_leave, p_return, starts, each, frames, seed):
    """Two states, exactly: labels (starts, each, frames); group k begins in state k, one frame before the first."""
    rng = np.random.default_rng(seed)
    state = np.repeat(np.arange(starts), each).reshape(starts, each) % 2
    rows = []
    for _ in range(frames):
        leave = rng.uniform(size=state.shape) < np.where(state == 0, p_leave, p_return)
        state = np.where(leave, 1 - state, state)
        rows.append(state)
    return np.stack(rows, axis=-1)


def test_shares_of_a_mixed_chain_and_their_errors():
    """Intervals over 60 tables: the SE that ignores autocorrelation, half of this one, covers 67 %."""
    share = 0.3 / (0.1 + 0.3)
    found = [mixing.shares_of(chain(0.1, 0.3, 2, 12, 60, seed), 2, 10, 5) for seed in range(60)]
    assert not any(s.refused for s in found)
    z = np.array([(s.probabilities[0] - share) / s.standard_errors[0] for s in found])
    assert np.mean(np.abs(z) < 1.96) >= 0.85
    assert 0.6 < z.std() < 1.35


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (chain(0.001, 0.001, 2, 12, 40, 0), "nested R-hat"),
        (
            np.repeat([[[0]] * 12, [[1]] * 12], 40, axis=2),
            "R-hat inf between starts, at most 1.05: at least some 360,000",
        ),
        (np.zeros((2, 12, 40), int), "in one basin"),
        (np.where(np.arange(40) < 39, chain(0.3, 0.3, 2, 12, 40, 0), -1), "weren't found"),
        (np.where(np.arange(40) < 30, chain(0.3, 0.3, 2, 12, 40, 0), -2), "collapsed"),
    ],
)
def test_no_share_is_claimed_without_mixing(labels, message):
    found = mixing.shares_of(labels, 2, 4, 100)
    assert message in found.refused
    assert np.isnan(found.standard_errors).all()


def test_least_share_is_a_bound_and_not_an_empty_one():
    """States 0 and 1 with π₀ = p_return/(p_leave + p_return): below it in nearly all of 200 tables, yet near it."""
    share = 0.2 / (0.005 + 0.2)
    bounds = np.array([mixing.least_share(chain(0.005, 0.2, 2, 16, 24, seed), 0) for seed in range(200)])
    assert np.mean(bounds > share) <= 0.05
    assert np.median(bounds) > 0.85, "and not the 0 that any bound may be"
    assert np.isnan(mixing.least_share(np.repeat([[[0]], [[1]]], 24, axis=2), 0)), "the other start never came"


def test_no_least_share_where_frames_are_lost():
    """A state that no start is in: returns from it take 10,000 frames, and the true share of state 0 is 0.09."""
    labels = chain(0.002, 0.2, 2, 16, 24, 0)
    labels[:, 0, 20:] = mixing.UNKNOWN
    assert np.isnan(mixing.shares_of(labels, 2, 4, 100).floor).all()


def test_a_basin_that_is_hardly_seen_gets_a_bound():
    """Three basins, the third left at once and seen again in no frame, or in one: no more can be claimed of it."""
    labels = np.concatenate([chain(0.3, 0.3, 2, 12, 40, 1), chain(0.3, 0.3, 1, 12, 40, 2)])
    labels[2, :, 0] = 2
    for visits in (0, 1):
        labels[0, 0, 30] = 2 if visits else labels[0, 0, 30]
        found = mixing.shares_of(labels, 3, 10, 100)
        assert not found.refused
        assert found.probabilities[2] == pytest.approx(visits / (36 * 30))
        assert 1.96 * found.standard_errors[2] == pytest.approx(3 * 10 / (36 * 30), rel=1e-6)


def test_nested_r_hat():
    rng = np.random.default_rng(0)
    same = rng.normal(size=(4, 32, 20))
    assert mixing.nested_r_hat(same) == pytest.approx(1, abs=0.01)
    apart = same + np.arange(4)[:, None, None]
    # B/W with means 0, 1, 2, 3: B = 5/3 on top of 1/640; W = 1 + 1/20.
    assert mixing.nested_r_hat(apart) == pytest.approx(np.sqrt(1 + (5 / 3) / 1.05), rel=0.05)
    assert mixing.nested_r_hat(np.zeros((2, 3, 4))) == 1


# -- verdicts ----------------------------------------------------------------------------------------------


def test_verdicts_can_fail():
    def arm(p, error=np.nan, floor=np.nan, collapsed=0.0):
        return mixing.Shares(
            probabilities=np.array([p, 1 - p]),
            standard_errors=np.array([error, error]),
            changes=np.zeros((2, 2), int),
            ess=np.zeros(2),
            unknown=0.0,
            collapsed=collapsed,
            r_hat=1.0,
            refused="",
            floor=np.array([floor, np.nan]),
        )

    gibbs = Gibbs(np.array([0.7, 0.3]), np.array([0.01, 0.01]))
    kinds = {0.7: "equivalent", 0.9: "different", 0.79: "different", 0.75: "inconclusive"}
    errors = {0.7: 0.02, 0.9: 0.02, 0.79: 0.02, 0.75: 0.04}
    for p, kind in kinds.items():
        gap = verdicts.gap(arm(p, errors[p]), gibbs, 0.1)
        assert gap.kind == kind, p
        assert gap.difference[0] == pytest.approx(p - 0.7)
        assert verdicts.verdict(arm(p, errors[p]), gibbs, gap) == kind
    assert verdicts.verdict(arm(1.0, floor=0.98), gibbs, None) == "different"
    assert verdicts.verdict(arm(1.0, floor=0.71), gibbs, None) == "not mixed", "0.71 is within Gibbs' interval"
    assert verdicts.verdict(arm(1.0, collapsed=0.2), gibbs, None) == "collapsed"
    refused = dataclasses.replace(gibbs, refused="R-hat")
    assert verdicts.verdict(arm(1.0, floor=0.98), refused, None) == "no Gibbs"


def test_paired_differences_of_arrivals():
    flow, label = np.array([0] * 30 + [1] * 70), np.array([0] * 20 + [1] * 80)
    found = verdicts.paired(label, flow, 2)
    np.testing.assert_allclose(found.difference, [-0.1, 0.1])
    np.testing.assert_allclose(found.half_width, 1.96 * np.sqrt(0.1 * 0.9 / 99), rtol=1e-3)
    same = verdicts.paired(flow, flow, 2)
    assert min(same.half_width) > 0.03, "no pair differs: what 100 runs leave room for"
    one = flow.copy()
    one[0] = 1
    assert min(verdicts.paired(one, flow, 2).half_width) > 0.05, "one pair: no narrower than none"


# -- the command -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(folder)]) == 0
    (made,) = (folder / "real-basins").iterdir()
    return made


def test_the_report_and_the_figure_come_from_the_run(finished):
    summary = json.loads((finished / "summary.json").read_text())
    problem = summary["problems"]["sine"]
    assert [row["eta"] for row in problem["occupancy"]] == [0.1, 0.3]
    for row in problem["occupancy"]:
        assert row["temperature"] == pytest.approx(row["eta"] * row["variance"] / 2)
        assert sum(row["laplace"]) == pytest.approx(1)
        assert row["arms"]["isotropic"]["trace"] > 0
        assert set(row["verdicts"]) == {"SGD", "SDE", "isotropic"}
    assert sum(problem["flow"]["shares"]) == pytest.approx(1)
    kept, _ = running.read_run(EXPERIMENTS["real-basins"], finished)
    printed = io.StringIO()
    kept.report(Console(file=printed, width=200))
    for text in ("noisy sine", "Laplace", "gradient flow", "softest direction"):
        assert text in printed.getvalue()
    titles = [axis.get_title(loc="left") for axis in kept.plot().axes]
    assert any("where SGD sits" in title for title in titles)
    assert any("Arrival" in title for title in titles)
    for row in kept.problems["sine"].occupancy:
        row.verdicts.update({"SGD": "different", "SDE": "different", "isotropic": "equivalent"})
    assert "doesn't at 2 of 2" in kept.answer()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--problems", "cosine"], "cosine"),
        (["--sine-rates", "0.1,-1"], "-1"),
        (["--sine-rates", "0.1,0.1"], "repeated"),
        (["--replicas", "3"], "at least 12"),
        (["--burn-in", "0.9"], "burn_in"),
        (["--burn-in", "0.79", "--frames", "8"], "leave 4"),
        (["--batch-size", "0"], "batch_size"),
        (["--nuts-samples", "50"], "nuts_labels"),
        (["--arrival-time", "0.01"], "arrival_time"),
        (["--preset", "gpux"], "gpux"),
    ],
)
def test_bad_options(given, message, capsys, tmp_path):
    assert cli.main(EXPERIMENTS, ["real-basins", *given, "--results", str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) <= 3
    assert not list(tmp_path.rglob("*.nc"))
