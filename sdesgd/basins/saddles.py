"""Passes between minima: paths of least loss, saddles of index 1, and the barriers that decide how often SGD hops."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import optimize

from sdesgd import inputs
from sdesgd.basins.jets import ROUND, jets, relax, slopes_on_a_line, to_saddle
from sdesgd.basins.passes import Path, Saddle
from sdesgd.basins.quenching import check_points, in_float64, quench
from sdesgd.errors import InputError, shown
from sdesgd.landscape import Landscape, as_landscape

_SEARCH_POINTS = 8001  # of the search for critical points in one dimension
_ROUNDS = 100  # of the string, at most
_SETTLED = 1e-6  # change of the pass within a round, relative to the range of V on the string


# -- one dimension -----------------------------------------------------------------------------------------


def critical_points(landscape: Landscape, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """The minima and the maxima of V on an interval, each sorted: changes of sign of V′ on a fine grid, refined.

    Assumptions: D = 1; two critical points are further apart than 1/8000 of the interval.

    Raises:
        InputError: V′ isn't finite somewhere on it.
    """
    value = as_landscape(landscape).value
    x = np.linspace(low, high, _SEARCH_POINTS)
    x[1:-1] += 1e-7 * math.pi * (high - low) / _SEARCH_POINTS  # no grid point on a symmetric critical point
    slopes = np.asarray(slopes_on_a_line(value, jnp.asarray(x)))
    if not np.isfinite(slopes).all():
        where = x[~np.isfinite(slopes)][0]
        raise InputError(f"V′ of {landscape.name} is not finite at {where:.4g}: choose another box, or smooth V there")
    found = {1: [], -1: []}
    for k in np.flatnonzero(slopes[:-1] * slopes[1:] < 0):
        root = optimize.brentq(
            lambda z: float(slopes_on_a_line(value, jnp.asarray([z]))[0]), x[k], x[k + 1], xtol=1e-14
        )
        found[1 if slopes[k] < 0 else -1].append(root)
    return np.array(found[1]), np.array(found[-1])


# -- the string --------------------------------------------------------------------------------------------


def minimum_energy_path(landscape: Landscape, a: Any, b: Any, images: int = 31) -> Path:
    """A path from a to b along which ∇V has no component across, by the simplified string method; its passes exactly.

    Images descend with V and are spaced evenly again, from the straight line until the pass no longer changes. Each
    maximum along the string is then led to a saddle by Newton steps, up along the softest direction. On a line the
    path is the interval and the passes are its maxima.

    Assumptions: V has two derivatives. In more than one dimension there may be several such paths: this is the one
    that the straight line relaxes to, and not always the lowest.

    Args:
        landscape: V. a, b: (D,), two minima (‖∇V‖ small), float64. images: of the string, its ends included.

    Raises:
        InputError: a and b agree or aren't minima; fewer than 5 images; the string doesn't settle; the pass isn't a
            non-degenerate saddle of index 1, or lies below an end; a V that JAX can't trace.

    Source: E, Ren & Vanden-Eijnden 2007, J. Chem. Phys. 126, 164103.
    """
    landscape = in_float64(landscape)
    _check_images(images)
    ends = _pair(landscape, a, b)
    span = float(np.linalg.norm(ends[1] - ends[0]))
    depths, slopes, hessians = jets(landscape, ends)
    curvature = float(np.abs(np.linalg.eigvalsh(hessians)).max())
    at_rest = slopes.max() <= 1e-4 * curvature * span
    if not (span > 0 and at_rest and np.linalg.eigvalsh(hessians).min() > 0):
        raise InputError(
            f"a and b must be two different minima, but they are {span:.2g} apart, and ‖∇V‖ there is {slopes[0]:.2g}, "
            f"{slopes[1]:.2g}: pass quenched points"
        )
    if landscape.dimension == 1:
        string, values, tops = _line(landscape, ends[:, 0], images)
    else:
        string, values = _settled(landscape, ends, images)
        inner = (values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])
        tops = string[1:-1][inner]
    passes, heights = _polished(landscape, tops, span / images)
    top = int(heights.argmax())
    if not heights[top] > depths.max():
        raise InputError(
            f"the pass found on {landscape.name} lies at {heights[top]:.6g}, below the minimum at {depths.max():.6g}: "
            "the polish left the path; take more images"
        )
    return Path(string, values, passes[top], passes, *(heights[top] - depths).tolist())


def _line(landscape: Landscape, ends: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    _, tops = critical_points(landscape, float(ends.min()), float(ends.max()))
    string = np.linspace(ends[0], ends[1], images)[:, None]
    values = np.asarray(jax.vmap(landscape.value)(jnp.asarray(string)))
    return string, values, (tops if ends[0] < ends[1] else tops[::-1])[:, None]


def highest_on_the_way(landscape: Landscape, a: Any, b: Any, images: int = 31, rounds: int = 2) -> float:
    """V at the highest image of a string from a to b after a few rounds: no path over the lowest pass climbs higher.

    A quick upper bound for stiff losses, where the string of ``minimum_energy_path`` takes minutes to settle.

    Args:
        landscape: V. a, b: (D,), D > 1, float64. images: of the string. rounds: of 200 descents each.

    Raises:
        InputError: points of another shape, fewer than 5 images or one round, a string that leaves the finite numbers.
    """
    landscape = in_float64(landscape)
    _check_images(images)
    inputs.check_positive_integer("rounds", rounds)
    ends = _pair(landscape, a, b)
    passed = itertools.islice(_strings(landscape, ends, images), rounds)
    heights = [float(values.max()) for _, values in passed]
    if not np.isfinite(heights).all():
        raise InputError(f"V of {landscape.name} isn't finite along the string: take more images")
    return min(heights)


def _check_images(images: Any) -> None:
    inputs.check_positive_integer("images", images)
    if images < 5:
        raise InputError(f"images is {images}: pass at least 5")


def _pair(landscape: Landscape, a: Any, b: Any) -> Float[np.ndarray, "2 D"]:
    """The ends of a path."""
    shape = f"({landscape.dimension},)"
    ends = [inputs.as_float64(x, name, shape) for name, x in (("a", a), ("b", b))]
    if ends[0].shape != ends[1].shape:
        raise InputError(f"a has shape {ends[0].shape} and b {ends[1].shape}: pass two points {shape}")
    return check_points(landscape, np.stack(ends))


def _strings(landscape: Landscape, ends: np.ndarray, images: int) -> Iterator[tuple[Any, Any]]:
    """The string and V along it, round after round."""
    # A bend, lest the string stay on a ridge or a summit that symmetry puts on the line.
    chord, share = ends[1] - ends[0], np.linspace(0, 1, images)[:, None]
    span = float(np.linalg.norm(chord))
    across = np.eye(len(chord))[np.abs(chord).argmin()]
    across = across - (across @ chord) / (chord @ chord) * chord
    bend = 1e-3 * span * np.sin(math.pi * share) * across / np.linalg.norm(across)
    string = jnp.asarray(ends[0] + share * chord + bend)
    while True:
        # Curvatures change along the way, and Euler steps are stable below 2/λ.
        curvature = float(np.abs(np.linalg.eigvalsh(jets(landscape, np.asarray(string))[2])).max())
        string, values = relax(landscape.value, string, 0.5 / curvature, span / images)
        yield string, values


def _settled(landscape: Landscape, ends: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    before = math.inf
    for string, values in itertools.islice(_strings(landscape, ends, images), _ROUNDS):
        height, scale = float(values.max()), float(values.max() - values.min())
        if not math.isfinite(height):
            break
        if abs(height - before) < _SETTLED * scale:
            return np.asarray(string), np.asarray(values)
        before = height
    raise InputError(
        f"the string between {ends[0]} and {ends[1]} on {landscape.name} doesn't settle in {ROUND * _ROUNDS} steps: "
        "take minima that are neighbours, or more images"
    )


def _polished(landscape: Landscape, tops: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    if not len(tops):
        raise InputError(f"the path on {landscape.name} has no pass between its ends: is one of them no minimum?")
    passes = np.array([to_saddle(landscape.value, jnp.asarray(x), longest) for x in tops])
    heights, slopes, hessians = jets(landscape, passes)
    spectra = np.linalg.eigvalsh(hessians)
    for top, point, slope, spectrum in zip(tops, passes, slopes, spectra, strict=True):
        small = 1e-8 * np.abs(spectrum).max()
        index = int((spectrum < -small).sum())
        if slope < 1e-8 and index == 1 and np.abs(spectrum).min() > small:
            continue
        raise InputError(
            f"the pass of {landscape.name} near {top} leads to {point}, ‖∇V‖ = {slope:.2g}, with {index} negative "
            "curvatures and not one: take more images, or other minima"
        )
    return passes, heights


# -- all pairs ---------------------------------------------------------------------------------------------


def find_saddles(landscape: Landscape, minima: Any, images: int = 31) -> tuple[Saddle, ...]:
    """The passes that join two of the minima directly, from strings between all pairs of them; lowest first.

    Each saddle found is left to both sides along its negative curvature, and belongs to the minima where the gradient
    flow ends. Passes that no string meets stay unknown.

    Args:
        landscape: V. minima: (M, D) quenched points, or an object with such ``points``. Images under symmetries are
            minima of their own here: pass those that matter.

    Raises:
        InputError: as ``minimum_energy_path``; flow from a saddle to a minimum that isn't among them.
    """
    landscape = in_float64(landscape)
    minima = check_points(landscape, getattr(minima, "points", minima))
    candidates: list[np.ndarray] = []
    pairs = list(itertools.combinations(range(len(minima)), 2))
    if landscape.dimension == 1:  # neighbours will do
        pairs = list(itertools.pairwise(minima[:, 0].argsort().tolist()))
    for a, b in pairs:
        for point in minimum_energy_path(landscape, minima[a], minima[b], images).saddles:
            if all(np.linalg.norm(point - other) > 1e-6 for other in candidates):
                candidates.append(point)
    found = []
    for point in candidates:
        values, _, hessians = jets(landscape, point[None])
        spectrum, vectors = np.linalg.eigh(hessians[0])
        nearest = float(np.linalg.norm(minima - point, axis=1).min())
        sides = point + np.array([[1e-3], [-1e-3]]) * nearest * vectors[:, 0]
        ends = quench(landscape, sides).check().points
        distance = np.linalg.norm(ends[:, None] - minima, axis=-1)
        if distance.min(axis=1).max() > 1e-4 * nearest:
            where = ends[distance.min(axis=1).argmax()]
            raise InputError(
                f"from the saddle {point} of {landscape.name} gradient flow ends at {where}, which isn't among the "
                "minima: add it"
            )
        a, b = sorted(distance.argmin(axis=1).tolist())
        if a != b:
            found.append(Saddle(point, float(values[0]), (a, b), spectrum))
    return tuple(sorted(found, key=lambda saddle: saddle.value))


def check_saddles(saddles: Any, count: int) -> tuple[Saddle, ...]:
    """The saddles, if they join minima 0 … count − 1.

    Raises:
        InputError: something else than saddles, or saddles of other minima.
    """
    for saddle in tuple(saddles):
        if not isinstance(saddle, Saddle):
            raise InputError(f"saddles hold {shown(saddle)}: pass those of find_saddles")
        if not 0 <= min(saddle.wells) <= max(saddle.wells) < count:
            raise InputError(f"a saddle joins wells {saddle.wells} of {count} minima: pass the minima it was found for")
    return tuple(saddles)


def barriers(landscape: Landscape, minima: Any, saddles: tuple[Saddle, ...] | None = None) -> Float[np.ndarray, "M M"]:
    """(M, M): V at the lowest pass from well a (row) to well b, over other wells too if that is lower, less V_a.

    Args:
        landscape: V. minima: (M, D) or an object with ``points``. saddles: those of ``find_saddles``; default: found.

    Returns:
        0 on the diagonal; infinite where no known chain of passes leads.

    Raises:
        InputError: as ``find_saddles``; saddles of other minima.
    """
    landscape = in_float64(landscape)
    minima = check_points(landscape, getattr(minima, "points", minima))
    saddles = check_saddles(find_saddles(landscape, minima) if saddles is None else saddles, len(minima))
    height = np.full((len(minima), len(minima)), math.inf)
    for saddle in saddles:
        a, b = saddle.wells
        height[a, b] = height[b, a] = min(height[a, b], saddle.value)
    for via in range(len(minima)):  # Floyd and Warshall, with the highest pass of a way for its length
        height = np.minimum(height, np.maximum(height[:, via, None], height[None, via]))
    result = height - jets(landscape, minima)[0][:, None]
    np.fill_diagonal(result, 0)
    return result
