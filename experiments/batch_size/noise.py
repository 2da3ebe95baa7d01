"""McCandlish's noise scales along runs of batch-size: tr C/‖g‖² and tr(HC)/gᵀHg."""

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

import sdesgd as sg
from experiments.batch_size.cell import keys_of, load, num_steps, problem_of, trained
from sdesgd import nets
from sdesgd.curvature.hessian import hessian_product
from sdesgd.gradient_noise.covariance import trace_and_norm

PROBES = 16  # of tr(HC)


def cell(config: Mapping[str, Any], seeds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The noise scales along a run: B_simple = tr C/‖g‖² and B_noise = tr(HC)/gᵀHg, numerators and denominators apart.

    tr C, g and gᵀHg are exact for the N examples; tr(HC) is a mean over probes.

    Args:
        config: of a cell, and noise_points: measured after the last step, after half of them, a quarter, ….
        seeds: one run each.

    Returns:
        A row a seed and time: step, trace_covariance, gradient_squared, trace_hessian_covariance with its
        standard_error, gradient_curvature = gᵀHg.
    """
    parts, total = load(config), num_steps(config)
    points = sorted({max(1, total >> k) for k in range(config["noise_points"])})
    plain = {name: value for name, value in config.items() if name != "noise_points"}
    keys = keys_of(plain, seeds)  # the very runs of the cell
    problem = problem_of(parts, config)
    kept = Kept(jnp.asarray(points))
    run = trained(parts, config, keys, problem, accumulate=(kept.begin, kept.update))
    rows = []
    for at, point in enumerate(points):
        for k, seed in enumerate(seeds):
            key = jr.fold_in(jr.fold_in(keys[k], 1), point)
            net = eqx.combine(jax.tree.map(lambda x, k=k, at=at: x[k, at], run.accumulated), problem.params)
            found = _noise_scales(problem, net, key)
            rows.append({"seed": seed, "step": point} | {name: float(x) for name, x in found.items()})
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


class Kept(eqx.Module):
    """The nets after some of the steps, as what a replica carries.

    Args:
        steps: which.
    """

    steps: Int[Array, " points"]

    def begin(self, net: nets.Net) -> PyTree:
        """Zeros in the place of the nets to come: arrays with a leading axis for the steps."""
        return jax.tree.map(lambda x: jnp.zeros((len(self.steps), *x.shape), x.dtype), eqx.filter(net, eqx.is_array))

    def update(self, kept: PyTree, net: nets.Net, n: Int[Array, ""]) -> PyTree:
        """With the net after step n, if it is one of them."""
        here = self.steps == n
        put = lambda old, x: jnp.where(here.reshape(-1, *[1] * x.ndim), x, old)  # noqa: E731
        return jax.tree.map(put, kept, eqx.filter(net, eqx.is_array))


@eqx.filter_jit
def _noise_scales(problem: sg.Problem, net: nets.Net, key: Key[Array, ""]) -> dict[str, Any]:
    """E dᵀHd = tr(HC) for d = R ξ, ξ ~ N(0, I_N), R Rᵀ = C: a weighted gradient and a Hessian product a probe."""
    trace, squared = trace_and_norm(problem, net)
    gradient = problem.gradient(net)

    def curvature_along(direction):
        product = hessian_product(problem, net, direction)
        return sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (direction, product)), strict=True))

    def probe(key):
        xi = jr.normal(key, (problem.num_units,), problem.dtype)
        return curvature_along(problem.weighted_gradient(net, (xi - xi.mean()) / math.sqrt(problem.num_units)))

    probes = jax.lax.map(probe, jr.split(key, PROBES))
    return {
        "trace_covariance": trace,
        "gradient_squared": squared,
        "trace_hessian_covariance": probes.mean(),
        "standard_error": probes.std(ddof=1) / math.sqrt(PROBES),
        "gradient_curvature": curvature_along(gradient),
    }
