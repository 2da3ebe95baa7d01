"""Constant noise on a quadratic: the stationary law rotates unless H and C commute."""

from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta

lam_i, lam_j = sp.symbols("lambda_i lambda_j", positive=True)  # eigenvalues of H
c_ij = sp.Symbol("C_ij", real=True)  # entry of C in the eigenbasis of H


def steps(formula):
    """Gradient of the Gaussian → flow → antisymmetric circulation → its equation → its entries."""
    point: Any = sp.Matrix(sp.symbols("theta_1 theta_2", real=True))
    inverse = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"Lambda_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    exponent = -(point.T * inverse * point)[0] / 2
    H, G = sp.MatrixSymbol("H", 2, 2), sp.MatrixSymbol("Gamma", 2, 2)
    A, B, u = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("B", 3, 3), sp.MatrixSymbol("u", 3, 1)
    Q, C = (G * H - H * G) / 2, S / eta * (H * G + G * H)
    return [
        Step(
            "The stationary law is a Gaussian p of covariance Γ. With Λ = Γ⁻¹, the slope of ln p is −Λθ, and the flow "
            "v = j/p = −Hθ − (η/2S) C ∇ln p is linear, v = −(H − (η/2S) CΓ⁻¹)θ:",
            sp.Matrix([sp.Derivative(exponent, u) for u in point]),
            -inverse * point,
        ),
        Step(
            "Γ solves HΓ + ΓH = (η/S) C. With this C, times Γ, the flow's matrix −H + (η/2S) CΓ⁻¹ is Q = (ΓH − "
            "HΓ)/2, so v = QΓ⁻¹θ:",
            sp.MatAdd(-H * G, sp.MatMul(eta / (2 * S), C, evaluate=False), evaluate=False),
            Q,
            name=sp.Symbol("Q"),
        ),
        Step(
            "Q is antisymmetric, so θᵀΓ⁻¹v = uᵀQu = 0 for u = Γ⁻¹θ, and the flow runs along the ellipses of constant "
            "density (A + Aᵀ and B + Bᵀ are any symmetric matrices, of size three):",
            u.T * ((B + B.T) * (A + A.T) - (A + A.T) * (B + B.T)) * u,
            sp.ZeroMatrix(1, 1),
        ),
        Step(
            "In HQ + QH the terms HΓH cancel, as they do in CH − HC: an equation for Q without Γ:",
            H * Q + Q * H,
            eta / (2 * S) * (C * H - H * C),
        ),
        Step(
            "In the eigenbasis of H, entry (i, j) of HQ + QH is (λ_i + λ_j) Q_ij, that of CH − HC is C_ij (λ_j − "
            "λ_i). So Q_ij, for all pairs, is zero exactly if CH = HC:",
            (lam_i + lam_j) * formula,
            eta / (2 * S) * (c_ij * lam_j - lam_i * c_ij),
        ),
    ]


def check(formula):
    """j/p at two points and the mean rate of turning, in rationals, for H rotated by a 3-4-5 angle."""
    axes = sp.Matrix([[3, -4], [4, 3]]) / 5
    eigenvalues = (sp.Rational(1, 2), sp.Integer(3))
    H = axes * sp.diag(*eigenvalues) * axes.T
    C = sp.Matrix([[2, 1], [1, 5]])
    rate, size = sp.Rational(1, 5), 8
    K = axes.T * C * axes
    derived = formula.subs(
        {lam_i: eigenvalues[0], lam_j: eigenvalues[1], c_ij: K[0, 1], eta: rate, S: size}, simultaneous=True
    )
    a, b, d = sp.symbols("a b d", real=True)
    G: Any = sp.Matrix([[a, b], [b, d]])
    balance = H * G + G * H - rate / size * C
    G = G.subs(sp.solve([balance[0, 0], balance[0, 1], balance[1, 1]], [a, b, d]))
    point: Any = sp.Matrix(sp.symbols("theta_1 theta_2", real=True))
    p = sp.exp(-(point.T * G.inv() * point)[0] / 2)
    flow = -H * point - rate / (2 * size) * C * sp.Matrix([p.diff(u) / p for u in point])
    # The flow is linear: its values at the two axes of H are the columns of QΓ⁻¹ there.
    columns = [flow.subs({point[0]: axes[0, i], point[1]: axes[1, i]}, simultaneous=True) for i in range(2)]
    circulation = axes.T * sp.Matrix.hstack(*columns) * (axes.T * G * axes)
    drift = -H * G  # E[dθ θᵀ]/dt: Itô's noise is centred
    words = "for H with axes along (3, 4) and (−4, 3), Γ from three linear equations"
    return [
        Comparison(f"Q_12 from j/p at two points, {words}", derived, circulation[0, 1]),
        Comparison(f"Q_21 from the same, {words}", -derived, circulation[1, 0]),
        Comparison(
            f"the mean rate of turning E[θ₁ dθ₂ − θ₂ dθ₁]/dt = −2 Q_12 (any axes), {words}",
            -2 * derived,
            drift[1, 0] - drift[0, 1],
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "C_ij": c_ij, "λ_i": lam_i, "λ_j": lam_j}
    # In the eigenbasis Γ_ij = (η/S) C_ij/(λ_i + λ_j), so entry (i, j) of (ΓH − HΓ)/2 is Γ_ij(λ_j − λ_i)/2.
    gamma = eta / S * c_ij / (lam_i + lam_j)
    one = {eta: sp.Rational(1, 5), S: 8, lam_i: 1, lam_j: 2}
    G = sp.Matrix(
        2,
        2,
        lambda i, j: gamma.subs({**one, lam_i: i + 1, lam_j: j + 1, c_ij: ((2, 1), (1, 5))[i][j]}, simultaneous=True),
    )
    Q = sp.Matrix([[0, 1], [-1, 0]]) * formula.subs({**one, c_ij: 1})
    flow = -sp.diag(1, 2) + one[eta] / (2 * 8) * sp.Matrix([[2, 1], [1, 5]]) * G.inv()
    return [
        prose.cases(
            "v = j/p = QΓ⁻¹θ",
            [sp.simplify(flow - Q * G.inv()) == sp.zeros(2, 2)],
            "−H + (η/2S)CΓ⁻¹ for eigenvalues 1 and 2 and C not diagonal",
        ),
        prose.formula("(ΓH − HΓ)/2", formula, {"ΓH": gamma * lam_j, "HΓ": lam_i * gamma}),
        prose.formula("(η/2S) C_ij (λ_j − λ_i)/(λ_i + λ_j)", formula, names),
        prose.cases(
            "without current exactly if H and C commute",
            [
                (formula.subs({**one, lam_j: b, c_ij: value}) == 0) == (value * (b - 1) == 0)
                for b in (1, 2)
                for value in (0, 1)
            ],
            "Q_12 for C_12 = 0 or 1 and equal or unequal eigenvalues, against HC = CH",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Probability current of the stationary law",
    sources=(Source("Chaudhari & Soatto 2018"), Source("Gardiner, Handbook of Stochastic Methods")),
    verdict=Verdict.CONDITIONAL,
    summary="On a quadratic with constant noise the stationary Gaussian carries the velocity field v = j/p = "
    "QΓ⁻¹θ with the antisymmetric Q = (ΓH − HΓ)/2. In the eigenbasis of H, Q_ij = (η/2S) C_ij (λ_j − λ_i)/(λ_i + "
    "λ_j): the law is an equilibrium without current exactly if H and C commute; otherwise probability circulates "
    "for ever.",
    printed=sp.Eq(
        sp.Symbol("v"),
        sp.Symbol("Q", commutative=False)
        * sp.Symbol("Gamma", commutative=False) ** -1
        * sp.Symbol("theta", commutative=False),
        evaluate=False,
    ),
    assumptions=(
        assumptions.QUADRATIC_FORM,
        assumptions.POSITIVE_DEFINITE,
        assumptions.CONSTANT_COVARIANCE,
        Assumption("C is positive definite, so that Γ has an inverse."),
    ),
    formula=eta / (2 * S) * c_ij * (lam_j - lam_i) / (lam_i + lam_j),
    arguments=(lam_i, lam_j, c_ij, eta, S),
    slip=Slip("the sense of rotation reversed", eta / (2 * S) * c_ij * (lam_i - lam_j) / (lam_i + lam_j)),
)
