"""Exact moments of SGD and of its equations on linear models: weak errors at a fixed time without a simulation.

Losses aθ²/2 with a = 1, 1 or 4, drawn for each of the S examples of a batch, have linear gradients whose noise grows
with θ; heavy ball is taken on θ²/2 with constant noise.
"""

import itertools
import math

import mpmath

from derivations import oracles


def sgd(rate: float, power: int, size: int = 1, steps: int | None = None) -> float:
    """E θ^power of SGD from 1, after a time of one (or so many steps)."""
    means = [sum(batch) / size for batch in _curvatures(size)]
    one = sum((1 - rate * a) ** power for a in means) / len(means)
    return one ** (round(1 / rate) if steps is None else steps)


def gaussian_sgd(rate: float, power: int, size: int = 1) -> float:
    """The same of Gaussian SGD, by a law with a Gaussian's first five moments."""
    law = oracles.three_point(1)
    one = sum(float(p) * (1 - rate * (2 + float(x) * math.sqrt(2 / size))) ** power for x, p in law)
    return one ** round(1 / rate)


def equation(rate: float, power: int, size: int = 1, order: int = 1, time: float = 1.0) -> float:
    """The same of the Itô equation of order 1 or 2: θ^power is an eigenfunction of its generator."""
    drift = 2 * (1 + rate) if order == 2 else 2
    return math.exp(time * (-power * drift + power * (power - 1) * rate / size))


def flow(power: int) -> float:
    """The same of the gradient flow."""
    return math.exp(-2 * power)


def heavy_ball(delta: float, friction: float = 1.5) -> tuple[float, float]:
    """Mean and variance of θ after 1/δ heavy-ball steps from (θ, p) = (1, 0), gradients θ plus noise of variance 1."""
    step = mpmath.matrix([[1 - delta**2, delta - delta**2 * friction], [-delta, 1 - delta * friction]])
    kick = mpmath.matrix([-(delta**2), -delta])
    mean, spread = mpmath.matrix([1, 0]), mpmath.zeros(2, 2)
    for _ in range(round(1 / delta)):
        mean, spread = step * mean, step * spread * step.T + kick * kick.T
    return float(mean[0]), float(spread[0, 0])


def heavy_ball_equation(drift: list[list[float]], push: tuple[float, float], delta: float) -> tuple[float, float]:
    """The same of d(θ, p) = drift (θ, p) dt + √δ push dW after a time of one, by Van Loan's matrix exponential."""
    a = mpmath.matrix(drift)
    noise = mpmath.matrix([[delta * x * y for y in push] for x in push])
    block = mpmath.zeros(4, 4)
    for i in range(2):
        for j in range(2):
            block[i, j], block[i, 2 + j], block[2 + i, 2 + j] = -a[i, j], noise[i, j], a[j, i]
    grown = mpmath.expm(block)
    carried = mpmath.matrix([[grown[2 + j, 2 + i] for j in range(2)] for i in range(2)])  # exp(drift)
    above = mpmath.matrix([[grown[i, 2 + j] for j in range(2)] for i in range(2)])
    return float(carried[0, 0]), float((carried * above)[0, 0])


def _curvatures(size: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, 1, 4), repeat=size))
