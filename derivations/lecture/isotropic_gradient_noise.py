"""Lecture, 5.3: what is isotropic is the gradients' covariance; the parameters w are not."""

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, eta, sigma

h11, h22 = sp.symbols("h_11 h_22", positive=True)  # Hessian of the sum loss at a minimum
h12 = sp.Symbol("h_12", real=True)
T = sp.Symbol("T_sum", positive=True)  # the temperature of the sum loss, gσ²/2
HESSIAN = sp.ImmutableDenseMatrix([[h11, h12], [h12, h22]])
SCALE = eta * N / S  # the noise scale g
H, V = sp.MatrixSymbol("H", 2, 2), sp.MatrixSymbol("V", 2, 2)
RESULT = SCALE * sigma**2 / 2 * sp.Matrix([[h22, -h12], [-h12, h11]]) / (h11 * h22 - h12**2)


def steps(formula):
    """The stationary covariance of dw = −Hw dt + √(gσ²) dW."""
    inverse = HESSIAN.inv()
    return [
        Step(
            "In equilibrium V = Cov(w) no longer changes: the noise adds gF = gσ²I = 2T_sum I, with g = ηN/S, and the "
            "drift takes the same away:",
            HESSIAN * formula + formula * HESSIAN,
            SCALE * sigma**2 * sp.eye(2),
            shown=sp.Eq(H * V + V * H, sp.diag(2 * T, 2 * T), evaluate=False),
        ),
        Step(
            "So V is T_sum times the inverse Hessian:",
            sp.MatMul(SCALE * sigma**2 / 2, sp.Inverse(HESSIAN)),
            formula,
            name=V,
            shown=sp.Eq(sp.MatMul(T, sp.Inverse(HESSIAN)), T * inverse, evaluate=False),
        ),
        Step(
            "Along the Hessian's axes, h_12 = 0, the variances are inverse to the curvatures. Flat directions spread "
            "more:",
            sp.MatMul(SCALE * sigma**2 / 2, sp.Inverse(HESSIAN.subs(h12, 0))),
            formula.subs(h12, 0),
            shown=sp.Eq(sp.MatMul(T, sp.Inverse(HESSIAN.subs(h12, 0))), sp.diag(T / h11, T / h22), evaluate=False),
        ),
    ]


def check(formula):
    """The stationary covariance of SGD's own recursion, a linear system solved in rationals, at a tiny rate."""
    rate, n, size, spread = sp.Rational(1, 10**9), 4, 2, sp.Integer(3)
    hessian = sp.Matrix([[2, 1], [1, 5]])
    v11, v12, v22 = sp.symbols("v11 v12 v22")
    unknown = sp.Matrix([[v11, v12], [v12, v22]])
    shrink = sp.eye(2) - rate / n * hessian
    noise = rate**2 / size * spread**2 * sp.eye(2)
    settled = sp.solve(list(shrink * unknown * shrink + noise - unknown), (v11, v12, v22))
    values = {eta: rate, N: n, S: size, sigma: spread, h11: 2, h12: 1, h22: 5}
    derived = formula.subs(values) / rate
    independent = unknown.subs(settled) / rate
    return [
        Comparison(
            "Cov(w)/η of w ← w − (η/N)(Hw + ψ) with Cov ψ = N²σ²I/S at η = 10⁻⁹, up to O(η)",
            derived,
            independent,
            sp.Rational(1, 10**8),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"g": SCALE, "η": eta, "N": N, "S": S, "σ": sigma}
    temperature = sp.simplify((formula * HESSIAN)[0, 0])
    tilted = formula.subs({h11: 1, h22: 4, h12: 0})
    return [
        prose.cases(
            "F = σ²I makes the gradient noise isotropic, not w",
            [tilted[0, 0] == tilted[1, 1]],
            "the variances of w along curvatures 1 and 4",
        ),
        prose.cases(
            "covariance T_sum H⁻¹",
            [sp.simplify(formula * HESSIAN - temperature * sp.eye(2)) == sp.zeros(2, 2)],
            "the covariance times H, over its first entry, is the identity",
        ),
        prose.formula("gσ²/2", temperature, names),
        prose.formula("ηNσ²/(2S)", temperature, names),
    ]


CLAIM = Claim(
    module=__name__,
    title="What is isotropic",
    sources=(Source("lecture", place="5.3, text before (25)"),),
    verdict=Verdict.WRONG,
    summary="A slip of words, which the next sentence of the lecture repairs: F = σ²I makes the gradient noise "
    "isotropic, not w. Near a minimum w then has the covariance T_sum H⁻¹ with T_sum = gσ²/2 = ηNσ²/(2S), "
    "which is isotropic only if the Hessian is.",
    printed=sp.Eq(Cov(sp.Symbol("w")), sp.Symbol("v") * sp.eye(2), evaluate=False),
    corrected=sp.Eq(Cov(sp.Symbol("w")), T * sp.Inverse(H), evaluate=False),
    assumptions=(
        assumptions.ISOTROPIC,
        Assumption("The minimum is non-degenerate and the loss quadratic around it.", sp.Gt(h11 * h22, h12**2)),
        Assumption("The learning rate is small against the curvature of the mean loss.", sp.Lt(eta * h11 / N, 1)),
        assumptions.WITH_REPLACEMENT_OR_SMALL,
    ),
    formula=RESULT,
    arguments=(eta, N, S, sigma, h11, h12, h22),
    slip=Slip("the factor 1/2 of the equilibrium forgotten", 2 * RESULT),
    printed_formula=SCALE * sigma**2 / (h11 + h22) * sp.eye(2),
    example=Example("ratio of the variances of w along curvatures 1 and 4", 1, 4),
)
