"""Finite symmetries of a loss, and how many copies of a minimum they make."""

import dataclasses
import itertools
import math
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int
from scipy import optimize

from sdesgd.errors import InputError, shown
from sdesgd.nets.layers import Activation, Dense
from sdesgd.nets.models import Net

# Images are written out for groups up to this order: seven units with permutations, five with signs too.
LARGEST_ORDER = 10_000


@runtime_checkable
class Symmetry(Protocol):
    """A finite group G of orthogonal maps that leave the loss unchanged. Points are flat vectors.

    The weight of a class of minima is |G|/|Stab θ| times that of one of them: claim ``discrete-symmetry-multiplicity``.
    """

    @property
    def order(self) -> int:
        """|G|."""
        ...

    def images(self, theta: Any) -> Float[np.ndarray, "order D"]:
        """gθ for each g, the identity first; repeats where a g fixes θ."""
        ...

    def canonical(self, points: Any) -> Float[np.ndarray, "K D"]:
        """One representative of each point's orbit, the same for all of the orbit up to rounding near ties."""
        ...

    def distances(self, points: Any, theta: Any) -> Float[np.ndarray, " K"]:
        """min over g of |gx − θ| for each point x."""
        ...

    def multiplicity(self, theta: Any, tolerance: float = 1e-5) -> int:
        """|G|/|Stab θ|, the number of different images; those closer than the tolerance count as one."""
        ...


@dataclasses.dataclass(frozen=True)
class NoSymmetry:
    """The identity alone."""

    @property
    def order(self) -> int:
        """1."""
        return 1

    def images(self, theta: Any) -> Float[np.ndarray, "1 D"]:
        """θ."""
        return np.asarray(theta, float)[None]

    def canonical(self, points: Any) -> Float[np.ndarray, "K D"]:
        """The points themselves."""
        return np.asarray(points, float)

    def distances(self, points: Any, theta: Any) -> Float[np.ndarray, " K"]:
        """|x − θ|."""
        return np.linalg.norm(np.asarray(points, float) - np.asarray(theta, float), axis=1)

    def multiplicity(self, theta: Any, tolerance: float = 1e-5) -> int:
        """1."""
        return 1


@dataclasses.dataclass(frozen=True, eq=False)
class UnitSymmetry:
    """Permutations of the hidden units of one layer, with or without a change of sign of each: of order n! or 2ⁿ n!.

    A unit is the row of coordinates that belong to it: incoming weights, bias, outgoing weights. An odd activation
    lets all of them change sign together.

    Attributes:
        units: (n, k), the places of each unit's coordinates in the flat vector.
        flips: whether the signs may change.
    """

    units: Int[np.ndarray, "n k"]
    flips: bool

    @property
    def order(self) -> int:
        """n!, or 2ⁿ n!."""
        n = len(self.units)
        return math.factorial(n) * (2**n if self.flips else 1)

    def images(self, theta: Any) -> Float[np.ndarray, "order D"]:
        """gθ for each g, the identity first; repeats where a g fixes θ.

        Raises:
            InputError: more than 10,000 of them.
        """
        if self.order > LARGEST_ORDER:
            raise InputError(
                f"the group of {len(self.units)} units has {self.order} elements: use distances and multiplicity, "
                "which don't write them out"
            )
        theta, n = np.asarray(theta, float), len(self.units)
        signs = list(itertools.product((1.0, -1.0), repeat=n)) if self.flips else [(1.0,) * n]
        images = []
        for permutation, sign in itertools.product(itertools.permutations(range(n)), signs):
            image = theta.copy()
            image[self.units] = np.array(sign)[:, None] * theta[self.units[list(permutation)]]
            images.append(image)
        return np.array(images)

    def canonical(self, points: Any) -> Float[np.ndarray, "K D"]:
        """Each unit with its largest coordinate positive, and units in lexicographic order.

        Rounding decides near ties, where two images of one point may become two representatives: ``distances`` tells.
        """
        points = np.array(points, float)
        for theta in points:
            rows = theta[self.units]
            if self.flips:
                largest = np.abs(rows).argmax(axis=1)
                rows = rows * np.where(rows[np.arange(len(rows)), largest] < 0, -1.0, 1.0)[:, None]
            theta[self.units] = rows[np.lexsort(rows.T[::-1])]
        return points

    def distances(self, points: Any, theta: Any) -> Float[np.ndarray, " K"]:
        """min over g of |gx − θ| for each point x, exact for any number of units: an assignment problem."""
        points, theta = np.asarray(points, float), np.asarray(theta, float)
        mine = theta[self.units]
        others = np.setdiff1d(np.arange(len(theta)), self.units)
        fixed = np.sum((points[:, others] - theta[others]) ** 2, axis=1)
        found = np.empty(len(points))
        for k, rows in enumerate(points[:, self.units]):
            cost = np.sum((rows[:, None] - mine[None]) ** 2, axis=2)
            if self.flips:
                cost = np.minimum(cost, np.sum((rows[:, None] + mine[None]) ** 2, axis=2))
            found[k] = cost[optimize.linear_sum_assignment(cost)].sum() + fixed[k]
        return np.sqrt(found)

    def multiplicity(self, theta: Any, tolerance: float = 1e-5) -> int:
        """|G|/|Stab θ|. Units alike (up to sign) may be permuted, and zero units flipped, without a change.

        Source: claim ``discrete-symmetry-multiplicity``.
        """
        rows = np.asarray(theta, float)[self.units]
        zero = np.linalg.norm(rows, axis=1) <= tolerance if self.flips else np.zeros(len(rows), bool)
        zeros = int(zero.sum())
        left, fixed = list(rows[~zero]), math.factorial(zeros) * 2**zeros
        while left:
            first = left[0]
            alike = [
                np.linalg.norm(row - first) <= tolerance
                or (self.flips and bool(np.linalg.norm(row + first) <= tolerance))
                for row in left
            ]
            fixed *= math.factorial(int(sum(alike)))
            left = [row for row, same in zip(left, alike, strict=True) if not same]
        return self.order // fixed


def tanh_symmetry(net: Net) -> UnitSymmetry:
    """Permutations and sign flips of the hidden units: −a tanh(−w·x − b) = a tanh(w·x + b). Of order 2ⁿ n!.

    They leave a loss unchanged that depends on the net's outputs, and weight decay too.

    Args:
        net: of ``nets.mlp`` with one hidden layer, without normalization or dropout, of an odd activation.

    Raises:
        InputError: another net; an activation that isn't odd.
    """
    units, function = _one_hidden_layer(net)
    x = jnp.linspace(0.1, 3.0, 7)
    if not bool(jnp.allclose(function(-x), -function(x), rtol=1e-6, atol=1e-6)):
        raise InputError("the activation is not odd, so units have no sign flips: use unit_permutations(net)")
    return UnitSymmetry(units, flips=True)


def unit_permutations(net: Net) -> UnitSymmetry:
    """Permutations of the hidden units, which every activation has. Of order n!.

    Args:
        net: of ``nets.mlp`` with one hidden layer, without normalization or dropout.

    Raises:
        InputError: another net.
    """
    return UnitSymmetry(_one_hidden_layer(net)[0], flips=False)


def relu_symmetry(net: Net) -> UnitSymmetry:
    """Refuses: a ReLU net's rescaling (w, b, a) → (cw, cb, a/c), c > 0, gives no weight to a class of minima.

    Raises:
        InputError: always, with the remedy.

    Source: claim ``relu-rescaling``; Dinh et al. 2017.
    """
    raise InputError(
        "ReLU rescaling is neither compact nor isometric, so an orbit of minima has no finite weight and its points "
        "have different Hessians: add weight decay, which breaks it, and then use unit_permutations(net)"
    )


def _one_hidden_layer(net: Net) -> tuple[Int[np.ndarray, "n k"], Any]:
    """Places of each unit's coordinates in the flat vector, and the activation."""
    if not isinstance(net, Net):
        raise InputError(f"net is {shown(net)}: pass one of nets.mlp")
    kinds = [type(layer) for layer in net.layers]
    if kinds != [Dense, Activation, Dense]:
        found = ", ".join(kind.__name__ for kind in kinds)
        raise InputError(f"the net's layers are {found}: pass one with a single hidden layer, Dense, Activation, Dense")
    moving, fixed = eqx.partition(net, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(moving)
    places = eqx.combine(unravel(jnp.arange(len(vector), dtype=vector.dtype)), fixed)
    first, activation, last = places.layers
    rows = np.concatenate([first.weight.T, first.bias[:, None], last.weight], axis=1)
    return np.rint(rows).astype(int), activation.function
