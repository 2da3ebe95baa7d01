"""SGD and what approximates it, one step at a time: a dynamics is a law of the weights of the examples.

θ ← θ − η Σ_i w_i ∇ℓ_i(θ),   E[w_i] = 1/N

``protocol`` says what ``simulate`` asks of a dynamics, ``sgd`` holds SGD, Gaussian SGD and SVAG, ``sde`` the equations;
``terms``, ``tableau`` and ``solvers`` integrate these with one weighted gradient per stage; ``coupling`` drives two
dynamics by the same Brownian increments, ``refinement`` an SDE at half its step.
"""

from sdesgd.dynamics.coupling import Coupled
from sdesgd.dynamics.protocol import AbstractDynamics, MaskedDraw, finite_population_factor
from sdesgd.dynamics.refinement import HalvedSDE
from sdesgd.dynamics.sde import SDE
from sdesgd.dynamics.sgd import SGD, SVAG, GaussianSGD
from sdesgd.dynamics.solvers import SemiImplicitHeavyBall, SmallNoiseRK3

__all__ = [
    "SDE",
    "SGD",
    "SVAG",
    "AbstractDynamics",
    "Coupled",
    "GaussianSGD",
    "HalvedSDE",
    "MaskedDraw",
    "SemiImplicitHeavyBall",
    "SmallNoiseRK3",
    "finite_population_factor",
]
