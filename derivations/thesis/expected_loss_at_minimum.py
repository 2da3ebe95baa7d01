"""Thesis (3.3): the expected loss around a minimum, (η/4S) Tr H."""

import itertools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, eta

floor = sp.Symbol("L_min", nonnegative=True)
h11, h22 = sp.symbols("h_11 h_22", positive=True)
h12 = sp.Symbol("h_12", real=True)
H = sp.MatrixSymbol("H", 2, 2)
RESULT = floor + eta / (4 * S) * (h11 + h22)


def steps(formula):
    """The trace of the Lyapunov equation; no eigenvalue is needed."""
    hessian = sp.Matrix([[h11, h12], [h12, h22]])
    v11, v22 = sp.symbols("v_11 v_22", positive=True)
    v12 = sp.Symbol("v_12", real=True)
    V = sp.Matrix([[v11, v12], [v12, v22]])
    C = sp.ImmutableDenseMatrix(2, 2, sp.symbols("C_11 C_12 C_12 C_22"))
    B = sp.Matrix(2, 2, sp.symbols("b_11 b_12 b_21 b_22", real=True))
    points = [B * sp.Matrix(signs) for signs in itertools.product((-1, 1), repeat=2)]
    x, cov, noise = sp.MatrixSymbol("x", 2, 1), sp.MatrixSymbol("V", 2, 2), sp.MatrixSymbol("C", 2, 2)
    stationary = sp.solve(list(hessian * V + V * hessian - eta / S * C), (v11, v12, v22))
    return [
        Step(
            "Let θ be at x from the minimum, with mean 0 and covariance V. The mean loss knows V alone (here for "
            "x = B(±1, ±1), V = BBᵀ with any B):",
            floor + oracles.mean((p.T * hessian * p)[0] / 2 for p in points),
            floor + sp.trace(hessian * B * B.T) / 2,
            shown=sp.Eq(floor + E(x.T * H * x) / 2, floor + sp.Trace(H * cov) / 2, evaluate=False),
        ),
        Step(
            "In equilibrium HV + VH = (η/S)C. Half the trace of that, and of its solution in the plane, is",
            sp.trace(hessian * V.subs(stationary)),
            eta / (2 * S) * sp.trace(C),
            shown=sp.Eq(sp.Trace(H * cov), eta / (2 * S) * sp.Trace(noise), evaluate=False),
        ),
        Step(
            "The Hessian has dropped out. Only C = H, or at least Tr C = Tr H, brings it back:",
            floor + eta / (4 * S) * sp.Trace(C.subs({C[0, 0]: h11, C[0, 1]: h12, C[1, 1]: h22})),
            formula,
            name=E(sp.Symbol("L")),
        ),
    ]


def check(formula):
    """Least squares with residuals ±1 independent of the inputs (C = H): SGD's second moments, solved in rationals."""
    inputs = [sp.Matrix(v) for v in ((1, 0), (1, 2), (-1, 1))]
    examples = list(itertools.product(inputs, (-1, 1)))  # the loss is (xᵀθ − r)²/2, its minimum at θ = 0
    rate, size = sp.Rational(1, 10**8), 2
    hessian = oracles.mean(x * x.T for x in inputs)
    v11, v12, v22 = sp.symbols("v11 v12 v22")
    V = sp.Matrix([[v11, v12], [v12, v22]])
    # A gradient is xxᵀθ − rx; its covariance given θ, averaged over θ of mean zero and covariance V.
    noise = oracles.mean(x * x.T * V * x * x.T + r**2 * x * x.T for x, r in examples) - hessian * V * hessian
    shrink = sp.eye(2) - rate * hessian
    settled = sp.solve(list(shrink * V * shrink + rate**2 / size * noise - V), (v11, v12, v22))
    excess = sp.trace(hessian * V.subs(settled)) / 2
    low = oracles.mean(sp.Rational(r**2, 2) for _, r in examples)
    values = {eta: rate, S: size, h11: hessian[0, 0], h12: hessian[0, 1], h22: hessian[1, 1]}
    return [
        Comparison(
            "mean loss above the minimum over η, of SGD at η = 10⁻⁸, S = 2, on six examples with C = H, up to O(η)",
            (formula.subs(values).subs(floor, low) - low) / rate,
            excess / rate,
            sp.Rational(1, 10**6),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    gradients = [a * theta_0 for a in (1, 3) for theta_0 in (sp.S.Zero,)]  # of aθ²/2 at θ = 0, all fitted
    return [
        prose.formula("L_min + (η/4S) Tr C", formula, {"L_min": floor, "η": eta, "S": S, "Tr C": h11 + h22}),
        prose.cases(
            "a minimum of height 0 means that each example is fitted and C = 0",
            [oracles.variance(gradients) == 0],
            "the variance of the gradients of aθ²/2, a = 1 and 3, at θ = 0",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Expected loss around a minimum",
    sources=(Source("thesis", "3.3"),),
    verdict=Verdict.CONDITIONAL,
    summary="What follows is L_min + (η/4S) Tr C: the Hessian enters only through C = H. (3.3) holds for the loss "
    "above its minimum, to first order in η. Where losses are nonnegative, a minimum of height 0 means "
    "that each example is fitted and C = 0, so C = H and L_min = 0 exclude each other.",
    printed=sp.Eq(E(sp.Symbol("L")), eta / (4 * S) * sp.Trace(H), evaluate=False),
    assumptions=(
        Assumption("The gradient covariance equals the Hessian, or has its trace."),
        Assumption("The loss is counted from its minimum."),
        Assumption("The loss is quadratic around a non-degenerate minimum.", sp.Gt(h11 * h22, h12**2)),
        Assumption("The learning rate is small against the curvature.", sp.Lt(eta * h11, 1)),
        assumptions.WITH_REPLACEMENT_OR_SMALL,
        Assumption("The process is stationary."),
    ),
    formula=RESULT,
    arguments=(floor, eta, S, h11, h22),
    slip=Slip("the loss's factor 1/2 forgotten", floor + eta / (2 * S) * (h11 + h22)),
)
