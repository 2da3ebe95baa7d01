"""Independent ways to a number: enumeration in rationals, propagated moments, quadrature, random walks.

Nothing here knows a formula of a claim.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp


def batches(num_examples: int, batch_size: int, replacement: bool) -> list[tuple[int, ...]]:
    """All equally likely batches: every tuple of indices, or every subset."""
    indices = range(num_examples)
    if replacement:
        return list(itertools.product(indices, repeat=batch_size))
    return list(itertools.combinations(indices, batch_size))


def fluctuations(gradients: Sequence[Any], batch_size: int, replacement: bool) -> list:
    """ψ of every batch: N/S times its gradients' sum, minus the sum of all."""
    scale = sp.Rational(len(gradients), batch_size)
    drawn = batches(len(gradients), batch_size, replacement)
    return [scale * _sum(gradients[i] for i in batch) - _sum(gradients) for batch in drawn]


def _sum(values: Iterable) -> Any:
    first, *others = values
    return sum(others, first)


def mean(values: Iterable) -> Any:
    """The mean of equally likely scalars or matrices, exact for rationals."""
    values = list(values)
    return sum(values[1:], values[0]) / sp.Integer(len(values))


def covariance(vectors: Iterable[sp.Matrix]) -> sp.Matrix:
    """The covariance (1/n form) of equally likely column vectors."""
    vectors = list(vectors)
    centre = mean(vectors)
    return mean([(v - centre) * (v - centre).T for v in vectors])


def variances(matrix: sp.Matrix) -> list:
    """The variances uᵀCu along (1, 0), (0, 1) and (1, 1) for a covariance C of two components; they determine it."""
    along = [sp.Matrix(direction) for direction in ((1, 0), (0, 1), (1, 1))]
    return [(u.T * matrix * u)[0] for u in along]


def variance(values: Iterable) -> Any:
    """The variance (1/n form) of equally likely scalars."""
    values = list(values)
    centre = mean(values)
    return mean([(v - centre) ** 2 for v in values])


def two_point(scale: Any = 1) -> list[tuple[Any, Any]]:
    """A law (value, probability) with mean 0, variance scale² and third moment 0."""
    half = sp.Rational(1, 2)
    return [(-scale, half), (scale, half)]


def three_point(scale: Any = 1) -> list[tuple[Any, Any]]:
    """A law (value, probability) whose first five moments are those of a Gaussian of variance scale²."""
    root = sp.sqrt(3) * scale
    return [(-root, sp.Rational(1, 6)), (sp.S.Zero, sp.Rational(2, 3)), (root, sp.Rational(1, 6))]


def expectation(function: Callable, *laws: Sequence[tuple[Any, Any]]) -> Any:
    """E f(X₁, …, X_n) for independent X_k of finite laws [(value, probability), …]."""
    total = sp.S.Zero
    for draw in itertools.product(*laws):
        weight = sp.prod(p for _, p in draw)
        total += weight * function(*(x for x, _ in draw))
    return total


def adaptive_runs(
    rate: float, decays: tuple[float, float], floor: float, batch: int, steps: int, *, corrected: bool, seed: int
) -> tuple[float, float, float]:
    """Adam itself on 0.1θ²/2 from θ = 1: 10,000 runs with Gaussian gradients of variance 1/batch.

    v is random and has the gradient's own square in it. With decays (0, β) and uncorrected it is RMSprop, from v at
    1/batch.

    Args:
        rate: η.
        decays: β₁ and β₂.
        floor: ε.
        batch: S.
        steps: of each run.
        corrected: whether both averages start at 0 and are divided by 1 − βⁿ.
        seed: of the gradients.

    Returns:
        mean and standard deviation of θ, and the mean of batch · v.
    """
    random = np.random.default_rng(seed)
    first, second = decays
    theta, average = np.ones(10_000), np.zeros(10_000)
    square = np.zeros(10_000) if corrected else np.full(10_000, 1 / batch)
    grown = 1.0
    for n in range(1, steps + 1):
        gradient = 0.1 * theta + random.standard_normal(10_000) / batch**0.5
        average = first * average + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        grown = 1 - second**n if corrected else 1.0
        theta = theta - rate * average / (1 - first**n if corrected else 1.0) / (np.sqrt(square / grown) + floor)
    return float(theta.mean()), float(theta.std()), float(batch * square.mean() / grown)


def quadrature(integrand: Callable, points: Sequence, digits: int = 30) -> Any:
    """∫ integrand over the intervals between the points, by mpmath's tanh-sinh rule."""
    with mpmath.workdps(digits):
        return mpmath.quad(integrand, list(points))


def passage_time(drift: Callable, diffusion: Callable, start: float, end: float, behind: float, cells: int) -> float:
    """Mean time of a nearest-neighbour random walk with the SDE's drift and diffusion, from start to end.

    Its hop rates are diffusion/h² ± drift/2h; a reflecting wall stands `behind` the start. Solved by first-step
    analysis on two grids, which are extrapolated to h = 0.
    """
    values = []
    for n in (cells, 2 * cells):
        step = (end - start) / n
        first = -round(behind / abs(step))
        gain = step**2 / (2 * diffusion(start + first * step))  # mean time from one site to the next
        total = gain if first >= 0 else 0.0
        for i in range(first + 1, n):
            x = start + i * step
            hop, bias = diffusion(x) / step**2, drift(x) / (2 * step)
            gain = (1 + gain * (hop - bias)) / (hop + bias)
            total += gain if i >= 0 else 0.0
        values.append(total)
    return (4 * values[1] - values[0]) / 3
