"""simulate: a start for each replica, the step at which a predicate first holds, what is counted on the way."""

import itertools
import re

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import toys
from sdesgd.simulation import regrouping
from tests import exact
from tests.compilations import compilations
from tests.refusals import refused

Q, START = exact.small()
DYNAMICS = [
    sg.SGD(0.1, 2),
    sg.SGD(0.1, 2, sampling="reshuffle", momentum=0.5),
    sg.GaussianSGD(0.1, 2, momentum=0.5),
    sg.SDE(0.1, 2),
    sg.SDE(0.1, 2, momentum=0.5),
    sg.SVAG(0.1, 2, 2),
]
STARTS = np.linspace(-1, 1, 10).reshape(5, 2)


def theta(params):
    return params


def run(dynamics=DYNAMICS[0], **options):
    settings = dict(num_steps=12, replicas=5, key=jr.key(0), observables={"theta": theta}, save_every=1)
    return sg.simulate(dynamics, Q.problem(START), **(settings | options))


@pytest.mark.parametrize("dynamics", DYNAMICS, ids=lambda d: f"{type(d).__name__}-{getattr(d, 'momentum', 0)}")
def test_each_replica_goes_from_its_start_as_it_would_alone(dynamics):
    """Replica r from start r takes the path that replica r takes where all begin there."""
    together = run(dynamics, starts=STARTS).values["theta"]
    np.testing.assert_array_equal(together[:, 0], STARTS)
    for r in (0, 3):
        alone = run(dynamics, params=STARTS[r]).values["theta"]
        np.testing.assert_allclose(together[r], alone[r], rtol=1e-9)


@pytest.mark.parametrize("block", [1, 2, 5])
@pytest.mark.parametrize("seconds", [1e-9, 10.0])
def test_a_replica_stops_where_the_predicate_first_holds(monkeypatch, block, seconds):
    """Against the saved path of the same run without a predicate, whatever the blocks and segments."""
    monkeypatch.setattr("sdesgd.simulation.plan.replica_blocks", lambda *_: (block, block))
    monkeypatch.setattr("sdesgd.simulation.progress._SEGMENT_SECONDS", seconds)
    free = run(starts=STARTS, num_steps=40).values["theta"]
    edge = float(np.quantile(free[:, -1, 0], 0.5))
    inside = free[:, :, 0] > edge
    want = np.where(inside.any(axis=1), inside.argmax(axis=1), -1)
    assert len(set(want)) > 2
    assert -1 in want or want.max() > 0
    out = run(starts=STARTS, num_steps=40, until=lambda p: p[0] > edge)
    np.testing.assert_array_equal(out.stopped, want)
    assert out.values["theta"].shape == free.shape
    for r, n in enumerate(want):
        last = 40 if n < 0 else n
        np.testing.assert_allclose(out.values["theta"][r, : last + 1], free[r, : last + 1], rtol=1e-9)
        np.testing.assert_array_equal(out.values["theta"][r, last:], np.tile(out.final_params[r], (41 - last, 1)))


def test_the_mean_first_passage_is_that_of_the_exact_law():
    """A walk on the line, ±s with odds of a half: the mean number of steps from 0 to ±a s is a²."""
    problem = sg.Problem(lambda x, g: g * x, jnp.asarray(0.0), np.array([1.0, -1.0]))
    a, replicas = 6, 4000
    out = sg.simulate(
        sg.SGD(0.5, 1),
        problem,
        num_steps=2000,
        replicas=replicas,
        key=jr.key(5),
        observables={},
        save_every=2000,
        until=lambda x: jnp.abs(x) > 0.5 * (a - 0.5),
    )
    assert (out.stopped > 0).all()
    # Var = (2/3) a²(a² − 1): exact for the walk.
    error = np.sqrt(2 / 3 * a**2 * (a**2 - 1) / replicas)
    assert abs(out.stopped.mean() - a**2) < 4.5 * error
    assert (np.abs(out.final_params) == 0.5 * a).all()


def test_where_all_have_stopped_nothing_is_computed_any_more():
    """10⁹ steps of which all but the first few are not taken."""
    out = run(num_steps=10**9, save_every=10**9, until=lambda p: p[0] == p[0])
    np.testing.assert_array_equal(out.stopped, 0)


@pytest.mark.parametrize("dynamics", [DYNAMICS[0], DYNAMICS[1], DYNAMICS[4]], ids=["SGD", "reshuffle", "SDE"])
def test_putting_aside_those_that_have_stopped_changes_no_bit(monkeypatch, dynamics):
    """Against the same run that never regroups; segments and blocks that are filled up change nothing either."""
    monkeypatch.setattr("sdesgd.sizes._CPU_STOPPING", 16)
    tilts = np.random.default_rng(0).normal(size=(8, 1))
    problem = toys.tilted(toys.potential("quadratic"), tilts - tilts.mean())
    settings = dict(replicas=50, num_steps=120, key=jr.key(0), observables={"theta": theta})
    free = sg.simulate(dynamics, problem, **settings).values["theta"]
    edge = float(np.quantile(free[:, :, 0].max(axis=1), 0.3))
    options = settings | {"accumulate": (jnp.zeros(1), lambda c, p, n: c + n * p), "save_every": 40}
    runs = []
    for first, seconds in ((16, 0.25), (3, 1e-9), (10**9, 0.25)):
        monkeypatch.setattr("sdesgd.simulation.regrouping._FIRST", first)
        monkeypatch.setattr("sdesgd.simulation.progress._SEGMENT_SECONDS", seconds)
        runs.append(sg.simulate(dynamics, problem, until=lambda p: p[0] > edge, **options))
    late = runs[0].stopped[runs[0].stopped >= 0]
    assert runs[0].blocks[0] == 13  # of 50 replicas in four blocks
    assert len(set(late)) > 10
    assert 0 < late.min() < 16 < late.max()
    for other in runs[1:]:
        np.testing.assert_array_equal(other.stopped, runs[0].stopped)
        np.testing.assert_array_equal(other.values["theta"], runs[0].values["theta"])
        np.testing.assert_array_equal(other.final_params, runs[0].final_params)
        np.testing.assert_array_equal(other.accumulated, runs[0].accumulated)


def test_those_that_have_stopped_cost_little(monkeypatch):
    """Steps of blocks, counted from within: at most 5/4 of the steps that replicas take, and a block until the end."""
    monkeypatch.setattr("sdesgd.sizes._CPU_STOPPING", 16)
    steps = []

    def until(p):
        jax.debug.callback(lambda: steps.append(1))
        return p > 1.0

    # θ_n = θ_0 + n is past 1 after a steps: exponential times of mean 400.
    a = np.floor(np.random.default_rng(0).exponential(400, 256)) + 1
    problem = sg.Problem(lambda x, e: -x, jnp.asarray(0.0), np.zeros(1))
    out = sg.simulate(
        sg.SGD(1.0, 1), problem, num_steps=10_000, save_every=10_000, replicas=256, key=jr.key(0), observables={},
        starts=1.5 - a, until=until,
    )  # fmt: skip
    jax.effects_barrier()
    np.testing.assert_array_equal(out.stopped, a)
    assert a.sum() / 16 < len(steps) < (1.25 * a.sum() + 16 * 256) / 16 + 1.25 * a.max()
    assert (1.25 * a.sum() + 16 * 256) / 16 + 1.25 * a.max() < 0.5 * a.max() * 256 / 16


def test_regrouping_is_at_steps_known_beforehand():
    found, at = [], 0
    while at < 10**9:
        last, following = regrouping.around(at)
        assert last == at
        assert regrouping.around(following - 1) == (last, following)
        found.append(at := following)
    assert found[:5] == [16, 32, 48, 64, 80]
    assert all(b - a <= max(16, a / 4) for a, b in itertools.pairwise(found))
    assert len(found) < 90
    order = regrouping.going_first(jnp.asarray([-1, 5, 20, 0, -1]), jnp.asarray(5))
    assert order.tolist() == [0, 2, 4, 1, 3]


def test_what_is_accumulated_is_the_sum_along_the_path():
    """Σ n θ_n over the steps after the start, and how many there were; diverged and stopped replicas count no more."""

    def update(carry, params, n):
        total, count = carry
        return total + n * params, count + 1

    zero = jnp.zeros(2), jnp.asarray(0)
    out = run(accumulate=(zero, update))
    paths = out.values["theta"]
    np.testing.assert_allclose(out.accumulated[0], np.einsum("n,rnd->rd", np.arange(13), paths), rtol=1e-9)
    np.testing.assert_array_equal(out.accumulated[1], 12)
    halted = run(accumulate=(zero, update), until=lambda p: p[0] < np.median(paths[:, 5, 0]))
    np.testing.assert_array_equal(halted.accumulated[1], np.where(halted.stopped < 0, 12, halted.stopped))
    begun = run(accumulate=(lambda p: (3 * p, jnp.asarray(7)), lambda c, p, n: c))
    np.testing.assert_allclose(begun.accumulated[0], np.tile(3 * START, (5, 1)))


def test_a_replica_that_diverges_counts_no_more():
    cubic = sg.Problem(lambda x, b: x**2 / 2 - x**3 / 3 + b * x, jnp.asarray(0.9), np.array([0.8, -0.8]))
    with pytest.warns(RuntimeWarning, match="diverged"):
        out = sg.simulate(
            sg.SGD(0.1, 1),
            cubic,
            num_steps=200,
            replicas=16,
            key=jr.key(0),
            observables={"x": theta},
            accumulate=(jnp.asarray(0), lambda c, x, n: c + 1),
        )
    finite = np.isfinite(out.values["x"]).sum(axis=1) - 1
    assert out.diverged.any()
    assert not out.diverged.all()
    np.testing.assert_array_equal(out.accumulated, finite)


@pytest.mark.parametrize("carry", [0.0, lambda p: 0.0, lambda p: jnp.zeros(())])
def test_python_numbers_are_carried_as_arrays(carry):
    """An update that gives a number; what is carried at first compiles no second segment."""
    out = run(accumulate=(carry, lambda c, p, n: 1.0))
    np.testing.assert_array_equal(out.accumulated, 1.0)
    with compilations() as names:
        run(accumulate=(carry, lambda c, p, n: 1.0))
    assert not names


def test_a_predicate_that_never_holds_changes_nothing_where_one_of_a_pair_diverges():
    """Euler of η = 2.45 on a parabola of λ = 1 diverges, the third-order scheme doesn't."""
    problem = sg.Problem(lambda p, x: 0.5 * (p - x) ** 2, jnp.asarray(1.0, jnp.float32), np.float32([0.5, -0.5]))
    pair = sg.Coupled(sg.GaussianSGD(2.45, 2), sg.SDE(2.45, 2))
    settings = dict(num_steps=400, save_every=20, replicas=2, key=jr.key(0), observables={"p": jnp.stack})
    runs = []
    for until in (None, lambda pair: pair[0] > 1e30):
        with pytest.warns(RuntimeWarning, match="diverged"):
            runs.append(sg.simulate(pair, problem, until=until, **settings))
    assert runs[0].diverged.tolist() == [[True, False]] * 2
    assert len(np.unique(runs[0].values["p"][0, -5:, 1])) == 5
    np.testing.assert_array_equal(runs[1].values["p"], runs[0].values["p"])


def test_a_replica_stops_by_what_it_has_counted(monkeypatch):
    """After the sixth step with θ₀ above its median, from the path of a run without; beside a predicate, at whichever
    comes first; where it holds of what is carried at first, at the start."""
    monkeypatch.setattr("sdesgd.simulation.plan.replica_blocks", lambda *_: (2, 2))
    paths = run(num_steps=40, starts=STARTS).values["theta"][:, :, 0]
    middle, top = np.median(paths), np.quantile(paths, 0.97)
    counts = np.cumsum(paths[:, 1:] > middle, axis=1)
    first = lambda met: np.where(met.any(axis=1), met.argmax(axis=1) + 1, -1)  # noqa: E731
    want = first(counts >= 6)
    assert len(set(want)) > 2
    counted = 0, lambda c, p, n: c + (p[0] > middle), lambda c: c >= 6
    out = run(num_steps=40, starts=STARTS, accumulate=counted)
    np.testing.assert_array_equal(out.stopped, want)
    np.testing.assert_array_equal(out.accumulated, np.where(want < 0, counts[:, -1], 6))
    both = first((counts >= 6) | (paths[:, 1:] > top))
    assert (both != want).any()
    found = run(num_steps=40, starts=STARTS, accumulate=counted, until=lambda p: p[0] > top)
    np.testing.assert_array_equal(found.stopped, np.where(paths[:, 0] > top, 0, both))
    assert (run(accumulate=(1.0, lambda c, p, n: c, lambda c: c > 0.5)).stopped == 0).all()


def test_each_replica_may_have_a_key_of_its_own():
    """One key stands for those of fold_in; keys in another order give the replicas in that order."""
    keys = jax.vmap(lambda r: jr.fold_in(jr.key(0), r))(jnp.arange(5))
    np.testing.assert_array_equal(run(key=keys).values["theta"], run().values["theta"])
    turned = run(key=keys[::-1], starts=STARTS[::-1]).values["theta"]
    np.testing.assert_allclose(turned[::-1], run(starts=STARTS).values["theta"], rtol=1e-12)
    refused(lambda: run(key=keys[:3]), re.escape("key has shape (3,) for 5 replicas: pass one key, or one for each"))


@pytest.mark.slow
def test_one_function_gives_the_observables_of_several():
    """The same numbers, from one pass; also for coupled dynamics."""
    both = {"theta": theta, "norm": lambda p: jnp.sum(p**2)}
    apart = run(observables=both)
    together = run(observables=lambda p: {name: f(p) for name, f in both.items()})
    pair = [sg.GaussianSGD(0.1, 2), sg.SDE(0.1, 2)]
    settings = dict(num_steps=4, replicas=3, key=jr.key(0))
    coupled = sg.simulate_coupled(*pair, Q.problem(START), observables=both, **settings)
    joined = sg.simulate_coupled(
        *pair, Q.problem(START), observables=lambda p: {n: f(p) for n, f in both.items()}, **settings
    )
    for one, other in [(apart, together), *zip(coupled, joined, strict=True)]:
        assert set(one.values) == set(other.values)
        for name in both:
            np.testing.assert_allclose(one.values[name], other.values[name], rtol=1e-12)


def test_a_saved_run_goes_on_from_where_it_was(tmp_path):
    """Final params are starts; what was counted and where it stopped come back too."""
    first = run(accumulate=({"n": jnp.asarray(0)}, lambda c, p, n: {"n": n}), until=lambda p: p[0] > 0.3)
    first.save(tmp_path / "a.nc")
    saved = sg.Trajectories.load(tmp_path / "a.nc", template=START, accumulated={"n": jnp.asarray(0)})
    np.testing.assert_array_equal(saved.stopped, first.stopped)
    assert saved.stopped.dtype == first.stopped.dtype
    np.testing.assert_array_equal(saved.accumulated["n"], first.accumulated["n"])
    np.testing.assert_array_equal(run(starts=saved.final_params).values["theta"][:, 0], first.final_params)


def test_values_read_from_outside_are_those_of_the_call():
    """A second call sees the new edge; new starts and other first counts compile nothing."""
    edge = {"at": -10.0}
    until = lambda p: p[0] > edge["at"]  # noqa: E731
    assert (run(until=until).stopped == 0).all()
    edge["at"] = 1e9
    assert (run(until=until).stopped == -1).all()

    def again(k):
        run(starts=k * STARTS, until=until, accumulate=(jnp.zeros(()) + k, lambda c, p, n: c + p[0]))

    again(1.0)
    with compilations() as names:
        again(0.5)
    assert not names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"starts": STARTS, "params": START}, ["both params and starts"]),
        ({"starts": STARTS[:3]}, ["starts", "(3, 2)", "(5, 2)"]),
        ({"starts": np.ones((5, 3))}, ["(5, 3)", "(5, 2)"]),
        ({"starts": {"a": STARTS}}, ["structure"]),
        ({"starts": np.where(np.arange(10).reshape(5, 2) == 4, np.nan, STARTS)}, ["starts", "finite"]),
        ({"until": 3}, ["until", "function"]),
        ({"until": lambda p: p}, ["until", "bool", "(2,)"]),
        ({"until": lambda p: p[0]}, ["until", "bool"]),
        ({"until": lambda p: bool(p[0] > 0)}, ["until", "traced"]),
        ({"accumulate": lambda c, p, n: c}, ["accumulate", "(init, update)"]),
        ({"accumulate": (0.0, 3)}, ["accumulate", "(init, update)"]),
        ({"accumulate": (0.0, lambda c, p, n: c, 3)}, ["accumulate's until", "function"]),
        ({"accumulate": (0.0, lambda c, p, n: c, lambda c: c)}, ["accumulate's until", "bool", "float"]),
        ({"accumulate": (np.zeros(2), lambda c, p, n: c[0])}, ["accumulate", "keep"]),
        ({"accumulate": (np.zeros(2), lambda c, p, n: (c, c))}, ["accumulate", "structure"]),
        ({"accumulate": (0, lambda c, p, n: c + 0.5)}, ["accumulate", "int", "float"]),
        ({"observables": lambda p: p}, ["observables", "dict"]),
        ({"observables": lambda p: {"step": p}}, ["step"]),
        ({"observables": lambda p: {"stopped": p}}, ["stopped"]),
        ({"observables": lambda p: {"text": "no"}}, ["observable"]),
    ],
)
def test_bad_input(options, words):
    message = refused(lambda: run(**options), re.escape(words[0]))
    assert all(word in message for word in words), message


def test_what_is_carried_counts_as_memory():
    refused(lambda: run(replicas=1000, accumulate=(lambda p: jnp.zeros(10**12), lambda c, p, n: c)), "GB")


def test_a_loss_that_is_not_finite_at_one_start_names_the_replica():
    problem = sg.Problem(lambda x, b: jnp.log(x) + b, jnp.asarray(1.0), np.zeros(2))
    starts = np.array([1.0, 2.0, -1.0])
    message = refused(
        lambda: sg.simulate(
            sg.SGD(0.1, 1), problem, num_steps=1, replicas=3, key=jr.key(0), observables={}, starts=starts
        ),
        "replica 2",
    )
    assert "nan" in message
