"""Stationary laws: of the Ornstein-Uhlenbeck limit, of SGD itself at finite η, of Itô and Gibbs."""

from sdesgd.stationary.quadratic import discrete_covariance, ou_covariance, temperature
from sdesgd.stationary.transfer import TransferOperator, transfer_operator

__all__ = [
    "TransferOperator",
    "discrete_covariance",
    "ou_covariance",
    "temperature",
    "transfer_operator",
]
