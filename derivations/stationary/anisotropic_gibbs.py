"""Constant noise that commutes with the Hessian: one temperature for each direction."""

from typing import Any

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, P, S, T, eta, lam_i, theta

c_ii = sp.Symbol("C_ii", positive=True)  # the noise along its eigenvector
i = sp.Symbol("i", integer=True)
curvatures: Any = sp.IndexedBase("lambda")
coordinates: Any = sp.IndexedBase("theta")
temperatures: Any = sp.IndexedBase("T")
exponent: Any = sp.Sum(curvatures[i] * coordinates[i] ** 2 / (2 * temperatures[i]), (i, 1, D))
epsilon = sp.Symbol("epsilon", positive=True)  # C = εH


def steps(formula):
    """Current direction by direction → width → C ∝ H → which C makes it a Gibbs law of the loss."""
    x, y = sp.symbols("theta_1 theta_2", real=True)
    l1, l2, c1, c2 = sp.symbols("lambda_1 lambda_2 C_11 C_22", positive=True)
    p = formula.subs({theta: x, lam_i: l1, c_ii: c1}) * formula.subs({theta: y, lam_i: l2, c_ii: c2})
    H = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"H_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    gibbs = T * H.inv()
    variance = -1 / sp.Derivative(sp.log(formula), (theta, 2))
    return [
        Step(
            "H and C are diagonal in one basis. There each direction has its own temperature T_i = ηC_ii/(2S), "
            "and the density is a product of exp(−λ_iθ_i²/(2T_i)):",
            sp.exp(-lam_i * theta**2 / (2 * sp.UnevaluatedExpr(eta * c_ii / (2 * S)))),
            formula,
        ),
        Step(
            "The current −λ_iθ_i p − (η/2S) C_ii ∂p/∂θ_i vanishes in each direction by itself (two directions):",
            sp.Matrix([-a * u * p - eta / (2 * S) * b * sp.Derivative(p, u) for u, a, b in ((x, l1, c1), (y, l2, c2))]),
            sp.zeros(2, 1),
            shown=sp.Eq(
                -lam_i * theta * P(theta) - eta / (2 * S) * c_ii * sp.Derivative(P(theta), theta), 0, evaluate=False
            ),
        ),
        Step(
            "The variance is minus one over the second derivative of the exponent:",
            variance,
            eta * c_ii / (2 * S * lam_i),
        ),
        Step(
            "Where C = εH, curvature cancels: Γ = (ηε/2S) I, equal in all directions and at all curvatures:",
            variance.doit().subs(c_ii, sp.UnevaluatedExpr(epsilon * lam_i)),
            eta * epsilon / (2 * S),
        ),
        Step(
            "A law exp(−L/T) would have Γ = TH⁻¹. The Lyapunov equation then leaves one choice, C = (2ST/η) I, "
            "commuting or not (any symmetric H in the plane):",
            S / eta * (H * gibbs + gibbs * H),
            2 * S * T / eta * sp.eye(2),
        ),
    ]


def check(formula):
    """Moments of the density by quadrature: mean of the generator, and the variance by Itô's isometry."""
    comparisons = []
    for curvature, noise in ((sp.Rational(1, 2), sp.Integer(3)), (sp.Integer(4), sp.Rational(2, 3))):
        values = {lam_i: curvature, c_ii: noise, eta: sp.Rational(1, 5), S: sp.Integer(4)}
        density = sp.lambdify(theta, formula.subs(values), "mpmath")

        def mean(expression, density=density):
            function, ends = sp.lambdify(theta, expression, "mpmath"), [-mpmath.inf, 0, mpmath.inf]
            above = oracles.quadrature(lambda u: function(u) * density(u), ends, 20)
            return sp.Float(above / oracles.quadrature(density, ends, 20), 20)

        half = noise / 40
        f = theta**4 + sp.cos(theta)
        s = sp.Symbol("s", positive=True)
        comparisons += [
            Comparison(
                f"E[λθ f′] = (η/2S) C E[f″] for f = {f}, λ = {curvature}, C = {noise}, by quadrature",
                mean(curvature * theta * f.diff(theta)),
                half * mean(f.diff(theta, 2)),
                1e-15,
            ),
            Comparison(
                f"the variance for λ = {curvature}, C = {noise}: quadrature against (η/S) C ∫ e^{{−2λs}} ds",
                mean(theta**2),
                2 * half * sp.integrate(sp.exp(-2 * curvature * s), (s, 0, sp.oo)),
                1e-15,
            ),
        ]
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    variance = -1 / sp.diff(sp.log(formula), theta, 2)
    warmth = sp.simplify(lam_i * variance)  # exp(−λθ²/(2T)) has the variance T/λ
    widths = [variance.subs(c_ii, 3 * curve).subs(lam_i, curve) for curve in (1, 100)]
    return [
        prose.formula("T_i = ηC_ii/(2S)", warmth, {"η": eta, "C_ii": c_ii, "S": S}, text="ηC_ii/(2S)"),
        prose.cases(
            "only if C is a multiple of I",
            [warmth.subs(c_ii, 1) != warmth.subs(c_ii, 2)],
            "the temperatures of two directions with C_ii = 1 and 2",
        ),
        prose.formula(
            "the covariance (ηε/2S) I",
            variance.subs(c_ii, epsilon * lam_i),
            {"η": eta, "ε": epsilon, "S": S},
            text="(ηε/2S)",
        ),
        prose.cases(
            "sharp and flat directions have the same width",
            [sp.simplify(widths[0] - widths[1]) == 0],
            "the variances along curvatures 1 and 100 for C = 3H",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="One temperature for each direction",
    sources=(Source("Gardiner, Handbook of Stochastic Methods"),),
    verdict=Verdict.CONDITIONAL,
    summary="Constant noise that commutes with the Hessian gives each eigendirection its own temperature "
    "T_i = ηC_ii/(2S), without a current. The law is a function of the loss alone only if C is a multiple of I. "
    "If C = εH, the covariance (ηε/2S) I does not know the Hessian: sharp and flat directions have the same width.",
    printed=sp.Eq(
        P(theta),
        sp.Symbol("P_0") * sp.exp(-exponent),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The loss is quadratic, H positive definite."),
        Assumption("H and C commute."),
        Assumption("C is positive definite."),
        assumptions.CONSTANT_COVARIANCE,
    ),
    formula=sp.exp(-S * lam_i * theta**2 / (eta * c_ii)),
    arguments=(theta, lam_i, c_ii, eta, S),
    slip=Slip("temperature ηC_ii/S", sp.exp(-S * lam_i * theta**2 / (2 * eta * c_ii))),
)
