"""C, the covariance of the per-example gradients: trace, noise scales, the cumulants of a minibatch gradient."""

from sdesgd.gradient_noise.covariance import (
    Cumulants,
    cumulants_of_mean,
    directional_derivatives,
    minibatch_cumulants,
    noise_scale,
    trace,
    trace_and_norm,
)
from sdesgd.gradient_noise.dense import covariance_matrix

__all__ = [
    "Cumulants",
    "covariance_matrix",
    "cumulants_of_mean",
    "directional_derivatives",
    "minibatch_cumulants",
    "noise_scale",
    "trace",
    "trace_and_norm",
]
