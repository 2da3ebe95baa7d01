"""The finite sum L(θ) = (1/N) Σ ℓ_i(θ), and the one primitive every dynamics uses: ∇_θ Σ w_i ℓ_i(θ)."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from sdesgd import sizes
from sdesgd.errors import InputError


class Problem(eqx.Module):
    """A loss that is a mean over the units of a data set.

    L(θ) = (1/N) Σ_{i≤N} ℓ_i(θ),   weighted_gradient(θ, w) = ∇_θ Σ_i w_i ℓ_i(θ)

    A *unit* of the sum is one example; or, where examples are coupled (batch norm), a group of
    ``unit_size`` examples. With a ``key`` the groups are a random partition of the data, without one they
    are taken in the order of the data. The D×N matrix of per-unit gradients is never formed: a weighted
    gradient is one backward pass, accumulated over chunks of units.

    Assumptions: ℓ_i is differentiable in the inexact-array leaves of ``params``; only those move.

    Args:
        per_example_loss: ``(params, example) -> scalar``; with ``unit_size`` > 1 the example is a group,
            each leaf with a leading axis ``unit_size``; with ``stochastic`` a third argument ``key``; with
            ``batched`` the example has a further leading axis B (the keys too), and the result is ``(B,)``.
        params: pytree, the default start. May be an equinox module.
        data: pytree of arrays whose leading axis is N. Floating leaves are cast to the dtype of params.
        unit_size: examples of one unit. Must divide N.
        stochastic: whether the loss draws random numbers (dropout masks).
        batched: whether the loss maps a batch to a vector of losses (faster nets).
        chunk_size: units of one backward pass; default: from the shapes (about 64 MiB of activations).

    Raises:
        InputError: empty data, leading axes that differ, NaN or infinity in the data, N not a multiple of
            the unit, a loss of the wrong shape, no parameter that could move.
    """

    per_example_loss: Callable
    params: PyTree
    data: PyTree
    unit_size: int = eqx.field(static=True)
    stochastic: bool = eqx.field(static=True)
    batched: bool = eqx.field(static=True)
    chunk_size: int = eqx.field(static=True)

    def __init__(
        self,
        per_example_loss: Callable,
        params: PyTree,
        data: PyTree,
        *,
        unit_size: int = 1,
        stochastic: bool = False,
        batched: bool = False,
        chunk_size: int | None = None,
    ):
        self.params = strong_arrays(params)
        if not jax.tree.leaves(self.moving()):
            raise InputError("params has no floating-point array, so nothing can move: wrap numbers by jnp.asarray")
        dtype = self.dtype
        self.data = jax.tree.map(lambda x: _as_data(x, dtype), data)
        self.per_example_loss = per_example_loss
        self.unit_size, self.stochastic, self.batched = unit_size, stochastic, batched
        _check_data(self.data, unit_size)
        self.chunk_size = self.num_units  # a value for the tracing below
        example = self._gather(jnp.zeros((1, unit_size), int) if unit_size > 1 else jnp.zeros(1, int))
        keys = jr.split(jr.key(0), 1) if stochastic else None
        _check_loss(jax.eval_shape(lambda: self._losses(self.params, example, keys)), batched)
        if chunk_size is None:
            leaves = (example, keys)
            per_unit = sizes.activation_bytes(
                lambda p, batch: self._losses(eqx.combine(p, self.params), *batch), self.moving(), leaves
            )
            chunk_size = sizes.chunk_size(self.num_units, per_unit)
        if not isinstance(chunk_size, int) or chunk_size < 1:
            raise InputError(f"chunk_size is {chunk_size}: pass a positive number of units, or None")
        self.chunk_size = min(chunk_size, self.num_units)

    # -- sizes -----------------------------------------------------------------------------------------

    @property
    def num_examples(self) -> int:
        """N."""
        return jax.tree.leaves(self.data)[0].shape[0]

    @property
    def num_units(self) -> int:
        """N / unit_size."""
        return self.num_examples // self.unit_size

    @property
    def num_parameters(self) -> int:
        """D, counted over the leaves that move."""
        return sum(x.size for x in jax.tree.leaves(self.moving()))

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the parameters: simulations run in it."""
        return jnp.result_type(*jax.tree.leaves(self.moving()))

    @property
    def needs_key(self) -> bool:
        """Whether a weighted gradient is random: masks, or random groups."""
        return self.stochastic or self.unit_size > 1

    def moving(self, params: PyTree | None = None) -> PyTree:
        """The leaves that move (inexact arrays), the others replaced by None."""
        return eqx.filter(self.params if params is None else params, eqx.is_inexact_array)

    # -- means -----------------------------------------------------------------------------------------

    def loss(self, params: PyTree, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """L(θ) = (1/N) Σ ℓ_i(θ), the mean over units.

        Args:
            params: θ.
            key: masks and groups; required if the problem is stochastic.
        """
        total = self._accumulate(lambda units, keys, _: jnp.sum(self._losses(params, units, keys)), key)
        return total / self.num_units

    def losses(self, params: PyTree, key: PRNGKeyArray | None = None) -> Float[Array, " units"]:
        """(ℓ_1(θ), …, ℓ_N(θ)), one for each unit."""

        def fill(units, keys, start):
            part = self._losses(params, units, keys)
            return jax.lax.dynamic_update_slice(jnp.zeros(self.num_units, part.dtype), part, (start,))

        return self._accumulate(fill, key)

    def gradient(self, params: PyTree, key: PRNGKeyArray | None = None) -> PyTree:
        """g(θ) = ∇L(θ): a pytree like params, with None where a leaf doesn't move."""
        uniform = jnp.full(self.num_units, 1 / self.num_units, self.dtype)
        return self.weighted_gradient(params, uniform, key)

    def weighted_gradient(
        self, params: PyTree, weights: Float[Array, " units"], key: PRNGKeyArray | None = None
    ) -> PyTree:
        """∇_θ Σ_i w_i ℓ_i(θ), one backward pass; O(N) time, O(D + chunk) memory.

        Args:
            params: θ, or only its moving leaves.
            weights: (num_units,), any sign.
            key: masks and groups; without one, groups follow the order of the data.

        Returns:
            A pytree like params, with None where a leaf doesn't move.
        """

        def part(units, keys, start):
            w = jax.lax.dynamic_slice_in_dim(weights, start, jax.tree.leaves(units)[0].shape[0])
            return self._gradient(params, w, units, keys)

        return self._accumulate(part, key)

    def minibatch_gradient(
        self, params: PyTree, units: Int[Array, "batch *group"], key: PRNGKeyArray | None = None
    ) -> PyTree:
        """(1/S) Σ_{i in batch} ∇ℓ_i(θ): gathers the batch, never touches the rest of the data.

        Args:
            params: θ.
            units: the S indices of the batch; repeats allowed (each with a mask of its own). Or, with groups, their
                examples themselves, (S, unit_size).
            key: masks and groups.
        """
        groups, key_masks = self._partition(key)
        rows = units if groups is None or units.ndim == 2 else groups[units]
        keys = jr.split(key_masks, units.shape[0]) if self.stochastic else None
        weights = jnp.full(units.shape[0], 1 / units.shape[0], self.dtype)
        return self._gradient(params, weights, self._gather(rows), keys)

    def unit_gradients(self, params: PyTree, units: Int[Array, " batch"], key: PRNGKeyArray | None = None) -> PyTree:
        """∇ℓ_i(θ) for a few units i: leaves with a leading axis ``batch``, a D×batch array.

        Masks and groups are those of ``weighted_gradient`` with the same key.
        """
        groups, key_masks = self._partition(key)
        keys = jr.split(key_masks, self.num_units)[units] if self.stochastic else None
        rows = units if groups is None else groups[units]
        one = jnp.ones(1, self.dtype)

        def single(row, mask_key):
            example = self._gather(row[None])
            return self._gradient(params, one, example, None if mask_key is None else mask_key[None])

        return jax.vmap(single)(rows, keys)

    # -- the pieces ------------------------------------------------------------------------------------

    def _partition(self, key: PRNGKeyArray | None) -> tuple[Int[Array, "units unit"] | None, Any]:
        if key is None:
            if self.stochastic:
                raise InputError(
                    "this problem is stochastic and no key was passed: pass key=jax.random.key(...), or evaluate "
                    "a problem whose loss draws nothing"
                )
            if self.unit_size == 1:
                return None, None
            return jnp.arange(self.num_units * self.unit_size).reshape(-1, self.unit_size), None
        if self.unit_size == 1:
            return None, key
        key_groups, key_masks = jr.split(key)
        return jr.permutation(key_groups, self.num_examples).reshape(-1, self.unit_size), key_masks

    def _gather(self, rows: Int[Array, "batch ..."]) -> PyTree:
        return jax.tree.map(lambda x: x[rows], self.data)

    def _losses(self, params: PyTree, units: PyTree, keys) -> Array:
        params = eqx.combine(params, self.params)
        arguments = (units, keys) if self.stochastic else (units,)
        if self.batched:
            return self.per_example_loss(params, *arguments)
        return jax.vmap(lambda *a: self.per_example_loss(params, *a))(*arguments)

    def _gradient(self, params: PyTree, weights: Array, units: PyTree, keys) -> PyTree:
        def weighted_loss(moving):
            return jnp.vdot(weights, self._losses(eqx.combine(moving, params), units, keys))

        return jax.grad(weighted_loss)(self.moving(params))

    def _accumulate(self, part: Callable, key: PRNGKeyArray | None) -> Any:
        """Σ over chunks of ``part(units, keys, start)``."""
        groups, key_masks = self._partition(key)
        keys = jr.split(key_masks, self.num_units) if self.stochastic else None
        chunk, full = self.chunk_size, self.num_units // self.chunk_size

        def one(start, size):
            slices = lambda x: jax.lax.dynamic_slice_in_dim(x, start, size)  # noqa: E731
            units = jax.tree.map(slices, self.data) if groups is None else self._gather(slices(groups))
            return part(units, None if keys is None else slices(keys), start)

        if full == 1 and chunk == self.num_units:
            return one(0, chunk)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(lambda: one(0, chunk)))
        total, _ = jax.lax.scan(
            lambda sum_, k: (jax.tree.map(jnp.add, sum_, one(k * chunk, chunk)), None),
            zeros,
            jnp.arange(full),
        )
        rest = self.num_units - full * chunk
        return jax.tree.map(jnp.add, total, one(full * chunk, rest)) if rest else total


def strong_arrays(params: PyTree) -> PyTree:
    """numpy arrays as JAX arrays, and no weak types: a weakly typed start would change type within a loop."""

    def convert(x):
        if isinstance(x, np.ndarray | np.generic):
            return jnp.asarray(x)  # float64 becomes float32 unless JAX is set to 64 bits
        is_number = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, np.number)
        return jnp.asarray(x, x.dtype) if is_number else x

    return jax.tree.map(convert, params)


def _as_data(leaf: Any, dtype: jnp.dtype) -> Array:
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return jnp.asarray(array, dtype) if floating else jnp.asarray(array)


def _check_data(data: PyTree, unit_size: int) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(data)
    if not leaves:
        raise InputError("data is empty: pass a pytree of arrays whose leading axis is the example")
    lengths = {jax.tree_util.keystr(path) or "data": x.shape[0] if x.ndim else -1 for path, x in leaves}
    num_examples = next(iter(lengths.values()))
    if num_examples < 0 or len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {'none' if n < 0 else n}" for name, n in lengths.items())
        raise InputError(f"leading axes of data differ ({shown}): give every leaf the same number of examples")
    if num_examples == 0:
        raise InputError("data has 0 examples: pass at least one")
    if unit_size < 1:
        raise InputError(f"unit_size is {unit_size}: pass the examples of one unit, at least 1")
    if num_examples % unit_size:
        raise InputError(
            f"N = {num_examples} examples are not a multiple of unit_size = {unit_size}: "
            f"drop {num_examples % unit_size} or choose a divisor"
        )
    for path, x in leaves:
        if jnp.issubdtype(x.dtype, jnp.floating) and not isinstance(x, Tracer):
            bad = int(jnp.sum(~jnp.isfinite(x)))
            if bad:
                name = jax.tree_util.keystr(path) or "data"
                raise InputError(f"{name} has {bad} values that are NaN or infinite: remove or impute them")


def _check_loss(shape: Any, batched: bool) -> None:
    got = getattr(shape, "shape", None)
    wanted = (1,)
    if got != wanted and batched:
        raise InputError(
            f"with batched=True the loss must map a batch of B examples to shape (B,), but for B = 1 it gave {got}: "
            "return one loss an example, not their mean"
        )
    if got != wanted:
        raise InputError(
            f"per_example_loss must return a scalar, but it returned shape {got and got[1:]}: reduce it, or pass "
            "batched=True if it maps a batch to a vector of losses"
        )
    if not jnp.issubdtype(shape.dtype, jnp.floating):
        raise InputError(f"per_example_loss returned dtype {shape.dtype}: return a floating-point loss")
