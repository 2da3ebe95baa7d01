"""Layers of the nets, written for a batch: arrays are (B, features) or (B, height, width, channels)."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, Key

from sdesgd.errors import InputError
from sdesgd.nets import convolution
from sdesgd.types import PRNGKeyArray

# Added to the variance (PyTorch's default; Keskar et al. give none).
EPSILON = 1e-5

# Mean and variance of each channel, (channels,) each.
Moments = tuple[Array, Array]


class Dense(eqx.Module):
    """x ↦ x W + b. He initialisation: W_ij ~ N(0, gain/in), b = 0.

    Args:
        in_size, out_size: features.
        gain: 2 before a ReLU, 1 before nothing or tanh.
    """

    weight: Float[Array, "in out"]
    bias: Float[Array, " out"]

    def __init__(self, in_size: int, out_size: int, *, gain: float = 2.0, key: PRNGKeyArray):
        self.weight = jr.normal(key, (in_size, out_size)) * math.sqrt(gain / in_size)
        self.bias = jnp.zeros(out_size)

    def __call__(self, x: Float[Array, "batch in"]) -> Float[Array, "batch out"]:
        return x @ self.weight + self.bias


class Convolution(eqx.Module):
    """k×k cross-correlation with zero padding (k−1)/2 on each side, channels last. He initialisation.

    Two implementations of the same sums, see ``sdesgd.convolution``: XLA's own for accelerators, matrix products for
    CPU.

    Args:
        in_channels, out_channels, size: of the kernel; the size must be odd.
        stride: 1 | 2 | ….
        native: None: by the platform JAX runs on.
    """

    kernel: Float[Array, "size size in out"]
    bias: Float[Array, " out"]
    stride: int = eqx.field(static=True)
    native: bool | None = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        stride: int = 1,
        native: bool | None = None,
        key: PRNGKeyArray,
    ):
        if size % 2 == 0:
            raise InputError(f"kernel size is {size}: pass an odd one, so that the padding is symmetric")
        shape = (size, size, in_channels, out_channels)
        self.kernel = jr.normal(key, shape) * math.sqrt(2 / (size * size * in_channels))
        self.bias = jnp.zeros(out_channels)
        self.stride, self.native = stride, native

    def __call__(self, x: Float[Array, "batch height width in"]) -> Float[Array, "batch newheight newwidth out"]:
        native = jax.default_backend() != "cpu" if self.native is None else self.native
        convolve = convolution.native if native else convolution.by_matmuls
        return convolve(x, self.kernel, self.stride) + self.bias


def max_pool(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch newheight newwidth channels"]:
    """The 3×3 maximum at every second pixel, rows first and then columns; beyond the edge counts as −∞."""

    def along(x: Array, axis: int) -> Array:
        odd = x.shape[axis] % 2
        x = lax.pad(x, lowest, [(0, odd if k == axis else 0, 0) for k in range(4)])
        x = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
        middle, last = (lax.index_in_dim(x, k, axis + 1, keepdims=False) for k in (0, 1))
        first = lax.pad(last, lowest, [(1, -1, 0) if k == axis else (0, 0, 0) for k in range(4)])
        return jnp.maximum(jnp.maximum(middle, last), first)

    lowest = jnp.array(-jnp.inf, x.dtype)
    return along(along(x, 1), 2)


class BatchNorm(eqx.Module):
    """x ↦ a (x − μ)/√(σ² + 1e-5) + b channel by channel, with the mean and the 1/B variance of the batch itself.

    There are no running averages: the batch's own statistics couple its examples, in training and in evaluation,
    as in Keskar et al. 2016. Moments of another batch may be given instead; then examples don't interact.

    Args:
        channels: of the last axis. a starts at 1, b at 0.
    """

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]

    def __init__(self, channels: int):
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)

    def __call__(self, x: Float[Array, "batch *space channels"], moments: Moments) -> Array:
        mean, variance = moments
        factor = self.scale * lax.rsqrt(variance + EPSILON)
        return x * factor + (self.shift - mean * factor)


def batch_moments(x: Float[Array, "batch *space channels"]) -> Moments:
    """Mean and 1/n variance of each channel over the batch and the pixels."""
    axes = tuple(range(x.ndim - 1))
    mean = jnp.mean(x, axes)
    return mean, jnp.mean((x - mean) ** 2, axes)


class GroupNorm(eqx.Module):
    """The same for each example alone, over groups of channels (and the pixels): nothing couples examples.

    Args:
        channels: of the last axis.
        groups: at most this many; the largest number that divides the channels is taken.

    Source: Wu & He 2018.
    """

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]
    groups: int = eqx.field(static=True)

    def __init__(self, channels: int, groups: int = 8):
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)
        self.groups = max(k for k in range(1, min(groups, channels) + 1) if channels % k == 0)

    def __call__(self, x: Float[Array, "batch *space channels"]) -> Array:
        grouped = x.reshape(*x.shape[:-1], self.groups, -1)
        axes = (*range(1, x.ndim - 1), x.ndim)  # pixels, and channels within a group
        centred = grouped - jnp.mean(grouped, axes, keepdims=True)
        variance = jnp.mean(centred**2, axes, keepdims=True)
        return (centred * lax.rsqrt(variance + EPSILON)).reshape(x.shape) * self.scale + self.shift


class Dropout(eqx.Module):
    """x ↦ x m/(1−p), m ~ Bernoulli(1−p) for each feature of each example; without keys x itself.

    Args:
        rate: p, with 0 < p < 1.
    """

    rate: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 < self.rate < 1:
            raise InputError(f"dropout is {self.rate}: pass a rate with 0 < p < 1, or 0 to the net for none")

    def __call__(
        self, x: Float[Array, "batch features"], keys: Key[Array, " batch"] | None
    ) -> Float[Array, "batch features"]:
        if keys is None:
            return x
        kept = jax.vmap(lambda key: jr.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(kept, x / (1 - self.rate), 0)


class Activation(eqx.Module):
    """A function applied to each number.

    Args:
        function: ``jax.nn.relu``, ``jax.numpy.tanh``, ….
    """

    function: Callable = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        return self.function(x)


class Pool(eqx.Module):
    """``max_pool`` as a layer."""

    def __call__(self, x: Array) -> Array:
        return max_pool(x)


class Flatten(eqx.Module):
    """(B, …) ↦ (B, features)."""

    def __call__(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1)


class Image(eqx.Module):
    """(B, features) ↦ (B, size, size, channels), smaller images in the middle of zeros.

    Args:
        shape: (height, width, channels) of what comes in, row by row.
        size: of what goes out.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "batch features"]) -> Float[Array, "batch size size channels"]:
        x = x.reshape(x.shape[0], *self.shape)
        margins = [((self.size - n) // 2, (self.size - n + 1) // 2) for n in self.shape[:2]]
        return jnp.pad(x, ((0, 0), *margins, (0, 0)))
