"""Exact laws of the dynamics, by linear algebra and enumeration: on the circle, and on a quadratic.

Circle: three losses ℓ_i(θ) = a_i cos θ + b_i sin θ + c_i cos 2θ. The law of a step is its Markov operator
(P φ)(θ) = E φ(θ') on trigonometric polynomials; the law of an SDE is e^{T𝓛}. Quadratic with constant gradient
covariance: laws are a linear map of the start and a covariance. What moves is always the library's own step, or
its own drift and diffusion; there is no Monte Carlo. All of it asks for float64: ``with jax.enable_x64(True)``.
"""

import dataclasses
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array
from scipy import linalg
from scipy.stats import multinomial

import sdesgd as sg
from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, State
from sdesgd.errors import InputError

# Three losses: with two, the minibatch noise would have no third cumulant, and SGD would be closer to Gaussian SGD.
COEFFICIENTS = ((1.0, 0.4, 0.3), (0.5, -0.7, -0.2), (0.9, -0.2, 0.05))
# Draws of a step that may be listed: 153² pairs of batches of 16 from three examples.
MOST_DRAWS = 25_000
HESSIAN = ((1.3, 0.2), (0.2, 0.6))
TILTS = ((1.0, 0.5), (-0.4, 0.3), (-0.6, -0.8))  # they sum to zero, so g = Hθ


def trigonometric_loss(theta, coefficients):
    """ℓ_i(θ) = a_i cos θ + b_i sin θ + c_i cos 2θ."""
    a, b, c = coefficients
    return a * jnp.cos(theta) + b * jnp.sin(theta) + c * jnp.cos(2 * theta)


def tilted_loss(theta, example):
    """ℓ_i(θ) = ½ θᵀHθ + b_i·θ: C doesn't depend on θ."""
    H, tilt = example
    return 0.5 * theta @ H @ theta + tilt @ theta


def require_float64(problem: sg.Problem) -> sg.Problem:
    """The problem itself.

    Raises:
        InputError: its dtype isn't float64, whose rounding would hide small errors.
    """
    if problem.dtype != jnp.float64:
        raise InputError(f"the problem is {problem.dtype}: exact laws need float64, use jax.enable_x64(True)")
    return problem


# -- the circle ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Circle:
    """The problem on the circle, and operators on functions of θ given by their values at equidistant points.

    Args:
        coefficients: (a, b, c) of each loss.
        points: odd; trigonometric polynomials of degree ≤ (points−1)/2 are represented exactly. The smallest
            errors, the integrator's, need more than 127.
    """

    coefficients: tuple = COEFFICIENTS
    points: int = 191

    @property
    def problem(self) -> sg.Problem:
        """The finite sum."""
        start = jnp.asarray(0.0)
        return require_float64(sg.Problem(trigonometric_loss, start, np.array(self.coefficients)))

    @property
    def grid(self) -> np.ndarray:
        """(points,): the starts θ."""
        return 2 * np.pi * np.arange(self.points) / self.points

    @property
    def modes(self) -> np.ndarray:
        """(points,): wave numbers."""
        return np.fft.fftfreq(self.points, 1 / self.points)

    @property
    def to_modes(self) -> np.ndarray:
        """(points, points): values on the grid → Fourier coefficients."""
        return np.exp(-1j * np.outer(self.modes, self.grid)) / self.points

    @property
    def observables(self) -> np.ndarray:
        """(points, 6): φ = cos kθ and sin kθ, k = 1, 2, 3, at the grid; |φ| ≤ 1."""
        return np.stack([f(k * self.grid) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=1)

    def semigroup(self, sde: sg.SDE, time: float, noise: bool = True) -> np.ndarray:
        """(points, points): e^{T𝓛}, 𝓛 = b ∂ + ½ σ² ∂², with drift b and diffusion σ of the library's own term.

        Args:
            sde: without momentum; its integrator plays no part.
            time: T, in SDE time.
            noise: False leaves out σ: at order 1 that is gradient flow, at any η and S.
        """
        drift, variance = (np.asarray(x) for x in _coefficients(self.problem, _traced(sde), jnp.asarray(self.grid)))
        variance = variance if noise else np.zeros_like(variance)
        from_modes = np.exp(1j * np.outer(self.grid, self.modes))
        first = np.real((from_modes * (1j * self.modes)) @ self.to_modes)
        second = np.real((from_modes * -(self.modes**2)) @ self.to_modes)
        return linalg.expm(time * (drift[:, None] * first + 0.5 * variance[:, None] * second))

    def markov(self, dynamics: AbstractDynamics, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(points, points): the Markov operator of ``dynamics.advance``, averaged over listed draws.

        Args:
            dynamics: of the draws' kind, without momentum.
            numbers: (draws, ...).
            weights: (draws,) probabilities.
        """
        theta = jnp.asarray(self.grid)
        wave = np.exp(1j * np.asarray(_moved(self.problem, _traced(dynamics), jnp.asarray(numbers), theta)))
        # E exp(ikθ') by powers of exp(iθ'): products cost a tenth of exponentials.
        kernel, power = np.empty((self.points, self.points // 2 + 1), complex), np.ones_like(wave)
        for k in range(kernel.shape[1]):
            kernel[:, k] = power @ weights
            power *= wave
        return np.real(np.concatenate([kernel, kernel[:, :0:-1].conj()], axis=1) @ self.to_modes)

    def sgd(self, dynamics: sg.SGD) -> np.ndarray:
        """The Markov operator of SGD with replacement, by enumerating its batches."""
        return self.markov(dynamics, *batches(len(self.coefficients), dynamics.batch_size))

    def gaussian(self, dynamics: sg.GaussianSGD | sg.SDE) -> np.ndarray:
        """The Markov operator of a scheme driven by Gaussian increments, one solver step per step."""
        nodes, weights = centred_gauss_hermite(len(self.coefficients))
        return self.markov(dynamics, nodes[:, None], weights)

    def svag_inner(self, dynamics: sg.SVAG) -> np.ndarray:
        """The Markov operator of *one* of SVAG's ℓ inner steps: ``advance`` does as many as the draw has rows."""
        one, weights = batches(len(self.coefficients), dynamics.batch_size)
        pairs = np.array(list(itertools.product(range(len(weights)), repeat=2)))
        return self.markov(dynamics, one[pairs][:, None], weights[pairs].prod(axis=1))

    def weak_error(self, operator: np.ndarray, steps: int, law: np.ndarray) -> float:
        """sup over starts θ and observables φ of |E φ(θ_n) − E φ(Θ_T)|."""
        return float(np.abs(np.linalg.matrix_power(operator, steps) @ self.observables - law @ self.observables).max())

    def variances(self, law: np.ndarray) -> np.ndarray:
        """(points, 6): Var φ = E φ² − (E φ)² from each start, of an operator φ ↦ E φ."""
        return law @ self.observables**2 - (law @ self.observables) ** 2

    def variance_error(self, operator: np.ndarray, steps: int, law: np.ndarray) -> float:
        """sup over starts and φ of |Var φ(θ_n) − Var φ(Θ_T)|, relative to the sup of Var φ(θ_n).

        The variances are O(η), so that an error which is small beside 1 is not small beside them; where a single one
        vanishes, as it does where φ' = 0, a ratio at that start would say nothing.
        """
        own = self.variances(np.linalg.matrix_power(operator, steps))
        return float(np.abs(own - self.variances(law)).max() / own.max())


def _traced(dynamics: Any) -> Any:
    """η and m as arrays, so that new values compile nothing; an exact 0 stays, it means no velocity."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, float) and x != 0 else x, dynamics)


@eqx.filter_jit
def _moved(problem: sg.Problem, dynamics: AbstractDynamics, numbers: Array, theta: Array) -> Array:
    """(starts, draws): where each draw takes each start."""
    move = lambda x, z: dynamics.advance(problem, State(x), MaskedDraw(z, None), jnp.asarray(0)).params  # noqa: E731
    return jax.vmap(lambda x: jax.vmap(lambda z: move(x, z))(numbers))(theta)


@eqx.filter_jit
def _coefficients(problem: sg.Problem, sde: sg.SDE, theta: Array) -> tuple[Array, Array]:
    """Drift b and squared diffusion σ² of a one-dimensional equation, (starts,) each."""
    term, _ = sde.equation(problem, jr.key(0))
    units = jnp.eye(problem.num_units)
    kicks = jax.vmap(lambda x: jax.vmap(lambda e: term.diffusion(x, e))(units))(theta)
    return jax.vmap(lambda x: term.drift(x, jnp.asarray(1.0)))(theta), jnp.sum(kicks**2, axis=1)


def batches(num_examples: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Batches (draws, S) drawn with replacement, up to their order, and their multinomial probabilities (draws,).

    Raises:
        InputError: so many that pairs of them can't be listed.
    """
    count = math.comb(batch_size + num_examples - 1, batch_size)
    if count**2 > MOST_DRAWS:
        raise InputError(f"batch_size {batch_size} has {count} batches of {num_examples} examples: choose fewer, say 4")
    listed = np.array(list(itertools.combinations_with_replacement(range(num_examples), batch_size)))
    counts = (listed[:, :, None] == np.arange(num_examples)).sum(axis=1)
    return listed, multinomial.pmf(counts, batch_size, np.full(num_examples, 1 / num_examples))


def centred_gauss_hermite(num_units: int, nodes: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (draws, num_units) of mean 0 and weights (draws,): N(0, I) minus its mean, which R dW doesn't see.

    Nodes of negligible weight are left out.
    """
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    directions = linalg.null_space(np.ones((1, num_units)))
    grid = np.array(list(itertools.product(x, repeat=num_units - 1)))
    weights = np.array(list(itertools.product(w / w.sum(), repeat=num_units - 1))).prod(axis=1)
    kept = weights > 1e-17
    return grid[kept] @ directions.T, weights[kept] / weights[kept].sum()


# -- quadratics with constant covariance -----------------------------------------------------------------


def quadratic(hessian=HESSIAN, tilts=TILTS) -> sg.Problem:
    """The finite sum of ½ θᵀHθ + b_i·θ with Σ b_i = 0: g = Hθ, C = (1/N) Σ b_i b_iᵀ."""
    data = np.broadcast_to(np.asarray(hessian), (len(tilts), *np.shape(hessian))), np.asarray(tilts)
    return require_float64(sg.Problem(tilted_loss, jnp.zeros(len(hessian)), data))


def recursion(problem: sg.Problem, sgd: sg.SGD) -> tuple[np.ndarray, np.ndarray]:
    """(P, Q): mean → P mean, covariance → P cov Pᵀ + Q in one step of SGD with S = 1, by enumerating its batch.

    The state is θ, or (θ, v) with momentum.
    """
    P, moved = (np.asarray(x) for x in _one_step(problem, _traced(sgd)))
    return P, np.cov(moved.T, bias=True).reshape(P.shape)


@eqx.filter_jit
def _one_step(problem: sg.Problem, sgd: sg.SGD) -> tuple[Array, Array]:
    """The Jacobian of the mean step, and where each example takes 0 at rest."""
    size, start = problem.num_parameters, sgd.init(problem, problem.params)

    def step(y, unit):
        state = start._replace(params=y[:size], velocity=None if start.velocity is None else y[size:])
        new = sgd.advance(problem, state, MaskedDraw(unit, None), jnp.asarray(0))
        return new.params if new.velocity is None else jnp.concatenate([new.params, new.velocity])

    zero = jnp.zeros(size if start.velocity is None else 2 * size)
    steps = lambda y: jax.vmap(lambda unit: step(y, unit))(jnp.arange(problem.num_units)[:, None])  # noqa: E731
    return jax.jacobian(lambda y: steps(y).mean(axis=0))(zero), steps(zero)


def linear_equation(problem: sg.Problem, sde: sg.SDE) -> tuple[np.ndarray, np.ndarray]:
    """(A, Q): dy = A y dt + noise of covariance Q dt, from the library's own term.

    y is θ, or (θ, p) with momentum, whose time is √η per step.
    """
    A, kicks = (np.asarray(x) for x in _linear_terms(problem, _traced(sde)))
    return A, kicks.T @ kicks


@eqx.filter_jit
def _linear_terms(problem: sg.Problem, sde: sg.SDE) -> tuple[Array, Array]:
    """The Jacobian of the drift, and the kick of each unit's Brownian motion, (units, state)."""
    term, start = sde.equation(problem, jr.key(0))
    zero, unpack = ravel_pytree(start)
    pack = lambda y: ravel_pytree(y)[0]  # noqa: E731
    A = jax.jacobian(lambda y: pack(term.drift(unpack(y), jnp.ones(()))))(zero)
    return A, jax.vmap(lambda e: pack(term.diffusion(unpack(zero), e)))(jnp.eye(problem.num_units))


def iterate(P: np.ndarray, Q: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(Pⁿ, Σ_{k<n} P^k Q P^kᵀ): mean and covariance after n steps from a point."""
    covariance = np.zeros_like(Q)
    for _ in range(steps):
        covariance = P @ covariance @ P.T + Q
    return np.linalg.matrix_power(P, steps), covariance


def flow(A: np.ndarray, Q: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
    """(e^{At}, ∫₀ᵗ e^{As} Q e^{Aᵀs} ds) (Van Loan 1978)."""
    size = len(A)
    block = linalg.expm(time * np.block([[-A, Q], [np.zeros_like(A), A.T]]))
    propagator = block[size:, size:].T
    return propagator, propagator @ block[:size, size:]


def stationary_variance(P: np.ndarray, Q: np.ndarray) -> float:
    """Var θ₁ at stationarity of the recursion cov → P cov Pᵀ + Q."""
    return float(linalg.solve_discrete_lyapunov(P, Q)[0, 0])


def stationary_variance_of_flow(A: np.ndarray, Q: np.ndarray) -> float:
    """Var θ₁ at stationarity of dy = A y dt + noise of covariance Q dt."""
    return float(linalg.solve_continuous_lyapunov(A, -Q)[0, 0])


def moment_error(first: tuple[Any, Any], second: tuple[Any, Any], size: int) -> tuple[float, float]:
    """Largest errors of the law of θ: of the mean, over starts at rest in the box |θ₀|_∞ ≤ 1 and components; and of the
    covariance, relative to the largest entry of ``second``'s.

    Args:
        first, second: (propagator, covariance) in phase space; θ is the first ``size`` entries.
    """
    difference = (first[0] - second[0])[:size, :size]
    (one, two) = (pair[1][:size, :size] for pair in (first, second))
    return float(np.abs(difference).sum(axis=1).max()), float(np.abs(one - two).max() / np.abs(two).max())
