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

__all__ = [
    "Cumulants",
    "cumulants_of_mean",
    "directional_derivatives",
    "minibatch_cumulants",
    "noise_scale",
    "trace",
    "trace_and_norm",
]
