"""Stationary laws: of the Ornstein-Uhlenbeck limit, of SGD itself at finite η, of Itô and Gibbs."""

from sdesgd.stationary.density import gibbs_density, ito_density
from sdesgd.stationary.excess_loss import (
    expected_loss,
    trace_covariance_loss,
    trace_hessian_loss,
    transient_loss,
    transient_loss_of_spectrum,
)
from sdesgd.stationary.finite_step import finite_step_density, step_shape
from sdesgd.stationary.gibbs import GibbsSample, sample_gibbs
from sdesgd.stationary.grid_density import GridDensity
from sdesgd.stationary.measured import compare
from sdesgd.stationary.quadratic import discrete_covariance, ou_covariance, rotation, temperature
from sdesgd.stationary.regression import RegressionLaw, regression_covariance
from sdesgd.stationary.result import StationaryComparison
from sdesgd.stationary.transfer import TransferOperator, transfer_operator

__all__ = [
    "GibbsSample",
    "GridDensity",
    "RegressionLaw",
    "StationaryComparison",
    "TransferOperator",
    "compare",
    "discrete_covariance",
    "expected_loss",
    "finite_step_density",
    "gibbs_density",
    "ito_density",
    "ou_covariance",
    "regression_covariance",
    "rotation",
    "sample_gibbs",
    "step_shape",
    "temperature",
    "trace_covariance_loss",
    "trace_hessian_loss",
    "transfer_operator",
    "transient_loss",
    "transient_loss_of_spectrum",
]
