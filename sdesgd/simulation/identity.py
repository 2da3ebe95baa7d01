"""What a run is known by: a digest of all that decides its numbers."""

import functools
import importlib.metadata
import weakref
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from sdesgd import freshness
from sdesgd.simulation.plan import Plan

_FORMAT = 2  # of what the digests are of
# Of JAX's own, those that change draws or roundings.
_SETTINGS = ("jax_enable_x64", "jax_threefry_partitionable", "jax_default_matmul_precision")
_LARGE = 1 << 16  # bytes of an array whose digest is remembered
# Packages whose classes do the same wherever they are of the same version.
_PACKAGES = ("sdesgd", "jax", "jaxlib", "equinox", "diffrax")
_remembered: dict[int, str] = {}


def identity_of(plan: Plan, replicas: int | None = None) -> dict[str, str]:
    """part → digest of what it holds, whatever the number of replicas.

    The step of a dynamics or solver of the user's own is traced, which costs up to 0.1 s; those of this library are
    known by their class and numbers, which costs milliseconds.

    Args:
        plan: of the run.
        replicas: of the first so many; None: of all.
    """
    replicas = plan.first_replica + len(plan.keys) if replicas is None else replicas
    dynamics = plan.dynamics if _of_a_package(plan.dynamics) else (plan.dynamics, _program(plan))
    return _digests(
        problem=plan.problem,
        dynamics=dynamics,
        key=plan.key_before(replicas),
        start=(plan.starts_before(replicas), plan.common),
        functions=(plan.watch, plan.init),
        sizes=(plan.num_steps, plan.save_every, str(jr.key_impl(plan.key))),
        versions=_versions(),
    )


def checkpoint_identity(plan: Plan, identity: dict[str, str]) -> dict[str, str]:
    """The same for a file from which a run goes on bit for bit: the program of a step, the replicas and blocks too."""
    sizes = identity["sizes"], plan.first_replica, len(plan.keys), plan.blocks
    return identity | _digests(dynamics=(identity["dynamics"], _program(plan)), sizes=sizes)


def _digests(**parts: Any) -> dict[str, str]:
    return {name: freshness.digest_of(jax.tree.map(_shortened, part)) for name, part in parts.items()}


def _shortened(leaf: Any) -> Any:
    """A large array by its digest, computed once: JAX's arrays don't change."""
    if not isinstance(leaf, jax.Array) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or leaf.nbytes < _LARGE:
        return leaf
    if id(leaf) not in _remembered:
        _remembered[id(leaf)] = freshness.digest_of(leaf)
        weakref.finalize(leaf, _remembered.pop, id(leaf), None).atexit = False
    return _remembered[id(leaf)]


@functools.cache
def _installed() -> dict[str, str]:
    return {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a copy on the path that nothing has installed
        return "0+unknown"


def _versions() -> tuple:
    device, settings = jax.devices()[0], {name: getattr(jax.config, name) for name in _SETTINGS}
    return _installed(), settings, device.platform, device.device_kind, _FORMAT


def _of_a_package(module: eqx.Module) -> bool:
    """Whether the classes of a module and of those within it are all of the packages."""
    mine = type(module).__module__.partition(".")[0] in _PACKAGES
    inner = (value for value in vars(module).values() if isinstance(value, eqx.Module))
    return mine and all(map(_of_a_package, inner))


def _program(plan: Plan) -> freshness.Fresh:
    """One step as it is traced, a solver or a dynamics of the user's own included."""
    state = plan.dynamics.init(plan.problem, plan.first_start)

    def step(problem, state, key, n):
        return eqx.filter(plan.dynamics.step(problem, state, key, n), eqx.is_array)

    arguments = plan.problem, state, jr.key(0), jnp.asarray(0)
    return freshness.of(step, *arguments, what="a step of the dynamics")
