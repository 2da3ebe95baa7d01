"""The finite sum L(θ) = (1/N) Σ ℓ_i(θ) of anyone's net and data.

A loss is a pure function of ``(params, example)``, and ``params`` any pytree; its floating-point arrays move. Data may
be integers (tokens, labels). Below ``x, y = example`` and ``f`` is a loss of one output, such as cross-entropy.

=====================  ====================================  =======================================================
net                    params                                per_example_loss returns
=====================  ====================================  =======================================================
plain arrays           ``{"w": w, "b": b}``                  ``f(x @ params["w"] + params["b"], y)``
init and apply         ``init(key, x)``                      ``f(apply(params, x), y)``
haiku, transformed     ``net.init(key, x)``                  ``f(net.apply(params, None, x), y)``
flax.linen             ``net.init(key, x)``                  ``f(net.apply(params, x), y)``
flax.nnx               ``graph, params = nnx.split(net)``    ``f(nnx.merge(graph, params)(x), y)``
equinox                ``net``                               ``f(params(x), y)``
equinox, LSTM          ``net``                               the same, with ``jax.lax.scan`` over the steps of ``x``
=====================  ====================================  =======================================================

GroupNorm and LayerNorm, attention and embeddings act on one example and need nothing else. flax.nnx nets whose layers
draw or count: ``graph, params, rest = nnx.split(net, nnx.Param, ...)``, and merge all three. Dropout draws:
``stochastic=True``, and the loss is of ``(params, example, key)``.

**Batch norm** couples the examples of a batch, so the loss is one of a group of ``unit_size=S`` examples, S ≥ 2 that of
the dynamics. In equinox, which keeps running averages in a state::

    net, state = eqx.nn.make_with_state(Net)(key)        # in it eqx.nn.BatchNorm(width, "batch", mode="batch")

    def group_loss(net, group):
        x, y = group                                     # (S, features), (S,)
        outputs, _ = jax.vmap(net, (0, None), (0, None), axis_name="batch")(x, state)
        return jnp.mean(jax.vmap(f)(outputs, y))

    problem = Problem(group_loss, net, (x, y), unit_size=S)

Each call begins with ``state`` as it is here and drops the new one: a group's own mean and variance normalise it. In
flax the state is ``batch_stats``; apply with ``use_running_average=False`` to ``{"params": params, **fresh}`` and
``mutable=["batch_stats"]``, and drop what comes back.

Each line is run by ``tests/test_any_net.py``, against gradients that are written out there.
"""

from sdesgd.problem.finite_sum import Problem
from sdesgd.problem.precision import widened

__all__ = ["Problem", "widened"]
