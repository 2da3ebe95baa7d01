"""Minima by many starts: against another optimiser, enumeration of symmetric copies, counts by maxima, quadrature."""

import dataclasses
import functools
import itertools
import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import integrate, optimize

from sdesgd import nets, toys
from sdesgd.basins.minima import find_minima, minima_of
from sdesgd.basins.symmetry import UnitSymmetry, tanh_symmetry
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, flat, landscape_of
from sdesgd.problem import Problem

DECAY = 1e-3


class DecayedError(eqx.Module):
    """ℓ_i = ½(z_i − y_i)² + (λ/2)|θ|²; with a preference for positive weights where ``lean`` isn't 0."""

    decay: float
    lean: float = 0.0

    def __call__(self, net, batch):
        inputs, targets = batch
        theta = flat(net)
        return nets.squared_error(net(inputs), targets) + self.decay / 2 * jnp.sum((theta - self.lean) ** 2)


@functools.cache
def net():
    return nets.mlp(1, 1, width=2, activation=jnp.tanh, key=jr.key(0))


def sine():
    """64 points of sin 2πx on [−1, 1], with noise of standard deviation 0.1."""
    x = np.linspace(-1, 1, 64)
    return x, np.sin(2 * np.pi * x) + 0.1 * np.random.default_rng(0).normal(size=64)


@functools.cache
def landscape(lean=0.0):
    x, y = sine()
    return landscape_of(Problem(DecayedError(DECAY, lean), net(), (x[:, None], y), batched=True))


@functools.cache
def found():
    starts = 2 * np.random.default_rng(11).normal(size=(320, 7))
    return find_minima(landscape(), starts, tanh_symmetry(net()))


def loss_and_gradient(theta):
    """The same in numpy, by hand: θ = (w_1, w_2, b_1, b_2, a_1, a_2, c)."""
    x, y = sine()
    w, b, a, c = theta[:2], theta[2:4], theta[4:6], theta[6]
    h = np.tanh(np.outer(x, w) + b)
    r = h @ a + c - y
    back = r[:, None] * a * (1 - h**2) / len(x)
    gradient = np.concatenate([x @ back, back.sum(axis=0), r @ h / len(x), [r.mean()]]) + DECAY * theta
    return np.mean(r**2) / 2 + DECAY / 2 * theta @ theta, gradient


def hessian(theta, step=1e-5):
    """By central differences of the gradient."""
    rows = [
        (loss_and_gradient(theta + step * e)[1] - loss_and_gradient(theta - step * e)[1]) / (2 * step)
        for e in np.eye(len(theta))
    ]
    return (np.array(rows) + np.array(rows).T) / 2


def copies(theta):
    """The different vectors that permutations of the two units and changes of their signs make."""
    made = []
    for order, s, t in itertools.product(([0, 1], [1, 0]), (1, -1), (1, -1)):
        signs = np.array([s, t])
        image = np.concatenate(
            [signs * theta[:2][order], signs * theta[2:4][order], signs * theta[4:6][order], theta[6:]]
        )
        if all(np.linalg.norm(image - other) > 1e-4 for other in made):
            made.append(image)
    return made


@pytest.mark.slow
def test_the_two_unit_net_has_five_minima():
    """All that 100 runs of BFGS find, and no others: their losses, spectra and numbers of copies."""
    rng, others = np.random.default_rng(5), []
    for _ in range(100):
        end = optimize.minimize(
            loss_and_gradient, 2 * rng.normal(size=7), jac=True, method="BFGS", options={"gtol": 1e-7}
        )
        theta = optimize.root(lambda z: loss_and_gradient(z)[1], end.x, jac=hessian, tol=1e-13).x
        if np.linalg.norm(theta - end.x) > 1e-2 or np.linalg.eigvalsh(hessian(theta))[0] <= 0:
            continue  # a saddle
        if not any(np.linalg.norm(image - other) < 1e-5 for image in copies(theta) for other in others):
            others.append(theta)
    others.sort(key=lambda z: loss_and_gradient(z)[0])
    minima = found()
    assert len(minima) == len(others) == 5
    np.testing.assert_allclose(minima.losses, [loss_and_gradient(z)[0] for z in others], rtol=1e-10)
    np.testing.assert_allclose(minima.losses, [0.0759, 0.1766, 0.2048, 0.2175, 0.2231], atol=1e-4)
    np.testing.assert_allclose(minima.spectra, [np.linalg.eigvalsh(hessian(z)) for z in others], rtol=1e-4, atol=1e-8)
    np.testing.assert_array_equal(minima.multiplicities, [len(copies(z)) for z in others])
    np.testing.assert_array_equal(minima.multiplicities, [8, 8, 8, 8, 4])
    assert minima.hits.sum() == 320
    assert minima.hits.min() >= 10
    for theta in minima.points:
        assert np.linalg.norm(loss_and_gradient(theta)[1]) < 1e-10


def test_assigning_copies_and_strangers():
    minima = found()
    moved = [(k, image + 1e-3) for k, theta in enumerate(minima.points) for image in copies(theta)]
    labels, points = np.array([k for k, _ in moved]), np.array([p for _, p in moved])
    np.testing.assert_array_equal(minima.assign(points), labels)
    names = ("points", "losses", "spectra", "multiplicities", "hits")
    fewer = dataclasses.replace(minima, **{name: getattr(minima, name)[1:] for name in names})
    np.testing.assert_array_equal(fewer.assign(points), labels - 1)
    np.testing.assert_array_equal(minima.match(np.full((2, 7), np.nan)), -1)
    np.testing.assert_array_equal(minima.match(points), -1)
    for k in range(5):
        np.testing.assert_allclose(sorted(map(tuple, minima.copies(k))), sorted(map(tuple, copies(minima.points[k]))))


def test_without_the_symmetry_copies_are_minima_of_their_own():
    """64 starts that find each class with one copy or several; the classes are those of the symmetry."""
    starts = 2 * np.random.default_rng(11).normal(size=(64, 7))
    plain = find_minima(landscape(), starts)
    assert len(plain) > 12
    assert set(np.round(plain.losses, 8)) <= set(np.round(found().losses, 8))
    np.testing.assert_array_equal(plain.multiplicities, 1)
    assert (found().match(plain.points) >= 0).all()


@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.1])
def test_laplace_is_the_sum_over_all_copies(temperature):
    """Each copy with a determinant of its own; D = 7 Gaussian integrals of numbers, not of logarithms."""
    minima = found()
    weights = [
        sum(
            math.exp(-loss_and_gradient(z)[0] / temperature)
            * math.sqrt((2 * math.pi * temperature) ** 7 / np.linalg.det(hessian(z)))
            for z in copies(theta)
        )
        for theta in minima.points
    ]
    np.testing.assert_allclose(minima.laplace(temperature), np.array(weights) / sum(weights), rtol=1e-4)
    np.testing.assert_allclose(np.exp(minima.log_weights(temperature)), weights, rtol=1e-4)
    assert minima.laplace(temperature).sum() == pytest.approx(1)


def test_the_loss_is_that_of_finite_sum_plus_the_decay():
    x, y = sine()
    bare = landscape_of(nets.finite_sum(net(), x[:, None], y, loss=nets.squared_error))
    theta = np.random.default_rng(0).normal(size=7)
    expected = float(bare.value(jnp.asarray(theta))) + DECAY / 2 * theta @ theta
    assert float(landscape().value(jnp.asarray(theta))) == pytest.approx(expected, rel=1e-12)
    assert loss_and_gradient(theta)[0] == pytest.approx(expected, rel=1e-12)


# -- one dimension -------------------------------------------------------------------------------------------


def rugged(x):
    return x**2 / 20 + np.cos(3 * x) / 5 + np.sin(5 * x) / 10


def test_all_minima_of_a_rugged_line_and_the_widths_of_their_basins():
    """Sobol starts fill the box evenly, so hits are basin widths: each within two starts of its share of 128."""
    grid = np.linspace(-5, 5, 200_001)
    values = rugged(grid)
    inner = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])) + 1
    tops = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1
    minima = minima_of(toys.potential("rugged"))
    lowest = sorted(minima.points[:, 0])
    assert lowest[0] < -5  # its basin reaches into the box, the minimum doesn't
    np.testing.assert_allclose(lowest[1:], grid[inner], atol=1e-4)
    edges = np.concatenate([[-5], grid[tops], [5]])
    hits = minima.hits[np.argsort(minima.points[:, 0])]
    np.testing.assert_allclose(hits, 12.8 * np.diff(edges), atol=2)
    np.testing.assert_allclose(minima.losses, rugged(minima.points[:, 0]), rtol=1e-12)
    assert (np.diff(minima.losses) > 0).all()


def test_laplace_tends_to_quadrature():
    """Odds of the two wells: the relative error is O(T), so it halves with T."""
    potential = toys.potential("unequal-depth")
    minima = minima_of(potential)

    def density(x, temperature):
        return math.exp(-((x**2 - 1) ** 2 / 4 + x / 20 + 0.06) / temperature)

    top = optimize.brentq(lambda x: x**3 - x + 1 / 20, -0.5, 0.5)
    errors = []
    for temperature in (0.01, 0.005, 0.0025):
        left, right = (
            integrate.quad(density, a, b, args=(temperature,), points=[c], epsabs=0, epsrel=1e-11, limit=200)[0]
            for a, b, c in ((-3, top, -1), (top, 3, 1))
        )
        p = minima.laplace(temperature)
        assert minima.points[0, 0] < 0
        errors.append(math.log(p[0] / p[1]) - math.log(left / right))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.15)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.15)
    assert abs(errors[2]) < 0.002


def test_a_named_minimum_and_further_starts():
    wells = toys.potential("four-wells")
    minima = minima_of(wells)
    assert len(minima) == 4
    np.testing.assert_array_equal(minima.hits, 1)
    more = minima_of(wells, starts=60)
    np.testing.assert_allclose(more.points, minima.points, atol=1e-9)
    assert more.hits.sum() == 64


# -- bad input -----------------------------------------------------------------------------------------------


def bowl(theta):
    return jnp.sum(theta**2) / 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: minima_of(toys.potential("ring")),
            "ring has a degenerate minimum .* with 1 zero modes of 2.*add weight decay, leave the flat direction out, "
            "or use orbit_laplace_weight for a compact isometric",
        ),
        (lambda: find_minima(toys.potential("ring"), [[0.0, 0.0]]), "of 1 starts on ring, 1 rest on a saddle or a max"),
        (lambda: find_minima(Landscape("a bowl", bowl, 2), np.zeros((0, 2))), "0 starts: pass at least one"),
        (lambda: find_minima(Landscape("a bowl", bowl, 2), [[1.0]]), r"points have shape \(1, 1\)"),
        (lambda: found().laplace(0), "temperature is 0: pass T > 0"),
        (lambda: found().laplace(-0.1), "temperature is -0.1: pass T > 0"),
        (lambda: found().log_weights(float("nan")), "temperature is nan: pass T > 0"),
        (
            lambda: find_minima(landscape(0.3), np.random.default_rng(0).normal(size=(3, 7)), tanh_symmetry(net())),
            "the loss changes by .* under the symmetry: pass one that it has",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_tie_between_representatives_is_no_second_minimum():
    """(1, −1) and (−1, 1): of two coordinates equally large, rounding picks the one that is made positive."""

    def value(theta):
        return ((theta[0] - theta[1]) ** 2 - 4) ** 2 / 8 + (theta[0] + theta[1]) ** 2

    mirrored = UnitSymmetry(np.array([[0, 1]]), flips=True)
    starts = np.random.default_rng(0).normal(size=(24, 2))
    found = find_minima(Landscape("a tie", value, 2), starts, mirrored)
    assert len(found) == 1
    assert found.hits.tolist() == [24]
    assert found.multiplicities.tolist() == [2]
    np.testing.assert_array_equal(found.assign([[1.0, -0.9], [-0.9, 1.0]]), 0)
