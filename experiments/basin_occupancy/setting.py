"""What basin-occupancy measures: the wells of the potential, the rates, the finite sums."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import integrate

import sdesgd as sg
from derivations import claim
from experiments._shared.options import Part, listed
from experiments.basin_occupancy.config import ARMS, POTENTIALS, Config, check
from sdesgd import toys
from sdesgd.basins.finding_wells import wells_of
from sdesgd.basins.measured import burn_in_needed, steps_needed
from sdesgd.basins.minima import Minima, minima_of
from sdesgd.basins.passage import kramers_rates
from sdesgd.basins.saddles import Saddle, barriers, find_saddles
from sdesgd.basins.wells import Wells
from sdesgd.errors import InputError

# -- noise that depends on θ ---------------------------------------------------------------------------------

_STRENGTH = 1 / 8


def modulation(theta: Float[Array, " D"]) -> Float[Array, ""]:
    """φ = θ + ln(cosh θ)/8, so that φ′ = 1 + tanh(θ)/8 and C = Var(b) φ′²: quieter on the left, 1 at θ = 0."""
    return theta[0] + _STRENGTH * (jnp.logaddexp(theta[0], -theta[0]) - math.log(2))


def modulated_variance(variance: float, theta: float) -> float:
    """C(θ) = Var(b) φ′(θ)²."""
    return variance * (1 + _STRENGTH * math.tanh(theta)) ** 2


# -- the setting ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Setting:
    """A potential with its wells, and how it is simulated.

    Attributes:
        barrier: the highest that a walk must climb, by the lowest way, to reach a deeper well; it decides what mixes.
        learning_rate, temperatures: as given, or chosen.
    """

    config: Any  # a Config, or the part of one that a stage is known by
    potential: toys.Potential
    minima: Minima
    saddles: tuple[Saddle, ...]
    wells: Wells
    barrier: float
    learning_rate: float
    temperatures: tuple[float, ...]

    def known_by(self, *names: str) -> "Setting":
        """The same for a stage that reads no other options than those of the finite sum and these."""
        part = Part(self.config, "batch_size", "noise", "tilts", "examples", *names)
        return dataclasses.replace(self, config=part)

    @property
    def names(self) -> list[str]:
        """A, B, …: the basins, the deepest first."""
        return [chr(ord("A") + k) for k in range(len(self.minima))]

    @property
    def constant(self) -> bool:
        """Whether C doesn't depend on θ."""
        return self.config.noise == "constant"

    @property
    def arms_with_law(self) -> tuple[str, ...]:
        """The arms whose exact law the transfer operator gives."""
        return ARMS[:2] if self.potential.dimension == 1 else ARMS[:1]

    def variance(self, temperature: float, learning_rate: float | None = None) -> float:
        """σ² = 2ST/η."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        return toys.tilt_variance(temperature, eta, self.config.batch_size)

    def problem(self, temperature: float, learning_rate: float | None = None) -> sg.Problem:
        """The finite sum of temperature T: C = σ²I, or C = σ²φ′²."""
        variance, D = self.variance(temperature, learning_rate), self.potential.dimension
        if self.config.tilts == "symmetric":
            tilts = toys.tilts_of(variance * np.eye(D))
        else:
            each = toys.skewed_tilts(variance, self.config.examples)[:, 0]
            tilts = np.array(list(itertools.product(each, repeat=D)))
        if self.constant:
            return toys.tilted(self.potential, tilts)
        return toys.modulated(self.potential, modulation, tilts[:, 0])

    def rates(self, temperature: float) -> Float[np.ndarray, "M M"]:
        """(M, M), escapes per unit of SDE time, row a column b: Kramers, or with C(θ) its form for the Itô equation."""
        if self.constant:
            return np.asarray(kramers_rates(self.potential, self.minima, self.saddles, temperature))
        rate, variance = claim("state-dependent-noise-escape").function("numpy"), self.variance(temperature)
        found = np.zeros((len(self.minima), len(self.minima)))
        eta, S = self.learning_rate, self.config.batch_size
        for saddle in self.saddles:
            for a, b in (saddle.wells, saddle.wells[::-1]):
                bottom, top = float(self.minima.points[a, 0]), float(saddle.point[0])
                rise, curvatures = self.climb(bottom, top, variance), (self.minima.spectra[a, 0], -saddle.spectrum[0])
                noise = modulated_variance(variance, bottom), modulated_variance(variance, top)
                found[a, b] += rate(eta, S, rise, *curvatures, *noise)
        return found

    def climb(self, start: float, end: float, variance: float) -> float:
        """∫ L′/C dθ from start to end."""
        slope = jax.jit(self.potential.gradient)

        def integrand(x: float) -> float:
            return float(slope(jnp.asarray([x]))[0]) / modulated_variance(variance, x)

        return float(integrate.quad(integrand, start, end, epsabs=0, epsrel=1e-9)[0])

    def plan(self, temperature: float) -> tuple[int, int]:
        """(burn-in, steps that count) of each replica.

        Raises:
            InputError: more steps than a replica may take: says how many.
        """
        rates, config = self.rates(temperature), self.config
        eta, replicas, least_burn_in = self.learning_rate, config.replicas, burn_in_needed(rates, self.learning_rate)
        least = least_burn_in + steps_needed(rates, eta, replicas, config.least_crossings)
        if least > config.steps:
            raise InputError(
                f"T = {temperature:g} would not mix: by Kramers' rates each of {replicas} replicas needs {least:,} "
                f"steps, {least - config.steps:,} more than the {config.steps:,} allowed; raise --steps or T"
            )
        burn_in = min(math.ceil(4 * least_burn_in / 3), config.steps // 2)
        burn_in = max(burn_in, least_burn_in)
        return burn_in, min(steps_needed(rates, eta, replicas, config.crossings), config.steps - burn_in)


# Barrier over T beyond which the rates of passage are 0 in double precision.
_HIGHEST = 500


def build(config: Config) -> Setting:
    """The wells of the potential, and the choices that the options leave open.

    Raises:
        InputError: an unknown potential, a degenerate minimum, a single one, T ≤ 0, sizes out of range.
    """
    check(config)
    potential = toys.potential(config.potential)
    given = listed(config, "temperatures")
    minima = minima_of(potential)
    if len(minima) < 2:
        several = ", ".join(POTENTIALS)
        raise InputError(f"{potential.name} has one minimum, whose occupancy is 1: choose one of: {several}")
    if config.noise == "modulated" and potential.dimension > 1:
        raise InputError(f"noise 'modulated' takes one dimension, and {potential.name} has {potential.dimension}")
    saddles = find_saddles(potential, minima)
    heights = barriers(potential, minima, saddles)
    # Sorted by depth: from each well but the deepest to the nearest deeper one.
    barrier = max(float(heights[a, :a].min()) for a in range(1, len(minima)))
    # Where some wells lie far above others a walk comes there at higher T only.
    scale = max(barrier, float(np.ptp(minima.losses)) / 2)
    temperatures = given or [_rounded(scale / r, 2) for r in (8, 4, 3.2, 2.5, 2)]
    if min(temperatures) < scale / _HIGHEST:
        raise InputError(
            f"temperatures holds {min(temperatures):g}, where no run would ever pass the barrier: pass more than "
            f"{_rounded(scale / 30, 1):g}"
        )
    rate = config.learning_rate or _rounded(0.3 / float(minima.spectra.max()), 1)
    if rate * minima.spectra.max() >= 2:
        raise InputError(
            f"η λ_max = {rate * minima.spectra.max():.3g} is not below 2 at the sharpest minimum, so SGD leaves it: "
            f"pass a learning rate below {2 / minima.spectra.max():.3g}"
        )
    wells = wells_of(potential, minima.points, float(np.median(temperatures)))
    return Setting(config, potential, minima, saddles, wells, barrier, rate, tuple(sorted(temperatures)))


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")
