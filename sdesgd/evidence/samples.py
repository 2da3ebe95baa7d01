"""Arrays of replicas: validation, finite counts and central moments, shared by the whole package."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdesgd.errors import InputError

# A whole number is a number too; runtime type checkers do not take an int for a float.
Real = float | int

# Equal numbers computed by two differently compiled programs may differ in their last few bits.
ROUNDING_UNITS = 16


@dataclass(frozen=True, eq=False)
class Moments:
    """Central moments over the finite replicas, one entry a column.

    `variance` has the 1/(n−1) normalisation, the others 1/n. NaN where fewer than two replicas are finite.
    """

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    second: NDArray[np.float64]
    third: NDArray[np.float64]
    fourth: NDArray[np.float64]


def as_replicas(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """`values` in float64 with at least one replica along axis 0; refuses anything else by name."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {array.dtype}; pass real numbers, replicas along axis 0")
    if array.ndim == 0 or array.shape[0] == 0:
        raise InputError(f"{name} has shape {array.shape}; pass at least one replica along axis 0")
    return array.astype(np.float64)


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


def check_probability(value: Real, name: str) -> None:
    """Refuse a level, power or confidence outside the open interval (0, 1)."""
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; it must lie strictly between 0 and 1")


def check_margin(margin: Real) -> None:
    """Refuse a margin that is not a positive number of standard deviations."""
    if not 0 < margin < math.inf:
        raise InputError(f"margin is {margin}; pass a positive number of reference standard deviations")


def moments(values: NDArray[np.float64]) -> Moments:
    """Central moments over axis 0 of the entries that are finite."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    # Measured from one finite entry, a constant column has a variance of exactly zero.
    origin = np.take_along_axis(values, np.argmax(finite, axis=0)[None], axis=0)
    shifted = np.where(finite, values - np.where(np.isfinite(origin), origin, 0.0), 0.0)
    usable = np.where(count >= 2, count, np.nan)
    shifted_mean = shifted.sum(axis=0) / usable
    centred = np.where(finite, shifted - shifted_mean, 0.0)
    squares = centred**2
    sum_of_squares = squares.sum(axis=0)
    return Moments(
        count=np.asarray(count, dtype=np.int64),
        mean=np.asarray(origin[0] + shifted_mean),
        variance=np.asarray(sum_of_squares / (usable - 1)),
        second=np.asarray(sum_of_squares / usable),
        third=np.asarray((squares * centred).sum(axis=0) / usable),
        fourth=np.asarray((squares**2).sum(axis=0) / usable),
    )


def resolution(*arms: ArrayLike) -> float:
    """The relative difference below which numbers of these arms' coarsest type count as equal."""
    types = [np.asarray(arm).dtype for arm in arms]
    return ROUNDING_UNITS * float(max(np.finfo(t if t.kind == "f" else np.float64).eps for t in types))


def common_constant(a: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
    """True in the columns where all finite replicas of both arms share one value, up to rounding.

    All replicas start from the same parameters, so time 0 is such a column: it carries no evidence.
    Both arms need a finite replica there. Rounding is that of the coarser of the two dtypes, as passed in.
    """
    pooled = np.concatenate(as_two_arms(a, b), axis=0)
    finite = np.isfinite(pooled)
    present = np.isfinite(np.asarray(a)).any(axis=0) & np.isfinite(np.asarray(b)).any(axis=0)
    lowest = np.where(finite, pooled, np.inf).min(axis=0)
    highest = np.where(finite, pooled, -np.inf).max(axis=0)
    with np.errstate(invalid="ignore"):
        spread = highest - lowest
        scale = np.maximum(np.abs(lowest), np.abs(highest))
        return np.asarray(present & (spread <= resolution(a, b) * scale))
