"""Euler–Maruyama on the SDE of SGD with the step h = η is SGD with Gaussian noise: two moments of a step agree."""

import sympy as sp

from derivations import assumptions, linear_models, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S, eta, h

# Three examples in the plane stand for N in D dimensions; their gradients:
u = [sp.Matrix(sp.symbols(f"u_{i}1 u_{i}2", real=True)) for i in (1, 2, 3)]
xi = sp.symbols("xi_1 xi_2 xi_3", real=True)  # standard Gaussians, one an example
g1, g2, c11, c12, c22 = sp.symbols("g_1 g_2 C_11 C_12 C_22", real=True)
moved = sp.Symbol("Δθ")
GRADIENT, COVARIANCE = sp.symbols("g C", commutative=False)
C = sp.Matrix([[c11, c12], [c12, c22]])
result = sp.Matrix.hstack(-eta * sp.Matrix([g1, g2]), eta**2 / S * C)


def data(gradients):
    """The mean g and the covariance C (1/N form) of a list of gradients, as values for the symbols."""
    g, cov = oracles.mean(gradients), oracles.covariance(gradients)
    return {g1: g[0], g2: g[1], c11: cov[0, 0], c12: cov[0, 1], c22: cov[1, 1]}


def steps(formula):
    """The covariance of a step of either kind is a product of the examples' gradients with that of its weights."""
    g, count = oracles.mean(u), len(u)
    U, R = sp.Matrix.hstack(*u), sp.Matrix.hstack(*[(v - g) / sp.sqrt(count) for v in u])
    weights = (sp.eye(count) - sp.ones(count, count) / count) / (count * S)
    of_squares = {q**2: 1 for q in xi} | {p * q: 0 for p in xi for q in xi if p != q}
    squares = h * (sp.Matrix(xi) * sp.Matrix([xi])).subs(of_squares)
    r, rt, all_u, all_ut, A, b, one, ones = sp.symbols("R Rᵀ U Uᵀ C g I 11ᵀ", commutative=False)
    equal = lambda left, right: sp.Eq(left, right, evaluate=False)  # noqa: E731
    return [
        Step(
            "Let U be the matrix of the examples' gradients, a column each. Then R = [∇ℓ_i − g]/√N is a square root "
            "of C (in this and what follows the entries are checked for three examples in the plane):",
            sp.MatMul(R, R.T, evaluate=False),
            C.subs(data(u)),
            shown=equal(r * rt, A),
        ),
        Step(
            "ΔW has N independent entries of variance h, so E(ΔWΔWᵀ) = hI. The step −gh + √(η/S) RΔW of "
            "Euler–Maruyama has the mean −gh and the covariance",
            sp.MatMul(eta / S, R, squares, R.T, evaluate=False),
            (h * eta / S * C).subs(data(u)),
            name=Cov(moved),
            shown=equal(eta / S * r * (h * one) * rt, h * eta / S * A),
        ),
        Step(
            "SGD's step is −ηUw, w_i being the share of example i in a batch of S independent draws. One draw has the "
            "mean 1/N and the covariance (I − 11ᵀ/N)/N, and the mean of S draws has Cov(w) = (I − 11ᵀ/N)/(NS):",
            sp.MatMul(eta**2, U, weights, U.T, evaluate=False),
            formula[:, 1:].subs(data(u)),
            name=Cov(moved),
            shown=equal(eta**2 / (N * S) * all_u * (one - ones / N) * all_ut, eta**2 / S * A),
        ),
        Step(
            "With h = η both mean and covariance are the same, exactly:",
            sp.Matrix.hstack(-h * g, (h * eta / S * C).subs(data(u))).subs(h, eta),
            formula.subs(data(u)),
            name=sp.Tuple(E(moved), Cov(moved)),
            shown=equal(sp.Subs(sp.Tuple(-h * b, h * eta / S * A), h, eta), sp.Tuple(-eta * b, eta**2 / S * A)),
        ),
    ]


def check(formula):
    """All nine batches of SGD, and 27 Euler steps on three-point increments, in rationals."""
    rate, size = sp.Rational(1, 3), 2
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    derived = formula.subs(data(gradients)).subs({eta: rate, S: size})
    moves = [-rate * sum((gradients[i] for i in b), sp.zeros(2, 1)) / size for b in oracles.batches(3, size, True)]
    sgd = sp.Matrix.hstack(oracles.mean(moves), oracles.covariance(moves))
    g = oracles.mean(gradients)

    def euler(*dW):
        noise = sum((w * (v - g) for w, v in zip(dW, gradients, strict=True)), sp.zeros(2, 1)) / sp.sqrt(3)
        return -g * rate + sp.sqrt(rate / size) * noise

    laws = [oracles.three_point(sp.sqrt(rate))] * 3
    first = [oracles.expectation(lambda *dW: euler(*dW)[i], *laws) for i in (0, 1)]  # noqa: B023
    second = [
        oracles.expectation(lambda *dW: euler(*dW)[i] * euler(*dW)[j], *laws) - first[i] * first[j]  # noqa: B023
        for i, j in ((0, 0), (0, 1), (1, 1))
    ]
    scheme = sp.Matrix([[first[0], second[0], second[1]], [first[1], second[1], second[2]]])
    return [
        Comparison("mean and covariance of SGD's step, N = 3, S = 2, over all 9 batches", derived, sgd),
        Comparison("of a step of Euler–Maruyama with h = η", derived, scheme.applyfunc(sp.simplify)),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "g": g1, "C": c11, "S": S}
    missed = {rate: linear_models.equation(rate, 1, time=rate) - (1 - 2 * rate) for rate in (0.01, 0.005)}
    sgd, euler, solved = (
        linear_models.sgd(0.01, 2),
        linear_models.gaussian_sgd(0.01, 2),
        linear_models.equation(0.01, 2),
    )
    return [
        prose.formula("has exactly the mean −ηg", formula[0, 0], names, text="−ηg"),
        prose.formula("the covariance η²C/S of an SGD step", formula[0, 1], names, text="η²C/S"),
        prose.order(
            "The SDE itself has them only up to O(η²)",
            missed,
            "η",
            "the mean of a step on a linear model, E θ = exp(−2η) against 1 − 2η, at η = 0.01 and 0.005",
        ),
        prose.direction(
            "a coarse Euler scheme can look better than an exact solution",
            [-abs(solved - sgd), -abs(euler - sgd)],
            "minus the distance of E θ² from SGD's at t = 1: the exact solution, then Euler with h = η",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Euler–Maruyama at h = η is Gaussian SGD",
    sources=(Source("thesis", "3.2"),),
    verdict=Verdict.EXACT,
    summary="One Euler–Maruyama step of length η on the SDE of SGD has exactly the mean −ηg and the covariance "
    "η²C/S of an SGD step: it is SGD with the batch's noise replaced by Gaussian noise. The SDE itself "
    "has them only up to O(η²), so a coarse Euler scheme can look better than an exact solution.",
    printed=sp.Eq(sp.Tuple(E(moved), Cov(moved)), sp.Tuple(-eta * GRADIENT, eta**2 / S * COVARIANCE), evaluate=False),
    assumptions=(
        Assumption("The step is the learning rate."),
        assumptions.WITH_REPLACEMENT,
        Assumption("C is in its 1/N form."),
    ),
    formula=result,
    arguments=(eta, S, g1, g2, c11, c12, c22),
    slip=Slip("the covariance of the SDE's rate, η C/S", sp.Matrix.hstack(result[:, 0], eta / S * C)),
)
