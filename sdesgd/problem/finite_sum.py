"""The finite sum L(θ) = (1/N) Σ ℓ_i(θ), and the one primitive every dynamics uses: ∇_θ Σ w_i ℓ_i(θ)."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PyTree

from sdesgd import freshness, inputs
from sdesgd.errors import InputError
from sdesgd.problem import admission
from sdesgd.problem.precision import wide_dtype, widened
from sdesgd.types import PRNGKeyArray


class Problem(eqx.Module):
    """A loss that is a mean over the units of a data set.

    L(θ) = (1/N) Σ_{i≤N} ℓ_i(θ),   weighted_gradient(θ, w) = ∇_θ Σ_i w_i ℓ_i(θ)

    ``help(sdesgd.problem)`` shows the loss of each kind of net. A *unit* of the sum is one example; or, where examples
    are coupled (batch norm), a group of ``unit_size`` examples. With a ``key`` the groups are a random partition of the
    data, without one they are taken in the order of the data. The D×N matrix of per-unit gradients is never formed: a
    weighted gradient is one backward pass, accumulated over chunks of units.

    Assumptions: ℓ_i is differentiable in the inexact-array leaves of ``params``; only those move. Each leaf keeps its
    dtype, but nothing is computed in less than float32: half-precision parameters are rounded after each step, and
    handed to the loss as float32. What the loss reads from outside (a global, a closure, an attribute) is seen as it is
    at each call of the library.

    Args:
        per_example_loss: ``(params, example) -> scalar``; with ``unit_size`` > 1 the example is a group,
            each leaf with a leading axis ``unit_size``; with ``stochastic`` a third argument ``key``; with
            ``batched`` the example has a further leading axis B (the keys too), and the result is ``(B,)``.
        params: pytree, the default start. May be an equinox module. Python floats in plain containers move too.
        data: pytree of arrays whose leading axis is N. Floating leaves are cast to the dtype of params, float32 at
            least; integers keep their values or are refused.
        unit_size: examples of one unit. Must divide N.
        stochastic: whether the loss draws random numbers (dropout masks).
        batched: whether the loss maps a batch to a vector of losses (faster nets).
        chunk_size: units of one backward pass; default: from the shapes (about 64 MiB of activations).

    Raises:
        InputError: empty data, leading axes that differ, NaN or infinity in data or params, values that aren't numbers
            or that the cast would change, N not a multiple of the unit, a loss of the wrong shape or that JAX can't
            trace or differentiate, batch norm of single examples, no parameter that could move.

    Warns:
        UserWarning: numbers in params that will not move.
        RuntimeWarning: the gradient of the loss doesn't depend on the example; a mean over a single number is taken
            from that number, as by batch norm of a group of one.
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
        self.params = inputs.as_params(params)
        inputs.check_finite(self.moving(), "params", "start from finite parameters")
        self.data = inputs.as_data(data, self.wide, unit_size)
        self.per_example_loss = per_example_loss
        self.unit_size, self.stochastic, self.batched = int(unit_size), stochastic, batched
        self.chunk_size = self.num_units  # a value for the tracing below
        example = self._gather(jnp.zeros((1, unit_size), int) if unit_size > 1 else jnp.zeros(1, int))
        keys = jr.split(jr.key(0), 1) if stochastic else None
        admission.check_loss(self, example, keys)
        self.chunk_size = admission.as_chunk_size(self, chunk_size, example, keys)

    def fresh(self) -> "Problem":
        """The problem with its loss as it is now: what it reads from outside is seen, and known to the compiler.

        Raises:
            InputError: params of 64 bits where JAX is set to 32; a loss that JAX can't trace any more.
        """
        if isinstance(self.per_example_loss, freshness.Fresh):
            return self
        if jax.dtypes.canonicalize_dtype(self.dtype) != self.dtype:
            raise InputError(
                f"params are {self.dtype} and JAX is set to 32 bits: run within `with jax.enable_x64(True):`, or build "
                "the problem anew"
            )
        lead = (1,) * self.batched + ((self.unit_size,) if self.unit_size > 1 else ())
        example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(lead + x.shape[1:], x.dtype), self.data)
        keys = jax.eval_shape(lambda: jr.split(jr.key(0), 1) if self.batched else jr.key(0))
        params = widened(self.params)
        arguments = (params, example, keys) if self.stochastic else (params, example)
        known = freshness.of(self.per_example_loss, *arguments, what="per_example_loss", remedy=admission.REMEDY)
        return freshness.replaced(self, per_example_loss=known)

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
        """The dtype of the parameters, of leaves that differ the wider: simulations run in it."""
        return jnp.result_type(*jax.tree.leaves(self.moving()))

    @property
    def wide(self) -> jnp.dtype:
        """The dtype of weights and sums: that of the parameters, float32 at least."""
        return jnp.promote_types(self.dtype, jnp.float32)

    @property
    def needs_key(self) -> bool:
        """Whether a weighted gradient is random: masks, or random groups."""
        return self.stochastic or self.unit_size > 1

    def moving(self, params: PyTree | None = None) -> PyTree:
        """The leaves that move (inexact arrays), the others replaced by None."""
        return eqx.filter(self.params if params is None else params, eqx.is_inexact_array)

    def like(self, params: PyTree) -> PyTree:
        """These params as a start: converted as the problem's own were, and of their structure, shapes and dtypes.

        Raises:
            InputError: they differ, or hold NaN or infinity.
        """
        params = inputs.as_params(params, warn=False)
        admission.check_alike(self.moving(), self.moving(params))
        return params

    # -- means -----------------------------------------------------------------------------------------

    def loss(self, params: PyTree, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """L(θ) = (1/N) Σ ℓ_i(θ), the mean over units.

        Args:
            params: θ.
            key: masks and groups; required if the problem is stochastic.

        Returns:
            A scalar of the dtype of the losses, float32 at least.
        """

        def part(units, keys, _):
            losses = self._losses(params, units, keys)
            return jnp.sum(losses, dtype=wide_dtype(losses.dtype))

        return self._accumulate(part, key) / self.num_units

    def losses(self, params: PyTree, key: PRNGKeyArray | None = None) -> Float[Array, " units"]:
        """(ℓ_1(θ), …, ℓ_N(θ)), one for each unit."""

        def fill(units, keys, start):
            part = self._losses(params, units, keys)
            return jax.lax.dynamic_update_slice(jnp.zeros(self.num_units, part.dtype), part, (start,))

        return self._accumulate(fill, key)

    def gradient(self, params: PyTree, key: PRNGKeyArray | None = None) -> PyTree:
        """g(θ) = ∇L(θ): a pytree like params, with None where a leaf doesn't move."""
        uniform = jnp.full(self.num_units, 1 / self.num_units, self.wide)
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

        return self._like_moving(self._accumulate(part, key), params)

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
        weights = jnp.full(units.shape[0], 1 / units.shape[0], self.wide)
        return self._like_moving(self._gradient(params, weights, self._gather(rows), keys), params)

    def unit_gradients(self, params: PyTree, units: Int[Array, " batch"], key: PRNGKeyArray | None = None) -> PyTree:
        """∇ℓ_i(θ) for a few units i: leaves with a leading axis ``batch``, a D×batch array, in float32 at least.

        Masks and groups are those of ``weighted_gradient`` with the same key.
        """
        groups, key_masks = self._partition(key)
        keys = jr.split(key_masks, self.num_units)[units] if self.stochastic else None
        rows = units if groups is None else groups[units]
        one = jnp.ones(1, self.wide)

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
        params = widened(eqx.combine(params, self.params))
        arguments = (units, keys) if self.stochastic else (units,)
        if self.batched:
            return self.per_example_loss(params, *arguments)
        return jax.vmap(lambda *a: self.per_example_loss(params, *a))(*arguments)

    def _gradient(self, params: PyTree, weights: Array, units: PyTree, keys) -> PyTree:
        """In float32 at least, whatever the dtype of params."""

        def weighted_loss(moving):
            losses = self._losses(eqx.combine(moving, params), units, keys)
            return jnp.vdot(weights, losses.astype(wide_dtype(losses.dtype)))

        return jax.grad(weighted_loss)(widened(self.moving(params)))

    def _like_moving(self, gradient: PyTree, params: PyTree) -> PyTree:
        return jax.tree.map(lambda g, x: g.astype(x.dtype), gradient, self.moving(params))

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
        add = lambda sum_, x: sum_ + x.astype(sum_.dtype)  # noqa: E731
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, wide_dtype(x.dtype)), jax.eval_shape(lambda: one(0, chunk)))
        total, _ = jax.lax.scan(
            lambda sum_, k: (jax.tree.map(add, sum_, one(k * chunk, chunk)), None),
            zeros,
            jnp.arange(full),
        )
        rest = self.num_units - full * chunk
        return jax.tree.map(add, total, one(full * chunk, rest)) if rest else total
