"""What weak-order compares, and the slope of each error with its interval."""

import dataclasses
import math

import numpy as np

from sdesgd.evidence import OrderFit, decide, order_fit


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


def _of_fit(name: str, doc: str) -> property:
    return property(lambda measured: getattr(measured.fit, name, None), doc=doc)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Measured(Comparison):
    """An error at each step size, and its slope.

    Attributes:
        x, error, standard_error: (points,); no standard errors of exact ones.
        left_out: points within two standard errors of zero, or without a number, which no fit sees.
        fit: in powers of x^power; None where too few points are left.
    """

    x: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray | None
    left_out: int
    fit: OrderFit | None

    @property
    def slope(self) -> float:
        """Of log error against log x; NaN where there is no fit."""
        return self.power * self.fit.order if self.fit else math.nan

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return self.power * self.fit.low if self.fit else math.nan

    @property
    def high(self) -> float:
        """The upper end."""
        return self.power * self.fit.high if self.fit else math.nan

    fitted_constant = _of_fit("constant", "c of error ≈ c·x^slope.")
    chi2 = _of_fit("chi2", "Of the fit; None where errors are exact.")
    degrees_of_freedom = _of_fit("degrees_of_freedom", "Of the fit.")
    inflated = _of_fit("inflated", "Whether the fit misses the points by more than their errors, which widened it.")

    @property
    def status(self) -> str:
        """In words; "met": the whole interval is nearer to the expected slope than to any other multiple of ½."""
        if self.fit is None:
            return "not measured"
        return _STATUS[decide(self.low, self.high, 0.25, expected=self.expected, beyond_margin=True)]


def measure(comparison: Comparison, x: np.ndarray, error: np.ndarray, standard_error: np.ndarray | None) -> Measured:
    """The slope of an error.

    Args:
        x, error, standard_error: (points,); None for exact errors.
    """
    kept = np.isfinite(error) & (error > 0)
    if standard_error is not None:
        kept &= (standard_error > 0) & (error >= 2 * standard_error)
    fit = None
    if kept.sum() >= (4 if comparison.correction else 3):
        weights = None if standard_error is None else standard_error[kept]
        fit = order_fit(x[kept] ** comparison.power, error[kept], weights, correction=comparison.correction)
    left_out = int((~kept).sum())
    about = vars(comparison)
    return Measured(**about, x=x, error=error, standard_error=standard_error, left_out=left_out, fit=fit)
