"""sdesgd: stochastic gradient descent as a stochastic differential equation, put to the test.

θ ← θ − η Σ_i w_i ∇ℓ_i(θ)          one SGD step; a dynamics is a law of the example weights w
dθ = −g dt + √(fη/S) R dW          its SDE (Itô), R Rᵀ = C, f = 1 or (N−S)/(N−1)
"""

from sdesgd import basins, curvature, data, evidence, gradient_covariance, layers, models, stationary
from sdesgd.coupling import Coupled, Gap, predict_gap, simulate_coupled
from sdesgd.errors import InputError
from sdesgd.problem import Problem
from sdesgd.sde import SDE
from sdesgd.sgd import SGD, SVAG, GaussianSGD
from sdesgd.simulation import simulate
from sdesgd.solvers import SemiImplicitHeavyBall, SmallNoiseRK3
from sdesgd.trajectories import Trajectories
from sdesgd.validity import ValidityCard, validity_card

__all__ = [
    "SDE",
    "SGD",
    "SVAG",
    "Coupled",
    "Gap",
    "GaussianSGD",
    "InputError",
    "Problem",
    "SemiImplicitHeavyBall",
    "SmallNoiseRK3",
    "Trajectories",
    "ValidityCard",
    "basins",
    "curvature",
    "data",
    "evidence",
    "gradient_covariance",
    "layers",
    "models",
    "predict_gap",
    "simulate",
    "simulate_coupled",
    "stationary",
    "validity_card",
]
