"""Nets in equinox (F1, F2, C1, perceptrons, regressions), their layers, and the sums they make with data."""

from sdesgd.losses import correct, cross_entropy, squared_error
from sdesgd.nets.layers import (
    Activation,
    BatchNorm,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    Image,
    Pool,
)
from sdesgd.nets.models import (
    NORMALIZATIONS,
    READINGS,
    ExampleLosses,
    GroupLoss,
    Net,
    c1,
    f1,
    f2,
    finite_sum,
    linear_regression,
    logistic_regression,
    mlp,
)
from sdesgd.observables import Evaluation

__all__ = [
    "NORMALIZATIONS",
    "READINGS",
    "Activation",
    "BatchNorm",
    "Convolution",
    "Dense",
    "Dropout",
    "Evaluation",
    "ExampleLosses",
    "Flatten",
    "GroupLoss",
    "GroupNorm",
    "Image",
    "Net",
    "Pool",
    "c1",
    "correct",
    "cross_entropy",
    "f1",
    "f2",
    "finite_sum",
    "linear_regression",
    "logistic_regression",
    "mlp",
    "squared_error",
]
