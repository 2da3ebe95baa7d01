"""The symbols that claims share: one name, one meaning. What only one claim needs is defined there."""

import sympy as sp

# Hyperparameters and sizes.
eta = sp.Symbol("eta", positive=True)  # learning rate η
S, N, D = sp.symbols("S N D", positive=True, integer=True)  # batch size, examples, parameters
m = sp.Symbol("m", nonnegative=True)  # momentum (heavy ball); m = 0 is plain SGD
k = sp.Symbol("k", positive=True, integer=True)  # number of steps, or a factor
T = sp.Symbol("T", positive=True)  # temperature ησ²/(2S)
sigma = sp.Symbol("sigma", positive=True)  # C = σ²I
t = sp.Symbol("t", nonnegative=True)  # time
h = sp.Symbol("h", positive=True)  # step of an integrator

# One dimension: the loss's derivatives at a point, the noise.
theta = sp.Symbol("theta", real=True)
g = sp.Symbol("g", real=True)  # gradient
lam = sp.Symbol("lambda", positive=True)  # curvature
lam_i = sp.Symbol("lambda_i", positive=True)  # an eigenvalue of the Hessian
c = sp.Symbol("c", nonnegative=True)  # C in one dimension

# Display only: E(·), Cov(·), Var(·), P(·).
E, Cov, Var, P = (sp.Function(name) for name in ("E", "Cov", "Var", "P"))
