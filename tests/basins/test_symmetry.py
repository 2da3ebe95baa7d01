"""Symmetries of nets: against the nets' outputs, and against orbits enumerated unit by unit."""

import functools
import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from sdesgd import nets
from sdesgd.basins.symmetry import NoSymmetry, Symmetry, UnitSymmetry, relu_symmetry, tanh_symmetry, unit_permutations
from sdesgd.errors import InputError
from sdesgd.landscape import flat, landscape_of

IN, OUT = 2, 3
BIAS = np.array([0.3, -1.0, 2.0])


@functools.cache
def mlp(width, activation=jnp.tanh, **kind):
    return nets.mlp(IN, OUT, width=width, activation=activation, key=jr.key(1), **kind)


@functools.cache
def symmetry_of(width, flips):
    return tanh_symmetry(mlp(width)) if flips else unit_permutations(mlp(width))


def vector(units):
    """The flat vector of a net with these units, rows (w_1, w_2, b, a_1, a_2, a_3)."""
    units = np.asarray(units, float)
    return np.concatenate([units[:, :2].T.ravel(), units[:, 2], units[:, 3:].ravel(), BIAS])


def outputs(theta, inputs):
    """tanh(x W + b) A + c in numpy."""
    h = (len(theta) - OUT) // 6
    w, b, a = theta[: 2 * h].reshape(2, h), theta[2 * h : 3 * h], theta[3 * h : 6 * h].reshape(h, OUT)
    return np.tanh(inputs @ w + b) @ a + theta[6 * h :]


def orbit(units, flips=True):
    """All arrangements of the units, (order, width, 6), in plain loops."""
    found = []
    for permutation in itertools.permutations(range(len(units))):
        for signs in itertools.product((1, -1) if flips else (1,), repeat=len(units)):
            found.append([[s * x for x in units[i]] for i, s in zip(permutation, signs, strict=True)])
    return np.array(found, float)


def distinct(points):
    return len({tuple(np.round(p.ravel(), 6) + 0.0) for p in points})


def random_units(width, seed=0):
    return np.random.default_rng(seed).normal(size=(width, 6))


@pytest.mark.parametrize(("width", "flips", "order"), [(1, True, 2), (2, True, 8), (3, True, 48), (3, False, 6)])
def test_images_are_the_orbit_and_leave_the_outputs_alone(width, flips, order):
    units, symmetry = random_units(width), symmetry_of(width, flips)
    images = symmetry.images(vector(units))
    assert symmetry.order == len(images) == order
    assert {tuple(i) for i in images} == {tuple(vector(u)) for u in orbit(units, flips)}
    np.testing.assert_array_equal(images[0], vector(units))
    inputs = np.random.default_rng(2).normal(size=(5, IN))
    for image in images:
        np.testing.assert_allclose(outputs(image, inputs), outputs(images[0], inputs), atol=1e-12)


def test_the_flat_vector_of_a_net_is_what_these_tests_take_it_for():
    net, inputs = mlp(3), np.random.default_rng(2).normal(size=(5, IN))
    np.testing.assert_allclose(outputs(np.asarray(flat(net)), inputs), net(jnp.asarray(inputs)), rtol=1e-6)


A, B = (1.0, 2.0, 0.5, -1.0, 0.2, 3.0), (3.0, -1.0, 0.0, 0.4, 1.0, 1.0)
C, ZERO = (2.0, 5.0, -1.0, 1.0, 0.0, 0.7), (0.0,) * 6
MINUS_A = tuple(-x for x in A)
NEARLY_A = tuple(x + 1e-7 for x in A)


@pytest.mark.parametrize(
    "units",
    [
        (A, B),
        (A, A),
        (A, MINUS_A),
        (A, ZERO),
        (ZERO, ZERO),
        (A, B, C),
        (A, NEARLY_A, B),
        (A, MINUS_A, ZERO),
        (MINUS_A, A, A),
        (A, ZERO, ZERO),
        (A, B, A, MINUS_A),
        (A, B, MINUS_A, ZERO),
        (ZERO, ZERO, ZERO, ZERO),
    ],
)
@pytest.mark.parametrize("flips", [True, False])
def test_multiplicity_is_the_number_of_different_images(units, flips):
    assert symmetry_of(len(units), flips).multiplicity(vector(units)) == distinct(orbit(units, flips))


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("width", [2, 3])
def test_distances_and_representatives(width, flips):
    """distances is the least over all images; canonical is one and the same for all of an orbit, and of the orbit."""
    symmetry, theta = symmetry_of(width, flips), vector(random_units(width))
    others = np.random.default_rng(1).normal(size=(20, len(theta)))
    least = [np.linalg.norm(symmetry.images(x) - theta, axis=1).min() for x in others]
    np.testing.assert_allclose(symmetry.distances(others, theta), least, rtol=1e-12)
    images = symmetry.images(theta)
    np.testing.assert_allclose(symmetry.distances(images, theta), 0, atol=1e-12)
    representative = symmetry.canonical(theta[None])
    np.testing.assert_array_equal(symmetry.canonical(images), np.broadcast_to(representative, images.shape))
    assert np.abs(images - representative).max(axis=1).min() == 0


def test_no_symmetry():
    none = NoSymmetry()
    assert isinstance(none, Symmetry)
    assert isinstance(tanh_symmetry(mlp(2)), Symmetry)
    points = np.arange(6.0).reshape(3, 2)
    assert none.order == none.multiplicity(points[0]) == 1
    np.testing.assert_array_equal(none.canonical(points), points)
    np.testing.assert_array_equal(none.images(points[1]), points[1:2])
    np.testing.assert_allclose(none.distances(points, points[0]), [0, 8**0.5, 32**0.5])


def test_wide_layers_need_no_enumeration():
    units, symmetry = random_units(12), symmetry_of(12, True)
    theta, shuffled = vector(units), vector(-units[::-1])
    np.testing.assert_allclose(symmetry.distances(shuffled[None], theta), 0, atol=1e-12)
    assert symmetry.multiplicity(theta) == 479001600 * 2**12
    with pytest.raises(InputError, match="12 units has 1961990553600 elements: use distances"):
        symmetry.images(theta)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: relu_symmetry(mlp(2, jax.nn.relu)), "neither compact nor isometric.*weight decay.*unit_permutations"),
        (lambda: tanh_symmetry(mlp(2, jax.nn.relu)), "activation is not odd.*use unit_permutations"),
        (lambda: tanh_symmetry(mlp(2, jax.nn.sigmoid)), "activation is not odd"),
        (lambda: tanh_symmetry(mlp(2, depth=2)), "pass one with a single hidden layer"),
        (lambda: unit_permutations(mlp(2, depth=0)), "layers are Dense: pass one with a single hidden layer"),
        (lambda: unit_permutations(mlp(2, normalization="batch")), "layers are Dense, BatchNorm"),
        (lambda: tanh_symmetry(mlp(2, dropout=0.5)), "Dropout"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_relu_has_permutations():
    """Sign flips would change a ReLU net."""
    net = mlp(2, jax.nn.relu)
    inputs = np.random.default_rng(2).normal(size=(7, IN))
    value = landscape_of(nets.finite_sum(net, inputs, np.ones((7, OUT)), loss=nets.squared_error)).value
    images = unit_permutations(net).images(flat(net))
    flipped = UnitSymmetry(unit_permutations(net).units, flips=True).images(flat(net))[1:2]
    first, second, other = jax.vmap(value)(jnp.asarray(np.concatenate([images, flipped])))
    assert float(second) == pytest.approx(float(first), rel=1e-12)
    assert abs(float(other) - float(first)) > 1e-3
