"""At which power of the step size does an error vanish? A log–log fit that reports its interval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sdesgd.errors import InputError, shown
from sdesgd.evidence.samples import check_probability
from sdesgd.inputs import as_float64
from sdesgd.results import Result
from sdesgd.types import ArrayLike, RealScalarLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Below this many standard errors an error is noise, and so is its logarithm.
SIGNIFICANT = 2.0
# A chi² this improbable says that the line does not fit within the stated standard errors.
MISFIT_LEVEL = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class OrderFit(Result):
    """log|error| = log(constant) + order·log(h) (+ correction·h), with intervals.

    (`low`, `high`) is the interval of `order` at the `confidence` asked for. With standard errors given,
    `chi2` has `degrees_of_freedom`, and `inflated` says that misfit widened the interval; `residual_sd`
    is in units of log|error|, and of the standard errors when those were given. `step_sizes`, `errors` and
    `standard_errors` are the points that were fitted.
    """

    order: float
    low: float
    high: float
    constant: float
    correction: float | None
    chi2: float | None
    residual_sd: float
    degrees_of_freedom: int
    inflated: bool
    count: int
    confidence: float
    covariance: NDArray[np.floating]
    quantile: float
    step_sizes: NDArray[np.float64]
    errors: NDArray[np.float64]
    standard_errors: NDArray[np.float64] | None

    def __str__(self) -> str:
        text = (
            f"|error| ∝ h^p with p = {self.order:.3f}, {100 * self.confidence:g}% interval {self.low:.3f} to "
            f"{self.high:.3f}, from {self.count} step sizes h"
        )
        if self.correction is not None:
            text += f", with a next term exp({self.correction:.3g} h)"
        if self.inflated:
            text += "\nthe line does not fit within the standard errors given, which widened the interval"
        return text

    def plot(self) -> "Figure":
        """|error| against h on log axes, with the fitted line and its band."""
        from sdesgd.plot import order_fit

        return order_fit.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """The points and the fit over ``step_size``, the order as attributes."""
        import xarray as xr

        order = np.argsort(self.step_sizes)
        fitted, low, high = self.band(self.step_sizes[order])
        unknown = np.full(self.count, np.nan)
        errors = unknown if self.standard_errors is None else self.standard_errors
        columns = {"errors": self.errors[order], "standard_errors": errors[order], "fitted": fitted}
        columns |= {"fitted_low": low, "fitted_high": high}
        names = ("order", "low", "high", "constant", "confidence", "degrees_of_freedom")
        return xr.Dataset(
            {name: ("step_size", values) for name, values in columns.items()},
            {"step_size": self.step_sizes[order]},
            {name: getattr(self, name) for name in names},
        )

    def band(self, step_sizes: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        """The fitted |error| at positive step sizes and its pointwise interval: (fitted, low, high)."""
        steps = as_float64(step_sizes, "step_sizes")
        if not np.all(np.isfinite(steps) & (steps > 0)):
            raise InputError(f"step_sizes is {shown(steps)}; pass positive numbers")
        coefficients = [np.log(self.constant), self.order]
        coefficients += [] if self.correction is None else [self.correction]
        design = _design(steps, self.correction is not None)
        fitted = design @ np.array(coefficients)
        variance = np.einsum("...i,ij,...j->...", design, self.covariance, design)
        half_width = self.quantile * np.sqrt(variance)
        return np.exp(fitted), np.exp(fitted - half_width), np.exp(fitted + half_width)


def order_fit(
    step_sizes: ArrayLike,
    errors: ArrayLike,
    standard_errors: ArrayLike | None = None,
    *,
    correction: bool = False,
    confidence: RealScalarLike = 0.95,
) -> OrderFit:
    """Least squares of log|e| = log c + p log h (+ b h, with `correction`), and an interval for p.

    With standard errors the points are weighted by those of log|e|, se/|e| (delta method), and the
    interval is Gaussian; when chi² says that the line misses (p < 0.05), it is widened by
    √(chi²/dof) and Student's t. Without, errors are taken as deterministic and the interval is Student's
    from the residuals: it then measures curvature, not noise.

    Assumes independent errors, one leading power over the range of h, and no sign change.

    step_sizes: (points,), positive. errors: (points,), of either sign. standard_errors: (points,) or
    None. correction: also fit the next term of the expansion, b h.
    Raises InputError for fewer than 3 points (4 with correction), too few different step sizes, steps
    that are not positive, errors that are zero, within two standard errors of it, or all one number.
    """
    check_probability(confidence, "confidence")
    steps = _vector(step_sizes, "step_sizes")
    values = _vector(errors, "errors")
    _check_points(steps, values, correction)
    design = _design(steps, correction)
    if standard_errors is None:
        relative = np.ones_like(values)
    else:
        uncertainty = _vector(standard_errors, "standard_errors")
        _check_uncertainty(steps, values, uncertainty)
        relative = uncertainty / np.abs(values)
    logarithms = np.log(np.abs(values))
    weighted = design / relative[:, None]
    coefficients = np.linalg.lstsq(weighted, logarithms / relative, rcond=None)[0]
    residuals = (logarithms - design @ coefficients) / relative
    degrees_of_freedom = len(steps) - design.shape[1]
    sum_of_squares = float(residuals @ residuals)
    covariance = np.linalg.inv(weighted.T @ weighted)
    known = standard_errors is not None
    misfit = known and stats.chi2.sf(sum_of_squares, degrees_of_freedom) < MISFIT_LEVEL
    if known and not misfit:
        quantile = float(stats.norm.ppf(0.5 + 0.5 * confidence))
    else:
        covariance = covariance * sum_of_squares / degrees_of_freedom
        quantile = float(stats.t.ppf(0.5 + 0.5 * confidence, degrees_of_freedom))
    half_width = quantile * float(np.sqrt(covariance[1, 1]))
    order = float(coefficients[1])
    return OrderFit(
        order=order,
        low=order - half_width,
        high=order + half_width,
        constant=float(np.exp(coefficients[0])),
        correction=float(coefficients[2]) if correction else None,
        chi2=sum_of_squares if known else None,
        residual_sd=float(np.sqrt(sum_of_squares / degrees_of_freedom)),
        degrees_of_freedom=degrees_of_freedom,
        inflated=bool(misfit),
        count=len(steps),
        confidence=float(confidence),
        covariance=covariance,
        quantile=quantile,
        step_sizes=steps,
        errors=values,
        standard_errors=None if standard_errors is None else _vector(standard_errors, "standard_errors"),
    )


def _design(steps: NDArray[np.float64], correction: bool) -> NDArray[np.float64]:
    terms = [np.ones_like(steps), np.log(steps)] + ([steps] if correction else [])
    return np.stack(terms, axis=-1)


def _vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = as_float64(values, name, "a vector of finite numbers, one a step size")
    if array.ndim != 1 or not np.all(np.isfinite(array)):
        raise InputError(f"{name} is {array.tolist()}; pass a vector of finite numbers, one a step size")
    return array


def _check_points(steps: NDArray[np.float64], values: NDArray[np.float64], correction: bool) -> None:
    needed = 4 if correction else 3
    if len(steps) != len(values):
        raise InputError(f"{len(steps)} step_sizes and {len(values)} errors; pass one error a step size")
    if len(steps) < needed:
        raise InputError(f"{len(steps)} points; an order with an interval needs {needed}: add step sizes")
    if np.any(steps <= 0):
        raise InputError(f"step_sizes has {steps.min()}; step sizes must be positive")
    # Steps that agree to a millionth say nothing of a power.
    different = len(np.unique(np.round(np.log(steps), 6)))
    if different < needed - 1:
        raise InputError(f"step_sizes has {different} different values; this fit needs {needed - 1}: spread them out")
    if np.any(values == 0):
        raise InputError(f"errors is 0 at step size {steps[values == 0][0]}: it has no logarithm; leave the point out")
    if np.all(values == values[0]):
        raise InputError(f"errors is {values[0]} at every step size: nothing moved with the step, so there is no order")


def _check_uncertainty(
    steps: NDArray[np.float64], values: NDArray[np.float64], uncertainty: NDArray[np.float64]
) -> None:
    if len(uncertainty) != len(values):
        raise InputError(f"{len(values)} errors and {len(uncertainty)} standard_errors; pass one each")
    if np.any(uncertainty <= 0):
        raise InputError(f"standard_errors has {uncertainty.min()}; they must be positive; for exact errors pass None")
    noise = np.abs(values) < SIGNIFICANT * uncertainty
    if np.any(noise):
        raise InputError(
            f"errors at step sizes {steps[noise].tolist()} lie within {SIGNIFICANT:g} standard errors of "
            "zero: their logarithm is noise; run more replicas there or leave these points out"
        )
