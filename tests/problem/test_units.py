"""Batch norm and dropout: the exact law of one step over all groups and masks, against nets in plain numpy.

The oracle differentiates a numpy net by complex steps, and enumerates subsets and masks by itself. The library's
draws are enumerated by finding one key for each partition of the data into groups and each pattern of masks: with
dropout ½ all are equally likely.
"""

import itertools
import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import sdesgd as sg
from sdesgd.dynamics.protocol import MaskedDraw
from sdesgd.gradient_noise.covariance import trace
from tests import exact

ETA, IN, CLASSES = 0.3, 2, 2
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(6, IN)), np.array([0, 1, 1, 0, 1, 0])


class Case:
    """A net with one tanh layer, its first N examples, groups of S or single examples."""

    def __init__(self, num_examples, batch_size, width, normalization, dropout):
        self.N, self.S, self.width = num_examples, batch_size, width
        self.coupled, self.dropout = normalization == "batch", dropout
        net = sg.nets.mlp(
            IN, CLASSES, width=width, activation=jnp.tanh, normalization=normalization, dropout=dropout, key=jr.key(2)
        )
        net = jax.tree.map(lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size, dtype=float)).reshape(x.shape), net)
        self.problem = sg.nets.finite_sum(net, X[:num_examples], Y[:num_examples], batch_size)
        self.theta, self.unravel = ravel_pytree(self.problem.moving())

    # -- the oracle -----------------------------------------------------------------------------------

    def loss(self, theta, rows, masks=None):
        """Mean cross-entropy of some examples in numpy; ravel_pytree's order: layers, then fields."""
        w, at = self.width, iter(np.split(theta, np.cumsum(self.sizes())))
        W, b = next(at).reshape(IN, w), next(at)
        scale, shift = (next(at), next(at)) if self.coupled else (1.0, 0.0)
        V, c = next(at).reshape(w, CLASSES), next(at)
        z = X[rows] @ W + b
        if self.coupled:
            mean = z.mean(axis=0)
            z = (z - mean) / np.sqrt(((z - mean) ** 2).mean(axis=0) + 1e-5) * scale + shift
        h = np.tanh(z)
        if masks is not None:
            h = h * masks / (1 - self.dropout)
        logits = h @ V + c
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(rows)), Y[rows]])

    def sizes(self):
        w = self.width
        return [IN * w, w, *([w, w] if self.coupled else []), w * CLASSES]

    def gradient(self, rows, masks=None, theta=None):
        theta = np.asarray(self.theta if theta is None else theta)
        steps = theta + 1e-30j * np.eye(len(theta))
        return np.array([self.loss(step, np.array(rows), masks).imag / 1e-30 for step in steps])

    def patterns(self, count):
        """All masks of ``count`` examples, equally likely at dropout ½; one None without dropout."""
        if not self.dropout:
            return [None]
        return [np.reshape(m, (count, self.width)) for m in itertools.product([0, 1], repeat=count * self.width)]

    def sgd_moments(self):
        """Mean and covariance of a minibatch gradient, over all subsets and all masks."""
        subsets = itertools.combinations(range(self.N), self.S)
        gradients = np.array([self.gradient(a, m) for a in subsets for m in self.patterns(self.S)])
        return exact.moments(gradients, np.full(len(gradients), 1 / len(gradients)))

    # -- the library's draws --------------------------------------------------------------------------

    def keys(self, mask_keys):
        """One key for each pair of a partition into groups and a pattern of masks.

        Args:
            mask_keys: key of the masks → the keys of the examples whose masks matter.
        """
        mask = sg.nets.Dropout(self.dropout) if self.dropout else None

        def pattern(key):
            groups, key_masks = self.problem._partition(key)
            # Masks belong to places in a group, so with them the order within a group counts.
            ordered = groups if mask is not None or groups is None else jnp.sort(groups, axis=1)
            parts = [] if ordered is None else [ordered.ravel()]
            if mask is not None:
                keys = jax.vmap(jr.fold_in, (0, None))(mask_keys(key_masks), 3 if self.coupled else 2)
                parts.append((mask(jnp.ones((len(keys), self.width)), keys) > 0).ravel().astype(int))
            return jnp.concatenate(parts)

        candidates = jax.vmap(jr.key)(jnp.arange(6000))
        found = np.asarray(jax.jit(jax.vmap(pattern))(candidates))
        _, first, counts = np.unique(found, axis=0, return_index=True, return_counts=True)
        spread = np.sum((counts / counts.mean() - 1) ** 2) * counts.mean()
        assert spread < len(counts) + 5 * np.sqrt(2 * len(counts)), "all patterns are there, and equally likely"
        return candidates[first]

    def step_moments(self, dynamics, numbers, weights, keys):
        """Moments of (θ − θ')/η after one step of the library over all these numbers and keys."""
        state = dynamics.init(self.problem, self.problem.params)

        def one(x, key):
            new = dynamics.advance(self.problem, state, MaskedDraw(x, key), jnp.asarray(0))
            return ravel_pytree(self.problem.moving(new.params))[0]

        new = jax.jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))(jnp.asarray(numbers), keys)
        moved = (np.asarray(self.theta) - np.asarray(new)).reshape(-1, len(self.theta)) / ETA
        return exact.moments(moved, np.tile(weights, len(keys)) / len(keys))

    def sgd_step(self, sampling="no_replacement"):
        units = self.S // self.problem.unit_size
        batches = exact.enumerate_indices(self.problem.num_units, units, sampling)
        if self.coupled:
            keys = self.keys(lambda k: jr.split(jr.split(k, units)[0], self.S))
        else:
            keys = self.keys(lambda k: jr.split(k, units))
        return self.step_moments(sg.SGD(ETA, self.S, sampling), batches, np.full(len(batches), 1 / len(batches)), keys)

    def gaussian_step(self, dynamics=None, scale=1.0):
        units = self.problem.num_units
        nodes, weights = exact.gauss_hermite(units, 3)
        if self.coupled:
            keys = self.keys(lambda k: jax.vmap(lambda j: jr.split(j, self.S))(jr.split(k, units)).ravel())
        else:
            keys = self.keys(lambda k: jr.split(k, units))
        if dynamics is None:
            dynamics = sg.GaussianSGD(ETA, self.S, "no_replacement")
        return self.step_moments(dynamics, scale * nodes[:, None, :], weights, keys)


CASES = {
    "batch norm, 3 groups of 2": Case(6, 2, 3, "batch", 0.0),
    "batch norm, 2 groups of 3": Case(6, 3, 2, "batch", 0.0),
    "dropout, S = 2 of 3": Case(3, 2, 2, "none", 0.5),
    "dropout, S = N": Case(3, 3, 2, "none", 0.5),
    "dropout, S = 1": Case(3, 1, 2, "none", 0.5),
    "batch norm and dropout": Case(4, 2, 1, "batch", 0.5),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def close(found, want):
    scale = np.abs(want[1]).max()
    np.testing.assert_allclose(found[0], want[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], want[1], rtol=1e-8, atol=1e-10 * scale)


@every_case
def test_one_step_of_sgd_over_all_groups_and_masks(case):
    close(case.sgd_step(), case.sgd_moments())


@pytest.mark.slow
@every_case
def test_gaussian_sgd_and_the_sdes_term_have_the_same_mean_and_covariance(case):
    close(case.gaussian_step(), case.sgd_moments())
    euler = sg.SDE(ETA, case.S, "no_replacement", solver=diffrax.Euler())
    close(case.gaussian_step(euler), case.sgd_moments())


@pytest.mark.parametrize("name", ["batch norm, 3 groups of 2", "batch norm, 2 groups of 3"])
def test_root_eta_over_s_in_place_of_the_units_own_scale_fails(name):
    """The trap: S counts examples, but a batch is one unit; the covariance would be too small by S."""
    case = CASES[name]
    mean, covariance = case.gaussian_step(scale=case.S**-0.5)
    want_mean, want_covariance = case.sgd_moments()
    np.testing.assert_allclose(mean, want_mean, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(covariance - want_covariance) > 0.3 * np.linalg.norm(want_covariance)


def test_group_sampling_with_replacement_is_the_same_for_one_group():
    case = CASES["batch norm, 3 groups of 2"]
    close(case.sgd_step("replacement"), case.sgd_moments())


def test_the_drift_depends_on_the_batch_size():
    """E of the group loss of pairs and of triples have different gradients."""
    pairs, triples = Case(6, 2, 3, "batch", 0.0), Case(6, 3, 3, "batch", 0.0)
    assert np.linalg.norm(pairs.sgd_moments()[0] - triples.sgd_moments()[0]) > 0.05


def test_the_two_parts_of_the_covariance_with_dropout():
    """(1/S)[f Cov_i(E_m ∇ℓ_i) + E_i Cov_m ∇ℓ_i]; at S = N the masks' part is what is left."""
    for name in ("dropout, S = 2 of 3", "dropout, S = N"):
        case = CASES[name]
        by_example = np.array([[case.gradient([i], m) for m in case.patterns(1)] for i in range(case.N)])
        between = exact.moments(by_example.mean(axis=1), np.full(case.N, 1 / case.N))[1]
        count = by_example.shape[1]
        within = np.mean([exact.moments(g, np.full(count, 1 / count))[1] for g in by_example], axis=0)
        f = exact.population_factor(case.N, case.S, "no_replacement")
        _, covariance = case.gaussian_step()
        np.testing.assert_allclose(covariance, (f * between + within) / case.S, atol=1e-12)
        if case.S == case.N:
            assert np.trace(covariance) == pytest.approx(np.trace(within) / case.N, rel=1e-9)
            assert np.trace(within) > 0.1 * np.trace(between)


@every_case
def test_trace_is_that_of_the_units_of_one_key(case):
    """tr C over the units of one partition and one draw of masks, and its mean over all of them."""
    units, problem = case.problem.num_units, case.problem
    explicit = eqx.filter_jit(lambda k: ravel_pytree(problem.unit_gradients(problem.params, jnp.arange(units), k))[0])
    found = eqx.filter_jit(lambda key: trace(problem, problem.params, key))
    key = jr.key(5)
    # ravel_pytree runs leaf by leaf, each with the axis of the units first.
    sizes, leaves = [x.size for x in jax.tree.leaves(problem.moving())], np.asarray(explicit(key))
    split = np.split(leaves, np.cumsum([units * n for n in sizes])[:-1])
    gradients = np.concatenate([part.reshape(units, -1) for part in split], axis=1)
    deviations = gradients - gradients.mean(axis=0)
    assert float(found(key)) == pytest.approx(np.sum(deviations**2) / units, rel=1e-9)
    if case.coupled:
        keys = case.keys(lambda k: jax.vmap(lambda j: jr.split(j, case.S))(jr.split(k, units)).ravel())
        drift = eqx.filter_jit(lambda key: ravel_pytree(problem.gradient(problem.params, key))[0])
        drifts = [drift(key) for key in keys]
        between = np.trace(exact.moments(drifts, np.full(len(drifts), 1 / len(drifts)))[1])
        mean_trace = np.mean([float(found(key)) for key in keys])
        assert mean_trace + between == pytest.approx(np.trace(case.sgd_moments()[1]), rel=1e-9)


# -- an Itô equation, although the drift is random ---------------------------------------------------------


class Slopes:
    """ℓ(θ) = ½ mθ² with a random m: by dropout (0 or 2), or a group's own. Geometric Brownian motion, S = 1 in units.

    dθ = −E[m] θ dt + √(η Var m) θ dW:  E θ = e^{−E[m] t},  E θ² = e^{(−2 E[m] + η Var m) t}
    """

    def __init__(self, kind):
        if kind == "masks":
            loss = lambda w, x, key: x * jr.bernoulli(key).astype(w.dtype) * w**2  # noqa: E731
            self.problem = sg.Problem(loss, jnp.asarray(1.0), np.ones(1), stochastic=True)
            values, self.S = np.array([0.0, 2.0]), 1
        else:
            x = np.array([1.4, 0.1, -0.6, 0.4])
            self.problem = sg.Problem(lambda w, x: 0.5 * (x[0] - x[1]) ** 2 * w**2, jnp.asarray(1.0), x, unit_size=2)
            values, self.S = np.array([(a - b) ** 2 for a, b in itertools.combinations(x, 2)]), 2
        self.mean, self.variance = values.mean(), values.var()

    def moments(self, dynamics, num_steps, replicas=60_000):
        """E θ and E θ² with their standard errors."""
        out = sg.simulate(
            dynamics,
            self.problem,
            num_steps=num_steps,
            save_every=num_steps,
            replicas=replicas,
            key=jr.key(3),
            observables={"moments": lambda w: jnp.stack([w, w**2])},
        )
        last = out.values["moments"][:, -1]
        return last.mean(axis=0), last.std(axis=0) / np.sqrt(replicas)


@pytest.mark.parametrize("kind", ["masks", "groups"])
def test_with_masks_and_groups_the_sde_is_itos(kind):
    """Frozen for a step, they would make a Stratonovich limit, off by as much as SGD is: see GradientFlowTerm."""
    case, eta, steps = Slopes(kind), 0.2, 5
    t = eta * steps
    ito = np.exp([-case.mean * t, (-2 * case.mean + eta * case.variance) * t])
    found, error = case.moments(sg.SDE(eta, case.S, "no_replacement"), steps)
    # one step's second moment is off by ε⁴h²/2 (relative), ε² = η Var m: the integrator's own
    own = np.array([0.0, steps * (eta * case.variance) ** 2 * eta**2])
    assert (np.abs(found - ito) < 4.5 * error + own * ito).all()
    sgd = np.array([1 - eta * case.mean, (1 - eta * case.mean) ** 2 + eta**2 * case.variance]) ** steps
    assert (np.abs(sgd - ito) > 9 * error).all(), "what is to be told apart"
    frozen = math.exp(-case.mean * t + 0.5 * eta * case.variance * t)  # Stratonovich, all of the noise in m
    assert frozen - ito[0] > 20 * error[0]


@pytest.mark.parametrize("kind", ["masks", "groups"])
@pytest.mark.parametrize("substeps", [1, 4])
def test_euler_substeps_share_the_covariance_of_masks_and_groups(kind, substeps):
    """Each substep has mean 1 − hE[m] and variance hη Var m, whatever part of it is the partition's."""
    case, eta, steps = Slopes(kind), 0.2, 4
    h = eta / substeps
    dynamics = sg.SDE(eta, case.S, "no_replacement", solver=diffrax.Euler(), substeps=substeps)
    found, error = case.moments(dynamics, steps)
    own = np.array([1 - h * case.mean, (1 - h * case.mean) ** 2 + h * eta * case.variance]) ** (steps * substeps)
    assert (np.abs(found - own) < 4.5 * error).all()


@pytest.mark.parametrize("kind", ["masks", "groups"])
def test_the_predicted_gap_is_that_to_the_ito_equation(kind):
    """Gaussian SGD's mean is (1 − η E[m])ⁿ, the equation's e^{−E[m] t}."""
    case, eta, steps = Slopes(kind), 0.2, 5
    gap = sg.predict_gap(
        case.problem,
        eta,
        case.S,
        sampling="no_replacement",
        num_steps=steps,
        save_every=steps,
        replicas=20_000,
        key=jr.key(4),
        observables={"theta": lambda w: w},
    )
    exact_gap = (1 - eta * case.mean) ** steps - math.exp(-case.mean * eta * steps)
    integrator = steps * (eta * case.mean) ** 4 / 24 * math.exp(-case.mean * eta * steps)
    assert abs(gap.mean["theta"][1] - exact_gap) < 4.5 * gap.standard_error["theta"][1] + integrator
    assert abs(exact_gap) > 10 * gap.standard_error["theta"][1]


# -- fresh with each step ----------------------------------------------------------------------------------


def test_groups_are_fresh_with_each_step():
    case = CASES["batch norm, 3 groups of 2"]
    for dynamics in (sg.SGD(ETA, 2), sg.GaussianSGD(ETA, 2), sg.SDE(ETA, 2), sg.SVAG(ETA, 2, 2)):
        state = dynamics.init(case.problem, case.problem.params)
        keys = [dynamics.draw(case.problem, state, jr.fold_in(jr.key(0), n), jnp.asarray(n)).key for n in range(8)]
        flat = [k for key in keys for k in key.ravel()]
        partitions = {tuple(np.asarray(case.problem._partition(k)[0]).ravel()) for k in flat}
        assert len(partitions) > 0.9 * len(flat)


def test_an_epoch_of_reshuffled_groups_uses_each_example_once():
    """With a loss that is linear in θ and sums what it was shown, an epoch's move counts the examples."""
    problem = sg.Problem(lambda w, x: jnp.mean(x @ w), jnp.zeros(6), np.eye(6), unit_size=2)
    out = sg.simulate(
        sg.SGD(1.0, 2, "reshuffle"), problem, num_steps=6, replicas=3, key=jr.key(0), observables={"w": lambda w: w}
    )
    moves = np.diff(out.values["w"], axis=1)
    np.testing.assert_allclose(out.values["w"][:, 3], -0.5, err_msg="each example once an epoch, with 1/S")
    np.testing.assert_allclose(out.values["w"][:, 6], -1.0)
    assert (np.sum(moves != 0, axis=2) == 2).all()
    assert not np.allclose(moves[:, :3], moves[:, 3:]), "a new partition each epoch"
