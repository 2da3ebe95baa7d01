"""NUTS on the model, any number of data sets at once: one compilation for all tables of one shape."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from sdesgd.optimal_batch.cells import Cells
from sdesgd.optimal_batch.model import GLOBALS, PRIORS, centred, law_location, model, split, standardised

# Acceptance rates that NUTS aims at, one after the other while trajectories diverge: the step shrinks with each.
ACCEPTANCES = (0.95, 0.99, 0.998)
_JITTER = 0.5  # standard deviation of the starts, in units of the prior's
_NEAR = 0.1  # of log B_opt, where a cell on either side is worse
_TREE_DEPTH = 7
_SCATTER = sum(GLOBALS[name] for name in ("intercept", "slope"))  # the place of log τ in the vector


def sample_posterior(
    cells: Cells, keys: Array, *, chains: int, warmup: int, samples: int, acceptance: float = ACCEPTANCES[0]
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Draws on the priors' scale for each of k data sets, {name: (k, chains, samples, size)}; divergences and steps.

    Args:
        cells: arrays with a leading axis k.
        keys: (k,).
        chains: of each data set.
        warmup: draws of a chain for adaptation.
        samples: draws of a chain that are kept.
        acceptance: the rate that the step is adapted to; all rates share a compilation.
    """
    lane_keys = jax.vmap(lambda key: jr.split(key, chains))(keys).reshape(-1)
    lanes = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf, float), chains, axis=0), cells)
    raw, diverging, steps = _run(lanes, lane_keys, jnp.asarray(acceptance, float), warmup, samples)
    draws = split(raw["standard"]) | {"level_of_series": raw["level_of_series"]}
    draws = jax.vmap(jax.vmap(standardised, (0, None)))(draws, lanes)
    shape = len(keys), chains
    draws = {name: np.asarray(values).reshape(*shape, *values.shape[1:]) for name, values in draws.items()}
    return draws, np.asarray(diverging).reshape(*shape, -1), np.asarray(steps).reshape(*shape, -1)


def _start(key: Array, cells: Cells) -> dict[str, Array]:
    """Dispersed about the prior's middle, but each series' level and peak near its best cell.

    A fall to the level takes many steps. A peak that starts far from the grid may never find it: beyond the grid lies
    a local mode, the whole series on the floor of its curve, tens of nats below the right one and a desert away.
    """
    series = cells.mean.shape[0]
    masked = jnp.where(cells.count > 0, cells.mean, -jnp.inf)
    seen, best = jnp.isfinite(masked.max(axis=1)), jnp.argmax(masked, axis=1)
    keys = jr.split(key, 3)
    standard = _JITTER * jr.normal(keys[1], (sum(GLOBALS.values()) + 2 * series,))
    # τ starts near 1, where z can take any peak to its best cell.
    standard = standard.at[_SCATTER].add(-PRIORS["log_scatter"][0] / PRIORS["log_scatter"][1])
    draw = split(standard)
    jitter = jnp.where(centred(cells), _NEAR, _JITTER) * jr.normal(keys[2], (series,))
    found = jnp.take_along_axis(cells.log_batch, best[:, None], axis=1)[:, 0] + jitter
    z = (found - law_location(draw, cells)) / jnp.exp(draw["log_scatter"])
    z = jnp.where(centred(cells), found, z)
    # Without scatter it is the intercept that takes the one peak there.
    ratio = jnp.log(jnp.maximum(jnp.exp(cells.log_examples - found) - 1, 0.1))
    there = jnp.where(cells.is_power > 0, found, ratio + cells.log_rate - cells.log_friction) - cells.origin
    alone = jnp.where(seen, there / PRIORS["intercept"][1], standard[0])[0]
    standard = standard.at[0].set(jnp.where(cells.scatters > 0, standard[0], alone))
    first = sum(GLOBALS.values())
    standard = standard.at[first : first + series].set(jnp.where(seen | centred(cells), z, draw["scatter"]))
    level = jnp.where(seen, masked.max(axis=1), PRIORS["level"][0])
    return {"level_of_series": level + 0.1 * jr.normal(keys[0], (series,)), "standard": standard}


@functools.partial(jax.jit, static_argnames=("warmup", "samples"))
def _run(
    cells: Cells, keys: Array, acceptance: Array, warmup: int, samples: int
) -> tuple[dict[str, Array], Array, Array]:
    """NUTS's own kernel in one scan, vectorised over lanes; ``numpyro.infer.MCMC`` would compile for each data set.

    The kernel sees one flat vector and a jitted potential: with a dict of variables it takes three times as long to
    compile.
    """
    from numpyro.infer import NUTS
    from numpyro.infer.util import potential_energy

    series = cells.mean.shape[1]

    def unflattened(z: Array) -> dict[str, Array]:
        return {"level_of_series": z[..., :series], "standard": z[..., series:]}

    potential = jax.jit(lambda z, data: potential_energy(model, (data,), {}, unflattened(z)))

    def chain(data: Cells, key: Array) -> Any:
        start = _start(jr.fold_in(key, 0), data)
        kernel = NUTS(
            potential_fn=lambda z: potential(z, data),
            target_accept_prob=acceptance,  # pyright: ignore[reportArgumentType]
            max_tree_depth=_TREE_DEPTH,
            dense_mass=True,
        )
        flat = jnp.concatenate([start["level_of_series"], start["standard"]])
        state = kernel.init(jr.fold_in(key, 1), warmup, flat, (), {})

        def draw(state: Any, _: None) -> Any:
            state = kernel.sample(state, (), {})
            return state, (state.z, state.diverging, state.num_steps)

        _, (z, diverging, steps) = jax.lax.scan(draw, state, None, length=warmup + samples)
        return unflattened(z[warmup:]), diverging[warmup:], steps[warmup:]

    return jax.vmap(chain)(cells, keys)
