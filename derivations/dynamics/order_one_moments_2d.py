"""The SDE of SGD (thesis 3.2) against one SGD step, in two dimensions: mean and covariance over a time η."""

from typing import Any

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, eta

x: Any = sp.Matrix(sp.symbols("x_1 x_2", real=True))  # the displacement θ − θ₀
g: Any = sp.Matrix(sp.symbols("g_1 g_2", real=True))
h11, h12, h22 = sp.symbols("H_11 H_12 H_22", real=True)
c11, c12, c22 = sp.symbols("C_11 C_12 C_22", real=True)
k11, k12, k22 = sp.symbols("K_11 K_12 K_22", real=True)
H: Any = sp.Matrix([[h11, h12], [h12, h22]])
C: Any = sp.Matrix([[c11, c12], [c12, c22]])
K: Any = sp.Matrix([[k11, k12], [k12, k22]])  # (g·∇)C, the change of C along the gradient
third = sp.symbols("L_111 L_112 L_122 L_222", real=True)  # third derivatives of the loss
slopes = [sp.Matrix(2, 2, sp.symbols(f"C_11\\,{i} C_12\\,{i} C_12\\,{i} C_22\\,{i}", real=True)) for i in (1, 2)]
along = dict(zip((k11, k12, k22), [sum(g[k] * slopes[k][i] for k in (0, 1)) for i in (0, 1, 3)], strict=True))
moved = sp.Symbol(r"\Delta\theta")
mean = -eta * g + eta**2 / 2 * H * g
covariance = eta**2 / S * C - eta**3 / (2 * S) * (H * C + C * H + K)


def generator(f, noise=eta / (2 * S)):
    """Applies −g(θ)·∇ + (η/2S) C(θ):∇∇ for a generic smooth loss, to third derivatives, and C, to first ones."""
    curved = [third[i + j + k] * x[j] * x[k] / 2 for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    drift = -(g + H * x + sp.Matrix([sum(curved[:4]), sum(curved[4:])]))
    at = C + slopes[0] * x[0] + slopes[1] * x[1]
    first = sum(drift[i] * sp.diff(f, x[i]) for i in (0, 1))
    return first + noise * sum(at[i, j] * sp.diff(f, x[i], x[j]) for i in (0, 1) for j in (0, 1) if noise)


def expectation(f) -> Any:
    """E f(Δθ) up to O(η⁴) for f = x_i x_j, O(η³) for x_i: Σ η^k/k! 𝓛^k f at the start; 𝓛³ needs no noise."""
    once, calm = generator(f), generator(generator(generator(f, 0), 0), 0)
    terms = (f, eta * once, eta**2 / 2 * generator(once), eta**3 / 6 * calm)
    return below(sum(term.subs({x[0]: 0, x[1]: 0}) for term in terms))


def below(f) -> Any:
    """The terms below η⁴."""
    f = sp.expand(f)
    return sum(f.coeff(eta, k) * eta**k for k in range(4))


def steps(formula):
    """E f(θ_η) = (1 + η𝓛 + (η²/2)𝓛² + …) f, where 𝓛 itself has a term of size η."""
    means = sp.Matrix([expectation(f) for f in x])
    products = (x * x.T).applyfunc(lambda f: expectation(f))
    pair = generator(generator(x[0] * x[1])).subs({x[0]: 0, x[1]: 0})
    return [
        Step(
            "The generator is 𝓛 = −g·∇ + (η/2S) Σ C_ij ∂_i∂_j. Applied twice to a product of displacements it gives, "
            "at the start, the product of the drifts and what drift and noise do together:",
            pair,
            2 * g[0] * g[1] - eta / S * (H * C + C * H + K).subs(along)[0, 1],
            order=(eta, 2),
            name=sp.Symbol(r"\mathcal{L}^2 x_1 x_2"),
        ),
        Step(
            "The series for the displacement is the mean; the noise enters at η³ only:",
            means,
            formula[:, 0],
            order=(eta, 3),
            name=E(moved),
        ),
        Step(
            "The series for the products, less the means' product, is the covariance; the drift's own terms cancel:",
            (products - means * means.T).applyfunc(below),
            formula[:, 1:].subs(along),
            order=(eta, 4),
            name=Cov(moved),
        ),
        Step(
            "An SGD step has the mean −ηg and the covariance η²C/S, so the SDE's differ by (η²/2)Hg and by the "
            "order η³, where K is (g·∇)C:",
            formula - sp.Matrix.hstack(-eta * g, eta**2 / S * C),
            sp.Matrix.hstack(eta**2 / 2 * H * g, -(eta**3) / (2 * S) * (H * C + C * H + K)),
        ),
    ]


def check(formula):
    """θ = Q (e^{y_1}, e^{y_2}) with Q a rotation and y correlated Ornstein–Uhlenbeck processes: lognormal, exact."""
    step, size, rho = sp.Rational(1, 10**5), 3, sp.Rational(1, 2)
    kappa, start = (sp.Rational(7, 5), sp.Rational(1, 2)), (sp.Rational(3, 2), sp.Rational(2))
    turn = sp.Matrix([[3, -4], [4, 3]]) / 5
    noise = [[step / size, rho * step / size], [rho * step / size, step / size]]
    z = sp.symbols("z_1 z_2", positive=True)
    down = sp.Matrix([z[i] * (kappa[i] * sp.log(z[i]) - noise[i][i] / 2) for i in (0, 1)])  # by Itô's formula
    own = sp.Matrix(2, 2, lambda i, j: size / step * noise[i][j] * z[i] * z[j])
    change = own.applyfunc(lambda f: sum(down[i] * sp.diff(f, z[i]) for i in (0, 1)))
    at = dict(zip(z, start, strict=True))
    G, J = turn * down.subs(at), turn * down.jacobian(list(z)).subs(at) * turn.T
    A, B = turn * own.subs(at) * turn.T, turn * change.subs(at) * turn.T
    values = {eta: step, S: size, g[0]: G[0], g[1]: G[1]}
    for symbols, matrix in ((H, J), (C, A), (K, B)):
        values |= {symbols[0, 0]: matrix[0, 0], symbols[0, 1]: matrix[0, 1], symbols[1, 1]: matrix[1, 1]}
    law = lambda i, j: noise[i][j] * (1 - sp.exp(-(kappa[i] + kappa[j]) * step)) / (kappa[i] + kappa[j])  # noqa: E731
    v = [[law(i, j) for j in (0, 1)] for i in (0, 1)]
    e = [sp.exp(sp.exp(-kappa[i] * step) * sp.log(start[i]) + v[i][i] / 2) for i in (0, 1)]
    exact_mean = turn * (sp.Matrix(e) - sp.Matrix(start))
    exact_covariance = turn * sp.Matrix(2, 2, lambda i, j: e[i] * e[j] * (sp.exp(v[i][j]) - 1)) * turn.T
    derived = formula.subs(values)
    return [
        Comparison("mean of a lognormal law, η = 10⁻⁵", derived[:, 0].evalf(50), exact_mean.evalf(50), 50 * step**3),
        Comparison(
            "covariance of a lognormal law, η = 10⁻⁵",
            derived[:, 1:].evalf(50),
            exact_covariance.evalf(50),
            50 * step**4,
        ),
    ]


MEAN, COVARIANCE, HESSIAN = sp.MatrixSymbol("g", 2, 1), sp.MatrixSymbol("C", 2, 2), sp.MatrixSymbol("H", 2, 2)
CLAIM = Claim(
    module=__name__,
    title="One SGD step and the SDE over a time η, in two dimensions",
    sources=(Source("thesis", "3.2"), Source("Li, Tai & E 2017")),
    verdict=Verdict.ORDER,
    order="η²",
    summary="Over a time η the SDE has one SGD step's mean −ηg up to (η²/2)Hg, and its covariance η²C/S up to "
    "−(η³/2S)(HC + CH + (g·∇)C). The mean's error has nothing to do with the noise.",
    printed=sp.Eq(sp.Tuple(E(moved), Cov(moved)), sp.Tuple(-eta * MEAN, eta**2 / S * COVARIANCE), evaluate=False),
    assumptions=(
        Assumption(
            "The batch size is fixed while η → 0, so the noise's strength η/S counts as O(η).",
            sp.Ge(S, 1, evaluate=False),
        ),
        Assumption(
            "The gradient is that of a loss with three derivatives, so H is symmetric.",
            sp.Eq(HESSIAN, HESSIAN.T, evaluate=False),
        ),
        Assumption("C has one derivative; K is its change along the gradient.", sp.Q.finite(k11)),
        Assumption("Itô's reading of the SDE.", sp.Q.nonnegative(c11)),
    ),
    formula=sp.Matrix.hstack(mean, covariance),
    arguments=(eta, S, *g, h11, h12, h22, c11, c12, c22, k11, k12, k22),
    steps=steps,
    check=check,
    slip=Slip("HC + CH counted twice", sp.Matrix.hstack(mean, covariance - eta**3 / (2 * S) * (H * C + C * H))),
)
