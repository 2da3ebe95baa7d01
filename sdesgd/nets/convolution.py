"""Convolution for CPU loops: XLA's own is 2 to 45 times slower within a loop than outside, so it is made of matmuls.

All functions compute the k×k cross-correlation with zero padding (k−1)/2 on each side, channels last. Barriers keep
XLA from recomputing what leads to the input once for each of the k² places it is read at.
"""

import functools

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

# Interpolation points of Cook–Toom besides ∞; few and near 1, since the error grows with their powers.
_POINTS = {3: (0.0, 1.0, -1.0), 5: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)}
# Below so many input channels the products are too thin for tiles to win.
_CHANNELS_FOR_TILES = 8


def native(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"], stride: int
) -> Float[Array, "batch newheight newwidth out"]:
    """XLA's convolution: for accelerators."""
    pad = (kernel.shape[0] // 2, kernel.shape[0] // 2)
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), (pad, pad), dimension_numbers=layout)


def by_matmuls(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"], stride: int
) -> Float[Array, "batch newheight newwidth out"]:
    """The same sums by matrix products: ``tiles`` where it applies and wins, else ``patches``."""
    x = lax.optimization_barrier(x)
    if stride == 1 and kernel.shape[0] in _POINTS and kernel.shape[2] >= _CHANNELS_FOR_TILES:
        return tiles(x, kernel)
    return patches(x, kernel, stride)


def patches(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"], stride: int
) -> Float[Array, "batch newheight newwidth out"]:
    """The k shifts along a row side by side, times the k rows of the kernel one after the other."""
    size, _, channels, out = kernel.shape
    pad = size // 2
    height, width = ((n - 1) // stride * stride + 1 for n in x.shape[1:3])  # pixels that windows are centred on
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows = jnp.concatenate([x[:, :, j : j + width : stride] for j in range(size)], axis=-1)
    shifted = [rows[:, i : i + height : stride] for i in range(size)]
    if channels < _CHANNELS_FOR_TILES:
        return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, out)
    products = [s @ k.reshape(-1, out) for s, k in zip(shifted, kernel, strict=True)]
    return functools.reduce(jnp.add, products)


def tiles(
    x: Float[Array, "batch height width in"], kernel: Float[Array, "size size in out"]
) -> Float[Array, "batch height width out"]:
    """Minimal filtering, stride 1: m×m outputs from a 2m×2m tile, m = k−1, in (2m)² products instead of k² m².

    Y = Aᵀ[(G K Gᵀ) ⊙ (Bᵀ X B)]A for each tile X and kernel K, summed over the input channels between the brackets:
    for k = 5 6.25 times fewer multiplications. In float32 exact to some 1e-5 of the largest output (``patches``: 1e-6),
    so that a ReLU whose input is that close to 0 may fall on either side.

    Tiles overlap by half, so a tile is two neighbouring blocks of m rows and of m columns: no gathering.

    Source: Winograd 1980; Lavin & Gray 2016, eq. (8).
    """
    size, _, channels, out = kernel.shape
    m, pad = size - 1, size // 2
    to_output, to_kernel, to_tile = (jnp.asarray(matrix, x.dtype) for matrix in _transforms(size))
    batch, height, width, _ = x.shape
    down, across = -(-height // m), -(-width // m)  # tiles

    def halves(blocks: Array, matrix: Array, axis: int) -> Array:
        """Tiles along an axis of blocks, transformed; (m, …) → (2m, …) with one block fewer."""
        first = lax.slice_in_dim(blocks, 0, blocks.shape[axis] - 1, axis=axis)
        second = lax.slice_in_dim(blocks, 1, None, axis=axis)
        pair = jnp.concatenate([first, second], axis=0)
        return (matrix @ pair.reshape(2 * m, -1)).reshape(pair.shape)

    padding = [(pad, (n + 1) * m - length - pad) for n, length in ((down, height), (across, width))]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows = x.reshape(batch, down + 1, m, (across + 1) * m, channels).transpose(2, 0, 1, 3, 4)
    rows = halves(rows, to_tile, 2)  # (2m, batch, down, pixels, channels)
    columns = rows.reshape(2 * m, batch, down, across + 1, m, channels).transpose(4, 0, 1, 2, 3, 5)
    columns = halves(columns, to_tile, 4)  # (2m of columns, 2m of rows, batch, down, across, channels)
    kernels = jnp.einsum("pi,qj,ijco->qpco", to_kernel, to_kernel, kernel)
    product = lax.dot_general(
        columns.reshape(4 * m * m, -1, channels),
        kernels.reshape(4 * m * m, channels, out),
        (((2,), (1,)), ((0,), (0,))),
    )
    by_row = (to_output @ product.reshape(2 * m, -1)).reshape(m, 2 * m, -1).transpose(1, 0, 2)
    y = (to_output @ by_row.reshape(2 * m, -1)).reshape(m, m, batch, down, across, out)
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(batch, down * m, across * m, out)
    return y[:, :height, :width]


def _transforms(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Aᵀ (m, 2m), G (2m, k), Bᵀ (2m, 2m) of Cook–Toom: evaluate at 2m points, multiply, interpolate; transposed."""
    m = size - 1

    def evaluate(degree: int) -> np.ndarray:
        finite = [[point**j for j in range(degree)] for point in _POINTS[size]]
        return np.array([*finite, [0.0] * (degree - 1) + [1.0]])  # at ∞: the leading coefficient

    to_output, to_kernel = evaluate(m).T, evaluate(size)
    to_tile = np.linalg.inv(evaluate(2 * m)).T
    scale = np.abs(to_tile).max(axis=1)  # balances the two factors of each product
    return to_output, to_kernel * scale[:, None], to_tile / scale[:, None]
