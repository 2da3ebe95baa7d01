"""Arrays of replicas: validation, finite counts and central moments, shared by the whole package."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sdesgd.errors import InputError
from sdesgd.inputs import as_float64, check_number
from sdesgd.types import ArrayLike, RealScalarLike

# Equal numbers computed by two differently compiled programs may differ in their last few bits.
ROUNDING_UNITS = 16


@dataclass(frozen=True, eq=False)
class Moments:
    """Central moments over the finite replicas, one entry a column.

    `variance` has the 1/(n−1) normalisation, the others 1/n; all are in powers of `unit`, a power of two of the
    column's size, so that none underflows or overflows. NaN where fewer than two replicas are finite.
    """

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    unit: NDArray[np.float64]
    variance: NDArray[np.float64]
    second: NDArray[np.float64]
    third: NDArray[np.float64]
    fourth: NDArray[np.float64]


def as_replicas(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """`values` in float64 with at least one replica along axis 0; refuses anything else by name."""
    array = as_float64(values, name, "replicas along axis 0")
    if array.ndim == 0 or array.shape[0] == 0:
        raise InputError(f"{name} has shape {array.shape}; pass at least one replica along axis 0")
    return array


def as_two_arms(
    a: ArrayLike, b: ArrayLike, name_a: str = "a", name_b: str = "b"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both arms in float64; they may differ in replicas but not in the axes after."""
    replicas_a, replicas_b = as_replicas(a, name_a), as_replicas(b, name_b)
    if replicas_a.shape[1:] != replicas_b.shape[1:]:
        raise InputError(
            f"{name_a} has shape {replicas_a.shape} and {name_b} {replicas_b.shape}: "
            "all axes after the first must agree; save both arms at the same times"
        )
    return replicas_a, replicas_b


def check_probability(value: RealScalarLike, name: str) -> None:
    """Refuse a level, power or confidence outside the open interval (0, 1)."""
    check_number(name, value, "a number strictly between 0 and 1", lambda x: 0 < x < 1)


def check_margin(margin: RealScalarLike) -> None:
    """Refuse a margin that is not a positive number of standard deviations."""
    check_number("margin", margin, "a positive number of reference standard deviations", lambda x: x > 0)


def check_seed(seed: Any) -> None:
    """Refuse a seed that is not a whole number of at least 0."""
    if isinstance(seed, float | np.floating):
        raise InputError(f"seed is {seed}: pass a whole number of at least 0")
    check_number("seed", seed, "a whole number of at least 0", lambda x: x >= 0)


def unit_of(*arms: NDArray[np.float64]) -> NDArray[np.float64]:
    """A power of two of the size of each column, which divides it without rounding."""
    largest = np.max([np.where(np.isfinite(arm), np.abs(arm), 0.0).max(axis=0) for arm in arms], axis=0)
    return np.asarray(np.ldexp(1.0, np.minimum(np.frexp(largest)[1], 1023)))


def moments(values: NDArray[np.float64]) -> Moments:
    """Central moments over axis 0 of the entries that are finite."""
    unit = unit_of(values)
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    scaled = np.where(finite, values / unit, 0.0)
    # Measured from one finite entry, a constant column has a variance of exactly zero.
    origin = np.take_along_axis(scaled, np.argmax(finite, axis=0)[None], axis=0)
    shifted = np.where(finite, scaled - origin, 0.0)
    usable = np.where(count >= 2, count, np.nan)
    shifted_mean = shifted.sum(axis=0) / usable
    centred = np.where(finite, shifted - shifted_mean, 0.0)
    squares = centred**2
    sum_of_squares = squares.sum(axis=0)
    return Moments(
        count=np.asarray(count, dtype=np.int64),
        mean=np.asarray(unit * (origin[0] + shifted_mean)),
        unit=np.asarray(unit),
        variance=np.asarray(sum_of_squares / (usable - 1)),
        second=np.asarray(sum_of_squares / usable),
        third=np.asarray((squares * centred).sum(axis=0) / usable),
        fourth=np.asarray((squares**2).sum(axis=0) / usable),
    )


def resolution(*arms: ArrayLike) -> tuple[float, float]:
    """(relative, absolute) difference below which numbers of these arms' coarsest type count as equal.

    The absolute one is the smallest normal number: below it a type has fewer bits, and most processors none.
    """
    types = [jnp.dtype(getattr(arm, "dtype", np.float64)) for arm in arms]
    infos = [jnp.finfo(t if jnp.issubdtype(t, jnp.floating) else np.float64) for t in types]
    return ROUNDING_UNITS * float(max(i.eps for i in infos)), float(max(i.tiny for i in infos))


def extremes(*arms: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest finite value of each column over all arms; (∞, −∞) where none is finite."""
    lows = [np.where(np.isfinite(arm), arm, np.inf).min(axis=0) for arm in arms]
    highs = [np.where(np.isfinite(arm), arm, -np.inf).max(axis=0) for arm in arms]
    return np.asarray(np.min(lows, axis=0)), np.asarray(np.max(highs, axis=0))


def within_rounding(lowest: Any, highest: Any, relative: float, absolute: float) -> NDArray[np.bool_]:
    """Whether values between these two are one, up to rounding."""
    scale = np.maximum(np.abs(lowest), np.abs(highest))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(highest - lowest <= np.maximum(relative * scale, absolute))


def still(values: ArrayLike) -> NDArray[np.bool_]:
    """True in the columns where all finite replicas of an arm share one value, up to rounding of its dtype."""
    lowest, highest = extremes(as_replicas(values, "values"))
    return np.asarray(np.isfinite(lowest) & within_rounding(lowest, highest, *resolution(values)))


def common_constant(a: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
    """True in the columns where all finite replicas of both arms share one value, up to rounding.

    All replicas start from the same parameters, so time 0 is such a column: it carries no evidence.
    Both arms need a finite replica there. Rounding is that of the coarser of the two dtypes, as passed in.
    """
    replicas = as_two_arms(a, b)
    present = np.all([np.isfinite(arm).any(axis=0) for arm in replicas], axis=0)
    return np.asarray(present & within_rounding(*extremes(*replicas), *resolution(a, b)))
