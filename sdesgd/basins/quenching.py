"""Quenching: where the gradient flow from a point comes to rest, which says in whose basin the point lies."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from sdesgd import inputs, sizes
from sdesgd.basins import gradient_flow
from sdesgd.errors import InputError
from sdesgd.landscape import Landscape, as_landscape
from sdesgd.results import Result
from sdesgd.types import RealScalarLike

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Every step forms the Hessian and its eigenvectors.
_LARGEST_DIMENSION = 512
# Points that step together: a fixed number, so that one landscape compiles once; fewer where Hessians are large.
_CHUNK, _CHUNK_BYTES = 64, 2**27
# Steps between two sortings of the points into those that have arrived and those that move on; and in all.
_ROUND, _MOST_STEPS = 32, 5000

_OF_STARTS = ("losses", "gradient_norms", "zero_modes", "converged")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Quenched(Result):
    """Where the gradient flow of each point ends.

    Attributes:
        points: (K, D); NaN where the flow reached no minimum.
        losses: (K,), V there.
        gradient_norms: (K,), ‖∇V‖ where the flow stopped, whether it is a minimum or not.
        spectra: (K, D), the eigenvalues of the Hessian there, ascending.
        zero_modes: (K,), how many of them vanish (relative to the largest, 1e-8).
        converged: (K,).
        trouble: what became of the others and what helps, in one line; "" if there are none.
    """

    points: Float[np.ndarray, "K D"]
    losses: Float[np.ndarray, " K"]
    gradient_norms: Float[np.ndarray, " K"]
    spectra: Float[np.ndarray, "K D"]
    zero_modes: Int[np.ndarray, " K"]
    converged: Bool[np.ndarray, " K"]
    trouble: str

    def __str__(self) -> str:
        count, rest = len(self.losses), int(self.converged.sum())
        lines = [f"Gradient flow from {count:,} starts: {rest:,} came to rest at a minimum"]
        if rest:
            losses = self.losses[self.converged]
            lines[0] += f", V from {losses.min():.6g} to {losses.max():.6g}"
            flat = int((self.zero_modes[self.converged] > 0).sum())
            lines += [f"{flat:,} of them have zero modes: they are not isolated"] if flat else []
        return "\n".join([*lines, self.trouble] if self.trouble else lines)

    def plot(self) -> "Figure":
        """V where each start came to rest, sorted: a stair for each minimum."""
        from sdesgd.plot import quenched

        return quenched.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """Points over (``start``, ``coordinate``), spectra (``start``, ``eigenvalue``), the rest over ``start``."""
        import xarray as xr

        variables = {name: ("start", getattr(self, name)) for name in _OF_STARTS}
        variables |= {"points": (("start", "coordinate"), self.points)}
        variables |= {"spectra": (("start", "eigenvalue"), self.spectra)}
        return xr.Dataset(variables, attrs={"trouble": self.trouble})

    def check(self) -> "Quenched":
        """Itself.

        Raises:
            InputError: some point reached no minimum.
        """
        if self.trouble:
            raise InputError(self.trouble)
        return self


def quench(
    landscape: Landscape,
    points: Any,
    *,
    gradient_norm: RealScalarLike = 1e-10,
    tolerance: RealScalarLike = 1e-5,
    max_time: RealScalarLike = 1e9,
) -> Quenched:
    """lim_{t→∞} of dθ/dt = −∇V(θ) from each point: the minimum whose basin of attraction holds it.

    The flow is followed, with the error of each step controlled, until ‖∇V‖ < ``gradient_norm`` where V doesn't curve
    down; near a saddle it goes on. Up to four Newton steps then take out the rest of the distance, which is
    ‖∇V‖/λ_min; they are kept only if they are tiny.

    Points nearer to a basin's edge than the accumulated error may go either way. Of 1,000 random starts of a two-unit
    tanh net, tolerances 1e-2, 1e-3, 1e-4 sent 13, 3, 1 elsewhere than 1e-7 did, and 1e-5 none. Each costs some 1.5
    times the one before it.

    Assumptions: V has two derivatives. A basin that exists only below the scale ``tolerance`` isn't seen.

    Args:
        landscape: V.
        points: (K, D), float64, the starts.
        gradient_norm: in units of loss by parameter.
        tolerance: error of one step, relative to 1 + max|θ|.
        max_time: of the flow, in units of squared parameter by loss; some 20/λ is needed for a curvature λ.

    Returns:
        ``Quenched``. Points that rest on a saddle, run away or need longer are NaN there; ``.check()`` refuses them.

    Raises:
        InputError: not float64, points of another shape, a start where V isn't finite, a tolerance out of range,
            D > 512, a V that JAX can't trace.
    """
    landscape = in_float64(landscape)
    if landscape.dimension > _LARGEST_DIMENSION:
        raise InputError(
            f"{landscape.name} has D = {landscape.dimension}: the flow needs the whole Hessian at every step, so pass "
            f"one with D ≤ {_LARGEST_DIMENSION}"
        )
    starts = check_points(landscape, points)
    for name, number in (("gradient_norm", gradient_norm), ("tolerance", tolerance), ("max_time", max_time)):
        inputs.check_number(name, number, "a positive, finite number", lambda x: x > 0)
    if not len(starts):
        empty = np.zeros(0)
        return Quenched(starts, empty, empty, starts, empty.astype(int), empty.astype(bool), "")
    chunk = _chunk(landscape)
    ends, times, status = _flow(landscape, starts, chunk, gradient_norm, tolerance, max_time)
    parts = [
        [np.asarray(x)[:count] for x in gradient_flow.newton_finish(landscape.value, jnp.asarray(part))]
        for part, count in _padded(ends, chunk)
    ]
    finished, losses, norms, spectra, zero_modes = (np.concatenate(x) for x in zip(*parts, strict=True))
    arrived = (status == gradient_flow.ARRIVED) | ((status == gradient_flow.STALLED) & (norms < gradient_norm))
    # Where V has no second derivative there is no curvature that could be called up or down.
    converged = arrived & np.isfinite(spectra).all(axis=1)
    trouble = _trouble(landscape, status, arrived, ends, norms, times, gradient_norm, max_time)
    if (arrived & ~converged).any():
        rough = f"{(arrived & ~converged).sum()} end where the Hessian isn't finite: smooth the loss there"
        trouble = f"{trouble}; {rough}" if trouble else f"of {len(status)} starts on {landscape.name}, {rough}"
    blank = np.where(converged, 1.0, np.nan)
    return Quenched(
        finished * blank[:, None], losses * blank, norms, spectra * blank[:, None], zero_modes, converged, trouble
    )


def in_float64(landscape: Landscape) -> Landscape:
    """The landscape as it is now, for what float32 is too coarse for.

    Raises:
        InputError: JAX is set to float32; no landscape, or a V that JAX can't trace.
    """
    if not jax.config.read("jax_enable_x64"):
        raise InputError(
            "JAX computes in float32 here, too coarse for minima: call within `with jax.enable_x64(True):`"
        )
    return as_landscape(landscape)


def check_points(landscape: Landscape, points: Any) -> Float[np.ndarray, "K D"]:
    """Points as a float64 array (K, D) where V is finite.

    Raises:
        InputError: they aren't.
    """
    landscape = in_float64(landscape)
    dtype = np.dtype(getattr(points, "dtype", float)).newbyteorder("=")
    if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 8:
        raise InputError(f"the points are {dtype}, too coarse for minima: compute them in float64")
    array = inputs.as_float64(points, "points", f"(K, {landscape.dimension})")
    if array.ndim != 2 or array.shape[1] != landscape.dimension:
        raise InputError(f"points have shape {array.shape}: pass (K, {landscape.dimension}) for {landscape.name}")
    bad = ~(np.isfinite(values_of(landscape, array)) & np.isfinite(array).all(axis=1))
    if bad.any():
        where = ", ".join(f"{x:.4g}" for x in array[bad][0][:5])
        raise InputError(f"{landscape.name} is not finite at {bad.sum()} points, as ({where}): leave them out")
    return array


def values_of(landscape: Landscape, points: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " K"]:
    """V of each point."""
    parts = [
        np.asarray(gradient_flow.values_at(landscape.value, jnp.asarray(part)))[:count]
        for part, count in _padded(points, _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _chunk(landscape: Landscape) -> int:
    """Points that step together: their Hessians fit in 128 MiB."""
    if landscape.dimension <= 3:
        return _CHUNK
    one = jax.ShapeDtypeStruct((1, landscape.dimension), jnp.float64)
    gradients = jax.vmap(jax.grad(landscape.value))
    per_point = landscape.dimension * sizes.activation_bytes(lambda _, x: gradients(x), None, one)
    return int(np.clip(_CHUNK_BYTES // per_point, 1, _CHUNK))


def _padded(rows: np.ndarray, chunk: int):
    """Chunks of one length, the last filled up with copies; with the number of true rows."""
    for first in range(0, len(rows), chunk):
        part = rows[first : first + chunk]
        yield np.concatenate([part, np.repeat(part[:1], chunk - len(part), axis=0)]), len(part)


def _flow(landscape, starts, chunk, gradient_norm, tolerance, max_time):
    """Rounds of steps; those still moving are packed together again after each."""
    points, steps, times = starts.copy(), np.zeros(len(starts)), np.zeros(len(starts))
    status = np.full(len(starts), gradient_flow.MOVING)
    for _ in range(_MOST_STEPS // _ROUND):
        moving = np.flatnonzero((status == gradient_flow.MOVING) & (times < max_time))
        if not moving.size:
            break
        for rows, count in _padded(moving, chunk):
            padded_status = np.where(np.arange(chunk) < count, gradient_flow.MOVING, gradient_flow.ARRIVED)
            new = gradient_flow.advance(
                landscape.value,
                jnp.asarray(points[rows]),
                jnp.asarray(steps[rows]),
                jnp.asarray(times[rows]),
                jnp.asarray(padded_status),
                jnp.asarray(float(gradient_norm)),
                jnp.asarray(float(tolerance)),
                jnp.asarray(_ROUND),
            )
            for old, x in zip((points, steps, times, status), new, strict=True):
                old[rows[:count]] = np.asarray(x)[:count]
    return points, times, status


def _trouble(landscape, status, converged, ends, norms, times, gradient_norm, max_time) -> str:
    if converged.all():
        return ""
    saddle = (status == gradient_flow.SADDLE) | (~converged & (norms < gradient_norm))
    stalled = ~converged & (status == gradient_flow.STALLED)
    slow = ~converged & ~saddle & ~stalled
    found = []
    if saddle.any():
        found.append(f"{saddle.sum()} rest on a saddle or a maximum: start beside it")
    if stalled.any():
        found.append(
            f"{stalled.sum()} stop at ‖∇V‖ = {norms[stalled].max():.2g} by rounding: pass a gradient_norm above it"
        )
    if slow.any():
        found.append(
            f"{slow.sum()} still have ‖∇V‖ up to {norms[slow].max():.2g} after t = {times[slow].min():.2g} at |θ| up "
            f"to {np.abs(ends[slow]).max():.2g}: add weight decay if θ runs away or the valley is flat, or raise "
            f"max_time ({max_time:.2g}) or gradient_norm ({gradient_norm:.2g})"
        )
    return f"of {len(status)} starts on {landscape.name}, " + "; ".join(found)
