"""The options of basin-occupancy, and what they must satisfy."""

import dataclasses
from typing import Any

from experiments._shared.options import check_options, option
from sdesgd.errors import InputError

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

EXAMPLES = (
    "--potential double-well --temperatures 0.06,0.08 --crossings 4000",
    "--tilts skewed --batch-size 1",
    "--potential mueller-brown --figure occupancy.svg",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """How often SGD sits in each basin of a potential: SGD, Gaussian SGD, the SDE, exact laws, NUTS and theory."""

    potential: str = option(
        "asymmetric", f"A potential with several minima: {' | '.join(POTENTIALS)}.", group="problem"
    )
    temperatures: str = option(
        "",
        "Comma-separated T = ησ²/(2S); empty: from 1/8 to 1/2 of the barrier.",
        numbers=float,
        above=0,
        remedy="pass T > 0; at T = 0 SGD is gradient descent",
        group="dynamics",
    )
    learning_rate: float = option(
        0.0,
        "Learning rate η; 0: about 0.3 over the sharpest minimum's curvature.",
        above=0,
        zero="a choice by the curvature",
        group="dynamics",
    )
    batch_size: int = option(2, "Batch size S; batches are drawn with replacement.", least=1, group="dynamics")
    tilts: str = option(
        "symmetric", "Law of the examples' tilts.", choices=("symmetric", "skewed"), kind="tilts", group="problem"
    )
    examples: int = option(
        4, "Skewed tilts: N of each coordinate, one large and N − 1 small.", least=3, most=10_000, group="problem"
    )
    noise: str = option(
        "constant", "C(θ), modulated in one dimension only.", choices=("constant", "modulated"), group="problem"
    )
    replicas: int = option(1024, "Independent runs of each simulated arm.", least=64, most=10**7)
    crossings: int = option(
        13_000, "Crossings wanted in all by Kramers' rates, which promise a third too many.", least=1, most=10**9
    )
    least_crossings: int = option(400, "Crossings below which a temperature is refused.", least=1)
    steps: int = option(100_000, "SGD steps that a replica may take at most.", least=1, most=10**8)
    nuts_samples: int = option(80_000, "Samples of each of NUTS's four chains; 0: none.", most=10**7)
    curve_points: int = option(
        7, "Temperatures of exact curves besides those simulated, in one dimension.", least=2, most=1000
    )
    etas: int = option(
        8, "Learning rates of the limit η → 0: halved (in the plane by √2) from one to the next.", least=5, most=100
    )
    margin: float = option(2.0, "Equivalence margin, in points (hundredths of probability).", above=0, below=100)
    preset: str = option(
        "cpu", "Sizes fit for a laptop, or a GPU (ten times the crossings).", choices=("cpu", "gpu"), kind="preset"
    )
    seed: int = option(0, "Seed of all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        eta = f"eta{self.learning_rate:g}-" if self.learning_rate else ""
        return f"{self.potential}-{self.noise}-{self.tilts}-{eta}s{self.batch_size}-k{self.crossings}"


_ON_GPU: dict[str, Any] = {"replicas": 16_384, "crossings": 100_000, "steps": 1_000_000}
# In the plane a step costs twice as much, and the exact law takes a matrix entry for each batch.
_IN_PLANE: dict[str, Any] = {"batch_size": 1, "crossings": 2000, "nuts_samples": 20_000}


def implied(config: Config) -> dict[str, Any]:
    """Sizes of the preset."""
    if config.preset == "gpu":
        return _ON_GPU
    return _IN_PLANE if config.potential in POTENTIALS[-3:] else {}


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    check_options(config)
    if config.least_crossings > config.crossings:
        raise InputError(f"least_crossings {config.least_crossings} exceeds crossings {config.crossings}: lower it")
