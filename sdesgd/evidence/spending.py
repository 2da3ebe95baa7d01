"""Levels of a test that looks at the data several times: Lan and DeMets' spending of α."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from sdesgd.errors import InputError
from sdesgd.evidence.samples import check_probability
from sdesgd.types import RealScalarLike

# Points of the density of the statistic between two looks; Simpson's rule then gives levels to six digits.
_POINTS, _REACH = 801, 8.0


def pocock_spending(alpha: RealScalarLike, fraction: RealScalarLike) -> float:
    """α(t) = α ln(1 + (e − 1) t), which spends about evenly, so that what is clear is decided at an early look.

    Args:
        alpha: level of the whole test.
        fraction: t, the share of the largest information that has been collected.

    Source:
        Lan & DeMets 1983, Biometrika 70.
    """
    return float(alpha) * float(np.log1p((np.e - 1) * min(float(fraction), 1.0)))


def nominal_levels(
    fractions: Sequence[RealScalarLike],
    *,
    alpha: RealScalarLike = 0.05,
    sides: int = 1,
    spending: Callable[[RealScalarLike, RealScalarLike], float] = pocock_spending,
) -> NDArray[np.float64]:
    """The level at which to test at each look, so that the looks together reject a true hypothesis with probability α.

    Under the hypothesis the score at information t is Brownian motion B(t), and the first crossing rejects:

        P(|B(t_j)|/√t_j ≤ c_j for j < k, |B(t_k)|/√t_k > c_k) = α(t_k) − α(t_{k−1}),    level_k = P(|Z| > c_k)

    (without the bars for ``sides=1``). Found by integrating the density of the paths that haven't crossed yet.

    Assumes statistics with independent increments of information, as means of independent replicas have; that holds
    asymptotically for studentised ones.

    Args:
        fractions: t_1 < t_2 < … ≤ 1, what had been collected at each look so far. Later looks needn't be known.
        alpha: level of the whole test.
        sides: 1 or 2; with 2, the levels are of both tails together.
        spending: (alpha, t) → what may have been spent at t.

    Raises:
        InputError: fractions that don't increase from above 0 to at most 1; other sides than 1 or 2.

    Source:
        Armitage, McPherson & Rowe 1969, J. R. Statist. Soc. A 132; Lan & DeMets 1983, Biometrika 70.
    """
    check_probability(alpha, "alpha")
    t = np.asarray(fractions, np.float64)
    if t.ndim != 1 or not len(t) or not (t[0] > 0 and t[-1] <= 1 and np.all(np.diff(t) > 0)):
        raise InputError(f"fractions are {list(fractions)}: pass shares of the information that grow, up to 1")
    if sides not in (1, 2):
        raise InputError(f"sides is {sides}: pass 1 or 2")
    levels = np.zeros(len(t))
    before, spent = 0.0, 0.0
    points, mass = np.zeros(1), np.ones(1)  # the paths that haven't crossed: where they are, and their weights
    for k, now in enumerate(t):
        step = np.sqrt(now - before)
        budget = max(spending(alpha, now) - spent, 0.0)

        def crossing(c: float, points=points, mass=mass, step=step, now=now) -> float:
            bound = c * np.sqrt(now)
            beyond = special.ndtr((points - bound) / step)
            if sides == 2:
                beyond = beyond + special.ndtr((-points - bound) / step)
            return float(np.sum(mass * beyond))

        c = np.inf
        if budget > 0 and crossing(_REACH) < budget:
            c = optimize.root_scalar(lambda c: crossing(c) - budget, bracket=(-_REACH, _REACH), xtol=1e-10).root  # noqa: B023
        spent += crossing(c) if np.isfinite(c) else 0.0
        levels[k] = sides * special.ndtr(-c)
        top = min(c, _REACH) * np.sqrt(now)
        bottom = -top if sides == 2 else -_REACH * np.sqrt(now)
        if top <= bottom:
            break
        grid = np.linspace(bottom, top, _POINTS)
        density = np.exp(-0.5 * ((grid[:, None] - points) / step) ** 2) @ mass / (step * np.sqrt(2 * np.pi))
        points, mass, before = grid, density * _simpson(grid), now
    return levels


def _simpson(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.ones(len(grid))
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return weights * (grid[1] - grid[0]) / 3
