"""Oracles in plain numpy: a small problem with quadratic losses, and the exact moments of linear recursions.

ℓ_i(θ) = ½ (θ − c_i)ᵀ A_i (θ − c_i), so ∇ℓ_i = A_i(θ − c_i) and C(θ) is known for every θ. None of this calls the
library but to build the Problem.
"""

import itertools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

import sdesgd as sg
from sdesgd.dynamics.protocol import MaskedDraw
from sdesgd.dynamics.terms import GradientFlowTerm


def quadratic_loss(theta, example):
    A, c = example
    return 0.5 * (theta - c) @ A @ (theta - c)


@dataclass(frozen=True)
class Quadratics:
    """N quadratics in D dimensions, with everything about their gradients in closed form."""

    A: np.ndarray
    c: np.ndarray

    @property
    def N(self):
        return len(self.c)

    @property
    def H(self):
        return self.A.mean(axis=0)

    @property
    def b(self):
        """g(θ) = H θ − b."""
        return np.einsum("nij,nj->i", self.A, self.c) / self.N

    def gradients(self, theta):
        return np.einsum("nij,nj->ni", self.A, theta - self.c)

    def covariance(self, theta):
        x = self.gradients(theta)
        x = x - x.mean(axis=0)
        return x.T @ x / self.N

    def mean_covariance(self, mean, covariance):
        """E C(θ) for θ of this mean and covariance: C is quadratic in θ."""
        extra = sum((A - self.H) @ covariance @ (A - self.H).T for A in self.A) / self.N
        return self.covariance(mean) + extra

    def problem(self, theta, dtype=np.float64, **options):
        return sg.Problem(quadratic_loss, theta.astype(dtype), (self.A, self.c), **options)


def small(num_examples=4, dimension=2, seed=0):
    """A small problem and a start away from the minimum."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(num_examples, dimension, dimension))
    A = root @ root.transpose(0, 2, 1) / dimension + 0.3 * np.eye(dimension)
    return Quadratics(A, rng.normal(size=(num_examples, dimension))), rng.normal(size=dimension)


def population_factor(N, S, sampling):
    return 1.0 if sampling == "replacement" or N == 1 else (N - S) / (N - 1)


def euler_moments(q, theta, rate, S, f, substeps):
    """Mean and covariance after ``substeps`` steps of length rate/substeps with noise covariance h η f C/S."""
    h, mean, covariance = rate / substeps, theta, np.zeros((len(theta),) * 2)
    P = np.eye(len(theta)) - h * q.H
    for _ in range(substeps):
        noise = h * rate * f / S * q.mean_covariance(mean, covariance)
        mean, covariance = mean - h * (q.H @ mean - q.b), P @ covariance @ P.T + noise
    return mean, covariance


def rk3_moments(q, y, J, shift, h, epsilon, embed):
    """One step of the small-noise RK3 on dy = (J y + shift) dt + ε E R(θ) dW, by its matrix polynomials.

    ``embed`` is E: the matrix that puts a kick on θ into y (identity, or the momentum rows of phase space); θ is
    the first entries of y.
    """
    alpha, identity, D = (24 - math.sqrt(96)) / 40, np.eye(len(y)), len(q.H)
    a = J @ y + shift
    middle = y + h / 2 * a
    mean = y + h * (identity + h / 2 * J + h**2 / 6 * J @ J) @ a
    M = identity + h / 2 * J + alpha / 3 * h**2 * J @ J
    return mean, epsilon**2 * h * M @ embed @ q.covariance(middle[:D]) @ embed.T @ M.T


def enumerate_indices(N, S, sampling):
    """All ordered batches of equal probability."""
    if sampling == "replacement":
        return np.array(list(itertools.product(range(N), repeat=S)))
    return np.array(list(itertools.permutations(range(N), S)))


def gauss_hermite(dimension, nodes=5):
    """Nodes (K, dimension) and weights (K,) for N(0, I): exact for polynomials of degree 2·nodes − 1."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    grid = np.array(list(itertools.product(x, repeat=dimension)))
    weight = np.array([math.prod(p) for p in itertools.product(w, repeat=dimension)])
    return grid, weight


def moments(samples, weights):
    """Mean and covariance of a discrete law."""
    samples = np.asarray(samples, float)
    mean = weights @ samples
    centred = samples - mean
    return mean, (weights[:, None] * centred).T @ centred


def advance_all(dynamics, problem, state, numbers, n=0):
    """The states after one step for every listed draw (numbers has a leading axis)."""

    def one(x):
        return dynamics.advance(problem, state, MaskedDraw(x, None), jnp.asarray(n))

    return jax.jit(jax.vmap(one))(jnp.asarray(numbers))


class RescaledSDE(sg.SDE):
    """One solver step of length h of the SDE of (η, S): its learning rate is h, its noise scale that of η."""

    ratio: float

    def __init__(self, eta, S, h, solver):
        super().__init__(h, S, solver=solver)
        self.ratio = math.sqrt(eta / h)

    def term(self, problem, path, rate, fixed, key, substeps=None):
        term = super().term(problem, path, rate, fixed, key, substeps)
        return GradientFlowTerm(problem, fixed, term.scale * self.ratio, term.correction, path, key)
