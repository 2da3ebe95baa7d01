"""The options of basin-occupancy, and what they must satisfy."""

import dataclasses
import math
from typing import Any

from experiments._shared.options import option
from sdesgd.errors import InputError, require_known
from sdesgd.inputs import check_positive_integer

# What is simulated, and all that has an error bar.
ARMS = ("SGD", "Gaussian SGD", "SDE")
SOURCES = (*ARMS, "NUTS")
# Written out, since building them costs seconds: those of ``toys.names()`` with several non-degenerate minima.
POTENTIALS = (
    "asymmetric",
    "double-well",
    "unequal-depth",
    "unequal-width",
    "rugged",
    "four-wells",
    "mueller-brown",
    "narrow-deep-wide-shallow",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """How often SGD sits in each basin of a potential: SGD, Gaussian SGD, the SDE, exact laws, NUTS and theory."""

    potential: str = option("asymmetric", f"A potential with several minima: {', '.join(POTENTIALS)}.")
    temperatures: str = option("", "Comma-separated T = ησ²/(2S); empty: from 1/8 to 1/2 of the barrier.")
    learning_rate: float = option(0.0, "Learning rate η; 0: about 0.3 over the sharpest minimum's curvature.")
    batch_size: int = option(2, "Batch size S; batches are drawn with replacement.")
    tilts: str = option("symmetric", "Law of the examples' tilts: symmetric | skewed.")
    examples: int = option(4, "Skewed tilts: N of each coordinate, one large and N − 1 small.")
    noise: str = option("constant", "C(θ): constant | modulated (in one dimension).")
    replicas: int = option(1024, "Independent runs of each simulated arm.")
    crossings: int = option(13_000, "Crossings wanted in all by Kramers' rates, which promise a third too many.")
    least_crossings: int = option(400, "Crossings below which a temperature is refused.")
    steps: int = option(100_000, "SGD steps that a replica may take at most.")
    nuts_samples: int = option(80_000, "Samples of each of NUTS's four chains; 0: none.")
    curve_points: int = option(7, "Temperatures of exact curves besides those simulated, in one dimension.")
    etas: int = option(8, "Learning rates of the limit η → 0: halved (in the plane by √2) from one to the next.")
    margin: float = option(2.0, "Equivalence margin, in points (hundredths of probability).")
    preset: str = option("cpu", "Sizes fit for a laptop (cpu) or a GPU (gpu: ten times the crossings).")
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        eta = f"eta{self.learning_rate:g}-" if self.learning_rate else ""
        return f"{self.potential}-{self.noise}-{self.tilts}-{eta}s{self.batch_size}-k{self.crossings}"


_ON_GPU: dict[str, Any] = {"replicas": 16_384, "crossings": 100_000, "steps": 1_000_000}
# In the plane a step costs twice as much, and the exact law takes a matrix entry for each batch.
_IN_PLANE: dict[str, Any] = {"batch_size": 1, "crossings": 2000, "nuts_samples": 20_000}


def implied(config: Config) -> dict[str, Any]:
    """Sizes of the preset.

    Raises:
        InputError: an unknown preset.
    """
    if require_known("preset", config.preset, ("cpu", "gpu")) == "gpu":
        return _ON_GPU
    return _IN_PLANE if config.potential in POTENTIALS[-3:] else {}


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    require_known("tilts", config.tilts, ("symmetric", "skewed"))
    require_known("noise", config.noise, ("constant", "modulated"))
    for name in ("batch_size", "crossings", "least_crossings", "steps"):
        check_positive_integer(name, getattr(config, name))
    for name, least in (
        ("examples", 3),
        ("replicas", 64),
        ("seed", 0),
        ("nuts_samples", 0),
        ("curve_points", 2),
        ("etas", 5),
    ):
        if getattr(config, name) < least:
            raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    if not 0 < config.margin < 100:
        raise InputError(f"margin is {config.margin}: pass points between 0 and 100")
    if config.learning_rate < 0 or not math.isfinite(config.learning_rate):
        raise InputError(f"learning_rate is {config.learning_rate}: pass η > 0, or 0 for a choice by the curvature")
    if config.least_crossings > config.crossings:
        raise InputError(f"least_crossings {config.least_crossings} exceeds crossings {config.crossings}: lower it")


def numbers(text: str) -> list[float]:
    """The comma-separated temperatures; none where the text is empty.

    Raises:
        InputError: not numbers, not positive, or repeated.
    """
    if not text.strip():
        return []
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"temperatures is '{text}': pass comma-separated numbers, say 0.06,0.08,0.1") from None
    bad = [t for t in found if not 0 < t < math.inf]
    if bad:
        raise InputError(f"temperature is {bad[0]:g}: pass T > 0; at T = 0 SGD is gradient descent")
    if len(set(found)) < len(found):
        raise InputError(f"temperatures is '{text}': a value is repeated; pass each once")
    return found
