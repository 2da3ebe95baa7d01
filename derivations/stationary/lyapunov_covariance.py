"""The stationary covariance of the Ornstein–Uhlenbeck process: HΓ + ΓH = (η/S) C, solved."""

from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, S, eta

lam_i, lam_j = sp.symbols("lambda_i lambda_j", positive=True)  # eigenvalues of H
c_ij = sp.Symbol("C_ij", real=True)  # entry of C in the eigenbasis of H


def steps(formula):
    """Itô's formula on θθᵀ → Lyapunov equation → its solution in the eigenbasis, and in any basis of the plane."""
    H: Any = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"H_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    C: Any = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"C_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    point: Any = sp.Matrix(sp.symbols("theta_1 theta_2", real=True))
    gradient = H * point

    def generator(f):
        drift = sum(-gradient[i] * f.diff(point[i]) for i in range(2))
        second = sum(C[i, j] * f.diff(point[i], point[j]) for i in range(2) for j in range(2))
        return drift + eta / (2 * S) * second

    outer = point * point.T
    s = sp.Symbol("s", positive=True)
    H2, C2, G2 = (sp.MatrixSymbol(name, 2, 2) for name in ("H", "C", "Gamma"))
    adjugate = H.trace() * sp.eye(2) - H
    plane = eta / (2 * S * H.trace() * H.det()) * (H.det() * C + adjugate * C * adjugate)
    diagonal = {H[0, 1]: 0, H[0, 0]: lam_i, H[1, 1]: lam_j, C[0, 1]: c_ij}
    return [
        Step(
            "Itô's formula for θθᵀ: the drift −Hθ acts on either factor, the noise adds (η/S) C. In the mean, "
            "dΓ/dt = −HΓ − ΓH + (η/S) C, and the stationary Γ solves HΓ + ΓH = (η/S) C:",
            outer.applyfunc(generator),
            -H * outer - outer * H + eta / S * C,
            shown=sp.Eq(sp.Symbol("dΓ/dt"), -H2 * G2 - G2 * H2 + eta / S * C2, evaluate=False),
        ),
        Step(
            "In the eigenbasis of H the equation is one number for each pair of directions, whether or not C is "
            "diagonal:",
            lam_i * formula + formula * lam_j,
            eta / S * c_ij,
        ),
        Step(
            "The same from the process itself: noise of age s has decayed by e^{−Hs}, and Γ adds up what is left "
            "of it:",
            sp.Integral(eta / S * c_ij * sp.exp(-(lam_i + lam_j) * s), (s, 0, sp.oo)),
            formula,
        ),
        Step(
            "In the plane, in any basis, Γ = (η/(2S Tr H det H)) [det H · C + adj H · C · adj H], adj H = (Tr H) "
            "I − H, solves the equation, because H + adj H = (Tr H) I and H adj H = (det H) I:",
            H * plane + plane * H,
            eta / S * C,
            shown=sp.Eq(H2 * G2 + G2 * H2, eta / S * C2, evaluate=False),
        ),
        Step(
            "Its off-diagonal entry in the eigenbasis, where H_12 = 0, is the same number:",
            plane[0, 1].subs(diagonal),
            formula,
            shown=sp.Eq(sp.Symbol("Gamma_12"), formula, evaluate=False),
        ),
    ]


def check(formula):
    """Γ = (η/S) ∫ e^{−Hs} C e^{−Hs} ds with matrix exponentials, in a basis where H is not diagonal."""
    axes = sp.Matrix([[3, -4], [4, 3]]) / 5
    eigenvalues = (sp.Rational(1, 2), sp.Integer(3))
    H, C = axes * sp.diag(*eigenvalues) * axes.T, sp.Matrix([[2, 1], [1, 5]])
    rate, size = sp.Rational(1, 5), 8
    K = axes.T * C * axes
    inner = sp.Matrix(
        2,
        2,
        lambda i, j: formula.subs(
            {lam_i: eigenvalues[i], lam_j: eigenvalues[j], c_ij: K[i, j], eta: rate, S: size}, simultaneous=True
        ),
    )
    derived = axes * inner * axes.T
    s = sp.Symbol("s", positive=True)
    decay = (-s * H).exp()
    left_over = (rate / size * decay * C * decay).applyfunc(sp.expand)
    independent = left_over.applyfunc(lambda entry: sp.integrate(entry, (s, 0, sp.oo)))
    words = "from ∫ e^{−Hs} C e^{−Hs} ds, for H with axes along (3, 4) and (−4, 3), η = 1/5, S = 8"
    return [Comparison(f"Γ {words}", derived, independent)]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "S": S, "C_ij": c_ij, "C": c_ij, "λ_i": lam_i, "λ_j": lam_j}
    return [
        prose.formula("HΓ + ΓH = (η/S) C", (lam_i + lam_j) * formula, names, text="(η/S) C"),
        prose.formula("(η/S) C_ij/(λ_i + λ_j)", formula, names),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary covariance of the Ornstein–Uhlenbeck process",
    sources=(Source("Mandt, Hoffman & Blei 2017"), Source("Jastrzębski et al. 2017")),
    verdict=Verdict.CONDITIONAL,
    summary="On a quadratic with constant noise the stationary law of the SDE is Gaussian, and its covariance solves "
    "HΓ + ΓH = (η/S) C. In the eigenbasis of H, Γ_ij = (η/S) C_ij/(λ_i + λ_j); H and C need not commute.",
    printed=sp.Eq(
        sp.MatrixSymbol("H", D, D) * sp.MatrixSymbol("Gamma", D, D)
        + sp.MatrixSymbol("Gamma", D, D) * sp.MatrixSymbol("H", D, D),
        eta / S * sp.MatrixSymbol("C", D, D),
        evaluate=False,
    ),
    assumptions=(
        assumptions.QUADRATIC_FORM,
        assumptions.POSITIVE_DEFINITE,
        assumptions.CONSTANT_COVARIANCE,
    ),
    formula=eta / S * c_ij / (lam_i + lam_j),
    arguments=(lam_i, lam_j, c_ij, eta, S),
    slip=Slip("(η/2S) C on the right-hand side", eta / (2 * S) * c_ij / (lam_i + lam_j)),
)
