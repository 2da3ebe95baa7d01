"""The exact law of SGD itself at finite η, in one and two dimensions: no Monte Carlo, no SDE.

One step is the Markov kernel (Kf)(θ) = Σ_b p_b f(θ − η g_b(θ)) over all batches b. On a grid f is interpolated (cubic
Lagrange, an error of O(spacing⁴) for smooth f), and K becomes a sparse matrix with rows of sum 1.
"""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import sparse
from scipy.sparse import linalg

from sdesgd import freshness, inputs
from sdesgd.dynamics.protocol import finite_population_factor
from sdesgd.dynamics.sgd import SGD, GaussianSGD
from sdesgd.errors import InputError, shown
from sdesgd.landscape import as_box
from sdesgd.problem import Problem
from sdesgd.types import Box

_MAX_BATCHES = 20_000
# Nodes of the Gaussian batch in one dimension: exact up to the 31st moment.
_GAUSSIAN_NODES = 16
# A chain that takes longer to be absorbed differs from one that never is by rounding.
_MOST_STEPS = 1e12


@dataclasses.dataclass(frozen=True, repr=False)
class TransferOperator:
    """One SGD step as a matrix on a grid.

    Attributes:
        matrix: (G, G), sparse; row x holds the law of the next point from x.
        points: (G, D), the grid.
        shape: points along each axis.
        outside: (G,), the probability of leaving the box in one step, which is put back onto its edge.
    """

    matrix: sparse.csr_array
    points: Float[np.ndarray, "G D"]
    shape: tuple[int, ...]
    outside: Float[np.ndarray, " G"]

    def __repr__(self) -> str:
        grid = " × ".join(str(n) for n in self.shape)
        return f"one SGD step as a matrix on a grid of {grid} points, {self.matrix.nnz:,} entries that aren't 0"

    def stationary(self) -> Float[np.ndarray, " G"]:
        """π, (G,): π K = π, with sum 1. Cubic interpolation may leave values of the size of its error below 0.

        Raises:
            InputError: more than 1e−6 of the mass leaves the box each step: enlarge it; no one law is stationary.
        """
        G = len(self.points)
        # π (K − I) = 0 with one equation replaced by Σ π = 1.
        system = sparse.vstack([(self.matrix.T - sparse.identity(G))[:-1], np.ones((1, G))]).tocsc()
        right = np.zeros(G)
        right[-1] = 1
        try:
            law = linalg.splu(system).solve(right)
        except RuntimeError:  # exactly singular
            law = np.full(G, np.nan)
        if not np.isfinite(law).all():
            raise InputError("no one law is stationary: parts of the box are never left for others; enlarge the noise")
        lost = float(law @ self.outside)
        if lost > 1e-6:
            raise InputError(f"{lost:.2g} of the stationary mass leaves the box each step: enlarge the box")
        return law

    def relaxation_steps(self) -> float:
        """−1/ln|λ₂|, the steps over which the slowest deviation from the stationary law falls by e; ∞ if none does."""
        count = min(3, len(self.points) - 2)
        values = linalg.eigs(self.matrix, k=count, sigma=1 + 1e-7, return_eigenvectors=False)
        second = sorted(np.abs(values))[-2]
        if not 0 < second < 1:
            return 0.0 if second == 0 else math.inf
        return -1 / math.log(second)

    def committor(self, a: Bool[np.ndarray, " G"], b: Bool[np.ndarray, " G"]) -> Float[np.ndarray, " G"]:
        """The probability of reaching set b before set a, from each point.

        Raises:
            InputError: an empty set, sets that overlap, points from which neither is ever reached.
        """
        a, b = self._set(a, "a"), self._set(b, "b")
        _check_sets(a, b)
        free = ~(a | b)
        inner = self.matrix[free]
        q = b.astype(float)
        q[free] = _absorbed(inner[:, free], inner @ q)
        return q

    def first_passage_steps(self, target: Bool[np.ndarray, " G"]) -> Float[np.ndarray, " G"]:
        """The mean number of steps until the target set is reached, from each point; 0 inside it.

        Raises:
            InputError: an empty set, or one that is never reached from some points.
        """
        target = self._set(target, "target")
        _check_sets(target, np.zeros_like(target))
        steps = np.zeros(len(self.points))
        free = ~target
        steps[free] = _absorbed(self.matrix[free][:, free], np.ones(int(free.sum())))
        return steps

    def after(self, law: Float[np.ndarray, " G"], steps: int) -> Float[np.ndarray, " G"]:
        """The law after some steps from a law on the grid.

        Raises:
            InputError: a law that isn't finite numbers (G,), a number of steps below 0.
        """
        law = inputs.as_float64(law, "law", f"({len(self.points)},)")
        if law.shape != (len(self.points),) or not np.isfinite(law).all():
            raise InputError(f"law has shape {law.shape}: pass finite masses ({len(self.points)},)")
        if steps != 0:
            inputs.check_positive_integer("steps", steps)
        for _ in range(steps):
            law = self.matrix.T @ law
        return law

    def _set(self, mask: Any, name: str) -> Bool[np.ndarray, " G"]:
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self.points),):
            raise InputError(
                f"{name} has dtype {chosen.dtype} and shape {chosen.shape}: pass bools ({len(self.points)},)"
            )
        return chosen


def transfer_operator(
    problem: Problem,
    dynamics: SGD | GaussianSGD,
    box: Box,
    shape: tuple[int, ...],
) -> TransferOperator:
    """The kernel of one step of SGD (all batches enumerated) or of Gaussian SGD (quadrature).

    The spacing should be well below a step's noise, η√(tr C/S): with cubic interpolation a third of it is plenty.

    Args:
        problem: of one or two parameters, a single array (D,), without masks and groups.
        dynamics: SGD with or without replacement, or Gaussian SGD in one dimension; no momentum, constant η.
        box: (low, high) along each coordinate.
        shape: points along each, at least 8.

    Raises:
        InputError: another dimension, momentum or reshuffling, a schedule, gradients that aren't finite in the box,
            more than 20,000 distinct batches.
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
    problem = problem.fresh()
    points, axes = _grid(problem, box, shape)
    if not isinstance(dynamics, SGD | GaussianSGD):
        raise InputError(f"the dynamics are {type(dynamics).__name__}: the transfer operator takes SGD or GaussianSGD")
    if getattr(dynamics, "momentum", 0) or dynamics.sampling == "reshuffle":
        raise InputError("momentum and reshuffled epochs have a larger state than θ: pass SGD without them")
    if problem.needs_key:
        raise InputError("the loss draws masks or groups: the transfer operator takes a deterministic loss")
    if callable(dynamics.learning_rate):
        raise InputError("learning_rate is a schedule, so there is no one kernel: pass a number")
    rate = float(dynamics.rate(jnp.asarray(0), problem.wide))
    per_example = np.asarray(_gradients(problem, jnp.asarray(points, problem.dtype)), float)
    if not np.isfinite(per_example).all():
        raise InputError(f"some example's gradient is not finite in the box {shown(box, 120)}: choose another box")
    if isinstance(dynamics, GaussianSGD):
        moves, probabilities = _gaussian_moves(per_example, dynamics)
    else:
        moves, probabilities = _batch_moves(per_example, dynamics)
    entries, outside = _interpolated(points[:, None] - rate * moves, probabilities, axes)
    return TransferOperator(entries, points, shape, outside)


def _grid(problem: Problem, box, shape) -> tuple[np.ndarray, list[np.ndarray]]:
    D = problem.num_parameters
    leaves = jax.tree.leaves(problem.moving())
    if D > 2 or len(leaves) != 1 or leaves[0].shape != (D,):
        raise InputError(f"the problem has {D} parameters in {len(leaves)} arrays: pass one array of 1 or 2")
    counts = list(shape) if np.ndim(shape) == 1 else [shape]
    for n in counts:
        inputs.check_positive_integer("shape", n)
    if len(counts) != D or min(counts) < 8:
        raise InputError(f"shape {shown(shape)}: pass at least 8 points for each of {D} axes")
    axes = [np.linspace(low, high, n) for (low, high), n in zip(as_box(box, D), counts, strict=True)]
    return np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1), axes


@freshness.jit
def _gradients(problem: Problem, points: Float[Array, "G D"]) -> Float[Array, "G N D"]:
    """∇ℓ_i at each point."""
    examples = jnp.arange(problem.num_units)
    return jax.lax.map(lambda theta: problem.unit_gradients(theta, examples), points, batch_size=256)


def _batch_moves(per_example: np.ndarray, dynamics: SGD) -> tuple[np.ndarray, np.ndarray]:
    """Mean gradients of all distinct batches, (G, K, D), and their probabilities (K,)."""
    G, N, D = per_example.shape
    # Examples with equal gradients everywhere are one kind.
    kinds, of_kind = np.unique(per_example.transpose(1, 0, 2).reshape(N, -1), axis=0, return_counts=True)
    S, sampling = dynamics.batch_size, dynamics.sampling
    if sampling == "no_replacement" and S > N:
        raise InputError(f"batch_size {S} exceeds N = {N} examples: without replacement choose at most {N}")
    if math.comb(len(kinds) + S - 1, S) > _MAX_BATCHES:
        raise InputError(
            f"{len(kinds)} kinds of examples give {math.comb(len(kinds) + S - 1, S)} batches of {S}: at most "
            f"{_MAX_BATCHES} are enumerated; choose a smaller batch or fewer examples"
        )
    counts, probabilities = [], []
    for batch in itertools.combinations_with_replacement(range(len(kinds)), S):
        n = np.bincount(batch, minlength=len(kinds))
        if sampling == "no_replacement":
            if (n > of_kind).any():
                continue
            p = math.prod(math.comb(int(have), int(take)) for have, take in zip(of_kind, n, strict=True))
            probabilities.append(p / math.comb(N, S))
        else:
            ways = math.factorial(S) // math.prod(math.factorial(int(k)) for k in n)
            probabilities.append(ways * math.prod((of_kind / N) ** n))
        counts.append(n / S)
    moves = np.einsum("bk,kgd->gbd", np.array(counts), kinds.reshape(len(kinds), G, D))
    return moves, np.array(probabilities)


def _gaussian_moves(per_example: np.ndarray, dynamics: GaussianSGD) -> tuple[np.ndarray, np.ndarray]:
    _, N, D = per_example.shape
    if D != 1:
        raise InputError(f"Gaussian SGD in {D} dimensions: its transfer operator takes one")
    nodes, weights = np.polynomial.hermite_e.hermegauss(_GAUSSIAN_NODES)
    f = finite_population_factor(N, dynamics.batch_size, dynamics.sampling)
    mean = per_example.mean(axis=1)
    deviation = np.sqrt(f / dynamics.batch_size) * per_example.std(axis=1)
    return (mean + deviation * nodes)[:, :, None], weights / weights.sum()


def _interpolated(
    to: np.ndarray, probabilities: np.ndarray, axes: list[np.ndarray]
) -> tuple[sparse.csr_array, np.ndarray]:
    """The matrix that spreads each point over its four neighbours along each axis, and the mass that left the box."""
    G, K, D = to.shape
    indices, weights, outside = [], [], np.zeros((G, K), bool)
    for d, axis in enumerate(axes):
        n, spacing = len(axis), axis[1] - axis[0]
        position = (to[:, :, d] - axis[0]) / spacing
        outside |= (position < 0) | (position > n - 1)
        position = np.clip(position, 0, n - 1)
        first = np.clip(np.floor(position).astype(int) - 1, 0, n - 4)
        x = position - first  # within 0 … 3 of the four nodes
        near = [(x - 1) * (x - 2) * (x - 3) / -6, x * (x - 2) * (x - 3) / 2]
        far = [x * (x - 1) * (x - 3) / -2, x * (x - 1) * (x - 2) / 6]
        weights.append(np.stack(near + far, axis=-1))
        indices.append(first[..., None] + np.arange(4))
    if D == 1:
        column, weight = indices[0], weights[0]
    else:
        column = (indices[0][..., :, None] * len(axes[1]) + indices[1][..., None, :]).reshape(G, K, 16)
        weight = (weights[0][..., :, None] * weights[1][..., None, :]).reshape(G, K, 16)
    data = weight * probabilities[None, :, None]
    row = np.broadcast_to(np.arange(G)[:, None, None], column.shape)
    matrix = sparse.coo_array((data.ravel(), (row.ravel(), column.ravel())), shape=(G, G)).tocsr()
    return matrix, outside @ probabilities


def _absorbed(inner: Any, right: np.ndarray) -> np.ndarray:
    """The solution of (I − inner) x = right, with the part of the matrix among the points that aren't absorbed.

    Raises:
        InputError: absorption takes infinitely many steps from some point, or so many that rounding decides.
    """
    system = (sparse.identity(inner.shape[0]) - inner).tocsc()
    try:
        factors = linalg.splu(system)
        steps, found = factors.solve(np.ones(inner.shape[0])), factors.solve(right)
    except RuntimeError:  # exactly singular
        steps = found = np.full(len(right), np.nan)
    if not (np.isfinite(found).all() and np.abs(steps).max() <= _MOST_STEPS):
        raise InputError(
            f"from some points of the grid the sets are never reached, or in more than {_MOST_STEPS:.0e} steps: "
            "enlarge the sets, or the noise"
        )
    return found


def _check_sets(a: np.ndarray, b: np.ndarray) -> None:
    if not a.any() or (b.any() and (a & b).any()) or not (~(a | b)).any():
        raise InputError("the sets are empty, overlap, or leave no point between them: choose smaller cores")
