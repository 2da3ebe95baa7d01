"""Assumptions that several claims make."""

import sympy as sp

from derivations.parts import Assumption
from derivations.symbols import N, S, eta, lam, lam_i, m

# How batches are drawn.
WITH_REPLACEMENT = Assumption("Batches are drawn with replacement.")
WITHOUT_REPLACEMENT = Assumption("Batches are drawn without replacement.", sp.Le(S, N, evaluate=False))
WITH_REPLACEMENT_OR_SMALL = Assumption("Batches are drawn with replacement, or S ≪ N.")
SCALED_BATCH_SMALL = Assumption("Batches are drawn with replacement, or κS ≪ N.")
INDEPENDENT_BATCHES = Assumption("Batches of different steps are independent.")
EQUALLY_LIKELY = Assumption("All examples are equally likely.")
FIXED_PARAMETERS = Assumption("The parameters are fixed before the batch is drawn.")
TWO_EXAMPLES = Assumption("There are at least two examples.", sp.Ge(N, 2, evaluate=False))
THREE_EXAMPLES = Assumption("There are at least three examples.", sp.Ge(N, 3, evaluate=False))

# The covariance of the gradients.
COVARIANCE_OVER_N = Assumption("C is the covariance of the per-example gradients in its 1/N form.")
UNBIASED_OR_POPULATION = Assumption(
    "F is the covariance of the data's gradients in its 1/(N−1) form, or that of a population."
)
CONSTANT_COVARIANCE = Assumption("C doesn't depend on θ.")
ISOTROPIC = Assumption("The gradient covariance is σ²I, the same everywhere.")
POSITIVE_COVARIANCE = Assumption("C is positive everywhere.")
NOISE_DOMINATES = Assumption("Noise dominates the second moment: g² ≪ σ²/S.")

# The loss.
SUM_LOSS = Assumption("The loss is the sum over the examples.")
SUM_LOSS_STEP = Assumption("The loss is the sum over the examples and a step lasts η/N.")
QUADRATIC = Assumption("The loss is quadratic, λθ²/2.")
QUADRATIC_FORM = Assumption("The loss is quadratic: ∇L = Hθ with a symmetric H.")
QUADRATIC_FROM_MINIMUM = Assumption("The loss is quadratic, and L = 0 at the minimum.")
POSITIVE_DEFINITE = Assumption("H is positive definite.")
SIX_DERIVATIVES = Assumption("L has six continuous derivatives near the minimum.")
NON_DEGENERATE_MINIMUM = Assumption("The minimum is non-degenerate.")
NON_DEGENERATE_MINIMA = Assumption("Both minima are non-degenerate.")
NON_DEGENERATE_ENDS = Assumption("Bottom and top are non-degenerate.")

# Steps and momentum.
STABLE = Assumption("SGD is stable: ηλ < 2.", sp.Lt(eta * lam, 2, evaluate=False))
STABLE_DIRECTIONS = Assumption(
    "Every direction is stable: ηλᵢ < 2(1 + m).", sp.Lt(eta * lam_i, 2 * (1 + m), evaluate=False)
)
NO_MOMENTUM = Assumption("There is no momentum.")
NO_MOMENTUM_NO_DECAY = Assumption("There is no momentum and no weight decay.")
MOMENTUM_BELOW_ONE = Assumption("The momentum is below one: 0 ≤ m < 1.", sp.Lt(m, 1, evaluate=False))
FIXED_START = Assumption("The start θ₀ is fixed.")
FIXED_BATCH_SIZE = Assumption("The batch size is fixed while η → 0.")
NOISE_OF_ORDER_ETA = Assumption("The batch size is fixed while η → 0, so the noise's strength η/S counts as O(η).")
STEP_OF_ROOT_ETA = Assumption("One step lasts δ = √η.")
FIXED_FRICTION = Assumption("The friction is fixed while η → 0, so m → 1.")

# The SDE.
ITO = Assumption("The noise is read in Itô's sense.")
ONE_DIMENSION_ITO = Assumption("One dimension, the Itô equation.")
SMALL_TEMPERATURE = Assumption("T is small against the barrier.")
NOTHING_BEYOND_BARRIER = Assumption("What lies beyond the barrier is negligible.")
LAW_OF_SDE = Assumption("The law is the SDE's; for SGD itself S times curvature times depth over σ² must be small too.")
SMALL_NOISE = Assumption("The noise is small: ε² is at most of the size of h.")
SMALL_NOISE_SCHEME = Assumption(
    "The scheme: k₁ = a(X), n = εb(X + hk₁/2)ΔW, k₂ = a(X + hk₁/2 + αn), k₃ = a(X − hk₁ + 2hk₂ + βn), "
    "X' = X + (h/6)(k₁ + 4k₂ + k₃) + n, with α = (24 − √96)/40 and β = 3 − 4α."
)

# Sharpness in the lecture's sense, with its matrix A.
AT_THE_ORIGIN = Assumption("The sharpness is taken at the minimum, the origin.")
IDENTITY = Assumption("A is the identity.")
