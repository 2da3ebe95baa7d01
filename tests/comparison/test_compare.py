"""One call on anyone's problem: numbers against exact moments, designs, refusals, files, the researcher's own net."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import sdesgd as sg
from sdesgd.comparison import protocol
from sdesgd.comparison import replicas as sharing
from tests.refusals import refused

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
PROBLEM = sg.Problem(lambda w, e: 0.5 * (e[0] @ w - e[1]) ** 2, np.zeros(2), (X, X @ [1.0, -1.0] + RNG.normal(size=30)))


def observed(w):
    return {"first": w[0], "size": jnp.sum(w**2)}


COMMON = dict(num_steps=6, save_every=3, key=jr.key(0), observables=observed, progress="")


@pytest.fixture(scope="module")
def fixed():
    return sg.compare(PROBLEM, sg.SGD(0.1, 3), replicas=64, check_replicas=4, **COMMON)


@pytest.fixture(scope="module")
def decided():
    return sg.compare(PROBLEM, sg.SGD(0.05, 3), max_minutes=5.0, **COMMON)


def test_means_are_those_of_the_exact_recursion(fixed):
    """E w after k steps of SGD and of Gaussian SGD is (I − ηH)^k applied to the start; of the SDE, exp(−ηkH)."""
    A, b = X.T @ X / 30, X.T @ np.asarray(PROBLEM.data[1]) / 30
    w = np.linalg.solve(A, b)
    values, vectors = np.linalg.eigh(A)
    for arm, factor in (
        ("SGD", (1 - 0.1 * values) ** 6),
        ("Gaussian SGD", (1 - 0.1 * values) ** 6),
        ("SDE", np.exp(-0.6 * values)),
    ):
        mean = w - vectors @ (factor * (vectors.T @ w))
        found = sg.evidence.mean(fixed.trajectories[arm].values["first"][:, -1])
        assert abs(found.mean - mean[0]) < 4.5 * found.standard_error, arm


def test_the_coupled_part_is_the_exact_gap(fixed):
    A = X.T @ X / 30
    w = np.linalg.solve(A, X.T @ np.asarray(PROBLEM.data[1]) / 30)
    values, vectors = np.linalg.eigh(A)
    gap = (vectors @ ((np.exp(-0.6 * values) - (1 - 0.1 * values) ** 6) * (vectors.T @ w)))[0]
    deviation = np.std(fixed.trajectories["SGD"].values["first"][:, -1], ddof=1)
    part = fixed.discretisation["first"]
    assert part.low[-1] - 0.05 < gap / deviation < part.high[-1] + 0.05
    assert fixed.gap["first"].mean[-1] == pytest.approx(part.mean[-1] + fixed.non_gaussian["first"].mean[-1])


def test_a_fixed_number_is_one_look(fixed):
    assert fixed.design.replicas == {"SGD": 64, "Gaussian SGD": 64, "SDE": 64}
    assert [look.replicas for look in fixed.design.looks] == [(64, 64)]
    assert fixed.design.ended == "fixed"
    assert fixed.card.top_eigenvalue == pytest.approx(np.linalg.eigvalsh(X.T @ X / 30)[-1], rel=1e-6)


def test_it_goes_on_until_every_verdict_has_fallen(decided):
    plan = decided.design
    assert plan.ended == "decided"
    assert {v.kind for v in decided.verdicts.values()} <= {"equivalent", "different"}
    fractions = [look.fraction for look in plan.looks]
    assert fractions == sorted(set(fractions))
    assert sorted(name for look in plan.looks for name in look.decided) == ["first", "size"]
    assert plan.replicas["SGD"] > plan.replicas["SDE"], "a step of SGD costs 3 gradients, one of a pair 150"
    steps, saves = 6, 3
    per_replica = steps * 3 + saves * 30 * 4 / 3
    assert plan.gradients["SGD"] == pytest.approx(plan.replicas["SGD"] * per_replica)
    pair = steps * 5 * 30 + 2 * saves * 30 * 4 / 3
    assert plan.gradients["Gaussian SGD and SDE"] == pytest.approx(plan.replicas["SDE"] * pair)


def test_the_same_call_gives_the_same_numbers(decided):
    again = sg.compare(PROBLEM, sg.SGD(0.05, 3), max_minutes=5.0, **COMMON)
    assert again.design.looks == decided.design.looks
    for arm, run in decided.trajectories.items():
        np.testing.assert_array_equal(run.values["size"], again.trajectories[arm].values["size"])


def test_it_prints_plots_saves_and_loads(fixed, tmp_path):
    text = str(fixed)
    assert "array(" not in text
    assert "Validity card" in text
    assert len(text.splitlines()) < 50
    fixed.save(tmp_path / "c.nc")
    read = sg.Comparison.load(tmp_path / "c.nc")
    assert str(read) == text
    assert read.plot().get_suptitle() == fixed.plot().get_suptitle()
    assert fixed._repr_html_().startswith("<svg")
    np.testing.assert_array_equal(read.trajectories["SDE"].values["first"], fixed.trajectories["SDE"].values["first"])


def test_out_of_time_it_says_what_it_would_take():
    made = sg.compare(PROBLEM, sg.SGD(0.05, 3), max_minutes=1e-9, **COMMON)
    assert made.design.ended == "time"
    assert len(made.design.looks) == 1
    for name, verdict in made.verdicts.items():
        if verdict.kind == "inconclusive":
            assert "replicas of each arm" in made.not_established[name].remedy
            assert "would decide" in made.sentence(name)


def test_interrupted_it_is_that_of_the_looks_so_far(monkeypatch):
    """Ctrl-C in the batch after the first look, at a margin that no look decides so early; and before any look."""
    looks, real_look, real = [], sg.evidence.GroupSequential.look, protocol.simulate

    def look(self, *arguments, **options):
        looks.append(1)
        return real_look(self, *arguments, **options)

    def stopped(*arguments, **options):
        if looks:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(sg.evidence.GroupSequential, "look", look)
    monkeypatch.setattr(protocol, "simulate", stopped)
    options = COMMON | {"observables": lambda w: {"first": w[0]}, "margin": 0.3}
    made = sg.compare(PROBLEM, sg.SGD(0.01, 3), **options)
    assert made.design.ended == "interrupted"
    assert len(made.design.looks) == 1
    assert "interrupted" in str(made)
    with pytest.raises(KeyboardInterrupt):
        sg.compare(PROBLEM, sg.SGD(0.01, 3), **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamics": sg.SDE(0.1, 3)}, "dynamics is .*: pass the SGD to be described"),
        ({"replicas": 1}, "replicas is 1: pass a whole number of at least 2"),
        ({"replicas": "all"}, "replicas is 'all': pass a number, or 'decide'"),
        ({"max_minutes": 0}, "max_minutes is 0: pass a positive number"),
        ({"margin": -1}, "margin is -1"),
        ({"margin": {"first": 0.5}}, "margin has none for 'size'"),
        ({"margin": {"first": 0.5, "size": 0.5, "sise": 0.5}}, "margin has one for 'sise', which is no observable"),
        ({"alpha": 0}, "alpha is 0"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"save_every": 0}, "save_every is 0"),
        ({"save_every": 4}, "save_every 4 doesn't divide num_steps 6"),
        ({"dynamics": sg.SGD(0.1, 3, momentum=0.9), "svag": 2}, "SVAG has no momentum"),
    ],
)
def test_bad_input_is_one_line(changes, message):
    options = dict(problem=PROBLEM, dynamics=sg.SGD(0.1, 3), replicas=4, **COMMON) | changes
    refused(lambda: sg.compare(options.pop("problem"), options.pop("dynamics"), **options), message)


@pytest.mark.filterwarnings("ignore:.*replicas diverged:RuntimeWarning")
def test_runs_that_all_diverge_ask_for_a_smaller_rate_and_not_for_replicas():
    made = sg.compare(PROBLEM, sg.SGD(1e200, 3), **COMMON)
    assert made.design.ended == "diverged"
    assert made.not_established["first"].remedy == "a smaller learning rate"
    assert "32 of 32 replicas of SGD diverged" in str(made)
    assert "need more replicas" not in made.sentence("first")


def test_an_observable_that_is_nan_by_itself_does_not_stop_the_others():
    options = COMMON | {"observables": lambda w: {"first": w[0], "broken": w[0] * jnp.nan}}
    made = sg.compare(PROBLEM, sg.SGD(0.05, 3), **options)
    assert made.design.ended == "decided"
    assert made.verdicts["first"].kind in ("equivalent", "different")
    assert made.verdicts["broken"].reason == "not finite"


def test_a_level_of_one_in_a_thousand_has_relabellings_enough():
    made = sg.compare(PROBLEM, sg.SGD(0.1, 3), replicas=16, check_replicas=2, alpha=1e-3, **COMMON)
    assert made.design.alpha == 1e-3


def test_the_largest_number_of_replicas_is_the_last_look():
    """At a margin that no attainable number decides, the levels are those of what can be reached."""
    made = sg.compare(PROBLEM, sg.SGD(0.01, 3), max_replicas=96, **(COMMON | {"margin": 0.01}))
    assert made.design.ended in ("replicas", "decided")
    assert max(made.design.replicas.values()) == 96
    if made.design.ended == "replicas":
        assert made.design.looks[-1].fraction == 1.0
        assert "largest number of replicas" in str(made)


def test_the_distance_is_from_the_start_that_is_given():
    start = np.array([3.0, 1.0])
    options = {key: value for key, value in COMMON.items() if key != "observables"}
    made = sg.compare(PROBLEM, sg.SGD(0.1, 3), replicas=4, check_replicas=2, params=start, **options)
    assert np.all(made.trajectories["SGD"].values["distance_squared"][:, 0] == 0)


def test_shares_cost_least_for_what_they_reach():
    """Against a search over all shares, for a second ensemble 40 times as costly and of half the variance."""
    costs, ratio = (1.0, 40.0), 0.5
    n_a, n_b = sharing.allotted(50.0, ratio, costs, (1, 1))
    assert sharing.information((n_a, n_b), ratio) >= 50.0
    best = min(a + 40 * np.ceil(ratio / (1 / 50 - 1 / a)) for a in range(51, 3000) if 1 / 50 - 1 / a > 0)
    assert n_a + 40 * n_b < 1.03 * best


def test_the_largest_information_decides_the_hardest_gap():
    """With known deviations, at each gap one of the two claims has a power of 0.9 at one look."""
    from scipy import stats

    information = sharing.largest_information(0.5, 0.05, 20)
    for gap in np.linspace(0, 0.45, 10):
        different = stats.norm.sf(stats.norm.isf(0.025 / 20) - gap * np.sqrt(information))
        z = stats.norm.isf(0.05)
        equivalent = 1 - sum(stats.norm.cdf(z - (0.5 + s * gap) * np.sqrt(information)) for s in (-1, 1))
        assert max(different, equivalent) > 0.88, gap


class CNN(eqx.Module):
    """A researcher's own net for 8 × 8 images, with group norm."""

    layers: list

    def __init__(self, key):
        one, two = jr.split(key)
        self.layers = [
            lambda x: x.reshape(1, 8, 8),
            eqx.nn.Conv2d(1, 4, 3, stride=2, padding=1, key=one),
            eqx.nn.GroupNorm(2, 4),
            jax.nn.relu,
            jnp.ravel,
            eqx.nn.Linear(64, 10, key=two),
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.slow
def test_a_researchers_own_net(tmp_path):
    """A CNN with group norm, weight decay in the loss, a cosine schedule, scikit-learn's digits: ten lines."""
    from sklearn.datasets import load_digits

    net = CNN(jr.key(0))
    # -- ten lines ---------------------------------------------------------------------------------------
    digits = load_digits()
    data = digits.data[:96].astype(np.float32) / 16, digits.target[:96]

    def loss(net, example):
        decay = sum(jnp.sum(w**2) for w in jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array)))
        return optax.softmax_cross_entropy_with_integer_labels(net(example[0]), example[1]) + 1e-4 * decay

    problem = sg.Problem(loss, net, data)
    sgd = sg.SGD(optax.cosine_decay_schedule(0.1, 12), 8)
    comparison = sg.compare(
        problem, sgd, num_steps=12, replicas=12, key=jr.key(1), title="my CNN on digits", progress=""
    )
    comparison.plot().savefig(tmp_path / "figure.png")
    # ----------------------------------------------------------------------------------------------------
    title = comparison.plot().get_suptitle()
    assert "my CNN on digits, 698 parameters, N = 96" in title
    assert "(schedule), S = 8" in title
    assert comparison.step[-1] == 12
    elapsed = sum(0.05 * (1 + np.cos(np.pi * k / 12)) for k in range(12))
    np.testing.assert_allclose(comparison.time[-1], elapsed, rtol=1e-6)
    card = sg.validity_card(problem, 0.1, 8, key=jr.key(5))
    assert comparison.card.stability == pytest.approx(card.stability, rel=1e-3), "at the largest η"
    assert set(comparison.verdicts) == {"loss", "distance_squared", "gradient_norm_squared", "trace_covariance"}
    assert "η is a schedule: the card is for its largest value, 0.1" in " ".join(str(comparison).split())
    assert (tmp_path / "figure.png").stat().st_size > 20_000
