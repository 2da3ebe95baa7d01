"""Runs of SGD on (θ − x)²/2 for x = ±1, a stage for each learning rate, and the variances of their ends."""

import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

import sdesgd as sg
from experiments._shared.options import Part, listed
from experiments._shared.run_folder import RunFolder
from experiments._shared.template.config import Config
from experiments._shared.template.result import Measured, Result


def loss(theta, x):
    """ℓ(θ; x)."""
    return 0.5 * (theta - x) ** 2


def ends(config: Part, learning_rate: float, key: PRNGKeyArray) -> xr.Dataset:
    """Where the runs end. A stage: what it reads besides its arguments is in the sources."""
    problem = sg.Problem(loss, jnp.asarray(0.0), jnp.array([-1.0, 1.0]))
    runs = sg.simulate(
        sg.SGD(learning_rate, 1),
        problem,
        num_steps=config.num_steps,
        save_every=config.num_steps,
        replicas=config.replicas,
        key=key,
        observables={"theta": lambda theta: theta},
        progress=f"η = {learning_rate:g}",
    )
    return xr.Dataset({"theta": ("replica", runs.values["theta"][:, -1])}, attrs={"interrupted": int(runs.interrupted)})


def compute(config: Config, folder: RunFolder) -> Result:
    """All runs, then their variances beside SGD's own law, η/(2 − η)."""
    key, rates = jr.key(config.seed), listed(config, "rates")
    part = Part(config, "replicas", "num_steps")
    found = [folder.stage(f"SGD-{rate:g}", ends, part, rate, jr.fold_in(key, k)) for k, rate in enumerate(rates)]
    theta = np.stack([stage["theta"].values for stage in found])
    rows = tuple(
        Measured(
            learning_rate=rate,
            variance=float(variance),
            error=float(variance) * math.sqrt(2 / (config.replicas - 1)),
            law=rate / (2 - rate) * (1 - (1 - rate) ** (2 * config.num_steps)),
        )
        for rate, variance in zip(rates, theta.var(axis=1, ddof=1), strict=True)
    )
    return Result(config, rows, xr.Dataset({"theta": (("learning_rate", "replica"), theta)}, {"learning_rate": rates}))
