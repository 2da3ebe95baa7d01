"""What weak-order compares, and the slope of each error with its interval."""

import dataclasses
import math
from typing import Any

import numpy as np

from sdesgd.evidence import decide, order_fit


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One error against one step size h: what is expected of it, and how it is fitted.

    Args:
        panel: where it is drawn.
        label: in words.
        expected: slope of the error against x.
        power: the expansion is one in powers of x^power (√η with momentum).
        correction: whether the fit has the next order, b x^power.
        constant: expected too, c of error ≈ c·x^expected, where it is known.
        side: drawn small, and not part of the answer.
    """

    panel: str
    label: str
    expected: float
    power: float = 1.0
    correction: bool = True
    constant: float | None = None
    side: bool = False


# What a decision within ¼ of the expected slope says of it.
_STATUS = {"equivalent": "met", "different": "NOT met", "inconclusive": "undecided"}

MOMENTUM = 0.9  # of the heavy ball at stationarity

# panel → its step size
ABSCISSA = dict.fromkeys(("circle", "variance", "stationary", "momentum", "net"), "eta") | {"svag": "inverse_ell"}

COMPARISONS = {
    "sgd_order1": Comparison("circle", "order 1", 1),
    "gaussian_order1": Comparison("circle", "Gaussian SGD, order 1", 1),
    "sgd_order2": Comparison("circle", "order 2", 2),
    "gaussian_order2": Comparison("circle", "Gaussian SGD, order 2", 2),
    "sgd_flow": Comparison("circle", "gradient flow", 1),
    "sgd_gaussian": Comparison("circle", "SGD − Gaussian SGD", 2, side=True),
    "integrator": Comparison("circle", "integrator at h = η", 3, side=True),
    # Relative errors of variances: those of a step are right to leading order only, for both orders.
    "variance_order1": Comparison("variance", "order 1", 1),
    "variance_order2": Comparison("variance", "order 2", 1),
    "stationary_order1": Comparison("stationary", "order 1", 1, constant=0.5),
    "stationary_order2": Comparison("stationary", "order 2", 1, constant=1.0),
    "stationary_momentum1": Comparison("stationary", "m = 0.9, order 1", 1, constant=0.5 / (1 + MOMENTUM)),
    "stationary_momentum2": Comparison("stationary", "m = 0.9, order 2", 1, constant=0.5 / (1 + MOMENTUM)),
    "momentum_order1": Comparison("momentum", "order 1", 0.5, power=0.5),
    "momentum_order2": Comparison("momentum", "order 2", 1, power=0.5),
    "svag": Comparison("svag", "order 1", 1),
    "net_order1": Comparison("net", "order 1", 1),
    # Its Monte Carlo errors don't resolve the next order: chi² tells whether it is missed.
    "net_order2": Comparison("net", "order 2", 2, correction=False),
}
# Errors of the equation without its noise that stay as they are, which have no order: panel → (name, in words).
WITHOUT_NOISE = {
    "variance": ("variance_flow", "gradient flow"),
    "stationary": ("stationary_flow", "gradient flow"),
    "momentum": ("momentum_flow", "noiseless equation"),
    "svag": ("svag_flow", "gradient flow"),
}


def measure(comparison: Comparison, x: np.ndarray, error: np.ndarray, standard_error: np.ndarray | None) -> dict:
    """The slope of an error with its 95 % interval and band, and whether it is the expected one.

    "met": the whole interval is nearer to the expected slope than to any other multiple of ½.

    Args:
        x, error, standard_error: (points,); None for exact errors.
    """
    entry = dict(dataclasses.asdict(comparison), x=x.tolist(), error=[finite(e) for e in error])
    entry |= {"standard_error": None if standard_error is None else [finite(e) for e in standard_error]}
    kept = np.isfinite(error) & (error > 0)
    if standard_error is not None:
        kept &= (standard_error > 0) & (error >= 2 * standard_error)
    entry["left_out"] = int((~kept).sum())
    h, p = x[kept] ** comparison.power, comparison.power
    if len(h) < (4 if comparison.correction else 3):
        return entry | {"slope": None, "low": None, "high": None, "band": None, "chi2": None, "status": "not measured"}
    weights = None if standard_error is None else standard_error[kept]
    fit = order_fit(h, error[kept], weights, correction=comparison.correction)
    fine = np.geomspace(x.min() / 1.15, x.max() * 1.15, 60)
    band = dict(zip(("fitted", "low", "high"), (b.tolist() for b in fit.band(fine**p)), strict=True))
    low, high = p * fit.low, p * fit.high
    return entry | {
        "slope": p * fit.order,
        "low": low,
        "high": high,
        "fitted_constant": fit.constant,
        "chi2": fit.chi2,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "inflated": fit.inflated,
        "band": {"x": fine.tolist(), **band},
        "status": _STATUS[decide(low, high, 0.25, expected=comparison.expected, beyond_margin=True)],
    }


def finite(value: Any) -> float | None:
    """A number for JSON: None where it isn't finite."""
    return float(value) if math.isfinite(value) else None
