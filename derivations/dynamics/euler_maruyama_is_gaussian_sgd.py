"""Euler–Maruyama on the SDE of SGD with the step h = η is SGD with Gaussian noise: two moments of a step agree."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S, eta, h

# Three examples in the plane stand for N in D dimensions; their gradients:
u = [sp.Matrix(sp.symbols(f"u_{i}1 u_{i}2", real=True)) for i in (1, 2, 3)]
xi = sp.symbols("xi_1 xi_2 xi_3", real=True)  # standard Gaussians, one an example
g1, g2, c11, c12, c22 = sp.symbols("g_1 g_2 C_11 C_12 C_22", real=True)
moved = sp.Symbol(r"\Delta\theta")
GRADIENT, COVARIANCE = sp.MatrixSymbol("g", 2, 1), sp.MatrixSymbol("C", 2, 2)
C = sp.Matrix([[c11, c12], [c12, c22]])
result = sp.Matrix.hstack(-eta * sp.Matrix([g1, g2]), eta**2 / S * C)


def data(gradients):
    """The mean g and the covariance C (1/N form) of a list of gradients, as values for the symbols."""
    g, cov = oracles.mean(gradients), oracles.covariance(gradients)
    return {g1: g[0], g2: g[1], c11: cov[0, 0], c12: cov[0, 1], c22: cov[1, 1]}


def steps(formula):
    """A step of Euler–Maruyama is linear in ΔW ∈ R^N."""
    g, count = oracles.mean(u), len(u)
    R = sp.Matrix.hstack(*[(v - g) / sp.sqrt(count) for v in u])
    push = sp.sqrt(eta / S) * R * sp.sqrt(h) * sp.Matrix(xi)
    of_squares = {q**2: 1 for q in xi} | {p * q: 0 for p in xi for q in xi if p != q}
    covariance = (push * push.T).applyfunc(lambda f: sp.expand(f).subs(of_squares))
    pair = [sp.Rational(1, count) * v for v in u]
    return [
        Step(
            "R = [∇ℓ_i − g]/√N has R Rᵀ = C, so it is a square root of C with one column an example:",
            R * R.T,
            C.subs(data(u)),
            name=COVARIANCE,
        ),
        Step(
            "A step −gh + √(η/S) R ΔW has the mean −gh. ΔW has independent entries of variance h, and hence the "
            "covariance is:",
            covariance,
            (h * eta / S * C).subs(data(u)),
            name=Cov(moved),
        ),
        Step(
            "A batch's mean of S independent draws has the mean g, each example counting 1/N, and 1/S times the "
            "covariance of one draw; times −η that is SGD's step:",
            sp.Matrix.hstack(-eta * sum(pair, sp.zeros(2, 1)), eta**2 / S * oracles.covariance(u)),
            formula.subs(data(u)),
            name=E(moved),
        ),
        Step(
            "With h = η the two have the same mean and covariance, exactly:",
            sp.Matrix.hstack(-h * g, covariance).subs(h, eta),
            formula.subs(data(u)),
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
        Assumption("The step is the learning rate.", sp.Eq(h, eta, evaluate=False)),
        Assumption("Batches are drawn with replacement.", sp.Ge(S, 1, evaluate=False)),
        Assumption("C is in its 1/N form.", sp.Ge(N, 1, evaluate=False)),
    ),
    formula=result,
    arguments=(eta, S, g1, g2, c11, c12, c22),
    steps=steps,
    check=check,
    slip=Slip("the covariance of the SDE's rate, η C/S", sp.Matrix.hstack(result[:, 0], eta / S * C)),
)
