"""Replicas over four devices: the same bits as on one."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from sdesgd import InputError
from sdesgd.sweep import shard_replicas

TOP = Path(__file__).resolve().parents[2]
SCRIPT = """
import jax, jax.numpy as jnp, jax.random as jr, numpy as np
from sdesgd.sweep import shard_replicas
from tests.sweep.test_sharding import descend, plain

assert jax.local_device_count() == 4
keys = jr.split(jr.key(3), 10)
expected = plain(keys)
for block, counts in ((1, (1, 3)), (3, (1, 4))):
    tables = {}
    for count in counts:
        out = shard_replicas(descend, keys, jax.local_devices()[:count], block=block)
        assert len(out["loss"].sharding.device_set) == count
        tables[count] = {name: np.asarray(value) for name, value in out.items()}
    for count, table in tables.items():
        for name, value in table.items():
            assert value.shape[0] == 10
            assert value.tobytes() == tables[1][name].tobytes(), (block, count, name)
            np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-6)
out = shard_replicas(descend, keys)
assert len(out["loss"].sharding.device_set) == 4
where = shard_replicas(lambda key: jax.lax.axis_index("replica"), keys)  # each device did its own
assert where.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
few = shard_replicas(descend, keys[:2])  # fewer replicas than devices
for name in out:
    assert np.asarray(few[name]).tobytes() == np.asarray(out[name][:2]).tobytes()
print("equal")
"""


def descend(key):
    """Gradient descent with random rates on a small net: matrix products, a loop, reductions."""
    inputs = jnp.sin(jnp.arange(160.0, dtype=jnp.float32)).reshape(20, 8)
    start = jr.normal(key, (9, 16), jnp.float32)
    weights = start[:8], start[8]

    def loss(weights):
        return jnp.mean((jnp.tanh(inputs @ weights[0]) @ weights[1] - inputs[:, 0]) ** 2)

    def step(n, weights):
        gradients = jax.grad(loss)(weights)
        rate = 0.05 + 0.01 * jr.uniform(jr.fold_in(key, n), (), jnp.float32)
        return tuple(w - rate * g for w, g in zip(weights, gradients, strict=True))

    weights = jax.lax.fori_loop(0, 20, step, weights)
    return {"loss": loss(weights), "weights": weights[0]}


def plain(keys):
    """One replica after the other, without any of this."""
    one = jax.jit(descend)
    rows = [one(key) for key in keys]
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.slow
def test_four_devices_give_the_bits_of_one():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=TOP,
        env={
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("equal"), done.stderr


def test_trees_and_carried_arrays():
    """keys may be a tree; arrays that the function carries are traced, so that new values don't recompile."""
    traces = []

    def shifted(offset, pair):
        traces.append(1)
        return pair[0] + offset, pair[1][::-1]

    pairs = jnp.arange(5.0), jnp.arange(15.0).reshape(5, 3)
    counts = []
    for offset in (1.0, 2.0):
        carrying = jax.tree_util.Partial(shifted, jnp.asarray(offset))
        first, second = shard_replicas(carrying, pairs, block=2)
        assert first.tolist() == [k + offset for k in range(5)]
        assert second.tolist() == pairs[1][:, ::-1].tolist()
        counts.append(len(traces))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((jnp.zeros(0),), "leading axes 0"),
        (((),), "leading axes none"),
        ((jr.key(0),), "leading axes None"),
        (((jnp.zeros(2), jnp.zeros(3)),), "leading axes 2, 3"),
        ((jnp.zeros(2), []), "devices is empty"),
        ((jnp.zeros(2), None, 0), "block is 0"),
    ],
)
def test_bad_replicas(arguments, expected):
    with pytest.raises(InputError, match=expected):
        shard_replicas(jnp.sin, *arguments)
