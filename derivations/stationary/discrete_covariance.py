"""The stationary covariance of SGD itself, with momentum, on a quadratic with constant noise: exact at finite η."""

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, eta, lam_i, m

lam_j = sp.Symbol("lambda_j", positive=True)  # another eigenvalue of H
c_ij = sp.Symbol("C_ij", real=True)  # entry of C in the eigenbasis of H


def matrix_equation(entry):
    """The (i, j) entry of the left side of the matrix equation, for an entry of Γ."""
    return (
        (1 - m) * (lam_i + lam_j) * entry
        - eta * (1 + m**2) / (1 - m**2) * lam_i * lam_j * entry
        + eta * m / (1 - m**2) * (lam_i**2 + lam_j**2) * entry
    )


def steps(formula):
    """Two-step recursion of a pair of directions → lagged moments → the covariance → its limits."""
    a_i, a_j = 1 + m - eta * lam_i, 1 + m - eta * lam_j
    G, forward, backward = sp.symbols("G F B", real=True)  # E θ_iθ_j, E θ_i′θ_j, E θ_iθ_j′ (′: one step later)
    lagged = {forward: (a_i - m * a_j) / (1 - m**2) * G, backward: (a_j - m * a_i) / (1 - m**2) * G}
    force = eta**2 / S * c_ij
    u, v, u0, v0 = sp.symbols("theta_i theta_j theta_i^- theta_j^-", real=True)
    moments = {u * v: G, u0 * v0: G, u * v0: forward, u0 * v: backward}
    square = sp.expand((a_i * u - m * u0) * (a_j * v - m * v0)).subs(moments, simultaneous=True)
    denominator = (1 - m) ** 2 * ((1 + m) * (lam_i + lam_j) - eta * lam_i * lam_j) + m * eta * (lam_i - lam_j) ** 2
    x_i, x_j = sp.symbols("a_i a_j", real=True)  # for the page
    without_noise = (x_i * x_j + m**2) * G - m * x_i * forward - m * x_j * backward
    return [
        Step(
            "Heavy ball without its velocity is θ_i′ = a_iθ_i − mθ_i⁻ − ηξ_i, a_i = 1 + m − ηλ_i. With G = E θ_iθ_j, "
            "F = E θ_i′θ_j and B = E θ_iθ_j′ the same at all times, F = a_iG − mB and B = a_jG − mF. Their solution:",
            sp.Matrix([a_i * G - m * backward, a_j * G - m * forward]).subs(lagged, simultaneous=True),
            sp.Matrix([forward, backward]).subs(lagged, simultaneous=True),
            shown=sp.Eq(
                sp.Matrix([forward, backward]),
                sp.MatMul(G / (1 - m**2), sp.ImmutableMatrix([x_i - m * x_j, x_j - m * x_i]), evaluate=False),
                evaluate=False,
            ),
        ),
        Step(
            "θ_i′θ_j′ without its fresh noise, (a_iθ_i − mθ_i⁻)(a_jθ_j − mθ_j⁻), has the mean",
            square,
            without_noise.subs({x_i: a_i, x_j: a_j}),
            shown=sp.Eq(E((x_i * u - m * u0) * (x_j * v - m * v0)), without_noise, evaluate=False),
        ),
        Step(
            "The noise adds η²C_ij/S and makes it G again. With F and B put in, G minus this mean is",
            (G - square).subs(lagged, simultaneous=True),
            eta / (1 - m**2) * denominator * G,
            shown=sp.Eq(G - without_noise, eta / (1 - m**2) * denominator * G, evaluate=False),
        ),
        Step(
            "It equals η²C_ij/S for G = Γ_ij:",
            eta / (1 - m**2) * denominator * formula.together(),
            force,
            shown=sp.Eq(eta / (1 - m**2) * denominator * sp.Symbol("Gamma_ij"), force, evaluate=False),
        ),
        Step(
            "In matrices: (1 − m)(HΓ + ΓH) − η(1 + m²)/(1 − m²) HΓH + ηm/(1 − m²) (H²Γ + ΓH²) = (η/S) C; its "
            "entry (i, j):",
            matrix_equation(formula),
            eta / S * c_ij,
            shown=sp.Eq(matrix_equation(sp.Symbol("Gamma_ij")), eta / S * c_ij, evaluate=False),
        ),
        Step(
            "Plain SGD is wider than the SDE by a factor that depends on η:",
            formula.subs(m, 0),
            eta / S * c_ij / (lam_i + lam_j) / (1 - eta * lam_i * lam_j / (lam_i + lam_j)),
        ),
        Step(
            "One direction (i = j): the pole is at the edge of stability, ηλ = 2(1 + m):",
            formula.subs(lam_j, lam_i),
            eta * c_ij * (1 + m) / (S * (1 - m) * lam_i * (2 * (1 + m) - eta * lam_i)),
        ),
        Step(
            "As η → 0 at fixed m: the covariance of the SDE at the effective rate η/(1 − m):",
            formula,
            eta / ((1 - m) * S) * c_ij / (lam_i + lam_j),
            order=(eta, 2),
        ),
    ]


def stationary(H, C, rate, size, momentum):
    """E θθᵀ from the linear equation of the chain (θ, v), exactly; no formula."""
    n = H.rows
    identity = sp.eye(n)
    matrix = sp.Matrix(sp.BlockMatrix([[identity - rate * H, momentum * identity], [-rate * H, momentum * identity]]))
    force = rate**2 / size * sp.Matrix(sp.BlockMatrix([[C, C], [C, C]]))
    operator = sp.eye(4 * n * n) - sp.kronecker_product(matrix, matrix)
    moments = operator.LUsolve(force.reshape(4 * n * n, 1)).reshape(2 * n, 2 * n)
    return moments[:n, :n]


def check(formula):
    """The 16 second moments of (θ, v) in the plane, in rationals, for a rotated H and a C that does not commute."""
    axes = sp.Matrix([[3, -4], [4, 3]]) / 5
    eigenvalues = (sp.Rational(1, 2), sp.Integer(3))
    H, C = axes * sp.diag(*eigenvalues) * axes.T, sp.Matrix([[2, 1], [1, 5]])
    K = axes.T * C * axes
    rate, size = sp.Rational(1, 5), 8
    comparisons = []
    for momentum in (sp.S.Zero, sp.Rational(9, 10)):
        values = {eta: rate, S: size, m: momentum}
        inner = sp.Matrix(
            2,
            2,
            lambda i, j, values=values: formula.subs(
                values | {lam_i: eigenvalues[i], lam_j: eigenvalues[j], c_ij: K[i, j]}, simultaneous=True
            ),
        )
        comparisons.append(
            Comparison(
                f"Γ at η = 1/5, S = 8, m = {momentum}, from the linear equations of the chain (θ, v)",
                axes * inner * axes.T,
                stationary(H, C, rate, size, momentum),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "C_ij": c_ij, "λ_i": lam_i, "λ_j": lam_j}
    # H with eigenvalues 1 and 2 on the axes, C not diagonal: the exact chain of (θ, v), at a few stable rates.
    H, C = sp.diag(1, 2), sp.Matrix([[2, 1], [1, 5]])
    known = []
    for rate, momentum in ((sp.Rational(1, 5), 0), (sp.Rational(4, 5), 0), (sp.Rational(3, 2), sp.Rational(9, 10))):
        moments = stationary(H, C, rate, 8, momentum)
        values = {eta: rate, S: 8, m: momentum}
        known += [
            moments[i, j] == formula.subs(values | {lam_i: H[i, i], lam_j: H[j, j], c_ij: C[i, j]}, simultaneous=True)
            for i, j in ((0, 0), (0, 1), (1, 1))
        ]
    plain = formula.subs({m: 0, lam_i: 1, lam_j: 1, c_ij: 1, S: 1})
    over = [sp.simplify(plain / (eta / 2)).subs(eta, rate) for rate in (sp.Rational(1, 2), sp.Rational(199, 100))]
    return [
        prose.cases(
            "is known exactly at every stable η, for each pair of eigendirections of H",
            known,
            "the chain of (θ, v) in the plane at three η and m, C not diagonal, by linear equations",
        ),
        prose.formula("(η/S) C_ij/(λ_i + λ_j − ηλ_iλ_j)", formula.subs(m, 0), names),
        prose.direction("wider than the SDE's", [1, over[0]], "the variance over the SDE's for ηλ = 1/2"),
        prose.cases(
            "by a factor that diverges at the edge of stability", [over[1] > 100], "the same for ηλ = 1.99, above 100"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary covariance of SGD at finite learning rate",
    sources=(Source("Liu, Ziyin & Ueda 2021"),),
    verdict=Verdict.CONDITIONAL,
    summary="On a quadratic with constant noise the covariance of SGD with heavy-ball momentum is known exactly "
    "at every stable η, for each pair of eigendirections of H, whether or not C commutes with H. At m = 0 it is "
    "(η/S) C_ij/(λ_i + λ_j − ηλ_iλ_j): wider than the SDE's by a factor that diverges at the edge of stability.",
    printed=sp.Eq(
        sp.Symbol("Gamma_ij"),
        eta
        / S
        * c_ij
        * (1 - m**2)
        / ((1 - m) ** 2 * ((1 + m) * (lam_i + lam_j) - eta * lam_i * lam_j) + m * eta * (lam_i - lam_j) ** 2),
        evaluate=False,
    ),
    assumptions=(
        assumptions.QUADRATIC_FORM,
        assumptions.POSITIVE_DEFINITE,
        assumptions.STABLE_DIRECTIONS,
        assumptions.MOMENTUM_BELOW_ONE,
        assumptions.CONSTANT_COVARIANCE,
        Assumption("The noise of different steps is uncorrelated."),
    ),
    formula=eta
    / S
    * c_ij
    * (1 - m**2)
    / ((1 - m) ** 2 * ((1 + m) * (lam_i + lam_j) - eta * lam_i * lam_j) + m * eta * (lam_i - lam_j) ** 2),
    arguments=(lam_i, lam_j, c_ij, eta, S, m),
    slip=Slip(
        "the term mη(λ_i − λ_j)² forgotten",
        eta / S * c_ij * (1 - m**2) / ((1 - m) ** 2 * ((1 + m) * (lam_i + lam_j) - eta * lam_i * lam_j)),
    ),
)
