"""The user's functions of params that a run looks at: observables, what stops a replica, what it counts."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from sdesgd import freshness, inputs
from sdesgd.errors import InputError, shown
from sdesgd.trajectories import result as trajectories


class Watch(NamedTuple):
    """Functions as they are now: observables, what stops a replica, and what it carries.

    observables: of params, one function to a mapping, or a mapping of functions. until: params ↦ bool. update: (carry,
    params, n) ↦ carry. enough: carry ↦ bool, which stops a replica too.
    """

    observables: Mapping[str, Callable] | Callable
    until: Callable | None
    update: Callable | None
    enough: Callable | None

    @property
    def stops(self) -> bool:
        """Whether a replica may stop before the others."""
        return self.until is not None or self.enough is not None

    def met(self, params: PyTree, carry: PyTree) -> Array:
        """Whether a replica stops here."""
        found = [function(x) for function, x in ((self.until, params), (self.enough, carry)) if function is not None]
        return jnp.any(jnp.stack(found))

    def values(self, params: PyTree) -> dict[str, Array]:
        """All observables, in the dtype in which they are saved."""
        if callable(self.observables):
            found = dict(self.observables(params))
        else:
            found = {name: function(params) for name, function in self.observables.items()}
        found = {name: jnp.asarray(value) for name, value in found.items()}
        return {name: value.astype(saved_dtype(value.dtype)) for name, value in found.items()}

    def carried(self, carry: PyTree, params: PyTree, n: Array) -> PyTree:
        """What a replica carries after step n, in the dtypes that it had."""
        assert self.update is not None
        cast = lambda new, old: new if inputs.is_key(old) else jnp.asarray(new).astype(old.dtype)  # noqa: E731
        return jax.tree.map(cast, self.update(carry, params, n), carry)


def watched(
    observables: Any, until: Any, accumulate: Any, params: PyTree, num_members: int
) -> tuple[Watch, Callable | None, dict[str, Any], PyTree]:
    """(the functions as they are now, what a replica carries at first, shapes of what is saved and of what is carried).

    Args:
        observables: as for ``simulate``.
        until: the same.
        accumulate: the same.
        params: of the dynamics at its start; of a coupled one the pair.
        num_members: dynamics that run together.

    Raises:
        InputError: functions of other kinds or results than ``simulate`` says.
    """
    functions, rows = _observables(observables, params, num_members)
    if until is not None:
        until = as_predicate(until, params, "until")
    init, update, enough, counted = (None,) * 4 if accumulate is None else _accumulator(accumulate, params)
    return Watch(functions, until, update, enough), init, rows, counted


def as_predicate(function: Any, argument: PyTree, name: str, of: str = "params") -> freshness.Fresh:
    """A function to one bool, as it is now.

    Args:
        function: of the argument.
        argument: params, or something else of a replica.
        name: of the function.
        of: name of the argument.

    Raises:
        InputError: it is no function, JAX can't trace it, or it gives something else.
    """
    if not callable(function):
        raise InputError(f"{name} is {shown(function)}: pass a function of {of} to a bool, in JAX")
    known, shape = freshness.traced(function, argument, what=f"the function '{name}'")
    if getattr(shape, "shape", None) != () or shape.dtype != bool:
        raise InputError(f"{name}({of}) has {_told(shape)}: return one bool, as {of}[0] > 1")
    return known


def _observables(observables: Any, params: PyTree, num_members: int) -> tuple[Any, dict[str, Any]]:
    if callable(observables):
        functions, shapes = freshness.traced(observables, params, what="the function of observables")
        if not isinstance(shapes, Mapping):
            raise InputError(
                f"observables(params) is a {type(shapes).__name__}: return a dict of name: array, or pass a dict of "
                "name: function"
            )
        trajectories.check_names(shapes)
    else:
        functions, shapes = inputs.check_mapping_of_functions("observables", observables), {}
        trajectories.check_names(functions)
        for name, function in functions.items():
            what = f"observable {shown(name, 40)}"
            functions[name], shapes[name] = freshness.traced(function, params, what=what)
    rows = {}
    for name, shape in shapes.items():
        real = hasattr(shape, "dtype") and (shape.dtype == bool or jnp.issubdtype(shape.dtype, jnp.number))
        if not real:
            raise InputError(f"observable '{name}' doesn't return a numeric array: return one array of params")
        if num_members > 1 and shape.shape[:1] != (num_members,):
            raise InputError(
                f"observable '{name}' gives shape {shape.shape} for {num_members} coupled dynamics: stack them"
            )
        rows[name] = jax.ShapeDtypeStruct(shape.shape, saved_dtype(shape.dtype))
    return functions, rows


def _accumulator(accumulate: Any, params: PyTree) -> tuple[Callable, Callable, Callable | None, PyTree]:
    if not isinstance(accumulate, tuple | list) or len(accumulate) not in (2, 3) or not callable(accumulate[1]):
        raise InputError(
            f"accumulate is {shown(accumulate)}: pass (init, update), update(carry, params, n) a function; or (init, "
            "update, until) with until(carry)"
        )
    init, update, *enough = accumulate
    start = init if callable(init) else _Constant(jax.tree_util.tree_map_with_path(_as_carried, init))
    first, carry = freshness.traced(start, params, what="the first of accumulate")
    carry = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), carry)
    known, after = freshness.traced(
        update, carry, params, jax.ShapeDtypeStruct((), jnp.int32), what="the update of accumulate"
    )
    before = jax.tree_util.tree_leaves_with_path(carry)
    if jax.tree.structure(carry) != jax.tree.structure(after):
        raise InputError("accumulate: update(carry, params, n) gives another structure than carry: return one like it")
    for (path, old), new in zip(before, jax.tree.leaves(after), strict=True):
        if old.shape != new.shape or not _castable(new.dtype, old.dtype):
            where = inputs.leaf_name("carry", path)
            raise InputError(f"accumulate: update gives {where} {_told(new)}, and it was {_told(old)}: keep both")
    return first, known, as_predicate(enough[0], carry, "accumulate's until", "carry") if enough else None, carry


def _castable(new: Any, old: Any) -> bool:
    """Whether a value of one dtype becomes one of the other of the same kind."""
    if jnp.issubdtype(old, jax.dtypes.prng_key) or jnp.issubdtype(new, jax.dtypes.prng_key):
        return new == old
    return bool(jnp.can_cast(new, old, "same_kind"))


def _as_carried(path: Any, leaf: Any) -> Array:
    return inputs.as_array(leaf, inputs.leaf_name("carry", path))


class _Constant(eqx.Module):
    """A function to the same pytree, whatever the params; a module, so that its arrays are inputs."""

    value: PyTree

    def __call__(self, params: PyTree) -> PyTree:
        del params
        return jax.tree.map(jnp.asarray, self.value)


def _told(shape: Any) -> str:
    if isinstance(shape, jax.ShapeDtypeStruct) or hasattr(shape, "dtype"):
        return f"shape {shape.shape} and dtype {shape.dtype}"
    return f"a {type(shape).__name__}"


def saved_dtype(dtype: Any) -> Any:
    """Of an observable's values in a table: float32 or wider; integers are floats there, so that NaN is one.

    In 32 bits, integers beyond 2²⁴ are rounded to 7 digits.
    """
    return jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.inexact) else jnp.result_type(float)
