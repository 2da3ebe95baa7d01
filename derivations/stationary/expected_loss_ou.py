"""Expected loss of the Ornstein–Uhlenbeck process: (η/4S) Tr C, whatever the Hessian."""

from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, S, eta, t

trace_c = sp.Symbol("c_Tr", nonnegative=True)  # Tr C


def symmetric(name, n):
    """A symmetric matrix with free entries."""
    return sp.Matrix(n, n, lambda i, j: sp.Symbol(f"{name}_{min(i, j) + 1}{max(i, j) + 1}", real=True))


def steps(formula):
    """Itô's formula for |θ|² → its mean at stationarity → the same from the covariance."""
    H, C = symmetric("H", 3), symmetric("C", 3)
    point: Any = sp.Matrix(sp.symbols("theta_1:4", real=True))
    gradient, length = H * point, (point.T * point)[0]
    drift = sum(-gradient[i] * sp.Derivative(length, point[i]) for i in range(3))
    second = sum(C[i, j] * sp.Derivative(length, point[i], point[j]) for i in range(3) for j in range(3))
    H2, C2 = symmetric("H", 2), symmetric("C", 2)
    adjugate = H2.trace() * sp.eye(2) - H2
    plane = eta / (2 * S * H2.trace() * H2.det()) * (H2.det() * C2 + adjugate * C2 * adjugate)
    lams = sp.symbols("lambda_1:4", positive=True)
    trace, mean_loss = sp.Trace(sp.MatrixSymbol("C", 3, 3)), E(sp.Symbol("L"))
    return [
        Step(
            "The rate of change of |θ|² is −∇L·∇|θ|² + (η/2S) Σ C_ij ∂_i∂_j|θ|². The first part is −2θᵀHθ = −4L, "
            "the second (η/S) Tr C, whatever H and C (three dimensions):",
            drift + eta / (2 * S) * second,
            eta / S * C.trace() - 4 * (point.T * H * point)[0] / 2,
            shown=sp.Eq(
                sp.Derivative(sp.Function("E")(sp.Symbol("|θ|²")), t), eta / S * trace - 4 * mean_loss, evaluate=False
            ),
        ),
        Step(
            "At stationarity its mean is zero, and four times the expected loss is",
            4 * sp.UnevaluatedExpr(formula),
            eta / S * trace_c,
        ),
        Step(
            "Direction by direction: Γ_ii = (η/S) C_ii/(2λ_i), and the loss λ_iΓ_ii/2 of a direction does not "
            "know its curvature:",
            sum(lam * eta * C[i, i] / (S * 2 * lam) / 2 for i, lam in enumerate(lams)),
            formula.subs(trace_c, C.trace()),
        ),
        Step(
            "From the whole covariance in the plane, H and C commuting or not: with adj H = (Tr H) I − H, "
            "Γ = (η/(2S Tr H det H)) [det H · C + adj H · C · adj H], and ½ Tr(HΓ) is",
            (H2 * plane).trace() / 2,
            formula.subs(trace_c, C2.trace()),
            name=mean_loss,
            shown=sp.Eq(
                sp.Trace(sp.MatrixSymbol("H", 2, 2) * sp.MatrixSymbol("Gamma", 2, 2)) / 2, formula, evaluate=False
            ),
        ),
        Step(
            "Against (η/4S) Tr H: the two agree exactly if Tr C = Tr H. C = H is more than is needed:",
            formula - eta / (4 * S) * sp.Symbol("h_Tr"),
            eta / (4 * S) * (trace_c - sp.Symbol("h_Tr")),
        ),
    ]


def check(formula):
    """Γ from its linear equations in rationals for one C and three Hessians; then ½ Tr(HΓ)."""
    rate, size = sp.Rational(3, 10), 4
    C = sp.Matrix([[2, 1, 0], [1, 5, -1], [0, -1, sp.Rational(1, 3)]])
    hessians = (
        sp.Matrix([[3, 1, 0], [1, 2, 1], [0, 1, 4]]),
        sp.Matrix([[100, -3, 1], [-3, sp.Rational(1, 2), 0], [1, 0, 7]]),
        sp.diag(1, 1, sp.Rational(1, 1000)),
    )
    comparisons = []
    for H in hessians:
        identity = sp.eye(3)
        operator: Any = sp.kronecker_product(H, identity) + sp.kronecker_product(identity, H)
        force: Any = rate / size * C
        G = operator.LUsolve(force.reshape(9, 1)).reshape(3, 3)
        comparisons.append(
            Comparison(
                f"E(L) for η = 3/10, S = 4 and H = {H.tolist()}, from nine linear equations for Γ",
                formula.subs({eta: rate, S: size, trace_c: C.trace()}),
                (H * G).trace() / 2,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "Tr C": trace_c, "Tr H": trace_c}

    def above(curvatures, noises):  # Σ λΓ/2 with 2λΓ = (η/S)C, direction by direction, at η = 1/5, S = 4
        return sum(
            curve * (noise / sp.Integer(20) / (2 * curve)) / 2 for curve, noise in zip(curvatures, noises, strict=True)
        )

    sharp, flat = above((9, 3), (1, 5)), above((sp.Rational(1, 2), 1), (1, 5))
    return [
        prose.formula("is (η/4S) Tr C", formula, names, text="(η/4S) Tr C"),
        prose.cases(
            "whatever the Hessian",
            [value == formula.subs({eta: sp.Rational(1, 5), S: 4, trace_c: 6}) for value in (sharp, flat)],
            "Σ λ_iΓ_ii/2 for two Hessians and C = diag(1, 5)",
        ),
        prose.formula("It equals (η/4S) Tr H exactly if Tr C = Tr H", formula, names, text="(η/4S) Tr H"),
        prose.cases(
            "a flatter minimum with the same noise has the same expected loss",
            [sharp == flat],
            "the loss above curvatures (9, 3) and (1/2, 1) for C = diag(1, 5)",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Expected loss of the Ornstein–Uhlenbeck process",
    sources=(Source("Zhu et al. 2019"), Source("Jastrzębski et al. 2017")),
    verdict=Verdict.CONDITIONAL,
    summary="On a quadratic with constant noise the expected loss above the minimum is (η/4S) Tr C, whatever the "
    "Hessian. It equals (η/4S) Tr H exactly if Tr C = Tr H, which C = H grants; a flatter minimum with the same "
    "noise has the same expected loss.",
    printed=sp.Eq(E(sp.Symbol("L")), eta / (4 * S) * sp.Trace(sp.MatrixSymbol("C", D, D)), evaluate=False),
    assumptions=(
        assumptions.QUADRATIC_FROM_MINIMUM,
        assumptions.POSITIVE_DEFINITE,
        assumptions.CONSTANT_COVARIANCE,
        Assumption("The law is the stationary one."),
    ),
    formula=eta / (4 * S) * trace_c,
    arguments=(eta, S, trace_c),
    slip=Slip("the ½ of the loss forgotten", eta / (2 * S) * trace_c),
)
