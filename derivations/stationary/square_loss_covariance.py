"""Linear regression on Gaussian inputs: C(θ) = 2L(θ)H + ggᵀ at every θ."""

import itertools
from typing import Any

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, sigma, theta

loss = sp.Symbol("L", nonnegative=True)  # L(θ), label noise included
h_ij, g_i, g_j = sp.symbols("H_ij g_i g_j", real=True)


def steps(formula):
    """Loss → gradient → mean square of an example's gradient → C; then the scalar case."""
    z1, z2, e = sp.symbols("z_1 z_2 e", real=True)
    z, a = sp.Matrix([z1, z2]), sp.Matrix(sp.symbols("a_1 a_2", real=True))  # a = Aᵀδ
    residual = (z.T * a)[0] - e
    length = (a.T * a)[0]
    u = sp.Symbol("z", real=True)
    gaussian = sp.exp(-(u**2) / 2) / sp.sqrt(2 * sp.pi)

    def mean(entry):  # over z ~ N(0, I) and e centred with variance σ², independent
        total = sp.S.Zero
        for (k1, k2, p), coefficient in sp.Poly(sp.expand(entry), z1, z2, e).terms():
            if k1 % 2 == k2 % 2 == 0 and p in (0, 2):
                total += coefficient * sp.factorial2(k1 - 1) * sp.factorial2(k2 - 1) * sigma**p
        return total

    A: Any = sp.MatrixSymbol("A", 2, 2)
    b: Any = sp.MatrixSymbol("a", 2, 1)
    square = sp.Symbol("r_2", positive=True)  # σ² + |a|², the mean square residual
    H, g = A * A.T, A * b
    # Linear in H_ij and in g_i g_j, the formula makes a matrix of the matrices H and ggᵀ.
    matrix = formula.subs({loss: square / 2, h_ij: 1, g_i: 0}) * H + formula.subs({h_ij: 0, g_i: 1, g_j: 1}) * g * g.T
    return [
        Step(
            "Inputs x = Az with z ~ N(0, I) have H = E xxᵀ = AAᵀ; δ = θ − θ*, a = Aᵀδ. With the label noise e the "
            "residual is r = xᵀδ − e = zᵀa − e, and L = ½ E r². The gradient is g = E xr = A E[zzᵀ] a = Aa = Hδ:",
            mean(residual**2 / 2),
            sp.Mul(sp.Rational(1, 2), sigma**2 + length, evaluate=False),
            name=loss,
        ),
        Step(
            "A standard Gaussian has E z² = 1 and E z⁴ = 3:",
            sp.Matrix([sp.Integral(u**power * gaussian, (u, -sp.oo, sp.oo)) for power in (2, 4)]),
            sp.Matrix([1, 3]),
        ),
        Step(
            "So E r²zzᵀ is 2L times I, from z with z and r with r, plus aaᵀ twice, from each z with an r:",
            (z * z.T * residual**2).applyfunc(mean),
            sp.MatAdd(
                sp.MatMul(sigma**2 + length, sp.Identity(2), evaluate=False),
                sp.MatMul(2, sp.ImmutableMatrix(a), sp.ImmutableMatrix(a.T), evaluate=False),
                evaluate=False,
            ),
        ),
        Step(
            "Back with x = Az, and minus ggᵀ. With r_2 = σ² + |a|² = 2L and g = Aa:",
            A * (square * sp.Identity(2) + 2 * b * b.T) * A.T - g * g.T,
            matrix,
            name=sp.Symbol("C"),
        ),
        Step(
            "At the minimum g = 0 and L = σ²/2, and C = σ²H is left:",
            formula.subs({g_i: 0, g_j: 0, loss: sp.UnevaluatedExpr(sigma**2 / 2)}),
            sigma**2 * h_ij,
        ),
    ]


def check(formula):
    """Gradients over a finite law with a Gaussian's first five moments, in the plane, at two points."""
    mixing = sp.Matrix([[2, 1], [-1, 1]])
    sixth, twelfth = sp.Rational(1, 6), sp.Rational(1, 12)
    law = [(-2, twelfth), (-1, sixth), (0, sp.Rational(1, 2)), (1, sixth), (2, twelfth)]  # E z² = 1, E z⁴ = 3
    noise = [(sp.Integer(2), sp.Rational(1, 3)), (sp.Integer(-1), sp.Rational(2, 3))]
    comparisons = []
    for delta in (sp.Matrix([1, -2]), sp.Matrix([sp.Rational(1, 3), 5])):
        outcomes = []
        for (z1, p1), (z2, p2), (e, p3) in itertools.product(law, law, noise):
            x = mixing * sp.Matrix([z1, z2])
            outcomes.append((p1 * p2 * p3, x, (x.T * delta)[0] - e))
        H: Any = sum((p * x * x.T for p, x, _ in outcomes), sp.zeros(2, 2))
        g: Any = sum((p * x * r for p, x, r in outcomes), sp.zeros(2, 1))
        at = sum(p * r**2 / 2 for p, _, r in outcomes)
        C = sum((p * (x * r - g) * (x * r - g).T for p, x, r in outcomes), sp.zeros(2, 2))
        derived = sp.Matrix(
            2,
            2,
            lambda i, j, H=H, g=g, at=at: formula.subs({loss: at, h_ij: H[i, j], g_i: g[i], g_j: g[j]}),
        )
        comparisons.append(
            Comparison(
                f"C at θ* + ({delta[0]}, {delta[1]}), over 50 outcomes of a law with a Gaussian's first five moments",
                derived,
                C,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"L(θ)": loss, "L": loss, "H": h_ij, "ggᵀ": g_i * g_j}
    left = {}  # one input of variance 1 with label noise 1: g = δ, L − L₀ = δ²/2
    for step in (sp.Rational(1, 10), sp.Rational(1, 20)):
        left[step**2 / 2] = formula.subs({loss: step**2 / 2 + sp.S.Half, h_ij: 1, g_i: step, g_j: step}) - (step**2 + 1)
    law = [
        (-2, sp.Rational(1, 12)),
        (-1, sp.Rational(1, 6)),
        (0, sp.S.Half),
        (1, sp.Rational(1, 6)),
        (2, sp.Rational(1, 12)),
    ]
    exact = []
    for delta in (0, 1, -3, 10):
        first = sum(p * q * x * (x * delta - e) for x, p in law for e, q in ((1, sp.S.Half), (-1, sp.S.Half)))
        second = sum(p * q * (x * (x * delta - e)) ** 2 for x, p in law for e, q in ((1, sp.S.Half), (-1, sp.S.Half)))
        at = {loss: sp.Rational(delta**2 + 1, 2), h_ij: 1, g_i: delta, g_j: delta}
        exact.append(second - first**2 == formula.subs(at))
    return [
        prose.formula("2L(θ)H + ggᵀ", formula, names),
        prose.cases(
            "exactly and everywhere", exact, "at four θ for one input, over a law with a Gaussian's five moments"
        ),
        prose.formula(
            "The part proportional to the loss is the well-known C ≈ 2LH", formula.subs(g_i, 0), names, text="2LH"
        ),
        prose.cases(
            "is of the order of the part of the loss above its floor, and vanishes at the minimum",
            [value == 2 * above for above, value in left.items()],
            "ggᵀ is twice L − L₀ for one input, at two distances",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Gradient covariance of the square loss away from the minimum",
    sources=(Source("Mori, Ziyin, Liu & Ueda 2022"),),
    verdict=Verdict.CONDITIONAL,
    summary="For linear regression on centred Gaussian inputs C(θ) = 2L(θ)H + ggᵀ, exactly and everywhere. The "
    "part proportional to the loss is the well-known C ≈ 2LH; what that leaves out, ggᵀ, is of the order of the "
    "part of the loss above its floor, and vanishes at the minimum.",
    printed=sp.Eq(
        sp.MatrixSymbol("C", D, D),
        2 * sp.Function("L")(theta) * sp.MatrixSymbol("H", D, D)
        + sp.MatrixSymbol("g", D, 1) * sp.MatrixSymbol("g", D, 1).T,
        evaluate=False,
    ),
    assumptions=(
        Assumption("Linear regression: ℓ = ½(xᵀθ − y)²."),
        Assumption("Inputs are Gaussian with mean zero."),
        Assumption("Label noise is independent of the inputs, centred, of variance σ²."),
        Assumption("Means are over the law of the data: N → ∞."),
    ),
    formula=2 * loss * h_ij + g_i * g_j,
    arguments=(loss, h_ij, g_i, g_j),
    slip=Slip("both pairings kept: the mean gradient not subtracted", 2 * loss * h_ij + 2 * g_i * g_j),
)
