"""simulate(extend=…): more replicas are those that one call would have given; other runs are refused."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import nets
from sdesgd.simulation import checkpoint, loop
from tests import exact
from tests.refusals import refused

Q, START = exact.small()
STARTS = START + np.linspace(-0.3, 0.3, 24).reshape(12, 2)
PAIR = sg.GaussianSGD(0.1, 2), sg.SDE(0.1, 2)


def run(dynamics=None, problem=None, **options):
    settings = dict(num_steps=12, replicas=5, key=jr.key(0), observables={"theta": lambda p: p}, save_every=3)
    return sg.simulate(dynamics or sg.SGD(0.1, 2, momentum=0.5), problem or Q.problem(START), **(settings | options))


def everything(out):
    """All that a run gives of its replicas, leaf by leaf."""
    fields = ("values", "final_params", "diverged", "stopped", "accumulated")
    return [np.asarray(leaf) for name in fields for leaf in jax.tree.leaves(getattr(out, name))]


def assert_same(one, other, **tolerance):
    assert one.identity == other.identity
    np.testing.assert_array_equal(one.time, other.time)
    for a, b in zip(everything(one), everything(other), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance))


COUNTED = {
    "accumulate": ((jnp.zeros(2), 0), lambda c, p, n: (c[0] + n * p, c[1] + 1)),
    "until": lambda p: p[0] < 0.4,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        COUNTED,
        {"starts": STARTS, **COUNTED},
        {"dynamics": sg.SGD(0.1, 2, sampling="reshuffle")},
        {"dynamics": sg.SDE(0.1, 2), "params": START + 1},
    ],
    ids=["plain", "counted", "starts", "reshuffle", "SDE"],
)
@pytest.mark.parametrize("block", [1, 3, None])
def test_more_replicas_are_those_of_one_call(monkeypatch, options, block):
    """Bit for bit in equal blocks, else to rounding; in two steps too."""
    if block is not None:
        monkeypatch.setattr("sdesgd.simulation.plan.replica_blocks", lambda *_: (block, block))
    part = lambda r: {**options, **({"starts": STARTS[:r]} if "starts" in options else {})}  # noqa: E731
    whole = run(replicas=12, **options)
    few = run(replicas=5, **part(5))
    more = run(replicas=12, extend=run(replicas=8, extend=few, **part(8)), **options)
    assert_same(more, whole, **({"rtol": 1e-11, "atol": 1e-13} if block is None else {}))
    assert len(np.unique(whole.values["theta"][:, -1], axis=0)) > 6
    if "until" in options:
        assert len(set(whole.stopped)) > 2
    assert len(few.diverged) == 5


def test_keys_of_each_replica_are_extended():
    """As starts are: those of all replicas are given, and other ones of the first are refused."""
    keys = jr.split(jr.key(3), 12)
    more = run(replicas=12, key=keys, extend=run(key=keys[:5]))
    assert_same(more, run(replicas=12, key=keys), rtol=1e-11, atol=1e-13)
    refused(lambda: run(replicas=12, key=keys[::-1], extend=run(key=keys[:5])), "of a run with other key")
    refused(lambda: run(replicas=12, key=jr.key(3), extend=run(key=keys[:5])), "of a run with other key")


def test_only_the_new_replicas_are_computed(monkeypatch):
    few, counts = run(), []
    advanced = loop.Plan.advanced
    monkeypatch.setattr(
        "sdesgd.simulation.plan.Plan.advanced",
        lambda plan, now, *rest: counts.append(len(now.dead)) or advanced(plan, now, *rest),
    )
    run(replicas=12, extend=few)
    assert set(counts) == {7}
    counts.clear()
    assert run(replicas=5, extend=few) is few
    assert not counts


def test_a_pair_gets_more_replicas():
    settings = dict(num_steps=6, key=jr.key(3), observables={"theta": lambda p: p})
    simulate = lambda **options: sg.simulate_coupled(*PAIR, Q.problem(START), **(settings | options))  # noqa: E731
    whole, few = simulate(replicas=12), simulate(replicas=5)
    for one, other in zip(simulate(replicas=12, extend=few), whole, strict=True):
        assert_same(one, other, rtol=1e-11, atol=1e-13)
    refused(lambda: simulate(replicas=12, extend=few[::-1]), "in their order")
    refused(lambda: simulate(replicas=12, extend=(few[0], few[0])), "in their order")
    refused(lambda: simulate(replicas=12, extend=few[0]), "in their order")
    refused(lambda: simulate(replicas=12, extend=(run(), run())), "in their order")
    refused(lambda: simulate(replicas=12, extend=few, key=jr.key(4)), "other key")


def test_replicas_that_diverge_are_those_of_one_call():
    cubic = sg.Problem(lambda x, b: x**2 / 2 - x**3 / 3 + b * x, jnp.asarray(0.9), np.array([0.8, -0.8]))
    settings = dict(dynamics=sg.SGD(0.1, 1), problem=cubic, num_steps=120, save_every=40)
    with pytest.warns(RuntimeWarning, match="of 16 replicas diverged"):
        few = run(replicas=16, **settings)
    with pytest.warns(RuntimeWarning, match="of 24 replicas diverged"):
        more = run(replicas=40, extend=few, **settings)
    with pytest.warns(RuntimeWarning, match="of 40 replicas diverged"):
        whole = run(replicas=40, **settings)
    assert 0 < whole.diverged[16:].sum() < 24
    assert_same(more, whole, rtol=1e-9)


@pytest.mark.slow
def test_a_file_of_a_run_is_extended(tmp_path):
    """A net: params with functions in them."""
    rng = np.random.default_rng(0)
    net = nets.mlp(3, 2, width=4, depth=1, key=jr.key(0))
    problem = nets.finite_sum(net, rng.normal(size=(8, 3)), rng.integers(0, 2, 8))
    count = {"n": 0}, lambda c, p, n: {"n": n}
    settings = dict(problem=problem, observables={"loss": problem.loss}, accumulate=count)
    few = run(**settings)
    few.save(tmp_path / "a.nc")
    loaded = sg.Trajectories.load(tmp_path / "a.nc", template=net, accumulated={"n": 0})
    assert loaded.identity == few.identity
    whole = run(replicas=12, **settings)
    assert_same(run(replicas=12, extend=loaded, **settings), whole, rtol=1e-9, atol=1e-12)
    bare = sg.Trajectories.load(tmp_path / "a.nc", template=net)
    refused(lambda: run(replicas=12, extend=bare, **settings), "accumulated")
    refused(lambda: run(replicas=12, extend=sg.Trajectories.load(tmp_path / "a.nc"), **settings), "final_params")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": jr.key(1)}, "key"),
        ({"dynamics": sg.SGD(0.2, 2, momentum=0.5)}, "dynamics"),
        ({"dynamics": sg.SGD(0.1, 2)}, "dynamics"),
        ({"problem": Q.problem(START + 1)}, "problem, start"),
        ({"params": START + 1}, "start"),
        ({"starts": STARTS}, "start"),
        ({"observables": {"theta": lambda p: 2 * p}}, "functions"),
        ({"until": lambda p: p[0] > 5}, "functions"),
        ({"num_steps": 15}, "sizes"),
        ({"save_every": 6}, "sizes"),
    ],
)
def test_another_run_is_refused_by_what_differs(options, words):
    few = run()
    refused(lambda: run(replicas=12, extend=few, **options), f"extend is of a run with other {words}: pass")


def test_starts_of_the_earlier_replicas_count():
    few = run(starts=STARTS[:5])
    changed = STARTS.copy()
    changed[2] += 1e-9
    refused(lambda: run(replicas=12, starts=changed, extend=few), "other start")


def test_what_a_users_own_dynamics_reads_from_outside_counts():
    factor = [1.0]

    class Mine(sg.SGD):
        def advance(self, problem, state, draw, n):
            new = super().advance(problem, state, draw, n)
            return new._replace(params=factor[0] * new.params)

    few = run(Mine(0.1, 2))
    run(Mine(0.1, 2), replicas=6, extend=few)
    factor[0] = 0.5
    refused(lambda: run(Mine(0.1, 2), replicas=6, extend=few), "other dynamics")


def test_data_that_changed_is_another_problem():
    """Also where the array is so large that its digest is remembered."""
    data = np.zeros((20_000, 2))
    problem = lambda: sg.Problem(lambda w, x: jnp.sum((w - x) ** 2), jnp.zeros(2), data)  # noqa: E731
    few = run(problem=problem())
    run(problem=problem(), extend=few, replicas=6)
    data[-1, 1] = 1e-9
    refused(lambda: run(problem=problem(), extend=few, replicas=6), "other problem")


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (lambda: 3, "extend is 3"),
        (lambda: run(replicas=13), "13 replicas and 12 are wanted"),
        (lambda: dataclasses.replace(run(), interrupted=True), "interrupted"),
        (lambda: dataclasses.replace(run(), identity=None), "of which run"),
        (lambda: dataclasses.replace(run(), values={}), "values"),
        (lambda: dataclasses.replace(run(), final_params=np.zeros((5, 3))), "final_params"),
    ],
)
def test_bad_input(earlier, words):
    refused(lambda: run(replicas=12, extend=earlier()), words)


def test_an_interrupted_extension_gives_the_earlier_result_and_goes_on(monkeypatch, tmp_path):
    class Interrupted(checkpoint.Checkpoint):
        def due(self):
            raise KeyboardInterrupt

    few, whole = run(), run(replicas=12)
    with monkeypatch.context() as patch:
        patch.setattr("sdesgd.simulation.progress._SEGMENT_SECONDS", 1e-9)
        patch.setattr("sdesgd.simulation.driver.Checkpoint", Interrupted)
        part = run(replicas=12, extend=few, checkpoint=tmp_path / "a")
    assert part.interrupted
    assert not few.interrupted
    assert_same(part, few)
    after = run(replicas=12, extend=few, checkpoint=tmp_path / "a")
    assert not after.interrupted
    assert_same(after, whole, rtol=1e-11)
    refused(lambda: run(replicas=7, checkpoint=tmp_path / "a"), "other sizes")
