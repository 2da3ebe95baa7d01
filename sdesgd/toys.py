"""Analytic potentials as finite sums with a prescribed gradient covariance: what SGD does there is known exactly.

Tilted copies, ℓ_i = V + a_i·θ with Σ a_i = 0, have L = V and C = (1/N) Σ a_i a_iᵀ everywhere; ℓ_i = V + b_i φ(θ) with
Σ b_i = 0 have C(θ) = Var(b) ∇φ ∇φᵀ. S ≥ 1 bounds η/S from below, so to take η → 0 at a fixed temperature scale the
tilts by √(S/η): ``tilt_variance``.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from sdesgd import freshness, inputs
from sdesgd.errors import InputError, require_known, shown
from sdesgd.landscape import Potential
from sdesgd.problem import Problem
from sdesgd.types import Box, RealScalarLike


class Tilted(eqx.Module):
    """θ, a ↦ V(θ) + a·θ."""

    value: Callable = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " D"], tilt: Float[Array, " D"]) -> Float[Array, ""]:
        return self.value(theta) + jnp.vdot(tilt, theta)


class Modulated(eqx.Module):
    """θ, b ↦ V(θ) + b φ(θ)."""

    value: Callable = eqx.field(static=True)
    modulation: Callable = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " D"], coefficient: Float[Array, ""]) -> Float[Array, ""]:
        return self.value(theta) + coefficient * self.modulation(theta)


# -- finite sums -------------------------------------------------------------------------------------------


def tilted(potential: Potential, tilts: Any, params: Any = None) -> Problem:
    """The finite sum ℓ_i = V + a_i·θ: constant C = (1/N) Σ a_i a_iᵀ.

    Args:
        potential: V.
        tilts: (N, D); their mean must be 0.
        params: θ, the start; default: the first minimum, or the middle of the box.

    Raises:
        InputError: tilts of another dimension, not finite, or whose mean isn't 0; a start of another shape; a V that
            JAX can't trace.
    """
    _check_potential(potential)
    tilts = inputs.as_float64(tilts, "tilts", f"(N, {potential.dimension})")
    if tilts.ndim != 2 or tilts.shape[1] != potential.dimension:
        raise InputError(f"tilts have shape {tilts.shape}: pass (N, {potential.dimension}) for {potential.name}")
    _check_centred(tilts, "tilts")
    return Problem(Tilted(potential.value), _start(potential, params), tilts)


def modulated(potential: Potential, modulation: Callable, coefficients: Any, params: Any = None) -> Problem:
    """The finite sum ℓ_i = V + b_i φ(θ): C(θ) = Var(b) ∇φ ∇φᵀ.

    Args:
        potential: V.
        modulation: φ, θ (D,) ↦ scalar, in JAX.
        coefficients: b, (N,); their mean must be 0.
        params: θ, the start.

    Raises:
        InputError: coefficients of another shape, not finite, or whose mean isn't 0; a φ that JAX can't trace or that
            isn't one number.
    """
    _check_potential(potential)
    if not callable(modulation):
        raise InputError(f"modulation is {shown(modulation)}: pass a function of a point (D,), in JAX")
    coefficients = inputs.as_float64(coefficients, "coefficients", "(N,)")
    if coefficients.ndim != 1:
        raise InputError(f"coefficients have shape {coefficients.shape}: pass (N,)")
    _check_centred(coefficients, "coefficients")
    return Problem(Modulated(potential.value, modulation), _start(potential, params), coefficients)


def tilts_of(covariance: Any) -> np.ndarray:
    """2D tilts ±√D (columns of C^{1/2}): mean 0, covariance C exactly, no skewness.

    Args:
        covariance: C, (D, D), or a number c for one dimension.

    Raises:
        InputError: not symmetric and positive semi-definite.
    """
    C = np.atleast_2d(inputs.as_float64(covariance, "covariance", "(D, D)"))
    if C.ndim != 2 or C.shape[0] != C.shape[1] or not C.size or not np.allclose(C, C.T) or not np.isfinite(C).all():
        raise InputError(f"covariance of shape {C.shape} is not a symmetric matrix of finite numbers")
    values, vectors = np.linalg.eigh(C)
    if values[0] < -1e-9 * abs(values[-1]):
        raise InputError(f"covariance has an eigenvalue {values[0]:.3g} < 0: a covariance has none")
    root = vectors * np.sqrt(np.clip(values, 0, None)) * math.sqrt(len(C))
    return np.concatenate([root.T, -root.T])


def skewed_tilts(variance: float, num_examples: int) -> np.ndarray:
    """N one-dimensional tilts, one large and N − 1 small: mean 0, variance σ², skewness (N−2)/√(N−1).

    Args:
        variance: σ² > 0.
        num_examples: N ≥ 2; 2 has no skewness.

    Raises:
        InputError: σ² that isn't positive and finite, N < 2.
    """
    inputs.check_number("variance", variance, "σ² > 0", lambda x: x > 0)
    inputs.check_positive_integer("num_examples", num_examples)
    if num_examples < 2:
        raise InputError(f"num_examples is {num_examples}: pass N ≥ 2")
    variance = float(variance)
    small = -math.sqrt(variance / (num_examples - 1))
    return np.array([[-small * (num_examples - 1)], *([[small]] * (num_examples - 1))])


def tilt_variance(temperature: float, learning_rate: float, batch_size: int) -> float:
    """σ² = 2ST/η, for which the SDE's stationary law is ∝ exp(−V/T).

    Raises:
        InputError: T ≤ 0, η ≤ 0, S < 1.
    """
    inputs.check_number("temperature", temperature, "T > 0; at T = 0 SGD is gradient descent", lambda x: x > 0)
    inputs.check_number("learning_rate", learning_rate, "a finite η > 0", lambda x: x > 0)
    inputs.check_number("batch_size", batch_size, "S ≥ 1", lambda x: x >= 1)
    return 2 * float(batch_size) * float(temperature) / float(learning_rate)


def _check_potential(potential: Any) -> None:
    if not isinstance(potential, Potential):
        raise InputError(f"potential is {shown(potential)}: pass a Potential, as toys.potential(name) or from_sympy")


def _check_centred(values: np.ndarray, name: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(f"{name} have values that are NaN or infinite: remove them")
    mean, scale = np.abs(values.mean(axis=0)).max(), np.abs(values).max(initial=0)
    if mean > 1e-9 * max(scale, 1e-300):
        raise InputError(f"the mean of the {name} is {mean:.3g}, so it would tilt L itself: subtract it")


def _start(potential: Potential, params: Any) -> Float[Array, " D"]:
    if params is None:
        params = potential.minima[0] if potential.minima else [(low + high) / 2 for low, high in potential.box]
    start = jnp.asarray(inputs.as_float64(params, "params", f"({potential.dimension},)"), float)
    if start.shape != (potential.dimension,):
        raise InputError(f"params have shape {start.shape}: pass ({potential.dimension},) for {potential.name}")
    return start


# -- potentials --------------------------------------------------------------------------------------------


def from_sympy(
    expression: sp.Expr,
    symbols: Sequence[sp.Symbol],
    box: Box,
    name: str = "potential",
    minima: Sequence[Sequence[RealScalarLike]] | None = None,
) -> Potential:
    """A potential from a sympy expression.

    Args:
        expression: V.
        symbols: its coordinates, in order; all its free symbols.
        box: (low, high) of each.
        minima: points from which descent leads to the distinct minima, (M, D); None: for a search to find.

    Raises:
        InputError: no expression; a symbol that isn't a coordinate, a box of another dimension, V that isn't finite and
            real in its box, or unbounded below on an axis; functions that JAX doesn't have.
    """
    if not isinstance(expression, sp.Expr) or not all(isinstance(x, sp.Symbol) for x in symbols):
        raise InputError(f"expression is {shown(expression)} of {shown(symbols)}: pass a sympy expression and symbols")
    unknown = sorted(map(str, expression.free_symbols - set(symbols)))
    if unknown:
        raise InputError(f"the potential has symbols {', '.join(unknown)} that are no coordinates: give them values")
    if len(box) != len(symbols):
        raise InputError(f"the box has {len(box)} intervals for {len(symbols)} coordinates: pass one for each")
    with freshness.guarded(
        f"the expression of {name}", "write it with functions that JAX has", "can't be written in JAX"
    ):
        function = sp.lambdify([list(symbols)], expression, "jax")
    points = None if minima is None else tuple(map(tuple, inputs.as_float64(minima, "minima", "(M, D)").tolist()))
    sides = inputs.as_float64(box, "box", "(low, high) for each coordinate").tolist()
    potential = Potential(name, function, len(symbols), tuple(map(tuple, sides)), points)
    check_confining(potential)
    return potential


def check_confining(potential: Potential) -> None:
    """Looks along axes and diagonals, up to a thousand boxes away, whether V falls below all it is inside.

    Raises:
        InputError: it does, so exp(−V/T) can't be normalised; V isn't finite somewhere in the box.
    """
    _check_potential(potential)
    value = potential.fresh().value
    low, high = np.array(potential.box).T
    centre, half = (low + high) / 2, (high - low) / 2
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.eye(potential.dimension), -np.eye(potential.dimension)])
    directions = np.concatenate([directions, rng.normal(size=(16, potential.dimension))])
    within = rng.uniform(low, high, size=(64, potential.dimension))
    reach = half * directions / np.abs(directions).max(axis=1, keepdims=True)
    beyond = centre + (reach[:, None] * np.array([3.0, 30.0, 1000.0])[:, None]).reshape(-1, potential.dimension)
    values = np.asarray(_values(value, jnp.asarray(np.concatenate([within, beyond]))), float)
    inside, outside = values[:64], values[64:]
    if not np.isfinite(inside).all():
        count = int((~np.isfinite(inside)).sum())
        raise InputError(f"{potential.name} is not finite at {count} of 64 points of its box: choose another box")
    # Far away V may overflow to ∞, which is high enough, or to ∞ − ∞, which says nothing.
    deeper = np.flatnonzero(outside < inside.min() - 1e-9)
    if deeper.size:
        where = ", ".join(f"{x:.3g}" for x in beyond[deeper[0]])
        raise InputError(
            f"{potential.name} is lower at ({where}) than anywhere in its box: unbounded below, so it has no "
            "stationary law; add weight decay or enlarge the box"
        )


@freshness.jit
def _values(value: Callable, points: Float[Array, "K D"]) -> Float[Array, " K"]:
    return jax.vmap(value)(points)


_x, _y = sp.symbols("x y", real=True)


def _double_well(shift: sp.Expr) -> sp.Expr:
    return (_x**2 - 1) ** 2 / 4 + shift


@functools.cache
def _known() -> dict[str, Potential]:
    """Built at the first use: importing the library creates no array."""
    quarter = sp.Rational(1, 4)
    mueller_brown = sum(
        a * sp.exp(b * (_x - x0) ** 2 + c * (_x - x0) * (_y - y0) + d * (_y - y0) ** 2)
        for a, b, c, d, x0, y0 in (
            (-200, -1, 0, -10, 1, 0),
            (-100, -1, 0, -10, 0, sp.Rational(1, 2)),
            (-170, sp.Rational(-13, 2), 11, sp.Rational(-13, 2), sp.Rational(-1, 2), sp.Rational(3, 2)),
            (15, sp.Rational(7, 10), sp.Rational(3, 5), sp.Rational(7, 10), -1, 1),
        )
    )
    # In units of 1/100, and a wall that is nothing where the wells are.
    mueller_brown = mueller_brown / 100 + (_x**2 + (_y - quarter * 2) ** 2) ** 4 / 2000
    radius = _x**2 + _y**2
    stiffness = 1 + sp.Rational(3, 5) * _x / sp.sqrt(1 + _x**2)  # softer on the left, V = 0 at both minima still
    narrow_deep = -sp.Rational(13, 10) * sp.exp(-8 * ((_x - 1) ** 2 + _y**2))
    wide_shallow = -sp.exp(-((_x + 1) ** 2 + _y**2))
    found = {
        "quadratic": (_x**2 / 2, [_x], [(-3, 3)], [[0]]),
        "double-well": (_double_well(sp.S.Zero), [_x], [(-2, 2)], [[-1], [1]]),
        "unequal-depth": (_double_well(_x / 20), [_x], [(-2, 2)], [[-1], [1]]),
        "unequal-width": (_double_well(sp.S.Zero) * stiffness, [_x], [(-2, 2)], [[-1], [1]]),
        "asymmetric": (_double_well(sp.S.Zero) * stiffness - _x / 30, [_x], [(-2, 2)], [[-1], [1]]),
        "four-wells": (
            _double_well(_x / 30) + _double_well(sp.S.Zero).subs(_x, _y) - _y / 20 + _x * _y / 40,
            [_x, _y],
            [(-2, 2), (-2, 2)],
            [[-1, -1], [-1, 1], [1, -1], [1, 1]],
        ),
        "ring": ((radius - 1) ** 2 / 4, [_x, _y], [(-2, 2), (-2, 2)], None),
        "mueller-brown": (
            mueller_brown,
            [_x, _y],
            [(-1.8, 1.3), (-0.6, 2.2)],
            [[-0.56, 1.44], [0.62, 0.03], [-0.05, 0.47]],
        ),
        "rugged": (_x**2 / 20 + sp.cos(3 * _x) / 5 + sp.sin(5 * _x) / 10, [_x], [(-5, 5)], None),
        "narrow-deep-wide-shallow": (
            narrow_deep + wide_shallow + (radius / 8) ** 2,
            [_x, _y],
            [(-3, 3), (-3, 3)],
            [[1, 0], [-1, 0]],
        ),
    }
    return {name: from_sympy(v, symbols, box, name, minima) for name, (v, symbols, box, minima) in found.items()}


def names() -> list[str]:
    """The potentials that ``potential`` knows."""
    return sorted(_known())


def potential(name: str) -> Potential:
    """The ready potential of this name.

    Raises:
        InputError: an unknown name (the nearest is named).
    """
    return _known()[require_known("potential", name, _known())]
